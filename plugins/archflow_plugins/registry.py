"""The plugins of this process: which distributions they come from and which kinds they offer.

A plugin is an entry point of group `archflow`; its value is a module with hooks. The built-ins are one of them.

Rule: only what a configuration or a graph names is imported, never everything that is installed: of other plugins
their modules, of the built-ins, and of whoever else offers kinds for later, those kinds.
Rule: pluggy registers and validates here, at start-up; nothing in this module is called for a request.
Invariant: a dotted name leads to one kind of one distribution, or loading failed with a message that names both.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module, metadata
from types import ModuleType
from typing import TYPE_CHECKING, Literal

import pluggy
from msgspec import Struct

from archflow_plugins import hookspecs
from archflow_plugins.kinds import KINDS, Dialect, Kind, Later, Provider
from archflow_plugins.lock import digest, tampered
from archflow_schema.errors import (
    ArchflowError,
    KindConflict,
    KindMissing,
    PluginChanged,
    PluginError,
    PluginMissing,
)
from archflow_schema.graph import Graph, Requires
from archflow_schema.suggest import close, did_you_mean

if TYPE_CHECKING:
    from archflow_schema.diagnostic import Report

GROUP = "archflow"
BUILT_IN = "archflow"
Policy = Literal["locked", "verify", "any"]

REGISTRATION: dict[str, str] = {
    "dialect": "archflow_register_dialects",
    "guard": "archflow_register_guards",
    "matcher": "archflow_register_matchers",
    "slot_filler": "archflow_register_slot_fillers",
    "router": "archflow_register_routers",
    "filter": "archflow_register_filters",
    "gauge": "archflow_register_gauges",
    "provider": "archflow_register_providers",
    "store": "archflow_register_stores",
    "tracer": "archflow_register_tracers",
}
"""Family of kinds -> the hook that registers it."""

_DOTTED = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")


class Installed(Struct, frozen=True, kw_only=True):
    """A plugin that is installed, whether loaded or not.

    Attributes:
        entry_point: the name under which a configuration loads it.
        distribution: the installable package that it comes from.
        version: of the distribution.
        summary: the distribution's own one-line description.
        module: what would be imported.
    """

    entry_point: str
    distribution: str
    version: str
    summary: str
    module: str


class _Loaded(Struct, frozen=True):
    """A plugin whose module was imported. Not a value for others: it holds the module and the distribution."""

    name: str
    module: ModuleType
    distribution: metadata.Distribution

    def __str__(self) -> str:
        return f"{self.name} ({self.distribution.name} {self.distribution.version})"


class Registry:
    """The kinds that this process can use, by dotted name. Made by `load` or `for_graph`; not changed afterwards.

    Attributes:
        drift: how the plugins differ from those of the graph's lock, in words; only `for_graph` with `any` fills it.
    """

    def __init__(self, plugins: Iterable[tuple[str, ModuleType, metadata.Distribution]]) -> None:
        """Register imported plugins. Use `load` or `for_graph`, which also find and import them.

        Raises:
            PluginError: a hook is misspelt, unmarked or returns something else than kinds.
            KindConflict: two plugins offer the same kind.
        """
        self.drift: tuple[str, ...] = ()
        self._plugins: dict[str, _Loaded] = {}
        self._kinds: dict[str, type[Kind] | Later] = {}
        self._owners: dict[str, _Loaded] = {}
        self._hooks = pluggy.PluginManager(hookspecs.PROJECT)
        self._hooks.add_hookspecs(hookspecs)
        for name, module, distribution in plugins:
            self._register(_Loaded(name, module, distribution))
        for family, hook in REGISTRATION.items():
            for plugin, offered in self._call(hook):
                self._take(family, hook, plugin, offered)

    @classmethod
    def load(cls, names: Iterable[str] = ()) -> Registry:
        """The built-ins and the named plugins.

        Args:
            names: entry points of group `archflow`.

        Raises:
            PluginMissing: a name is not installed.
            PluginError: a plugin cannot be imported or breaks a rule of its hooks.
            KindConflict: two plugins offer the same kind.
        """
        return cls((name, _import(point), distribution) for name, point, distribution in _find(names))

    @classmethod
    def for_graph(cls, requires: Iterable[Requires], policy: Policy = "locked") -> Registry:
        """The plugins that a graph was compiled with.

        Args:
            requires: the graph's lock.
            policy: `locked` refuses another version or content; `verify` also hashes every installed file again;
                `any` takes what is installed and lists the differences in `drift`.

        Raises:
            PluginMissing: a plugin is not installed.
            PluginChanged: a plugin differs, and the policy does not allow it.
            KindMissing: a plugin no longer offers a kind that the graph uses.
            PluginError: a plugin cannot be imported or breaks a rule of its hooks.
        """
        locks = {lock.entry_point: lock for lock in requires}
        found = list(_find(locks, locks))
        drift = [
            difference
            for name, _, distribution in found
            if name in locks
            for difference in _differences(locks[name], distribution, verify=policy == "verify")
        ]
        if drift and policy != "any":
            raise PluginChanged(
                "; ".join(drift),
                fix="compile the graph again with what is installed now, install what it was compiled with, or run "
                "it with --plugins=any",
            )
        registry = cls((name, _import(point), distribution) for name, point, distribution in found)
        for lock in locks.values():
            for kind in lock.kinds:
                registry.kind(kind)
        registry.drift = tuple(drift)
        return registry

    @property
    def names(self) -> tuple[str, ...]:
        """The entry points of the loaded plugins, the built-ins first."""
        return tuple(self._plugins)

    def kind(self, dotted: str) -> type[Kind]:
        """The kind of a dotted name, such as `guard.length`; imported now if it was offered for later.

        Raises:
            KindMissing: no loaded plugin offers it.
            PluginError: it was offered for later, and is not there, or breaks a rule of kinds.
        """
        found = self._kinds.get(dotted)
        if found is None:
            raise KindMissing(self._missing(dotted))
        if isinstance(found, Later):
            found = self._kinds[dotted] = _import_kind(found, self._owners[dotted])
        return found

    def family(self, name: str) -> dict[str, type[Kind]]:
        """Every kind of a family (`guard`, `provider` ...), by dotted name, sorted. Imports all of them."""
        return {dotted: self.kind(dotted) for dotted in sorted(self._kinds) if dotted.startswith(f"{name}.")}

    def dialects(self) -> dict[str, type[Dialect]]:
        """Every dialect by its name in a graph: `openai_chat` for the kind `dialect.openai_chat`."""
        return {
            dotted.partition(".")[2]: kind
            for dotted, kind in self.family("dialect").items()
            if issubclass(kind, Dialect)
        }

    def provider(self, vendor: str, interface: str = "") -> type[Provider] | None:
        """Who serves a vendor's models: a kind that lists the vendor, else one that lists its interface, else None."""
        for wanted in (vendor, interface):
            for kind in self.family("provider").values():
                if issubclass(kind, Provider) and wanted and wanted in kind.vendors:
                    return kind
        return None

    def owner(self, dotted: str) -> str:
        """The entry point of the plugin that offers a kind. Raises KindMissing."""
        self.kind(dotted)
        return self._owners[dotted].name

    def requires(self, kinds: Iterable[str]) -> tuple[Requires, ...]:
        """The lock of the plugins that offer these kinds, sorted by entry point.

        Raises:
            KindMissing: no loaded plugin offers one of them.
        """
        used: dict[str, set[str]] = {}
        for dotted in kinds:
            used.setdefault(self.owner(dotted), set()).add(dotted)
        return tuple(
            Requires(
                entry_point=name,
                distribution=self._plugins[name].distribution.name,
                version=self._plugins[name].distribution.version,
                digest=digest(self._plugins[name].distribution),
                kinds=tuple(sorted(used[name])),
            )
            for name in sorted(used)
        )

    def graph_verified(self, graph: Graph, report: Report) -> None:
        """Let every plugin judge a compiled graph; their findings go to `report`.

        Raises:
            PluginError: a plugin's rule raised.
        """
        for _ in self._call("archflow_graph_verified", graph=graph, report=report):
            pass

    def _register(self, plugin: _Loaded) -> None:
        for other in self._plugins.values():
            if other.module is plugin.module:
                raise PluginError(
                    f"the plugins {other} and {plugin} are the same module, {plugin.module.__name__}",
                    fix="declare one entry point for it",
                )
        _refuse_unmarked(plugin)
        try:
            self._hooks.register(plugin.module, name=plugin.name)
            self._hooks.check_pending()
        except pluggy.PluginValidationError as error:
            raise PluginError(
                f"the plugin {plugin} has a hook that archflow does not know: {_hint(error)}"
            ) from error
        if not self._hooks.get_hookcallers(plugin.module):
            raise PluginError(
                f"the plugin {plugin} has no hook",
                fix=f"mark its functions in {plugin.module.__name__} with @archflow_plugins.hookimpl",
            )
        self._plugins[plugin.name] = plugin

    def _call(self, hook: str, **arguments: object) -> Iterator[tuple[_Loaded, object]]:
        """What each implementation of a hook returns, in the order in which the plugins were named."""
        caller = getattr(self._hooks.hook, hook)
        implementations = {
            implementation.plugin_name: implementation for implementation in caller.get_hookimpls()
        }
        for name, plugin in self._plugins.items():
            implementation = implementations.get(name)
            if implementation is None:
                continue
            given = {argument: arguments[argument] for argument in implementation.argnames}
            try:
                yield plugin, implementation.function(**given)
            except ArchflowError:
                raise
            except Exception as error:
                raise PluginError(f"the plugin {plugin} failed in {hook}: {_words(error)}") from error

    def _take(self, family: str, hook: str, plugin: _Loaded, offered: object) -> None:
        if not isinstance(offered, list | tuple):
            raise PluginError(f"{hook} of the plugin {plugin} returned {offered!r}: return a list of classes")
        for kind in offered:
            problem = _misplaced(family, kind) if isinstance(kind, Later) else _problem(family, kind)
            if problem:
                raise PluginError(f"{hook} of the plugin {plugin} offers {_class_name(kind)}, {problem}")
            other = self._owners.get(kind.kind)
            if other is not None:
                raise KindConflict(
                    f"the kind {kind.kind} is offered by the plugin {other} and by the plugin {plugin}",
                    fix="uninstall one of them, or leave one out of `plugins`",
                )
            self._kinds[kind.kind] = kind
            self._owners[kind.kind] = plugin

    def _missing(self, dotted: str) -> str:
        message = f"no loaded plugin offers the kind {dotted}{_did_you_mean(dotted, self._kinds)}"
        others = sorted({plugin.entry_point for plugin in installed()} - set(self._plugins))
        if others:
            message += (
                f"; installed plugins that are not loaded: {', '.join(others)} (name them under `plugins`)"
            )
        return message


def installed() -> tuple[Installed, ...]:
    """Every plugin of this Python environment, sorted by entry point. Imports nothing of theirs."""
    return tuple(
        sorted(
            (
                Installed(
                    entry_point=point.name,
                    distribution=distribution.name,
                    version=distribution.version,
                    summary=_summary(distribution),
                    module=point.value,
                )
                for point, distribution in _scan()
            ),
            key=lambda plugin: (plugin.entry_point, plugin.distribution),
        )
    )


def _summary(distribution: metadata.Distribution) -> str:
    told = distribution.metadata
    return told["Summary"] if "Summary" in told else ""  # noqa: SIM401 - its type has no `get` in Python 3.11


def _scan() -> Iterator[tuple[metadata.EntryPoint, metadata.Distribution]]:
    for point in metadata.entry_points(group=GROUP):
        if point.dist is not None:
            yield point, point.dist


def _find(
    names: Iterable[str], locks: Mapping[str, Requires] | None = None
) -> Iterator[tuple[str, metadata.EntryPoint, metadata.Distribution]]:
    """The entry points of the built-ins and of `names`, once each; nothing is imported."""
    yield _built_in()
    wanted = dict.fromkeys(name for name in names if name != BUILT_IN)
    if not wanted:
        return  # reading the entry points of every distribution costs tens of milliseconds
    found: dict[str, list[tuple[metadata.EntryPoint, metadata.Distribution]]] = {}
    for point, distribution in _scan():
        found.setdefault(point.name, []).append((point, distribution))
    for name in wanted:
        match found.get(name, []):
            case []:
                if locks and (lock := locks.get(name)):
                    raise PluginMissing(
                        f"the plugin {name} is not installed; the graph was compiled with it from "
                        f"{lock.distribution} {lock.version}",
                        fix=f"`pip install {lock.distribution}=={lock.version}`",
                    )
                raise PluginMissing(
                    f"the plugin {name} is not installed{_did_you_mean(name, found)}; "
                    f"install it with `pip install {_guess(name)}`, or whatever its distribution is called"
                )
            case [(point, distribution)]:
                yield name, point, distribution
            case several:
                both = " and ".join(f"{owner.name} {owner.version}" for _, owner in several)
                raise PluginError(f"the plugin {name} is offered by {both}", fix="uninstall all but one")


def _built_in() -> tuple[str, metadata.EntryPoint, metadata.Distribution]:
    try:
        distribution = metadata.distribution(BUILT_IN)
    except metadata.PackageNotFoundError as error:
        raise PluginMissing(
            "archflow itself is not installed, so its built-in kinds cannot be found",
            fix="run `pip install archflow`, or `pip install -e .` in a checkout",
        ) from error
    points = distribution.entry_points.select(group=GROUP, name=BUILT_IN)
    if not points:
        raise PluginMissing("this installation of archflow has lost its entry point", fix="install it again")
    return BUILT_IN, next(iter(points)), distribution


def _import(point: metadata.EntryPoint) -> ModuleType:
    try:
        module = point.load()
    except Exception as error:
        raise PluginError(
            f"the plugin {point.name} cannot be imported: {point.value}: {_words(error)}"
        ) from error
    if not isinstance(module, ModuleType):
        raise PluginError(
            f"the plugin {point.name} points to {point.value}, which is no module",
            fix="name the module that holds its hooks",
        )
    return module


def _import_kind(offer: Later, plugin: _Loaded) -> type[Kind]:
    """The class that was offered for later. Raises PluginError."""
    module, _, name = offer.place.partition(":")
    try:
        kind = getattr(import_module(module), name)
    except Exception as error:
        raise PluginError(
            f"the plugin {plugin} offers {offer.kind} at {offer.place}, which cannot be imported: {_words(error)}"
        ) from error
    problem = _problem(offer.kind.partition(".")[0], kind)
    if not problem and kind.kind != offer.kind:
        problem = f"whose `kind` is {kind.kind}"
    if problem:
        raise PluginError(f"the plugin {plugin} offers {offer.kind} at {offer.place}, {problem}")
    return kind  # type: ignore[no-any-return]


def _differences(lock: Requires, distribution: metadata.Distribution, *, verify: bool) -> Iterator[str]:
    """How an installed plugin differs from its lock, in words."""
    locked = f"{lock.distribution} {lock.version}"
    now = f"{distribution.name} {distribution.version}"
    if locked != now:
        yield f"the graph was compiled with {locked} for the plugin {lock.entry_point}, and {now} is installed"
    elif lock.digest != digest(distribution):
        yield (
            f"the graph was compiled with other files of {locked} for the plugin {lock.entry_point} than those that "
            f"are installed (digest {lock.digest[:12]} then, {digest(distribution)[:12]} now)"
        )
    if verify:
        for problem in tampered(distribution):
            yield f"{now} for the plugin {lock.entry_point}: {problem}"


def _problem(family: str, kind: object) -> str:
    """What is wrong with an offered kind; empty if nothing is."""
    base = KINDS[family]
    if not inspect.isclass(kind) or not issubclass(kind, base):
        return f"which does not derive from archflow_plugins.{base.__name__}"
    dotted = getattr(kind, "kind", None)
    if not _is_named(family, dotted):
        return f"whose `kind` is {dotted!r}: give it a dotted name such as {family}.{_snake(kind.__name__)}"
    structs: dict[str, object] = {"config": kind.config}
    if kind.compiled is not None:
        structs["compiled"] = kind.compiled
    for attribute, value in structs.items():
        if not inspect.isclass(value) or not issubclass(value, Struct) or not value.__struct_config__.frozen:
            return f"whose `{attribute}` is {_class_name(value)}: make it a frozen msgspec.Struct"
    return ""


def _misplaced(family: str, offer: Later) -> str:
    """What is wrong with a kind that is offered for later, as far as it can be told now; empty if nothing is."""
    if not _is_named(family, offer.kind):
        return f"whose `kind` is {offer.kind!r}: give it the class's dotted name, such as {family}.this"
    if not all(str(offer.place).partition(":")):
        return f"whose `place` is {offer.place!r}: make it `module:Name`"
    return ""


def _is_named(family: str, dotted: object) -> bool:
    return (
        isinstance(dotted, str) and _DOTTED.fullmatch(dotted) is not None and dotted.startswith(f"{family}.")
    )


def _refuse_unmarked(plugin: _Loaded) -> None:
    """A hook that lacks @hookimpl is ignored by pluggy, which its author would never learn."""
    for name, value in vars(plugin.module).items():
        if (
            name in vars(hookspecs)
            and inspect.isfunction(value)
            and not hasattr(value, f"{hookspecs.PROJECT}_impl")
        ):
            raise PluginError(
                f"{name} of the plugin {plugin} is not marked", fix="put @archflow_plugins.hookimpl above it"
            )


def _hint(error: pluggy.PluginValidationError) -> str:
    words = re.sub(r"\s+", " ", str(error)).strip()
    unknown = re.search(r"unknown hook '(\w+)'", words)
    if unknown is None:
        return words
    return f"{unknown[1]}{_did_you_mean(unknown[1], [name for name in vars(hookspecs) if name.startswith(GROUP)])}"


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    family, dot, rest = name.partition(".")
    alike = [  # that both are guards makes no two names alike
        one
        for one in known
        if not dot or not one.startswith(f"{family}.") or close(rest, [one.removeprefix(f"{family}.")])
    ]
    hint = did_you_mean(name, alike, mark="")
    return f": {hint}" if hint else ""


def _guess(name: str) -> str:
    return name if name.startswith(f"{GROUP}-") else f"{GROUP}-{name.replace('_', '-')}"


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _class_name(value: object) -> str:
    return f"{value.__module__}.{value.__qualname__}" if inspect.isclass(value) else repr(value)


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__

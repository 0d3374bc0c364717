"""What `archc plugins show` says: the kinds of a plugin and the keys that each takes.

Rule: it imports the plugin that it is asked about, and no other; all where a name is short or unknown.
"""

from __future__ import annotations

import contextlib
import inspect as python
from collections.abc import Iterator

from msgspec import NODEFAULT, inspect

from archflow_plugins.kinds import Kind
from archflow_plugins.registry import BUILT_IN, Registry, installed
from archflow_schema.errors import KindMissing, PluginMissing
from archflow_schema.suggest import did_you_mean


def show(name: str) -> str:
    """A plugin with its kinds, or one kind with its keys; a kind's short name shows all that have it.

    Raises:
        PluginMissing: neither a plugin nor a kind has that name.
        PluginError: the plugin cannot be loaded.
    """
    plugins = {plugin.entry_point: plugin for plugin in installed()}
    if name in plugins:
        registry = Registry.load([name])
        plugin = plugins[name]
        lines = [f"{plugin.entry_point}: {plugin.distribution} {plugin.version}", plugin.summary]
        for dotted, kind in _kinds(registry):
            if registry.owner(dotted) == name:
                lines += ["", *_kind(dotted, kind)]
        return "\n".join(line for line in lines) + "\n"
    registries = []
    for plugin_name in dict.fromkeys((BUILT_IN, *plugins)):
        registries.append(Registry.load([plugin_name]))
        with contextlib.suppress(KindMissing):
            return "\n".join(_kind(name, registries[-1].kind(name))) + "\n"
    kinds = {dotted: kind for registry in registries for dotted, kind in _kinds(registry)}
    short = [_kind(dotted, kind) for dotted, kind in kinds.items() if dotted.partition(".")[2] == name]
    if short:
        return "\n\n".join("\n".join(lines) for lines in short) + "\n"
    known = [*plugins, *kinds, *(dotted.partition(".")[2] for dotted in kinds)]
    raise PluginMissing(
        f'there is neither a plugin nor a kind "{name}"',
        fix=did_you_mean(name, known) or "`archc plugins list` shows the plugins, and `show` one's kinds",
    )


def _kinds(registry: Registry) -> Iterator[tuple[str, type[Kind]]]:
    from archflow_plugins.kinds import KINDS

    for family in KINDS:
        yield from registry.family(family).items()


def _kind(dotted: str, kind: type[Kind]) -> Iterator[str]:
    summary = python.cleandoc(kind.__doc__ or "").partition("\n")[0]
    yield f"{dotted}: {summary}".rstrip(": ")
    described = inspect.type_info(kind.config)
    if isinstance(described, inspect.StructType):
        texts = _attributes(kind.config)
        for field in described.fields:
            default = (
                "required"
                if field.required
                else ""
                if field.default is NODEFAULT
                else f"default {field.default!r}"
            )
            words = "; ".join(word for word in (texts.get(field.name, "").rstrip("."), default) if word)
            yield f"  {field.encode_name}: {words}".rstrip(": ")


def _attributes(cls: type) -> dict[str, str]:
    """The sentences of a Struct's docstring, as far as its author wrote them."""
    from archflow_compiler.reference.describe import attributes

    return attributes(cls)[1]

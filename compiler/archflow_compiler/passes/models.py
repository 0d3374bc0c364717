"""The names of models: who serves each, what else it may be called, which is the default.

The same bare model id in two providers is refused, as Arch does: nobody could say who is meant by it.

Rule: after this pass every name that a request may carry leads to one model, or the report says why not.
"""

from __future__ import annotations

from msgspec import Struct

from archflow_compiler.tree import Path
from archflow_compiler.unit import Unit
from archflow_plugins.kinds import Provider
from archflow_plugins.providers.table import VENDORS, Vendor, find
from archflow_plugins.registry import Registry
from archflow_schema.config import VERSIONS, ModelProvider
from archflow_schema.suggest import listed

_STANDARD_INTERFACES = {"arch", "claude", "deepseek", "groq", "mistral", "openai", "gemini"}


_ALIASES_AT_MOST = 8
"""So far an alias of an alias is followed to say what it may have stood for."""


class Model(Struct, frozen=True, kw_only=True):
    """A model that can be asked.

    Attributes:
        index: of its provider in `model_providers`.
        name: what `/v1/models` calls it.
        full: `<provider>/<model_id>`.
        vendor: the prefix after aliases, such as `anthropic` for `claude`.
        model_id: what the upstream is asked for; empty for a wildcard.
        provider: as configured.
    """

    index: int
    name: str
    full: str
    vendor: str
    model_id: str
    provider: ModelProvider

    @property
    def prefix(self) -> str:
        """What the names begin with that a wildcard takes."""
        return self.full[:-1]

    @property
    def wildcard(self) -> bool:
        """Whether it takes every model of its provider."""
        return not self.model_id


class Alias(Struct, frozen=True):
    """Another name for a model, known to lead somewhere."""

    alias: str
    model: Model


class Names:
    """Every name of a model, and what it leads to.

    Attributes:
        models: in the order of the file.
        aliases: those whose target exists.
        targets: what every alias of the file names.
        default: takes the requests that name no model.
    """

    def __init__(self, models: tuple[Model, ...]) -> None:
        self.models = models
        self.aliases: tuple[Alias, ...] = ()
        self.targets: dict[str, str] = {}
        self.default: Model | None = None
        self._found: dict[str, Model] = {}
        for model in models:
            if not model.wildcard:
                self._found.setdefault(model.model_id, model)
        for model in models:
            if not model.wildcard:
                self._found[model.full] = model
        for model in models:
            if not model.wildcard:
                self._found[model.name] = model
        self._wildcards = sorted(
            (model for model in models if model.wildcard), key=lambda model: -len(model.prefix)
        )

    def find(self, name: str) -> Model | None:
        """The model of a name: a provider's name, a full name, a model id, or one that a wildcard takes."""
        found = self._found.get(name)
        if found is not None:
            return found
        for model in self._wildcards:
            if name.startswith(model.prefix) and len(name) > len(model.prefix):
                made = Model(
                    index=model.index,
                    name=name,
                    full=name,
                    vendor=model.vendor,
                    model_id=name[len(model.prefix) :],
                    provider=model.provider,
                )
                self._found[name] = made
                return made
        return None

    def called(self, name: str) -> Model | None:
        """The model of a name or an alias."""
        alias = next((one.model for one in self.aliases if one.alias == name), None)
        return alias or self.find(name)

    def instead(self, name: str) -> str:
        """What to write where a name must be a model's, and is an alias; nothing if it is none."""
        model = None
        for _ in range(_ALIASES_AT_MOST):
            name = self.targets.get(name, "")
            model = model or (self.find(name) if name else None)
        return f'write "{model.name}", which the alias stands for' if model else ""

    def known(self) -> tuple[str, ...]:
        """Every name that a target could have meant."""
        return tuple(self._found)


def resolve(unit: Unit, registry: Registry) -> Names:
    """Check the model providers and all that refers to models.

    Args:
        unit: the configuration.
        registry: whose provider kinds may serve vendors that the table does not have.
    """
    served = _served(registry)
    models = tuple(
        model
        for index, provider in enumerate(unit.config.model_providers)
        if (model := _model(unit, index, provider, served)) is not None
    )
    _unique(unit, models)
    names = Names(models)
    names.default = _default(unit, models)
    names.targets = {alias.alias: alias.target for alias in unit.config.model_aliases}
    names.aliases = tuple(_aliases(unit, names))
    _routing(unit, names)
    _rate_limits(unit, names)
    return names


def _served(registry: Registry) -> dict[str, bool]:
    """The vendors that the provider kinds of plugins serve, and whether in the gateway's own process."""
    kinds = registry.family("provider").values()
    return {
        vendor: kind.in_process for kind in kinds if issubclass(kind, Provider) for vendor in kind.vendors
    }


def elsewhere(provider: ModelProvider) -> bool:
    """Whether a prefix that is served in this process is, here, the user's name for somebody else's server."""
    return bool(provider.base_url or provider.provider_interface)


def _model(unit: Unit, index: int, provider: ModelProvider, served: dict[str, bool]) -> Model | None:
    at = ("model_providers", index)
    text = provider.model
    prefix, slash, model_id = text.partition("/")
    if not slash or not prefix or not model_id:
        vendors = ", ".join(list(VENDORS)[:6])
        unit.error(
            "bad-model-name",
            f'"{text}" is not of the form <provider>/<model_id>',
            unit.places.value(*at, "model"),
            detail=f"the provider is a vendor ({vendors} ...), or a name of your own with base_url",
            fix="write it as in `openai/gpt-4o`" if "/" in text else f"write it as in `openai/{text}`",
            arch=f"Invalid model name {text}. Please provide model name in the format <provider>/<model_id>.",
        )
        return None
    if "*" in model_id and model_id != "*":
        unit.error(
            "bad-wildcard",
            f'"{text}" has a wildcard inside a model id',
            unit.places.value(*at, "model"),
            fix=f"`{prefix}/*` takes every model of {prefix}; name the others one by one",
        )
        return None
    vendor = find(prefix)
    if vendor is not None or prefix not in served or (served[prefix] and elsewhere(provider)):
        _interface(unit, provider, prefix, vendor, at)
    _base_url(unit, provider, at)
    wildcard = model_id == "*"
    if wildcard and provider.routing_preferences:
        unit.error(
            "wildcard-preference",
            "a wildcard cannot have routing preferences",
            unit.places.key(*at, "routing_preferences"),
            fix="name the preferred model in a provider of its own",
            arch=f"Model {text} has routing_preferences but uses wildcard (*). "
            "Models with routing preferences cannot be wildcards.",
        )
    if wildcard and provider.default:
        unit.error(
            "wildcard-default",
            "a wildcard cannot be the default: it does not say which model to ask",
            unit.places.key(*at, "default"),
            fix="name the default model in a provider of its own",
        )
    return Model(
        index=index,
        name=provider.name or text,
        full=text,
        vendor=vendor.name if vendor is not None else prefix,
        model_id="" if wildcard else model_id,
        provider=provider,
    )


def _interface(unit: Unit, provider: ModelProvider, prefix: str, vendor: Vendor | None, at: Path) -> None:
    """Whether it is known where the provider is and what it speaks."""
    model, interface = provider.model, provider.provider_interface
    if vendor is None:
        missing = [key for key in ("base_url", "provider_interface") if not unit.places.said(*at, key)]
        if missing:
            unit.error(
                "unknown-provider",
                f'"{prefix}" is no vendor that archc knows, and {" and ".join(missing)} '
                f"{'is' if len(missing) == 1 else 'are'} missing",
                unit.places.value(*at, "model"),
                fix=unit.suggest(prefix, VENDORS)
                or "say where it is with base_url, and what it speaks with `provider_interface: openai`",
                arch=f"Must provide base_url and provider_interface for unsupported provider {prefix} for model "
                f"{model}. Supported providers are: {', '.join(VENDORS)}",
            )
        return
    if vendor.needs_base_url and not unit.places.said(*at, "base_url"):
        unit.error(
            "missing-base-url",
            f"{prefix} has no address of its own, so base_url is needed",
            unit.places.value(*at, "model"),
            fix=_BASE_URLS.get(vendor.name, "add base_url"),
            arch=f"Provider '{prefix}' requires 'base_url' to be set for model {model}",
        )
    if interface is not None:
        say = unit.error if vendor.arch and interface in _STANDARD_INTERFACES else unit.warning
        say(
            "needless-interface",
            f"{prefix} is known, so provider_interface is not needed and would not be used",
            unit.places.key(*at, "provider_interface"),
            fix="leave provider_interface out, or give the provider a name of your own",
            arch=f"Please provide provider interface as part of model name {model} using the format "
            "<provider>/<model_id>. For example, use 'openai/gpt-3.5-turbo' instead of 'gpt-3.5-turbo' ",
        )


def _base_url(unit: Unit, provider: ModelProvider, at: Path) -> None:
    """A path is fine; a file that Arch 0.3.17 may read as well gets a note, for there it is not."""
    url = provider.base_url or ""
    path = _path_of(url)
    if path and unit.config.version in VERSIONS and unit.config.version != VERSIONS[-1]:
        unit.note(
            "base-url-path",
            f"the path {path} takes the place of the vendor's own; Arch allows one since 0.3.18",
            unit.places.value(*at, "base_url"),
            arch=f"Please provide base_url without path, got {url}. Use base_url like 'http://example.com' instead of "
            "'http://example.com/path'.",
        )


_BASE_URLS = {
    "azure_openai": "add `base_url: https://<resource>.openai.azure.com`",
    "ollama": "add `base_url: http://localhost:11434`",
    "qwen": "add `base_url: https://dashscope-intl.aliyuncs.com`",
    "vllm": "add `base_url: http://localhost:8000`",
}


def _path_of(url: str) -> str:
    """The path of a base_url; empty for none, also when the address comes from the environment."""
    rest = url.partition("://")[2]
    _, slash, path = rest.partition("/")
    return f"/{path}".rstrip("/") if slash and path.strip("/") else ""


def _unique(unit: Unit, models: tuple[Model, ...]) -> None:
    """Names, full names and model ids stand for one model each; one finding for each provider."""
    by_name: dict[str, Model] = {}
    by_full: dict[str, Model] = {}
    by_id: dict[str, Model] = {}
    for model in models:
        key = "name" if model.provider.name else "model"
        if (first := by_name.get(model.name)) is not None:
            _duplicate(
                unit, model, first, key, "duplicate-provider", f'two providers have the name "{model.name}"',
                f"Duplicate model_provider name {model.name}, please provide unique name for each model_provider",
                "give one of them another `name`",
            )  # fmt: skip
        elif (first := by_full.get(model.full)) is not None:
            _duplicate(
                unit, model, first, "model", "duplicate-model", f"two providers serve {model.full}",
                f"Duplicate model name {model.full}, please provide unique model name for each model_provider",
                "remove one of them",
            )  # fmt: skip
        elif model.model_id and (first := by_id.get(model.model_id)) is not None:
            _duplicate(
                unit, model, first, "model", "duplicate-model-id",
                f'two providers have the model id "{model.model_id}", so nobody can ask for it by that name',
                f"Duplicate model_id {model.model_id}, please provide unique model_id for each model_provider",
                "remove one of them, or let an upstream know it by another id",
            )  # fmt: skip
        by_name.setdefault(model.name, model)
        by_full.setdefault(model.full, model)
        if model.model_id:
            by_id.setdefault(model.model_id, model)
    for model in models:
        other = by_full.get(model.name) or by_id.get(model.name)
        if other is not None and other.full != model.full:  # the same model twice is an error already
            unit.warning(
                "shadowed-name",
                f'the name "{model.name}" is also that of the model {other.full}; requests for it go here',
                unit.places.value("model_providers", model.index, "name"),
                first=(
                    unit.places.value("model_providers", other.index, "model"),
                    f"{other.full} stands here",
                ),
            )


def _duplicate(
    unit: Unit, model: Model, first: Model, key: str, code: str, summary: str, arch: str, fix: str
) -> None:
    unit.error(
        code,
        summary,
        unit.places.value("model_providers", model.index, key),
        arch=arch,
        fix=fix,
        first=(
            unit.places.value(
                "model_providers", first.index, "name" if first.provider.name and key == "name" else "model"
            ),
            "the first stands here",
        ),
    )


def _default(unit: Unit, models: tuple[Model, ...]) -> Model | None:
    """The default model. A single one is the default without being called so."""
    marked = [model for model in models if model.provider.default]
    for model in marked[1:]:
        unit.error(
            "several-defaults",
            "two providers are the default",
            unit.places.key("model_providers", model.index, "default"),
            fix="leave `default: true` at one of them",
            arch="There must be at most one default LLM Provider",
            first=(unit.places.key("model_providers", marked[0].index, "default"), "the first stands here"),
        )
    if marked:
        return marked[0]
    return models[0] if len(models) == 1 and not models[0].wildcard else None


def _aliases(unit: Unit, names: Names) -> list[Alias]:
    found = []
    available = listed((name for model in names.models for name in _spellings(model)), 40)
    for number, alias in enumerate(unit.config.model_aliases, 1):
        at = ("model_aliases", alias.alias)
        model = names.find(alias.target)
        if model is None and unit.refused(alias.target, "model_providers"):
            continue
        if model is None:
            unit.warning(
                "unknown-alias-target",
                f'no provider serves "{alias.target}", so the alias "{alias.alias}" is left out',
                unit.places.value(*at, "target"),
                detail="Arch refuses the whole file for this, its own README's alias example included",
                fix=names.instead(alias.target)
                or unit.suggest(alias.target, names.known(), f"add a provider for {alias.target}"),
                arch=f"Model alias {number} - '{alias.alias}' targets '{alias.target}' which is not defined as a "
                f"model. Available models: {available}",
            )
            continue
        shadowed = names.find(alias.alias)
        if shadowed is not None and shadowed.full != model.full:
            unit.warning(
                "alias-shadows-model",
                f'the alias "{alias.alias}" is also the name of {shadowed.full}; requests for it go to {model.full}',
                unit.places.key(*at),
                fix="give the alias another name",
            )
        found.append(Alias(alias.alias, model))
    return found


def _spellings(model: Model) -> tuple[str, ...]:
    return (model.full, model.model_id) if model.model_id else (model.full,)


def _routing(unit: Unit, names: Names) -> None:
    wanted = unit.config.routing.model_provider
    if wanted is not None and all(model.name != wanted for model in names.models):
        unit.error(
            "unknown-provider-name",
            f'no provider has the name "{wanted}"',
            unit.places.value("routing", "model_provider"),
            fix=names.instead(wanted)
            or unit.suggest(wanted, [model.name for model in names.models])
            or "add it under model_providers",
            arch=f"Routing model_provider {wanted} is not defined in model_providers",
        )


def _rate_limits(unit: Unit, names: Names) -> None:
    seen: dict[tuple[str, str, str], int] = {}
    for index, limit in enumerate(unit.config.ratelimits):
        at = ("ratelimits", index)
        model = names.find(limit.model)
        if model is None and unit.refused(limit.model, "model_providers"):
            continue
        if model is None:
            unit.error(
                "unknown-model",
                f'no provider serves "{limit.model}"',
                unit.places.value(*at, "model"),
                fix=names.instead(limit.model)
                or unit.suggest(limit.model, names.known())
                or "add it under model_providers",
            )
            continue
        key = (model.full, limit.selector.key.lower(), limit.selector.value.replace("*", ""))
        if key in seen:
            unit.error(
                "duplicate-ratelimit",
                f"two rate limits count the same requests for {limit.model}",
                unit.places.value(*at, "selector"),
                fix="remove one of them",
                first=(unit.places.value("ratelimits", seen[key], "selector"), "the first stands here"),
            )
        seen.setdefault(key, index)

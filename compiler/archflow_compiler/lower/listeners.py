"""Listeners -> entries: guards, those of replies, filters, then the route and the models; or, as in `agents`, agents.

::

    endpoint -> [recall ->] guard -> guard -> filter -> route -> [limit ->] dispatch -> the client
                   |          |        |        |         |         |          |
                   +----------+--------+--------+---------+---------+----------+--> reply

Where models are preferred, a second route stands before it that leaves unnamed requests to a router::

    ... -> asked -> choose -> [limit ->] dispatch
             |        | none, failed, named
             |        +--> route -> ...
             +--> [limit ->] dispatch

A prompt listener has the nodes of `prompts` between its guards and its first route; with `use_agent_orchestrator` the
orchestrator stands in the place of that.

Rule: every path from an endpoint passes all guards of its listener before it reaches a model.
"""

from __future__ import annotations

from functools import partial
from typing import Literal

from archflow_compiler.lower import filters, handing, routing, state
from archflow_compiler.lower.agents import Agents
from archflow_compiler.lower.draft import Draft, Once
from archflow_compiler.lower.guards import Guards
from archflow_compiler.lower.prompts import Prompts
from archflow_compiler.lower.providers import Providers
from archflow_compiler.lower.routing import Router
from archflow_compiler.lower.screens import Screens
from archflow_compiler.passes.models import Model
from archflow_compiler.tree import Path
from archflow_plugins.kinds import Dialect
from archflow_plugins.providers import catalogue
from archflow_plugins.providers.table import find
from archflow_schema.config import Listener as ListenerConfig
from archflow_schema.graph import Edge, Endpoint, Limits, Listener, Route, Tls

DECIDING = "/routing"
"""What the paths begin with where a client is told which model it would get, as in Plano."""


def lower(draft: Draft, providers: Providers, router: Router | None) -> None:
    """Add every listener. `router` chooses among models, if anything is preferred."""
    guards = Guards(draft)
    prompts, screens = Prompts(draft, providers), Screens(draft)
    agents = Agents(draft, providers, prompts)
    for index, listener in enumerate(draft.config.listeners):
        at: Path = ("listeners", index)
        models = Once(partial(_models, draft, providers, router, at, listener))
        orchestrator = Once(partial(handing.orchestrator, draft))
        orchestrated = draft.config.overrides.use_agent_orchestrator
        if listener.type == "agent":
            entry = agents.entry(at, listener, models)
        elif listener.type == "prompt":
            entry = prompts.before_route(listener.name, orchestrator if orchestrated else models)
        else:
            entry = models()
        entry = filters.before(draft, entry, listener.input_filters, (*at, "input_filters"), listener.name)
        entry = filters.before(
            draft, entry, listener.output_filters, (*at, "output_filters"), listener.name, "output"
        )
        entry = screens.before(listener, at, entry)
        decides = router is not None and listener.type == "model"
        entry = guards.before(listener, at, entry)
        endpoints = (
            _endpoints(draft, providers, entry, listener.name, decides=decides)
            if models.made and listener.type != "agent"
            else agents.endpoints(listener, entry)
        )
        _listener(draft, at, listener, endpoints)


def _models(
    draft: Draft, providers: Providers, router: Router | None, at: Path, listener: ListenerConfig
) -> int:
    """Where requests for models go once the guards have judged."""
    entry = _route(draft, providers, at, listener)
    if router is not None:
        choose = routing.choose(draft, providers, router, listener.name, plain=entry)
        entry = choose if router.always else _route(draft, providers, at, listener, choose=choose)
    return entry


def _listener(draft: Draft, at: Path, listener: ListenerConfig, endpoints: tuple[Endpoint, ...]) -> None:
    if listener.port is None:
        return  # reported by `references`
    draft.listeners.append(
        Listener(
            name=listener.name,
            type=listener.type,
            address=listener.address,
            port=listener.port,
            timeout=listener.timeout,
            endpoints=endpoints,
            tls=None if listener.tls is None else Tls(listener.tls.certificate, listener.tls.private_key),
            limits=Limits(
                head=listener.limits.head,
                headers=listener.limits.headers,
                body=listener.limits.body,
                receive=listener.limits.receive,
                idle=listener.limits.idle,
                connections=listener.limits.connections,
            ),
            models=_listed(draft),
            origin=draft.origin(*at),
        )
    )


def _route(
    draft: Draft, providers: Providers, at: Path, listener: ListenerConfig, choose: int | None = None
) -> int:
    """The node that routes by name; one that may leave the choice to `choose` stands before one that may not."""
    asked = _names(draft, providers)
    targets = {model.name: providers.entry(model) for model in (*asked.models, *asked.wildcards)}
    default = draft.names.default
    return draft.add(
        Route(
            name=f"route {listener.name}" if choose is None else f"asked {listener.name}",
            names=tuple(sorted((name, model.name, reason) for name, (model, reason) in asked.names.items())),
            wildcards=tuple(sorted((model.prefix, model.name) for model in asked.wildcards)),
            default=default.name if default is not None else "",
            unknown=_unknown(draft, at, listener),
            edges=(
                *(
                    Edge(f"model:{name}", entry)
                    for name, entry in sorted(targets.items())
                    if entry is not None
                ),
                Edge("unknown", draft.reply("unknown model", 404, "model_not_found")),
                *(() if choose is None else (Edge("choose", choose),)),
            ),
            origin=draft.origin(*at),
            routed=() if choose is None else routing.ROUTED,
        )
    )


class _Asked:
    """What a request may ask for: name -> model and why, and the models behind the names."""

    def __init__(self, names: dict[str, tuple[Model, str]], wildcards: tuple[Model, ...]) -> None:
        self.names = names
        self.wildcards = wildcards
        self.models = tuple({model.name: model for model, _ in names.values()}.values())


def _names(draft: Draft, providers: Providers) -> _Asked:
    """Later ones win: a model id gives way to a full name, that to a provider's name, and that to an alias."""
    names: dict[str, tuple[Model, str]] = {}
    models = [model for model in draft.names.models if not model.wildcard]
    names.update((model.model_id, (model, "name")) for model in models)
    names.update((model.full, (model, "name")) for model in (*models, *providers.limited))
    names.update((model.name, (model, "name")) for model in models)
    names.update((alias.alias, (alias.model, "alias")) for alias in draft.names.aliases)
    return _Asked(names, tuple(model for model in draft.names.models if model.wildcard))


def _unknown(draft: Draft, at: Path, listener: ListenerConfig) -> Literal["refuse", "default"]:
    """What a name that nobody knows does: Arch's prompt listeners send it to the default provider."""
    wanted = draft.config.routing.unknown_model if listener.type == "model" else "default"
    if wanted == "default" and draft.names.default is None:
        said = listener.type == "model"
        say = draft.unit.error if said else draft.unit.warning
        say(
            "no-default",
            "no provider is the default, so requests for unknown models are refused",
            draft.unit.places.value("routing", "unknown_model") if said else draft.unit.places.value(*at),
            detail="Arch asks a random provider then",
            fix="add `default: true` to a provider",
        )
        return "refuse"
    return wanted


def _listed(draft: Draft) -> tuple[str, ...]:
    """What GET /v1/models lists: the providers' names, then the aliases, then what the wildcards are known to take."""
    models = [model.name for model in draft.names.models if not model.wildcard]
    aliases = [alias.alias for alias in draft.names.aliases]
    known = [name for model in draft.names.models if model.wildcard for name in _known(model)]
    return tuple(dict.fromkeys([*models, *aliases, *known]))


def _known(model: Model) -> tuple[str, ...]:
    """What a wildcard is known to take; nothing where `base_url` says that somebody else serves there."""
    vendor = find(model.vendor)
    if model.provider.base_url or vendor is None:
        return ()
    return tuple(f"{model.prefix}{one.id}" for one in catalogue.of(vendor.name) if one.served_by(vendor))


def _endpoints(
    draft: Draft, providers: Providers, entry: int, listener: str, *, decides: bool
) -> tuple[Endpoint, ...]:
    """A path for every dialect that some upstream speaks, that can be translated into one, or that needs none.

    Args:
        draft: the graph so far.
        providers: who speaks what.
        entry: where the walk begins.
        listener: the name of the listener.
        decides: whether clients may also ask which model they would get.
    """
    kinds = draft.registry.dialects()
    spoken = providers.dialects()
    translatable = any(name in spoken and kind.translates for name, kind in kinds.items())
    found = []
    for name, kind in kinds.items():
        answers = kind.answer is not Dialect.answer
        if name in spoken or (translatable and (kind.translates or answers)):
            draft.kinds.add(kind.kind)
            begin = state.recall(draft, entry, listener) if kind.keeps else entry
            found.append(Endpoint(kind.path, name, begin))
            if decides and kind.translates and "{" not in kind.path:
                found.append(Endpoint(f"{DECIDING}{kind.path}", name, begin, decides=True))
    return tuple(sorted(found, key=lambda endpoint: endpoint.path))

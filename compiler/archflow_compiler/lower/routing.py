"""Routing preferences -> the node that lets a router choose.

Rule: a request that names a model gets it, unless the configuration says otherwise; one that names none is routed.
Rule: whatever the router does not know, or does not know in time, goes on as if there were none.
"""

from __future__ import annotations

from msgspec import Struct

from archflow_compiler.lower import chosen
from archflow_compiler.lower.draft import Draft
from archflow_compiler.lower.providers import Providers
from archflow_compiler.passes.preferences import Preferred
from archflow_compiler.tree import Path
from archflow_plugins.contexts import Option
from archflow_schema.graph import Choose, Edge, Use

ROUTED = ("", "none", "auto", "arch-router")
"""What clients say instead of a model's name when they leave the choice to us; Arch's examples send "none"."""
COMPOSITE = "composite"
LANGUAGE_MODEL = "language_model"


class Router(Struct, frozen=True):
    """The router of a configuration.

    Attributes:
        use: the kind.
        routes: name of a preference -> its models as providers are called, best first.
        always: whether it also chooses for requests that name a model.
        at: where it stands.
    """

    use: Use
    routes: tuple[tuple[str, tuple[str, ...]], ...]
    always: bool
    at: Path


def router(draft: Draft, preferred: tuple[Preferred, ...]) -> Router | None:
    """The router, if something is preferred or one is named: requests may bring preferences of their own."""
    routing = draft.config.routing
    if not preferred and routing.router is None:
        return None
    at: Path = ("routing", "router")
    options = tuple(
        Option(name=one.name, description=one.description, examples=one.examples) for one in preferred
    )
    named = _named(draft)
    used = (
        _asking(draft, named, options)
        if routing.router is None and named
        else chosen.use(
            draft,
            "router",
            routing.router.kind if routing.router is not None else COMPOSITE,
            "router",
            at,
            known=("kind",),
            entry="routing.router",
            options=options,
        )
    )
    if used is None:
        return None
    return Router(
        used,
        tuple((one.name, _models(draft, one)) for one in preferred),
        routing.override_explicit_model,
        at if routing.router is not None else preferred[0].path[:1],
    )


def choose(draft: Draft, providers: Providers, router: Router, listener: str, *, plain: int) -> int:
    """The node that lets the router choose.

    Args:
        draft: the graph so far.
        providers: who makes the nodes that ask models.
        router: of the configuration.
        listener: whose node it is.
        plain: where a request goes that nothing was chosen for, or a model that it proposed itself.
    """
    routing = draft.config.routing
    best = {models[0] for _, models in router.routes if models}
    entries = {}
    for name in best:
        model = draft.names.find(name)
        entry = providers.entry(model) if model is not None else None
        if entry is not None:
            entries[name] = entry
    return draft.add(
        Choose(
            name=f"choose {listener}",
            use=router.use,
            routes=router.routes,
            timeout=routing.timeout,
            edges=(
                *(Edge(f"model:{name}", entry) for name, entry in sorted(entries.items())),
                Edge("named", plain),
                Edge("none", plain),
                Edge("failed", plain),
            ),
            user_only=routing.route_on_user_only,
            origin=draft.origin(*router.at),
        )
    )


def _named(draft: Draft) -> str:
    """The router model that a configuration names as Arch does; empty if it is none that a provider serves."""
    routing, overrides = draft.config.routing, draft.config.overrides
    said: tuple[tuple[str, Path], ...] = (
        (routing.model_provider or "", ("routing", "model_provider")),
        (routing.model, ("routing", "model")),
        (overrides.llm_routing_model, ("overrides", "llm_routing_model")),
    )
    for name, at in said:
        if name and draft.names.find(name) is not None:
            return name
        if name and routing.router is None and not routing.model_provider:
            draft.unit.warning(
                "unknown-router-model",
                f'no provider serves the router model "{name}", so the local router chooses',
                draft.unit.places.value(*at),
                detail="Arch asks a model of its maker for it; nothing here is asked that is not configured",
                fix="add a provider that serves it, or leave it out",
            )
    return ""


def _asking(draft: Draft, model: str, options: tuple[Option, ...]) -> Use | None:
    at: Path = ("overrides",) if not draft.unit.places.said("routing") else ("routing",)
    return asking(draft, model, options, at)


def asking(draft: Draft, model: str, options: tuple[Option, ...], at: Path, **more: object) -> Use | None:
    """The router that asks a model, which a configuration names as Arch does; `more` are settings of the kind."""
    kind = draft.registry.kind(f"router.{LANGUAGE_MODEL}")
    used = draft.use(kind, kind.config(model=model, **more), "router", at, str(at[0]), options)
    return None if used is None else used[0]


def _models(draft: Draft, preferred: Preferred) -> tuple[str, ...]:
    found = (draft.names.find(name) for name in preferred.models)
    return tuple(dict.fromkeys(model.name for model in found if model is not None))

"""Routing preferences -> the node that lets a router choose.

Rule: a request that names a model gets it, unless the configuration says otherwise; one that names none is routed.
Rule: whatever the router does not know, or does not know in time, goes on as if there were none.
"""

from __future__ import annotations

from msgspec import Struct

from archflow_compiler.lower import chosen, ranking
from archflow_compiler.lower.draft import Draft
from archflow_compiler.lower.providers import Providers
from archflow_compiler.lower.sessions import sessions
from archflow_compiler.passes.preferences import Preferred
from archflow_compiler.tree import Path
from archflow_plugins.contexts import Option
from archflow_schema.graph import Choose, Edge, Next, Ranked, Sessions, Use

ROUTED = ("", "none", "auto", "arch-router")
"""What clients say instead of a model's name when they leave the choice to us; Arch's examples send "none"."""
FURTHER = 2
"""Models of a route at most that are asked after the best one has refused."""
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
    ranked: tuple[Ranked, ...] = ()
    sessions: Sessions | None = None

    @property
    def models(self) -> tuple[str, ...]:
        """Every model of a route, sorted."""
        return tuple(sorted({model for _, models in self.routes for model in models}))


def router(draft: Draft, preferred: tuple[Preferred, ...]) -> Router | None:
    """The router, if something is preferred or one is named: requests may bring preferences of their own."""
    routing = draft.config.routing
    if not preferred and routing.router is None:
        return None
    # Nothing stands at the default router's place: what is to be said of it is said of the first preference.
    at: Path = ("routing", "router") if routing.router is not None else (*preferred[0].path, "router")
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
    routes = tuple((one.name, ranking.models(draft, one)) for one in preferred)
    return Router(
        used,
        routes,
        routing.override_explicit_model,
        at if routing.router is not None else preferred[0].path[:1],
        ranking.ranked(draft, preferred),
        sessions(draft, {model for _, models in routes for model in models}),
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
    refused: int | None = None
    longest = max((len(models) for _, models in router.routes), default=0)
    for number in range(min(longest - 1, FURTHER), 0, -1):
        refused = draft.add(
            Next(
                name=f"next {listener}" if number == 1 else f"next {listener}, {number}",
                models=router.models,
                edges=(
                    *_edges(draft, providers, router, refused),
                    Edge("none", draft.reply("upstream refused", 502, "upstream_refused")),
                ),
                origin=draft.origin(*router.at),
            )
        )
    return draft.add(
        Choose(
            name=f"choose {listener}",
            use=router.use,
            routes=router.routes,
            timeout=routing.timeout,
            edges=(
                *_edges(draft, providers, router, refused),
                Edge("named", plain),
                Edge("none", plain),
                Edge("failed", plain),
            ),
            user_only=routing.route_on_user_only,
            origin=draft.origin(*router.at),
            ranked=router.ranked,
            sessions=router.sessions,
        )
    )


def _edges(draft: Draft, providers: Providers, router: Router, refused: int | None) -> tuple[Edge, ...]:
    """To every model of a route; `refused` is where a request goes that its upstream refuses."""
    found = []
    for name in router.models:
        model = draft.names.find(name)
        entry = providers.entry(model, refused) if model is not None else None
        if entry is not None:
            found.append(Edge(f"model:{name}", entry))
    return tuple(found)


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

"""Graphs for tests of the engine, made without the compiler: model listeners with routes to given upstreams."""

from __future__ import annotations

from typing import Any, Literal

from archflow_plugins.contexts import CompileContext, encode_compiled
from archflow_plugins.kinds import Dialect, ProviderConfig
from archflow_plugins.registry import Registry
from archflow_schema import graph as g
from archflow_schema.diagnostic import Report

DIALECTS = (
    "openai_chat",
    "openai_completions",
    "openai_embeddings",
    "anthropic_messages",
    "bedrock_converse",
    "gemini",
)
KEEPS = "openai_responses"
"""The dialect whose clients go on from earlier replies; served where a graph says where those are kept."""
REPLIES = (
    g.Reply("unknown", 404, "model_not_found"),
    g.Reply("refused", 502, "upstream_refused"),
    g.Reply("timeout", 504, "upstream_timeout"),
    g.Reply("failed", 502, "upstream_failed"),
    g.Reply("unsupported", 400, "unsupported_dialect"),
    g.Reply("denied", 400, "guard_denied"),
    g.Reply("guard-failed", 503, "guard_failed"),
    g.Reply("exceeded", 429, "rate_limit_exceeded"),
    g.Reply("forgetful", 503, "state_unavailable"),
    g.Reply("denied-in-words", 200),
)
_LIMITS = g.Limits()
_AT = {reply.name: index for index, reply in enumerate(REPLIES)}


def provider(
    name: str, base_url: str, *, vendor: str = "openai", registry: Registry, **more: Any
) -> g.Upstream:
    """An upstream of the table's vendor at `base_url`; `more` are fields of ProviderConfig or of Upstream."""
    kind = registry.provider(vendor)
    assert kind is not None
    report = Report()
    context = CompileContext(name, report, lambda *_: None)
    configured = {key: value for key, value in more.items() if key in ProviderConfig.__struct_fields__}
    config = ProviderConfig(
        name=name, vendor=vendor, base_url=base_url, **{"access_key": "$UPSTREAM_KEY", **configured}
    )
    compiled = kind.compile(config, context)
    assert not report.errors, list(report)
    return g.Upstream(
        name=name,
        provider=vendor,
        use=g.Use(kind.kind, encode_compiled(compiled)),
        url=kind.url(compiled),
        dialects=kind.dialects(compiled),
        **{key: value for key, value in more.items() if key in g.Upstream.__struct_fields__},
    )


def model_graph(
    upstreams: list[g.Upstream],
    *,
    registry: Registry,
    addresses: tuple[str, ...] = ("127.0.0.1",),
    port: int = 0,
    models: dict[str, int] | None = None,
    aliases: dict[str, str] | None = None,
    default: str = "",
    unknown: Literal["refuse", "default"] = "refuse",
    guards: tuple[g.Use, ...] = (),
    denied: Literal["denied", "denied-in-words"] = "denied",
    fail: Literal["closed", "open"] = "closed",
    screens: tuple[g.Use, ...] = (),
    quotas: tuple[g.Quota, ...] = (),
    store: str = "store.memory",
    recall: g.Use | None = None,
    tracers: tuple[g.Use, ...] = (),
    limits: g.Limits = _LIMITS,
    tls: g.Tls | None = None,
    timeout: float = 30.0,
    routes: dict[str, tuple[str, ...]] | None = None,
    always: bool = False,
    choosing: dict[str, Any] | None = None,
) -> g.Graph:
    """A graph whose listeners, one per address, route `models` (name, or `prefix/*`, to an index of `upstreams`).

    A model `m` is asked for upstream as `m-upstream`. Guards are asked in their order, before the route.
    Those that deny lead to the reply `denied`. `screens` judge the replies, in their order, as guards do requests.
    With `routes` (name to models) the router of plays chooses, for every request if `always`; `choosing` are fields of
    its node.
    """
    models = models or {"m": 0}
    nodes: list[g.Node] = list(REPLIES)
    edges = []
    for name, upstream in models.items():
        nodes.append(_dispatch(name, upstream))
        if quotas:
            wired = (g.Edge("admitted", len(nodes) - 1), g.Edge("exceeded", _AT["exceeded"]))
            nodes.append(g.Limit(f"limit {name}", f"{name}-upstream", quotas, g.Use(store), wired))
        edges.append(g.Edge(f"model:{name}", len(nodes) - 1))
    exact = [name for name in models if not name.endswith("*")]
    names = sorted(
        [(name, name, "name") for name in exact]
        + [(alias, model, "alias") for alias, model in (aliases or {}).items()]
    )
    wildcards = tuple((name[:-1], name) for name in models if name.endswith("*"))
    edges.append(g.Edge("unknown", _AT["unknown"]))
    nodes.append(g.Route("route", tuple(names), wildcards, default, unknown, tuple(edges)))
    if routes is not None:
        _choose(nodes, models, routes, quotas, always=always, **(choosing or {}))
    for number, use in reversed(list(enumerate(screens))):
        wired = (
            g.Edge("ready", len(nodes) - 1),
            g.Edge("deny", _AT[denied]),
            g.Edge("failed", _AT["guard-failed"] if fail == "closed" else g.END),
        )
        nodes.append(g.Screen(f"screen-{number}", use, wired, label=f"number {number}", fail=fail))
    for number, use in reversed(list(enumerate(guards))):
        after = (
            g.Edge("allow", len(nodes) - 1),
            g.Edge("deny", _AT[denied]),
            g.Edge("failed", _AT["guard-failed"] if fail == "closed" else len(nodes) - 1),
        )
        nodes.append(g.Guard(f"guard-{number}", use, after, label=f"number {number}", fail=fail))
    endpoints = tuple(g.Endpoint(_path(registry, dialect), dialect, len(nodes) - 1) for dialect in DIALECTS)
    dialects = DIALECTS
    if recall is not None:
        ready = (g.Edge("ready", len(nodes) - 1), g.Edge("failed", _AT["forgetful"]))
        nodes.append(g.Recall("recall", recall, 3600.0, ready))
        dialects = (*DIALECTS, KEEPS)
        endpoints = (*endpoints, g.Endpoint(_path(registry, KEEPS), KEEPS, len(nodes) - 1))
    kinds = {upstream.use.kind for upstream in upstreams} | {
        use.kind for use in (*guards, *screens, *tracers)
    }
    kinds |= {f"dialect.{dialect}" for dialect in dialects} | ({store} if quotas else set())
    kinds |= {recall.kind} if recall is not None else set()
    if routes is not None:
        told = [one for one in endpoints if one.path in {"/v1/chat/completions", "/v1/messages"}]
        endpoints += tuple(
            g.Endpoint(f"/routing{one.path}", one.dialect, one.entry, decides=True) for one in told
        )
    kinds |= {use.kind for node in nodes if isinstance(node, g.Choose) for use in _uses(node)}
    return g.Graph(
        source="test.yaml",
        listeners=tuple(
            g.Listener(
                f"egress-{address}",
                "model",
                address,
                port,
                timeout,
                endpoints,
                tls=tls,
                limits=limits,
                models=tuple(exact),
            )
            for address in addresses
        ),
        nodes=tuple(nodes),
        upstreams=tuple(upstreams),
        tracers=tracers,
        environment=("UPSTREAM_KEY",),
        dialects=dialects,
        requires=registry.requires(kinds),
    )


def _choose(
    nodes: list[g.Node],
    models: dict[str, int],
    routes: dict[str, tuple[str, ...]],
    quotas: tuple[g.Quota, ...],
    *,
    always: bool,
    **more: Any,
) -> None:
    """The nodes before the plain route, which is the last one so far: next, choose and, unless `always`, asked."""
    plain = len(nodes) - 1
    route = nodes[plain]
    assert isinstance(route, g.Route)
    known = sorted({model for listed in routes.values() for model in listed})
    refused = _AT["refused"]
    for name in ("next", ""):
        wired = []
        for model in known:
            nodes.append(_dispatch(model, models[model], refused))
            if quotas:
                limit = (g.Edge("admitted", len(nodes) - 1), g.Edge("exceeded", _AT["exceeded"]))
                nodes.append(
                    g.Limit(f"limit {model}", f"{model}-upstream", quotas, g.Use("store.memory"), limit)
                )
            wired.append(g.Edge(f"model:{model}", len(nodes) - 1))
        if name:
            nodes.append(g.Next(name, tuple(known), (*wired, g.Edge("none", _AT["refused"]))))
            refused = len(nodes) - 1
    fields: dict[str, Any] = {"use": g.Use("router.play"), "timeout": 5.0, **more}
    others = tuple(g.Edge(outcome, plain) for outcome in ("named", "none", "failed"))
    nodes.append(g.Choose(name="choose", routes=tuple(routes.items()), edges=(*wired, *others), **fields))
    if not always:
        asked = (*route.edges, g.Edge("choose", len(nodes) - 1))
        routed = ("", "none", "auto", "arch-router")
        nodes.append(
            g.Route("asked", route.names, route.wildcards, route.default, route.unknown, asked, routed=routed)
        )


def _uses(node: g.Choose) -> list[g.Use]:
    stores = [node.sessions.store] if node.sessions is not None else []
    return [node.use, *stores, *(one.gauge for one in node.ranked if one.gauge is not None)]


def _dispatch(name: str, upstream: int, refused: int = _AT["refused"]) -> g.Dispatch:
    wired = {
        **{outcome: _AT[outcome] for outcome in ("timeout", "failed", "unsupported")},
        "refused": refused,
    }
    failures = tuple(
        g.Edge(outcome, wired[outcome]) for outcome in ("refused", "timeout", "failed", "unsupported")
    )
    asked = "" if name.endswith("*") else f"{name}-upstream"
    return g.Dispatch(f"dispatch {name}", name, asked, upstream, (g.Edge("streaming", g.END), *failures))


def _path(registry: Registry, dialect: str) -> str:
    kind = registry.kind(f"dialect.{dialect}")
    assert issubclass(kind, Dialect)
    return kind.path

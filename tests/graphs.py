"""Graphs for tests of the engine, made without the compiler: a model listener with routes to given upstreams."""

from __future__ import annotations

from archflow_plugins.contexts import CompileContext, encode_compiled, environment_names
from archflow_plugins.kinds import ProviderConfig
from archflow_plugins.registry import Registry
from archflow_schema import graph as g
from archflow_schema.diagnostic import Report

DIALECTS = ("openai_chat", "openai_completions", "openai_embeddings", "anthropic_messages")


def provider(name: str, base_url: str, *, vendor: str = "openai", registry: Registry, **more) -> g.Upstream:
    """An upstream of the table's vendor at `base_url`."""
    kind = registry.provider(vendor)
    report = Report()
    context = CompileContext(name, report, lambda *path: None)
    fields = {"access_key": "$UPSTREAM_KEY", **{k: v for k, v in more.items() if k in ProviderConfig.__struct_fields__}}
    compiled = kind.compile(ProviderConfig(name=name, vendor=vendor, base_url=base_url, **fields), context)
    assert not report.errors, list(report)
    extra = {k: v for k, v in more.items() if k in g.Upstream.__struct_fields__}
    return g.Upstream(
        name=name,
        provider=vendor,
        use=g.Use(kind.kind, encode_compiled(compiled)),
        url=kind.url(compiled),
        dialects=kind.dialects(compiled),
        **extra,
    )


def model_graph(
    upstreams: list[g.Upstream],
    *,
    ports: tuple[int, ...],
    models: dict[str, int] | None = None,
    default: str = "",
    unknown: str = "refuse",
    guards: tuple[g.Use, ...] = (),
    quotas: tuple[g.Quota, ...] = (),
    tracers: tuple[g.Use, ...] = (),
    limits: g.Limits = g.Limits(),
    tls: g.Tls | None = None,
    timeout: float = 30.0,
    registry: Registry,
) -> g.Graph:
    """A graph whose model listeners route `models` (name -> index of upstream) by name and by wildcard `any/`."""
    models = models or {"m": 0}
    replies = [
        g.Reply("unknown", 404, "model_not_found"),
        g.Reply("refused", 502, "upstream_refused"),
        g.Reply("timeout", 504, "upstream_timeout"),
        g.Reply("failed", 502, "upstream_failed"),
        g.Reply("unsupported", 400, "unsupported_dialect"),
        g.Reply("denied", 400, "guard_denied"),
        g.Reply("guard-failed", 503, "guard_failed"),
        g.Reply("exceeded", 429, "rate_limit_exceeded"),
    ]
    at = {reply.name: index for index, reply in enumerate(replies)}
    nodes: list[g.Node] = list(replies)
    edges = []
    for name, upstream in models.items():
        nodes.append(
            g.Dispatch(
                f"dispatch {name}",
                name,
                "" if name.endswith("*") else f"{name}-upstream",
                upstream,
                (
                    g.Edge("streaming", g.END),
                    *(g.Edge(outcome, at[outcome]) for outcome in ("refused", "timeout", "failed", "unsupported")),
                ),
            )
        )
        target = len(nodes) - 1
        if quotas:
            nodes.append(
                g.Limit(
                    f"limit {name}",
                    f"{name}-upstream",
                    quotas,
                    g.Use("store.memory"),
                    (g.Edge("admitted", target), g.Edge("exceeded", at["exceeded"])),
                )
            )
            target = len(nodes) - 1
        edges.append(g.Edge(f"model:{name}", target))
    names = tuple(sorted((name, name, "name") for name in models if not name.endswith("*")))
    wildcards = tuple((name[:-1], name) for name in models if name.endswith("*"))
    nodes.append(g.Route("route", names, wildcards, default, unknown, (*edges, g.Edge("unknown", 0))))
    entry = len(nodes) - 1
    for number, use in enumerate(reversed(guards)):
        wired = (g.Edge("allow", entry), g.Edge("deny", at["denied"]), g.Edge("failed", at["guard-failed"]))
        nodes.append(g.Guard(f"guard-{number}", use, wired))
        entry = len(nodes) - 1
    endpoints = tuple(
        g.Endpoint(registry.kind(f"dialect.{dialect}").path, dialect, entry) for dialect in DIALECTS
    )
    listeners = tuple(
        g.Listener(
            f"egress-{port}", "model", "127.0.0.1", port, timeout, endpoints, tls=tls, limits=limits, models=names and tuple(n for n, _, _ in names)
        )
        for port in ports
    )
    kinds = {use.kind for upstream in upstreams for use in (upstream.use,)} | {use.kind for use in (*guards, *tracers)}
    return g.Graph(
        source="test.yaml",
        listeners=listeners,
        nodes=tuple(nodes),
        upstreams=tuple(upstreams),
        tracers=tracers,
        environment=("UPSTREAM_KEY",),
        dialects=DIALECTS,
        requires=registry.requires(kinds | {f"dialect.{dialect}" for dialect in DIALECTS}),
    )


__all__ = ["DIALECTS", "environment_names", "model_graph", "provider"]

"""Graph -> Plan: kinds opened, secrets resolved, edges turned into references.

Rule: everything that can be looked up, decoded or formatted before a request is done here, once.
Rule: what only some graphs have (prompts, choosing, agents) is imported for those alone.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Awaitable, Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import msgspec

from archflow_engine.ask import Asker, Services, address, fits_a_host
from archflow_engine.gauged import Gauged
from archflow_engine.hub import Hub, monotonic
from archflow_engine.metrics import Metrics
from archflow_engine.nodes.dispatch import DispatchNode
from archflow_engine.nodes.filter import FilterNode
from archflow_engine.nodes.guard import GuardNode, WaitingGuardNode
from archflow_engine.nodes.limit import LimitNode, WaitingLimitNode
from archflow_engine.nodes.next import NextNode
from archflow_engine.nodes.recall import RecallNode, WaitingRecallNode
from archflow_engine.nodes.renew import RenewingDispatchNode
from archflow_engine.nodes.reply import ReplyNode
from archflow_engine.nodes.route import RouteNode
from archflow_engine.nodes.sift import SiftNode
from archflow_engine.pace import Pace
from archflow_engine.plan import Endpoint, ListenerPlan, Plan
from archflow_engine.rehearsal import rehearse
from archflow_engine.upstream.local import Asked, LocalPool
from archflow_engine.upstream.pool import Origin, Pool
from archflow_plugins.contexts import RunContext
from archflow_plugins.kinds import (
    Dialect,
    Filter,
    Gauge,
    Guard,
    Kind,
    Matcher,
    Provider,
    Router,
    Store,
    Tracer,
    compiled_type,
)
from archflow_schema import graph as ir
from archflow_schema.errors import ArchflowError, MalformedGraph
from archflow_schema.text import resolve

if TYPE_CHECKING:
    from archflow_engine.load import Program
    from archflow_engine.nodes.agent import AgentNode
    from archflow_engine.prompts.bind import PromptBinder
    from archflow_engine.walk import Runner
    from archflow_plugins.deciding.choosing import Choosing
    from archflow_plugins.deciding.ranking import Ranking

K = TypeVar("K", bound=Kind)
KEPT = 64
"""Idle connections kept to a service that is no provider of models."""


class Kinds(Protocol):
    """Where kinds are found by name; `archflow_plugins.registry.Registry` is one."""

    def kind(self, dotted: str) -> type[Kind]:
        """The kind of this name. Raises KindMissing."""


async def bind(
    program: Program,
    kinds: Kinds,
    hub: Hub,
    metrics: Metrics,
    *,
    offload: Callable[[Callable[[], object]], Awaitable[object]],
    log: Callable[..., None],
) -> Plan:
    """Make a program live. Blocks while its kinds open.

    Raises:
        ArchflowError: a kind cannot run, or an address is unusable; nothing stays open.
    """
    binder = _Binder(program, kinds, Plan(program.graph, program.digest, hub, metrics), offload, log)
    try:
        await binder.bind()
    except BaseException:
        await binder.plan.close()
        raise
    return binder.plan


class _Binder:
    def __init__(
        self,
        program: Program,
        kinds: Kinds,
        plan: Plan,
        offload: Callable[[Callable[[], object]], Awaitable[object]],
        log: Callable[..., None],
    ) -> None:
        self.plan = plan
        self._program = program
        self._graph = program.graph
        self._kinds = kinds
        self._offload = offload
        self._log = log
        self._blobs = {blob.digest: blob.data for blob in program.graph.blobs}
        self._pools: dict[Origin, Pool] = {}
        self._shared: dict[ir.Use, Kind] = {}
        self._gauges: dict[ir.Use, Gauged] = {}
        self._asker = Asker()
        self._services = Services(self._pool_at)
        self._upstreams: list[tuple[ir.Upstream, Provider, Pool | LocalPool, str]] = []

    async def bind(self) -> None:
        graph, plan = self._graph, self.plan
        dialects = {name: await self._dialect(name) for name in graph.dialects}
        for upstream in graph.upstreams:
            provider = await self._open(upstream.use, Provider, upstream.name)
            if provider.in_process:
                local = LocalPool(plan.hub, upstream.name, provider)
                plan.pools.append(local)
                self._upstreams.append((upstream, Asked(provider), local, ""))
            else:
                self._upstreams.append((upstream, provider, *self._pool(upstream)))
        if graph.services:
            self._prompts.reach(graph.services)
        runners = [await self._runner(node, dialects) for node in graph.nodes]
        for node, runner in zip(graph.nodes, runners, strict=True):
            runner.edges.update(
                {edge.outcome: None if edge.target == ir.END else runners[edge.target] for edge in node.edges}
            )
        rehearse(graph, dialects)
        for listener in graph.listeners:
            endpoints: dict[str, Endpoint] = {}
            deciding: dict[str, Endpoint] = {}
            for endpoint in listener.endpoints:
                if endpoint.dialect not in dialects:
                    raise MalformedGraph(
                        f"listener {listener.name}: the dialect {endpoint.dialect} is not declared"
                    )
                (deciding if endpoint.decides else endpoints)[endpoint.path] = (
                    dialects[endpoint.dialect],
                    endpoint.dialect,
                    runners[endpoint.entry],
                )
            plan.listeners[listener.address, listener.port] = ListenerPlan(
                plan, listener, endpoints, deciding
            )
        tracers = [await self._open(use, Tracer, use.kind) for use in graph.tracers]
        plan.trace_with(tuple(tracers))

    @cached_property
    def _prompts(self) -> PromptBinder:
        from archflow_engine.prompts.bind import PromptBinder

        return PromptBinder(self._program.lookup, self.plan.hub, self._one_of, self._pool_at)

    async def _dialect(self, name: str) -> Dialect:
        return await self._open(ir.Use(f"dialect.{name}"), Dialect, name)

    async def _open(self, use: ir.Use, family: type[K], name: str) -> K:
        """Open a use of a kind and remember to close it."""
        kind = self._kinds.kind(use.kind)
        if not issubclass(kind, family):
            raise MalformedGraph(f"{name}: {use.kind} is not a {family.__name__.lower()}")
        try:
            compiled = msgspec.msgpack.decode(use.compiled, type=compiled_type(kind))
        except msgspec.MsgspecError as error:
            raise MalformedGraph(
                f"{name}: the configuration of {use.kind} cannot be read: {error}"
            ) from error
        live = await kind.open(compiled, self._context(name))
        self.plan.kinds.append(live)
        return live

    async def _one_of(self, use: ir.Use, family: type[K], name: str) -> K:
        """Open a use of a kind once for all nodes that have the same."""
        live = self._shared.get(use)
        if live is None:
            live = self._shared[use] = await self._open(use, family, name)
        if not isinstance(live, family):
            raise MalformedGraph(f"{name}: {use.kind} is not a {family.__name__.lower()}")
        return live

    def _context(self, name: str) -> RunContext:
        return RunContext(
            name,
            lookup=self._program.lookup,
            blobs=self._blobs,
            clock=monotonic,
            offload=self._offload,
            log=self._log,
            ask=self._asker,
            fetch=self._services,
        )

    def _pool(self, upstream: ir.Upstream) -> tuple[Pool, str]:
        """The pool for an upstream's origin, shared by all models there, and the authority to ask for."""
        url = resolve(upstream.url, self._program.lookup)
        parts = urllib.parse.urlsplit(url)
        try:
            port = parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError as error:
            raise ArchflowError(f"upstream {upstream.name}: {url} has no usable port") from error
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ArchflowError(f"upstream {upstream.name}: '{url}' is not an http or https URL with a host")
        origin = Origin(
            "https" if parts.scheme == "https" else "http",
            parts.hostname,
            port,
            upstream.http,
            upstream.ca,
            upstream.connect,
        )
        try:
            pool = self._pool_at(origin, upstream.pool)
        except OSError as error:
            raise ArchflowError(f"upstream {upstream.name}: the CA bundle {upstream.ca}: {error}") from error
        host = resolve(upstream.host, self._program.lookup)
        bare = f"[{origin.host}]" if ":" in origin.host else origin.host
        default = port == (443 if origin.scheme == "https" else 80)
        authority = host or (bare if default else f"{bare}:{port}")
        if not fits_a_host(authority):
            raise ArchflowError(f"upstream {upstream.name}: '{authority}' is not usable as a Host header")
        return pool, authority

    def _pool_at(self, origin: Origin, keep: int = KEPT) -> Pool:
        """The pool of an origin, made when it is first wanted. Raises OSError for a CA bundle that cannot be read."""
        pool = self._pools.get(origin)
        if pool is None:
            pool = self._pools[origin] = Pool(self.plan.hub, origin, keep)
            self.plan.pools.append(pool)
        return pool

    def _agent(self, node: ir.Agent) -> AgentNode:
        from archflow_engine.nodes.agent import AgentNode

        url, host = (resolve(text, self._program.lookup) for text in (node.url, node.host))
        try:
            origin, authority, base = address(url)
            pool = self._pool_at(origin._replace(ca=node.ca, connect=node.connect))
        except (ArchflowError, OSError) as error:
            raise ArchflowError(f"{node.name}: {error}") from error
        if not fits_a_host(host):
            raise ArchflowError(f"{node.name}: '{host}' is not usable as a Host header")
        return AgentNode(
            node.name,
            agent=node.agent,
            pool=pool,
            authority=host or authority,
            base=base.decode("ascii"),
            tells=node.tells,
            first_byte=node.first_byte,
            between_chunks=node.between_chunks,
        )

    async def _filter(self, node: ir.Filter, dialects: dict[str, Dialect]) -> FilterNode:
        """A filter, opened when it is first wanted; all nodes that use it in the same way share it."""
        filtering = await self._one_of(node.use, Filter, node.filter)
        if filtering.dialect and filtering.dialect not in dialects:
            raise MalformedGraph(f"{node.name}: the dialect {filtering.dialect} is not declared")
        return FilterNode(node.name, node.filter, filtering, dialects.get(filtering.dialect))

    async def _runner(self, node: ir.Node, dialects: dict[str, Dialect]) -> Runner:
        if isinstance(node, ir.Match | ir.Resume | ir.Fill | ir.Call | ir.Frame | ir.Tell):
            return await self._prompts.runner(node, dialects)
        if isinstance(node, ir.Route):
            return RouteNode(node)
        if isinstance(node, ir.Choose):
            from archflow_engine.nodes.choose import ChooseNode

            return ChooseNode(node.name, await self._choosing(node))
        if isinstance(node, ir.Next):
            return NextNode(node.name)
        if isinstance(node, ir.Reply):
            message = resolve(node.message, self._program.lookup)
            return ReplyNode(node.name, node.status, node.code, message, chain=node.form == "chain")
        if isinstance(node, ir.Select):
            from archflow_engine.nodes.select import SelectNode

            choose = (
                (await self._open(node.use, Matcher, node.name)).match
                if issubclass(self._kinds.kind(node.use.kind), Matcher)
                else (await self._one_of(node.use, Router, node.name)).choose
            )
            return SelectNode(node, choose)
        if isinstance(node, ir.Agent):
            return self._agent(node)
        if isinstance(node, ir.Filter):
            return await self._filter(node, dialects)
        if isinstance(node, ir.Sift):
            return SiftNode(node.name, node.filter, await self._one_of(node.use, Filter, node.filter))
        if isinstance(node, ir.Guard):
            guard = await self._open(node.use, Guard, node.name)
            return (WaitingGuardNode if guard.waits else GuardNode)(node.name, guard, node.label)
        if isinstance(node, ir.Screen):
            from archflow_engine.nodes.screen import ScreenNode

            guard = await self._open(node.use, Guard, node.name)
            return ScreenNode(node.name, guard, node.label, fail_open=node.fail == "open")
        if isinstance(node, ir.Recall):
            store = await self._one_of(node.store, Store, node.name)
            return (WaitingRecallNode if store.waits else RecallNode)(node.name, store, node.seconds)
        if isinstance(node, ir.Limit):
            store = await self._one_of(node.store, Store, node.name)
            return (WaitingLimitNode if store.waits else LimitNode)(node.name, node.model, node.quotas, store)
        upstream, provider, pool, authority = self._upstreams[node.upstream]
        renews = type(provider).renew is not Provider.renew
        dispatch = (RenewingDispatchNode if renews else DispatchNode)(
            node.name,
            model_id=node.model_id,
            upstream=upstream.name,
            provider=upstream.provider,
            kind=provider,
            pool=pool,
            authority=authority,
            dialects={name: dialects[name] for name in upstream.dialects if name in dialects},
            first_byte=upstream.first_byte,
            between_chunks=upstream.between_chunks,
            passthrough_auth=upstream.passthrough_auth,
        )
        self._asker.add(node.model, dispatch)
        return dispatch

    async def _choosing(self, node: ir.Choose) -> Choosing:
        """What a node that chooses needs."""
        from archflow_plugins.deciding.choosing import Choosing
        from archflow_plugins.deciding.sessions import Sessions

        router = await self._one_of(node.use, Router, node.name)
        sessions = None
        if node.sessions is not None:
            sessions = Sessions(node.sessions, await self._one_of(node.sessions.store, Store, node.name))
        rankings: dict[str, Ranking] = {}
        for ranked in node.ranked:
            rankings |= dict.fromkeys(ranked.routes, await self._ranking(node, ranked))
        return Choosing(
            router,
            dict(node.routes),
            node.timeout,
            user_only=node.user_only,
            rankings=rankings,
            sessions=sessions,
        )

    async def _ranking(self, node: ir.Choose, ranked: ir.Ranked) -> Ranking:
        use, plan = ranked.gauge, self.plan
        if use is None:
            models = {model for _, models in node.routes for model in models}
            plan.pace = plan.pace or Pace(models)
            return plan.pace.rank
        found = self._gauges.get(use)
        if found is None:
            gauge = await self._open(use, Gauge, node.name)
            found = self._gauges[use] = Gauged(gauge, plan.hub.spawn, self._log)
        return found.rank


def describe(graph: ir.Graph, digest: str) -> dict[str, Any]:
    """A running graph for `/graph`: plain values, no secrets (a graph has none)."""
    return {
        "digest": digest,
        "source": graph.source,
        "listeners": [
            {
                "name": listener.name,
                "type": listener.type,
                "address": f"{listener.address}:{listener.port}",
                "timeout": listener.timeout,
                "endpoints": [endpoint.path for endpoint in listener.endpoints],
                "models": list(listener.models),
            }
            for listener in graph.listeners
        ],
        "nodes": [
            {
                "name": node.name,
                "type": ir.node_type(node),
                "edges": {
                    edge.outcome: "end" if edge.target == ir.END else graph.nodes[edge.target].name
                    for edge in node.edges
                },
            }
            for node in graph.nodes
        ],
        "upstreams": [
            {"name": one.name, "provider": one.provider, "dialects": list(one.dialects), "http": one.http}
            for one in graph.upstreams
        ],
        "services": [{"name": one.name, "addresses": len(one.addresses)} for one in graph.services],
        "plugins": [
            {"name": one.entry_point, "distribution": one.distribution, "version": one.version}
            for one in graph.requires
        ],
    }

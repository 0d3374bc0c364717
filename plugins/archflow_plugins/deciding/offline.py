"""A walk through a graph without a gateway: which way a request would go, and why at each node.

Guards, routers, matchers and slot fillers are opened as the engine opens them and asked the same; what the engine
decides in its nodes is decided by the same calls (see the other modules here). Nobody is asked over the network,
nothing is charged, and no session is known.

Rule: a walk ends where the first model would be asked, or at a reply.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

import msgspec
import trio
from msgspec import Struct

from archflow_plugins.contexts import Answered, RunContext
from archflow_plugins.deciding.choosing import Choosing, Request
from archflow_plugins.deciding.names import Names
from archflow_plugins.deciding.prompting import filled, matched, selected
from archflow_plugins.deciding.proposed import brings
from archflow_plugins.deciding.ranking import Ranking, ranked
from archflow_plugins.kinds import (
    Choice,
    Dialect,
    Gauge,
    Guard,
    Kind,
    Matcher,
    Router,
    SlotFiller,
    compiled_type,
)
from archflow_plugins.record import Decision
from archflow_plugins.registry import Registry
from archflow_plugins.rewriting import covered, rewritten
from archflow_schema import graph as ir
from archflow_schema.conversation import Conversation
from archflow_schema.errors import ArchflowError, UpstreamError
from archflow_schema.reply import Reply
from archflow_schema.suggest import did_you_mean
from archflow_schema.text import Env, Secret

K = TypeVar("K", bound=Kind)
FAILURES_AT_MOST = 200
"""Characters of an exception that are shown."""


class Step(Struct, frozen=True, kw_only=True):
    """What happened at a node.

    Attributes:
        node: its name.
        type: of the node.
        outcome: the edge that was taken; empty where the walk ends.
        why: in words.
        scores: what was compared, best first.
        decision: what a router decided.
    """

    node: str
    type: str
    outcome: str = ""
    why: str
    scores: tuple[tuple[str, float], ...] = ()
    decision: Decision | None = None


class Walk(Struct, frozen=True, kw_only=True):
    """The whole way.

    Attributes:
        listener: where it began.
        steps: the nodes.
        model: the model that would be asked; empty if a reply of ours is the end.
        models: those that may be asked one after the other, if a router chose them.
    """

    listener: str
    steps: tuple[Step, ...]
    model: str = ""
    models: tuple[str, ...] = ()


class _Nobody:
    """Who is asked over the network from here."""

    async def ask(self, model: str, conversation: Conversation, timeout: float) -> Reply:  # noqa: ASYNC109
        await trio.lowlevel.checkpoint()
        raise UpstreamError(f"the model {model} is not asked from here")

    async def fetch(
        self,
        method: str,
        url: str,
        headers: tuple[tuple[str, str], ...],
        body: bytes,
        timeout: float,  # noqa: ASYNC109
    ) -> Answered:
        await trio.lowlevel.checkpoint()
        raise UpstreamError(f"{url.partition('?')[0]} is not asked from here")


class World:
    """What the kinds of a graph are opened with here.

    Args:
        graph: the graph.
        registry: whose kinds they are.
        environment: the values of variables.
    """

    def __init__(self, graph: ir.Graph, registry: Registry, environment: Mapping[str, str]) -> None:
        self.graph = graph
        self._registry = registry
        self._environment = environment
        self._blobs = {blob.digest: blob.data for blob in graph.blobs}
        self._open: list[Kind] = []

    async def open(self, use: ir.Use, family: type[K], name: str) -> K:
        """Open a use of a kind. Blocks.

        Raises:
            ArchflowError: it cannot run here.
        """
        kind = self._registry.kind(use.kind)
        if not issubclass(kind, family):
            raise ArchflowError(f"{name}: {use.kind} is not a {family.__name__.lower()}")
        compiled = msgspec.msgpack.decode(use.compiled, type=compiled_type(kind))
        try:
            live = await kind.open(compiled, self._context(name))
        except KeyError as error:
            raise ArchflowError(f"{name}: {use.kind} needs {error}, which is not set here") from error
        self._open.append(live)
        return live

    async def close(self) -> None:
        """Close everything."""
        with trio.CancelScope(shield=True):
            for kind in reversed(self._open):
                await kind.close()

    def _context(self, name: str) -> RunContext:
        def lookup(reference: Env | Secret) -> str:
            return self._environment[reference.name if isinstance(reference, Env) else reference.key]

        async def offload(work: Callable[[], object]) -> object:
            return await trio.to_thread.run_sync(work)

        return RunContext(
            name,
            lookup=lookup,
            blobs=self._blobs,
            clock=time.monotonic,
            offload=offload,
            log=lambda *_, **__: None,
            ask=_Nobody().ask,
            fetch=_Nobody().fetch,
        )


def follow(
    graph: ir.Graph,
    registry: Registry,
    body: bytes,
    *,
    environment: Mapping[str, str],
    dialect: str = "openai_chat",
    listener: str = "",
) -> Walk:
    """The way of a request. Blocks while guards and routers think; starts its own trio run.

    Args:
        graph: the graph.
        registry: its plugins.
        body: the request.
        environment: the values of variables.
        dialect: the request's.
        listener: where it comes; the first that takes the dialect if not given.

    Raises:
        ArchflowError: a kind cannot run here, nobody takes such a request, or it is none of its dialect.
    """
    found = next(
        (
            (one, endpoint)
            for one in graph.listeners
            if listener in {"", one.name}
            for endpoint in one.endpoints
            if endpoint.dialect == dialect and not endpoint.decides
        ),
        None,
    )
    if found is None:
        raise _nowhere([one.name for one in graph.listeners], listener, dialect)
    at, endpoint = found

    async def walk(world: World) -> Walk:
        return await _Walker(world, dialect).walk(at.name, endpoint.entry, body)

    return _running(graph, registry, environment, walk)


def _nowhere(names: Sequence[str], listener: str, dialect: str) -> ArchflowError:
    """Why no listener takes a request."""
    if not listener:
        return ArchflowError(f"no listener takes {dialect}")
    if listener in names:
        return ArchflowError(f"the listener {listener} takes no {dialect}")
    return ArchflowError(
        f"the graph has no listener {listener}; it has {', '.join(names)}",
        fix=did_you_mean(listener, names, mark=""),
    )


def choices(
    graph: ir.Graph, registry: Registry, asked: Sequence[Conversation], *, environment: Mapping[str, str]
) -> tuple[ir.Choose, tuple[Choice, ...]]:
    """What the router of a graph chooses for conversations. Blocks; starts its own trio run.

    Raises:
        ArchflowError: there is no router, or it cannot run here.
    """
    node = _choose_of(graph)

    async def ask(world: World) -> tuple[Choice, ...]:
        router = await world.open(node.use, Router, node.name)
        return tuple([await _chosen(router, one) for one in asked])

    return node, _running(graph, registry, environment, ask)


def tuned(
    graph: ir.Graph,
    registry: Registry,
    cases: Sequence[tuple[str, Choice]],
    *,
    environment: Mapping[str, str],
) -> Mapping[str, float]:
    """Settings of the router of a graph that decide cases better; see `Router.tuned`. Blocks.

    Raises:
        ArchflowError: there is no router, or it cannot run here.
    """
    node = _choose_of(graph)

    async def ask(world: World) -> Mapping[str, float]:
        return (await world.open(node.use, Router, node.name)).tuned(cases)

    return _running(graph, registry, environment, ask)


def _choose_of(graph: ir.Graph) -> ir.Choose:
    node = next((one for one in graph.nodes if isinstance(one, ir.Choose)), None)
    if node is None:
        raise ArchflowError("the graph has no router: nothing is chosen by routing preferences")
    return node


T = TypeVar("T")


def _running(
    graph: ir.Graph, registry: Registry, environment: Mapping[str, str], work: Callable[[World], Awaitable[T]]
) -> T:
    async def run() -> T:
        world = World(graph, registry, environment)
        try:
            return await work(world)
        finally:
            await world.close()

    return trio.run(run)


async def _chosen(router: Router, conversation: Conversation) -> Choice:
    try:
        return await router.choose(conversation)
    except trio.Cancelled:
        raise
    except Exception as error:  # noqa: BLE001 - as in the engine, it has preferred nothing
        return Choice(reason=f"failed: {error}"[:FAILURES_AT_MOST])


class _Walker:
    """One request on its way."""

    def __init__(self, world: World, dialect: str) -> None:
        self._world = world
        self._graph = world.graph
        self._name = dialect
        self._chosen: tuple[str, ...] = ()
        self._models: tuple[str, ...] = ()
        self._targets: tuple[str, ...] = ()
        self._model = ""
        self._steps: list[Step] = []

    async def walk(self, listener: str, entry: int, body: bytes) -> Walk:
        self._dialect = await self._world.open(ir.Use(f"dialect.{self._name}"), Dialect, self._name)
        self._head = self._dialect.decode_head(body)
        index = entry
        while index != ir.END:
            node = self._graph.nodes[index]
            step = await self._step(node)
            self._steps.append(step)
            if not step.outcome:
                break
            index = next(edge.target for edge in node.edges if edge.outcome == step.outcome)
        return Walk(listener=listener, steps=tuple(self._steps), model=self._model, models=self._models)

    async def _step(self, node: ir.Node) -> Step:
        match node:
            case ir.Guard():
                return await self._guard(node)
            case ir.Route():
                return self._route(node)
            case ir.Choose():
                return await self._choose(node)
            case ir.Match() | ir.Select() | ir.Fill():
                return await self._prompt(node)
            case ir.Frame():
                return _said(node, "framed", "goes on to a model, without what was called")
            case ir.Call():
                return _said(node, "", "calls nobody here; what comes then depends on what services answer")
            case ir.Limit():
                return _said(node, "admitted", "nothing is charged here")
            case ir.Screen():
                return _said(node, "ready", "judges the reply, which nobody gives here")
            case ir.Sift():
                return _said(node, "ready", "changes the reply, which nobody gives here")
            case ir.Recall():
                return _said(node, "ready", "nothing that was kept is looked up here")
            case ir.Resume():
                return _said(node, "resumed", "nothing that was called before is looked up here")
            case ir.Dispatch():
                self._model = node.model
                upstream = self._graph.upstreams[node.upstream].name
                return _said(node, "", f"asks {upstream} for {node.model_id or 'what follows the prefix'}")
            case ir.Reply():
                return _said(node, "", f"answers with status {node.status} {node.code}".rstrip())
            case _:
                return _said(node, "", "what comes then depends on what others answer")

    async def _guard(self, node: ir.Guard) -> Step:
        guard = await self._world.open(node.use, Guard, node.name)
        head = self._head
        try:
            before = self._dialect.decode(head)
            verdict = await guard.check(before)
        except trio.Cancelled:
            raise
        except Exception as error:  # noqa: BLE001 - as in the engine, it has not allowed
            return _said(node, "failed", f"{node.use.kind} failed: {error}"[:FAILURES_AT_MOST])
        outcome = "allow" if verdict.allow else "deny"
        if verdict.becomes is not None:
            head = rewritten(self._dialect, head, before, verdict.becomes)
        if verdict.texts is not None:
            head = covered(self._dialect, head, verdict.becomes or before, verdict.texts)
        scores = (("score", verdict.score),) if verdict.score else ()
        words = (
            f"{node.use.kind} says: {verdict.message}" if verdict.message
            else f"{node.use.kind} allows it" if head is self._head
            else f"{node.use.kind} changes what goes on"
        )  # fmt: skip
        self._head = head
        return Step(node=node.name, type="guard", outcome=outcome, why=words, scores=scores)

    async def _prompt(self, node: ir.Match | ir.Select | ir.Fill) -> Step:
        said = self._dialect.decode(self._head)
        match node:
            case ir.Match():
                found = await matched(node, await self._world.open(node.use, Matcher, node.name), said)
            case ir.Select():
                chooser = await self._world.open(node.use, Kind, node.name)
                assert isinstance(chooser, Router | Matcher)  # noqa: S101 - the compiler takes no other
                found = await selected(node, chooser, said)
            case ir.Fill():
                filler = await self._world.open(node.use, SlotFiller, node.name)
                found = await filled(node, filler, said, self._targets)
        self._targets = found.chosen
        return Step(
            node=node.name, type=ir.node_type(node), outcome=found.outcome, why=found.why, scores=found.scores
        )

    def _route(self, node: ir.Route) -> Step:
        names, asked = Names(node), self._head.model
        found = names.named(asked, chosen=self._chosen, brings=brings(self._head))
        self._model = found.model
        said = f"the request names the model '{asked}'" if asked else "the request names no model"
        why = (
            f"{said}: left to the router" if found.outcome == "choose"
            else names.explain(asked) if found.outcome == "unknown"
            else f"{said}: {found.reason} of {found.model}"
        )  # fmt: skip
        return Step(node=node.name, type="route", outcome=found.outcome, why=why)

    async def _choose(self, node: ir.Choose) -> Step:
        router = await self._world.open(node.use, Router, node.name)
        rankings: dict[str, Ranking] = {}
        for one in node.ranked:
            if one.gauge is not None:
                gauge = await self._world.open(one.gauge, Gauge, node.name)
                rankings |= dict.fromkeys(one.routes, _by(gauge))
        choosing = Choosing(
            router, dict(node.routes), node.timeout, user_only=node.user_only, rankings=rankings
        )
        decision = Decision(node=node.name)
        chosen = await choosing.choose(Request(head=self._head, decode=self._dialect.decode), decision)
        self._head = chosen.head
        self._models = chosen.models
        if chosen.outcome == "named":
            self._chosen = chosen.models
        outcome = f"model:{chosen.models[0]}" if chosen.outcome == "model" else chosen.outcome
        return Step(
            node=node.name,
            type="choose",
            outcome=outcome,
            why=_told(node, decision, chosen.troubles),
            scores=chosen.choice.scores if chosen.choice is not None else (),
            decision=decision,
        )


def _by(gauge: Gauge) -> Ranking:
    return lambda models: ranked(models, gauge.readings())


def _told(node: ir.Choose, decision: Decision, troubles: tuple[Exception, ...]) -> str:
    if decision.reason == "timeout":
        return f"{node.use.kind} took longer than {node.timeout:g} s"
    if troubles:
        return f"{node.use.kind} failed: {troubles[0]}"[:FAILURES_AT_MOST]
    how = f"{decision.reason}, confidence {decision.confidence:.2f}"
    return f"{node.use.kind} finds {decision.option or 'nothing that fits'} ({how})"


def _said(node: ir.Node, outcome: str, why: str) -> Step:
    return Step(node=node.name, type=ir.node_type(node), outcome=outcome, why=why)

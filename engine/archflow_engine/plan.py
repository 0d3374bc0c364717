"""A graph made live: what an exchange needs to look up, looked up beforehand.

A Plan serves exchanges until it is replaced. Exchanges that began on it finish on it; when the last is over, what it
opened is closed.

Rule: nothing in a Plan changes while it serves.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import unquote

import trio
from msgspec import Struct

from archflow_engine.hub import Hub
from archflow_engine.metrics import OF_KINDS, UPSTREAM_CONNECTIONS, Family, Labels, Metrics
from archflow_engine.nodes.recall import RecallNode
from archflow_engine.pace import Pace
from archflow_engine.walk import Runner
from archflow_engine.watch import take
from archflow_plugins.kinds import Dialect, Kind, Tracer
from archflow_plugins.record import Record
from archflow_schema.graph import Graph, Limits, Listener

if TYPE_CHECKING:
    from archflow_engine.exchange import Exchange
    from archflow_engine.upstream.local import LocalPool
    from archflow_engine.upstream.pool import Pool

CORS = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"GET, POST, DELETE, OPTIONS"),
    (b"access-control-allow-headers", b"*"),
    (b"access-control-expose-headers", b"*"),
]
_JSON = b"application/json"

BATCH = 64
"""Exchanges that are counted and told together, where every tracer can wait."""

Endpoint = tuple[Dialect, str, Runner]
"""A dialect, its name, and where the walk begins."""


class ByPattern(Struct, frozen=True):
    """An endpoint whose path names the model, and perhaps that the reply shall be streamed."""

    endpoint: Endpoint
    model: str
    stream: bool


class ListenerPlan:
    """One listener of a plan.

    Attributes:
        endpoints: path -> endpoint.
        deciding: path -> endpoint, for requests that are decided about and not sent on.
    """

    def __init__(
        self,
        plan: Plan,
        listener: Listener,
        endpoints: dict[str, Endpoint],
        deciding: dict[str, Endpoint] | None = None,
    ) -> None:
        self.plan = plan
        self.name = listener.name
        self.timeout = listener.timeout
        self.limits: Limits = listener.limits
        self.listener = listener
        self.endpoints = {path: one for path, one in endpoints.items() if "{" not in path}
        self.deciding = deciding or {}
        self._places = endpoints
        self._patterns = tuple(
            (_pattern(path), endpoint, stream)
            for endpoint in endpoints.values()
            for path, stream in _paths(endpoint[0])
            if "{" in path
        )
        self._models = listener.models
        self._lists: dict[str, list[Dialect]] = {}
        for dialect, _, _ in endpoints.values():
            for place in (dialect.models_path, dialect.other_models_path):
                if place:
                    self._lists.setdefault(place, []).append(dialect)
        self._voice = next((dialect for dialect, _, _ in self.endpoints.values()), None)
        self._keepers = tuple(
            (f"{path}/", dialect, name, node)
            for one, (dialect, name, node) in endpoints.items()
            if isinstance(node, RecallNode)
            for path in (one, *dialect.other_paths)
        )
        for endpoint in endpoints.values():
            more = (path for path in endpoint[0].other_paths if "{" not in path)
            self.endpoints |= dict.fromkeys(more, endpoint)

    def by_pattern(self, path: str) -> ByPattern | None:
        """The endpoint whose path holds the model's name, percent-encoded or not."""
        for pattern, endpoint, stream in self._patterns:
            found = pattern.fullmatch(path)
            if found is not None:
                return ByPattern(endpoint, unquote(found[1]), stream)
        return None

    def places(self, some: Callable[[Dialect, str], bool]) -> list[str]:
        """The paths where some of the listener's dialects are served; each is told with its name."""
        return [path for path, (dialect, name, _) in self._places.items() if some(dialect, name)]

    def encode_error(self, status: int, code: str, message: str, *, request_id: str) -> bytes:
        """An error for a client that has not said in which dialect it speaks: the listener's first."""
        if self._voice is None:
            return message.encode()
        return self._voice.encode_error(status, code, message, request_id=request_id)

    def answer(self, exchange: Exchange, method: bytes) -> None:
        """Answer a request that no node serves: health, models, CORS, and everything unknown."""
        path = exchange.record.path
        known = path in self.endpoints or path in self.deciding or self.by_pattern(path) is not None
        lists = next((place for place in self._lists if path == place or path.startswith(place + "/")), None)
        if method == b"OPTIONS" and (known or lists or path == "/healthz"):
            exchange.answer(204, b"", b"", CORS)
        elif method in {b"GET", b"HEAD"} and path in {
            "/healthz",
            "/",
        }:  # some clients ask first whether we live
            exchange.answer(200, b"text/plain", b"")
        elif method in {b"GET", b"HEAD"} and lists is not None:
            self._answer_models(exchange, self._list(exchange, lists), path[len(lists) + 1 :])
        elif self._answer_kept(exchange, method, path):
            pass
        elif known or lists is not None or path == "/healthz":
            allowed = b"POST, OPTIONS" if known else b"GET, HEAD, OPTIONS"
            message = f"{path} does not take {exchange.record.method}: use {allowed.decode()}"
            exchange.refuse(405, "method_not_allowed", message, [(b"allow", allowed)])
        else:
            places = ", ".join([*self._places, *self.deciding, *self._lists])
            exchange.refuse(
                404, "not_found", f"nothing is served at {path[:200]}; this listener serves {places}"
            )

    def _answer_kept(self, exchange: Exchange, method: bytes, path: str) -> bool:
        """Answer a request about a reply that was kept; False if it is none."""
        for place, dialect, name, node in self._keepers:
            if path.startswith(place):
                rest = path[len(place) :]
                if method == b"OPTIONS" and dialect.asks("GET", rest):
                    exchange.answer(204, b"", b"", CORS)
                    return True
                return node.answer(exchange, dialect, name, method.decode("latin-1"), rest)
        return False

    def _list(self, exchange: Exchange, path: str) -> Dialect:
        """Whose list of models a client expects: that of the dialect whose header it sent, or else the first."""
        dialects = self._lists[path]
        sent = (
            one
            for one in dialects
            if one.client_header and one.client_header.encode() in exchange.request.fields
        )
        return next(sent, next((one for one in dialects if not one.client_header), dialects[0]))

    def _answer_models(self, exchange: Exchange, dialect: Dialect, name: str) -> None:
        name = unquote(name)
        exchange.dialect = dialect
        if not name:
            exchange.answer(200, _JSON, dialect.encode_models(self._models))
        elif name in self._models:
            exchange.answer(200, _JSON, dialect.encode_model(name))
        else:
            exchange.refuse(404, "model_not_found", f"the model '{name[:200]}' does not exist")


def _paths(dialect: Dialect) -> list[tuple[str, bool]]:
    """Every path of a dialect, and whether it asks for a stream by it."""
    whole = [(path, False) for path in (dialect.path, *dialect.other_paths)]
    return [*whole, *((path, True) for path in (dialect.stream_path, *dialect.other_stream_paths))]


def _pattern(path: str) -> re.Pattern[str]:
    before, _, after = path.partition("{model}")
    return re.compile(f"{re.escape(before)}(.{{1,512}}){re.escape(after)}")


class Plan:
    """A bound graph.

    Attributes:
        live: exchanges under way.
        unread: whole replies that are read when their exchanges are counted: nobody asks earlier what they tell.
        samples: whether any tracer decides which traces are recorded.
        idle: set when the plan is retired and its last exchange is over.
        pace: how fast models answer, where routes are ranked by it.
    """

    def __init__(self, graph: Graph, digest: str, hub: Hub, metrics: Metrics) -> None:
        self.graph = graph
        self.digest = digest
        self.hub = hub
        self.metrics = metrics
        self.listeners: dict[tuple[str, int], ListenerPlan] = {}
        self.pools: list[Pool | LocalPool] = []
        self.kinds: list[Kind] = []
        self.live = 0
        self.samples = False
        self.idle = trio.Event()
        self._retired = False
        self._samplers: tuple[tuple[str, Callable[[Record], bool]], ...] = ()
        self.unread: list[tuple[Dialect, bytes, Record]] = []
        self._over: list[Record] = []
        self._most = BATCH
        self._tracers: tuple[Tracer, ...] = ()
        self._complained: set[str] = set()
        self.pace: Pace | None = None

    def trace_with(self, tracers: tuple[Tracer, ...]) -> None:
        """Tell these tracers of every exchange."""
        self._tracers = tracers
        self._samplers = tuple(
            (tracer.kind, tracer.sample) for tracer in tracers if type(tracer).sample is not Tracer.sample
        )
        self.samples = bool(self._samplers)
        self._most = BATCH if all(type(one).finish_all is not Tracer.finish_all for one in tracers) else 1

    def sample(self, record: Record) -> bool:
        """Whether any tracer records this exchange's trace; to be asked only if `samples`."""
        sampled = False
        for kind, sample in self._samplers:
            try:
                sampled = sample(record) or sampled
            except Exception as error:  # noqa: BLE001 - as in tell
                self._complain(kind, error)
        return sampled

    def finished(self, record: Record) -> None:
        """An exchange is over."""
        if self.pace is not None:
            self.pace.observe(record)
        over = self._over
        over.append(record)
        if len(over) >= self._most:
            self.tell()
        self.live -= 1
        if self._retired and not self.live:
            self.idle.set()

    def tell(self) -> None:
        """Count what is over, and tell the tracers: in one go, as from the second on all that it takes is at hand."""
        if not self._over:
            return
        for dialect, body, record in self.unread:
            try:
                take(dialect.summarise(body), record)
            except Exception as error:  # noqa: BLE001 - a dialect is a plugin
                self._complain(dialect.kind, error)
        self.unread.clear()
        over, self._over = self._over, []
        self.metrics.observe(*over)
        for tracer in self._tracers:
            try:
                tracer.finish_all(over)
            except Exception as error:  # noqa: BLE001 - telemetry that fails costs no request anything
                self._complain(tracer.kind, error)

    def flush(self) -> None:
        """Let the tracers write what they batched."""
        self.tell()
        for tracer in self._tracers:
            try:
                tracer.flush()
            except Exception as error:  # noqa: BLE001 - as in tell
                self._complain(tracer.kind, error)

    def gauges(self) -> list[tuple[Family, Labels, float]]:
        """How the upstream connections stand, and what the kinds tell; what several tell of one thing counts once."""
        found: list[tuple[Family, Labels, float]] = []
        for pool in self.pools:
            total, idle = pool.connections
            found.append((UPSTREAM_CONNECTIONS, (str(pool.origin), "open"), total))
            found.append((UPSTREAM_CONNECTIONS, (str(pool.origin), "idle"), idle))
        told = {(one.name, one.labels): one.value for kind in self.kinds for one in kind.numbers()}
        return found + [(OF_KINDS[name], labels, value) for (name, labels), value in told.items()]

    def retire(self) -> None:
        """No new exchange will begin on this plan."""
        self._retired = True
        if not self.live:
            self.idle.set()

    async def close(self) -> None:
        """Close what was opened. Blocks while kinds close, for two seconds at most."""
        for pool in self.pools:
            pool.close()
        self.flush()
        with trio.move_on_after(2) as scope:
            scope.shield = True
            for kind in reversed(self.kinds):
                try:
                    await kind.close()
                except Exception as error:  # noqa: BLE001 - the others are closed all the same
                    self.hub.trouble(error)

    def _complain(self, kind: str, error: Exception) -> None:
        if kind not in self._complained:
            self._complained.add(kind)
            self.hub.trouble(error)

"""Hands the request to an agent: as the client sent it, at the client's path behind the agent's own URL.

The reply is relayed as a model's is, under the same deadlines; what goes with the request is the same too.

Rule: a client's credentials and `x-arch-*` headers never reach an agent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from archflow_engine import trace
from archflow_engine.nodes.dispatch import NOT_FORWARDED, forwarded, with_query, without_keys
from archflow_engine.upstream.call import Call, CallHead
from archflow_engine.walk import Runner

if TYPE_CHECKING:
    from archflow_engine.exchange import Exchange
    from archflow_engine.upstream.pool import Pool

_JSON = (b"content-type", b"application/json")


class AgentNode(Runner):
    """Sends requests to one agent.

    Attributes:
        provider, upstream: for records and metrics.
        first_byte, between_chunks: timeouts in seconds.
    """

    provider = "agent"

    def __init__(
        self,
        name: str,
        *,
        agent: str,
        pool: Pool,
        authority: str,
        base: bytes,
        first_byte: float,
        between_chunks: float,
    ) -> None:
        super().__init__(name)
        self.upstream = agent
        self.pool = pool
        self.first_byte = first_byte
        self.between_chunks = between_chunks
        self._authority = authority.encode("ascii")
        self._base = base

    def run(self, exchange: Exchange) -> None:
        request, record = exchange.request, exchange.record
        assert exchange.head is not None  # noqa: S101 - set by begin()
        record.provider = self.provider
        record.model = record.model_sent = exchange.head.model
        if request.call is None or request.call_for is not self:
            request.call, request.call_for = self._head(exchange), self
        exchange.reply_headers.append((b"x-arch-agent", self.upstream.encode("ascii", "backslashreplace")))
        span_id = trace.new_span_id()
        flag = "01" if record.sampled else "00"
        traceparent = f"00-{record.trace_id}-{span_id}-{flag}"
        call = Call(request.call, record.request_id, traceparent, exchange.head.body, exchange)
        exchange.dispatch(self, call, span_id)

    def _head(self, exchange: Exchange) -> CallHead:
        """The head of the request, as far as the client's own head and the agent determine it."""
        request = exchange.request
        target = behind(self._base, request.path.encode("latin-1"))
        query = without_keys(request.query)
        if query:
            target = with_query(target, query)
        return CallHead.of(target, self._authority, [_JSON, *forwarded(exchange, NOT_FORWARDED)])


def behind(base: bytes, path: bytes) -> bytes:
    """A client's path behind that of a URL, which may hold the whole of it already."""
    base, mark, query = base.partition(b"?")
    base = base.rstrip(b"/")
    return (base if base.endswith(path) else base + path) + mark + query

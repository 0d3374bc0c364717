"""A reply before the filters of replies: whole, or the events of a stream as they come, in the client's own bytes.

::

    upstream -> [translation ->] sieve -> filter -> filter -> exchange -> client

A sieve stands where the exchange would, as a Translation does. Each portion waits until every filter has said what goes
on in its place, and the upstream pauses meanwhile. An upstream's error is no reply of a model, and passes as it came.

Rule: no filter gets a part of an event, and none is asked about a portion before the one before it is through.
Rule: what a filter refused, or failed at, never leaves, nor does anything behind it.
Rule: the record and the limits know what the upstream said, whatever the filters make of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from archflow_engine.inflate import PLAIN, Inflater
from archflow_engine.stages import Ended, Passage
from archflow_engine.translate import replaced
from archflow_engine.upstream.call import ReplyHead
from archflow_engine.walk import Runner
from archflow_engine.watch import EVENT_ENDS, Watch
from archflow_schema.errors import UpstreamError, UpstreamProtocolError
from archflow_schema.events import Failed

if TYPE_CHECKING:
    from archflow_engine.exchange import Exchange
    from archflow_engine.nodes.sift import SiftNode
    from archflow_engine.upstream.call import Headers

HELD_AT_MOST = 16 << 20
"""Bytes of a reply, or of one event, that are held for a filter; a larger one cannot be filtered."""
_LONGEST_END = max(map(len, EVENT_ENDS))


class Sieve:
    """Hears an upstream, or a translation, for an exchange whose reply passes filters.

    Attributes:
        stream: whether the reply is one of events.
        lines: whether these are lines of text, so that one may be appended to what was cut.
    """

    __slots__ = (
        "_exchange", "_head", "_inflater", "_kept", "_passage", "_seen", "_status", "_through", "_watch", "lines",
        "stream",
    )  # fmt: skip

    def __init__(self, exchange: Exchange, sifts: Sequence[SiftNode]) -> None:
        self._exchange = exchange
        self._passage: Passage[bytes] = Passage(
            exchange, [sift.stage(exchange, self) for sift in sifts], self._out, self._stopped
        )
        self._head: ReplyHead | None = None
        self._status = 0
        self._inflater: Inflater | None = None
        self._watch: Watch | None = None
        self._through = False
        self._kept = bytearray()
        self._seen = 0
        self.stream = self.lines = False

    # The upstream's side.

    def sent(self, address: str, *, reused: bool) -> None:
        """The request is on its way."""
        self._exchange.sent(address, reused=reused)

    def failed(self, error: UpstreamError) -> None:
        """There will be no (more) reply; what came before goes to the client first."""
        if self._passage.busy:
            self._passage.push((), end=False, error=error)
        else:
            self._exchange.failed(error)

    def reply(self, head: ReplyHead | None, data: bytes, end: bool) -> None:
        """What one read of the upstream brought."""
        exchange = self._exchange
        if exchange.over:
            return
        try:
            if head is not None:
                self._begin(head)
            if self._through:
                exchange.reply(head, data, end)
                return
            for portion in (data,) if self._inflater is None else self._inflater.feed(data):
                self._take(portion)
            ready = self._ready(end=end)
        except UpstreamError as error:
            exchange.give_up(error)
            return
        if end and self._watch is not None:
            self._watch.end(exchange.record)
        if ready or end:
            self._passage.push([ready] if ready else [], end=end)
        else:
            exchange.heard()

    def _begin(self, head: ReplyHead) -> None:
        exchange = self._exchange
        dialect = exchange.dialect
        assert dialect is not None  # noqa: S101 - set by begin()
        self._status = head.status
        self._through = head.status >= 400
        if self._through:
            return
        self._head = head
        if head.content_encoding not in PLAIN:
            self._inflater = Inflater(head.content_encoding)
        self.stream = head.content_type.startswith(dialect.stream_type.encode())
        if exchange.translation is None:
            self._watch = Watch(dialect, stream=self.stream, encoding=b"")
            self.lines = self.stream and self._watch.between is None

    def _take(self, data: bytes) -> None:
        self._kept += data
        if len(self._kept) > HELD_AT_MOST:
            raise UpstreamProtocolError(f"more than {HELD_AT_MOST} bytes of the reply wait for a filter")
        if self._watch is not None and data:
            self._watch.feed(data)

    def _ready(self, *, end: bool) -> bytes:
        """What can be given to the filters by now: everything at the end, before that the events that are whole."""
        kept = self._kept
        if end or (self.stream and self._watch is None):  # a translation speaks in whole events
            at = len(kept)
        elif not self.stream or self._watch is None:
            at = 0
        elif self.lines:
            at = self._whole()
        else:
            at = len(kept) if self._watch.between else 0
        ready = bytes(kept[:at])
        del kept[:at]
        self._seen = len(kept)
        return ready

    def _whole(self) -> int:
        """Where the last whole event of lines ends; what was searched before is not searched again."""
        start = max(0, self._seen - _LONGEST_END + 1)
        ends = ((self._kept.rfind(end, start), len(end)) for end in EVENT_ENDS)
        return max((at + length for at, length in ends if at >= 0), default=0)

    # The client's side.

    def _out(self, portions: Sequence[bytes], end: bool, error: UpstreamError | None) -> None:
        """What passed all filters."""
        exchange, head = self._exchange, self._head
        data = b"".join(portions)
        if data or end:
            if head is not None:
                self._head = None
                head = replaced(head, head.content_type, len(data) if end else None)
            exchange.reply(head, data, end)
        if error is not None:
            exchange.failed(error)

    def _stopped(self, ended: Ended) -> None:
        """A filter ends the reply."""
        exchange, said = self._exchange, ended.events[-1]
        assert isinstance(said, Failed)  # noqa: S101 - a filter has no other words
        exchange.keeper = None
        if self._head is not None:
            exchange.withhold(self._status, ended.runner)
        else:
            exchange.cut(said.code, said.message)


class Telling(Runner):
    """Answers with what somebody else than an upstream said, once it has passed the filters: one for one reply."""

    waits = True

    def __init__(
        self,
        sifts: Sequence[SiftNode],
        status: int,
        content_type: bytes,
        body: bytes,
        headers: Headers | None,
    ) -> None:
        super().__init__("told")
        self._sifts = sifts
        self._reply = status, content_type
        self._body = body
        self._headers = headers

    async def run_waiting(self, exchange: Exchange) -> Runner | None:
        dialect, body = exchange.dialect, self._body
        status, content_type = self._reply
        stream = dialect is not None and content_type.startswith(dialect.stream_type.encode())
        try:
            for sift in self._sifts:
                body = await sift.filtered(exchange, body, stream=stream)
        except Ended as ended:
            return ended.runner
        exchange.answer(status, content_type, body, self._headers)
        return None

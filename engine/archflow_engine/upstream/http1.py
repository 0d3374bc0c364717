"""An HTTP/1.1 connection to an upstream, on the hub.

Parsing is httptools (llhttp), but for plain replies of a shape that it has read before. Replies framed by length, by
chunks or by the connection's end are all relayed as they come; what one read brings is told to the sink in one call.

Rule: a connection is reused only when its reply ended exactly where its framing says and both sides keep it alive.
Invariant: `call` is None exactly while the connection is idle in its pool.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import httptools

from archflow_engine.hub import Channel
from archflow_engine.upstream.call import Call, ReplyHead
from archflow_engine.upstream.shape import SHAPES, Shape
from archflow_schema.errors import UpstreamProtocolError

if TYPE_CHECKING:
    from archflow_engine.upstream.pool import Pool

MAX_HEAD = 256 * 1024
_NO_BODY = frozenset({204, 304})


class Http1Upstream:
    """One connection; carries one call at a time."""

    def __init__(self, pool: Pool, channel: Channel, address: str) -> None:
        self.address = address
        self.channel = channel
        self.call: Call | None = None
        self.idle_since = 0.0
        self._pool = pool
        self._calls = 0
        self._reset()

    def _reset(self) -> None:
        self._chunks: list[bytes] = []
        # The parser tells the list itself: a method of ours would cost as much again.
        self.on_body = self._chunks.append
        self._parser = httptools.HttpResponseParser(self)
        self._feed = self._parser.feed_data
        self._head: ReplyHead | None = None
        self._told: ReplyHead | None = None
        self._framed = False
        self._keep = False
        self._complete = False
        self._whole = 0
        self._extra = False
        self._head_size = 0

    def begin(self, call: Call) -> None:
        """Send a call on this connection."""
        self.call = call
        call.carrier = self
        self._calls += 1
        call.sink.sent(self.address, reused=self._calls > 1)
        if call.carrier is self:
            self.channel.write(call.http1())

    def cancel(self, call: Call) -> None:
        self.call = None
        self.channel.close()
        self._pool.gone(self)

    def pause(self, call: Call) -> None:
        self.channel.pause()

    def resume(self, call: Call) -> None:
        self.channel.resume()

    # What the hub tells.

    def received(self, data: bytes) -> None:
        call = self.call
        if call is None:
            # Nothing was asked, so nothing may be said: a late or unframed reply would answer the wrong client.
            self.channel.close()
            self._pool.gone(self)
            return
        head = self._told
        fresh = False
        if head is None:
            call.answered = True
            fresh = not self._head_size and self._head is None
        if fresh:
            for shape in self._pool.shapes:
                whole = shape.read(data)
                if whole is not None:
                    self._finish_call(call, whole[0], whole[1], keep=True)
                    return
        try:
            self._feed(data)
        except httptools.HttpParserUpgrade:
            self._fail("it switched protocols, which nobody asked for")
            return
        except httptools.HttpParserError as error:
            self._fail(f"it does not speak HTTP/1.1: {error}")
            return
        if head is None and self._told is None:
            self._head_size += len(data)
            if self._head_size > MAX_HEAD:
                self._fail(f"its reply's headers exceed {MAX_HEAD} bytes")
            return
        chunks = self._chunks
        if self._extra:
            del chunks[self._whole :]
        body = b"" if not chunks else chunks[0] if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        new = self._head
        if not self._complete:
            if new is not None:
                self._head = None
                call.sink.reply(new, body, False)
            elif body:
                call.sink.reply(None, body, False)
            return
        self._head = None
        if fresh and new is not None and self._keep and not self._extra and len(self._pool.shapes) < SHAPES:
            learnt = Shape.learn(data)
            if learnt is not None:
                self._pool.shapes.append(learnt)
        keep = self._framed and self._keep and not self._extra
        self._complete = self._framed = False
        self._told = None
        self._head_size = 0
        self._finish_call(call, new, body, keep=keep)

    def _finish_call(self, call: Call, new: ReplyHead | None, body: bytes, *, keep: bool) -> None:
        self.call = call.carrier = None
        channel = self.channel
        if keep and not channel.unsent:
            if channel.paused:
                channel.resume()
            self._pool.rest(self)
        else:
            channel.close()
            self._pool.gone(self)
        call.sink.reply(new, body, True)

    def ended(self, error: OSError | None) -> None:
        self._pool.gone(self)
        call = self.call
        if call is None:
            return
        told = self._told
        if told is not None and not self._framed and error is None:
            # The connection's end was the framing: RFC 9112 section 6.3, rule 8.
            self._finish_call(call, None, b"", keep=False)
            return
        self.call = None
        call.carrier = None
        if self._calls > 1 and not (call.answered or call.retried or call.once):
            call.retried = True
            self._pool.send_fresh(call)
            return
        reason = f": {error.strerror or error}" if error is not None else ""
        stage = "in the middle of its reply" if call.answered else "before it replied"
        call.sink.failed(UpstreamProtocolError(f"{self.address} closed the connection {stage}{reason}"))

    def drained(self) -> None:
        """A large request is sent; the reply is awaited as before."""

    def _fail(self, reason: str) -> None:
        call = self.call
        self.call = None
        self.channel.close()
        self._pool.gone(self)
        if call is not None:
            call.carrier = None
            call.sink.failed(UpstreamProtocolError(f"{self.address} sent an unusable reply: {reason}"))

    # What the parser tells.

    def on_message_begin(self) -> None:
        if self._complete:
            self._extra = True
            return
        self._head = ReplyHead()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._extra or self._head is None:
            return  # the second message of a desynchronised connection, or a trailer
        self._head.add(name.lower(), value)

    def on_headers_complete(self) -> None:
        if self._extra or self._head is None:
            return
        head = self._head
        head.status = self._parser.get_status_code()
        if head.status < 200:
            return
        if head.hop_by_hop:
            head.strip()
        self._framed = head.chunked or head.length is not None or head.status in _NO_BODY
        self._told = head

    def on_message_complete(self) -> None:
        if self._extra:
            return
        if self._told is None:
            self._head = None  # an interim reply (1xx): the final one follows
            self._framed = False
            return
        self._complete = True
        self._whole = len(self._chunks)
        self._keep = self._parser.should_keep_alive()

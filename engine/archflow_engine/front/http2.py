"""An HTTP/2 connection of a client (RFC 9113), on the hub and the h2 library: by prior knowledge or by ALPN.

Each stream is one exchange. What one read brings is handled, then everything that is to be sent leaves in one write.

Rule: bytes are sent within the client's windows; what does not fit waits, and a full stream stops its upstream.
Rule: a client that does not read what it is sent is no longer read, and what it asks besides is refused.
Rule: a client that resets streams faster than they can be served is sent away (CVE-2023-44487).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

import h2.config
import h2.errors
import h2.events
import h2.exceptions
import h2.settings

from archflow_engine.exchange import Exchange
from archflow_engine.http2 import Http2Connection
from archflow_engine.hub import Channel, monotonic
from archflow_engine.request import RequestHead
from archflow_engine.upstream.call import Headers, split_lines

if TYPE_CHECKING:
    from archflow_engine.front.serve import Front

WINDOW = 1 << 20
STREAMS = 1000
TOGETHER = 64
"""Requests of one read after which what there is to say is sent, so that it shows whether the client reads."""
RESETS = 500
"""Streams that a client may reset on one connection within RESETS_WITHIN seconds."""
RESETS_WITHIN = 10.0
_CONFIG = h2.config.H2Configuration(client_side=False, header_encoding=None, validate_outbound_headers=False)
_FOREVER = float("inf")


class Http2:
    """One connection."""

    def __init__(self, front: Front, channel: Channel, peer: str) -> None:
        self.peer = peer
        self.front = front
        self.deadline = _FOREVER
        self._channel = channel
        self._h2 = Http2Connection(_CONFIG)
        self._streams: dict[int, Http2Stream] = {}
        self._closing = False
        self._leaving = False
        self._in_read = False
        self._begun = 0
        self._wider = False
        self._resets = 0
        self._resets_since = monotonic()

    def open(self) -> None:
        """Send our settings."""
        codes = h2.settings.SettingCodes
        self._h2.local_settings = h2.settings.Settings(
            client=False,
            initial_values={
                codes.MAX_CONCURRENT_STREAMS: STREAMS,
                codes.INITIAL_WINDOW_SIZE: WINDOW,
                # Beyond this the connection ends (h2 counts 32 bytes more for each header); a head between our
                # limit and this one is refused with a reason.
                codes.MAX_HEADER_LIST_SIZE: 2 * self.front.limits.head + 32 * self.front.limits.headers,
                codes.ENABLE_CONNECT_PROTOCOL: 0,
            },
        )
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(16 * WINDOW)
        limits = self.front.limits
        self.deadline = monotonic() + min(limits.receive, limits.idle)  # for the first request to begin
        self.front.hub.timed.add(self)
        self.flush()

    # What the hub tells.

    def received(self, data: bytes) -> None:
        self._in_read = True
        try:
            for event in self._h2.receive_data(data):
                self._take(event)
                if self._closing:
                    return
            if self._wider:  # once, however often a read says so: a thousand streams may wait
                self._wider = False
                self.drained()
        except h2.exceptions.ProtocolError:
            self._in_read = False
            self.flush()  # h2 has put a GOAWAY with the reason there
            self._drop_all()
            self._leave()
            self._channel.finish()
            return
        finally:
            self._in_read = False
        self.flush()

    def ended(self, error: OSError | None) -> None:
        self._drop_all()
        self._leave()

    def drained(self) -> None:
        for stream in list(self._streams.values()):
            stream.drained()

    def expired(self, now: float) -> None:
        if self._streams:
            self.deadline = now + min(self.front.limits.receive, self.front.limits.idle)
            for stream in list(self._streams.values()):
                stream.expired(now)
        else:
            self._goodbye()

    def retire(self) -> None:
        """The listener is closing: GOAWAY, and finish what is under way."""
        self._leaving = True
        if self._streams:
            self._h2.announce_end()
            self.flush()
        else:
            self._goodbye()

    @property
    def busy(self) -> bool:
        """Whether any stream is under way."""
        return bool(self._streams)

    def abandon(self) -> None:
        """Close now, whatever is under way."""
        self._channel.close()
        self.ended(None)

    def _take(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.RequestReceived):
            self._begun += 1
            if not self._begun % TOGETHER:
                self._send()
                self._channel.release()
            if self._leaving or self._channel.unsent > self._channel.full:
                self.reset(event.stream_id, h2.errors.ErrorCodes.REFUSED_STREAM)
                return
            stream = Http2Stream(self, event.stream_id)
            self._streams[event.stream_id] = stream
            self.deadline = min(self.deadline, monotonic() + self.front.limits.receive)
            stream.headers_received(event.headers)
        elif isinstance(event, h2.events.DataReceived):
            self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            waiting = self._streams.get(event.stream_id)
            if waiting is not None:
                waiting.body_received(event.data)
        elif isinstance(event, h2.events.StreamEnded):
            waiting = self._streams.get(event.stream_id)
            if waiting is not None:
                waiting.complete()
        elif isinstance(event, h2.events.StreamReset):
            self._count_reset()
            waiting = self._streams.pop(event.stream_id, None)
            if waiting is not None:
                waiting.gone()
            self._rest()
        elif isinstance(event, h2.events.WindowUpdated | h2.events.RemoteSettingsChanged):
            number = getattr(event, "stream_id", 0)
            if not number:
                self._wider = True
            elif number in self._streams:
                self._streams[number].drained()
        elif isinstance(event, h2.events.ConnectionTerminated):
            self._leaving = True

    def _count_reset(self) -> None:
        now = monotonic()
        if now - self._resets_since > RESETS_WITHIN:
            self._resets, self._resets_since = 0, now
        self._resets += 1
        if self._resets > RESETS:
            self._h2.close_connection(error_code=h2.errors.ErrorCodes.ENHANCE_YOUR_CALM)
            self._in_read = False
            self.flush()
            self._drop_all()
            self._leave()
            self._channel.finish()

    # What its streams say.

    def send_headers(self, number: int, headers: Headers, end: bool) -> None:
        """Queue a head."""
        try:
            self._h2.send_headers(number, headers, end_stream=end)
        except h2.exceptions.ProtocolError:
            self._forget(number)

    def send_data(self, number: int, data: memoryview, end: bool) -> memoryview:
        """Queue as much of a body as the windows allow; returns what is left."""
        try:
            while data:
                room = min(self._h2.local_flow_control_window(number), self._h2.max_outbound_frame_size)
                if room <= 0:
                    return data
                self._h2.send_data(number, bytes(data[:room]), end_stream=end and len(data) <= room)
                data = data[room:]
        except h2.exceptions.ProtocolError:
            self._forget(number)
            return memoryview(b"")
        return data

    def end_stream(self, number: int) -> None:
        """Queue the end of a body."""
        try:
            self._h2.end_stream(number)
        except h2.exceptions.ProtocolError:
            self._forget(number)

    def reset(self, number: int, code: h2.errors.ErrorCodes) -> None:
        """Queue a reset."""
        with contextlib.suppress(h2.exceptions.ProtocolError):
            self._h2.reset_stream(number, code)

    def done(self, number: int) -> None:
        """A stream's reply is sent."""
        self._forget(number)
        self.flush()
        self._rest()

    def _rest(self) -> None:
        """Begin to be idle when the last stream is done, or leave if that was asked for."""
        if not self._streams and not self._closing:
            self.deadline = monotonic() + self.front.limits.idle
            if self._leaving:
                self._goodbye()

    def flush(self) -> None:
        """Send what is queued, in one write; within a read, at its end."""
        if not self._in_read and not self._closing:
            self._send()

    def _send(self) -> None:
        data = self._h2.data_to_send()
        if data:
            self._channel.write(data)

    @property
    def unsent(self) -> int:
        """Bytes that the socket has not taken."""
        return self._channel.unsent

    def _forget(self, number: int) -> None:
        self._streams.pop(number, None)

    def _drop_all(self) -> None:
        streams, self._streams = self._streams, {}
        for stream in streams.values():
            stream.gone()

    def _goodbye(self) -> None:
        if not self._closing:
            with contextlib.suppress(h2.exceptions.ProtocolError):
                self._h2.close_connection()
            self._in_read = False
            self.flush()
            self._leave()
            self._channel.finish()

    def _leave(self) -> None:
        if not self._closing:
            self._closing = True
            self.front.hub.timed.discard(self)
            self.front.left(self)


class Http2Stream:
    """One stream; the `Client` of its exchange."""

    __slots__ = (
        "_answered",
        "_body",
        "_complete",
        "_connection",
        "_end",
        "_exchange",
        "_headers",
        "_method",
        "_number",
        "_path",
        "_size",
        "_unsent",
        "deadline",
        "peer",
        "protocol",
    )  # fmt: skip

    def __init__(self, connection: Http2, number: int) -> None:
        self.deadline = monotonic() + connection.front.limits.receive
        self.peer = connection.peer
        self.protocol = "HTTP/2"
        self._connection = connection
        self._number = number
        self._exchange: Exchange | None = None
        self._method = b""
        self._path = b""
        self._headers: Headers = []
        self._body: bytes | bytearray = b""
        self._size = 0
        self._unsent = memoryview(b"")
        self._end = False
        self._complete = False
        self._answered = False

    # What the connection tells.

    def headers_received(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """The head of the request."""
        fields = self._headers
        front = self._connection.front
        size = 0
        length = b""
        for name, value in headers:
            size += len(name) + len(value) + 4
            if name[:1] != b":":
                fields.append((name, value))
                if name == b"content-length":
                    length = value
            elif name == b":method":
                self._method = value
            elif name == b":path":
                self._path = value
            elif name == b":authority":
                fields.append((b"host", value))
        if len(fields) > front.limits.headers:
            self.refuse((431, "too_many_headers", front.too_large("headers")))
        elif size > front.limits.head:
            self.refuse((431, "headers_too_large", front.too_large("head")))
        elif length and int(length) > front.limits.body:  # h2 has checked that it is a number
            self.refuse((413, "body_too_large", front.too_large("body")))

    def body_received(self, data: bytes) -> None:
        if self._answered:
            return
        self._size += len(data)
        front = self._connection.front
        if self._size > front.limits.body:
            self._body = b""
            self.refuse((413, "body_too_large", front.too_large("body")))
        elif not self._body:
            self._body = data
        else:
            if isinstance(self._body, bytes):
                self._body = bytearray(self._body)  # grows in place, however small the pieces
            self._body += data

    def complete(self) -> None:
        """The whole request is here."""
        self._complete = True
        if not self._answered:
            body, self._body = bytes(self._body), b""
            exchange = self._exchange = self._exchange_of(len(body))
            exchange.begin(body)

    def refuse(self, refusal: tuple[int, str, str]) -> None:
        """Answer a request that will not be served."""
        exchange = self._exchange = self._exchange_of(0)
        exchange.begin_refused(*refusal)

    def _exchange_of(self, received: int) -> Exchange:
        request = RequestHead(self._method, self._path, self._headers)
        return Exchange(self, self._connection.front.plan, request, received)

    def expired(self, now: float) -> None:
        """Look at the clock: the request may be too long in coming, or its reply in being taken."""
        if now < self.deadline:
            return
        if not self._answered and not self._complete:
            self.refuse((408, "request_timeout", self._connection.front.too_slow()))
        elif self._answered and self._exchange is None:
            self._unsent = memoryview(b"")
            self._connection.reset(self._number, h2.errors.ErrorCodes.CANCEL)
            self._connection.done(self._number)

    def gone(self) -> None:
        """The client reset the stream or left."""
        self._complete = True  # nothing more will come, and nobody is to be told to stop
        self._unsent = memoryview(b"")
        self._end = False
        if self._exchange is not None:
            self._exchange.client_gone()

    def drained(self) -> None:
        """A window opened, or the socket took what waited."""
        if self._unsent or self._end:
            self._send()
        if not self._unsent and self._exchange is not None and not self._connection.unsent:
            self._exchange.client_drained()

    # The client of an exchange.

    def start(
        self, status: int, headers: Headers, data: bytes, end: bool, length: int | None, raw: bytes = b""
    ) -> None:
        self._answered = True
        head = [(b":status", b"%d" % status), *split_lines(raw), *headers]
        if self._method == b"HEAD" or status in {204, 304}:
            data = b""
        if length is not None and status != 204:
            head.append((b"content-length", b"%d" % length))
        self._connection.send_headers(self._number, head, end and not data)
        if data or not end:
            self.write(data, end)
        else:
            self._connection.flush()

    def write(self, data: bytes, end: bool) -> int:
        self._end = end
        if data:
            self._unsent = memoryview(bytes(self._unsent) + data) if self._unsent else memoryview(data)
        self._send()
        self._connection.flush()
        return len(self._unsent) + self._connection.unsent

    def _send(self) -> None:
        if self._unsent:
            before = len(self._unsent)
            self._unsent = self._connection.send_data(self._number, self._unsent, self._end)
            if self._unsent:
                if self._exchange is None and len(self._unsent) < before:
                    self.deadline = monotonic() + self._connection.front.limits.idle
                return
        elif self._end:
            self._connection.end_stream(self._number)
        if self._end:
            self._end = False
            if self._exchange is None:
                self._done()

    def abort(self) -> None:
        self._connection.reset(self._number, h2.errors.ErrorCodes.INTERNAL_ERROR)
        self._exchange = None
        self._unsent = memoryview(b"")
        self._connection.done(self._number)

    def over(self) -> None:
        self._exchange = None
        if not self._unsent and not self._end:
            self._done()
        else:
            self.deadline = monotonic() + self._connection.front.limits.idle

    def _done(self) -> None:
        if not self._complete:
            # Answered before the request was whole: the client may stop sending it (RFC 9113 section 8.1).
            self._connection.reset(self._number, h2.errors.ErrorCodes.NO_ERROR)
        self._connection.done(self._number)

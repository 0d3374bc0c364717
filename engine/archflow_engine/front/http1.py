"""An HTTP/1.1 connection of a client, on the hub (RFC 9112).

Parsing is httptools (llhttp, strict). One exchange at a time; requests that a client pipelines wait their turn, and
when several wait it is no longer read.

Rule: a request whose length can be read in two ways is refused and the connection closed, never guessed at
(RFC 9112 section 6.3; request smuggling).
Rule: every refusal is answered in the client's dialect and recorded like any other exchange.
"""

from __future__ import annotations

import re
from collections import deque
from http import HTTPStatus
from typing import TYPE_CHECKING

import httptools
from msgspec import Struct

from archflow_engine.exchange import Exchange
from archflow_engine.hub import Channel, monotonic
from archflow_engine.request import RequestHead
from archflow_engine.upstream.call import Headers

if TYPE_CHECKING:
    from archflow_engine.front.serve import Front

LESSONS = 8
"""How often a connection's requests may turn out to differ before their heads are no longer remembered."""
AHEAD = 8
"""Requests that a client may pipeline before it is no longer read."""
_STATUS = {
    status.value: b"HTTP/1.1 %d %b\r\n" % (status.value, status.phrase.encode()) for status in HTTPStatus
}
_NO_BODY = frozenset({204, 304})
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_FOREVER = float("inf")
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]+)[ \t]*\r\n", re.IGNORECASE)
_DIGITS = 20
_SIZES: dict[int, bytes] = {}
_SIZES_AT_MOST = 1024


class _Request(Struct, eq=False):
    """One request as it was read.

    Attributes:
        refusal: status, code and message if it must not be served.
        expects: the client waits for 100 Continue, which must not overtake the replies before it.
    """

    method: bytes = b"-"
    target: bytes = b""
    headers: Headers = []
    body: bytes | bytearray = b""
    expects: bool = False
    version: str = "1.1"
    keep: bool = False
    refusal: tuple[int, str, str] | None = None
    _head: RequestHead | None = None

    @property
    def head(self) -> RequestHead:
        """Its head, once it is read."""
        if self._head is None:
            self._head = RequestHead(self.method, self.target, self.headers)
        return self._head


class _Repeat:
    """The head of a client's last request. Most clients send the same one again and again, but for its length.

    The parser, strict as it is, accepted these bytes once; the same bytes around another number mean the same. So a
    request that repeats them, whole in one read, is taken without reading its head anew.
    """

    __slots__ = ("_end", "_prefix", "_start", "_suffix", "head")

    def __init__(self, prefix: bytes, suffix: bytes, end: int, head: RequestHead) -> None:
        self._prefix = prefix
        self._start = len(prefix)
        self._suffix = suffix
        self._end = end
        """Where the length's last digit was the last time."""
        self.head = head

    @classmethod
    def learn(cls, data: bytes, request: _Request) -> _Repeat | None:
        """From the one read that brought a whole request; None if its head cannot be told from its length."""
        end = data.find(b"\r\n\r\n") + 4
        found = _LENGTH.search(data, 0, end)
        whole = len(data) - end == len(request.body)
        if found is None or not whole or request.expects or not request.keep or request.method != b"POST":
            return None
        return cls(data[: found.start(1)], data[found.end(1) : end], found.end(1), request.head)

    def body(self, data: bytes, largest: int) -> bytes | None:
        """The body of the request in `data` if it is one like the last, whole and alone; else None."""
        # Slices and not startswith() or find(), of which a call costs half as much again or twice as much.
        start, end, suffix = self._start, self._end, self._suffix
        if data[:start] != self._prefix:
            return None
        after = end + len(suffix)
        if data[end:after] != suffix:
            self._end = end = data.find(b"\r\n", start, start + _DIGITS)
            after = end + len(suffix)
            if end < start or data[end:after] != suffix:
                return None
        body = data[after:]
        size = len(body)
        return body if data[start:end] == b"%d" % size and size <= largest else None


class Http1:
    """One connection; the `Client` of each of its exchanges in turn."""

    protocol = "HTTP/1.1"

    def __init__(self, front: Front, channel: Channel, peer: str) -> None:
        self.peer = peer
        self.deadline = monotonic() + front.limits.receive
        self._front = front
        self._channel = channel
        self._exchange: Exchange | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._reading: _Request | None = None
        self._queue: deque[_Request] = deque()
        self._size = 0
        self._head_size = 0
        self._head_read = 0
        self._head_done = False
        self._headers: Headers = []
        self._serving = False
        self._broken = False
        self._closing = False
        self._last = False
        self._repeat: _Repeat | None = None
        self._lessons = LESSONS
        self._keep = True
        self._chunked = False
        self._framed = True
        self._version = "1.1"
        self._head_only = False
        front.hub.timed.add(self)

    # What the hub tells.

    def received(self, data: bytes) -> None:
        if self._broken:
            return
        before = self._reading
        alone = before is None and self._exchange is None and not self._queue
        if alone:
            repeat = self._repeat
            if repeat is not None:
                plan = self._front.plan
                body = repeat.body(data, plan.limits.body)
                if body is not None:
                    # As `_serve`: what was told of the connection by the last request still holds.
                    self._head_only = False
                    self.deadline = _FOREVER
                    exchange = self._exchange = Exchange(self, plan, repeat.head, len(body))
                    exchange.begin(body)
                    return
                self._repeat = None
            self.deadline = monotonic() + self._front.limits.receive
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as stop:
            self._decline(data[stop.args[0] :])
            return
        except httptools.HttpParserError as error:
            self._unreadable(error)
        else:
            reading = self._reading
            if reading is not None:
                if not self._head_done:
                    reading.headers = self._headers
                    self._weigh(reading)
                    if reading is before:
                        # The parser tells a line when it ends; this catches one that never does.
                        self._head_read += len(data)
                        if self._head_read > 2 * self._front.limits.head:
                            reading.refusal = (431, "headers_too_large", self._front.too_large("head"))
                elif self._headers:
                    self._weigh(reading)  # trailers count as head
                if reading.refusal is not None:
                    self._give_up(reading)
        if self._queue:
            if alone and self._lessons and self._reading is None and len(self._queue) == 1:
                self._lessons -= 1
                self._repeat = _Repeat.learn(data, self._queue[0])
            self._advance()
            if len(self._queue) > AHEAD and not self._closing:
                self._channel.pause(heed_end=True)

    def ended(self, error: OSError | None) -> None:
        self._leave()
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.client_gone()

    def drained(self) -> None:
        if self._exchange is not None:
            self._exchange.client_drained()
        elif self._queue:
            self._go_on()

    def expired(self, now: float) -> None:
        reading = self._reading
        if self._exchange is not None:
            self.deadline = _FOREVER
        elif reading is not None:
            reading.refusal = (408, "request_timeout", self._front.too_slow())
            self._give_up(reading)
            self._advance()
        else:
            self._leave()
            self._channel.finish()

    def retire(self) -> None:
        """The listener is closing: finish what is under way, and take nothing more."""
        self._last = True
        if self._exchange is None and self._reading is None:
            self._leave()
            self._channel.finish()

    @property
    def busy(self) -> bool:
        """Whether an exchange or a request is under way."""
        return self._exchange is not None or self._reading is not None

    def abandon(self) -> None:
        """Close now, whatever is under way."""
        self._channel.close()
        self.ended(None)

    # The client of an exchange.

    def start(
        self, status: int, headers: Headers, data: bytes, end: bool, length: int | None, raw: bytes = b""
    ) -> None:
        version = self._version
        keep = self._keep and not self._last
        first = _STATUS.get(status) or b"HTTP/1.1 %d Unknown\r\n" % status
        rest = b""
        self._chunked = False
        self._framed = True
        if headers:
            raw += b"".join([b"%b: %b\r\n" % header for header in headers])
        if end:
            length = len(data)
        if status in _NO_BODY:
            self._head_only = True
        elif length is not None:
            rest = b"content-length: %d\r\n" % length
        elif version == "1.1":
            self._chunked = True
            rest = b"transfer-encoding: chunked\r\n"
            if data:
                data = b"%b%b\r\n" % (_size_line(len(data)), data)
        else:
            keep = self._framed = False
        if not keep:
            rest += b"connection: close\r\n"
            self._keep = False
        elif version != "1.1":
            rest += b"connection: keep-alive\r\n"
        if self._head_only:
            data = b""
        self._channel.write(b"".join((first, raw, rest, b"\r\n", data)))

    def write(self, data: bytes, end: bool) -> int:
        channel = self._channel
        if self._head_only:
            return channel.unsent
        if self._chunked:
            size = len(data)
            if size:
                data = b"".join((_SIZES.get(size) or _size_line(size), data, b"\r\n"))
            if end:
                data += b"0\r\n\r\n"
        if data:
            channel.write(data)
        return channel.unsent

    def abort(self) -> None:
        self._leave()
        self._exchange = None
        if self._framed:
            self._channel.close()
        else:
            self._channel.reset()  # a kind end would be the end of the body

    def over(self) -> None:
        self._exchange = None
        if self._closing:
            return
        if not self._keep or self._last:
            self._leave()
            self._channel.finish()
            return
        limits = self._front.plan.limits
        self.deadline = monotonic() + (limits.idle if self._reading is None else limits.receive)
        if self._queue:
            self._go_on()
        elif self._reading is not None:
            self._encourage(self._reading)

    # Parts.

    def _go_on(self) -> None:
        """Serve what waits, and read on."""
        if self._channel.paused and len(self._queue) <= AHEAD:
            self._channel.resume()
        self._advance()

    def _advance(self) -> None:
        """Serve what was read, one after the other; a loop, so that a long pipeline does not recurse.

        A client that does not read its replies is served no more until it does: `drained`.
        """
        if self._serving:
            return
        self._serving = True
        try:
            while self._queue and self._exchange is None and not self._closing:
                self._serve(self._queue.popleft())
                if self._queue:
                    self._channel.release()
                    if self._channel.unsent > self._channel.full:
                        break
        finally:
            self._serving = False

    def _serve(self, request: _Request) -> None:
        self._keep = request.keep
        self._version = request.version
        self._head_only = request.method == b"HEAD"
        self.deadline = _FOREVER
        exchange = self._exchange = Exchange(self, self._front.plan, request.head, len(request.body))
        if request.refusal is not None:
            exchange.begin_refused(*request.refusal)
            return
        exchange.begin(bytes(request.body))

    def _decline(self, rest: bytes) -> None:
        """Ignore an offer to switch protocols, as a server may (RFC 9110 section 7.8).

        The parser stops behind the head of such a request. Another one reads it again, without the offer.
        """
        request = self._queue[-1] if self._queue else None
        if self._broken or request is None or request.refusal is not None or request.method == b"CONNECT":
            self._broken = True  # what follows is in no protocol of ours, or behind the last that counts
            if request is not None:
                request.keep = False
                self._advance()
            return
        self._queue.pop()
        self._parser = httptools.HttpRequestParser(self)
        lines = [b"%b %b HTTP/%b" % (request.method, request.target, request.version.encode())]
        lines += [
            b"%b: %b" % header for header in request.headers if header[0] not in {b"upgrade", b"expect"}
        ]
        self._parser.feed_data(b"\r\n".join([*lines, b"", b""]))
        if self._reading is not None:
            self._reading.expects = request.expects
        self.received(rest)

    def _encourage(self, reading: _Request) -> None:
        """Tell a client that waits for it to send its body."""
        if reading.expects and not self._size and reading.refusal is None:
            reading.expects = False
            self._channel.write(_CONTINUE)

    def _unreadable(self, error: httptools.HttpParserError) -> None:
        """What follows on this connection cannot be trusted to be a request."""
        self._broken = True
        if self._queue and not self._queue[-1].keep:
            return  # bytes behind a request that said it was the last
        reading = self._reading or _Request()
        reading.refusal = reading.refusal or (400, "malformed_request", f"malformed HTTP/1.1: {error}")
        self._give_up(reading)

    def _give_up(self, request: _Request) -> None:
        """Answer a request that is not complete, in its turn, and read no more."""
        self._broken = True
        self._reading = None
        request.keep = False
        request.body = b""
        if self._head_done or (request.refusal is not None and request.refusal[0] != 400):
            request.method = self._parser.get_method()  # that of a malformed head is anybody's guess
        self._queue.append(request)

    def _leave(self) -> None:
        if not self._closing:
            self._closing = True
            self._front.hub.timed.discard(self)
            self._front.left(self)

    # What the parser tells.

    def on_message_begin(self) -> None:
        self._reading = _Request()
        self._headers = []
        self._size = self._head_size = self._head_read = 0
        self._head_done = False

    def on_url(self, url: bytes) -> None:
        reading = self._reading
        if reading is not None:
            reading.target += url
            self._head_size += len(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))
        self._head_size += len(name) + len(value) + 4

    def on_headers_complete(self) -> None:
        self._head_done = True
        headers, self._headers = self._headers, []  # what comes from now on are trailers
        reading = self._reading
        if reading is None:
            return
        reading.headers = headers
        limits = self._front.limits
        if self._head_size > limits.head or len(headers) > limits.headers:
            self._weigh(reading)
            return
        fields = dict(headers)
        hosts = 1 if b"host" in fields else 0
        if len(fields) != len(headers):
            hosts = sum(name == b"host" for name, _ in headers)
        length = fields.get(b"content-length")
        if length is not None and int(length) > limits.body:
            reading.refusal = (413, "body_too_large", self._front.too_large("body"))
        if b"transfer-encoding" in fields and _is_encoded(headers):
            why = "transfer codings besides chunked are not understood: send the body as it is"
            reading.refusal = (501, "unsupported_encoding", why)  # RFC 9112 section 6.1
        expects = fields.get(b"expect", b"").lower() == b"100-continue"
        reading.version = self._parser.get_http_version()
        if reading.version == "1.1":
            if hosts != 1:
                reading.refusal = (
                    400,
                    "malformed_request",
                    "an HTTP/1.1 request has exactly one Host header",
                )
            elif expects:
                reading.expects = True
                if self._exchange is None and not self._queue:
                    self._encourage(reading)
        elif reading.version != "1.0":
            reading.refusal = (505, "version_not_supported", "this listener speaks HTTP/1.0, 1.1 and 2")
        elif b"transfer-encoding" in fields:  # who speaks 1.0 before us saw no body: RFC 9112 section 6.1
            reading.refusal = (400, "malformed_request", "HTTP/1.0 has no Transfer-Encoding: send HTTP/1.1")

    def _weigh(self, reading: _Request) -> None:
        """Refuse a head, complete or not, that passes the listener's limits."""
        limits = self._front.limits
        if len(reading.headers) > limits.headers:
            reading.refusal = (431, "too_many_headers", self._front.too_large("headers"))
        elif self._head_size > limits.head:
            reading.refusal = (431, "headers_too_large", self._front.too_large("head"))

    def on_body(self, data: bytes) -> None:
        reading = self._reading
        if reading is None or reading.refusal is not None:
            return
        self._size += len(data)
        if self._size > self._front.limits.body:
            reading.refusal = (413, "body_too_large", self._front.too_large("body"))
        elif not reading.body:
            reading.body = data
        else:
            if isinstance(reading.body, bytes):
                reading.body = bytearray(reading.body)  # grows in place, however small the pieces
            reading.body += data

    def on_message_complete(self) -> None:
        reading, self._reading = self._reading, None
        if reading is None:
            return
        if reading.refusal is not None:
            self._give_up(reading)
            return
        reading.method = self._parser.get_method()
        reading.keep = self._parser.should_keep_alive()
        if reading.target[:1] != b"/":
            reading.target = _origin_form(reading.target)
        self._queue.append(reading)


def _size_line(size: int) -> bytes:
    """What stands before a chunk of so many bytes. To format it costs more than to frame the chunk."""
    line = b"%x\r\n" % size
    if len(_SIZES) < _SIZES_AT_MOST:
        _SIZES[size] = line
    return line


def _is_encoded(headers: Headers) -> bool:
    """Whether chunks carry a body in another coding; the parser refuses what does not end in chunks."""
    values = [value.lower() for name, value in headers if name == b"transfer-encoding"]
    codings = [coding.strip() for value in values for coding in value.split(b",")]
    return codings[-1] == b"chunked" and set(codings) != {b"chunked"}


def _origin_form(target: bytes) -> bytes:
    """The path and query of an absolute-form target (RFC 9112 section 3.2.2); others as they are."""
    if not target.lower().startswith((b"http://", b"https://")):
        return target
    _, slash, path = target.split(b"//", 1)[1].partition(b"/")
    return slash + path or b"/"

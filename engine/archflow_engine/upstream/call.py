"""One request on its way to an upstream, and who hears what comes of it.

A Call outlives a connection: when a kept-alive connection turns out to be dead before a byte of the reply came, the
same Call goes out again on a fresh one.

Rule: after `reply(..., end=True)` or `failed` the sink hears nothing more of this call.
"""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from archflow_schema.assigned import assigned
from archflow_schema.errors import UpstreamError

Headers = list[tuple[bytes, bytes]]


def split_lines(raw: bytes) -> Headers:
    """Headers from whole and faultless lines of HTTP/1.1, in lower case."""
    split = (line.partition(b":") for line in raw.split(b"\r\n")[:-1])
    return [(name.lower(), value.strip(b" \t")) for name, _, value in split]


@assigned
class ReplyHead(Struct, eq=False, gc=False):
    """Status and headers of a reply, end-to-end ones only (RFC 9110 section 7.6.1). Mutable: filled as it is read.

    Attributes:
        status: the final status, never 1xx.
        length: Content-Length if the upstream told it.
        content_type, content_encoding: lower-case; empty if absent.
        request_id: whether the upstream told one of its own.
        raw: all of `headers` as HTTP/1.1 lines, if they came so and nobody looked at them yet.
        chunked: whether the body ends by HTTP/1.1's chunked coding.
        hop_by_hop: the headers that the upstream's Connection names.
    """

    status: int = 0
    length: int | None = None
    content_type: bytes = b""
    content_encoding: bytes = b""
    request_id: bool = False
    raw: bytes = b""
    chunked: bool = False
    hop_by_hop: frozenset[bytes] = frozenset()
    _headers: Headers = []

    @property
    def headers(self) -> Headers:
        """Lower-case names, in order, without content-length and hop-by-hop headers. May be changed."""
        if self.raw:
            self._headers += split_lines(self.raw)
            self.raw = b""
        return self._headers

    def add(self, name: bytes, value: bytes) -> None:
        """Take one header, unless it is for this hop or this origin only."""
        if name in _FRAMING:
            if name == b"transfer-encoding":
                self.chunked = value.lower().endswith(b"chunked")
            elif value.isdigit():
                self.length = int(value)
        elif name not in NOT_RELAYED:
            self._headers.append((name, value))
            if name in _TELLING:
                self.note(name, value)
        elif name == b"connection" and (named := _named(value)):
            self.hop_by_hop |= named

    def strip(self) -> None:
        """Drop what the upstream said is for this hop only."""
        self._headers = [header for header in self._headers if header[0] not in self.hop_by_hop]

    def note(self, name: bytes, value: bytes) -> None:
        """Note what a header tells."""
        if name == b"content-type":
            self.content_type = value.lower()
        elif name == b"content-encoding":
            self.content_encoding = value.lower()
        else:
            self.request_id = True


_FRAMING = frozenset({b"content-length", b"transfer-encoding"})
_TELLING = frozenset({b"content-type", b"content-encoding", b"x-request-id"})
NOT_RELAYED = frozenset({
    # Hop by hop, RFC 9110 section 7.6.1; the length is told anew by whoever frames the body.
    b"connection", b"keep-alive", b"proxy-connection", b"proxy-authenticate", b"te", b"trailer", b"upgrade",
    # About the upstream's origin; a client that believed them would apply them to us.
    b"set-cookie", b"alt-svc", b"strict-transport-security",
})  # fmt: skip


_OF_THE_CONNECTION = frozenset({b"keep-alive", b"close", b""})


def _named(connection: bytes) -> frozenset[bytes]:
    """The headers that a Connection header names."""
    return frozenset(token.strip() for token in connection.lower().split(b",")) - _OF_THE_CONNECTION


_BODILESS = frozenset({b"GET", b"DELETE"})
"""Methods whose requests say nothing of a body that they do not have, RFC 9110 section 8.6."""


class Sink(Protocol):
    """Who hears what an upstream answers."""

    def sent(self, address: str, *, reused: bool) -> None:
        """The request is on its way to `address`."""

    def reply(self, head: ReplyHead | None, data: bytes, end: bool) -> None:
        """What one read brought: the head if it came just now, more of the body, and whether it is complete."""

    def failed(self, error: UpstreamError) -> None:
        """There will be no (more) reply."""


class Carrier(Protocol):
    """The connection that carries a call."""

    def cancel(self, call: Call) -> None:
        """Nobody wants the reply any more: close the connection or reset the stream."""

    def pause(self, call: Call) -> None:
        """Receive nothing for now: whoever gets the reply is slow."""

    def resume(self, call: Call) -> None:
        """Receive again."""


class CallHead(Struct, frozen=True, eq=False):
    """What the heads of equal requests to an upstream have in common.

    Attributes:
        method, target, authority: the request line; `authority` is the Host.
        headers: all but those that a Call adds.
        lines: the same as HTTP/1.1 sends it, up to there.
    """

    method: bytes
    target: bytes
    authority: bytes
    headers: Headers
    lines: bytes

    @classmethod
    def of(cls, target: bytes, authority: bytes, headers: Headers, method: bytes = b"POST") -> CallHead:
        """With its lines."""
        lines = [b"%b %b HTTP/1.1\r\nhost: %b\r\n" % (method, target, authority)]
        lines += [b"%b: %b\r\n" % header for header in headers]
        return cls(method, target, authority, headers, b"".join(lines))


@assigned
class Call(Struct, eq=False):
    """One request on its way. Mutable: it goes from connection to connection.

    Attributes:
        head: the head, but for what follows and framing.
        own: headers of this request alone, as HTTP/1.1 lines of ASCII; empty where `head` has all there is.
        body: the whole body.
        sink: who hears of it.
        carrier: the connection, once there is one.
        retried: whether it went out again after a stale connection.
        answered: whether any byte of a reply came.
        once: whether it must not arrive twice, so that it never goes out again when it may have arrived.
    """

    head: CallHead
    own: str
    body: bytes
    sink: Sink
    carrier: Carrier | None = None
    retried: bool = False
    answered: bool = False
    cancelled: bool = False
    once: bool = False

    def cancel(self) -> None:
        """Nobody wants the reply any more."""
        self.cancelled = True
        if self.carrier is not None:
            self.carrier.cancel(self)
            self.carrier = None

    def pause(self) -> None:
        """Stop receiving for a while."""
        if self.carrier is not None:
            self.carrier.pause(self)

    def resume(self) -> None:
        """Go on receiving."""
        if self.carrier is not None:
            self.carrier.resume(self)

    def http1(self) -> bytes:
        """The request as HTTP/1.1, ready to send in one piece."""
        head, own, body = self.head, self.own, self.body
        if body or self.framed:
            own = f"{own}content-length: {len(body)}\r\n"
        return b"".join((head.lines, own.encode(), b"\r\n", body))

    def http2(self, scheme: bytes) -> Headers:
        """The request's head as HTTP/2 sends it."""
        head = self.head
        headers = [
            (b":method", head.method),
            (b":scheme", scheme),
            (b":authority", head.authority),
            (b":path", head.target),
            *head.headers,
            *split_lines(self.own.encode()),
        ]
        if self.framed:
            headers.append((b"content-length", b"%d" % len(self.body)))
        return headers

    @property
    def framed(self) -> bool:
        """Whether the request says how long its body is."""
        return bool(self.body) or self.head.method not in _BODILESS

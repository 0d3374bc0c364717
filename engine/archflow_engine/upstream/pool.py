"""The connections to one origin: kept alive, checked before reuse, opened when there is none.

Idle HTTP/1.1 connections are a stack, so that a burst's extra connections grow old and are closed. A connection that
became readable or closed while idle is noticed by the hub, and looked at once more before it is used. One that rested
may be about to be closed all the same: what must not arrive twice, and so could not go out again, gets a new one.

Rule: no task is made for a request; only resolving a name takes one.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
from typing import Literal, NamedTuple

from archflow_engine.hub import READ, Channel, Hub, monotonic
from archflow_engine.tls import TlsChannel
from archflow_engine.upstream.address import Address, Resolver
from archflow_engine.upstream.call import Call
from archflow_engine.upstream.http1 import Http1Upstream
from archflow_engine.upstream.http2 import Http2Upstream
from archflow_engine.upstream.shape import Shape
from archflow_schema.errors import UpstreamError, UpstreamRefused, UpstreamTimeout, os_reason

IDLE = 60.0
"""Seconds after which an idle connection is closed rather than reused."""
SETTLED = 1.0
"""Seconds of rest after which a connection is looked at before it is used again."""
ATTEMPT = 0.25
"""Seconds that an address has at least to answer, if there are others (RFC 8305 section 5)."""
_PEEK = socket.MSG_PEEK | socket.MSG_DONTWAIT


class Origin(NamedTuple):
    """What a pool connects to. `ca` is the path of a CA bundle, empty for the system's."""

    scheme: Literal["http", "https"]
    host: str
    port: int
    http: Literal["1.1", "2"]
    ca: str
    connect: float

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def client_tls(origin: Origin) -> ssl.SSLContext:
    """A context that verifies the upstream's certificate and name, TLS 1.2 or later.

    Raises:
        OSError: the CA bundle cannot be read.
    """
    context = ssl.create_default_context(cafile=origin.ca or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["h2", "http/1.1"] if origin.http == "2" else ["http/1.1"])
    return context


class Pool:
    """All connections of this worker to one origin.

    Attributes:
        shapes: what its replies look like, as far as that is known.
    """

    def __init__(self, hub: Hub, origin: Origin, keep: int) -> None:
        self.origin = origin
        self.keep = keep
        self.opened = 0
        self.shapes: list[Shape] = []
        self._hub = hub
        self._resolver = Resolver(origin.host, origin.port)
        self.tls = client_tls(origin) if origin.scheme == "https" else None
        self._idle: list[Http1Upstream] = []
        self._open: set[Http1Upstream | Http2Upstream] = set()
        self._shared: list[Http2Upstream] = []
        self._dials: set[_Dial] = set()
        self._waiting: list[Call] = []
        self._unresolved: list[Call] = []
        self._multiplexed = origin.http == "2"
        self._closed = False
        self.deadline = monotonic() + IDLE
        hub.timed.add(self)

    @property
    def connections(self) -> tuple[int, int]:
        """How many connections are open, and how many of them idle."""
        return len(self._open), len(self._idle)

    def send(self, call: Call) -> None:
        """Send a call on a kept connection, or on a new one. The sink hears the rest."""
        if self._shared:
            for shared in self._shared:
                if shared.begin(call):
                    return
                if shared.unsettled:
                    self._waiting.append(call)
                    return
        idle = self._idle
        while idle:
            connection = idle.pop()
            if monotonic() - connection.idle_since < SETTLED or not (call.once or _stale(connection)):
                connection.begin(call)
                return
            connection.channel.close()
            self.gone(connection)
        self.send_fresh(call)

    def send_fresh(self, call: Call) -> None:
        """Send a call on a new connection."""
        if self._multiplexed and self._dials:
            self._waiting.append(call)  # one connection will carry them all
            return
        addresses = self._resolver.known()
        if addresses is None:
            self._unresolved.append(call)
            if len(self._unresolved) == 1:
                self._hub.spawn(self._resolve)
        else:
            self._dial(call, addresses)

    async def _resolve(self) -> None:
        """Resolve the name once for all calls that wait for it."""
        failure: UpstreamError | None = None
        addresses: list[Address] = []
        try:
            addresses = await self._resolver.resolve()
        except UpstreamError as error:
            failure = error
        calls, self._unresolved = self._unresolved, []
        for call in calls:
            if call.cancelled or self._closed:
                continue
            if failure is not None:
                call.sink.failed(failure)
            elif self._multiplexed and self._dials:
                self._waiting.append(call)
            else:
                self._dial(call, addresses)

    def _dial(self, call: Call, addresses: list[Address]) -> None:
        dial = _Dial(self._hub, self, call, addresses)
        self._dials.add(dial)
        call.carrier = dial
        dial.next()

    # What dials and connections tell.

    def dialled(self, dial: _Dial, channel: Channel, address: str, protocol: str | None) -> None:
        """A connection stands; its call goes out, and those that waited for it."""
        self._dials.discard(dial)
        self.opened += 1
        prior_knowledge = self.origin.http == "2" and self.origin.scheme == "http"
        if protocol == "h2" or prior_knowledge:
            shared = Http2Upstream(self, channel, address)
            channel.owner = shared
            self._shared.append(shared)
            self._open.add(shared)
            shared.open()
            first = [dial.call] if not dial.call.cancelled else []
        else:
            self._multiplexed = False
            connection = Http1Upstream(self, channel, address)
            channel.owner = connection
            self._open.add(connection)
            if dial.call.cancelled:
                self.rest(connection)
            else:
                connection.begin(dial.call)
            first = []
        self._waiting[:0] = first
        self.admit()

    def admit(self) -> None:
        """Send the calls that waited: for a connection, or for how many streams it takes."""
        waiting, self._waiting = self._waiting, []
        for call in waiting:
            if not call.cancelled:
                self.send(call)

    def undialled(self, dial: _Dial, error: UpstreamError) -> None:
        """No connection could be made."""
        self._dials.discard(dial)
        failed = [dial.call]
        if not any(shared.unsettled for shared in self._shared):
            failed += self._waiting
            self._waiting = []
        for call in failed:
            call.carrier = None
            if not call.cancelled:
                call.sink.failed(error)

    def rest(self, connection: Http1Upstream) -> None:
        """A connection finished its call and may serve another."""
        if self._closed or len(self._idle) >= self.keep:
            connection.channel.close()
            self.gone(connection)
        else:
            connection.idle_since = monotonic()
            self._idle.append(connection)

    def gone(self, connection: Http1Upstream | Http2Upstream) -> None:
        """A connection closed."""
        self._open.discard(connection)
        if isinstance(connection, Http2Upstream):
            self.full(connection)
            if connection.unsettled and not self._closed:
                connection.unsettled = False
                self.admit()
        elif connection in self._idle:
            self._idle.remove(connection)

    def full(self, connection: Http2Upstream) -> None:
        """A shared connection takes no more calls."""
        if connection in self._shared:
            self._shared.remove(connection)

    def expired(self, now: float) -> None:
        """Close what has been idle for long."""
        self.deadline = now + IDLE / 4
        while self._idle and now - self._idle[0].idle_since > IDLE:
            connection = self._idle.pop(0)
            connection.channel.close()
            self._open.discard(connection)
        for shared in list(self._shared):
            shared.close_if_idle(now, IDLE)

    def close(self) -> None:
        """Close everything, calls in flight included: their sinks are told nothing."""
        self._closed = True
        self._hub.timed.discard(self)
        for dial in list(self._dials):
            dial.cancel(dial.call)
        for connection in list(self._open):
            connection.channel.close()
        self._open.clear()
        self._idle.clear()
        self._shared.clear()


def _stale(connection: Http1Upstream) -> bool:
    """Whether a peer closed an idle connection, or spoke out of turn, and the hub has not told yet.

    The hub hears of a close within a turn, so nobody asks this of a connection that rested for less than SETTLED;
    should it be dead all the same, the call goes out again on a fresh one.
    """
    try:
        connection.channel.sock.recv(1, _PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


class _Dial:
    """One connection being made: each address in turn, then TLS, within the connect timeout.

    An address that says nothing has its share of the time only: the next one may answer.
    """

    def __init__(self, hub: Hub, pool: Pool, call: Call, addresses: list[Address]) -> None:
        self.call = call
        self._hub = hub
        self._pool = pool
        self._addresses = addresses
        self._tried = 0
        self._channel: _Connecting | Channel | None = None
        self._error: OSError | None = None
        self.deadline = self._until = monotonic() + pool.origin.connect
        hub.timed.add(self)

    def next(self) -> None:
        """Try the next address, or give up."""
        while self._tried < len(self._addresses):
            family, place = self._addresses[self._tried]
            self._tried += 1
            try:
                sock = socket.socket(family, socket.SOCK_STREAM)
            except OSError as error:
                self._error = error
                continue
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            number = sock.connect_ex(place)
            if number not in (0, errno.EINPROGRESS):
                sock.close()
                self._error = OSError(number, os.strerror(number))
                continue
            self._channel = _Connecting(self._hub, sock, self)
            self._hub.join(self._channel)
            self._ration()
            return
        self._end(UpstreamRefused(f"no connection to {self._pool.origin}: {_reason(self._error)}"))

    def _ration(self) -> None:
        """Give the address that is tried its share of the time that is left."""
        others = len(self._addresses) - self._tried
        if others:
            now = monotonic()
            self.deadline = min(self._until, now + max(ATTEMPT, (self._until - now) / (others + 1)))
        else:
            self.deadline = self._until

    def connected(self, sock: socket.socket, mask: int) -> None:
        """TCP stands: speak TLS if the origin wants it. `mask` is what the kernel reported with it."""
        origin = self._pool.origin
        self.deadline = self._until
        if self._pool.tls is None:
            channel = Channel(self._hub, sock, self)
            self._hub.adopt(channel)
            self._channel = channel
            self._catch_up(channel, mask)
            self._ready(None)
            return
        secure = TlsChannel(
            self._hub,
            sock,
            self,
            self._pool.tls,
            server_name=origin.host,
            secured=self._ready,
        )
        self._hub.adopt(secure)
        self._channel = secure
        self._catch_up(secure, mask)
        secure.handshake()

    def _catch_up(self, channel: Channel, mask: int) -> None:
        """Look for what the peer said first: the edge that told of it is spent."""
        if mask & READ:
            self._hub.again(channel, mask)

    def _ready(self, protocol: str | None) -> None:
        channel = self._channel
        assert isinstance(channel, Channel)  # noqa: S101 - set by connected()
        self._hub.timed.discard(self)
        self._channel = None
        _, place = self._addresses[self._tried - 1]
        self._pool.dialled(self, channel, f"{place[0]}:{place[1]}", protocol)

    def refused(self, error: OSError) -> None:
        """An address does not answer: on to the next."""
        self._error = error
        self._channel = None
        self.next()

    def received(self, data: bytes) -> None:
        """Nothing is expected before the first request; a TLS channel swallows its own."""

    def drained(self) -> None:
        """The handshake's records are sent."""

    def ended(self, error: OSError | None) -> None:
        """The peer gave up during the handshake, or we did, for its certificate."""
        self._channel = None
        self._end(UpstreamRefused(f"no TLS connection to {self._pool.origin}: {_reason(error)}"))

    def expired(self, now: float) -> None:
        origin = self._pool.origin
        self._drop()
        if now < self._until:
            self._error = OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
            self.next()
            return
        self._end(UpstreamTimeout(f"no connection to {origin} within {origin.connect:g} s"))

    def cancel(self, call: Call) -> None:
        """The client left. A connection that others wait for is made all the same."""
        if not self._pool._waiting:  # noqa: SLF001
            self._drop()
            self._hub.timed.discard(self)
            self._pool._dials.discard(self)  # noqa: SLF001

    def pause(self, call: Call) -> None:
        """Nothing flows yet."""

    def resume(self, call: Call) -> None:
        """Nothing flows yet."""

    def _drop(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def _end(self, error: UpstreamError) -> None:
        self._hub.timed.discard(self)
        self._pool.undialled(self, error)


class _Connecting(Channel):
    """A socket whose connection is being made; the first event tells how that went."""

    __slots__ = ("_dial",)

    def __init__(self, hub: Hub, sock: socket.socket, dial: _Dial) -> None:
        super().__init__(hub, sock, dial)
        self._dial = dial

    def ready(self, mask: int) -> None:
        number = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            self.close()
            self._dial.refused(OSError(number, os.strerror(number)))
        else:
            self.closed = True  # the socket lives on in the channel that adopts it
            self._dial.connected(self.sock, mask)


def _reason(error: OSError | None) -> str:
    """What went wrong, in words for a log line."""
    if error is None:
        return "the peer closed the connection"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    return os_reason(error)

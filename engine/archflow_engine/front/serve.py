"""Listeners under hypercorn, whose connections are ours.

hypercorn serves the listening sockets and stops kindly; it hands each accepted connection to a class of its own. We
put `_connection` in that class's place: it takes the socket out of trio and lets it join the hub, where HTTP/1.1,
HTTP/2 and TLS run without tasks. The admin endpoint keeps hypercorn's own class.

Rule: this file and `admin` are the only ones that know hypercorn.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol, cast

import hypercorn.trio.run
import trio
from hypercorn.config import Config, Sockets

from archflow_engine.front import refused
from archflow_engine.front.http1 import Http1
from archflow_engine.front.http2 import Http2
from archflow_engine.hub import Channel, Hub
from archflow_engine.tls import TlsChannel
from archflow_schema.errors import ArchflowError
from archflow_schema.graph import Limits, Tls

if TYPE_CHECKING:
    from hypercorn.typing import AppWrapper

    from archflow_engine.plan import ListenerPlan

BACKLOG = 4096
FULL = 1 << 20
"""Bytes of replies that wait for a client, above which it is no longer heard until it has read them."""
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_SEAM = "TCPServer"
"""The name in hypercorn's module that it looks up for each connection."""
_hypercorns_own = getattr(hypercorn.trio.run, _SEAM)
_LIMIT_WORDS = {"head": "bytes of request line and headers", "headers": "headers", "body": "bytes of body"}


class Connection(Protocol):
    """A client's connection, whatever its protocol."""

    @property
    def busy(self) -> bool:
        """Whether a request is under way."""

    def retire(self) -> None:
        """Finish what is under way, and take nothing more."""

    def abandon(self) -> None:
        """Close now."""


class Front:
    """One listening address: its sockets, its connections, and the plan that new requests meet.

    Attributes:
        plan: the listener's part of the running plan; replaced when a graph is swapped in.
        address, port: where clients connect; the port is the real one when the configured one is 0.
    """

    def __init__(self, hub: Hub, plan: ListenerPlan, *, shared: bool) -> None:
        self.hub = hub
        self.address = plan.listener.address
        self._connections: set[Connection] = set()
        self._stop = trio.Event()
        self.empty = trio.Event()
        """Set when, after `stop`, the last connection has closed."""
        self.closed = trio.Event()
        """Set when its address is free again."""
        self.swap(plan)  # first, because it may refuse, and then no socket is open
        self._sockets = open_sockets(self.address, plan.listener.port, shared=shared)
        self.port: int = self._sockets.insecure_sockets[0].getsockname()[1]

    def swap(self, plan: ListenerPlan) -> None:
        """Meet new requests with another plan; connections stay."""
        self.plan = plan
        tls = plan.listener.tls
        self._tls = server_tls(tls) if tls is not None else None

    @property
    def limits(self) -> Limits:
        """What this listener accepts."""
        return self.plan.limits

    def too_large(self, what: str) -> str:
        """An error's text that says which limit was passed, and where it is set."""
        limit = getattr(self.limits, what)
        return (
            f"the request has more than {limit} {_LIMIT_WORDS[what]}, the limit of listener {self.plan.name}; "
            f"`limits.{what}` in its configuration sets it"
        )

    def too_slow(self) -> str:
        """An error's text for a request that does not come to its end, and where its time is set."""
        return (
            f"the request was not complete within {self.limits.receive:g} s, the limit of listener "
            f"{self.plan.name}; `limits.receive` in its configuration sets it"
        )

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._connections)

    async def run(self) -> None:
        """Accept until `stop`. Blocks. Resources: closes the listening sockets."""
        config = Config()
        config.accesslog = config.errorlog = None
        config.graceful_timeout = 0.0
        try:
            await hypercorn.trio.run.worker_serve(
                cast("AppWrapper", self),  # called as one, for its lifespan only
                config,
                sockets=self._sockets,
                shutdown_trigger=self._stop.wait,
            )
        finally:
            self.close()  # hypercorn does too, unless it is cancelled before it began

    def stop(self) -> None:
        """Accept no more, and let what is under way finish."""
        self._stop.set()
        self.empty = trio.Event()
        for connection in list(self._connections):
            connection.retire()
        if not self._connections:
            self.empty.set()

    def abandon(self) -> None:
        """Close every connection now."""
        for connection in list(self._connections):
            connection.abandon()

    def close(self) -> None:
        """Close the listening sockets."""
        for sock in self._sockets.insecure_sockets:
            sock.close()
        self.closed.set()

    async def __call__(
        self,
        scope: object,
        receive: Callable[[], Awaitable[dict[str, Any]]],
        send: Callable[[Any], Awaitable[None]],
        *_: object,
    ) -> None:
        """The lifespan that hypercorn asks an application for; there is nothing to do in it."""
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return

    def accept(self, sock: socket.socket, peer: str) -> None:
        """A client connected."""
        if self._stop.is_set():
            sock.close()  # it came in the very moment of stopping
            return
        limit = self.limits.connections
        if limit and len(self._connections) >= limit:
            why = (
                f"listener {self.plan.name} has its {limit} connections; "
                "`limits.connections` in its configuration sets it"
            )
            if self._tls is None:  # plain text would be no TLS, and its client would look for the fault there
                _turn_away(sock, self.plan.encode_error(503, "too_many_connections", why, request_id=""))
            sock.close()
            return
        newcomer = _Newcomer(self, peer)
        if self._tls is None:
            channel = Channel(self.hub, sock, newcomer)
        else:
            channel = TlsChannel(
                self.hub, sock, newcomer, self._tls, server_name=None, secured=newcomer.secured
            )
        channel.full = FULL
        newcomer.channel = channel
        self._connections.add(newcomer)
        self.hub.join(channel)

    def left(self, connection: Connection) -> None:
        """A connection closed."""
        self._connections.discard(connection)
        if not self._connections:
            self.empty.set()

    def become(self, newcomer: _Newcomer, connection: Http1 | Http2) -> None:
        """A newcomer's protocol is known."""
        self._connections.discard(newcomer)
        self._connections.add(connection)


class _Newcomer:
    """Owns a connection until its protocol is known: by ALPN, or by HTTP/2's preface."""

    busy = False

    def __init__(self, front: Front, peer: str) -> None:
        self.channel: Channel
        self.deadline = front.hub.now() + front.limits.receive
        self._front = front
        self._peer = peer
        self._data = b""
        front.hub.timed.add(self)

    def secured(self, protocol: str | None) -> None:
        """TLS stands."""
        if protocol == "h2":
            self._http2(b"")

    def received(self, data: bytes) -> None:
        self._data += data
        if not self._data.startswith(_PREFACE[: len(self._data)]):
            self._become(Http1(self._front, self.channel, self._peer)).received(self._data)
        elif len(self._data) >= len(_PREFACE):
            self._http2(self._data)

    def _http2(self, data: bytes) -> None:
        connection = Http2(self._front, self.channel, self._peer)
        self._become(connection)
        connection.open()
        if data:
            connection.received(data)

    def _become(self, connection: Any) -> Any:
        self._front.hub.timed.discard(self)
        self._front.become(self, connection)
        self.channel.owner = connection
        return connection

    def ended(self, error: OSError | None) -> None:
        self._front.hub.timed.discard(self)
        self._front.left(self)

    def drained(self) -> None:
        """The handshake's records are sent."""

    def expired(self, now: float) -> None:
        self.abandon()

    def retire(self) -> None:
        """The listener is closing, and nothing was asked yet."""
        self.abandon()

    def abandon(self) -> None:
        """Close now."""
        self.channel.close()
        self.ended(None)


def _connection(app: object, config: Config, context: object, state: object, stream: Any) -> Awaitable[None]:
    """What hypercorn makes for each accepted connection."""
    if isinstance(app, Front):
        return _hand_over(app, stream)
    theirs: Awaitable[None] = _hypercorns_own(app, config, context, state, stream)
    return theirs


setattr(hypercorn.trio.run, _SEAM, _connection)


async def _hand_over(front: Front, stream: trio.SocketStream) -> None:
    """Take a socket out of trio. The task ends at once; the hub has the connection."""
    await trio.lowlevel.cancel_shielded_checkpoint()
    family = stream.socket.family
    try:
        peer = stream.socket.getpeername()
    except OSError:
        return  # it left before it was accepted
    sock = socket.socket(family, socket.SOCK_STREAM, fileno=stream.socket.detach())
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    front.accept(sock, f"{peer[0]}:{peer[1]}")


def _turn_away(sock: socket.socket, body: bytes) -> None:
    """Tell a client that there is no room, if one small write can."""
    head = (
        b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\n"
        b"connection: close\r\nretry-after: 1\r\n"
    )
    with contextlib.suppress(OSError):
        sock.send(b"%bcontent-length: %d\r\n\r\n%b" % (head, len(body), body))


def open_sockets(address: str, port: int, *, shared: bool) -> Sockets:
    """Bind and listen.

    Args:
        address: an IPv4 or IPv6 address.
        port: 0 takes a free one.
        shared: several workers listen on the same port (SO_REUSEPORT).

    Raises:
        ArchflowError: the address cannot be had; the text says why.
    """
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind((address, port))
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise ArchflowError(refused.address(address, port, error)) from error
    return Sockets([], [sock], [])


def server_tls(tls: Tls) -> ssl.SSLContext:
    """A server's context: TLS 1.2 and 1.3, ALPN h2 and http/1.1.

    Raises:
        ArchflowError: certificate or key cannot be read, or do not belong together.
    """
    config = Config()
    config.certfile, config.keyfile = tls.certificate, tls.private_key
    config.keyfile_password = ""  # else OpenSSL asks at the terminal, and all wait
    config.alpn_protocols = ["h2", "http/1.1"]
    try:
        context = config.create_ssl_context()
    except OSError as error:
        raise ArchflowError(refused.tls(tls, error)) from error
    assert context is not None  # noqa: S101 - certificate and key are set
    return context

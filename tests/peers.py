"""Both ends of an exchange over HTTP/1.1, scripted: raw sockets, with h11 as an independent reader of what came.

Rule: nothing here sleeps; a test goes on when what it waits for has come, or fails after PATIENCE seconds.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import h11
import msgspec
import trio

PATIENCE = 5.0
CHAT = "/v1/chat/completions"
_BROKEN = (trio.BrokenResourceError, trio.ClosedResourceError, ConnectionError)
Stream = trio.SocketStream | trio.SSLStream[trio.SocketStream]


@contextmanager
def unreachable(address: str = "127.0.0.1") -> Iterator[int]:
    """A port of an address that neither accepts nor refuses: its queue is full."""
    with ExitStack() as sockets:
        listener = sockets.enter_context(closing(socket.socket()))
        listener.bind((address, 0))
        listener.listen(0)
        for _ in range(4):
            filler = sockets.enter_context(closing(socket.socket()))
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


class Notice:
    """Wakes those who wait for something to become true."""

    def __init__(self) -> None:
        self._event = trio.Event()

    def changed(self) -> None:
        """Something happened: everybody looks again."""
        self._event.set()
        self._event = trio.Event()

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until a condition holds. Raises trio.TooSlowError after PATIENCE seconds."""
        with trio.fail_after(PATIENCE):
            while not condition():
                await self._event.wait()


class Message:
    """What requests and replies have in common."""

    headers: list[tuple[bytes, bytes]]
    body: bytes

    def header(self, name: str) -> str | None:
        """A header's value, if there is exactly one of that name."""
        found = [value.decode("latin-1") for key, value in self.headers if key == name.encode()]
        assert len(found) <= 1, f"{name} is there {len(found)} times"
        return found[0] if found else None

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return msgspec.json.decode(self.body)


@dataclass
class Reply(Message):
    """A reply as a client saw it; `cut` when the connection ended before the reply did."""

    status: int = 0
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""
    interim: list[int] = field(default_factory=list)
    cut: bool = False
    parts: list[bytes] = field(default_factory=list)

    @property
    def code(self) -> str:
        """The code of an error body in OpenAI's form."""
        return str(self.json["error"]["code"])

    @property
    def message(self) -> str:
        """The message of an error body in OpenAI's or Anthropic's form."""
        return str(self.json["error"]["message"])


def request(
    body: bytes | dict[str, Any] | None = None,
    *,
    method: str = "POST",
    path: str = CHAT,
    headers: tuple[str, ...] = (),
    version: str = "1.1",
) -> bytes:
    """A request's bytes. A body gets its content-length; `headers` are whole lines."""
    if isinstance(body, dict):
        body = msgspec.json.encode(body)
    lines = [f"{method} {path} HTTP/{version}", "Host: gateway.test", *headers]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b"")


class Client:
    """A client's connection."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self._left = b""
        self._parser: h11.Connection | None = None

    async def send(self, data: bytes) -> None:
        """Send raw bytes."""
        with trio.fail_after(PATIENCE):
            await self.stream.send_all(data)

    async def ask(self, body: bytes | dict[str, Any] | None = None, **more: Any) -> None:
        """Send a request."""
        await self.send(request({"model": "m"} if body is None else body, **more))

    async def begins(self, *, method: str = "POST") -> Reply:
        """Read the head of a reply."""
        self._parser = parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
        parser.send(h11.Request(method=method, target="/", headers=[("host", "gateway.test")]))
        parser.send(h11.EndOfMessage())
        if self._left:
            parser.receive_data(self._left)
            self._left = b""
        reply = Reply()
        while True:
            event = await self._event()
            if isinstance(event, h11.InformationalResponse):
                reply.interim.append(event.status_code)
            elif isinstance(event, h11.Response):
                reply.status = event.status_code
                reply.headers = [(name.lower(), value) for name, value in event.headers]
                return reply
            else:
                reply.cut = True
                return reply

    async def more(self) -> bytes | None:
        """Read some more of the body: b"" at its end, None when it was cut before that."""
        event = await self._event()
        if isinstance(event, h11.Data):
            return bytes(event.data)
        if isinstance(event, h11.EndOfMessage):
            assert self._parser is not None
            self._left = self._parser.trailing_data[0]
            return b""
        return None

    async def reads(self, wanted: bytes) -> bytes:
        """Read the body until it ends with what is wanted."""
        seen = b""
        while not seen.endswith(wanted):
            part = await self.more()
            assert part, f"{wanted!r} never came, only {seen!r}"
            seen += part
        return seen

    async def reply(self, *, method: str = "POST") -> Reply:
        """Read a whole reply."""
        reply = await self.begins(method=method)
        return reply if reply.cut else await self.rest(reply)

    async def rest(self, reply: Reply) -> Reply:
        """Read the rest of a reply's body."""
        while part := await self.more():
            reply.parts.append(part)
        reply.cut = part is None
        reply.body += b"".join(reply.parts)
        return reply

    async def talks(self, body: bytes | dict[str, Any] | None = None, **more: Any) -> Reply:
        """Ask, and read the reply."""
        await self.ask(body, **more)
        return await self.reply(method=more.get("method", "POST"))

    async def ended(self) -> bytes:
        """Read to the end of the connection, kind or not; what came before it."""
        seen, self._left = self._left, b""
        while data := await self._read():
            seen += data
        return seen

    async def leave(self) -> None:
        """Close."""
        await trio.aclose_forcefully(self.stream)

    def reset(self) -> None:
        """Close with a TCP reset."""
        reset(self.stream)

    async def _event(self) -> Any:
        parser = self._parser
        assert parser is not None
        while True:
            try:
                event = parser.next_event()
            except h11.RemoteProtocolError:
                return None
            if event is not h11.NEED_DATA:
                return event
            try:
                parser.receive_data(await self._read())
            except h11.RemoteProtocolError:
                return None

    async def _read(self) -> bytes:
        with trio.fail_after(PATIENCE):
            try:
                return bytes(await self.stream.receive_some(65_536))
            except _BROKEN:
                return b""


def reset(stream: Stream) -> None:
    """Close with a TCP reset."""
    plain = stream.transport_stream if isinstance(stream, trio.SSLStream) else stream
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    plain.socket.close()


async def connect(address: tuple[str, int], *, tls: ssl.SSLContext | None = None, buffer: int = 0) -> Stream:
    """A client's stream; `buffer` makes its socket's receive buffer small."""
    sock = trio.socket.socket()
    if buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    with trio.fail_after(PATIENCE):
        await sock.connect(address)
        plain = trio.SocketStream(sock)
        if tls is None:
            return plain
        secure = trio.SSLStream(plain, tls, server_hostname="localhost", https_compatible=True)
        await secure.do_handshake()
    return secure


@dataclass
class Asked(Message):
    """A request as an upstream saw it."""

    connection: UpstreamConnection
    method: str
    target: str
    headers: list[tuple[bytes, bytes]]
    body: bytes

    async def reply(
        self, body: bytes | dict[str, Any] = b"{}", *, status: int = 200, headers: tuple[str, ...] = ()
    ) -> None:
        """Answer whole, with a content-length."""
        await self.connection.send(reply(body, status=status, headers=headers))

    async def stream(self, *parts: bytes) -> None:
        """Begin a chunked event stream."""
        await self.connection.send(STREAM + b"".join(chunk(part) for part in parts))

    async def more(self, part: bytes) -> None:
        """Send one more chunk."""
        await self.connection.send(chunk(part))

    async def end(self) -> None:
        """End a chunked body."""
        await self.connection.send(b"0\r\n\r\n")


STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def reply(body: bytes | dict[str, Any] = b"{}", *, status: int = 200, headers: tuple[str, ...] = ()) -> bytes:
    """A reply's bytes, with a content-length."""
    data = msgspec.json.encode(body) if isinstance(body, dict) else body
    lines = [f"HTTP/1.1 {status} Whatever", f"content-length: {len(data)}", *headers]
    if not any(line.startswith("content-type") for line in headers):
        lines.append("content-type: application/json")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + data


class UpstreamConnection:
    """One connection of the gateway. Everything it sends is read at once, unless the upstream's gate is shut."""

    def __init__(self, upstream: Upstream, stream: Stream) -> None:
        self.stream = stream
        self.received = 0
        self.gone = trio.Event()
        self._upstream = upstream

    async def send(self, data: bytes) -> None:
        """Send raw bytes."""
        with trio.fail_after(PATIENCE):
            await self.stream.send_all(data)

    async def close(self) -> None:
        """Close kindly."""
        await trio.aclose_forcefully(self.stream)

    def reset(self) -> None:
        """Close with a TCP reset."""
        reset(self.stream)

    async def left(self) -> None:
        """Wait until the gateway has closed this connection."""
        with trio.fail_after(PATIENCE):
            await self.gone.wait()

    async def read(self) -> None:
        """Read requests until the connection ends."""
        try:
            with suppress(*_BROKEN, h11.RemoteProtocolError):
                await self._read()
        finally:
            self.gone.set()
            self._upstream.notice.changed()

    async def _read(self) -> None:
        data = b""
        while True:
            parser = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
            if data:  # to h11, no data is the end
                parser.receive_data(data)
            head: h11.Request | None = None
            body = b""
            while True:
                event = parser.next_event()
                if event is h11.NEED_DATA:
                    await self._upstream.gate.wait()
                    data = bytes(await self.stream.receive_some(65_536))
                    self.received += len(data)
                    if not data:
                        return
                    parser.receive_data(data)
                elif isinstance(event, h11.Request):
                    head = event
                elif isinstance(event, h11.Data):
                    body += event.data
                else:
                    break
            assert head is not None
            data = parser.trailing_data[0]
            headers = [(name.lower(), value) for name, value in head.headers]
            asked = Asked(self, head.method.decode(), head.target.decode("latin-1"), headers, body)
            await self._upstream.take(asked)


class Upstream:
    """An upstream that answers as the test says, or by a script.

    Attributes:
        requests: every one that came, answered or not.
        script: gives the bytes to answer each request with; without one, the test asks for the request and answers.
        gate: while it is not set, nothing is read from the gateway.
        connections: all that the gateway opened, in order.
    """

    def __init__(self, tls: ssl.SSLContext | None = None, *, address: str = "127.0.0.1") -> None:
        self.script: Callable[[Asked], bytes] | None = None
        self.gate = trio.Event()
        self.gate.set()
        self.connections: list[UpstreamConnection] = []
        self.notice = Notice()
        self.requests: list[Asked] = []
        self._requests: list[Asked] = []
        self._tls = tls
        sock = trio.socket.socket()
        self._sock = sock
        self._address = address

    async def open(self, nursery: trio.Nursery) -> None:
        """Listen."""
        await self._sock.bind((self._address, 0))
        self._sock.listen(64)
        self.port: int = self._sock.getsockname()[1]
        nursery.start_soon(self._accept, nursery)

    @property
    def url(self) -> str:
        """Where a provider finds it."""
        return f"https://localhost:{self.port}" if self._tls else f"http://{self._address}:{self.port}"

    async def connection(self, number: int = -1) -> UpstreamConnection:
        """The connection of this number, or the newest, once there is one."""
        await self.notice.until(lambda: len(self.connections) > max(number, 0))
        return self.connections[number]

    async def asked(self) -> Asked:
        """The next request."""
        await self.notice.until(lambda: self._requests)
        return self._requests.pop(0)

    async def take(self, asked: Asked) -> None:
        """A request came."""
        self.requests.append(asked)
        if self.script is None:
            self._requests.append(asked)
            self.notice.changed()
        else:
            await asked.connection.send(self.script(asked))

    @property
    def unanswered(self) -> int:
        """How many requests came that the test has not asked for."""
        return len(self._requests)

    def close(self) -> None:
        """Refuse connections from now on."""
        self._sock.close()

    async def leave(self) -> None:
        """Close everything."""
        self._sock.close()
        self.gate.set()
        for connection in self.connections:
            await connection.close()

    async def _accept(self, nursery: trio.Nursery) -> None:
        with suppress(*_BROKEN, OSError):
            while True:
                sock, _ = await self._sock.accept()
                nursery.start_soon(self._serve, trio.SocketStream(sock))

    async def _serve(self, plain: trio.SocketStream) -> None:
        stream: Stream = plain
        if self._tls is not None:
            stream = trio.SSLStream(plain, self._tls, server_side=True, https_compatible=True)
        connection = UpstreamConnection(self, stream)
        self.connections.append(connection)
        self.notice.changed()
        try:
            await connection.read()
        finally:
            await trio.aclose_forcefully(stream)

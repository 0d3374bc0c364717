"""Both ends of an exchange over HTTP/2, scripted, on the h2 library.

Rule: nothing here sleeps; a test goes on when what it waits for has come, or fails after PATIENCE seconds.
"""

from __future__ import annotations

import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings
import msgspec
import trio
from hyperframe.frame import Frame, GoAwayFrame

from peers import _BROKEN, CHAT, PATIENCE, Message, Notice, Reply, Stream, Upstream

Headers = list[tuple[bytes, bytes]]


@dataclass
class H2Reply(Reply):
    """A reply as it comes: `over` when it ended, `reset` when it was cut, with the error code."""

    number: int = 0
    over: bool = False
    reset: int | None = None
    trailers: Headers = field(default_factory=list)


def _settings(named: dict[str, int]) -> dict[h2.settings.SettingCodes, int]:
    return {h2.settings.SettingCodes[name.upper()]: value for name, value in named.items()}


class _Connection(h2.connection.H2Connection):
    """h2 takes GOAWAY for the end; these peers go on with the streams that were begun before it."""

    def _receive_goaway_frame(self, frame: GoAwayFrame) -> tuple[list[Frame], list[h2.events.Event]]:
        event = h2.events.ConnectionTerminated()
        event.error_code, event.last_stream_id = frame.error_code, frame.last_stream_id
        return [], [event]


class _Peer:
    """What both sides share: reading in a task, and windows."""

    def __init__(self, stream: Stream, *, client: bool) -> None:
        self.stream = stream
        self.h2 = _Connection(
            h2.config.H2Configuration(
                client_side=client,
                header_encoding=None,
                validate_outbound_headers=False,  # these peers may send what they should not
                normalize_outbound_headers=False,
            )
        )
        self.notice = Notice()
        self.gone = False
        self.going_away: h2.events.ConnectionTerminated | None = None
        self.acknowledge = True
        self._sending = trio.Lock()

    async def flush(self) -> None:
        """Send what is queued."""
        async with self._sending:
            data = self.h2.data_to_send()
            if data:
                with trio.fail_after(PATIENCE):
                    await self.stream.send_all(data)

    async def raw(self, data: bytes) -> None:
        """Send bytes that h2 would not."""
        async with self._sending:
            with trio.fail_after(PATIENCE):
                await self.stream.send_all(data)

    async def data(self, number: int, data: bytes, *, end: bool = False) -> None:
        """Send a body, as the other side's windows allow."""
        if end and not data:
            self.h2.end_stream(number)
            await self.flush()
        while data:
            room = min(self.h2.local_flow_control_window(number), self.h2.max_outbound_frame_size)
            if not room:
                await self.notice.until(lambda: self.h2.local_flow_control_window(number))
                continue
            piece, data = data[:room], data[room:]
            self.h2.send_data(number, piece, end_stream=end and not data)
            await self.flush()

    async def closed(self) -> None:
        """Wait until the other side has closed the connection."""
        await self.notice.until(lambda: self.gone)

    async def leave(self) -> None:
        """Close."""
        await trio.aclose_forcefully(self.stream)

    async def read(self) -> None:
        """Read until the connection ends."""
        try:
            await self._read()
        except h2.exceptions.ProtocolError:
            with suppress(*_BROKEN):
                await self.flush()  # the goodbye with the reason
            await self.leave()
        except _BROKEN:
            pass
        self.gone = True
        self.notice.changed()

    async def _read(self) -> None:
        while data := await self.stream.receive_some(65_536):
            for event in self.h2.receive_data(bytes(data)):
                if isinstance(event, h2.events.ConnectionTerminated):
                    self.going_away = event
                if isinstance(event, h2.events.DataReceived) and self.acknowledge:
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                self.take(event)
            with suppress(*_BROKEN):
                await self.flush()
            self.notice.changed()

    def take(self, event: h2.events.Event) -> None:
        """Something came."""


class H2Client(_Peer):
    """A client's connection."""

    def __init__(self, stream: Stream, nursery: trio.Nursery, **settings: int) -> None:
        super().__init__(stream, client=True)
        self.replies: dict[int, H2Reply] = {}
        self._nursery = nursery
        self._settings = _settings(settings)

    async def open(self) -> None:
        """Send the preface."""
        self.h2.initiate_connection()
        if self._settings:
            self.h2.update_settings({code: value for code, value in self._settings.items()})  # noqa: C416 - a wider type
        await self.flush()
        self._nursery.start_soon(self.read)

    async def ask(
        self,
        body: bytes | dict[str, Any] | None = None,
        *,
        method: bytes = b"POST",
        path: bytes = CHAT.encode(),
        headers: Headers | None = None,
        end: bool = True,
    ) -> H2Reply:
        """Send a request; without `end`, its body goes on."""
        if body is None:
            body = {"model": "m"} if method == b"POST" else b""
        data = msgspec.json.encode(body) if isinstance(body, dict) else body
        number = self.h2.get_next_available_stream_id()
        head: Headers = [(b":method", method), (b":scheme", b"http"), (b":authority", b"gateway.test")]
        head += [(b":path", path), *(headers or [])]
        reply = self.replies[number] = H2Reply(number=number)
        self.h2.send_headers(number, head, end_stream=end and not data)
        await self.flush()
        if data:
            await self.data(number, data, end=end)
        return reply

    async def begins(self, reply: H2Reply) -> H2Reply:
        """Wait for a reply's head."""
        await self.notice.until(lambda: reply.status or reply.reset is not None or self.gone)
        return reply

    async def reads(self, reply: H2Reply, wanted: bytes) -> None:
        """Wait until the body so far ends with what is wanted."""
        await self.notice.until(lambda: reply.body.endswith(wanted))

    async def whole(self, reply: H2Reply) -> H2Reply:
        """Wait until a reply is over."""
        await self.notice.until(lambda: reply.over or reply.reset is not None or self.gone)
        return reply

    async def talks(self, body: bytes | dict[str, Any] | None = None, **more: Any) -> H2Reply:
        """Ask, and wait for the reply."""
        return await self.whole(await self.ask(body, **more))

    async def reset(self, reply: H2Reply) -> None:
        """Want a reply no more."""
        self.h2.reset_stream(reply.number, h2.errors.ErrorCodes.CANCEL)
        await self.flush()

    def take(self, event: h2.events.Event) -> None:
        number = getattr(event, "stream_id", None) or 0
        reply = self.replies.get(number)
        if reply is None:
            return
        if isinstance(event, h2.events.ResponseReceived):
            for name, value in event.headers:
                if name == b":status":
                    reply.status = int(value)
                else:
                    reply.headers.append((name, value))
        elif isinstance(event, h2.events.DataReceived):
            reply.body += event.data
            reply.parts.append(event.data)
        elif isinstance(event, h2.events.TrailersReceived):
            reply.trailers = list(event.headers)
        elif isinstance(event, h2.events.StreamEnded):
            reply.over = True
        elif isinstance(event, h2.events.StreamReset):
            reply.reset = int(event.error_code)


@dataclass
class H2Asked(Message):
    """A request as an upstream saw it."""

    connection: H2UpstreamConnection
    number: int
    headers: Headers
    body: bytes = b""
    whole: bool = False
    reset: int | None = None

    async def reply(
        self,
        body: bytes | dict[str, Any] = b"{}",
        *,
        status: int = 200,
        headers: Headers | None = None,
        end: bool = True,
    ) -> None:
        """Answer."""
        data = msgspec.json.encode(body) if isinstance(body, dict) else body
        head = [(b":status", b"%d" % status), *(headers or [(b"content-type", b"application/json")])]
        peer = self.connection
        peer.h2.send_headers(self.number, head, end_stream=end and not data)
        await peer.flush()
        if data:
            await peer.data(self.number, data, end=end)

    async def stream(self, *parts: bytes) -> None:
        """Begin an event stream."""
        await self.reply(b"".join(parts), headers=[(b"content-type", b"text/event-stream")], end=False)

    async def more(self, data: bytes, *, end: bool = False) -> None:
        """Send more of the body."""
        await self.connection.data(self.number, data, end=end)

    async def refuse(self, code: h2.errors.ErrorCodes) -> None:
        """Reset the stream."""
        self.connection.h2.reset_stream(self.number, code)
        await self.connection.flush()

    async def was_reset(self) -> int:
        """Wait until the gateway has reset the stream; the error code."""
        await self.connection.notice.until(lambda: self.reset is not None)
        assert self.reset is not None
        return self.reset


class H2UpstreamConnection(_Peer):
    """One connection of the gateway."""

    def __init__(self, upstream: H2Upstream, stream: Stream) -> None:
        super().__init__(stream, client=False)
        self.requests: dict[int, H2Asked] = {}
        self._upstream = upstream

    async def go_away(self, last: int, code: int = 0) -> None:
        """Say that streams above `last` are not served, and those up to it are."""
        await self.raw(GoAwayFrame(stream_id=0, last_stream_id=last, error_code=code).serialize())

    def take(self, event: h2.events.Event) -> None:
        number = getattr(event, "stream_id", None) or 0
        if isinstance(event, h2.events.RequestReceived):
            self.requests[number] = H2Asked(self, number, list(event.headers))
            return
        asked = self.requests.get(number)
        if asked is None:
            return
        if isinstance(event, h2.events.DataReceived):
            asked.body += event.data
        elif isinstance(event, h2.events.StreamEnded):
            asked.whole = True
            self._upstream.took(asked)
        elif isinstance(event, h2.events.StreamReset):
            asked.reset = int(event.error_code)


class H2Upstream(Upstream):
    """An upstream that speaks HTTP/2: by prior knowledge, or by ALPN."""

    def __init__(self, tls: ssl.SSLContext | None = None, **settings: int) -> None:
        super().__init__(tls)
        self.h2_connections: list[H2UpstreamConnection] = []
        self._settings = _settings(settings)
        self._asked: list[H2Asked] = []

    async def h2_asked(self) -> H2Asked:
        """The next whole request."""
        await self.notice.until(lambda: self._asked)
        return self._asked.pop(0)

    async def h2_connection(self, number: int = -1) -> H2UpstreamConnection:
        """The connection of this number, or the newest, once there is one."""
        await self.notice.until(lambda: len(self.h2_connections) > max(number, 0))
        return self.h2_connections[number]

    def took(self, asked: H2Asked) -> None:
        """A request is whole."""
        self._asked.append(asked)
        self.notice.changed()

    async def leave(self) -> None:
        await super().leave()
        for connection in self.h2_connections:
            await connection.leave()

    async def _serve(self, plain: trio.SocketStream) -> None:
        stream: Stream = plain
        if self._tls is not None:
            stream = trio.SSLStream(plain, self._tls, server_side=True, https_compatible=True)
        connection = H2UpstreamConnection(self, stream)
        connection.h2.local_settings = h2.settings.Settings(client=False, initial_values=self._settings)
        connection.h2.initiate_connection()
        try:
            with suppress(*_BROKEN):
                await connection.flush()
                self.h2_connections.append(connection)
                self.notice.changed()
                await connection.read()
        finally:
            await trio.aclose_forcefully(stream)

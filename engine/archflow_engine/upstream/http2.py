"""An HTTP/2 connection to an upstream (RFC 9113), on the hub and the h2 library.

Many calls share it. A call that nobody wants any more is ended by RST_STREAM, so the upstream stops its work while the
other calls go on. Flow control is per stream: a slow client's stream window stays shut, the others' do not.

Rule: bytes are acknowledged to the upstream only when they may go on to the client.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import h2.config
import h2.errors
import h2.events
import h2.exceptions
import h2.settings

from archflow_engine.http2 import Http2Connection
from archflow_engine.hub import Channel, monotonic
from archflow_engine.upstream.call import Call, ReplyHead
from archflow_schema.errors import UpstreamError, UpstreamProtocolError, UpstreamRefused

if TYPE_CHECKING:
    from archflow_engine.upstream.pool import Pool

WINDOW = 1 << 20
SILENT = 10.0
"""Seconds without a word, to whichever call, after which a connection whose call was given up gets no more calls: the
other end may be gone without having said so, and everything sent there would have to wait for its timeout."""
_CONFIG = h2.config.H2Configuration(client_side=True, header_encoding=None)


class _Stream:
    """One call on the connection."""

    __slots__ = ("began", "call", "data", "end", "head", "held", "new", "owed", "paused", "since", "unsent")

    def __init__(self, call: Call, began: int) -> None:
        self.call = call
        self.began = began
        self.since = monotonic()
        self.owed = 0
        self.head: ReplyHead | None = None
        self.new = False
        self.data: list[bytes] = []
        self.end = False
        self.held = 0
        self.paused = False
        self.unsent = memoryview(call.body)


class Http2Upstream:
    """One connection; carries as many calls as the upstream allows.

    Attributes:
        unsettled: the upstream has not told yet how many it allows; the first call goes out, the others wait.
    """

    def __init__(self, pool: Pool, channel: Channel, address: str) -> None:
        self.address = address
        self.channel = channel
        self._pool = pool
        self._h2 = Http2Connection(_CONFIG)
        self._streams: dict[int, _Stream] = {}
        self._calls = 0
        self._reads = 0
        self.unsettled = True
        self._idle_since = monotonic()
        self._leaving = False

    def open(self) -> None:
        """Send the preface."""
        self._h2.local_settings = h2.settings.Settings(
            client=True,
            initial_values={
                h2.settings.SettingCodes.ENABLE_PUSH: 0,
                h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: WINDOW,
                h2.settings.SettingCodes.MAX_HEADER_LIST_SIZE: 256 * 1024,
            },
        )
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(16 * WINDOW)
        self._flush()

    def begin(self, call: Call) -> bool:
        """Send a call as a new stream; False when the connection takes no more."""
        if (
            self._leaving
            or (self.unsettled and self._calls)
            or len(self._streams) >= self._h2.remote_settings.max_concurrent_streams
        ):
            return False
        try:
            number = self._h2.get_next_available_stream_id()
        except h2.exceptions.NoAvailableStreamIDError:
            self._leave()
            return False
        stream = _Stream(call, self._reads)
        self._streams[number] = stream
        call.carrier = self
        self._calls += 1
        call.sink.sent(self.address, reused=self._calls > 1)
        if call.carrier is not self:
            return True
        headers = call.http2(self._pool.origin.scheme.encode())
        try:
            self._h2.send_headers(number, headers, end_stream=not call.body)
        except h2.exceptions.ProtocolError as error:
            self._drop(number, UpstreamProtocolError(f"the request cannot be sent over HTTP/2: {error}"))
            return True
        self._send_body(number, stream)
        self._flush()
        return True

    def cancel(self, call: Call) -> None:
        number = self._number(call)
        if number is not None:
            stream = self._streams[number]
            if stream.began == self._reads and monotonic() - stream.since > SILENT:
                self._leave()
            self._reset(number, h2.errors.ErrorCodes.CANCEL)
            self._flush()

    def pause(self, call: Call) -> None:
        number = self._number(call)
        if number is not None:
            self._streams[number].paused = True

    def resume(self, call: Call) -> None:
        number = self._number(call)
        if number is not None:
            stream = self._streams[number]
            stream.paused = False
            self._acknowledge(number, stream)
            owed, stream.owed = stream.owed, 0
            if owed:
                with contextlib.suppress(h2.exceptions.StreamClosedError):
                    self._h2.increment_flow_control_window(owed, number)
            self._flush()

    def close_if_idle(self, now: float, longest: float) -> None:
        """Close a connection that has carried nothing for `longest` seconds."""
        if not self._streams and now - self._idle_since > longest:
            self._h2.close_connection()
            self._flush()
            self.channel.finish()
            self._pool.gone(self)

    # What the hub tells.

    def received(self, data: bytes) -> None:
        self._reads += 1
        try:
            events = self._h2.receive_data(data)
        except h2.exceptions.ProtocolError as error:
            self._flush()
            self._fail(UpstreamProtocolError(f"{self.address} does not speak HTTP/2: {error}"))
            return
        touched: dict[int, _Stream] = {}
        for event in events:
            self._take(event, touched)
        for number, stream in touched.items():
            self._tell(number, stream)
        self._flush()

    def ended(self, error: OSError | None) -> None:
        reason = f": {error.strerror or error}" if error is not None else ""
        if self._calls > 1:
            # As with HTTP/1.1: the connection was dead before these went out, so they go out once more.
            unheard = [
                number
                for number, stream in self._streams.items()
                if stream.began == self._reads and not stream.call.once
            ]
            for number in unheard:
                self._elsewhere(
                    number, UpstreamProtocolError(f"{self.address} closed the connection{reason}")
                )
        self._fail(UpstreamProtocolError(f"{self.address} closed the connection{reason}"))

    def drained(self) -> None:
        """Requests are sent; windows, not this socket, tell when there is more room."""

    def _take(self, event: h2.events.Event, touched: dict[int, _Stream]) -> None:
        number = getattr(event, "stream_id", None)
        stream = self._streams.get(number) if number else None
        if isinstance(event, h2.events.DataReceived):
            if stream is None:
                self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                return
            stream.data.append(event.data)
            stream.held += event.flow_controlled_length
            touched[event.stream_id] = stream
        elif isinstance(event, h2.events.ResponseReceived) and stream is not None:
            stream.head = head = ReplyHead()
            stream.new = True
            for name, value in event.headers:
                if name == b":status":
                    head.status = int(value) if value.isdigit() else 0
                elif name[:1] != b":":
                    head.add(bytes(name), bytes(value))
            if not 200 <= head.status <= 999:
                self._reset(event.stream_id, h2.errors.ErrorCodes.PROTOCOL_ERROR)
                stream.call.carrier = None
                stream.call.sink.failed(
                    UpstreamProtocolError(f"{self.address} sent a reply without a status")
                )
                return
            touched[event.stream_id] = stream
        elif isinstance(event, h2.events.StreamEnded) and stream is not None:
            stream.end = True
            touched[event.stream_id] = stream
        elif isinstance(event, h2.events.StreamReset) and stream is not None:
            touched.pop(event.stream_id, None)
            error = _reset_reason(self.address, event.error_code, stream)
            if isinstance(error, UpstreamRefused):
                self._elsewhere(event.stream_id, error)  # it was not looked at: RFC 9113 section 8.7
            else:
                self._drop(event.stream_id, error)
        elif isinstance(event, h2.events.WindowUpdated | h2.events.RemoteSettingsChanged):
            if self.unsettled and isinstance(event, h2.events.RemoteSettingsChanged):
                self.unsettled = False
                self._pool.admit()
            for other, waiting in list(self._streams.items()):
                self._send_body(other, waiting)
        elif isinstance(event, h2.events.ConnectionTerminated):
            self._terminated(event.last_stream_id or 0)

    def _tell(self, number: int, stream: _Stream) -> None:
        if self._streams.get(number) is not stream or stream.head is None:
            return
        data = b"" if not stream.data else stream.data[0] if len(stream.data) == 1 else b"".join(stream.data)
        stream.data = []
        new = stream.head if stream.new else None
        stream.new = False
        stream.call.answered = True
        if stream.end:
            if stream.unsent:  # the whole reply came before the whole request went: RFC 9113 section 8.1
                self._reset(number, h2.errors.ErrorCodes.NO_ERROR)
            self._forget(number)
            stream.call.carrier = None
        elif not stream.paused:
            self._acknowledge(number, stream)
        else:
            # The stream's window stays shut until `resume`; the connection's is everybody's.
            held, stream.held = stream.held, 0
            stream.owed += held
            if held:
                self._h2.increment_flow_control_window(held)
        stream.call.sink.reply(new, data, stream.end)

    def _acknowledge(self, number: int, stream: _Stream) -> None:
        held, stream.held = stream.held, 0
        if held:
            with contextlib.suppress(h2.exceptions.StreamClosedError):
                self._h2.acknowledge_received_data(held, number)

    def _send_body(self, number: int, stream: _Stream) -> None:
        while stream.unsent and number in self._streams:
            room = min(self._h2.local_flow_control_window(number), self._h2.max_outbound_frame_size)
            if room <= 0:
                return
            piece, stream.unsent = stream.unsent[:room], stream.unsent[room:]
            self._h2.send_data(number, bytes(piece), end_stream=not stream.unsent)

    def _terminated(self, last: int) -> None:
        """GOAWAY: streams above `last` were not looked at and may go elsewhere (RFC 9113 section 6.8)."""
        self._leave()
        for number in [number for number in self._streams if number > last]:
            self._elsewhere(number, UpstreamRefused(f"{self.address} is going away"))
        if not self._streams:
            self.channel.finish()
            self._pool.gone(self)

    def _elsewhere(self, number: int, error: UpstreamError) -> None:
        """Send a call that the upstream did not look at on another connection, once."""
        call = self._streams[number].call
        if call.retried:
            self._drop(number, error)
            return
        self._forget(number)
        call.retried = True
        call.carrier = None
        self._pool.send_fresh(call)

    def _number(self, call: Call) -> int | None:
        return next((number for number, stream in self._streams.items() if stream.call is call), None)

    def _reset(self, number: int, code: h2.errors.ErrorCodes) -> None:
        stream = self._streams.get(number)
        if stream is not None and stream.held:
            self._acknowledge(number, stream)
        with contextlib.suppress(h2.exceptions.StreamClosedError):
            self._h2.reset_stream(number, code)
        self._forget(number)

    def _drop(self, number: int, error: UpstreamError) -> None:
        stream = self._streams[number]
        self._forget(number)
        stream.call.carrier = None
        stream.call.sink.failed(error)

    def _forget(self, number: int) -> None:
        self._streams.pop(number, None)
        if not self._streams:
            self._idle_since = monotonic()
            if self._leaving:
                self.channel.finish()
                self._pool.gone(self)

    def _leave(self) -> None:
        self._leaving = True
        self._pool.full(self)

    def _fail(self, error: UpstreamError) -> None:
        self._leave()
        self.channel.close()
        self._pool.gone(self)
        for number in list(self._streams):
            self._drop(number, error)

    def _flush(self) -> None:
        data = self._h2.data_to_send()
        if data:
            self.channel.write(data)


def _reset_reason(address: str, code: int | None, stream: _Stream) -> UpstreamError:
    if code == h2.errors.ErrorCodes.REFUSED_STREAM and stream.head is None:
        return UpstreamRefused(f"{address} refused the stream")
    return UpstreamProtocolError(f"{address} reset the stream (error code {code})")

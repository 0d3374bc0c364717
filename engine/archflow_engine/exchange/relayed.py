"""A reply on its way from the upstream to the client, and how long each of them may be silent meanwhile.

Rule: after the first byte to the client nothing fails over; a reply cut short is never made to look whole.
"""

from __future__ import annotations

from typing import Any

from archflow_engine.exchange.answered import Answered
from archflow_engine.hub import monotonic
from archflow_engine.plan import CORS
from archflow_engine.upstream.call import ReplyHead
from archflow_engine.watch import EVENT_ENDS, Watch, take

HIGH_WATER = 256 * 1024
"""Bytes waiting for a slow client above which its upstream is no longer read."""
PULSE = 15.0
"""Seconds of silence after which a client in mid-stream is told that its stream lives."""
READ_LATER = 16_384
"""Bytes of a whole reply that may be kept until it is counted."""
FOREVER = float("inf")


class Relayed(Answered):
    """The reply's part of an exchange. Mutable: it changes with every read of the upstream."""

    _dispatch: Any = None
    _watch: Watch | None = None
    _last: bytes = b""
    _stream: bool = False
    _held: bool = False
    _heard: float = 0.0
    """When the upstream last said something, or was asked,"""
    _patience: float = 0.0
    """and for how long it may say nothing."""
    _quiet: float = 0.0
    """Since when the client has been told nothing,"""
    _told: int = -1
    """if it has had no more than so many bytes."""

    # The upstream's side.

    def sent(self, address: str, *, reused: bool) -> None:
        """The request is on its way."""
        if self.attempt is not None:
            self.attempt.address = address
            self.attempt.reused = reused

    def reply(self, head: ReplyHead | None, data: bytes, end: bool) -> None:
        """What one read of the upstream brought: relayed in one write."""
        if self.over:
            return
        record = self.record
        record.bytes_sent += len(data)
        waiting = 0
        if head is not None:
            self._begin_relay(head, data, end)
        else:
            watch = self._watch
            if watch is not None:
                watch.feed(data)
            self._last = data
            waiting = self.client.write(data, end)
        if end:
            if self._watch is not None:
                self._watch.end(record)
            self._call = None  # or the two would keep each other alive until the next garbage collection
            self.finish()
            return
        self._heard = monotonic()  # the deadline follows when it passes: `expired`
        if waiting > HIGH_WATER and self._call is not None and not self.over:
            self._held = True
            self.hold()  # the upstream is silent because it is not heard

    def _begin_relay(self, head: ReplyHead, data: bytes, end: bool) -> None:
        record, attempt, dialect = self.record, self.attempt, self.dialect
        assert attempt is not None and dialect is not None  # noqa: PT018, S101 - set by dispatch()
        record.first_byte = attempt.first_byte = monotonic() - self._began
        record.status = attempt.status = head.status
        attempt.outcome = "streaming"
        self._started = True
        kind = dialect.stream_type.encode()
        stream = head.content_type[: len(kind)] == kind
        if not end:
            self.heard()
            self._stream = stream and head.length is None
            self._last = data
        if head.status < 400:
            if self.translation is not None or self.sieve is not None:
                pass  # they read the reply, and tell the record
            elif end and not stream and not head.content_encoding:
                if self.charges or len(data) > READ_LATER:
                    take(dialect.summarise(data), record)
                else:
                    self.plan.unread.append((dialect, data, record))
            else:
                self._watch = watch = Watch(dialect, stream=stream, encoding=head.content_encoding)
                if data:
                    watch.feed(data)
        else:
            record.error = f"upstream_{head.status}"
        ours = record.request_id.encode()
        headers, raw = self.reply_headers, head.raw
        if raw:
            raw = b"".join((raw, b"x-arch-request-id: ", ours, b"\r\n"))
        else:
            headers = [*head.headers, (b"x-arch-request-id", ours), *headers]
        if not head.request_id:
            headers = [*headers, (b"x-request-id", ours)]
        if b"origin" in self.request.fields and not any(name == CORS[0][0] for name, _ in head.headers):
            headers = [*headers, CORS[0]]
        self.client.start(head.status, headers, data, end, head.length, raw)

    # Who waits for whom.

    def heard(self) -> None:
        """The upstream lives: it may be silent again for as long as it may."""
        self._heard = now = monotonic()
        self._patience = self._dispatch.between_chunks
        if self.record.bytes_sent != self._told:
            self._told, self._quiet = self.record.bytes_sent, now
        self._wait(self._quiet + PULSE)

    def _wait(self, pulse: float) -> None:
        """Until the upstream has said nothing for too long, or the client was told nothing until `pulse`."""
        self.deadline = min(self._whole, self._heard + self._patience, pulse)

    def hold(self) -> None:
        """What the upstream said is not ready for the client: it is not heard until `go_on`."""
        if self._call is not None:
            self._patience = FOREVER
            self._wait(self._whole if self._held else monotonic() + PULSE)
            self._call.pause()

    def go_on(self) -> None:
        """The upstream is heard again, unless the client is slow."""
        if self._call is not None and not self._held and not self.over:
            self.heard()
            self._call.resume()

    def client_drained(self) -> None:
        """A slow client took what waited for it."""
        if self._held and self._call is not None:
            self._held = False
            self.heard()
            self._call.resume()

    def _bears(self, now: float) -> bool:
        """Whether nobody has been waited for too long; a client in mid-stream is told that its stream lives."""
        if now >= self._whole or now >= self._heard + self._patience:
            return False
        quiet = self._quiet if self.record.bytes_sent == self._told else self._heard
        if now < quiet + PULSE:
            self._wait(quiet + PULSE)
        else:
            self._wait(now + PULSE)
            self._pulse()
            self._told, self._quiet = self.record.bytes_sent, now
        return True

    def _pulse(self) -> None:
        """The client hears nothing for a while: tell it, in mid-stream, that its stream lives."""
        dialect, watch = self.dialect, self._watch
        between = (
            self.translation is not None
            or self.sieve is not None
            or (
                watch is not None
                and watch.plain
                and (self._last.endswith(EVENT_ENDS) if watch.between is None else watch.between)
            )
        )
        if self._stream and between and not self._held and dialect is not None and dialect.ping:
            self.record.bytes_sent += len(dialect.ping)
            self.client.write(dialect.ping, False)

    # A reply that is not whole.

    def _cut_short(self, code: str, message: str) -> None:
        """The reply ended before its end: tell the client in its dialect, or by cutting the connection."""
        self.record.error = code
        self.record.detail = message
        watch = self._watch
        if self._stream and self.translation is not None:
            event = self.translation.cut_short(code, message)
            if not event and self.dialect is not None:  # it has said all, though not all of that has left
                event = self.dialect.encode_stream_error(code, message)
            self.record.bytes_sent += len(event)
            self.client.write(event, True)
        elif self._stream and self.dialect is not None and self._appendable:
            event = self.dialect.encode_stream_error(code, message)
            lines = (
                self.sieve.lines if self.sieve is not None else watch is not None and watch.between is None
            )
            if lines and not self._last.endswith(EVENT_ENDS):
                event = b"\n\n" + event  # of its own, not the rest of the one that was cut
            self.record.bytes_sent += len(event)
            self.client.write(event, True)
        else:
            self.client.abort()
        self.finish()

    @property
    def _appendable(self) -> bool:
        """Whether an event of ours may stand behind what the client of a stream has got."""
        watch = self._watch
        return self.sieve is not None or (watch is not None and watch.plain and watch.between is not False)

    def cut(self, code: str, message: str) -> None:
        """The client gets no more of the reply that it is in the middle of."""
        if not self.over:
            self.unheard()
            self._cut_short(code, message)

    def shut_down(self) -> None:
        """The gateway ends before this does: the client is told as well as it still can be."""
        if self.over:
            return
        self._stop()
        message = "the gateway is shutting down; ask again"
        if self._started:
            self._cut_short("shutting_down", message)
        else:
            self.refuse(503, "shutting_down", message)

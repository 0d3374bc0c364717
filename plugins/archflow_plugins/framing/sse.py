"""Server-sent events: bytes in any portions in, whole events out.

Follows the WHATWG HTML standard, section 9.2.6 "Interpreting an event stream": lines end with CR, LF or CRLF, one
byte order mark may lead, `:` begins a comment, several `data` lines make one value, and a stream that ends without
a blank line loses its last event.

Invariant: the events do not depend on how the bytes were portioned.
Rule: memory is bounded: an event larger than the limit raises instead of growing.
"""

from __future__ import annotations

from msgspec import Struct

from archflow_schema.errors import UpstreamProtocolError

MAX_EVENT = 4 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"


class Event(Struct, frozen=True, kw_only=True):
    """One event.

    Attributes:
        event: its type; empty means `message`.
        data: its data lines joined by newlines; the standard drops events without any, and so do we.
        id: the last event id so far.
    """

    event: str = ""
    data: bytes = b""
    id: str = ""


class Splitter:
    """Cuts one stream into events. Feed it every byte in order."""

    def __init__(self, max_event: int = MAX_EVENT) -> None:
        self._max_event = max_event
        self._partial = bytearray()
        self._after_cr = False
        self._began = False
        self._type = ""
        self._id = ""
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that these bytes complete.

        Raises:
            UpstreamProtocolError: an event is larger than the limit.
        """
        if self._after_cr and chunk:
            self._after_cr = False
            if chunk.startswith(b"\n"):  # the second half of a CRLF that was cut in two
                chunk = chunk[1:]
        events: list[Event] = []
        if b"\n" in chunk or b"\r" in chunk:
            self._after_cr = chunk.endswith(b"\r")
            lines = (bytes(self._partial) + chunk).splitlines(keepends=True)
            self._partial.clear()
            if not lines[-1].endswith((b"\n", b"\r")):
                self._partial += lines.pop()
            for line in lines:
                event = self._line(line.rstrip(b"\r\n"))
                if event is not None:
                    events.append(event)
        else:
            self._partial += chunk
        if len(self._partial) + self._size > self._max_event:
            raise self._too_large()
        return events

    def _line(self, line: bytes) -> Event | None:
        if len(line) + self._size > self._max_event:
            raise self._too_large()
        if not self._began:
            self._began = True
            line = line.removeprefix(_BOM)
        if not line:
            return self._dispatch()
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        match name:
            case b"data":
                self._data.append(value)
                self._size += len(value) + 1
            case b"event":
                self._type = value.decode("utf-8", "replace")
            case b"id" if b"\0" not in value:
                self._id = value.decode("utf-8", "replace")
            case _:  # a comment, `retry`, or a field that the standard says to ignore
                pass
        return None

    def _dispatch(self) -> Event | None:
        event = Event(event=self._type, data=b"\n".join(self._data), id=self._id) if self._data else None
        self._type, self._data, self._size = "", [], 0
        return event

    def _too_large(self) -> UpstreamProtocolError:
        return UpstreamProtocolError(f"a server-sent event is larger than {self._max_event} bytes")


def encode(data: bytes, event: str = "") -> bytes:
    """One event as bytes; `data` holds no line break."""
    head = f"event: {event}\n".encode() if event else b""
    return head + b"data: " + data + b"\n\n"

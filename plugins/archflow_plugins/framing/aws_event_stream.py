"""Amazon's binary event stream (`application/vnd.amazon.eventstream`): bytes in any portions in, whole frames out.

::

    total length 4 | headers' length 4 | CRC of these 8 | headers | payload | CRC of all before

Source: Smithy's specification "Amazon Event Stream" and botocore's `eventstream` module, 2026-11.

Invariant: the frames do not depend on how the bytes were portioned.
Rule: both checksums are checked. A frame larger than the limit raises before it is kept; so does a cut one at the end.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Mapping
from functools import lru_cache
from zlib import crc32

from msgspec import Struct

from archflow_schema.errors import UpstreamProtocolError

CONTENT_TYPE = "application/vnd.amazon.eventstream"
MAX_FRAME = 4 * 1024 * 1024
_PRELUDE = struct.Struct("!III")
_LENGTHS = struct.Struct("!II")
_CRC = struct.Struct("!I")
_CACHED_HEADERS = 512
"""Header blocks up to this size are remembered: a stream repeats a handful of them."""

Value = bool | int | bytes | str | uuid.UUID


class Headers(Struct, frozen=True):
    """The headers of a frame.

    Attributes:
        message_type: `event`, `exception` or `error`.
        name: the type of the event or of the exception, or the code of the error.
        values: all headers in order; a timestamp is its milliseconds since 1970.
    """

    message_type: str
    name: str
    values: tuple[tuple[str, Value], ...]

    def text(self, name: str) -> str:
        """The value of a header that is a string; empty if there is none."""
        return next((value for key, value in self.values if key == name and isinstance(value, str)), "")


class Frame(Struct, frozen=True):
    """One frame."""

    headers: Headers
    payload: bytes


class Splitter:
    """Cuts one stream into frames. Feed it every byte in order, then ask `end`."""

    def __init__(self, max_frame: int = MAX_FRAME) -> None:
        self._max_frame = max_frame
        self._partial = bytearray()
        self._wanted = _PRELUDE.size

    def feed(self, chunk: bytes) -> list[Frame]:
        """The frames that these bytes complete.

        Raises:
            UpstreamProtocolError: they are not frames, or one is larger than the limit.
        """
        if self._partial:
            self._partial += chunk
            if len(self._partial) < self._wanted:
                return []
            chunk = bytes(self._partial)
            self._partial.clear()
        frames: list[Frame] = []
        at, size = 0, len(chunk)
        while size - at >= _PRELUDE.size:
            total, headers, crc = _PRELUDE.unpack_from(chunk, at)
            self._check(total, headers, crc, chunk[at : at + _LENGTHS.size])
            if size - at < total:
                self._wanted = total
                break
            frames.append(_frame(chunk[at : at + total], headers))
            at += total
        else:
            self._wanted = _PRELUDE.size
        if at < size:
            self._partial += chunk[at:]
        return frames

    @property
    def between(self) -> bool:
        """Whether what was fed ends between two frames."""
        return not self._partial

    def end(self) -> None:
        """The stream is over.

        Raises:
            UpstreamProtocolError: in the middle of a frame.
        """
        if self._partial:
            raise UpstreamProtocolError("the event stream ends in the middle of a frame")

    def _check(self, total: int, headers: int, crc: int, lengths: bytes) -> None:
        if crc32(lengths) != crc:
            raise UpstreamProtocolError("the checksum of an event-stream frame's lengths is wrong")
        if total > self._max_frame:
            raise UpstreamProtocolError(f"an event-stream frame is larger than {self._max_frame} bytes")
        if headers > total - _PRELUDE.size - _CRC.size:
            raise UpstreamProtocolError("an event-stream frame is shorter than its own headers")


def _frame(data: bytes, headers: int) -> Frame:
    end = len(data) - _CRC.size
    if crc32(memoryview(data)[:end]) != _CRC.unpack_from(data, end)[0]:
        raise UpstreamProtocolError("the checksum of an event-stream frame is wrong")
    block = data[_PRELUDE.size : _PRELUDE.size + headers]
    read = _remembered if headers <= _CACHED_HEADERS else _read
    return Frame(read(block), data[_PRELUDE.size + headers : end])


def _read(block: bytes) -> Headers:
    try:
        values = _values(block)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise UpstreamProtocolError("the headers of an event-stream frame cannot be read") from error
    message_type = str(values.get(":message-type", ""))
    key = _NAMES.get(message_type, ":event-type")
    return Headers(message_type, str(values.get(key, "")), tuple(values.items()))


_remembered = lru_cache(maxsize=64)(_read)
_NAMES = {"event": ":event-type", "exception": ":exception-type", "error": ":error-code"}
_NUMBERS = {
    2: struct.Struct("!b"),
    3: struct.Struct("!h"),
    4: struct.Struct("!i"),
    5: struct.Struct("!q"),
    8: struct.Struct("!q"),
}
_SHORT = struct.Struct("!H")


def _values(block: bytes) -> dict[str, Value]:
    values: dict[str, Value] = {}
    at = 0
    while at < len(block):
        name, at = _slice(block, at + 1, block[at])
        kind = block[at]
        at += 1
        value: Value
        match kind:
            case 0 | 1:
                value = kind == 0
            case 2 | 3 | 4 | 5 | 8:
                value = _NUMBERS[kind].unpack_from(block, at)[0]
                at += _NUMBERS[kind].size
            case 6 | 7:
                data, at = _slice(block, at + 2, _SHORT.unpack_from(block, at)[0])
                value = data if kind == 6 else data.decode("utf-8")
            case 9:
                data, at = _slice(block, at, 16)
                value = uuid.UUID(bytes=data)
            case _:
                raise UpstreamProtocolError(f"an event-stream header has the unknown type {kind}")
        key = name.decode("utf-8")
        if key in values:
            raise UpstreamProtocolError("an event-stream frame has a header twice")
        values[key] = value
    return values


def _slice(block: bytes, at: int, size: int) -> tuple[bytes, int]:
    if at + size > len(block):
        raise IndexError(at)
    return block[at : at + size], at + size


def encode_headers(values: Mapping[str, Value]) -> bytes:
    """The header block of frames: made once, used by many."""
    return b"".join(_name(name) + _value(value) for name, value in values.items())


def encode(headers: bytes, payload: bytes) -> bytes:
    """One frame; `headers` is a block of `encode_headers`."""
    lengths = _LENGTHS.pack(_PRELUDE.size + len(headers) + len(payload) + _CRC.size, len(headers))
    data = b"".join((lengths, _CRC.pack(crc32(lengths)), headers, payload))
    return data + _CRC.pack(crc32(data))


def _name(name: str) -> bytes:
    data = name.encode("utf-8")
    return bytes((len(data),)) + data


def _value(value: Value) -> bytes:
    match value:
        case bool():
            return b"\x00" if value else b"\x01"
        case int():
            return b"\x05" + _NUMBERS[5].pack(value)
        case str():
            data = value.encode("utf-8")
            return b"\x07" + _SHORT.pack(len(data)) + data
        case bytes():
            return b"\x06" + _SHORT.pack(len(value)) + value
        case uuid.UUID():
            return b"\x09" + value.bytes

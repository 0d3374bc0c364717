"""What a reply tells as it goes by: tokens, finish reason, the model that really answered.

Rule: it looks at copies and never holds a byte back; a reply that it does not understand tells nothing.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from archflow_plugins.kinds import Dialect, StreamTap, Summary

if TYPE_CHECKING:
    from archflow_plugins.record import Record

LARGEST = 4 << 20
"""Bytes of a whole reply beyond which it is relayed unread."""
_GZIP_OR_ZLIB = 47


class Watch:
    """Watches one reply.

    Attributes:
        plain: whether the body is without content-encoding, so that an error event may be appended to it.
    """

    __slots__ = ("_dialect", "_inflate", "_kept", "_size", "_tap", "plain")

    def __init__(self, dialect: Dialect, *, stream: bool, encoding: bytes) -> None:
        self.plain = encoding in {b"", b"identity"}
        readable = self.plain or encoding in {b"gzip", b"x-gzip", b"deflate"}
        self._dialect = dialect
        self._inflate = zlib.decompressobj(_GZIP_OR_ZLIB) if readable and not self.plain else None
        self._tap: StreamTap | None = dialect.tap() if stream and readable else None
        self._kept: list[bytes] | None = [] if readable and not stream else None
        self._size = 0

    @property
    def between(self) -> bool | None:
        """Whether the body so far ends between two events; None if only its last bytes tell."""
        return self._tap.between if self._tap is not None else None

    def feed(self, data: bytes) -> None:
        """More of the body went by."""
        if self._inflate is not None:
            try:
                data = self._inflate.decompress(data, LARGEST)
            except zlib.error:
                self._tap = self._kept = self._inflate = None
                return
        if self._tap is not None:
            self._tap.feed(data)
        elif self._kept is not None:
            self._kept.append(data)
            self._size += len(data)
            if self._size > LARGEST:
                self._kept = None

    def end(self, record: Record) -> None:
        """The reply is whole: write what it told into the record."""
        told: StreamTap | Summary | None = self._tap
        if self._kept:
            told = self._dialect.summarise(self._kept[0] if len(self._kept) == 1 else b"".join(self._kept))
        if told is not None:
            take(told, record)


def take(told: StreamTap | Summary, record: Record) -> None:
    """Write into a record what a reply told about itself."""
    record.usage = told.usage
    record.finish_reason = told.finish_reason
    record.response_model = told.response_model
    record.response_id = told.response_id

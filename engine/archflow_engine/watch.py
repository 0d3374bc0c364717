"""What a reply tells as it goes by: tokens, finish reason, the model that really answered.

Rule: it looks at copies and never holds a byte back; a reply that it does not understand tells nothing.
Rule: nobody asks before the end what a stream told, so it is looked at in batches: a look costs most at its beginning.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from archflow_engine.inflate import GZIP_OR_ZLIB, PLAIN, READABLE
from archflow_plugins.kinds import Dialect, StreamTap, Summary

if TYPE_CHECKING:
    from archflow_plugins.record import Record

LARGEST = 4 << 20
"""Bytes of a whole reply beyond which it is relayed unread."""
BATCH = 4096
"""Bytes of a stream that are looked at together."""
EVENT_ENDS = (b"\n\n", b"\r\n\r\n", b"\r\r")
"""How an event ends in a stream of lines."""


class Watch:
    """Watches one reply.

    Attributes:
        plain: whether the body is without content-encoding, so that an error event may be appended to it.
    """

    __slots__ = ("_dialect", "_inflate", "_kept", "_size", "_tap", "plain")

    def __init__(self, dialect: Dialect, *, stream: bool, encoding: bytes) -> None:
        self.plain = encoding in PLAIN
        readable = self.plain or encoding in READABLE
        self._dialect = dialect
        self._inflate = zlib.decompressobj(GZIP_OR_ZLIB) if readable and not self.plain else None
        self._tap: StreamTap | None = dialect.tap() if stream and readable else None
        self._kept: list[bytes] | None = [] if readable else None
        self._size = 0

    @property
    def between(self) -> bool | None:
        """Whether the body so far ends between two events; None if only its last bytes tell."""
        self._look()
        return self._tap.between if self._tap is not None else None

    def feed(self, data: bytes) -> None:
        """More of the body went by."""
        if self._inflate is not None:
            try:
                data = self._inflate.decompress(data, LARGEST)
            except zlib.error:
                self._tap = self._kept = self._inflate = None
                return
        kept = self._kept
        if kept is not None:
            kept.append(data)
            self._size = size = self._size + len(data)
            if size > BATCH:
                self._fill(size)

    def _fill(self, size: int) -> None:
        """Enough of a stream for a look; a whole reply is kept until its end, if it is not too large."""
        if self._tap is not None:
            self._look()
        elif size > LARGEST:
            self._kept = None

    def _look(self) -> None:
        """Let the tap have what went by since the last look."""
        if self._tap is not None and self._kept:
            self._tap.feed(self._kept[0] if len(self._kept) == 1 else b"".join(self._kept))
            self._kept.clear()
            self._size = 0

    def end(self, record: Record) -> None:
        """The reply is whole: write what it told into the record."""
        self._look()
        told: StreamTap | Summary | None = self._tap
        if told is None and self._kept:
            told = self._dialect.summarise(self._kept[0] if len(self._kept) == 1 else b"".join(self._kept))
        if told is not None:
            take(told, record)


def take(told: StreamTap | Summary, record: Record) -> None:
    """Write into a record what a reply told about itself."""
    record.usage = told.usage
    record.finish_reason = told.finish_reason
    record.response_model = told.response_model
    record.response_id = told.response_id

"""Watching a server-sent-event stream go by, as cheaply as it can be done: whole lines, looked at only on suspicion.

A relayed stream is never decoded; a tap searches each portion for a few byte strings and decodes only the rare line
that tells something: the first ones, the one with the finish reason, the one with usage.

Invariant: what a tap tells does not depend on how the bytes were portioned.
Rule: never raises; memory is bounded by MAX_LINE, and a longer line is ignored.
"""

from __future__ import annotations

from typing import ClassVar

from archflow_plugins.kinds import StreamTap

MAX_LINE = 1024 * 1024
_DATA = (b"data:", b"\xef\xbb\xbfdata:")


class LineTap(StreamTap):
    """A tap that hands data lines to `look`: those that contain a needle, and the first few of a stream.

    `look` is left to the dialects' taps; tests/house/test_written.py looks for it in each.

    Attributes:
        needles: byte strings, one of which every interesting line contains.
        opening: how many data lines at the start are looked at in any case, until `look` is content.
    """

    needles: ClassVar[tuple[bytes, ...]]
    opening: ClassVar[int] = 0

    def __init__(self) -> None:
        self._partial = bytearray()
        self._openings_left = self.opening

    def feed(self, chunk: bytes) -> None:
        if chunk[-1:] == b"\n":  # as nearly all do
            end = len(chunk)
        else:
            end = max(chunk.rfind(b"\n"), chunk.rfind(b"\r")) + 1
            if end == 0:
                self._keep(chunk)
                return
        lines = chunk if end == len(chunk) else chunk[:end]
        if self._partial:
            lines = bytes(self._partial) + lines
            self._partial.clear()
        if end != len(chunk):
            self._keep(chunk[end:])
        if self._openings_left == 0:
            # Not by `in`, which takes bytes for a number first: it makes and drops an exception each time.
            find = lines.find
            for needle in self.needles:
                if find(needle) >= 0:
                    break
            else:
                return
        self._look_at(lines)

    def look(self, data: bytes) -> bool:
        """Learn from the data of one line; returns whether the opening has told all that it can. Never raises."""
        raise NotImplementedError

    def _look_at(self, lines: bytes) -> None:
        for line in lines.splitlines():
            if not line.startswith(_DATA) or len(line) > MAX_LINE:
                continue
            if self._openings_left:
                self._openings_left -= 1
            elif not any(needle in line for needle in self.needles):
                continue
            if self.look(line.partition(b":")[2]):
                self._openings_left = 0

    def _keep(self, rest: bytes) -> None:
        """Remember an unfinished line, up to one byte more than MAX_LINE: enough to know that it is too long."""
        room = MAX_LINE + 1 - len(self._partial)
        if room > 0:
            self._partial += rest[:room]

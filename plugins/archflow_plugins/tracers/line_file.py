"""Appending whole lines to a file, a pipe or a terminal, without ever waiting for a reader.

Lines are batched. A pipe whose reader is slow takes what it has room for; the rest waits up to a limit, and after
that new lines are dropped and counted. A file is opened anew when it was rotated away.

Rule: nothing here raises but the constructor; trouble is reported once, and again only after it was over.
Rule: what goes into a pipe goes in portions of whole lines of at most PIPE_BUF bytes, which the system never mixes
with those of other workers (POSIX, write).
"""

from __future__ import annotations

import os
import select
import stat
from collections.abc import Callable, Iterable
from pathlib import Path

from archflow_schema.errors import ArchflowError, os_reason

BATCH = 64
"""Lines after which they are written at once."""
HELD_AT_MOST = 8192
"""Lines that may wait for a slow reader."""
_STANDARD = {"stdout": 1, "stderr": 2}


class LineFile:
    """One destination.

    Attributes:
        dropped: lines that were never written.
    """

    def __init__(self, path: str, complain: Callable[[str], None]) -> None:
        """Open the destination: `stdout`, `stderr` or the path of a file, which is made if it is not there.

        Raises:
            ArchflowError: it cannot be opened.
        """
        self.dropped = 0
        self._path = path
        self._complain = complain
        self._troubles: set[str] = set()
        self._lines: list[bytes] = []
        self._begun = b""
        standard = _STANDARD.get(path)
        try:
            self._fd = _open(path) if standard is None else _own_description(standard)
            self._regular = stat.S_ISREG(os.fstat(self._fd).st_mode)
        except OSError as error:
            reason = os_reason(error)
            raise ArchflowError(
                f"the log {path} cannot be opened: {reason}: make its folder, or choose another `path`"
            ) from error
        self._rotates = standard is None and self._regular
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLOUT)

    @property
    def pending(self) -> bool:
        """Whether lines still wait to be written, and it is not in vain."""
        return bool(self._begun or self._lines) and not self._troubles

    def add(self, lines: Iterable[bytes]) -> None:
        """Take lines, their newlines included."""
        before = len(self._lines)
        self._lines += lines
        if len(self._lines) // BATCH > before // BATCH:
            self.flush()
        excess = len(self._lines) - HELD_AT_MOST
        if excess > 0:
            del self._lines[HELD_AT_MOST:]
            self.dropped += excess
            self._trouble("writing", "has a reader that is too slow, so lines are dropped")

    def flush(self) -> None:
        """Write what can be written at once."""
        if self._rotates:
            self._follow_rotation()
        while self._begun or self._lines:
            if not self._begun:
                self._begun = self._next_portion()
            try:
                if not self._regular and not self._poll.poll(0):
                    return
                written = os.write(self._fd, self._begun)
            except BlockingIOError:
                return
            except OSError as error:
                self.dropped += self._begun.count(b"\n")
                self._begun = b""
                self._trouble("writing", f"cannot be written ({error.strerror}), so lines are dropped")
                return
            self._begun = self._begun[written:]
        self._troubles.discard("writing")

    def close(self) -> None:
        """Write what can be written at once, count the rest as dropped, and close what was opened here."""
        if self._fd < 0:
            return
        self.flush()
        self.dropped += len(self._lines) + self._begun.count(b"\n")
        self._lines.clear()
        self._begun = b""
        if self._fd not in _STANDARD.values():
            os.close(self._fd)
        self._fd = -1

    def _next_portion(self) -> bytes:
        count = len(self._lines)
        if not self._regular:
            size = count = 0
            for line in self._lines:
                size += len(line)
                if size > select.PIPE_BUF and count:
                    break
                count += 1
        portion = b"".join(self._lines[:count])
        del self._lines[:count]
        return portion

    def _follow_rotation(self) -> None:
        """Open the path again if it leads elsewhere by now, unless a line is half written."""
        if self._begun:
            return
        try:
            if os.path.samestat(Path(self._path).stat(), os.fstat(self._fd)):
                self._troubles.discard("rotation")
                return
        except OSError:  # moved away, or its folder is: opening tells which
            pass
        try:
            fresh = _open(self._path)
        except OSError as error:
            self._trouble(
                "rotation", f"cannot be opened again ({error.strerror}), so the old file is written on"
            )
            return
        os.close(self._fd)
        self._fd = fresh

    def _trouble(self, kind: str, what: str) -> None:
        if kind not in self._troubles:
            self._troubles.add(kind)
            self._complain(f"the log {self._path} {what}")


def _open(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)


def _own_description(standard: int) -> int:
    """A standard stream opened once more, so that it alone is non-blocking and not what others write to.

    That works for pipes and terminals. A file must keep its position, and a socket cannot be opened by its path: these
    are used as they are; `poll` tells then whether a portion fits.
    """
    mode = os.fstat(standard).st_mode
    if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
        try:
            return os.open(f"/proc/self/fd/{standard}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            pass
    return standard

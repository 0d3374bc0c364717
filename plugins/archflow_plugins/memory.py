"""Memory that nobody needs any more, handed back to the system."""

from __future__ import annotations

import contextlib
import ctypes


def give_back() -> None:
    """Hand freed memory to the system, where the C library is glibc, which keeps it. Blocks for up to some 20 ms."""
    with contextlib.suppress(AttributeError, OSError):  # another library
        ctypes.CDLL(None).malloc_trim(0)

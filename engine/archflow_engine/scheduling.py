"""How soon the kernel lets the event loop run when something comes in for it, while models and others work.

Linux hands out cores by virtual deadlines: a thread whose slice is short has near ones, and if it has not had more than
its share lately, it takes the core of a thread with a longer slice as soon as it wakes, instead of at the next tick, up
to 4 ms later. Its share stays what it was. Since Linux 6.12 a thread may choose its slice: sched_setattr(2) with
`sched_runtime`, which neither Python nor the C library has.

Source: sched(7), sched_setattr(2), and Documentation/scheduler/sched-eevdf.rst of the kernel.

Rule: only the calling thread's slice changes; what it starts begins with the kernel's, so models do not gain by it.
Rule: whom somebody gave a policy or a priority of its own is left alone.
Rule: where the kernel knows no slices, or does not let us, everything is as before.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
import sys
from pathlib import Path

SLICE = 100_000
"""Nanoseconds: the least that the kernel takes."""
CALLS = {"x86_64": (314, 315), "aarch64": (274, 275), "riscv64": (274, 275)}
"""By machine the numbers of sched_setattr and sched_getattr."""
ATTRIBUTES = struct.Struct("=IIQiIQQQ")
"""struct sched_attr in its first version: size, policy, flags, nice, priority, runtime, deadline, period."""
NORMAL, RESET_ON_FORK = 0, 1
"""SCHED_OTHER, and the flag by which no thread or process inherits the slice."""


def wake_promptly() -> int:
    """Ask for the shortest slice for the calling thread. Blocks briefly.

    Returns:
        Nanoseconds of its slice, as the kernel says; 0 where nothing was asked for, or nothing came of it.
    """
    if sys.platform != "linux" or os.uname().machine not in CALLS or not _endured():
        return 0
    choose(SLICE)
    return SLICE if slice_of() == SLICE else 0


def choose(nanoseconds: int) -> None:
    """Ask for a slice for the calling thread; 0 is the kernel's own. Blocks briefly."""
    attributes = _read(0)
    if attributes is None:
        return
    _, policy, _, nice, *_ = attributes
    # A thread with a negative nice value would start others without it: what resets a slice resets that too.
    if policy == NORMAL and nice >= 0:
        wanted = ATTRIBUTES.pack(ATTRIBUTES.size, NORMAL, RESET_ON_FORK, nice, 0, nanoseconds, 0, 0)
        _call(0, 0, wanted, 0)


def slice_of(thread: int = 0) -> int:
    """Nanoseconds of a thread's slice, of the calling one's by default; 0 where the kernel does not tell."""
    attributes = _read(thread)
    return attributes[5] if attributes is not None and attributes[1] == NORMAL else 0


def _read(thread: int) -> tuple[int, ...] | None:
    told = ctypes.create_string_buffer(ATTRIBUTES.size)
    return ATTRIBUTES.unpack(told.raw) if _call(1, thread, told, ATTRIBUTES.size, 0) == 0 else None


def _call(which: int, thread: int, attributes: object, *rest: int) -> int:
    number = CALLS[os.uname().machine][which]
    return int(
        ctypes.CDLL(None).syscall(
            ctypes.c_long(number), ctypes.c_long(thread), attributes, *map(ctypes.c_long, rest)
        )
    )


def _endured() -> bool:
    """Whether we survive asking: a filter of system calls may end who asks, so a child of ours asks first.

    Containers' filters let this pass; systemd's `SystemCallFilter=~@resources` kills.
    """
    status = ""
    with contextlib.suppress(OSError):
        status = Path("/proc/self/status").read_text()
    if "\nSeccomp:\t2" not in status:
        return True
    child = os.fork()
    if not child:
        try:
            choose(SLICE)
        finally:
            os._exit(0)
    return os.waitpid(child, 0)[1] == 0

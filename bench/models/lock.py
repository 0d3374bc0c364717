"""How long model work keeps Python's lock at a time: what the event loop would wait for at worst, on a core of its own.

A thread that wants the lock all the time looks at the clock whenever it has it. Between two looks somebody else had
it, or nobody had a core. So of each gap only what the working thread spent on a core counts, and no more than what is
left of the gap without the watching thread's own wait for a core.

Rule: one thread works while one watches; a gap is told only if the work was going on.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import time
from collections.abc import Callable

import msgspec

SWITCH = 0.0002
"""The switch interval that the host sets: a thread that computes in Python gives the lock away after this."""

PREAD = ctypes.PyDLL(None).pread
"""pread(2) without letting go of Python's lock, as `os.pread` does: whoever looks on does not wait for it anew."""
PREAD.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int64)
PREAD.restype = ctypes.c_ssize_t


class Held(msgspec.Struct, frozen=True):
    """The longest gap, in milliseconds.

    Attributes:
        longest: time on a core of the working thread in one gap, at most.
        second: the longest but one, so that a single accident is told from a habit.
        took: all of the work, on a core.
    """

    longest: float
    second: float
    took: float


def queued_so_far(schedule: int) -> int:
    """Nanoseconds that a thread spent waiting for a core, of its open schedstat; keeps Python's lock.

    Raises:
        ProcessLookupError: the thread ended.
    """
    told = ctypes.create_string_buffer(100)
    if PREAD(schedule, told, 100, 0) <= 0:
        raise ProcessLookupError(schedule)
    return int(told.value.split()[1])


def schedule_of(thread: int) -> int:
    """A thread's schedstat, opened: field 1 is its wait for a core."""
    return os.open(f"/proc/self/task/{thread}/schedstat", os.O_RDONLY)


def held(work: Callable[[], object]) -> Held:
    """Run some work in a thread and watch the lock. Blocks until it is done.

    Args:
        work: what a thread of the host does.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH)
    try:
        return _watched(work)
    finally:
        sys.setswitchinterval(before)


def _watched(work: Callable[[], object]) -> Held:
    clock: list[int] = []
    begin, over, seen, took = threading.Event(), threading.Event(), threading.Event(), 0

    def run() -> None:
        nonlocal took
        clock.append(time.pthread_getcpuclockid(threading.get_ident()))
        begin.wait()
        began = time.thread_time_ns()
        try:
            work()
        finally:
            took = time.thread_time_ns() - began
            over.set()
            seen.wait()  # its clock goes with it

    worker = threading.Thread(target=run)
    worker.start()
    while not clock:
        time.sleep(0.001)
    schedule = schedule_of(threading.get_native_id())
    gaps: list[float] = []
    begin.set()
    try:
        last, spent, queued = time.monotonic_ns(), time.clock_gettime_ns(clock[0]), queued_so_far(schedule)
        ended = False
        while not ended:
            ended, now = over.is_set(), time.monotonic_ns()
            if now - last > 100_000:
                spent, was = time.clock_gettime_ns(clock[0]), spent
                queued, before = queued_so_far(schedule), queued
                gaps.append(max(0, min(spent - was, now - last - (queued - before))) / 1e6)
                now = time.monotonic_ns()
            last = now
    finally:
        seen.set()
        worker.join()
        os.close(schedule)
    ordered = [0.0, 0.0, *sorted(gaps)]
    return Held(ordered[-1], ordered[-2], took / 1e6)

"""How late the event loop is while models work, and whose doing that is: the machine's, Python's lock's, its own.

Rule: what a thread waited for a core is the kernel's account of it (`schedstat`), read whenever the loop hears a beat,
before it takes it: whoever comes after belongs to the next one. Reading it never lets go of Python's lock.
Rule: a wait that began before a beat was sent is taken off all the same, so the figures without waits are the least
that can be, as those by the clock are the most.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import msgspec
import trio
from lock import queued_so_far, schedule_of
from rows import Row, quantile


class Late(msgspec.Struct, frozen=True):
    """How late the event loop heard of something, in milliseconds.

    Attributes:
        told: from the moment that another process wrote a byte until a task of the loop ran.
        queued: what of that the loop's thread spent waiting for a core, which is the machine's doing.
        others: the longest that another thread of the process waited for a core meanwhile, which it may have done
            while it had Python's lock.
        ran: what the loop's thread spent on a core since it last heard.
    """

    told: float
    queued: float
    others: float
    ran: float

    @property
    def ours(self) -> float:
        """Without its own wait for a core."""
        return max(0.0, self.told - self.queued)

    @property
    def lock(self) -> float:
        """What is left for Python's lock, if no thread that had it waited for a core."""
        return max(0.0, self.told - self.queued - self.others)

    @property
    def cause(self) -> str:
        """Without what it would not have been late by more than `LIMIT`; empty where it was not."""
        return next(
            (
                cause
                for cause, rest in (
                    ("", self.told),
                    ("its own wait for a core", self.ours),
                    ("another thread's wait for a core", self.lock),
                    ("its own work", max(0.0, self.lock - self.ran)),
                )
                if rest <= LIMIT
            ),
            "none of these",
        )


BEAT = """
import os, struct, sys, time
out, took = int(sys.argv[1]), 0
while True:
    time.sleep(0.001)
    began = time.monotonic_ns()
    os.write(out, struct.pack("qq", began, took))
    took = time.monotonic_ns() - began
"""
LIMIT = 2.0
"""Milliseconds that model work may keep the event loop waiting."""
CAUSES = ("its own wait for a core", "another thread's wait for a core", "its own work", "none of these")
LOOK = 50
"""Beats from one look for new threads to the next."""
SET_ASIDE = 100_000
"""Nanoseconds in which the process that beats looked at the clock and wrote, above which it was not running in between:
how late that beat was heard says nothing."""


class Schedules:
    """How long the threads of this process waited for a core, since last asked."""

    def __init__(self) -> None:
        self._own = threading.get_native_id()
        self._files: dict[int, int] = {}
        self._waited: dict[int, int] = {}
        self.look()

    def look(self) -> None:
        """Find new threads. Lets go of Python's lock, as every call of the system from Python does."""
        for thread in {int(one.name) for one in Path("/proc/self/task").iterdir()} - self._files.keys():
            with contextlib.suppress(FileNotFoundError):
                self._files[thread] = schedule_of(thread)
                self._waited[thread] = queued_so_far(self._files[thread])

    def asked(self) -> tuple[int, int]:
        """Nanoseconds of the asking thread, and the most of another one."""
        own = most = 0
        for thread, file in list(self._files.items()):
            try:
                waited = queued_so_far(file)
            except ProcessLookupError:
                os.close(self._files.pop(thread))
                continue
            since, self._waited[thread] = waited - self._waited[thread], waited
            own, most = (since, most) if thread == self._own else (own, max(most, since))
        return own, most

    def close(self) -> None:
        for file in self._files.values():
            os.close(file)


async def beat(found: list[Late]) -> None:
    """Hear of a byte a millisecond, as one hears of a socket: trio's own sleeps are rounded to milliseconds."""
    inward, outward = os.pipe()
    os.set_blocking(inward, False)
    schedules = Schedules()
    sender = subprocess.Popen(
        [sys.executable, "-c", BEAT, str(outward)], pass_fds=[outward], stderr=subprocess.DEVNULL
    )
    os.close(outward)
    try:
        ran, pending = time.thread_time_ns(), None
        for heard in itertools.count():
            await trio.lowlevel.wait_readable(inward)
            now, before, ran = time.monotonic_ns(), ran, time.thread_time_ns()
            queued, others = schedules.asked()
            beats = list(struct.iter_unpack("qq", os.read(inward, 1 << 16)))
            if heard % LOOK == 0:
                schedules.look()
            # Each beat tells how long the one before took to send.
            if pending is not None and beats[0][1] < SET_ASIDE:
                found.append(pending)
            pending = Late((now - beats[0][0]) / 1e6, queued / 1e6, others / 1e6, (ran - before) / 1e6)
            if len(beats) > 1:
                if beats[1][1] < SET_ASIDE:
                    found.append(pending)
                pending = None
    finally:
        sender.kill()
        sender.wait()
        os.close(inward)
        schedules.close()


async def timed(work: Callable[[], Awaitable[None]], total: int, at_once: int) -> tuple[float, list[Late]]:
    """Seconds for so many, and how late the event loop was meanwhile."""
    lateness: list[Late] = []
    left = iter(range(total))

    async def worker() -> None:
        for _ in left:
            await work()

    async with trio.open_nursery() as outer:
        outer.start_soon(beat, lateness)
        while not lateness:
            await trio.sleep(0.01)
        lateness.clear()
        began = time.perf_counter()
        async with trio.open_nursery() as inner:
            for _ in range(at_once):
                inner.start_soon(worker)
        took = time.perf_counter() - began
        outer.cancel_scope.cancel()
    return took, lateness


def loop_rows(what: str, lateness: Sequence[Late]) -> list[Row]:
    return [
        Row(
            "event loop",
            f"{what}, {of}, {name}",
            quantile([getattr(one, field) for one in lateness], share),
            "ms",
        )
        for field, of in (
            ("told", "late by"),
            ("ours", "without the wait for a core"),
            ("lock", "and without that of the other threads"),
            ("ran", "on a core itself"),
        )
        for name, share in (("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0))
    ] + [
        Row("event loop", f"{what}, late by over {LIMIT:g} ms by {cause}", found, f"of {len(lateness)}")
        for cause, found in ((cause, float(sum(one.cause == cause for one in lateness))) for cause in CAUSES)
    ]

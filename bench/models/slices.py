"""How late the event loop is with the kernel's slice and with the short one that `archrun` asks for, by turns.

A language model answers all the time and a text is embedded at a time; every third of a second the slice changes. So
whatever else the machine does falls on both alike. Once more beside a process that keeps a core busy.

Rule: nothing but the slice of the loop's thread differs between two turns.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence

import msgspec
import trio
from loop import LIMIT, Late, beat
from rows import Row, quantile

from archflow_engine.scheduling import SLICE, choose

Work = Callable[[], Awaitable[None]]

TURN = 0.3
"""Seconds."""
SETTINGS = {"the kernel's slice": 0, "a slice of 0.1 ms": SLICE}
BURN = "import hashlib\nwhile True: hashlib.sha256(bytes(200_000))"


class Turns(msgspec.Struct):
    """What the turns with one setting brought together."""

    late: list[Late] = msgspec.field(default_factory=list)
    seconds: float = 0.0
    done: Counter[str] = msgspec.field(default_factory=Counter)


async def by_turns(embed: Work, answer: Work, done: Counter[str], turns: int) -> list[Row]:
    """Both settings, without and with company. Blocks for twice that many turns of each.

    Args:
        embed: one text.
        answer: one answer.
        done: what these count as they go.
        turns: of each setting.
    """
    gc.collect()
    gc.freeze()  # as `archrun` does when all is open
    rows: list[Row] = []
    for what, programs in (("8 answers and 1 text", ()), ("the same beside a busy process", (BURN,))):
        with contextlib.ExitStack() as beside:
            for program in programs:
                beside.enter_context(_running(program))
            found = await _compared((embed, *itertools.repeat(answer, 8)), done, turns)
        rows += [row for name, one in found.items() for row in _rows(f"{what}, {name}", one)]
    choose(0)
    return rows


async def _compared(works: Sequence[Work], done: Counter[str], turns: int) -> dict[str, Turns]:
    found = {name: Turns() for name in SETTINGS}
    late: list[Late] = []

    async def again(work: Work) -> None:
        while True:
            await work()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(beat, late)
        for work in works:
            nursery.start_soon(again, work)
        await trio.sleep(1)
        for _ in range(turns):
            for name in random.sample(list(SETTINGS), len(SETTINGS)):
                choose(SETTINGS[name])
                late.clear()
                before, began = done.copy(), time.monotonic()
                await trio.sleep(TURN)
                turn = found[name]
                turn.late += late
                turn.seconds += time.monotonic() - began
                turn.done += done - before
        nursery.cancel_scope.cancel()
    return found


@contextlib.contextmanager
def _running(program: str) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-c", program])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _rows(what: str, turns: Turns) -> list[Row]:
    told = [one.told for one in turns.late]
    over = sum(one > LIMIT for one in told)
    return [
        *(Row("slices", f"{what}, late by, {name}", quantile(told, share), "ms")
          for name, share in (("p99", 0.99), ("p99.9", 0.999), ("max", 1.0))),
        Row("slices", f"{what}, late by over {LIMIT:g} ms", over / turns.seconds, "times/s"),
        *(Row("slices", f"{what}, {unit}", turns.done[unit] / turns.seconds, f"{unit}/s")
          for unit in ("texts", "tokens")),
    ]  # fmt: skip

"""What each stage of a compile and of a request costs by itself, measured on the project's own functions.

    python bench/micro
    python bench/micro --only tap,access --format json
    python bench/micro --only exchange --instructions       # counted by valgrind, in place of the time

Rule: a stage calls what archc and archrun call, with the bodies that bench/gateway sends; nothing is imitated.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable

import msgspec
from instructions import instructions
from stages import STAGES, Stage

REPEATS = 9
LEAST_S = 0.05
"""Seconds that one repeat takes at least, so that the clock's own cost disappears."""


class Timing(msgspec.Struct, frozen=True):
    """Seconds for one call."""

    stage: str
    minimum: float
    median: float
    calls: int


def time_calls(work: Callable[[], object], calls: int) -> float:
    """Seconds for so many calls."""
    loop = range(calls)
    began = time.perf_counter()
    for _ in loop:
        work()
    return time.perf_counter() - began


def measure(stage: Stage, repeats: int, least: float) -> Timing:
    """Minimum and median over the repeats, each of as many calls as fill its time."""
    with stage.prepare() as work:
        calls = 1
        while (took := time_calls(work, calls)) < least:
            calls = max(2 * calls, int(1.1 * calls * least / max(took, 1e-9)))
        times = sorted(time_calls(work, calls) / calls for _ in range(repeats))
    return Timing(stage.name, times[0], statistics.median(times), calls)


def show(seconds: float) -> str:
    """Three digits and a unit."""
    for unit, factor in (("s ", 1.0), ("ms", 1e3), ("us", 1e6)):
        if seconds * factor >= 1:
            return f"{seconds * factor:8.2f} {unit}"
    return f"{seconds * 1e9:8.0f} ns"


def main() -> None:
    """Measure the stages that were asked for and print them."""
    parser = argparse.ArgumentParser(prog="bench/micro", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--only", default="", help="parts of names, separated by commas")
    parser.add_argument("--quick", action="store_true", help="one short repeat: to see that it works")
    parser.add_argument("--instructions", action="store_true", help="count them with valgrind, time nothing")
    parser.add_argument("--format", choices=("table", "json"), default="table")
    args = parser.parse_args()
    parts = [part.strip() for part in args.only.split(",") if part.strip()]
    chosen = [stage for stage in STAGES if not parts or any(part in stage.name for part in parts)]
    if not chosen:
        sys.exit(f"no stage is called so; there are: {', '.join(stage.name for stage in STAGES)}")
    if args.instructions:
        counts = {stage.name: instructions(stage.name) for stage in chosen}
        if args.format == "json":
            print(msgspec.json.encode(counts).decode())
        else:
            print("\n".join(f"{name:{max(map(len, counts))}}  {count:11,}" for name, count in counts.items()))
        return
    repeats, least = (1, 0.0) if args.quick else (REPEATS, LEAST_S)
    timings = [measure(stage, repeats, least) for stage in chosen]
    if args.format == "json":
        print(msgspec.json.encode(timings).decode())
        return
    width = max(len(timing.stage) for timing in timings)
    print(f"{'stage':{width}}  {'minimum':>11}  {'median':>11}")
    for timing in timings:
        print(f"{timing.stage:{width}}  {show(timing.minimum)}  {show(timing.median)}")


if __name__ == "__main__":
    main()

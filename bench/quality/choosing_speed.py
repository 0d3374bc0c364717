"""What a decision costs: the composite router and matcher as a worker runs them, one request at a time.

Proves: the time of a decision through the host of a worker, with queue, threads and caches, for prompts that were not
seen before, for prompts that were, and for 20, 1,000 and 10,000 options; and of guard and matcher one after the other.
CPU is of the whole process, all threads together, and says what an idle core would take.
Does not prove: anything about many requests at once, which share the same threads.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import numpy as np
import trio
from routes import tasks

from archflow_plugins.contexts import Option
from archflow_plugins.guards.jailbreak import JailbreakGuard
from archflow_plugins.kinds import Kind
from archflow_plugins.matchers.composite import CompositeMatcher
from archflow_plugins.routers.composite import CompositeRouter
from archflow_plugins.testing import compile_kind, conversation, run_context

REPEATS = 200


def prompts(words: int, count: int) -> list[str]:
    """Texts of so many words, made of what people said, none twice."""
    said = [
        case.turns[-1]
        for task in tasks()
        if task.split == "test" and "live" in task.name
        for case in task.cases
    ]
    stream = itertools.cycle([word for text in said for word in text.split()[:80]])
    return [" ".join(itertools.islice(stream, words)) for _ in range(count)]


def options(count: int) -> tuple[Option, ...]:
    """So many options, as BFCL describes functions; names are made different where it does not have as many."""
    found = {
        option.name: option
        for task in tasks()
        for case in task.cases
        for option in case.options
        if task.name.startswith("BFCL") and option.description
    }
    known = list(found.values())
    more = (
        msgspec.structs.replace(
            one, name=f"{one.name}_{turn}", description=f"{one.description} Variant {turn}."
        )
        for turn in itertools.count(2)
        for one in known
    )
    return tuple(itertools.islice(itertools.chain(known, more), count))


async def _times(ask: Callable[[Any], Awaitable[object]], texts: list[str]) -> np.ndarray:
    out = []
    for text in texts:
        said = conversation(f"user: {text}")
        began, spent = time.perf_counter(), time.process_time()
        await ask(said)
        out.append((time.perf_counter() - began, time.process_time() - spent))
    return np.array(out) * 1000


async def _opened(kind: type[Kind], config: dict[str, object], some: tuple[Option, ...]) -> tuple[Any, float]:
    began = time.perf_counter()
    settings, blobs = await trio.to_thread.run_sync(lambda: compile_kind(kind, config, options=some))
    spent = time.perf_counter() - began
    return await kind.open(settings, run_context(blobs=blobs)), spent


def _line(name: str, times: np.ndarray) -> str:
    walls, cpu = np.percentile(times[:, 0], [50, 99]), np.percentile(times[:, 1], [50, 99])
    return f"| {name} | {walls[0]:.2f} | {walls[1]:.2f} | {cpu[0]:.2f} | {cpu[1]:.2f} |"


async def _measured(repeats: int, most: int) -> list[str]:
    lines = ["| | p50 ms | p99 ms | CPU p50 ms | CPU p99 ms |", "|---|--:|--:|--:|--:|"]
    notes = []
    texts = prompts(50, repeats + 10)
    for count in (20, 1_000, most):
        router, spent = await _opened(CompositeRouter, {"alike": 1.0}, options(count))
        await _times(router.choose, texts[:10])
        times = await _times(router.choose, texts[10:])
        lines.append(_line(f"router, {count:,} options, prompt of 50 words", times))
        if count == 20:
            lines.append(_line("the same prompts again", await _times(router.choose, texts[10:])))
        notes.append(f"{count:,} options compile in {spent:.1f} s")
        await router.close()
    matcher, _ = await _opened(CompositeMatcher, {"alike": 1.0}, options(20))
    guard, _ = await _opened(JailbreakGuard, {}, ())

    async def both(said: Any) -> None:
        await guard.check(said)
        await matcher.match(said)

    short = prompts(30, repeats + 10)
    await _times(both, short[:10])
    lines.append(_line("guard and matcher, 20 options, prompt of 30 words", await _times(both, short[10:])))
    await guard.close()
    await matcher.close()
    return [
        *lines,
        "",
        f"{'; '.join(notes)}; {repeats} prompts each, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
    ]


def table(repeats: int = REPEATS, most: int = 10_000) -> list[str]:
    """The lines of the table."""
    return trio.run(_measured, repeats, most)


if __name__ == "__main__":
    print("\n".join(table()))

"""Whether trio has anything to do, asked without a turn of its loop.

A turn in which trio finds nothing to do costs as much as relaying a chunk of a stream, and a busy hub would offer it
one every few milliseconds. trio's public statistics do not tell whether something waits in its epoll, so this looks at
the loop itself (trio 0.30 to 0.35: `trio._core._run`, `trio._core._io_epoll`); a trio that is made otherwise is given
every turn, as if it always had something to do.

Rule: what is looked at is left as it is. trio's epoll is asked through poll(2), which does not use up its events.
"""

from __future__ import annotations

import select
from collections.abc import Callable

import trio


def always() -> bool:
    """Give trio every turn."""
    return True


def watcher() -> Callable[[], bool]:
    """What tells, within this run of trio and the calling task, whether a turn is due.

    That is when a task can run, a deadline has passed, this task is cancelled, or trio's epoll has an event: of a
    socket, of a signal, or of a thread that has a result.
    """
    try:
        from trio._core._run import GLOBAL_RUN_CONTEXT

        runner = GLOBAL_RUN_CONTEXT.runner
        runnable, deadlines = runner.runq, runner.deadlines
        next_deadline, waiting = deadlines.next_deadline, select.poll()
        waiting.register(runner.io_manager._epoll.fileno(), select.POLLIN)  # type: ignore[union-attr, unused-ignore]  # noqa: SLF001
        next_deadline()
    except (ImportError, AttributeError):
        return always
    now, cancelled_at, ready = trio.current_time, trio.current_effective_deadline, waiting.poll

    def due() -> bool:
        if runnable:
            return True
        time = now()
        return next_deadline() <= time or cancelled_at() <= time or bool(ready(0))

    return due

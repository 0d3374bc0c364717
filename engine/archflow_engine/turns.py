"""Whether trio has anything to do, asked without a turn of its loop.

A turn in which trio finds nothing to do costs as much as relaying a chunk of a stream, and a busy hub would offer it
one every few milliseconds. Which tasks can run, trio tells its instruments, and when the next deadline is, its
statistics. It does not tell whether something waits in its epoll, so that is asked itself (`trio._core._io_epoll` of
trio 0.30 to 0.35); a trio that has none, or keeps it elsewhere, is given one turn each time.

Rule: what is looked at is left as it is. trio's epoll is asked through poll(2), which does not use up its events.
"""

from __future__ import annotations

import select
from itertools import cycle
from typing import Self

import trio


class Turns(trio.abc.Instrument):
    """Knows whether trio needs a turn. Use as a context manager, in the task that asks."""

    def __init__(self) -> None:
        self._runnable: set[trio.lowlevel.Task] = set()
        self._waiting = _events()
        self._unknown = cycle((True, False)).__next__

    def __enter__(self) -> Self:
        trio.lowlevel.add_instrument(self)
        return self

    def __exit__(self, *_: object) -> None:
        trio.lowlevel.remove_instrument(self)

    def due(self) -> bool:
        """Whether a task can run, a deadline has passed, the asking task is cancelled, or trio's epoll has an event.

        Such an event is one of a socket, of a signal, or of a thread that has a result.
        """
        if self._runnable or trio.current_effective_deadline() <= trio.current_time():
            return True
        if self._waiting is None:
            return self._unknown()
        return bool(self._waiting.poll(0)) or trio.lowlevel.current_statistics().seconds_to_next_deadline <= 0

    # What trio tells. A task that can run may wait behind the asking one, in a batch that nobody else can see.

    def task_scheduled(self, task: trio.lowlevel.Task) -> None:
        self._runnable.add(task)

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._runnable.discard(task)


def _events() -> select.poll | None:
    """What tells whether trio's epoll has events; None if that cannot be seen."""
    try:
        from trio._core._run import GLOBAL_RUN_CONTEXT

        epoll: select.epoll = GLOBAL_RUN_CONTEXT.runner.io_manager._epoll  # type: ignore[assignment, union-attr, unused-ignore]  # noqa: SLF001
        waiting = select.poll()
        waiting.register(epoll.fileno(), select.POLLIN)
    except (ImportError, AttributeError):
        return None
    return waiting

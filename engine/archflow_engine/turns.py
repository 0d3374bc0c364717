"""The hub as trio's host: who waits for what, and when trio needs a turn of its loop.

trio waits in an epoll of its own. If the hub waits in another one, each of them has to be left for the other again and
again: a wait of a millisecond costs a timer, and a turn in which trio finds nothing to do as much as relaying a chunk
of a stream. So one hub of a run of trio hosts it: trio's epoll stands in the hub's, the hub waits until trio's next
deadline, and trio gets turns when it has something to do.

Which tasks can run, trio tells its instruments. Its epoll and its deadlines are looked at where trio 0.30 to 0.35 keeps
them (`trio._core._run`, `trio._core._io_epoll`). A trio that keeps them elsewhere, one with a clock of a test's, and
that of a second hub are not hosted: there the hub lingers for a moment, and then waits as a task of trio's.

Rule: what is looked at is left as it is: neither poll(2) nor an epoll around it uses up an epoll's events.
"""

from __future__ import annotations

import select
from itertools import cycle
from typing import TYPE_CHECKING, Self

import trio

if TYPE_CHECKING:
    from trio._core._run import Runner

LONGEST = 1.0
"""Seconds that are waited at most."""
_hosted = trio.lowlevel.RunVar("archflow hosted", default=False)


class Turns(trio.abc.Instrument):
    """Knows whether trio needs a turn. Use as a context manager, in the task that asks.

    Attributes:
        runnable: the tasks that can run, but for those that could before this was entered and the task that entered
            it gave way. Those are among them that wait behind it, in a batch that nobody else can see.
        hosting: whether `epoll` is woken by whatever would wake trio.
    """

    def __init__(self, epoll: select.epoll) -> None:
        self.runnable: set[trio.lowlevel.Task] = set()
        self.hosting = False
        self._epoll = epoll
        self._runner = _runner()
        self._events = select.poll()
        self._unknown = cycle((True, False)).__next__

    def __enter__(self) -> Self:
        trio.lowlevel.add_instrument(self)
        runner = self._runner
        if runner is not None:
            inner = runner.io_manager._epoll.fileno()  # type: ignore[union-attr, unused-ignore]  # noqa: SLF001
            self._events.register(inner, select.POLLIN)
            if not _hosted.get() and type(runner.clock).__name__ == "SystemClock":
                self._epoll.register(inner, select.EPOLLIN)
                self.hosting = True
                _hosted.set(True)
        return self

    def __exit__(self, *_: object) -> None:
        trio.lowlevel.remove_instrument(self)
        if self.hosting:
            _hosted.set(False)

    def due(self) -> bool:
        """Whether a task can run, a deadline has passed, the asking task is cancelled, or trio's epoll has an event.

        Such an event is one of a socket, of a signal, or of a thread that has a result.
        """
        now = trio.current_time()
        if self.runnable or trio.current_effective_deadline() <= now:
            return True
        runner = self._runner
        if runner is None:
            return self._unknown()
        return runner.deadlines.next_deadline() <= now or bool(self._events.poll(0))

    def left(self) -> float:
        """Seconds until trio has something to do if nothing happens; for who hosts it."""
        runner = self._runner
        if runner is None or runner.waiting_for_idle:
            return 0.0
        return max(0.0, min(runner.deadlines.next_deadline() - trio.current_time(), LONGEST))

    async def rest(self) -> None:
        """Let trio see that nothing goes on, where somebody waits for that, as tests do (`wait_all_tasks_blocked`)."""
        if self._runner is not None and self._runner.waiting_for_idle:
            cushion, _ = self._runner.waiting_for_idle.keys()[0]
            await trio.sleep(cushion + 0.001)

    # What trio tells.

    def task_scheduled(self, task: trio.lowlevel.Task) -> None:
        self.runnable.add(task)

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.runnable.discard(task)


def _runner() -> Runner | None:
    """What runs trio, if everything is where it is looked for."""
    try:
        from trio._core._run import GLOBAL_RUN_CONTEXT

        runner = GLOBAL_RUN_CONTEXT.runner
        runner.io_manager._epoll.fileno()  # type: ignore[union-attr, unused-ignore]  # noqa: SLF001
        runner.deadlines.next_deadline()
        len(runner.waiting_for_idle)
    except (ImportError, AttributeError):
        return None
    return runner

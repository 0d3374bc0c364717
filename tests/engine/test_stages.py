"""The stages of a reply, and what comes while one of them waits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import trio

from archflow_engine.stages import Ended, Passage
from archflow_schema.errors import UpstreamError, UpstreamProtocolError

pytestmark = pytest.mark.trio
Task = Callable[..., Awaitable[None]]


class Upper:
    """A stage that waits for everything."""

    def feed(self, _: Sequence[str]) -> Sequence[str] | None:
        return None

    async def feed_waiting(self, portions: Sequence[str]) -> Sequence[str]:
        await trio.lowlevel.checkpoint()
        return [one.upper() for one in portions]


class Reply:
    """A reply that passes one stage; its tasks run when the test says so."""

    def __init__(self) -> None:
        self.tasks: list[tuple[Task, tuple[Any, ...]]] = []
        self.out: list[tuple[list[str], bool, UpstreamError | None]] = []
        exchange: Any = SimpleNamespace(
            over=False,
            hold=lambda: None,
            go_on=lambda: None,
            enter=lambda _: None,
            leave=lambda _: None,
            trouble=self._raise,
            plan=SimpleNamespace(
                hub=SimpleNamespace(spawn=lambda task, *args: self.tasks.append((task, args)))
            ),
        )
        self.passage: Passage[str] = Passage(exchange, [Upper()], self._out, self._raise)

    def _out(self, portions: Sequence[str], end: bool, error: UpstreamError | None) -> None:
        self.out.append((list(portions), end, error))

    def _raise(self, error: Exception | Ended) -> None:
        raise error

    async def run(self) -> None:
        """Let what was begun go on to its end."""
        while self.tasks:
            task, args = self.tasks.pop(0)
            await task(*args)


@pytest.mark.parametrize("error", [None, UpstreamProtocolError("cut")], ids=["whole", "cut"])
async def test_the_end_comes_behind_what_came_before_the_task_began(error: UpstreamError | None) -> None:
    reply = Reply()
    reply.passage.push(["a"], end=False)
    reply.passage.push(["b"], end=False)
    reply.passage.push(["c"], end=True, error=error)
    await reply.run()
    assert [one for portions, _, _ in reply.out for one in portions] == ["A", "B", "C"]
    assert [(end, why) for _, end, why in reply.out] == [(False, None), (True, error)]
    assert not reply.passage.busy


async def test_an_end_without_anything_before_it_comes_at_once() -> None:
    reply = Reply()
    reply.passage.push(["a"], end=True)
    await reply.run()
    assert reply.out == [(["A"], True, None)]

"""Long texts are read in a thread, short ones at once, for which a thread would cost more than it saves.

Rule: what is read is the same either way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from archflow_plugins.contexts import RunContext
from archflow_plugins.verdict import Passed, Screen, Verdict

T = TypeVar("T")


async def read(ctx: RunContext, work: Callable[[], T], *, long: bool) -> T:
    """What `work` gives. Blocks while a thread does it, if what it reads is long."""
    return await ctx.offload(work) if long else work()


class Reading(Screen):
    """A Screen that reads portions of more than `at_once` characters in a thread. Implement `judge`."""

    def __init__(self, ctx: RunContext, at_once: int) -> None:
        self._ctx = ctx
        self._at_once = at_once

    def judge(self, text: str, *, end: bool) -> Verdict | Sequence[Passed]:
        """As `Screen.feed_nowait`, for a text of any length."""
        raise NotImplementedError(f"{type(self).__name__} does not implement judge")

    def feed_nowait(self, text: str, *, end: bool) -> Verdict | Sequence[Passed] | None:
        return None if len(text) > self._at_once else self.judge(text, end=end)

    async def feed(self, text: str, *, end: bool) -> Verdict | Sequence[Passed]:
        return await self._ctx.offload(lambda: self.judge(text, end=end))

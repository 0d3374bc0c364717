"""The kinds that plays use: a tracer that hands records to the test, and guards and a store that do what it says.

They arrive by the entry point `play`, as any stranger's plugin does; `playbook` writes that distribution's metadata.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from archflow_plugins import (
    ALLOW,
    Channel,
    Choice,
    Gauge,
    Guard,
    Matcher,
    Option,
    Router,
    Screen,
    SlotFiller,
    Store,
    Tracer,
    Verdict,
    hookimpl,
)
from archflow_plugins.kinds import Admission, Kind
from archflow_plugins.record import Record
from archflow_plugins.stores.memory import Memory, MemoryConfig
from archflow_schema.conversation import Conversation
from archflow_schema.slots import Filled, Question


class Scene:
    """What the kinds do in the play that runs: one at a time in a process."""

    def __init__(self) -> None:
        self.tell: Callable[[Record], None] = lambda _: None
        self.sample: Callable[[Record], bool] = lambda _: False
        self.judge: Callable[[Conversation], Verdict] = lambda _: ALLOW
        self.judge_waiting: Callable[[Conversation], Awaitable[Verdict]] = _allow
        self.screen: Callable[[Channel], Screen | None] = lambda _: None
        self.store: Callable[[], Awaitable[None]] = trio.lowlevel.checkpoint
        self.match: Callable[[Conversation], Choice] = lambda _: Choice()
        self.choose: Callable[[Conversation, tuple[Option, ...]], Awaitable[Choice]] = _none
        self.numbers: dict[str, float] = {}
        self.renew: Callable[[], Awaitable[None]] | None = None
        self.match_waiting: Callable[[Conversation], Awaitable[Choice]] | None = None
        self.fill: Callable[[Conversation, tuple[str, ...]], Awaitable[Filled | Question]] = _no_calls
        self.opened = 0
        self.closed = 0


async def _allow(_: Conversation) -> Verdict:
    return ALLOW


async def _none(_: Conversation, __: tuple[Option, ...]) -> Choice:
    return Choice(reason="other")


async def _no_calls(_: Conversation, __: tuple[str, ...]) -> Filled | Question:
    return Filled(())


scene = Scene()


def set_scene() -> Scene:
    """A new scene, for the next play."""
    global scene  # noqa: PLW0603 - kinds are made by the gateway, which knows nothing of plays
    scene = Scene()
    return scene


class _Counted(Kind):
    """Counts how often it was closed."""

    async def close(self) -> None:
        scene.closed += 1


class PlayTracer(_Counted, Tracer):
    """Hands each record to the play."""

    kind = "tracer.play"

    def finish(self, record: Record) -> None:
        scene.tell(record)


class Sampler(_Counted, Tracer):
    """Decides on sampling as the play says."""

    kind = "tracer.play_sampler"

    def sample(self, record: Record) -> bool:
        return scene.sample(record)

    def finish(self, record: Record) -> None:
        """Nothing to tell."""


class PlayGuard(_Counted, Guard):
    """Judges at once, as the play says."""

    kind = "guard.play"

    def check_nowait(self, conversation: Conversation) -> Verdict:
        return scene.judge(conversation)


class PlayScreens(_Counted, Guard):
    """Judges replies as the play says."""

    kind = "guard.play_screens"
    sides = ("output",)

    def screens(self, asked: Callable[[], Conversation]) -> Callable[[Channel], Screen | None]:
        return scene.screen


class WaitingGuard(_Counted, Guard):
    """Judges after a while, as the play says."""

    kind = "guard.play_waiting"
    waits = True

    async def check(self, conversation: Conversation) -> Verdict:
        return await scene.judge_waiting(conversation)


class PlayMatcher(_Counted, Matcher):
    """Matches as the play says."""

    kind = "matcher.play"

    async def match(self, conversation: Conversation) -> Choice:
        if scene.match_waiting is not None:
            return await scene.match_waiting(conversation)
        return scene.match(conversation)


class PlayRouter(_Counted, Router):
    """Chooses as the play says."""

    kind = "router.play"

    async def choose(self, conversation: Conversation, options: tuple[Option, ...] = ()) -> Choice:
        return await scene.choose(conversation, options)


class PlayGauge(_Counted, Gauge):
    """Gives the numbers that the play says, and is stale for as long as the play wants to renew it."""

    kind = "gauge.play"

    def readings(self) -> dict[str, float]:
        return scene.numbers

    @property
    def stale(self) -> bool:
        return scene.renew is not None

    async def renew(self) -> None:
        assert scene.renew is not None
        await scene.renew()


class BrokenStore(Memory):
    """A store that keeps nothing."""

    kind = "store.play_broken"
    config = MemoryConfig

    def put_nowait(self, key: str, value: bytes, seconds: float) -> None:
        raise OSError("no room")

    def get_nowait(self, key: str) -> bytes | None:
        raise OSError("no disk")


class PlayFiller(_Counted, SlotFiller):
    """Fills as the play says."""

    kind = "slot_filler.play"

    async def fill(self, conversation: Conversation, targets: tuple[str, ...]) -> Filled | Question:
        return await scene.fill(conversation, targets)


class FarStore(Memory):
    """The store in memory, as if it were behind a network."""

    kind = "store.play_far"
    config = MemoryConfig
    waits = True

    async def charge(self, key: str, cost: float, capacity: float, period: float) -> Admission:
        await scene.store()
        return self.charge_nowait(key, cost, capacity, period)

    async def settle(self, key: str, difference: float, capacity: float, period: float) -> None:
        await scene.store()
        self.settle_nowait(key, difference, capacity, period)

    async def put(self, key: str, value: bytes, seconds: float) -> None:
        await scene.store()
        self.put_nowait(key, value, seconds)

    async def get(self, key: str) -> bytes | None:
        await scene.store()
        return self.get_nowait(key)

    async def delete(self, key: str) -> None:
        await scene.store()
        self.delete_nowait(key)


@hookimpl
def archflow_register_tracers() -> list[type[Tracer]]:
    """The tracers."""
    return [PlayTracer, Sampler]


@hookimpl
def archflow_register_guards() -> list[type[Guard]]:
    """The guards."""
    return [PlayGuard, PlayScreens, WaitingGuard]


@hookimpl
def archflow_register_matchers() -> list[type[Matcher]]:
    """The matchers."""
    return [PlayMatcher]


@hookimpl
def archflow_register_stores() -> list[type[Store]]:
    """The stores."""
    return [FarStore, BrokenStore]


@hookimpl
def archflow_register_routers() -> list[type[Router]]:
    """The routers."""
    return [PlayRouter]


@hookimpl
def archflow_register_gauges() -> list[type[Gauge]]:
    """The gauges."""
    return [PlayGauge]


@hookimpl
def archflow_register_slot_fillers() -> list[type[SlotFiller]]:
    """The slot fillers."""
    return [PlayFiller]

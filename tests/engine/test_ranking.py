"""The order of a route's models: by a gauge that is renewed beside the requests, or by how fast they were seen."""

from __future__ import annotations

import pytest
import trio

from archflow_engine import pace
from archflow_engine.pace import Pace
from archflow_plugins.testing import record
from archflow_schema.errors import UpstreamTimeout
from archflow_schema.graph import Ranked, Use
from routed import Three, chooses, said

ROUTES = {"code": ("coder", "writer", "plain"), "story": ("writer", "coder")}
GAUGE = {"ranked": (Ranked(("code",), Use("gauge.play")),)}


@pytest.mark.trio
async def test_the_model_with_the_lowest_number_is_asked() -> None:
    async with Three(routes=ROUTES, choosing=GAUGE) as play:
        client = await play.client()
        chooses(play, "code")
        assert (await client.talks(said())).header("x-arch-model") == "coder"
        play.scene.numbers = {"plain": 1.0, "writer": 2.0}
        told = (await client.talks(said(), path="/routing/v1/chat/completions")).json
        assert told["models"] == ["plain", "writer", "coder"]
        chooses(play, "story")
        assert (await client.talks(said())).header("x-arch-model") == "writer"


@pytest.mark.trio
async def test_nobody_waits_for_a_gauge_and_one_at_a_time_renews_it() -> None:
    begun, go = 0, trio.Event()

    async def renew() -> None:
        nonlocal begun
        begun += 1
        await go.wait()
        play.scene.renew = None
        play.scene.numbers = {"writer": 1.0}

    async with Three(routes=ROUTES, choosing=GAUGE) as play:
        play.scene.renew = renew
        chooses(play, "code")
        client = await play.client()
        for _ in range(3):
            assert (await client.talks(said())).header("x-arch-model") == "coder"
        assert begun == 1
        go.set()
        await play.settled(lambda: play.scene.numbers)
        assert (await client.talks(said())).header("x-arch-model") == "writer"


@pytest.mark.trio
async def test_a_gauge_that_fails_leaves_the_order_and_is_logged() -> None:
    async def renew() -> None:
        await trio.lowlevel.checkpoint()
        play.scene.renew = None
        raise UpstreamTimeout("nobody there")

    async with Three(routes=ROUTES, choosing=GAUGE) as play:
        play.scene.renew = renew
        chooses(play, "code")
        assert (await (await play.client()).talks(said())).header("x-arch-model") == "coder"
        assert str((await play.logged("gauge_failed"))["detail"]) == "nobody there"


@pytest.mark.trio
async def test_the_fastest_is_asked_after_all_were_tried() -> None:
    three = Three(routes={"code": ("coder", "writer")}, choosing={"ranked": (Ranked(("code",)),)})
    async with three as play:
        chooses(play, "code")
        client = await play.client()
        for _ in range(2):
            await client.talks(said())
        assert three.counts == [1, 1, 0]


@pytest.fixture
def now(monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr(pace, "monotonic", lambda: clock[0])
    return clock


def seen(model, seconds, **more):
    """A finished exchange with a model."""
    made = record(model=model, **more)
    made.attempts[0].first_byte = made.attempts[0].began + seconds
    return made


def test_the_newest_time_counts_most_and_old_ones_are_forgotten(now):
    known = Pace({"a", "b"})
    assert known.rank(("a", "b")) == ("a", "b")
    known.observe(seen("a", 1.0))
    assert known.rank(("a", "b")) == ("b", "a")
    known.observe(seen("b", 0.5))
    assert known.rank(("a", "b")) == ("b", "a")
    for _ in range(5):
        known.observe(seen("b", 3.0))
    assert known.rank(("a", "b")) == ("a", "b")
    now[0] += 200
    known.observe(seen("b", 3.0))
    now[0] += 200
    assert known.rank(("b", "a")) == ("a", "b"), "a is not known any more, and is tried"


def test_what_says_nothing_of_speed_is_not_learned(now):
    known = Pace({"a", "b"})
    known.observe(seen("other", 1.0))
    known.observe(seen("a", 1.0, status=500))
    known.observe(record(model="a", attempts=[]))
    known.observe(seen("a", -2.0))
    assert known.rank(("a", "b")) == ("a", "b")

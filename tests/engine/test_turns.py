"""A turn of trio's loop is due exactly when trio has something to do."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import trio
import trio.testing
from trio._core._io_epoll import EpollIOManager

from archflow_engine import turns as module
from archflow_engine.turns import Turns

pytestmark = pytest.mark.trio


@contextmanager
def turning() -> Iterator[Turns]:
    with select.epoll() as epoll, Turns(epoll) as turns:
        yield turns


async def test_nothing_is_due_while_everything_waits() -> None:
    with turning() as turns, trio.move_on_after(60):
        assert [turns.due(), turns.due()] == [False, False], (
            "this trio is not seen through: turns.py has to learn how"
        )


async def test_a_task_that_can_run_is_due() -> None:
    ran = trio.Event()
    with turning() as turns:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.lowlevel.checkpoint)
            assert turns.due()
            nursery.start_soon(ran.wait)
            await trio.testing.wait_all_tasks_blocked()
            assert not turns.due()
            ran.set()
            assert turns.due()


async def test_a_task_that_runs_next_in_the_same_turn_is_due() -> None:
    """trio has taken it out of its queue already, so only that it has not run yet tells of it."""
    began, seen = trio.Event(), set()

    async def other() -> None:
        nonlocal ran
        await began.wait()
        ran = True

    with turning() as turns, trio.fail_after(60):
        while len(seen) < 2:  # trio runs them in an order of its own
            began, ran = trio.Event(), False
            async with trio.open_nursery() as nursery:
                nursery.start_soon(other)
                nursery.start_soon(_later, began)
                await began.wait()
                assert turns.due() is not ran
                seen.add(ran)


async def _later(event: trio.Event) -> None:
    await trio.testing.wait_all_tasks_blocked()
    event.set()


async def test_a_deadline_that_passed_is_due(mock_clock: trio.testing.MockClock) -> None:
    with turning() as turns:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep, 5)
            await trio.testing.wait_all_tasks_blocked()
            mock_clock.jump(4)
            assert not turns.due()
            mock_clock.jump(1)
            assert turns.due()


async def test_a_cancellation_is_due() -> None:
    with turning() as turns, trio.CancelScope() as scope:
        assert not turns.due()
        scope.cancel()
        assert turns.due()


async def test_what_a_thread_tells_is_due_until_trio_heard_it() -> None:
    told = trio.Event()
    token = trio.lowlevel.current_trio_token()
    with turning() as turns:
        await trio.testing.wait_all_tasks_blocked()
        token.run_sync_soon(told.set)
        assert turns.due()
        assert turns.due(), "to ask took the event away"
        await told.wait()
        await trio.testing.wait_all_tasks_blocked()
        assert not turns.due()


async def test_a_socket_that_a_task_waits_for_is_due() -> None:
    ours, theirs = socket.socketpair()
    with turning() as turns, ours, theirs:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.lowlevel.wait_readable, ours)
            await trio.testing.wait_all_tasks_blocked()
            assert not turns.due()
            theirs.send(b"x")
            assert turns.due()
        ours.recv(1)
        assert not turns.due()


async def test_an_epoll_that_hosts_trio_is_woken_by_what_would_wake_trio() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, select.epoll() as epoll, Turns(epoll) as turns:
        assert turns.hosting
        with Turns(select.epoll()) as second:
            assert not second.hosting, "trio's epoll can stand in one other only"
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.lowlevel.wait_readable, ours)
            await trio.testing.wait_all_tasks_blocked()
            assert epoll.poll(0) == []
            theirs.send(b"x")
            assert epoll.poll(0) != []
        await trio.testing.wait_all_tasks_blocked()
        assert epoll.poll(0) == []
    with turning() as turns:
        assert turns.hosting, "the next one may host"


async def test_who_hosts_waits_until_trios_next_deadline() -> None:
    with turning() as turns:
        with trio.move_on_after(60):
            assert turns.left() == module.LONGEST
        with trio.move_on_after(0.5):
            assert 0 < turns.left() <= 0.5


async def test_a_clock_of_a_tests_is_not_hosted(mock_clock: trio.testing.MockClock) -> None:
    with turning() as turns:
        assert not turns.hosting


async def test_a_trio_that_is_made_otherwise_gets_one_turn_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    assert module._runner() is not None, "this trio is not seen through: turns.py has to learn how"
    with monkeypatch.context() as other:  # trio itself needs it at the next turn
        other.delattr(EpollIOManager, "_epoll")
        assert module._runner() is None
    monkeypatch.setattr(module, "_runner", lambda: None)
    with turning() as turns:
        assert not turns.hosting
        assert [turns.due() for _ in range(4)] == [True, False, True, False]

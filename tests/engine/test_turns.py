"""A turn of trio's loop is due exactly when trio has something to do."""

from __future__ import annotations

import socket

import pytest
import trio
import trio.testing
from trio._core import _run

from archflow_engine import turns

pytestmark = pytest.mark.trio


async def test_nothing_is_due_while_everything_waits() -> None:
    due = turns.watcher()
    assert due is not turns.always, "this trio is not looked through: turns.py has to learn how"
    with trio.move_on_after(60):
        assert not due()


async def test_a_task_that_can_run_is_due() -> None:
    due = turns.watcher()
    ran = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.lowlevel.checkpoint)
        assert due()
        nursery.start_soon(ran.wait)
        await trio.testing.wait_all_tasks_blocked()
        assert not due()
        ran.set()
        assert due()


async def test_a_deadline_that_passed_is_due(mock_clock: trio.testing.MockClock) -> None:
    due = turns.watcher()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.sleep, 5)
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(4)
        assert not due()
        mock_clock.jump(1)
        assert due()


async def test_a_cancellation_is_due() -> None:
    due = turns.watcher()
    with trio.CancelScope() as scope:
        assert not due()
        scope.cancel()
        assert due()


async def test_what_a_thread_tells_is_due_until_trio_heard_it() -> None:
    due = turns.watcher()
    told = trio.Event()
    token = trio.lowlevel.current_trio_token()
    await trio.testing.wait_all_tasks_blocked()
    token.run_sync_soon(told.set)
    assert due()
    assert due(), "to ask took the event away"
    await told.wait()
    await trio.testing.wait_all_tasks_blocked()
    assert not due()


async def test_a_socket_that_a_task_waits_for_is_due() -> None:
    due = turns.watcher()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.lowlevel.wait_readable, ours)
            await trio.testing.wait_all_tasks_blocked()
            assert not due()
            theirs.send(b"x")
            assert due()
        ours.recv(1)
        assert not due()


async def test_a_trio_that_is_made_otherwise_gets_every_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as other:  # trio itself needs it at the next turn
        other.delattr(_run, "GLOBAL_RUN_CONTEXT")
        due = turns.watcher()
    assert due is turns.always
    assert due()

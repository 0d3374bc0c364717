"""The hub: edges, ends, deadlines, and bugs that cost one connection only."""

from __future__ import annotations

import select
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio
import trio.testing

from archflow_engine import hub as hubs
from archflow_engine.hub import RECEIVE, Channel, Hub
from peers import PATIENCE, Notice

pytestmark = pytest.mark.trio


class Ear:
    """An owner that remembers what it was told."""

    def __init__(self) -> None:
        self.notice = Notice()
        self.data = b""
        self.reads = 0
        self.end: list[OSError | None] = []
        self.drains = 0
        self.raises = False

    def received(self, data: bytes) -> None:
        self.data += data
        self.reads += 1
        self.notice.changed()
        if self.raises:
            raise ZeroDivisionError("a bug")

    def ended(self, error: OSError | None) -> None:
        self.end.append(error)
        self.notice.changed()

    def drained(self) -> None:
        self.drains += 1
        self.notice.changed()


class Stand:
    """A running hub, with pairs of a channel and a plain socket."""

    def __init__(self) -> None:
        self.troubles: list[BaseException] = []
        self.hub = Hub(self.troubles.append)
        self._sockets: list[socket.socket] = []

    def pair(self) -> tuple[Channel, Ear, socket.socket]:
        ours, theirs = socket.socketpair()
        self._sockets.append(theirs)
        ours.setblocking(False)
        theirs.setblocking(False)
        ear = Ear()
        channel = Channel(self.hub, ours, ear)
        self.hub.join(channel)
        return channel, ear, theirs

    def close(self) -> None:
        for sock in self._sockets:
            sock.close()

    def finish(self) -> None:
        """Close everything of a hub that never ran."""
        for channel in list(self.hub._channels.values()):
            channel.close()
        self.hub.close()
        self.close()


@asynccontextmanager
async def standing() -> AsyncIterator[Stand]:
    stand = Stand()
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(stand.hub.run)
            yield stand
            nursery.cancel_scope.cancel()
    finally:
        stand.close()
    assert stand.hub._channels == {}


async def everything(sock: socket.socket) -> bytes:
    """Read to the end."""
    seen = b""
    with trio.fail_after(PATIENCE):
        while True:
            await trio.lowlevel.wait_readable(sock)
            data = sock.recv(65_536)
            if not data:
                return seen
            seen += data


async def test_more_than_one_read_takes_is_read() -> None:
    async with standing() as stand:
        _, ear, theirs = stand.pair()
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 * RECEIVE)
        sent = theirs.send(b"x" * 3 * RECEIVE)
        assert sent > RECEIVE
        await ear.notice.until(lambda: len(ear.data) == sent)
        assert ear.reads > 1


async def test_exactly_what_one_read_takes_and_an_end() -> None:
    async with standing() as stand:
        channel, ear, theirs = stand.pair()
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 * RECEIVE)
        assert theirs.send(b"x" * RECEIVE) == RECEIVE
        theirs.close()
        await ear.notice.until(lambda: ear.end)
        assert (len(ear.data), ear.end) == (RECEIVE, [None])
        assert channel.closed


async def test_data_and_an_end_in_one_event() -> None:
    async with standing() as stand:
        _, ear, theirs = stand.pair()
        theirs.send(b"last words")
        theirs.shutdown(socket.SHUT_WR)
        await ear.notice.until(lambda: ear.end)
        assert (ear.data, ear.end) == (b"last words", [None])


async def test_what_the_peer_cannot_take_is_sent_when_it_can() -> None:
    async with standing() as stand:
        channel, ear, theirs = stand.pair()
        for number in range(50):
            channel.write(bytes([number]) * 50_000)
        assert channel.unsent > 0
        assert ear.drains == 0
        seen = b""
        with trio.fail_after(PATIENCE):
            while len(seen) < 2_500_000:
                await trio.lowlevel.wait_readable(theirs)
                seen += theirs.recv(65_536)
        assert seen == b"".join(bytes([number]) * 50_000 for number in range(50))
        await ear.notice.until(lambda: ear.drains)
        assert (channel.unsent, ear.drains) == (0, 1)


async def test_nothing_is_received_while_paused() -> None:
    async with standing() as stand:
        channel, ear, theirs = stand.pair()
        channel.pause()
        theirs.send(b"early")
        await trio.testing.wait_all_tasks_blocked(0.005)
        assert ear.data == b""
        channel.resume()
        await ear.notice.until(lambda: ear.data == b"early")
        theirs.send(b" late")
        await ear.notice.until(lambda: ear.data == b"early late")


async def test_an_end_while_paused_is_told_after_what_came_before() -> None:
    async with standing() as stand:
        channel, ear, theirs = stand.pair()
        channel.pause()
        theirs.send(b"data")
        theirs.shutdown(socket.SHUT_WR)
        await trio.testing.wait_all_tasks_blocked(0.005)
        assert (ear.data, ear.end) == (b"", [])
        channel.resume()
        await ear.notice.until(lambda: ear.end)
        assert (ear.data, ear.end) == (b"data", [None])


async def test_an_end_while_paused_is_told_at_once_if_it_is_heeded() -> None:
    async with standing() as stand:
        channel, ear, theirs = stand.pair()
        channel.pause(heed_end=True)
        theirs.send(b"data")
        theirs.shutdown(socket.SHUT_WR)
        await ear.notice.until(lambda: ear.end)
        assert ear.data == b""


def _more_reads(ear: Ear, than: int) -> bool:
    return ear.reads > than


async def test_a_pause_within_a_read_keeps_the_rest() -> None:
    async with standing() as stand:
        channel, ear, theirs = stand.pair()
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 * RECEIVE)
        told = ear.received

        def once(data: bytes) -> None:
            told(data)
            channel.pause()

        ear.received = once  # type: ignore[method-assign]
        sent = theirs.send(b"x" * 3 * RECEIVE)
        await ear.notice.until(lambda: ear.reads == 1)
        await trio.testing.wait_all_tasks_blocked(0.005)
        assert ear.reads == 1
        while len(ear.data) < sent:
            seen = ear.reads
            channel.resume()
            await ear.notice.until(partial(_more_reads, ear, seen))
        assert len(ear.data) == sent


async def test_a_bug_closes_its_connection_and_no_other() -> None:
    async with standing() as stand:
        bad, good = stand.pair(), stand.pair()
        bad[1].raises = True
        bad[2].send(b"x")
        await bad[1].notice.until(lambda: bad[1].end)
        assert bad[0].closed
        assert "internal error" in str(bad[1].end[0])
        good[2].send(b"y")
        await good[1].notice.until(lambda: good[1].data == b"y")
        assert [type(error) for error in stand.troubles] == [ZeroDivisionError]


async def test_a_bug_in_telling_of_a_bug_is_trouble_too() -> None:
    async with standing() as stand:
        _, ear, theirs = stand.pair()
        ear.raises = True

        def fail(error: OSError | None) -> None:
            raise KeyError("another")

        ear.ended = fail  # type: ignore[method-assign]
        theirs.send(b"x")
        await ear.notice.until(lambda: ear.reads)
        await trio.testing.wait_all_tasks_blocked(0.005)
        assert [type(error) for error in stand.troubles] == [ZeroDivisionError, KeyError]


async def test_writing_to_a_peer_that_is_gone_ends_the_channel() -> None:
    async with standing() as stand:
        channel, ear, theirs = stand.pair()
        theirs.close()
        channel.write(b"x")
        assert channel.closed
        assert len(ear.end) == 1
        channel.write(b"more")  # ignored
        channel.close()
        channel.finish()
        channel.resume()
        assert len(ear.end) == 1


async def test_closing_kindly_sends_everything_and_reads_what_comes() -> None:
    async with standing() as stand:
        channel, ear, theirs = stand.pair()
        channel.write(b"x" * 2_000_000)
        channel.finish()
        channel.finish()  # once is enough
        assert len(stand.hub.timed) == 1
        assert stand.hub.parting == {channel}
        theirs.send(b"unread input")
        assert len(await everything(theirs)) == 2_000_000
        assert not stand.hub.parting
        assert ear.data == b""
        theirs.close()
        with trio.fail_after(PATIENCE):
            while stand.hub.timed:
                await trio.sleep(0.002)
        assert channel.closed


async def test_closing_kindly_waits_for_a_slow_peer_and_not_for_a_dead_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hubs, "LINGERING", 0.1)
    async with standing() as stand:
        slow, _, theirs = stand.pair()
        dead, _, _ = stand.pair()
        for channel in (slow, dead):
            channel.write(b"x" * 4_000_000)
            channel.finish()
        seen = 0
        for _ in range(8):  # together longer than a peer that reads nothing may take
            await trio.sleep(0.05)
            seen += len(theirs.recv(400_000))
        assert dead.closed
        assert not slow.closed
        assert seen + len(await everything(theirs)) == 4_000_000


async def test_deadlines_are_swept_and_their_bugs_are_trouble() -> None:
    class Late:
        def __init__(self, *, fails: bool) -> None:
            self.deadline = hubs.monotonic()
            self.fails = fails
            self.told = 0
            self.notice = Notice()

        def expired(self, now: float) -> None:
            self.told += 1
            self.deadline = float("inf")
            self.notice.changed()
            if self.fails:
                raise ZeroDivisionError("a bug")

    async with standing() as stand:
        bad, good = Late(fails=True), Late(fails=False)
        stand.hub.timed |= {bad, good}
        await good.notice.until(lambda: good.told)
        await bad.notice.until(lambda: bad.told)
        assert stand.hub.timed == {good}
        assert len(stand.troubles) == 1


async def test_what_a_task_beside_the_hub_raises_is_trouble() -> None:
    ran = trio.Event()

    async def fail(number: int) -> None:
        ran.set()
        raise ZeroDivisionError(number)

    async with standing() as stand:
        stand.hub.spawn(fail, 7)
        await ran.wait()
        _, ear, theirs = stand.pair()
        theirs.send(b"still here")
        await ear.notice.until(lambda: ear.data)
        assert [error.args for error in stand.troubles] == [(7,)]


async def test_nothing_is_spawned_beside_a_hub_that_does_not_run() -> None:
    hub = Hub(lambda _: None)
    with pytest.raises(RuntimeError, match="not running"):
        hub.spawn(trio.sleep_forever)
    hub.close()


class Busy:
    """A connection on which there is always something to read, so that the hub has no rest.

    Attributes:
        rounds: how often it was read.
    """

    def __init__(self, stand: Stand) -> None:
        self.rounds = 0
        self._channel, ear, self._theirs = stand.pair()
        ear.received = self._received  # type: ignore[method-assign]
        self._theirs.send(b"x")

    def _received(self, data: bytes) -> None:
        self.rounds += 1
        self._channel.write(b"x")
        self._theirs.send(self._theirs.recv(100))


async def stepping(steps: int, busy: Busy) -> int:
    """Take so many turns; returns how many rounds the hub went meanwhile."""
    before = busy.rounds
    for _ in range(steps):
        await trio.lowlevel.checkpoint()
    return busy.rounds - before


async def test_a_task_that_a_request_waits_in_goes_on_after_every_round(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hubs, "SLICE", 0.2)
    monkeypatch.setattr(hubs, "SHARE", 0.0)
    async with standing() as stand:
        busy, done, rounds = Busy(stand), trio.Event(), 0

        async def work() -> None:
            nonlocal rounds
            rounds = await stepping(20, busy)
            done.set()

        with trio.fail_after(PATIENCE):
            stand.hub.spawn(work)
            await done.wait()
        assert 10 < rounds < 30


async def test_what_takes_several_turns_has_them_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubs, "SLICE", 0.001)
    monkeypatch.setattr(hubs, "SHARE", PATIENCE)
    async with standing() as stand:
        busy = Busy(stand)
        with trio.fail_after(PATIENCE):
            while busy.rounds < 10:
                await trio.sleep(0.001)
            assert await stepping(200, busy) < 20


async def test_the_hub_goes_on_when_others_had_their_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubs, "SLICE", 0.0)
    async with standing() as stand:
        busy = Busy(stand)
        with trio.fail_after(PATIENCE):
            while busy.rounds < 10:  # a task that could always go on
                await trio.lowlevel.checkpoint()


async def test_a_busy_connection_starves_no_task() -> None:
    async with standing() as stand:
        channel, ear, theirs = stand.pair()

        def answer(data: bytes) -> None:
            ear.reads += 1
            channel.write(b"x")

        ear.received = answer  # type: ignore[method-assign]
        turns = 0

        async def count() -> None:
            nonlocal turns
            while turns < 20:
                turns += 1
                await trio.sleep(0)

        async def echo() -> None:
            while True:
                await trio.lowlevel.wait_readable(theirs)
                theirs.send(theirs.recv(100))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(echo)
            theirs.send(b"x")
            with trio.fail_after(PATIENCE):
                await count()
            nursery.cancel_scope.cancel()
        assert turns == 20


async def test_a_busy_hub_offers_no_turn_that_trio_has_no_use_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archflow_engine.hub.SLICE", 0.0)
    rounds, exchanges = 0, 200

    class Turns(trio.abc.Instrument):
        def before_io_wait(self, timeout: float) -> None:
            nonlocal rounds
            rounds += 1

    async with standing() as stand:
        channel, ear, theirs = stand.pair()
        left = exchanges

        def answer(data: bytes) -> None:
            nonlocal left
            left -= 1
            if left:
                channel.write(b"x")
                theirs.send(theirs.recv(100))  # so that the next round has something at once
            else:
                ear.notice.changed()

        ear.received = answer  # type: ignore[method-assign]
        turns = Turns()
        theirs.send(b"x")
        trio.lowlevel.add_instrument(turns)
        with trio.fail_after(PATIENCE):
            await ear.notice.until(lambda: not left)
        trio.lowlevel.remove_instrument(turns)
    assert rounds < exchanges / 4


def _got(sock: socket.socket) -> bytes:
    """What came so far."""
    try:
        return sock.recv(RECEIVE)
    except BlockingIOError:
        return b""


def _round_of(
    count: int,
) -> tuple[Stand, list[tuple[Channel, Ear, socket.socket]], list[tuple[Channel, int]]]:
    """A hub that stands still, with so many channels that have something to read."""
    stand = Stand()
    pairs = [stand.pair() for _ in range(count)]
    for _, _, theirs in pairs:
        theirs.send(b"?")
    return stand, pairs, [(channel, select.EPOLLIN) for channel, _, _ in pairs]


async def test_writes_of_a_round_of_several_are_sent_when_it_ends() -> None:
    stand, pairs, ready = _round_of(2)
    (first, ear, theirs), (_, last, _) = pairs
    seen: list[bytes] = []

    def answer(_: bytes) -> None:
        first.write(b"one ")
        first.write(b"two")

    ear.received = answer  # type: ignore[method-assign]
    last.received = lambda _: seen.append(_got(theirs))  # type: ignore[method-assign]
    stand.hub._round(ready)
    assert (seen, _got(theirs)) == ([b""], b"one two")
    first.write(b"three")
    assert _got(theirs) == b"three"
    stand.finish()


async def test_a_write_in_a_round_of_one_is_sent_at_once() -> None:
    stand, [(channel, ear, theirs)], ready = _round_of(1)
    seen: list[bytes] = []

    def answer(_: bytes) -> None:
        channel.write(b"now")
        seen.append(_got(theirs))

    ear.received = answer  # type: ignore[method-assign]
    stand.hub._round(ready)
    assert seen == [b"now"]
    stand.finish()


async def test_no_more_than_a_burst_is_held_back() -> None:
    stand, pairs, ready = _round_of(hubs.BURST + 1)
    seen: list[bytes] = []
    for channel, ear, _ in pairs[:-1]:
        ear.received = lambda _, channel=channel: channel.write(b"!")  # type: ignore[method-assign, misc]
    pairs[-1][1].received = lambda _: seen.extend(_got(theirs) for *_, theirs in pairs)  # type: ignore[method-assign]
    stand.hub._round(ready)
    assert seen == [b"!"] * hubs.BURST + [b""]
    stand.finish()


@pytest.mark.parametrize("end", ["close", "finish", "reset"])
async def test_an_end_in_a_round_comes_after_what_was_written(end: str) -> None:
    stand, pairs, ready = _round_of(2)
    (channel, ear, theirs), _ = pairs

    def leave(_: bytes) -> None:
        channel.write(b"last words")
        getattr(channel, end)()

    ear.received = leave  # type: ignore[method-assign]
    stand.hub._round(ready)
    assert _got(theirs) == b"last words"
    assert theirs.recv(1) == b""
    stand.finish()


async def test_a_peer_that_is_gone_when_a_round_ends_is_told_once() -> None:
    stand, pairs, ready = _round_of(2)
    (channel, ear, theirs), (_, other, _) = pairs
    ear.received = lambda _: channel.write(b"hello")  # type: ignore[method-assign]
    other.received = lambda _: theirs.close()  # type: ignore[method-assign]
    stand.hub._round(ready)
    assert channel.closed
    assert len(ear.end) == 1
    stand.finish()


async def test_a_bug_when_a_round_ends_costs_its_own_connection_only() -> None:
    stand, pairs, ready = _round_of(2)
    (channel, ear, theirs), (second, other, theirs2) = pairs

    def bug(_: OSError | None) -> None:
        raise ZeroDivisionError("a bug")

    def answer(_: bytes) -> None:
        theirs.close()
        second.write(b"fine")

    ear.received = lambda _: channel.write(b"hello")  # type: ignore[method-assign]
    ear.ended = bug  # type: ignore[method-assign]
    other.received = answer  # type: ignore[method-assign]
    stand.hub._round(ready)
    assert _got(theirs2) == b"fine"
    assert stand.troubles
    stand.finish()

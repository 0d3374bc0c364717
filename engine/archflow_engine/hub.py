"""The hub: one edge-triggered epoll inside one trio task, which every client and upstream socket joins once.

A wake-up drains all ready sockets: receive, parse, callbacks, send. No task, nursery, cancel scope or epoll_ctl
is spent on a request (bench/README.md has what each of them costs). Everything that waits is a task of trio's;
`spawn` is the door from a callback to a task.

How it waits: as trio's host (`turns`), in its own epoll, in which trio's stands, until trio's next deadline; so an
event costs one system call, and waiting no timer that is near. Where trio cannot be hosted it lingers for LINGER, and
then waits as a task of trio's.

How it shares: trio gets turns when it has something to do: after the round in which that shows, or else after SLICE,
and for as long as it has, SHARE at most, so that what takes several steps, as accepting many clients does, is not held
up by each of them.

How it writes: at once, if one channel was ready; what several write in one round is sent together at its end, or after
BURST of them, as most of a send is waking whoever waits for it.

Rule: a callback never blocks and never raises for what a peer did; what escapes it closes that one connection.
Rule: this file knows sockets and times, not HTTP.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import time
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import trio

from archflow_engine.turns import Turns

LINGER = 0.001
"""Seconds to wait in the hub's own epoll before trio's, where trio is not hosted (epoll counts in milliseconds)."""
SLICE = 0.002
"""Seconds of work after which it is asked whether a turn of trio's is due, though nothing showed it."""
SHARE = 0.0005
"""Seconds of turns, after which the hub goes on."""
LINGERING = 5.0
"""Seconds that a closing connection may read nothing of its last reply, or stay open after it."""
SWEEP = 0.05
"""Seconds between two looks at the deadlines: how late a timeout may fire."""
BATCH = 512
RECEIVE = 65_536
BURST = 16
"""Channels whose writes are held back in a round of several ready ones, and then sent one right after the other."""

READ = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
GONE = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
_HUNG_UP = select.EPOLLHUP | select.EPOLLERR
WRITE = select.EPOLLOUT
_CALM = select.EPOLLIN | select.EPOLLOUT
"""Something to read, and room to write: an edge-triggered epoll tells both."""
_EVENTS = select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET

_NEVER = float("inf")
_NO_LINGER = struct.pack("ii", 1, 0)

monotonic = time.monotonic


class Owner(Protocol):
    """Who is told what happens on a Channel."""

    def received(self, data: bytes) -> None:
        """More bytes came."""

    def ended(self, error: OSError | None) -> None:
        """Nothing more will come: the peer closed or reset. Called at most once."""

    def drained(self) -> None:
        """What was written and could not be sent at once is sent."""


class Timed(Protocol):
    """Something with a deadline on the hub's clock."""

    deadline: float

    def expired(self, now: float) -> None:
        """The deadline passed."""


class Channel:
    """A connected, non-blocking socket on the hub: writes at once or later, reads when told to.

    Attributes:
        owner: who is told what happens; may be replaced.
        unsent: how many bytes wait for the peer to read.
        full: how many may wait before the peer is no longer heard, as what it says would be answered with more.
        paused: no bytes are received while True, so that the peer feels it.
    """

    __slots__ = (
        "_heeds",
        "_held",
        "_hub",
        "_pending",
        "_recv",
        "_send",
        "_waiting",
        "closed",
        "fd",
        "full",
        "owner",
        "paused",
        "sock",
        "unsent",
    )

    def __init__(self, hub: Hub, sock: socket.socket, owner: Owner) -> None:
        self.sock = sock
        self.fd = sock.fileno()
        self.owner = owner
        self.unsent = 0
        self.full = _NEVER
        self.paused = False
        self.closed = False
        self._hub = hub
        self._recv = sock.recv
        self._send = sock.send
        self._waiting: list[bytes | memoryview] = []
        self._held: list[bytes] = []
        self._pending = 0
        self._heeds = _HUNG_UP

    def write(self, data: bytes) -> None:
        """Send what the kernel takes, at the latest when the hub's round ends, and the rest when it takes more.

        Ignored once closed.
        """
        if self.closed:
            return
        if self.unsent:
            self._waiting.append(data)
            self.unsent += len(data)
            return
        held = self._held
        held.append(data)
        if not self._hub.holding:
            self.release()
        elif len(held) == 1:
            self._hub.held.append(self)

    def release(self) -> None:
        """Send what was held back. The owner may be told that the peer is gone."""
        held = self._held
        if not held:
            return
        data = held[0] if len(held) == 1 else b"".join(held)
        held.clear()
        send = self._send
        try:
            sent = send(data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._lost(error)
            return
        if sent != len(data):
            self._waiting.append(memoryview(data)[sent:])
            self.unsent = len(data) - sent

    def pause(self, *, heed_end: bool = False) -> None:
        """Receive nothing more for now.

        Args:
            heed_end: the peer's end is told all the same, and what it sent before is lost. Without it, the end is told
                after what it sent, when receiving goes on.
        """
        self.paused = True
        self._heeds = _HUNG_UP | select.EPOLLRDHUP if heed_end else _HUNG_UP

    def resume(self) -> None:
        """Receive again; what came meanwhile is delivered in the hub's next round."""
        if self.paused:
            self.paused = False
            if self._pending and not self.closed:
                self._hub.again(self, self._pending)
                self._pending = 0

    def finish(self) -> None:
        """Close kindly: send what was written, say that nothing follows, and let the peer read it.

        Closing a socket with unread input resets the connection and can destroy a reply on its way, so input is
        read and dropped until the peer closes, for LINGERING seconds at most (RFC 9112 section 9.6).
        """
        if not self.closed and not isinstance(self.owner, _Lingering):
            self.owner = _Lingering(self._hub, self)
            self.release()
            self.resume()
            if not self.unsent:
                self.owner.drained()

    def send_eof(self) -> None:
        """Tell the peer that nothing more follows."""
        self.release()
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Close at once so that the peer can tell that it was not kindly. The owner is not told."""
        if not self.closed:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            self.close()

    def fail(self, error: BaseException) -> None:
        """Close after a bug in a callback, and tell the owner, so that whoever waits for it is answered."""
        owner = self.owner
        self.close()
        owner.ended(OSError(f"internal error: {error!r}"))

    def close(self) -> None:
        """Close at once. The owner is not told."""
        if not self.closed:
            self.closed = True
            if self._held:
                with contextlib.suppress(OSError):  # of a peer that is gone, nobody wants to hear more
                    self._send(b"".join(self._held))
                self._held.clear()
            self._waiting.clear()
            self.unsent = 0
            self._hub.leave(self)
            self.sock.close()

    def ready(self, mask: int) -> None:
        """Called by the hub: the kernel reported `mask`."""
        if (mask != _CALM or self.unsent or self.paused) and not self._may_receive(mask):
            return
        receive = self._recv  # found sooner than where a method is looked for
        try:
            data = receive(RECEIVE)
        except BlockingIOError:
            return
        except OSError as error:
            self._lost(error)
            return
        if not data:
            self._lost(None)
            return
        if mask & GONE or len(data) == RECEIVE:
            # Edge-triggered: the edge is spent, and more (or the end) may be waiting behind what was read.
            self._hub.again(self, mask)
        self.owner.received(data)

    def _may_receive(self, mask: int) -> bool:
        """Send what waits, if there is room now, and tell whether anything is to be received."""
        if mask & WRITE and self.unsent:
            self._flush()
        if not mask & READ or self.closed:
            return False
        if self.paused or self.unsent > self.full:
            self._pending |= mask
            if mask & self._heeds:
                self._lost(None)
            return False
        return True

    def _flush(self) -> None:
        waiting = self._waiting
        while waiting:
            head = waiting[0] if len(waiting) == 1 else b"".join(waiting)
            waiting.clear()
            try:
                sent = self._send(head)
            except BlockingIOError:
                sent = 0
            except OSError as error:
                self._lost(error)
                return
            self.unsent = len(head) - sent
            if self.unsent:
                waiting.append(memoryview(head)[sent:])
                return
        if self._pending and not self.paused:  # it was too full to be heard
            self._hub.again(self, self._pending)
            self._pending = 0
        self.owner.drained()

    def _lost(self, error: OSError | None) -> None:
        if not self.closed:
            owner = self.owner
            self.close()
            owner.ended(error)


class _Lingering:
    """Owns a channel that is about to close."""

    def __init__(self, hub: Hub, channel: Channel) -> None:
        self._hub = hub
        self._channel = channel
        self._unsent = channel.unsent
        self.deadline = monotonic() + LINGERING
        hub.timed.add(self)
        hub.parting.add(channel)

    def received(self, data: bytes) -> None:
        """Input is dropped."""

    def ended(self, error: OSError | None) -> None:
        self._end()

    def drained(self) -> None:
        self.deadline = monotonic() + LINGERING
        self._channel.send_eof()
        self._hub.parted(self._channel)

    def expired(self, now: float) -> None:
        before, self._unsent = self._unsent, self._channel.unsent
        if self._unsent < before:
            self.deadline = now + LINGERING  # slow, but it reads
            return
        self._channel.close()
        self._end()

    def _end(self) -> None:
        self._hub.timed.discard(self)
        self._hub.parted(self._channel)


class Hub:
    """Sockets in, callbacks out, deadlines swept. One per worker.

    Attributes:
        timed: what has a deadline; add and discard freely.
        parting: channels that close as soon as they have sent what was written.
        holding: whether writes are held back until the round, or a burst of it, ends.
        held: channels with writes that are held back.
        trouble: called with an exception that escaped a callback, after its connection was closed.
    """

    def __init__(self, trouble: Callable[[BaseException], None]) -> None:
        self._epoll = select.epoll()
        self._channels: dict[int, Channel] = {}
        self._again: list[tuple[Channel, int]] = []
        self._asleep = False
        self._waker = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll.register(self._waker, select.EPOLLIN | select.EPOLLET)
        self._nursery: trio.Nursery | None = None
        self.timed: set[Timed] = set()
        self.parting: set[Channel] = set()
        self.holding = False
        self.held: list[Channel] = []
        self._all_parted = trio.Event()
        self.trouble = trouble

    def close(self) -> None:
        """Let go of what `run` works with; for a hub that never ran, too."""
        self._asleep = False
        if not self._epoll.closed:
            self._epoll.close()
            os.close(self._waker)

    @staticmethod
    def now() -> float:
        """Seconds on the clock of all deadlines."""
        return monotonic()

    def join(self, channel: Channel) -> None:
        """Watch a channel from now on."""
        self._channels[channel.fd] = channel
        self._epoll.register(channel.fd, _EVENTS)

    def adopt(self, channel: Channel) -> None:
        """Watch a channel on a socket that joined as another channel; costs no system call."""
        self._channels[channel.fd] = channel

    def leave(self, channel: Channel) -> None:
        """Forget a channel that is about to be closed; closing the socket takes it out of the epoll."""
        if self._channels.get(channel.fd) is channel:
            del self._channels[channel.fd]

    def parted(self, channel: Channel) -> None:
        """A closing channel has sent its last byte, or never will."""
        self.parting.discard(channel)
        if not self.parting:
            self._all_parted.set()

    async def farewell(self) -> None:
        """Wait until closing channels have sent what was written. Blocks."""
        while self.parting:
            self._all_parted = trio.Event()
            await self._all_parted.wait()

    def again(self, channel: Channel, mask: int) -> None:
        """Look at a channel once more in the next round, as if the kernel had reported `mask`."""
        self._again.append((channel, mask))
        if self._asleep:  # the caller is a task, not one of our callbacks
            self._asleep = False
            os.eventfd_write(self._waker, 1)

    def spawn(self, work: Callable[..., Awaitable[Any]], *args: object) -> None:
        """Run a task beside the hub. What it raises is trouble, and ends nothing but the task."""
        if self._nursery is None:
            raise RuntimeError("the hub is not running")
        self._nursery.start_soon(self._beside, work, args)

    async def _beside(self, work: Callable[..., Awaitable[Any]], args: tuple[object, ...]) -> None:
        try:
            await work(*args)
        except Exception as error:  # noqa: BLE001 - as in _round
            self.trouble(error)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled. Blocks. Resources: closes every socket that is still open when it ends."""
        try:
            with Turns(self._epoll) as turns:
                async with trio.open_nursery() as nursery:
                    self._nursery = nursery
                    nursery.start_soon(self._sweep)
                    task_status.started()
                    await trio.lowlevel.checkpoint()  # from now on it is known which tasks can run
                    await self._turn(turns)
        finally:
            self._nursery = None
            for channel in list(self._channels.values()):
                channel.close()
            self.close()

    async def _turn(self, turns: Turns) -> None:
        poll, due, runnable, hosting = self._epoll.poll, turns.due, turns.runnable, turns.hosting
        channels = self._channels
        now = until = wake = monotonic()
        while True:
            events = poll(
                0 if self._again or runnable else max(0.0, wake - now) if hosting else LINGER, BATCH
            )
            ready = [(channel, mask) for number, mask in events if (channel := channels.get(number))]
            if ready:
                self._round(ready)
            if self._again:
                self._round(self._take())
            elif not events and not hosting and not runnable:
                self._asleep = True
                await trio.lowlevel.wait_readable(self._epoll.fileno())
                self._asleep = False
            now = monotonic()
            if now > until or runnable or len(ready) < len(events) or not events:
                while due():
                    await trio.lowlevel.checkpoint()
                    if monotonic() > now + SHARE:
                        break
                if hosting:
                    if not events:
                        await turns.rest()
                    wake = monotonic() + turns.left()
                now = monotonic()
                until = now + SLICE

    def _take(self) -> list[tuple[Channel, int]]:
        taken, self._again = self._again, []
        return taken

    def _round(self, ready: list[tuple[Channel, int]]) -> None:
        # Most of what a send costs is waking a peer that sleeps. Sent right after each other, the writes of several
        # exchanges find it awake from the first one on; alone, a write gains nothing by waiting.
        self.holding = len(ready) > 1
        for channel, mask in ready:
            if channel.closed:
                continue
            try:
                channel.ready(mask)
            except Exception as error:  # noqa: BLE001 - a bug in one exchange must not take the others down
                self._failed(channel, error)
            if len(self.held) >= BURST:
                self._release()
        self.holding = False
        if self.held:
            self._release()

    def _release(self) -> None:
        held, self.held = self.held, []
        for channel in held:
            try:
                channel.release()
            except Exception as error:  # noqa: BLE001 - as in _round
                self._failed(channel, error)

    def _failed(self, channel: Channel, error: Exception) -> None:
        self.trouble(error)
        try:
            channel.fail(error)
        except Exception as second:  # noqa: BLE001
            self.trouble(second)

    async def _sweep(self) -> None:
        while True:
            await trio.sleep(SWEEP)
            now = monotonic()
            for timed in [timed for timed in self.timed if timed.deadline <= now]:
                try:
                    timed.expired(now)
                except Exception as error:  # noqa: BLE001 - as in _round
                    self.timed.discard(timed)
                    self.trouble(error)

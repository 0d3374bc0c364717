"""What a reply passes before its client hears it: stages, each of which takes events and gives events.

::

    upstream -> decoder -> stage -> stage -> encoder -> client

A node that stands before dispatch puts in a maker of stages; each reply gets stages of its own, in the order of their
nodes, and those behind all others that say so. An exchange without stages knows nothing of all this, and is relayed.

Rule: a stage that must wait says so by None, and is then awaited with the same events; the upstream pauses meanwhile.
Rule: a stage that ends a reply raises Ended: nothing that it holds ever leaves, and the upstream is cancelled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import trio

from archflow_engine.ask import current
from archflow_schema.errors import UpstreamError
from archflow_schema.events import Event

if TYPE_CHECKING:
    from archflow_engine.exchange import Exchange
    from archflow_engine.walk import Runner


T = TypeVar("T")


class Stage(Protocol[T]):
    """One step of one reply, of events or of the client's bytes.

    It may hold events back; with Finished, or Failed, everything that may leave leaves.
    """

    def feed(self, events: Sequence[T], /) -> Sequence[T] | None:
        """The events that go on; None if it must wait for them.

        Raises:
            Ended: the client gets no more of this reply.
        """

    async def feed_waiting(self, events: Sequence[T], /) -> Sequence[T]:
        """As `feed`, called after it gave None, with the same events. Blocks; cancelled when the client leaves.

        Raises:
            Ended: as above.
        """


class Ended(Exception):
    """A stage ends the reply.

    Attributes:
        runner: where the walk goes on if the client got nothing yet.
        events: what a client in mid-stream gets instead of the rest; the last one is Finished or Failed.
    """

    def __init__(self, runner: Runner | None, events: Sequence[Event]) -> None:
        super().__init__("a stage ended the reply")
        self.runner = runner
        self.events = events


Maker = Callable[[], Stage[Event]]


class _Last:
    """Makes a stage that stands behind all others."""

    def __init__(self, make: Maker) -> None:
        self._make = make

    def __call__(self) -> Stage[Event]:
        return self._make()


def put(exchange: Exchange, make: Maker, *, last: bool = False) -> None:
    """Let the replies of an exchange pass one more stage, behind those that are there.

    Args:
        exchange: before it is dispatched.
        make: makes the stage, for each reply anew.
        last: stand behind all that come later, too: next to the client.
    """
    makers = exchange.stages = [] if exchange.stages is None else exchange.stages
    if last:
        makers.append(_Last(make))
    else:
        makers.insert(
            next((at for at, one in enumerate(makers) if isinstance(one, _Last)), len(makers)), make
        )


def passed(exchange: Exchange, events: Sequence[Event], then: Callable[[Sequence[Event]], None]) -> None:
    """Let a reply that is no upstream's, and is whole, pass the stages, and go on with what is left of it.

    What one of them says instead passes none of them.
    """
    makers, exchange.stages = exchange.stages, None
    if not makers:
        then(events)
        return
    passage = Passage(
        exchange,
        [make() for make in makers],
        lambda left, _end, _error: then(left),
        lambda ended: exchange.withhold(0, ended.runner),
    )
    passage.push(events, end=True)


class Passage(Generic[T]):
    """The stages of one reply.

    Attributes:
        busy: whether a stage waits; what comes meanwhile is kept until it does no more.
    """

    __slots__ = ("_end", "_ended", "_error", "_exchange", "_inbox", "_out", "_paused", "_stages", "busy")

    def __init__(
        self,
        exchange: Exchange,
        stages: Sequence[Stage[T]],
        out: Callable[[Sequence[T], bool, UpstreamError | None], None],
        ended: Callable[[Ended], None],
    ) -> None:
        """Lead through stages.

        Args:
            exchange: whose reply it is.
            stages: in their order.
            out: gets what passed all of them, whether the upstream's body has ended, and why there will be no more.
            ended: is told when a stage ends the reply.
        """
        self._exchange = exchange
        self._stages = stages
        self._out = out
        self._ended = ended
        self._inbox: list[T] = []
        self._end = False
        self._error: UpstreamError | None = None
        self._paused = False
        self.busy = False

    def push(self, events: Sequence[T], *, end: bool, error: UpstreamError | None = None) -> None:
        """What the upstream said: events, the end of its body, or why there will be no more."""
        if self.busy:
            self._inbox += events
            self._end = self._end or end
            self._error = self._error or error
            self._hold()
            return
        try:
            at, events = self._through(0, events)
        except Ended as ended:
            self._ended(ended)
        except Exception as raised:  # noqa: BLE001 - a stage runs plugins, and what they raise is answered all the same
            self._exchange.trouble(raised)
        else:
            if at == len(self._stages):
                self._out(events, end, error)
            else:
                self.busy = True
                self._end, self._error = end, error
                self._hold()
                self._exchange.plan.hub.spawn(self._wait, at, events)

    def _hold(self) -> None:
        self._paused = True
        self._exchange.hold()

    def _through(self, at: int, events: Sequence[T]) -> tuple[int, Sequence[T]]:
        """Lead events through the stages from `at` on, to the end or to one that must wait."""
        for number in range(at, len(self._stages)):
            if not events:
                break
            passed = self._stages[number].feed(events)
            if passed is None:
                return number, events
            events = passed
        return len(self._stages), events

    async def _wait(self, at: int, events: Sequence[T]) -> None:
        exchange = self._exchange
        current.set(exchange)
        with trio.CancelScope() as scope:
            if exchange.over:  # the client left before this task began
                return
            exchange.enter(scope)
            try:
                await self._drain(at, events)
            except Ended as ended:
                self._ended(ended)
            except Exception as error:  # noqa: BLE001 - as in push
                exchange.trouble(error)
        exchange.leave(scope)

    async def _drain(self, at: int, events: Sequence[T]) -> None:
        """Go on from a stage that must wait, until nothing is left of what came meanwhile."""
        while True:
            # What has come meanwhile, though it is not looked at yet, comes before the end.
            end, error = (False, None) if self._inbox else (self._end, self._error)
            while at < len(self._stages):
                events = await self._stages[at].feed_waiting(events)
                at, events = self._through(at + 1, events)
            more = bool(self._inbox) or (self._end, self._error) != (end, error)
            self._out(events, end, error)
            if not more or self._exchange.over:
                break
            events, self._inbox = self._inbox, []
            at, events = self._through(0, events)
        self.busy = False
        if self._paused:
            self._paused = False
            self._exchange.go_on()

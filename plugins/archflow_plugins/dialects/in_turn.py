"""Tool calls one after the other, for clients to whom a call must be whole before something else begins.

Upstreams of chat completions and of the Responses API may send the arguments of several calls by turns. A call whose
arguments are not a JSON object yet stays open; what belongs to other blocks waits, and comes block by block at the end
of its choice.

Rule: what needs no waiting passes as it came, so that a text costs one comparison.
Rule: what waits is bounded by WAITING_AT_MOST.
"""

from __future__ import annotations

from collections.abc import Sequence

from archflow_plugins.dialects.json_body import BAD_JSON, decode_fields
from archflow_schema.errors import UpstreamProtocolError
from archflow_schema.events import (
    CitationFound,
    Event,
    Failed,
    Finished,
    ReasoningDelta,
    RefusalDelta,
    Stopped,
    TextDelta,
    ToolCallDelta,
)

WAITING_AT_MOST = 32 * 1024 * 1024
"""Characters of the calls of a reply that are kept."""
Delta = TextDelta | RefusalDelta | ReasoningDelta | ToolCallDelta | CitationFound
_DELTAS = (TextDelta, RefusalDelta, ReasoningDelta, ToolCallDelta, CitationFound)


class _Choice:
    """One choice: the call that is open, those that are over, and what waits."""

    __slots__ = ("arguments", "block", "over", "waiting")

    def __init__(self) -> None:
        self.block = -1
        self.arguments: list[str] = []
        self.over: set[int] = set()
        self.waiting: list[Delta] = []


class InTurn:
    """Puts the events of one reply in order."""

    __slots__ = ("_choices", "_size")

    def __init__(self) -> None:
        self._choices: dict[int, _Choice] = {}
        self._size = 0

    def feed(self, events: Sequence[Event]) -> Sequence[Event]:
        """The events that may pass now.

        Raises:
            UpstreamProtocolError: too much would have to wait.
        """
        if not self._choices and ToolCallDelta not in map(type, events):
            return events
        passed: list[Event] = []
        for event in events:
            if isinstance(event, _DELTAS):
                self._delta(event, passed)
                continue
            if isinstance(event, Stopped):
                self._release(event.choice, passed)
            elif isinstance(event, Finished | Failed):
                for number in tuple(self._choices):
                    self._release(number, passed)
            passed.append(event)
        return passed

    def _delta(self, event: Delta, passed: list[Event]) -> None:
        choice = self._choices.get(event.choice)
        call = isinstance(event, ToolCallDelta)
        if choice is None:
            if not call:
                passed.append(event)
                return
            choice = self._choices[event.choice] = _Choice()
        if event.block != choice.block:
            if choice.waiting or not _complete(choice):
                choice.waiting.append(event)
                self._keep(event)
                return
            if event.block in choice.over:  # blanks after its last brace
                return
            if choice.block >= 0:
                choice.over.add(choice.block)
            choice.block, choice.arguments = (event.block if call else -1), []
        if isinstance(event, ToolCallDelta) and event.arguments:
            choice.arguments.append(event.arguments)
            self._keep(event)
        passed.append(event)

    def _release(self, number: int, passed: list[Event]) -> None:
        """The choice is over: what waited comes, block by block in the order in which they began."""
        choice = self._choices.pop(number, None)
        waiting: dict[int, list[Delta]] = {}
        for event in choice.waiting if choice is not None else ():
            waiting.setdefault(event.block, []).append(event)
        for events in waiting.values():
            passed += events

    def _keep(self, event: Delta) -> None:
        if isinstance(event, ToolCallDelta):
            self._size += len(event.arguments)
        elif not isinstance(event, CitationFound):
            self._size += len(event.text)
        if self._size > WAITING_AT_MOST:
            raise UpstreamProtocolError(
                f"the tool calls of a reply are larger than {WAITING_AT_MOST} characters"
            )


def _complete(choice: _Choice) -> bool:
    """Whether nothing more can come of the open call."""
    if choice.block < 0:
        return True
    try:
        decode_fields("".join(choice.arguments))
    except BAD_JSON:
        return False
    return True

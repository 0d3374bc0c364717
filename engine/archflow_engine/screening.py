"""The stage in which a guard judges a reply: events wait in their order until all the text before them may leave.

Rule: text, and all that comes behind it, is held until the guard's screen passes it; what was denied never leaves.
Rule: what tells a text again (its tokens, a source as its vendor writes it) goes only where the text goes unchanged.
Rule: nothing goes to the client before the first text may, so that a denial can still be an answer of its own.
Invariant: where the upstream's portions end makes no difference to what is denied.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import trio
from msgspec import structs

from archflow_engine.stages import Ended
from archflow_plugins.verdict import Channel, Passed, Screen, Screens, Verdict
from archflow_schema.conversation import Citation
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

if TYPE_CHECKING:
    from archflow_engine.walk import Runner

HELD_AT_MOST = 16 << 20
"""Characters of a reply that are held; more than that cannot be judged."""
EVENT = 64
"""Characters that an event is counted as, beside its own."""
_CHANNELS: dict[type, tuple[Channel, str]] = {
    TextDelta: ("text", "text"),
    RefusalDelta: ("text", "text"),
    ReasoningDelta: ("reasoning", "text"),
    ToolCallDelta: ("arguments", "arguments"),
}
"""Events with text: the channel that they are of, and the field that holds it."""
_OF_THE_FIRST: dict[type, dict[str, Any]] = {ToolCallDelta: {"id": "", "name": "", "signature": ""}}
_OF_THE_LAST: dict[type, dict[str, Any]] = {
    TextDelta: {"logprobs": ()},
    ReasoningDelta: {"signature": "", "sealed": "", "id": ""},
}
"""What an event that is told in portions says with the first of them, or the last; and what the others say instead."""
_OF_THE_SAME: dict[type, dict[str, Any]] = {TextDelta: {"logprobs": ()}}
"""What an event says only with the text that it came with, and what it says with another one."""
_SOURCE = ("title", "url", "cited")
"""The words of a citation, each on a line of its own but for the last."""
_Key = tuple[int, Channel, int]
_Delta = TextDelta | RefusalDelta | ReasoningDelta | ToolCallDelta


class Judge(Protocol):
    """Who hears what becomes of a reply."""

    def allowed(self) -> None:
        """All of it was judged, and leaves."""

    def denied(self, verdict: Verdict) -> Runner | None:
        """It ends here; where the walk goes on if the client got nothing."""

    def failed(self, error: Exception) -> Ended | None:
        """It cannot be judged: how it ends; None if it leaves all the same."""


class _Through:
    """A channel: its choice, its screen, what that has passed of what is held, and whether all of it was fed."""

    __slots__ = ("choice", "ended", "passed", "screen")

    def __init__(self, choice: int, screen: Screen) -> None:
        self.choice = choice
        self.screen = screen
        self.passed: deque[Passed] = deque()
        self.ended = False


class _Held:
    """An event that waits, what of its text has not left, whether some has, and whether as another text."""

    __slots__ = ("begun", "changed", "event", "text", "through")

    def __init__(self, event: Event) -> None:
        self.event = event
        self.text = _words(event)
        self.through: _Through | None = None
        self.begun = False
        self.changed = False


class Screening:
    """One reply before one guard; a `Stage`."""

    def __init__(self, screens: Screens, judge: Judge) -> None:
        """Make it for one reply; `screens` makes what judges a channel."""
        self._screens = screens
        self._judge = judge
        self._queue: deque[_Held] = deque()
        self._channels: dict[_Key, _Through | None] = {}
        self._work: deque[tuple[_Through, str, bool]] = deque()
        self._lead: list[Event] = []
        self._cited = 0
        self._size = 0
        self._off = False
        self._left: dict[int, bool] = {}
        """The choices that the client heard of and that did not stop, and whether it heard words."""
        self._begun = False
        self._block = 0

    def feed(self, events: Sequence[Event]) -> Sequence[Event] | None:
        if self._off:
            return events
        try:
            self._take(events)
            while self._work:
                through, text, end = self._work[0]
                told = through.screen.feed_nowait(text, end=end)
                if told is None:
                    return None
                self._work.popleft()
                self._told(through, told)
        except Ended:
            raise
        except Exception as error:  # noqa: BLE001 - a guard that could not judge has not allowed
            return self._failed(error)
        return self._leaving()

    async def feed_waiting(self, events: Sequence[Event]) -> Sequence[Event]:
        asked = True  # the first by `feed`
        try:
            while self._work:
                through, text, end = self._work[0]
                told = None if asked else through.screen.feed_nowait(text, end=end)
                if told is None:
                    told = await through.screen.feed(text, end=end)
                asked = False
                self._work.popleft()
                self._told(through, told)
        except (Ended, trio.Cancelled):
            raise
        except Exception as error:  # noqa: BLE001 - as above
            return self._failed(error)
        return self._leaving()

    # What came.

    def _take(self, events: Sequence[Event]) -> None:
        """Let events wait, and each channel's text be judged in one piece."""
        held = [_Held(event) for event in events]
        self._size += sum(EVENT + len(one.text) for one in held)
        self._queue += held  # first of all, for they leave where the guard fails open
        fed: dict[_Through, list[str]] = {}
        for one in held:
            event = one.event
            if isinstance(event, _Delta):
                self._take_text(event, one, fed)
            elif isinstance(event, CitationFound):
                self._take_source(event, one, fed)
            elif isinstance(event, Stopped):
                self._end(event.choice, fed)
            elif isinstance(event, Finished):
                for choice in {choice for choice, _, _ in self._channels} or {0}:
                    self._end(choice, fed)
            elif isinstance(event, Failed):  # what is held was not judged to its end
                self._queue = deque([one])
                self._lead.clear()
                fed.clear()
        for through, texts in fed.items():
            self._work.append((through, "".join(texts), through.ended))
        if self._size > HELD_AT_MOST:
            raise UpstreamProtocolError(f"more than {HELD_AT_MOST} characters of the reply are held")

    def _take_text(self, event: _Delta, held: _Held, fed: dict[_Through, list[str]]) -> None:
        through = self._through(event.choice, _CHANNELS[type(event)][0], getattr(event, "index", 0))
        if through is not None and held.text:
            if through.ended:
                raise UpstreamProtocolError("the upstream went on after it had stopped")
            held.through = through
            fed.setdefault(through, []).append(held.text)
        elif through is not None and isinstance(event, TextDelta) and event.logprobs:
            held.event = structs.replace(event, logprobs=())  # tokens of a text that was not judged with them

    def _take_source(self, event: CitationFound, held: _Held, fed: dict[_Through, list[str]]) -> None:
        """A citation is judged alone, and whole."""
        self._cited += 1
        through = self._through(event.choice, "cited", self._cited)
        if through is not None and held.text:
            through.ended = True
            held.through = through
            fed[through] = [held.text]

    def _through(self, choice: int, channel: Channel, index: int) -> _Through | None:
        key = (choice, channel, index)
        if key not in self._channels:
            screen = self._screens(channel)
            self._channels[key] = None if screen is None else _Through(choice, screen)
        return self._channels[key]

    def _end(self, choice: int, fed: dict[_Through, list[str]]) -> None:
        """A choice has said all; one that said nothing and called nothing has said an empty text."""
        if not any(one == choice and channel in {"text", "arguments"} for one, channel, _ in self._channels):
            self._through(choice, "text", 0)
        for (one, _, _), through in self._channels.items():
            if one == choice and through is not None and not through.ended:
                through.ended = True
                fed.setdefault(through, [])

    # What the guard says.

    def _told(self, through: _Through, told: Verdict | Sequence[Passed]) -> None:
        if not isinstance(told, Verdict):
            through.passed += told
        elif told.allow:
            raise TypeError("a screen says what may leave, and not that all may")
        else:
            raise Ended(self._judge.denied(told), self._instead(told.message, through.choice))

    def _failed(self, error: Exception) -> Sequence[Event]:
        ended = self._judge.failed(error)
        if ended is not None:
            raise ended from error
        self._off = True
        self._work.clear()
        for held in self._queue:
            held.through = None
        return self._leaving()

    def _instead(self, message: str, denied: int) -> list[Event]:
        """What a client in mid-stream hears instead of the rest; in `denied` if that is all it has not heard of."""
        said: list[Event] = []
        for choice, words in (self._left or {denied: False}).items():
            self._block += 1
            said.append(TextDelta(f"\n\n{message}" if words else message, block=self._block, choice=choice))
            said.append(Stopped("content_filter", choice=choice))
        return [*said, Finished()]

    # What leaves.

    def _leaving(self) -> list[Event]:
        """The events, and the portion of one, that may leave by now."""
        out: list[Event] = []
        queue = self._queue
        while queue:
            held = queue[0]
            event = held.event
            if held.text:
                portion = self._portion(held)
                if portion is None:
                    break
                self._begin(out)
                self._note(portion)
                out.append(portion)
                if held.text:
                    break
            elif self._begun or isinstance(event, Stopped | Finished | Failed):
                self._begin(out)
                self._note(event)
                out.append(event)
            else:
                self._lead.append(event)
            queue.popleft()
            self._size -= EVENT
        return out

    def _begin(self, out: list[Event]) -> None:
        if not self._begun:
            self._begun = True
            for event in self._lead:
                self._note(event)
            out += self._lead
            self._lead.clear()

    def _note(self, event: Event) -> None:
        """Remember what the client heard."""
        if isinstance(event, _Delta):
            self._block = max(self._block, event.block)
            words = isinstance(event, TextDelta | RefusalDelta) and bool(event.text)
            self._left[event.choice] = words or self._left.get(event.choice, False)
        elif isinstance(event, Stopped):
            self._left.pop(event.choice, None)
        elif isinstance(event, Finished) and not self._off:
            self._judge.allowed()

    def _portion(self, held: _Held) -> Event | None:
        """The event with what of its text may leave; None if nothing may."""
        event, text = held.event, held.text
        if held.through is None:
            said, at = [text], len(text)
        else:
            said, at = _taken(held.through.passed, text)
        if not at:
            return None
        self._size -= at
        held.text = text[at:]
        words = "".join(said)
        held.changed = held.changed or words != text[:at]
        if not held.begun and not held.text and not held.changed:
            return event
        if isinstance(event, CitationFound):
            return structs.replace(event, citation=_cited(event.citation, words))
        new: dict[str, Any] = {_CHANNELS[type(event)][1]: words}
        if held.begun:
            new |= _OF_THE_FIRST.get(type(event), {})
        if held.text:
            new |= _OF_THE_LAST.get(type(event), {})
        elif held.changed:
            new |= _OF_THE_SAME.get(type(event), {})
        held.begun = True
        return structs.replace(event, **new)


def _words(event: Event) -> str:
    """What of an event is judged."""
    if isinstance(event, _Delta):
        return str(getattr(event, _CHANNELS[type(event)][1]))
    if not isinstance(event, CitationFound):
        return ""
    source = event.citation
    words = "\n".join((*(" ".join(one.splitlines()) for one in (source.title, source.url)), source.cited))
    return words if words.strip() else ""


def _cited(source: Citation, words: str) -> Citation:
    """A citation with other words, and so without its vendor's form."""
    found = (*words.split("\n", 2), "", "")[:3]
    return structs.replace(source, origin="", raw=Citation().raw, **dict(zip(_SOURCE, found, strict=True)))


def _taken(passed: deque[Passed], text: str) -> tuple[list[str], int]:
    """What goes in the place of a text, as far as that was passed, and how far that is."""
    said: list[str] = []
    at = 0
    while passed and at < len(text):
        one = passed[0]
        length = min(one.length, len(text) - at)
        said.append(text[at : at + length] if one.text is None else one.text)
        at += length
        if length == one.length:
            passed.popleft()
        else:
            passed[0] = Passed(one.length - length, None if one.text is None else "")
    return said, at

"""One turn of a user, read once: its words, its mentions and its phrases.

Rule: a long turn is read as far as `LONGEST`; what people want stands at its beginning or at its end.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from archflow_plugins.slots.extract.codes import codes
from archflow_plugins.slots.extract.contacts import contacts
from archflow_plugins.slots.extract.currencies import currencies
from archflow_plugins.slots.extract.dates import dates
from archflow_plugins.slots.extract.lists import lists
from archflow_plugins.slots.extract.numbers import numbers
from archflow_plugins.slots.extract.phrases import Phrase, phrases
from archflow_plugins.slots.mention import Mention, apart
from archflow_plugins.slots.words import Word, words

if TYPE_CHECKING:
    from archflow_plugins.slots.weighing.features import Near
    from archflow_plugins.slots.weighing.trees import Trees

LONGEST = 4_000
"""Characters of one turn that are looked at."""


class Turn(Struct, frozen=True, kw_only=True):
    """What a user said at once.

    Attributes:
        text: as it was said, cut if it is long.
        words: in order.
        mentions: apart from each other; `currencies` and `lists` may lie over them.
        phrases: pieces that may be free text.
        spans: where mentions, names and quotes stand, in order.
    """

    text: str
    words: tuple[Word, ...]
    mentions: tuple[Mention, ...]
    currencies: tuple[Mention, ...]
    lists: tuple[Mention, ...]
    phrases: tuple[Phrase, ...]
    spans: tuple[tuple[int, int], ...] = ()

    def between(self, start: int, end: int) -> list[tuple[int, int]]:
        """Where mentions, names and quotes stand that lie within a piece of the text."""
        found = []
        for at in range(bisect_left(self.spans, (start, 0)), len(self.spans)):
            span = self.spans[at]
            if span[0] >= end:
                break
            if span[1] <= end:
                found.append(span)
        return found

    def index(self, place: int) -> int:
        """Which word is the first that ends behind a place."""
        return bisect_right(self.words, place, key=lambda one: one.end)

    def word_before(self, place: int) -> str:
        """The word before a place, without case; empty if there is none."""
        at = self.index(place)
        return self.words[at - 1].low if at else ""


def turn(text: str, now: datetime, *, day_first: bool = False) -> Turn:
    """Read a turn."""
    text = text.encode("utf-8", "replace").decode()
    if len(text) > LONGEST:
        text = text[: LONGEST // 2] + "\n" + text[-(LONGEST // 2) :]
    every = words(text)
    contact = contacts(text)
    when = dates(text, now, day_first=day_first)
    code = codes(text)
    first = [one for one in contact if one.sort != "phone"]
    phones = [one for one in contact if one.sort == "phone"]
    sure = [one for one in code if one.shape in {"uuid", "mac", "ip", "ipv6"}]
    rest = [one for one in code if one.shape not in {"uuid", "mac", "ip", "ipv6"}]
    mentions = _mentions([*first, *sure], when, [*rest, *_phones(text, phones)], numbers(text))
    free = phrases(text, every)
    marked = [(one.start, one.end) for one in free if one.shape != "plain"]
    return Turn(
        text=text,
        words=tuple(every),
        mentions=mentions,
        currencies=tuple(currencies(text)),
        lists=tuple(lists(text)),
        phrases=tuple(free),
        spans=tuple(sorted([*((one.start, one.end) for one in mentions), *marked])),
    )


class Weighing(Struct, frozen=True):
    """What weighs pieces of free text besides the rules.

    Attributes:
        trees: gives the chances.
        near: by the target's name, what pieces of the turns are near to.
    """

    trees: Trees
    near: Mapping[str, Near] = {}


class Reader:
    """Reads the turns of one conversation, each once; `weighing` is set where free text is weighed.

    Args:
        now: what dates are relative to.
        day_first: whether 03/04/2024 is in April.
    """

    def __init__(self, now: datetime, *, day_first: bool = False) -> None:
        self._now = now
        self._day_first = day_first
        self._read: dict[str, Turn] = {}
        self.weighing: Weighing | None = None

    def turn(self, text: str) -> Turn:
        """A turn, or a part of one."""
        found = self._read.get(text)
        if found is None:
            found = self._read[text] = turn(text, self._now, day_first=self._day_first)
        return found


def _mentions(
    sure: list[Mention], when: list[Mention], rest: list[Mention], counted: list[Mention]
) -> tuple[Mention, ...]:
    """All mentions, apart; the number of a span from now on, `in the next 72 hours`, is one besides."""
    found = apart([*sure, *when, *rest, *counted])
    spans = [one for one in found if one.shape == "relative"]
    inner = [one for one in counted if any(span.start <= one.start and one.end <= span.end for span in spans)]
    return tuple(sorted([*found, *inner], key=lambda one: (one.start, one.end)))


def _phones(text: str, found: list[Mention]) -> list[Mention]:
    """The telephone numbers that are told as such: else eight digits are a number."""
    return [
        one
        for one in found
        if not str(one.value).isdigit() and text[max(0, one.start - 1) : one.start] not in {"[", "$"}
    ]

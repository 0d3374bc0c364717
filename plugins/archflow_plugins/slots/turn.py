"""One turn of a user, read once: its words, its mentions and its phrases.

Rule: a long turn is read as far as `CHARACTERS`; what people want stands at its beginning or at its end.
"""

from __future__ import annotations

from datetime import datetime

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

CHARACTERS = 4000


class Turn(Struct, frozen=True, kw_only=True):
    """What a user said at once.

    Attributes:
        text: as it was said, cut if it is long.
        words: in order.
        mentions: apart from each other; `currencies` and `lists` may lie over them.
        phrases: pieces that may be free text.
    """

    text: str
    words: tuple[Word, ...]
    mentions: tuple[Mention, ...]
    currencies: tuple[Mention, ...]
    lists: tuple[Mention, ...]
    phrases: tuple[Phrase, ...]


def turn(text: str, now: datetime, *, day_first: bool = False) -> Turn:
    """Read a turn."""
    text = text.encode("utf-8", "replace").decode()
    if len(text) > CHARACTERS:
        text = text[: CHARACTERS // 2] + "\n" + text[-(CHARACTERS // 2) :]
    every = words(text)
    contact = contacts(text)
    when = dates(text, now, day_first=day_first)
    code = codes(text)
    first = [one for one in contact if one.sort != "phone"]
    phones = [one for one in contact if one.sort == "phone"]
    sure = [one for one in code if one.shape in {"uuid", "mac", "ip", "ipv6"}]
    rest = [one for one in code if one.shape not in {"uuid", "mac", "ip", "ipv6"}]
    return Turn(
        text=text,
        words=tuple(every),
        mentions=_mentions([*first, *sure], when, [*rest, *_phones(text, phones)], numbers(text)),
        currencies=tuple(currencies(text)),
        lists=tuple(lists(text)),
        phrases=tuple(phrases(text, every)),
    )


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

"""Choices by meaning, as far as words tell it: the option itself, in other forms, or by what is often said for it.

Rule: the longest wording wins; an option that is denied (`not celsius`) is not chosen.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from msgspec import Struct

from archflow_plugins.slots.words import Word, stem

SAME: tuple[frozenset[str], ...] = tuple(
    frozenset(one.split("|"))
    for one in (
        "celsius|centigrade|°c|℃|c|metric",
        "fahrenheit|°f|℉|f|imperial",
        "kilometers|kilometres|km|kms|kilometer",
        "miles|mi|mile",
        "monday|mon",
        "tuesday|tue|tues",
        "wednesday|wed",
        "thursday|thu|thurs",
        "friday|fri",
        "saturday|sat",
        "sunday|sun",
        "ascending|asc|increasing",
        "descending|desc|decreasing",
        "male|man|men",
        "female|woman|women",
        "on|enable|enabled",
        "off|disable|disabled",
        "small|s",
        "medium|m|middle",
        "large|l|big",
        "high|strong|strongest|highest|urgent",
        "low|weak|lowest",
        "usd|dollar|dollars",
        "eur|euro|euros",
        "daily|everyday|day",
        "weekly|week",
        "monthly|month",
        "yearly|annual|annually|year",
        "hourly|hour",
        "none|nothing",
        "movie|film",
        "tv|television",
        "en|english",
        "es|spanish",
        "de|german",
        "fr|french",
        "it|italian",
        "zh|chinese",
        "ja|japanese",
    )
)
_NOT = frozenset({"not", "no", "without", "except", "never", "don't", "isn't", "excluding", "rather"})
LIKE = 0.6
"""How sure an option is that only begins like a word that was said."""
_MANY = frozenset({("all",), ("any",)})
"""Options that are more often said of something else: `list all servers`."""
_PARTS = re.compile(r"[-_/]")
_SIGNS = re.compile(r"°\s?[cf]\b|[℃℉]", re.IGNORECASE)


class Chosen(Struct, frozen=True, kw_only=True):
    """An option that a text names, and where; `sure` is lower for what is only said in other words."""

    start: int
    end: int
    value: Any
    sure: float


def choices(text: str, every: Sequence[Word], options: Sequence[tuple[Any, tuple[str, ...]]]) -> list[Chosen]:
    """The options that a text names, in order.

    Args:
        text: what was said.
        every: its words.
        options: each value with the words that mean it.
    """
    forms = [(one, _forms(told)) for one, told in options]
    found: list[Chosen] = []
    stemmed = [stem(one.low) for one in every]
    # "one-hot" is one word of the text and two of the option.
    parts = [tuple(stem(piece) for piece in _PARTS.split(one.low) if piece) for one in every]
    for value, wordings in forms:
        for wording, sure in wordings:
            found += _wording(every, stemmed, parts, value, wording, sure, exact=str(value))
        for one in _SIGNS.finditer(text):
            sign = one[0].casefold().replace(" ", "")
            if any(sign in same for same in SAME if wordings[0][0] and wordings[0][0][0] in same):
                found.append(Chosen(start=one.start(), end=one.end(), value=value, sure=1.0))
    found.sort(key=lambda one: (one.start - one.end, -one.sure, one.start))
    kept: list[Chosen] = []
    for each in found:
        if all(each.end <= other.start or each.start >= other.end for other in kept):
            kept.append(each)
        if len(kept) == 32:
            break
    return sorted(kept, key=lambda one: one.start)


@lru_cache(maxsize=4096)
def _forms(told: tuple[str, ...]) -> tuple[tuple[tuple[str, ...], float], ...]:
    """The wordings of an option, and how surely each means it."""
    forms = [(told, 1.0)]
    if len(told) == 1:
        for same in SAME:
            if told[0] in same:
                forms += [((one,), 0.7) for one in sorted(same) if one != told[0] and len(one) > 1]
    elif len(told) > 1:
        forms.append((("".join(told),), 1.0))
    return tuple(forms)


def _wording(
    every: Sequence[Word],
    stemmed: Sequence[str],
    parts: Sequence[tuple[str, ...]],
    value: Any,
    wording: tuple[str, ...],
    sure: float,
    exact: str,
) -> list[Chosen]:
    found: list[Chosen] = []
    size, near = len(wording), False
    if wording in _MANY:
        sure *= LIKE / 2
    wanted = tuple(stem(one) for one in wording)
    for at in range(len(every)):
        if size == 1:
            one = every[at]
            near = _begins(every[at].low, wording[0])
            if stemmed[at] != wanted[0] and one.low != wording[0] and not near:
                continue
            if len(wording[0]) <= 2 and one.text != exact and (len(wording[0]) == 1 or one.low in _SMALL):
                continue
            last = at
        else:
            taken, last = 0, at
            while last < len(every) and taken < size:
                inner = parts[last]
                if inner != wanted[taken : taken + len(inner)] or not inner:
                    break
                taken += len(inner)
                last += 1
            if taken != size:
                continue
            last -= 1
        if any(one.low in _NOT for one in every[max(0, at - 2) : at]):
            continue
        less = LIKE if size == 1 and near and stemmed[at] != wanted[0] else 1.0
        found.append(Chosen(start=every[at].start, end=every[last].end, value=value, sure=sure * less))
        if len(found) == 8:
            break
    return found


def _begins(one: str, wanted: str) -> bool:
    """Whether one of two words begins with all of the other: `musical` and `music`, `postgresql` and `postgres`."""
    short, long = sorted((one, wanted), key=len)
    return len(short) >= 5 and long.startswith(short) and len(long) - len(short) <= 3


_SMALL = frozenset({"on", "off", "it", "de", "es", "en", "in", "no", "is", "am", "pm", "me", "us"})

"""A mention: a piece of a text that has a value of some sort.

Rule: `value` is what the piece says by itself; what a slot makes of it is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, time
from typing import Literal

from msgspec import Struct

Sort = Literal[
    "number",
    "currency",
    "date",
    "time",
    "moment",
    "email",
    "url",
    "phone",
    "code",
    "list",
]
Value = int | float | str | date | datetime | time | tuple[object, ...]
MOST = 64
"""Mentions of one text that are looked at; a text with more of them is a table, not a request."""


class Mention(Struct, frozen=True, kw_only=True):
    """A piece of a text.

    Attributes:
        start, end: where it stands.
        sort: what it is.
        value: what it says.
        unit: of a number: a unit of `units`, `%`, or a currency's code.
        role: `low` or `high` for an end of a range, or what `from` and `to` say.
        shape: how it was told: `words`, `ordinal`, `month` (a date without a day), `relative`.
    """

    start: int
    end: int
    sort: Sort
    value: Value
    unit: str = ""
    role: str = ""
    shape: str = ""


def apart(mentions: Iterable[Mention]) -> list[Mention]:
    """Mentions in the text's order, without those that overlap an earlier one of the given order."""
    taken: list[Mention] = []
    for one in mentions:
        if all(one.end <= other.start or one.start >= other.end for other in taken):
            taken.append(one)
        if len(taken) == MOST:
            break
    return sorted(taken, key=lambda one: one.start)

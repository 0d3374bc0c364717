"""Rounds: a turn that asks for the same thing several times, each time with all that it takes.

    "a flight from Oslo to Rome on 3 May and another from Rome to Oslo on 9 May"

Rule: a turn is only parted where every part says all that is required by itself, and no two parts say the same.
Rule: what only one part says holds for all of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from archflow_plugins.slots.wants import Want

Given = dict[int, tuple[Any, ...]]
PARTS_AT_MOST = 12
LEAST = 2
"""Required slots from which a turn is parted: with one alone, what is told one after the other is a run."""
_BETWEEN: tuple[re.Pattern[str], ...] = (
    re.compile(r"[.;?!]\s+"),
    re.compile(
        r"[.;?!]\s+|,?\s+(?:and\s+(?:then|also|finally|another|again)|then|also|finally|followed by|after that)\s+",
        re.IGNORECASE,
    ),
    re.compile(r"[.;?!]\s+|,?\s+(?:and|then|plus|as well as)\s+(?:(?:then|also|finally)\s+)?", re.IGNORECASE),
)
"""What stands between parts: the end of a sentence, words that lead to something else, and at last a mere `and`."""


def rounds(wants: Sequence[Want], text: str, given: Given, fill: Callable[[str], Given]) -> Given:
    """What each part of a turn gives, by the slot's place; nothing if it asks once, or if all is told in runs.

    Args:
        wants: the slots of one target.
        text: the turn.
        given: what the turn as a whole gives.
        fill: what a text gives the slots; asked once for a part that several ways of parting have in common.
    """
    required = [place for place, want in enumerate(wants) if want.slot.required]
    counts = {len(given.get(place, ())) for place in required}
    if len(required) < LEAST or (len(counts) == 1 and max(counts) > 1):
        return {}
    filled = cache(fill)
    for between in _BETWEEN:
        parts = between.split(text)[:PARTS_AT_MOST]
        found = [each for each in map(filled, parts) if _whole(each, required)] if len(parts) > 1 else []
        told = {tuple(str(each[place][0]) for place in required) for each in found}
        if len(found) >= LEAST and len(told) == len(found):
            return _together(found)
    return {}


def _whole(given: Given, required: Sequence[int]) -> bool:
    return all(len(given.get(place, ())) == 1 for place in required)


def _together(found: Sequence[Given]) -> Given:
    """The values of all parts, one call each."""
    together: Given = {}
    for place in sorted({place for given in found for place in given}):
        every = [given[place][0] for given in found if place in given]
        if len(every) == len(found):
            together[place] = tuple(every)
        elif len(every) == 1:
            together[place] = (every[0],)
    return together

"""Personal data in a text that comes in portions: what is there for certain, and how much may leave.

What is looked for is short, and looks like few things: a run of characters without a space, or groups of digits. Held
back is what could be the beginning of one, which in ordinary text is the last word; and what could be the beginning of
a pattern that the configuration has.

Rule: what is told will stand, whatever comes; what was let go is no part of anything that is told later.
Invariant: where portions begin and end makes no difference to what is told.
"""

from __future__ import annotations

import re

from archflow_plugins.guards.identifiers import Found, apart
from archflow_plugins.guards.sought import Sought

CONTEXT = 2
"""Characters that have left and are looked at all the same: what stands before a find matters."""
LONGEST_RUN = 768
"""More than the longest find without a space, an email address."""
LONGEST_GROUPS = 128
"""More than the longest find with spaces, an IBAN."""
BEFORE_DIGITS = 8
"""More than what of a find stands before its first digit, if it holds spaces."""
_NOT_IN_A_RUN = re.compile(r"[^\w.+%'@:()/-]")
_NOT_IN_GROUPS = re.compile(r"[^\w .+%'@:()/-]")
_DIGIT = re.compile(r"\d")


class Sighting:
    """A search through one text.

    Attributes:
        safe: how many characters may leave: they are part of nothing that is not told.
    """

    def __init__(self, sought: Sought) -> None:
        self._sought = sought
        self._text = ""
        self._before = 0
        """How much of the text has left and is only looked at."""
        self._at = 0
        """Where the text begins."""
        self.safe = 0

    def feed(self, text: str, *, end: bool) -> list[Found]:
        """What now is there for certain, in its order and at its places in the whole text; of several the longest."""
        whole = self._text + text
        found = list(self._sought.find(whole, self._before))
        hold = len(whole) if end else self._hold(whole, found)
        told = [
            Found(one.name, one.start + self._at, one.end + self._at)
            for one in apart((one for one in found if one.end <= hold), self._before)
        ]
        keep = max(0, hold - CONTEXT)
        self._text = whole[keep:]
        self._at += keep
        self._before = hold - keep
        self.safe = self._at + self._before
        return told

    def _hold(self, text: str, found: list[Found]) -> int:
        """Where that begins which more text could make a find, or another one."""
        start = self._before
        hold = self._sought.begun(text, start)
        if self._sought.names:
            hold = min(hold, _known(text, start))
        hold = max(start, hold)
        looks = self._sought.alike(text, start)
        spans = sorted([*looks, *((one.start, one.end) for one in found)], reverse=True)
        moved = True
        while moved:
            moved = False
            for begin, end in spans:
                if begin < hold < end:
                    hold, moved = begin, True
        return hold


def _known(text: str, start: int) -> int:
    """Where from `start` on that begins which more text could make an identifier."""
    size = len(text)
    last = text[max(start, size - LONGEST_RUN) :]
    run = size - _ending(_NOT_IN_A_RUN, last)
    if run == size and last.endswith(" "):
        run -= 1 + _ending(_NOT_IN_A_RUN, last[:-1])
    groups = size - _ending(_NOT_IN_GROUPS, text[max(start, size - LONGEST_GROUPS) :])
    digit = _DIGIT.search(text, groups)
    return run if digit is None else min(run, max(groups, digit.start() - BEFORE_DIGITS))


def _ending(other: re.Pattern[str], text: str) -> int:
    """How many characters a text ends with that are none of the others."""
    match = other.search(text[::-1])
    return len(text) if match is None else match.start()

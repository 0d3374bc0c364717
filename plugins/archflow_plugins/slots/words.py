"""Words of a text and of names: where they stand, and what they are compared by.

Rule: stems are for comparing only; what is taken from a conversation keeps its own letters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from msgspec import Struct

from archflow_plugins.slots.lexicon import said

_WORD = re.compile(r"\w+(?:[.'’&-]\w+)*")
_PIECE = re.compile(r"[^\W\d_]+|\d+")
_HUMP = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^A-Z]+")
STOP = said("words.stop")
_ENDINGS = ("ations", "ation", "ions", "ion", "ings", "ing", "ments", "ment", "ers", "er", "ors", "or", "ed")


class Word(Struct, frozen=True):
    """A word as it stands in a text; `low` without case."""

    start: int
    end: int
    text: str
    low: str


def words(text: str) -> list[Word]:
    """The words of a text, in order."""
    return [Word(one.start(), one.end(), one[0], one[0].casefold()) for one in _WORD.finditer(text)]


@lru_cache(maxsize=8192)
def stem(word: str) -> str:
    """What forms of a word have in common, roughly: `rebooting` and `reboots` give the same."""
    low = word.casefold().replace("’", "'").removesuffix("'s").strip("'.")
    if len(low) <= 3:
        return low
    if low.endswith("ies") and len(low) > 4:
        return low[:-3] + "y"
    if low.endswith("s") and not low.endswith(("ss", "us", "is")):
        low = low[:-2] if low.endswith(("sses", "xes", "ches", "shes")) else low[:-1]
    for ending in _ENDINGS:
        if low.endswith(ending) and len(low) - len(ending) >= 3:
            low = low[: -len(ending)]
            break
    if len(low) > 3 and low[-1] == low[-2] and low[-1] not in "sl":
        low = low[:-1]
    return low[:-1] if low.endswith("e") and len(low) > 3 else low


@lru_cache(maxsize=8192)
def pieces(name: str) -> tuple[str, ...]:
    """The words of a name: `from_currency`, `fromCurrency` and `from currency` give the same."""
    return tuple(hump.casefold() for one in _PIECE.findall(name) for hump in _HUMP.findall(one))


def stems(text: str, most: int | None = None) -> list[str]:
    """The stems of a text's words that mean something, of the first `most` words if that is given."""
    return [stem(one.low) for one in words(text)[:most] if one.low not in STOP]


def folded(text: str) -> str:
    """A text without case, marks and spacing, its words kept apart: for finding one text in another."""
    return " ".join(pieces_of(text))


def pieces_of(text: str) -> Iterable[str]:
    """The words of a text without case, hyphens and underscores parted."""
    return (one for one in re.split(r"[\W_]+", text.casefold()) if one)

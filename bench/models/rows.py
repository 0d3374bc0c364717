"""Figures and texts of this bench."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

WORDS = (
    *(
        "the",
        "gateway",
        "answers",
        "a",
        "question",
        "about",
        "the",
        "weather",
        "in",
        "a",
        "town",
        "near",
        "the",
        "sea",
    ),
    *("and", "says", "how", "long", "it", "took"),
)


class Row(msgspec.Struct, frozen=True):
    """One figure."""

    section: str
    what: str
    value: float
    unit: str


def text_of(tokens: int, number: int = 0) -> str:
    """A text of about so many tokens, another one for each number."""
    return " ".join(WORDS[(number * 7 + at) % len(WORDS)] for at in range(tokens - 3)) + f" {number % 100}"


def quantile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]

"""Text -> pieces: about one sentence each, so that an attack of one sentence does not drown in what stands beside it.

A text that is short enough is one piece, however many sentences it has.

Rule: pure, and linear in the text; knows no tokenizer, so that calibration, bench and run time cut in the same places.
Invariant: no piece is longer than MOST, and none but the last is shorter than LEAST before white space is taken off.
"""

from __future__ import annotations

import re

LEAST = 24
"""Characters that a piece has before it ends; a shorter sentence goes on into the next."""

MOST = 200
"""Characters of a piece at most, about 50 tokens of English."""

SLACK = 48
"""How far a cut in the middle of a sentence moves back to find white space."""

END = re.compile(r"(?<=[.!?;:。！？])\s|\n|(?<=[。！？])")
"""What stands between two sentences."""


def pieces(text: str) -> list[str]:
    """The pieces of a text, in order; none if it holds nothing but white space."""
    text = text.strip()
    if len(text) <= MOST:
        return [text] if text else []
    found: list[str] = []
    start = end = 0
    for stop in (*(match.end() for match in END.finditer(text)), len(text)):
        if stop - start > MOST and end > start:
            found.append(text[start:end])
            start = end
        while stop - start > MOST:
            cut = _cut(text, start + MOST)
            found.append(text[start:cut])
            start = cut
        end = stop
        if end - start >= LEAST:
            found.append(text[start:end])
            start = end
    found.append(text[start:])
    return [piece for one in found if (piece := one.strip())]


def _cut(text: str, at: int) -> int:
    """The place behind the last white space in the slack before `at`, or `at`."""
    for position in range(at, at - SLACK, -1):
        if text[position - 1].isspace():
            return position
    return at

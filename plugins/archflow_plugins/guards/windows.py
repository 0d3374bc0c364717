"""Text -> windows: pieces of a few hundred characters, each short enough for an encoder to read as a whole.

A text that fits is one window. A longer one is cut at white space into pieces that overlap, so that a sentence on a
cut stands whole in one of them.

Rule: pure and quick; knows no tokenizer, so that training, bench and run time cut in the same places.
"""

from __future__ import annotations

SIZE = 512
"""Characters of a window, about 120 tokens of English."""

STRIDE = 384
"""Characters from the start of one window to the start of the next."""

SLACK = 64
"""How far a cut moves back to find white space."""


def windows(text: str) -> list[str]:
    """The windows of a text, in order; none if it holds nothing but white space."""
    text = text.strip()
    if not text:
        return []
    if len(text) <= SIZE + SLACK:
        return [text]
    pieces: list[str] = []
    start = 0
    while True:
        if len(text) - start <= SIZE + SLACK:
            pieces.append(text[start:].strip())
            return [piece for piece in pieces if piece]
        pieces.append(text[start : _cut(text, start + SIZE)].strip())
        start = _cut(text, start + STRIDE)


def _cut(text: str, at: int) -> int:
    """The last white space in the slack before `at`, or `at`."""
    for position in range(at, at - SLACK, -1):
        if text[position].isspace():
            return position
    return at

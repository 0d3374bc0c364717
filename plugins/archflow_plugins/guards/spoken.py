"""Words in a text that comes in portions: whether some stand in it, one after the other, whatever stands between them.

Words are compared without case, without forms that only look different, and without what nobody sees.

Rule: linear in the text; what is remembered of it is a few words.
Invariant: where portions begin and end makes no difference, but for what runs on for LONGEST_RUN characters.
"""

from __future__ import annotations

import re
import unicodedata
from collections import deque
from collections.abc import Iterable

LONGEST_RUN = 2048
"""Characters without a space or a mark that are still read as one piece."""
_TOKENS = re.compile(r"\w+")
_INVISIBLE = dict.fromkeys(map(ord, "\u00ad\u200b\u200c\u200d\u2060\ufeff"))
_BETWEEN = re.compile(
    r"[^\w\x80-\U0010ffff]|[\s\u3001\u3002\uff0c\uff01\uff1f\uff1a\uff1b\u2013\u2014\u2026]"
)
"""What ends a word whatever follows it."""


def tokens(text: str) -> tuple[str, ...]:
    """The words of a text."""
    plain = unicodedata.normalize("NFKC", text.translate(_INVISIBLE)).casefold()
    return tuple(_TOKENS.findall(plain))


class Entries:
    """Words, or several in a row, any of which is found in a text or not."""

    def __init__(self, entries: Iterable[str]) -> None:
        self.rows: dict[int, set[tuple[str, ...]]] = {}
        self.begun: set[tuple[str, ...]] = set()
        for entry in entries:
            row = tokens(entry)
            self.rows.setdefault(len(row), set()).add(row)
            self.begun.update(row[:length] for length in range(1, len(row)))
        self.longest = max(self.rows, default=0)

    def search(self, text: str) -> bool:
        """Whether any of them stands in a text."""
        if not self.rows:
            return False
        spoken = tokens(text)
        return any(
            not rows.isdisjoint(zip(*(spoken[at:] for at in range(length)), strict=False))
            for length, rows in self.rows.items()
        )


class Spoken:
    """A search through one text that comes in portions.

    Attributes:
        safe: how many characters lie before anything that could still become a find.
    """

    def __init__(self, entries: Entries) -> None:
        self._entries = entries
        self._recent: deque[tuple[str, int]] = deque(maxlen=max(1, entries.longest))
        self._tail: list[str] = []
        self._size = 0
        self._at = 0
        """Where the tail, which is not whole yet, begins."""
        self._cut = False
        """Whether the tail goes on with what was too long to be one piece."""
        self.safe = 0

    def feed(self, text: str, *, end: bool) -> bool:
        """Whether one of the entries stands in what came so far."""
        start = 0
        for match in _BETWEEN.finditer(text):
            if self._piece(text[start : match.start()], whole=True):
                return True
            start = match.end()
            self._at += 1
            self._cut = False
        if self._piece(text[start:], whole=end):
            return True
        if self._size > LONGEST_RUN:
            if self._piece("", whole=True):
                return True
            self._cut = True
        self._look()
        return False

    def _piece(self, text: str, *, whole: bool) -> bool:
        """Take more of the piece that is not whole yet; whether its end is that of an entry."""
        if text:
            self._tail.append(text)
            self._size += len(text)
        if not whole or not self._size:
            return False
        words = tokens("".join(self._tail))
        if self._cut:  # its first word began earlier, and is none of the entries'
            words = ("", *words[1:])
        for word in words:
            self._recent.append((word, self._at))
            if self._ends():
                return True
        self._at += self._size
        self._tail.clear()
        self._size = 0
        return False

    def _ends(self) -> bool:
        words = tuple(word for word, _ in self._recent)
        return any(
            words[-length:] in rows for length, rows in self._entries.rows.items() if length <= len(words)
        )

    def _look(self) -> None:
        """Find where the earliest entry could begin that is not whole yet."""
        recent = list(self._recent)
        self.safe = self._at
        for length in range(min(len(recent), self._entries.longest - 1), 0, -1):
            if tuple(word for word, _ in recent[-length:]) in self._entries.begun:
                self.safe = recent[-length][1]
                return

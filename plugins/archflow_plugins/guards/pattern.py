r"""A regular expression as a tree; what `automaton` makes its states of.

Rule: knows syntax and characters, and nothing of searching.
"""

from __future__ import annotations

import re
from typing import NamedTuple

DEEPEST = 40
"""Groups in groups."""
MOST_TIMES = 1000
"""What `{m,n}` may say."""
_PLAIN = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "a": "\a", "0": "\0"}
_COUNTED = re.compile(r"\{(\d{0,6})(,?)(\d{0,6})\}")
_CODES = {"x": 2, "u": 4, "U": 8}
_GROUP = re.compile(r"\((?:\?(?::|P<\w+>))?")


class BadPattern(ValueError):
    """A pattern that cannot be used; the text says why."""


class Characters(NamedTuple):
    """One character of a set.

    Attributes:
        ranges: first and last character of each range.
        named: `d`, `w`, `s` and their opposites.
        but: everything else.
        ignore_case: either case of a character counts.
    """

    ranges: tuple[tuple[str, str], ...] = ()
    named: str = ""
    but: bool = False
    ignore_case: bool = False

    def holds(self, character: str) -> bool:
        """Whether it is one of them."""
        return self._among(character) != self.but

    def _among(self, character: str) -> bool:
        if any(_is(name, character) for name in self.named):
            return True
        forms = (character, character.lower(), character.upper()) if self.ignore_case else (character,)
        return any(low <= form <= high for form in forms if len(form) == 1 for low, high in self.ranges)


class Assertion(NamedTuple):
    """Something that must hold between two characters: `^`, `$`, `b`, `B`."""

    kind: str


class All(NamedTuple):
    """One part after the other."""

    parts: tuple[Node, ...]


class Either(NamedTuple):
    """One of the parts."""

    parts: tuple[Node, ...]


class Repeat(NamedTuple):
    """A part several times; without an end if `most` is None."""

    part: Node
    least: int
    most: int | None


Node = Characters | Assertion | All | Either | Repeat


def parse(pattern: str, *, ignore_case: bool) -> Node:
    """The tree of a pattern.

    Raises:
        BadPattern: it cannot be used.
    """
    return _Parser(pattern, ignore_case=ignore_case).whole()


def is_word(character: str) -> bool:
    """Whether a character is one that words are made of."""
    return character.isalnum() or character == "_"


def _is(name: str, character: str) -> bool:
    lower = name.lower()
    holds = (
        character.isdecimal() if lower == "d"
        else is_word(character) if lower == "w"
        else character.isspace()
    )  # fmt: skip
    return holds != name.isupper()


class _Parser:
    def __init__(self, pattern: str, *, ignore_case: bool) -> None:
        self._text = pattern
        self._at = 0
        self._depth = 0
        self._ignore_case = ignore_case
        if pattern.startswith("(?i)"):
            self._ignore_case, self._at = True, 4

    def whole(self) -> Node:
        node = self._either()
        if self._at < len(self._text):
            raise BadPattern("a ) closes nothing")
        return node

    def _either(self) -> Node:
        parts = [self._all()]
        while self._take("|"):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else Either(tuple(parts))

    def _all(self) -> Node:
        parts: list[Node] = []
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            parts.append(self._repeated(self._one()))
        return All(tuple(parts))

    def _repeated(self, part: Node) -> Node:
        least, most = self._times()
        if (least, most) == (1, 1):
            return part
        if isinstance(part, Assertion):
            raise BadPattern("an anchor cannot be repeated")
        self._take("?")  # as few as can be: it is found all the same
        if self._peek() in {"*", "+", "?"} or self._times() != (1, 1):
            raise BadPattern("a repetition is repeated: put it into a group")
        return Repeat(part, least, most)

    def _times(self) -> tuple[int, int | None]:
        simple: dict[str, tuple[int, int | None]] = {"?": (0, 1), "*": (0, None), "+": (1, None)}
        found = simple.get(self._peek())
        if found is not None:
            self._at += 1
            return found
        counted = _COUNTED.match(self._text, self._at)
        if counted is None or counted.group() in {"{}", "{,}"}:
            return 1, 1  # a brace that counts nothing is a brace
        self._at = counted.end()
        low, comma, high = counted.groups()
        least = int(low or 0)
        most = least if not comma else int(high) if high else None
        if max(least, most or 0) > MOST_TIMES:
            raise BadPattern(f"{counted.group()} repeats more than {MOST_TIMES} times")
        if most is not None and most < least:
            raise BadPattern(f"{counted.group()} counts backwards")
        return least, most

    def _one(self) -> Node:
        character = self._next()
        if character == "(":
            return self._group()
        if character == "[":
            return self._set()
        if character == ".":
            return Characters((("\n", "\n"),), but=True)
        if character in "^$":
            return Assertion(character)
        if character in "*+?":
            raise BadPattern(f"there is nothing before {character}")
        if character != "\\":
            return self._literal(character)
        escaped = self._next()
        if escaped in "bB":
            return Assertion(escaped)
        if escaped in "AZz":
            return Assertion("^" if escaped == "A" else "$")
        if escaped in "dDwWsS":
            return Characters(named=escaped)
        return self._literal(self._escaped(escaped))

    def _literal(self, character: str) -> Characters:
        return Characters(((character, character),), ignore_case=self._ignore_case)

    def _group(self) -> Node:
        opened = _GROUP.match(self._text, self._at - 1)
        assert opened is not None  # noqa: S101 - it begins with the ( that was just read
        self._at = opened.end()
        if self._peek() == "?":
            raise BadPattern("look-around, flags and conditions cannot be searched in linear time")
        self._depth += 1
        if self._depth > DEEPEST:
            raise BadPattern(f"it has more than {DEEPEST} groups in groups")
        node = self._either()
        self._depth -= 1
        if not self._take(")"):
            raise BadPattern("a ( is not closed")
        return node

    def _set(self) -> Characters:
        but = self._take("^")
        ranges: list[tuple[str, str]] = []
        named = ""
        first = True
        while first or self._peek() != "]":
            first = False
            low = self._next()
            if low == "\\":
                escaped = self._next()
                if escaped in "dDwWsS":
                    named += escaped
                    continue
                low = "\b" if escaped == "b" else self._escaped(escaped)
            high = low
            if self._peek() == "-" and self._text[self._at + 1 : self._at + 2] not in {"]", ""}:
                self._at += 1
                high = self._next()
                if high == "\\":
                    high = self._escaped(self._next())
                if high < low:
                    raise BadPattern(f"the range {low}-{high} goes backwards")
            ranges.append((low, high))
        self._at += 1
        return Characters(tuple(ranges), named, but, self._ignore_case)

    def _escaped(self, character: str) -> str:
        """The character that an escape stands for; its letter was read."""
        if character in _CODES:
            digits = self._text[self._at : self._at + _CODES[character]]
            self._at += len(digits)
            try:
                return chr(int(digits, 16)) if len(digits) == _CODES[character] else self._bad(character)
            except (ValueError, OverflowError):
                self._bad(character)
        if character in _PLAIN:
            return _PLAIN[character]
        if character.isdigit():
            raise BadPattern("a reference to a group cannot be searched in linear time")
        if character.isalpha():
            self._bad(character)
        return character

    @staticmethod
    def _bad(character: str) -> str:
        raise BadPattern(f"\\{character} means nothing here")

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _next(self) -> str:
        if self._at >= len(self._text):
            raise BadPattern("it ends too early: a \\ or a [ stands alone")
        self._at += 1
        return self._text[self._at - 1]

    def _take(self, character: str) -> bool:
        if self._peek() != character:
            return False
        self._at += 1
        return True

r"""A part of regular expressions, as automata over characters: what a JSON Schema's `pattern` may say here.

Taken: literals, `.`, classes, `\d \w \s` and their opposites, groups, `|`, `? * + {m,n}`, the anchors at both ends.
A text that fits is one that the whole pattern matches; where the pattern is not anchored that is more than JSON Schema
asks, and never less. Back-references, look-around and `\b` are refused.

Source: ECMA-262 section 22.2, of which JSON Schema recommends about this part (RFC 9485 is close to it).
"""

from __future__ import annotations

import math
import string
from typing import NamedTuple

Ranges = tuple[tuple[int, int], ...]

LAST = 0x10FFFF
STATES_AT_MOST = 4000
_DIGIT: Ranges = ((0x30, 0x39),)
_WORD: Ranges = ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))
_SPACE: Ranges = (
    (0x09, 0x0D), (0x20, 0x20), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A), (0x2028, 0x2029),
    (0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000),
)  # fmt: skip
_MAYBE_SPACE: Ranges = (*_SPACE, (0x1C, 0x1F), (0x85, 0x85), (0xFEFF, 0xFEFF))
_LINE_ENDS: Ranges = ((0x0A, 0x0A), (0x0D, 0x0D), (0x2028, 0x2029))
_ESCAPES = {"n": 0x0A, "r": 0x0D, "t": 0x09, "f": 0x0C, "v": 0x0B, "0": 0x00}


class BadPattern(ValueError):
    """A pattern that cannot be used here; the text says why."""


def opposite(ranges: Ranges) -> Ranges:
    """Every character but these."""
    found: list[tuple[int, int]] = []
    at = 0
    for low, high in sorted(ranges):
        if low > at:
            found.append((at, low - 1))
        at = max(at, high + 1)
    if at <= LAST:
        found.append((at, LAST))
    return tuple(found)


_NO_DIGIT: Ranges = ((0x00, 0x2F), (0x3A, 0x65F))
_NO_WORD: Ranges = ((0x00, 0x2F), (0x3A, 0x40), (0x5B, 0x5E), (0x60, 0x60), (0x7B, 0x7F), (0x2010, 0x2027))
_CLASSES: dict[str, Ranges] = {
    "d": _DIGIT, "w": _WORD, "s": _SPACE, "D": _NO_DIGIT, "W": _NO_WORD, "S": opposite(_MAYBE_SPACE),
}  # fmt: skip
"""Only characters that every validator takes: some ask for ASCII, others for Unicode."""
_AT_MOST = {name: opposite(_CLASSES[name.swapcase()]) for name in _CLASSES}
"""The same classes at their widest, for what a negated class leaves out."""


class _Piece(NamedTuple):
    """A piece of the automaton: where it is entered and left."""

    enter: int
    leave: int


class Automaton:
    """The states of a pattern; 0 is the first and `last` the accepting one.

    Attributes:
        shortest: state -> how many characters are missing at least.
    """

    def __init__(self, pattern: str) -> None:
        self._empty: list[list[int]] = []
        self._reads: list[tuple[Ranges, int] | None] = []
        self._text = pattern
        self._at = 0
        first = self._state()
        if pattern.startswith("^"):
            self._at = 1
        piece = self._alternatives(top=True)
        if self._at != len(pattern):
            raise BadPattern(f"it has a ) too many at character {self._at + 1}")
        self._empty[first].append(piece.enter)
        self.last = piece.leave
        self.shortest = self._distances()
        if self.shortest[first] == math.inf:
            raise BadPattern("no text matches it")

    def begin(self) -> frozenset[int]:
        """The states before the first character."""
        return self._closure({0})

    def step(self, states: frozenset[int], character: int) -> frozenset[int]:
        """The states after a character; empty where it does not fit."""
        found = {
            read[1]
            for state in states
            if (read := self._reads[state]) is not None and any(a <= character <= b for a, b in read[0])
        }
        return self._closure(found) if found else frozenset()

    def accepts(self, states: frozenset[int]) -> bool:
        """Whether the text may end here."""
        return self.last in states

    def missing(self, states: frozenset[int]) -> float:
        """How many characters are missing at least."""
        return min((self.shortest[state] for state in states), default=math.inf)

    def ranges(self, states: frozenset[int]) -> Ranges:
        """The characters that may follow."""
        return tuple(one for state in states if (read := self._reads[state]) is not None for one in read[0])

    def nearest(self, states: frozenset[int]) -> tuple[tuple[Ranges, frozenset[int]], ...]:
        """The ways that lead nearer to the end: characters, and the states after them."""
        here = self.missing(states)
        return tuple(
            (read[0], self._closure({read[1]}))
            for state in sorted(states)
            if (read := self._reads[state]) is not None and self.shortest[read[1]] + 1 == here
        )

    def _closure(self, states: set[int]) -> frozenset[int]:
        found = set(states)
        waiting = list(states)
        while waiting:
            for state in self._empty[waiting.pop()]:
                if state not in found:
                    found.add(state)
                    waiting.append(state)
        return frozenset(found)

    def _distances(self) -> list[float]:
        found: list[float] = [math.inf] * len(self._empty)
        found[self.last] = 0
        changed = True
        while changed:
            changed = False
            for state, (empty, read) in enumerate(zip(self._empty, self._reads, strict=True)):
                near = [found[one] for one in empty]
                if read is not None and read[0]:
                    near.append(found[read[1]] + 1)
                best = min(near, default=math.inf)
                if best < found[state]:
                    found[state] = best
                    changed = True
        return found

    # Reading the pattern.

    def _state(self) -> int:
        if len(self._empty) >= STATES_AT_MOST:
            raise BadPattern("it is too large: its repetitions multiply")
        self._empty.append([])
        self._reads.append(None)
        return len(self._empty) - 1

    def _alternatives(self, *, top: bool) -> _Piece:
        whole = _Piece(self._state(), self._state())
        while True:
            branch = self._branch(top=top)
            self._empty[whole.enter].append(branch.enter)
            self._empty[branch.leave].append(whole.leave)
            if self._peek() != "|":
                return whole
            self._at += 1
            if top and self._peek() == "^":
                self._at += 1

    def _branch(self, *, top: bool) -> _Piece:
        enter = leave = self._state()
        while self._peek() not in {"", "|", ")"}:
            if self._peek() == "$":
                if not top or self._text[self._at + 1 : self._at + 2] not in {"", "|"}:
                    raise BadPattern("it has an anchor that is not at its end")
                self._at += 1
                continue
            begin = self._at
            for piece in self._repeated(self._atom(), begin):
                self._empty[leave].append(piece.enter)
                leave = piece.leave
        return _Piece(enter, leave)

    def _repeated(self, piece: _Piece, begin: int) -> list[_Piece]:
        """The piece as often as what follows says. Counted repetitions read the atom's text again for each copy."""
        low, high = self._quantifier()
        after = self._at
        if (low, high) == (1, 1):
            return [piece]
        found: list[_Piece] = []
        for number in range(max(low, high if high is not None else low, 1)):
            if number:
                self._at = begin
                piece = self._atom()
            if number >= low and (high is None or high > 0):
                self._empty[piece.enter].append(piece.leave)
            found.append(piece)
        self._at = after
        if high == 0:
            nothing = self._state()
            return [_Piece(nothing, nothing)]
        if high is None:
            loop = found[-1]
            again = self._state()
            self._empty[loop.leave].append(again)
            self._empty[again].append(loop.enter)
            if low == 0:
                self._empty[loop.enter].append(again)
            found[-1] = _Piece(loop.enter, again)
        return found

    def _quantifier(self) -> tuple[int, int | None]:
        simple: dict[str, tuple[int, int | None]] = {"?": (0, 1), "*": (0, None), "+": (1, None)}
        sign = self._peek()
        if sign in simple:
            self._at += 1
            bounds = simple[sign]
        elif sign == "{":
            bounds = self._counted()
        else:
            return 1, 1
        if self._peek() == "?":
            self._at += 1  # lazy or greedy is the same for whole matches
        if self._peek() in {"?", "*", "+", "{"} and self._peek():
            raise BadPattern("it repeats a repetition")
        return bounds

    def _counted(self) -> tuple[int, int | None]:
        end = self._text.find("}", self._at)
        first, comma, second = self._text[self._at + 1 : end].partition(",")
        self._at = end + 1
        numbers = [one for one in (first, second) if one]
        if (
            end < 0
            or not first
            or not all(one.isascii() and one.isdigit() and len(one) < 6 for one in numbers)
        ):
            raise BadPattern("it has a { that begins no count: write \\{ for the character")
        low = int(first)
        high = low if not comma else int(second) if second else None
        if high is not None and high < low:
            raise BadPattern("it counts from more to less")
        return low, high

    def _atom(self) -> _Piece:
        sign = self._peek()
        self._at += 1
        match sign:
            case "(":
                return self._group()
            case "[":
                return self._read(self._class())
            case ".":
                return self._read(opposite(_LINE_ENDS))
            case "\\":
                return self._read(self._escape(_CLASSES))
            case "^":
                raise BadPattern("it has an anchor that is not at its start")
            case "?" | "*" | "+" | "{":
                raise BadPattern(f"it has a {sign} with nothing before it")
            case _:
                return self._read(((ord(sign), ord(sign)),))

    def _group(self) -> _Piece:
        if self._peek() == "?":
            kind = self._text[self._at : self._at + 2]
            if kind == "?:":
                self._at += 2
            elif kind == "?<" and self._text[self._at + 2 : self._at + 3] not in {"=", "!"}:
                self._at = self._text.find(">", self._at) + 1 or len(self._text)
            else:
                raise BadPattern("it looks ahead or behind")
        piece = self._alternatives(top=False)
        if self._peek() != ")":
            raise BadPattern("it has a ( that is never closed")
        self._at += 1
        return piece

    def _read(self, ranges: Ranges) -> _Piece:
        piece = _Piece(self._state(), self._state())
        self._reads[piece.enter] = (ranges, piece.leave)
        return piece

    def _class(self) -> Ranges:
        negated = self._peek() == "^"
        self._at += negated
        found: list[tuple[int, int]] = []
        while self._peek() != "]":
            if not self._peek():
                raise BadPattern("it has a [ that is never closed")
            low = self._member(_AT_MOST if negated else _CLASSES)
            if self._peek() == "-" and self._text[self._at + 1 : self._at + 2] not in {"]", ""}:
                self._at += 1
                high = self._member(_CLASSES)
                if len(low) != 1 or len(high) != 1 or low[0][0] != low[0][1] or high[0][0] != high[0][1]:
                    raise BadPattern("it has a range of classes")
                if high[0][0] < low[0][0]:
                    raise BadPattern("it has a range from more to less")
                found.append((low[0][0], high[0][0]))
            else:
                found += low
        self._at += 1
        return opposite(tuple(found)) if negated else tuple(found)

    def _member(self, classes: dict[str, Ranges]) -> Ranges:
        sign = self._peek()
        self._at += 1
        if sign == "\\":
            if self._peek() == "b":
                self._at += 1
                return ((8, 8),)
            return self._escape(classes)
        if not sign:
            raise BadPattern("it has a [ that is never closed")
        return ((ord(sign), ord(sign)),)

    def _escape(self, classes: dict[str, Ranges]) -> Ranges:
        sign = self._peek()
        self._at += 1
        if sign in classes:
            return classes[sign]
        if sign in _ESCAPES:
            return ((_ESCAPES[sign], _ESCAPES[sign]),)
        if sign in {"x", "u"}:
            size = 2 if sign == "x" else 4
            digits = self._text[self._at : self._at + size]
            if len(digits) != size or not all(one in string.hexdigits for one in digits):
                raise BadPattern(f"it has \\{sign} without its digits")
            self._at += size
            return ((int(digits, 16), int(digits, 16)),)
        if not sign or sign.isalnum():
            raise BadPattern(f"it uses \\{sign}, which is not taken here")
        return ((ord(sign), ord(sign)),)

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

"""The terminals of JSON: strings with their limits, strings by pattern, numbers within bounds. Byte by byte.

Source: RFC 8259 sections 6 and 7, RFC 3629 section 4 (UTF-8 without surrogates and overlong forms).

Rule: what can be written is a part of what JSON allows, never more: no `-0`, no exponents, no half surrogate pairs.
Invariant: from every state that `step` returns a whole value can be reached.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction
from typing import NamedTuple

from archflow_plugins.local_models.grammar import State, Terminal
from archflow_plugins.local_models.pattern import Automaton

QUOTE = 0x22
BACKSLASH = 0x5C
_HEX = frozenset(b"0123456789abcdefABCDEF")
_ESCAPED = {
    b'"'[0]: 0x22,
    0x5C: 0x5C,
    b"/"[0]: 0x2F,
    b"b"[0]: 8,
    b"f"[0]: 12,
    b"n"[0]: 10,
    b"r"[0]: 13,
    b"t"[0]: 9,
}
_TAIL = (0x80, 0xBF)
_LEADS: tuple[tuple[int, int, tuple[int, int], int], ...] = (
    # first byte from, to; second byte's range; bytes that follow that one: RFC 3629 section 4
    (0xC2, 0xDF, _TAIL, 0), (0xE0, 0xE0, (0xA0, 0xBF), 1), (0xE1, 0xEC, _TAIL, 1), (0xED, 0xED, (0x80, 0x9F), 1),
    (0xEE, 0xEF, _TAIL, 1), (0xF0, 0xF0, (0x90, 0xBF), 2), (0xF1, 0xF3, _TAIL, 2), (0xF4, 0xF4, (0x80, 0x8F), 2),
)  # fmt: skip


def _lead(byte: int) -> tuple[tuple[int, int], int] | None:
    return next(((second, more) for low, high, second, more in _LEADS if low <= byte <= high), None)


_ALL_LEADS = frozenset(range(0xC2, 0xF5))
_PLAIN = frozenset(range(0x20, 0x7F)) - {QUOTE, BACKSLASH}


class _In(NamedTuple):
    """Within a string, or before it: `where` says at what; `length` characters are complete."""

    where: str
    length: int = 0
    low: int = 0
    high: int = 0
    more: int = 0


class StringValue(Terminal):
    """A string of some length in characters.

    Args:
        low, high: the least and the most characters; None for no limit.
        leads: the bytes that may begin a character beyond ASCII.
    """

    def __init__(self, low: int = 0, high: int | None = None, leads: frozenset[int] = _ALL_LEADS) -> None:
        self._low = low
        self._high = high
        self._leads = leads & _ALL_LEADS

    def start(self) -> State:
        return _In("before")

    def allowed(self, state: State) -> Iterable[int]:
        at: _In = state  # type: ignore[assignment]
        match at.where:
            case "before":
                return (QUOTE,)
            case "in":
                found: set[int] = set()
                if at.length >= self._low:
                    found.add(QUOTE)
                if self._high is None or at.length < self._high:
                    found |= _PLAIN | {BACKSLASH} | self._leads
                return found
            case "escape":
                return (*_ESCAPED, 0x75)
            case "hex":
                if at.more == 2 and at.low == 0xD:
                    return b"01234567"
                return _HEX
            case "tail":
                return range(at.low, at.high + 1)
            case _:
                return ()

    def step(self, state: State, byte: int) -> State | None:
        at: _In = state  # type: ignore[assignment]
        if byte not in self.allowed(at):
            return None
        match at.where:
            case "before":
                return _In("in")
            case "in":
                if byte == QUOTE:
                    return _In("after")
                if byte == BACKSLASH:
                    return _In("escape", at.length)
                lead = _lead(byte)
                if lead is None:
                    return self._one_more(at)
                return _In("tail", at.length, *lead[0], lead[1])
            case "escape":
                return _In("hex", at.length, 0, 0, 3) if byte == 0x75 else self._one_more(at)
            case "hex":
                if at.more == 0:
                    return self._one_more(at)
                return _In("hex", at.length, int(chr(byte), 16) if at.more == 3 else 0, 0, at.more - 1)
            case _:
                return self._one_more(at) if at.more == 0 else _In("tail", at.length, *_TAIL, at.more - 1)

    def _one_more(self, at: _In) -> _In:
        count = at.length + 1
        return _In("in", min(count, self._low) if self._high is None else count)

    def done(self, state: State) -> bool:
        return state == _In("after")

    def settle(self) -> float:
        return math.inf if self._high is not None and self._high < self._low else self.left(self.start())

    def left(self, state: State) -> float:
        at: _In = state  # type: ignore[assignment]
        if at.where == "after":
            return 0
        part = {"before": 1, "in": 0, "escape": 1, "hex": at.more + 1, "tail": at.more + 1}[at.where]
        count = at.length + (at.where in {"escape", "hex", "tail"})
        return part + max(0, self._low - count) + 1

    def finish(self, state: State) -> bytes:
        at: _In = state  # type: ignore[assignment]
        if at.where == "after":
            return b""
        part = {
            "before": b'"',
            "in": b"",
            "escape": b"n",
            "hex": b"0" * (at.more + 1),
            "tail": bytes([at.low]) + b"\x80" * at.more,
        }[at.where]
        count = at.length + (at.where in {"escape", "hex", "tail"})
        return part + b"x" * max(0, self._low - count) + b'"'


class _Matching(NamedTuple):
    """Within a string by pattern: the automaton's states, complete characters, and bytes of one that is not."""

    states: frozenset[int] | None
    length: int = 0
    held: bytes = b""
    closed: bool = False


class PatternValue(Terminal):
    """A string that a pattern matches as a whole.

    Raises:
        ValueError: no text of at most `high` characters matches.
    """

    def __init__(
        self, automaton: Automaton, high: int | None = None, leads: frozenset[int] = _ALL_LEADS
    ) -> None:
        self._automaton = automaton
        self._high = high
        self._leads = leads & _ALL_LEADS
        self._known: dict[_Matching, dict[int, _Matching]] = {}
        first = automaton.begin()
        if high is not None and automaton.missing(first) > high:
            raise ValueError(f"no text of at most {high} characters matches the pattern")

    def start(self) -> State:
        return _Matching(None)

    def allowed(self, state: State) -> Iterable[int]:
        return self._steps(state)  # type: ignore[arg-type]

    def step(self, state: State, byte: int) -> State | None:
        return self._steps(state).get(byte)  # type: ignore[arg-type]

    def done(self, state: State) -> bool:
        at: _Matching = state  # type: ignore[assignment]
        return at.closed

    def _steps(self, at: _Matching) -> dict[int, _Matching]:
        found = self._known.get(at)
        if found is None:
            if len(self._known) > 20_000:
                self._known.clear()
            found = self._known[at] = self._find_steps(at)
        return found

    def _find_steps(self, at: _Matching) -> dict[int, _Matching]:
        if at.closed:
            return {}
        if at.states is None:
            return {QUOTE: _Matching(self._automaton.begin())}
        found: dict[int, _Matching] = {}
        if not at.held:
            if self._automaton.accepts(at.states):
                found[QUOTE] = _Matching(None, 0, b"", closed=True)
            for byte in _PLAIN:
                self._try(found, at, byte, byte)
            if any(self._after(at, code) for code in _ESCAPED.values()):
                found[BACKSLASH] = at._replace(held=b"\\")
            if any(high > 0x7F for _, high in self._automaton.ranges(at.states)):
                for byte in self._leads:
                    self._hold(found, at, bytes([byte]))
        elif at.held == b"\\":
            for byte, code in _ESCAPED.items():
                self._try(found, at, byte, code)
        else:
            for byte in range(0x80, 0xC0):
                self._hold(found, at, at.held + bytes([byte]))
        return found

    def _after(self, at: _Matching, code: int) -> _Matching | None:
        assert at.states is not None  # noqa: S101 - asked by _find_steps
        after = self._automaton.step(at.states, code)
        count = 0 if self._high is None else at.length + 1
        left = math.inf if self._high is None else self._high - count
        missing = self._automaton.missing(after)
        return _Matching(after, count) if after and missing < math.inf and missing <= left else None

    def _try(self, found: dict[int, _Matching], at: _Matching, byte: int, code: int) -> None:
        after = self._after(at, code)
        if after is not None:
            found[byte] = after

    def _hold(self, found: dict[int, _Matching], at: _Matching, held: bytes) -> None:
        """Take a byte of a longer character, if some character that begins so fits."""
        lead = _lead(held[0])
        if lead is None or (len(held) > 1 and not lead[0][0] <= held[1] <= lead[0][1]):
            return
        length = lead[1] + 2
        if len(held) == length:
            self._try(found, at, held[-1], ord(held.decode()))
            return
        if self._first_fit(at, held, length) is not None:
            found[held[-1]] = at._replace(held=held)

    def _first_fit(self, at: _Matching, held: bytes, length: int) -> int | None:
        """The first character that begins with some bytes and fits."""
        assert at.states is not None  # noqa: S101 - asked by _find_steps
        second = _lead(held[0])
        low, high = second[0] if second else _TAIL
        missing = length - len(held)
        tail_low = (bytes([low]) if len(held) == 1 else b"") + b"\x80" * (missing - (len(held) == 1))
        tail_high = (bytes([high]) if len(held) == 1 else b"") + b"\xbf" * (missing - (len(held) == 1))
        first, last = ord((held + tail_low).decode()), ord((held + tail_high).decode())
        for one_low, one_high in sorted(self._automaton.ranges(at.states)):
            near = max(first, one_low)
            if near <= min(last, one_high) and self._after(at, near) is not None:
                return near
        return None

    def settle(self) -> float:
        return self.left(self.start())

    def finish(self, state: State) -> bytes:
        """The shortest end in characters; a character is taken as short as its range allows."""
        at: _Matching = state  # type: ignore[assignment]
        if at.closed:
            return b""
        found = b""
        if at.states is None:
            found, at = b'"', _Matching(self._automaton.begin())
        if at.held:
            end = self._finish_held(at)
            found += end[len(at.held) :]
            code = _ESCAPED[end[1]] if at.held == b"\\" else ord(end.decode())
            after = self._after(at, code)
            assert after is not None  # noqa: S101 - _hold and _find_steps saw to it
            at = after
        states = at.states or frozenset()
        while not self._automaton.accepts(states):
            ways = self._automaton.nearest(states)
            text, code = min(self._write(ranges) for ranges, _ in ways)
            found += text[1]
            states = self._automaton.step(states, code)
        return found + b'"'

    def _finish_held(self, at: _Matching) -> bytes:
        if at.held == b"\\":
            return b"\\" + bytes([next(byte for byte, code in _ESCAPED.items() if self._after(at, code))])
        lead = _lead(at.held[0])
        code = self._first_fit(at, at.held, (lead[1] if lead else 0) + 2)
        assert code is not None  # noqa: S101 - _hold saw to it
        return chr(code).encode()

    def _write(self, ranges: Iterable[tuple[int, int]]) -> tuple[tuple[int, bytes], int]:
        """The cheapest character of some ranges: how it is written, and its code."""
        best: tuple[tuple[int, bytes], int] | None = None
        for low, high in ranges:
            for code in {
                low, *(one for one in (0x20, 0x23, 0x30, 0x41, 0x5D, 0x61, 0x80, 0xE000) if low <= one <= high),
            }:  # fmt: skip
                text = self._spell(code)
                if text is not None and (best is None or (len(text), text) < best[0]):
                    best = ((len(text), text), code)
        return best or ((1 << 20, b""), 0)

    def _spell(self, code: int) -> bytes | None:
        if code in _PLAIN:
            return bytes([code])
        for byte, one in _ESCAPED.items():
            if one == code:
                return b"\\" + bytes([byte])
        if code < 0x80 or 0xD800 <= code <= 0xDFFF:
            return None
        text = chr(code).encode()
        return text if text[0] in self._leads else None


DIGITS = 15
"""Digits before the point of a number without bounds: what a double holds exactly."""
PLACES = (6, 15)
"""Digits after the point: commonly, and where the bounds leave room for no other number."""


class NumberValue(Terminal):
    """A number within bounds. The state is what was written so far.

    Args:
        whole: no point.
        low, high: the bounds, None for none.
        open_low, open_high: whether the bounds themselves are excluded.
        multiple: what it is a multiple of; 0 for anything.
    """

    def __init__(
        self,
        *,
        whole: bool,
        low: Fraction | None = None,
        high: Fraction | None = None,
        open_low: bool = False,
        open_high: bool = False,
        multiple: Fraction = Fraction(0),
    ) -> None:
        self._low = low
        self._high = high
        self._open_low = open_low
        self._open_high = open_high
        self._multiple = multiple
        bounds = [len(str(abs(math.trunc(one)))) for one in (low, high) if one is not None]
        self._digits = max([DIGITS, *(one + 1 for one in bounds)])
        self._known: dict[bytes, bytes | None] = {}
        self._places = 0
        if not whole:
            self._places = PLACES[0]
            if self._fit(b"") is None:
                self._known.clear()
                self._places = PLACES[1]

    def start(self) -> State:
        return b""

    def settle(self) -> float:
        found = self._fit(b"")
        return math.inf if found is None else len(found)

    def allowed(self, state: State) -> Iterable[int]:
        text: bytes = state  # type: ignore[assignment]
        return [byte for byte in b"-.0123456789" if self._fit(text + bytes([byte])) is not None]

    def step(self, state: State, byte: int) -> State | None:
        text: bytes = state  # type: ignore[assignment]
        after = text + bytes([byte])
        return after if byte in b"-.0123456789" and self._fit(after) is not None else None

    def done(self, state: State) -> bool:
        return self._fit(state) == b""  # type: ignore[arg-type]

    def finish(self, state: State) -> bytes:
        return self._fit(state) or b""  # type: ignore[arg-type]

    def _fit(self, text: bytes) -> bytes | None:
        """The shortest end of a number that begins so; None where none fits."""
        try:
            return self._known[text]
        except KeyError:
            if len(self._known) > 20_000:
                self._known.clear()
            found = self._known[text] = self._search(text)
            return found

    def _search(self, text: bytes) -> bytes | None:
        negative = text.startswith(b"-")
        digits = text[1:] if negative else text
        before, point, after = digits.partition(b".")
        if (not (before + after).isdigit() and (before or after)) or b"." in after:
            return None
        if (
            (before.startswith(b"0") and len(before) > 1)
            or (point and not before)
            or len(before) > self._digits
        ):
            return None
        if len(after) > self._places or (point and not self._places):
            return None
        forms: list[tuple[int, int, int]] = []
        if point:
            forms = [
                (0, places, places - len(after)) for places in range(max(1, len(after)), self._places + 1)
            ]
        else:
            more = 0 if before == b"0" else self._digits - len(before)
            for extra in range(0 if before else 1, more + 1):
                forms.append((extra, 0, extra))
                forms += [(extra, places, extra + 1 + places) for places in range(1, self._places + 1)]
            forms.sort(key=lambda form: form[2])
        signs = (False, True) if not text else (negative,)
        best: bytes | None = None
        for extra, places, length in forms:
            if best is not None and length >= len(best):
                break
            for sign in signs:
                found = self._number(before, after, extra, places, negative=sign, pointed=bool(point))
                if found is not None:
                    whole = (b"-" if sign and not text else b"") + found
                    if best is None or len(whole) < len(best):
                        best = whole
        return best

    def _number(
        self, before: bytes, after: bytes, extra: int, places: int, *, negative: bool, pointed: bool
    ) -> bytes | None:
        """The end of the least number of a form: so many digits more before the point, so many in all behind it."""
        shift = extra + places - len(after)
        low = int(before + after or b"0") * 10**shift
        high = low + 10**shift - 1
        if not before and extra > 1:
            low = 10 ** (shift - 1)
        scale = 10**places
        if negative:
            low = max(low, 1)
            floor, ceiling, open_floor, open_ceiling = self._high, self._low, self._open_high, self._open_low
            floor, ceiling = (None if floor is None else -floor), (None if ceiling is None else -ceiling)
        else:
            floor, ceiling, open_floor, open_ceiling = self._low, self._high, self._open_low, self._open_high
        if floor is not None:
            least = math.ceil(floor * scale)
            low = max(low, least + 1 if open_floor and least == floor * scale else least)
        if ceiling is not None:
            most = math.floor(ceiling * scale)
            high = min(high, most - 1 if open_ceiling and most == ceiling * scale else most)
        if self._multiple:
            step = (self._multiple * scale).numerator
            low = -(-low // step) * step
        if low > high:
            return None
        text = str(low).zfill(len(before) + extra + places)
        whole, fraction = (text[:-places], text[-places:]) if places else (text, "")
        dot = "." if places and not pointed else ""
        return (whole[len(before) :] + dot + fraction[len(after) :]).encode()

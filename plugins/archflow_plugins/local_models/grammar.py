"""Grammars over bytes: what may come next, whether this may be the end, and the shortest way there.

A grammar is made of terminals, which read bytes, and of rules, which stand for one of several sequences of parts. A
Place in a text is the set of all stacks of unfinished parts that fit what was read; reading a byte leads to another
Place, or nowhere. Places remember where bytes lead, so a grammar that is used again costs a look-up per byte.

Rule: knows bytes, not tokens and not JSON.
Invariant: from every Place a whole text can be reached, and `Place.least` tells in how many bytes.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable
from typing import TypeAlias

State: TypeAlias = Hashable
Frame: TypeAlias = "tuple[Part, State]"
Stack: TypeAlias = "tuple[Frame, Stack] | tuple[()]"

PLACES_AT_MOST = 20_000
"""Places that a grammar remembers before it forgets them all."""
NEVER = math.inf


class Part:
    """A part of a grammar. `least` is how many bytes its shortest text has; NEVER if it has none."""

    least: float = NEVER

    def start(self) -> State:
        """The state before anything of it was read."""
        return 0

    def settle(self) -> float:
        """How many bytes the shortest text has, by what the parts below say of themselves so far."""
        raise NotImplementedError

    def below(self) -> Iterable[Part]:
        """The parts that it is made of."""
        return ()

    def left(self, state: State) -> float:
        """How many bytes are missing from a state at least."""
        raise NotImplementedError

    def finish(self, state: State) -> bytes:
        """The shortest text that is missing from a state."""
        raise NotImplementedError


class Terminal(Part):
    """A part that reads bytes."""

    def step(self, state: State, byte: int) -> State | None:
        """The state after one more byte, or None where it does not fit."""
        raise NotImplementedError

    def done(self, state: State) -> bool:
        """Whether this may be its end."""
        raise NotImplementedError

    def allowed(self, state: State) -> Iterable[int]:
        """The bytes that fit next."""
        raise NotImplementedError

    def settle(self) -> float:
        return self.left(self.start())

    def left(self, state: State) -> float:
        return len(self.finish(state))


class Rule(Part):
    """A part that stands for one of several sequences of frames."""

    def expand(self, state: State) -> Iterable[tuple[Frame, ...]]:
        """The sequences that it may become."""
        raise NotImplementedError

    def settle(self) -> float:
        return self.left(self.start())

    def left(self, state: State) -> float:
        return min((sum(_left(one) for one in frames) for frames in self.expand(state)), default=NEVER)

    def finish(self, state: State) -> bytes:
        best = min(self.expand(state), key=lambda frames: sum(_left(one) for one in frames))
        return b"".join(part.finish(at) for part, at in best)


def _left(frame: Frame) -> float:
    part, state = frame
    return part.least if state == part.start() else part.left(state)


class OneOf(Terminal):
    """One of some texts."""

    def __init__(self, texts: Iterable[bytes]) -> None:
        self._next: list[dict[int, int]] = [{}]
        self._ends: set[int] = set()
        self._finish: dict[int, bytes] = {}
        for text in sorted(set(texts), key=lambda one: (len(one), one)):
            node = 0
            self._finish.setdefault(0, text)
            for at, byte in enumerate(text):
                if byte not in self._next[node]:
                    self._next[node][byte] = len(self._next)
                    self._next.append({})
                node = self._next[node][byte]
                rest = text[at + 1 :]
                if len(rest) < len(self._finish.get(node, rest + b"+")):
                    self._finish[node] = rest
            self._ends.add(node)

    def step(self, state: State, byte: int) -> State | None:
        return self._next[state].get(byte)  # type: ignore[call-overload, no-any-return]

    def done(self, state: State) -> bool:
        return state in self._ends

    def allowed(self, state: State) -> Iterable[int]:
        return self._next[state]  # type: ignore[call-overload, no-any-return]

    def settle(self) -> float:
        return len(self._finish[0]) if self._ends else NEVER

    def finish(self, state: State) -> bytes:
        return self._finish[state]  # type: ignore[index]


class Text(OneOf):
    """Exactly one text."""

    def __init__(self, text: bytes) -> None:
        super().__init__([text])


class Sequence(Rule):
    """Some parts in order."""

    def __init__(self, *parts: Part) -> None:
        self.parts = parts

    def below(self) -> Iterable[Part]:
        return self.parts

    def expand(self, state: State) -> Iterable[tuple[Frame, ...]]:
        return (tuple((part, part.start()) for part in self.parts),)


class Either(Rule):
    """One of some parts."""

    def __init__(self, parts: Iterable[Part]) -> None:
        self.parts = tuple(parts)

    def below(self) -> Iterable[Part]:
        return self.parts

    def expand(self, state: State) -> Iterable[tuple[Frame, ...]]:
        return tuple(((part, part.start()),) for part in self.parts)


class Named(Rule):
    """A part that is known by name and defined later, so that a grammar may be recursive."""

    def __init__(self) -> None:
        self.part: Part | None = None

    def below(self) -> Iterable[Part]:
        return (self.part,) if self.part is not None else ()

    def expand(self, state: State) -> Iterable[tuple[Frame, ...]]:
        return (((self.part, self.part.start()),),) if self.part is not None else ()


class Repeat(Rule):
    """An item again and again between two brackets. The state counts the items."""

    def __init__(
        self, opening: bytes, item: Part, between: Part, closing: bytes, low: int, high: int | None
    ) -> None:
        self._opening = Text(opening)
        self._item = item
        self._between = between
        self._closing = Text(closing)
        self._low = low
        self._high = high

    def start(self) -> State:
        return -1

    def below(self) -> Iterable[Part]:
        return (self._opening, self._item, self._between, self._closing)

    def expand(self, state: State) -> Iterable[tuple[Frame, ...]]:
        count: int = state  # type: ignore[assignment]
        if count < 0:
            return (((self._opening, 0), (self, 0)),)
        found: list[tuple[Frame, ...]] = []
        if count >= self._low:
            found.append(((self._closing, 0),))
        if self._high is None or count < self._high:
            after = count + 1 if self._high is not None else min(count + 1, max(self._low, 1))
            item: Frame = (self._item, self._item.start())
            first: tuple[Frame, ...] = (
                (item,) if count == 0 else ((self._between, self._between.start()), item)
            )
            found.append((*first, (self, after)))
        return found

    def left(self, state: State) -> float:
        count: int = state  # type: ignore[assignment]
        missing = max(0, self._low - max(count, 0))
        commas = missing - 1 if count <= 0 < missing else missing
        items = missing * self._item.least if missing else 0
        return (
            (self._opening.least if count < 0 else 0)
            + items
            + commas * self._between.least
            + self._closing.least
        )

    def finish(self, state: State) -> bytes:
        count: int = state  # type: ignore[assignment]
        missing = max(0, self._low - max(count, 0))
        parts = [self._opening.finish(0)] if count < 0 else []
        for number in range(max(count, 0), max(count, 0) + missing):
            if number:
                parts.append(self._between.finish(self._between.start()))
            parts.append(self._item.finish(self._item.start()))
        return b"".join(parts) + self._closing.finish(0)


class Members(Rule):
    """Named members between two brackets, in order, of which some may be left out.

    The state is how far it got, and whether a member stands before. `members` are (what stands for it, required).
    """

    def __init__(
        self, opening: bytes, members: Iterable[tuple[Part, bool]], between: Part, closing: bytes
    ) -> None:
        self._opening = Text(opening)
        self._members = tuple(members)
        self._between = between
        self._closing = Text(closing)

    def start(self) -> State:
        return (-1, False)

    def below(self) -> Iterable[Part]:
        return (self._opening, self._between, self._closing, *(part for part, _ in self._members))

    def expand(self, state: State) -> Iterable[tuple[Frame, ...]]:
        at, some = _member_state(state)
        if at < 0:
            return (((self._opening, 0), (self, (0, False))),)
        found: list[tuple[Frame, ...]] = []
        for index in range(at, len(self._members)):
            part, required = self._members[index]
            if required or part.least < NEVER:
                one: Frame = (part, part.start())
                first: tuple[Frame, ...] = ((self._between, self._between.start()), one) if some else (one,)
                found.append((*first, (self, (index + 1, True))))
            if required:
                return found
        found.append(((self._closing, 0),))
        return found

    def left(self, state: State) -> float:
        at, some = _member_state(state)
        required = [part.least for part, needed in self._members[max(at, 0) :] if needed]
        commas = len(required) - (0 if some else 1) if required else 0
        opening = self._opening.least if at < 0 else 0
        return opening + sum(required) + commas * self._between.least + self._closing.least

    def finish(self, state: State) -> bytes:
        at, some = _member_state(state)
        parts = [self._opening.finish(0)] if at < 0 else []
        for part, needed in self._members[max(at, 0) :]:
            if needed:
                if some:
                    parts.append(self._between.finish(self._between.start()))
                parts.append(part.finish(part.start()))
                some = True
        return b"".join(parts) + self._closing.finish(0)


def _member_state(state: State) -> tuple[int, bool]:
    found: tuple[int, bool] = state  # type: ignore[assignment]
    return found


class Place:
    """Where a text stands in a grammar.

    Attributes:
        accepts: whether the text may end here.
        allowed: the bytes that may follow, as bits of a number.
        least: how many bytes are missing at least.
    """

    __slots__ = ("_grammar", "_next", "_stacks", "accepts", "allowed", "least")

    def __init__(self, grammar: Grammar, stacks: frozenset[Stack]) -> None:
        self._grammar = grammar
        self._stacks = stacks
        self._next: dict[int, Place | None] = {}
        self.accepts = () in stacks
        self.allowed = 0
        self.least = 0 if self.accepts else int(min(map(_stack_left, stacks)))
        for stack in stacks:
            if stack:
                part, state = stack[0]
                for byte in part.allowed(state):  # type: ignore[attr-defined]
                    self.allowed |= 1 << byte

    def step(self, byte: int) -> Place | None:
        """The place after one more byte."""
        try:
            return self._next[byte]
        except KeyError:
            found = self._next[byte] = self._grammar.after(self._stacks, byte)
            return found

    def read(self, data: bytes) -> Place | None:
        """The place after more bytes, or None where they do not fit."""
        place: Place | None = self
        for byte in data:
            place = place.step(byte)  # type: ignore[union-attr]
            if place is None:
                return None
        return place

    @property
    def only(self) -> int:
        """The one byte that must follow; -1 where there is a choice."""
        if self.accepts or self.allowed & (self.allowed - 1):
            return -1
        return self.allowed.bit_length() - 1

    def finish(self) -> bytes:
        """The shortest text that is missing."""
        if self.accepts:
            return b""
        return _stack_finish(min(self._stacks, key=lambda stack: (_stack_left(stack), _stack_finish(stack))))


class Grammar:
    """A grammar ready for reading.

    Attributes:
        first: the place before any byte.

    Raises:
        ValueError: no text fits it.
    """

    def __init__(self, root: Part) -> None:
        _settle(root)
        if root.least == NEVER:
            raise ValueError(
                "nothing fits: every value would have to contain itself, or its limits contradict"
            )
        self._root = root
        self._places: dict[frozenset[Stack], Place] = {}
        self.first = self._place(frozenset(_open(((root, root.start()), ()))))

    def after(self, stacks: frozenset[Stack], byte: int) -> Place | None:
        """The place after a byte."""
        found: set[Stack] = set()
        for stack in stacks:
            if not stack:
                continue
            (part, state), rest = stack
            after = part.step(state, byte)  # type: ignore[attr-defined]
            if after is not None:
                found.update(_reached(part, after, rest))  # type: ignore[arg-type]
        return self._place(frozenset(found)) if found else None

    def accepts(self, data: bytes) -> bool:
        """Whether a whole text fits."""
        place = self.first.read(data)
        return place is not None and place.accepts

    def _place(self, stacks: frozenset[Stack]) -> Place:
        place = self._places.get(stacks)
        if place is None:
            if len(self._places) >= PLACES_AT_MOST:
                self._places.clear()
            place = self._places[stacks] = Place(self, stacks)
        return place


def _settle(root: Part) -> None:
    """Find the shortest text of every part: again and again until nothing gets shorter, as parts may be recursive."""
    parts: dict[int, Part] = {}
    waiting = [root]
    while waiting:
        part = waiting.pop()
        if id(part) not in parts:
            parts[id(part)] = part
            waiting.extend(part.below())
    changed = True
    while changed:
        changed = False
        for part in reversed(list(parts.values())):
            least = part.settle()
            if least < part.least:
                part.least = least
                changed = True


def _reached(part: Terminal, state: State, rest: Stack) -> Iterable[Stack]:
    """The stacks that a terminal's state stands for: it goes on, or what follows begins."""
    if any(True for _ in part.allowed(state)):
        yield ((part, state), rest)
    if part.done(state):
        yield from _open(rest)


def _open(stack: Stack) -> Iterable[Stack]:
    """The stacks with a terminal on top that a stack stands for, or the empty one."""
    seen: set[Stack] = set()
    waiting: list[Stack] = [stack]
    while waiting:
        one = waiting.pop()
        if one in seen:
            continue
        seen.add(one)
        if not one:
            yield one
            continue
        (part, state), rest = one
        if isinstance(part, Terminal):
            if part.left(state) < NEVER and any(True for _ in part.allowed(state)):
                yield one
            if part.done(state):
                waiting.append(rest)
            continue
        for frames in part.expand(state):  # type: ignore[attr-defined]
            if any(_left(frame) == NEVER for frame in frames):
                continue
            below: Stack = rest
            for frame in reversed(frames):
                below = (frame, below)
            waiting.append(below)


def _stack_left(stack: Stack) -> float:
    left = 0.0
    while stack:
        frame, stack = stack
        left += _left(frame)
    return left


def _stack_finish(stack: Stack) -> bytes:
    found: list[bytes] = []
    while stack:
        (part, state), stack = stack
        found.append(part.finish(state))
    return b"".join(found)

r"""Searches texts for patterns in linear time: regular expressions as an automaton, made as texts need it.

Taken: literals, `.`, classes, `\d \w \s` and their opposites, `\b \B`, anchors, groups, `|`, `? * + {m,n}` and their
lazy forms, `\n \t \r \f \v \xHH \uHHHH`. Back-references and look-around are refused: nobody can promise a time for
them. What is taken means what it means in Python's `re`, but that `$` is the end of the text and nothing else.

Rule: a text is read once, character by character; how long that takes is bounded by the patterns' size.
Invariant: what is remembered between texts is bounded.
Source: Thompson, "Regular expression search algorithm" (1968).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, assert_never

from archflow_plugins.guards.pattern import (
    All,
    Assertion,
    BadPattern,
    Characters,
    Either,
    Node,
    Repeat,
    is_word,
    parse,
)

STATES_AT_MOST = 4000
"""States of all patterns together; a bound on what a character can cost."""
ROWS_AT_MOST = 2000
"""Sets of states that are remembered, each with what follows it."""
CHARACTERS_AT_MOST = 4000
"""Characters whose classes are remembered."""

_START, _WORD, _OTHER, _END = range(4)
"""What stands beside a place in a text."""


class _Key(NamedTuple):
    """A place in the search: the states before what needs no character, and what stands before."""

    states: frozenset[int]
    before: int


class _Row(dict[int, "_Row | None"]):
    """Where each class of characters leads from a place; None where something was found.

    Attributes:
        key: the place.
        idle: whether nothing has begun there that could become a find.
    """

    __slots__ = ("idle", "key")

    def __init__(self, key: _Key, *, idle: bool) -> None:
        super().__init__()
        self.key = key
        self.idle = idle


class Automaton:
    """Finds whether any of some patterns occurs in a text. May be used by several threads at once.

    Attributes:
        longest: characters of the longest find; None if there is no end to it.
    """

    def __init__(self, patterns: Iterable[str], *, ignore_case: bool) -> None:
        """Read the patterns.

        Raises:
            BadPattern: one cannot be used; the text says why.
        """
        self._free: list[list[tuple[int, str]]] = []
        self._reads: list[tuple[int, int] | None] = []
        self._sets: list[Characters] = []
        start, self._last = self._state(), self._state()
        trees = [parse(pattern, ignore_case=ignore_case) for pattern in patterns]
        self.longest = _longest(Either(tuple(trees)))
        for tree in trees:
            self._free[self._build(tree, start)].append((self._last, ""))
        self._start = frozenset({start})
        self._word = 1 << len(self._sets)
        self._classes: dict[str, int] = {}
        self._rows: dict[_Key, _Row] = {}

    def search(self, text: str) -> bool:
        """Whether one of the patterns occurs."""
        classes = self._classes
        row = self._row(_Key(self._start, _START))
        for character in text:
            kind = classes.get(character)
            if kind is None:
                kind = self._class(character)
            try:
                following = row[kind]
            except KeyError:
                following = row[kind] = self._step(row.key, kind)
            if following is None:
                return True
            row = following
        return self._last in self._closure(row.key, _END)

    def scan(self, longest: int) -> Scan:
        """A search through a text that comes in portions, for which finds end after `longest` characters."""
        return Scan(self, min(longest, longest if self.longest is None else self.longest))

    # Searching.

    def _class(self, character: str) -> int:
        """The sets that hold a character, as bits, and whether it is one of words."""
        found = self._word if is_word(character) else 0
        for number, one in enumerate(self._sets):
            if one.holds(character):
                found |= 1 << number
        if len(self._classes) < CHARACTERS_AT_MOST:
            self._classes[character] = found
        return found

    def _row(self, key: _Key) -> _Row:
        if len(self._rows) >= ROWS_AT_MOST:
            self._rows = {}
        return self._rows.setdefault(key, _Row(key, idle=key.states == self._start))

    def _step(self, key: _Key, kind: int) -> _Row | None:
        beside = _WORD if kind & self._word else _OTHER
        states = self._closure(key, beside)
        if self._last in states:
            return None
        reads = (self._reads[state] for state in states)
        following = {read[1] for read in reads if read is not None and kind >> read[0] & 1}
        return self._row(_Key(self._start | following, beside))

    def _closure(self, key: _Key, after: int) -> set[int]:
        """The states that are reached without a character, between what stands before and after."""
        boundary = (key.before == _WORD) != (after == _WORD)
        holds = {
            "": True, "^": key.before == _START, "$": after == _END, "b": boundary, "B": not boundary,
        }  # fmt: skip
        found, stack = set(key.states), list(key.states)
        while stack:
            for target, condition in self._free[stack.pop()]:
                if target not in found and holds[condition]:
                    found.add(target)
                    stack.append(target)
        return found

    # Building.

    def _state(self) -> int:
        if len(self._free) >= STATES_AT_MOST:
            raise BadPattern(f"it would need more than {STATES_AT_MOST} states: repeat less")
        self._free.append([])
        self._reads.append(None)
        return len(self._free) - 1

    def _build(self, node: Node, start: int) -> int:
        """Add what a node reads from `start` on; where it ends."""
        match node:
            case Characters():
                number = self._sets.index(node) if node in self._sets else len(self._sets)
                if number == len(self._sets):
                    self._sets.append(node)
                begin, end = self._state(), self._state()
                self._free[start].append((begin, ""))
                self._reads[begin] = (number, end)
            case Assertion():
                end = self._state()
                self._free[start].append((end, node.kind))
            case All():
                end = start
                for part in node.parts:
                    end = self._build(part, end)
            case Either():
                end = self._state()
                for part in node.parts:
                    self._free[self._build(part, start)].append((end, ""))
            case Repeat():
                end = self._repeat(node, start)
            case _:
                assert_never(node)
        return end

    def _repeat(self, node: Repeat, start: int) -> int:
        for _ in range(node.least):
            start = self._build(node.part, start)
        if node.most is None:
            loop = self._state()
            self._free[start].append((loop, ""))
            self._free[self._build(node.part, loop)].append((loop, ""))
            return loop
        end = self._state()
        for _ in range(node.most - node.least):
            self._free[start].append((end, ""))
            start = self._build(node.part, start)
        self._free[start].append((end, ""))
        return end


class Scan:
    """A search through one text that comes in portions; their bounds make no difference.

    Attributes:
        safe: how many characters lie before anything that could still become a find.
    """

    def __init__(self, automaton: Automaton, longest: int) -> None:
        self._automaton = automaton
        self._longest = longest
        self._row = automaton._row(_Key(automaton._start, _START))  # noqa: SLF001 - its other half
        self._at = 0
        self.safe = 0

    def feed(self, text: str, *, end: bool) -> bool:
        """Whether one of the patterns occurs in what came so far."""
        automaton, row = self._automaton, self._row
        classes, idle = automaton._classes, -1  # noqa: SLF001
        for number, character in enumerate(text, 1):
            kind = classes.get(character)
            if kind is None:
                kind = automaton._class(character)  # noqa: SLF001
            try:
                following = row[kind]
            except KeyError:
                following = row[kind] = automaton._step(row.key, kind)  # noqa: SLF001
            if following is None:
                return True
            row = following
            if row.idle:
                idle = number
        self._row = row
        if idle >= 0:
            self.safe = self._at + idle
        self._at += len(text)
        self.safe = max(self.safe, self._at - self._longest)
        return end and automaton._last in automaton._closure(row.key, _END)  # noqa: SLF001


def _longest(node: Node) -> int | None:
    """How many characters a node reads at most; None if there is no end to it."""
    match node:
        case Characters():
            return 1
        case Assertion():
            return 0
        case All():
            parts = [_longest(part) for part in node.parts]
            return None if None in parts else sum(part for part in parts if part is not None)
        case Either():
            parts = [_longest(part) for part in node.parts]
            return None if None in parts else max((part for part in parts if part is not None), default=0)
        case Repeat():
            part = _longest(node.part)
            return 0 if part == 0 else None if part is None or node.most is None else part * node.most
        case _:
            assert_never(node)

r"""What patterns are made of when they are searched: states, what leads from one to another, and which characters do.

Rule: knows nothing of texts, and remembers nothing of them but the classes of characters.
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
)

STATES_AT_MOST = 4000
"""States of all patterns together; a bound on what a character can cost."""
CHARACTERS_AT_MOST = 4000
"""Characters whose classes are remembered."""

START, WORD, OTHER, END = range(4)
"""What stands beside a place in a text."""


class Key(NamedTuple):
    """A place in a search: the states before what needs no character, and what stands before."""

    states: frozenset[int]
    before: int


class States:
    """The states of some patterns.

    Attributes:
        start: where every pattern begins.
        last: the state in which one was found.
        classes: character -> its class, of those that were met.
    """

    def __init__(self, trees: Iterable[Node]) -> None:
        """Make them.

        Raises:
            BadPattern: there would be too many; the text says so.
        """
        self._free: list[list[tuple[int, str]]] = []
        self._reads: list[tuple[int, int] | None] = []
        self._sets: list[Characters] = []
        start, self.last = self._state(), self._state()
        for tree in trees:
            self._free[self._build(tree, start)].append((self.last, ""))
        self.start = frozenset({start})
        self._word = 1 << len(self._sets)
        self.classes: dict[str, int] = {}

    def kind(self, character: str) -> int:
        """The class of a character: the sets that hold it, as bits, and whether it is one of words."""
        found = self._word if is_word(character) else 0
        for number, one in enumerate(self._sets):
            if one.holds(character):
                found |= 1 << number
        if len(self.classes) < CHARACTERS_AT_MOST:
            self.classes[character] = found
        return found

    def beside(self, kind: int) -> int:
        """What a character of a class is beside a place."""
        return WORD if kind & self._word else OTHER

    def step(self, key: Key, kind: int) -> tuple[bool, frozenset[int]]:
        """Whether something is found before a character of a class, and the states that it leads to."""
        states = self.closure(key, self.beside(kind))
        reads = (self._reads[state] for state in states)
        following = frozenset(read[1] for read in reads if read is not None and kind >> read[0] & 1)
        return self.last in states, following

    def closure(self, key: Key, after: int) -> set[int]:
        """The states that are reached without a character, between what stands before and after."""
        boundary = (key.before == WORD) != (after == WORD)
        holds = {
            "": True, "^": key.before == START, "$": after == END, "b": boundary, "B": not boundary,
        }  # fmt: skip
        found, stack = set(key.states), list(key.states)
        while stack:
            for target, condition in self._free[stack.pop()]:
                if target not in found and holds[condition]:
                    found.add(target)
                    stack.append(target)
        return found

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


def longest(node: Node) -> int | None:
    """How many characters a node reads at most; None if there is no end to it."""
    match node:
        case Characters():
            return 1
        case Assertion():
            return 0
        case All():
            parts = [longest(part) for part in node.parts]
            return None if None in parts else sum(part for part in parts if part is not None)
        case Either():
            parts = [longest(part) for part in node.parts]
            return None if None in parts else max((part for part in parts if part is not None), default=0)
        case Repeat():
            part = longest(node.part)
            return 0 if part == 0 else None if part is None or node.most is None else part * node.most
        case _:
            assert_never(node)


def shortest(node: Node) -> int:
    """How many characters a node reads at least."""
    match node:
        case Characters():
            return 1
        case Assertion():
            return 0
        case All():
            return sum(map(shortest, node.parts))
        case Either():
            return min(map(shortest, node.parts), default=0)
        case Repeat():
            return shortest(node.part) * node.least
        case _:
            assert_never(node)


def backwards(node: Node) -> Node:
    """What finds the same in a text that is read from its end."""
    match node:
        case Characters():
            return node
        case Assertion():
            return Assertion({"^": "$", "$": "^"}.get(node.kind, node.kind))
        case All():
            return All(tuple(map(backwards, reversed(node.parts))))
        case Either():
            return Either(tuple(map(backwards, node.parts)))
        case Repeat():
            return Repeat(backwards(node.part), node.least, node.most)
        case _:
            assert_never(node)

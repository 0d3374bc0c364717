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

from archflow_plugins.guards.pattern import Either, parse
from archflow_plugins.guards.states import END, START, Key, States, longest

ROWS_AT_MOST = 2000
"""Sets of states that are remembered, each with what follows it."""


class _Row(dict[int, "_Row | None"]):
    """Where each class of characters leads from a place; None where something was found.

    Attributes:
        key: the place.
        idle: whether nothing has begun there that could become a find.
    """

    __slots__ = ("idle", "key")

    def __init__(self, key: Key, *, idle: bool) -> None:
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
        trees = [parse(pattern, ignore_case=ignore_case) for pattern in patterns]
        self.longest = longest(Either(tuple(trees)))
        self.states = States(trees)
        self._rows: dict[Key, _Row] = {}

    def search(self, text: str) -> bool:
        """Whether one of the patterns occurs."""
        classes = self.states.classes
        row = self.first()
        for character in text:
            kind = classes.get(character)
            if kind is None:
                kind = self.states.kind(character)
            try:
                following = row[kind]
            except KeyError:
                following = row[kind] = self.after(row, kind)
            if following is None:
                return True
            row = following
        return self.found_at_end(row)

    def scan(self, longest: int) -> Scan:
        """A search through a text that comes in portions, for which finds end after `longest` characters."""
        return Scan(self, min(longest, longest if self.longest is None else self.longest))

    # For a search: where it begins, goes on, and ends.

    def first(self) -> _Row:
        """The place before a text."""
        return self._row(Key(self.states.start, START))

    def after(self, row: _Row, kind: int) -> _Row | None:
        """Where a class of characters leads from a place; None if something was found before it."""
        found, following = self.states.step(row.key, kind)
        return None if found else self._row(Key(self.states.start | following, self.states.beside(kind)))

    def found_at_end(self, row: _Row) -> bool:
        """Whether something is found if the text ends at a place."""
        return self.states.last in self.states.closure(row.key, END)

    def _row(self, key: Key) -> _Row:
        if len(self._rows) >= ROWS_AT_MOST:
            self._rows = {}
        return self._rows.setdefault(key, _Row(key, idle=key.states == self.states.start))


class Scan:
    """A search through one text that comes in portions; their bounds make no difference.

    Attributes:
        safe: how many characters lie before anything that could still become a find.
    """

    def __init__(self, automaton: Automaton, longest: int) -> None:
        self._automaton = automaton
        self._longest = longest
        self._row = automaton.first()
        self._at = 0
        self.safe = 0

    def feed(self, text: str, *, end: bool) -> bool:
        """Whether one of the patterns occurs in what came so far."""
        automaton, row = self._automaton, self._row
        classes, idle = automaton.states.classes, -1
        for number, character in enumerate(text, 1):
            kind = classes.get(character)
            if kind is None:
                kind = automaton.states.kind(character)
            try:
                following = row[kind]
            except KeyError:
                following = row[kind] = automaton.after(row, kind)
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
        return end and automaton.found_at_end(row)

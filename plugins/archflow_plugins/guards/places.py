"""Where patterns occur in a text: first where any begins, read from the end of the text, and then how far each goes on.

Of finds of one pattern that overlap, the one that begins first counts, and of those that begin there the longest. So
what is found does not depend on how a pattern is written.

Rule: a text is read backwards once; what is read of it again is at most `LONGEST` characters for each find.
Invariant: what is remembered between texts is bounded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from archflow_plugins.guards.identifiers import Found
from archflow_plugins.guards.pattern import BadPattern, Node
from archflow_plugins.guards.states import END, START, Key, States, backwards, longest, shortest

ROWS_AT_MOST = 2000
"""Sets of states that are remembered of each search, each with what follows it."""
LONGEST = 256
"""Characters of a find at most."""


class _Row(dict[int, "_Row"]):
    """Where each class of characters leads from a place.

    Attributes:
        key: the place.
        found: whether something ends before the last character that was read.
    """

    __slots__ = ("found", "key")

    def __init__(self, key: Key, *, found: bool) -> None:
        super().__init__()
        self.key = key
        self.found = found


class _Search:
    """A search that goes on when something was found. May be used by several threads at once."""

    def __init__(self, trees: list[Node], *, anywhere: bool) -> None:
        self.states = States(trees)
        self._always = self.states.start if anywhere else frozenset[int]()
        self._rows: dict[tuple[Key, bool], _Row] = {}

    def first(self, beside: str) -> _Row:
        """The place after one character, or before all."""
        before = self.states.beside(self._kind(beside)) if beside else START
        return self._row(Key(self.states.start, before), found=False)

    def after(self, row: _Row, character: str) -> _Row:
        kind = self._kind(character)
        try:
            return row[kind]
        except KeyError:
            found, following = self.states.step(row.key, kind)
            key = Key(self._always | following, self.states.beside(kind))
            row[kind] = new = self._row(key, found=found)
            return new

    def found(self, row: _Row, beside: str) -> bool:
        """Whether something ends at a place, beside which the next character stands, or none."""
        after = self.states.beside(self._kind(beside)) if beside else END
        return self.states.last in self.states.closure(row.key, after)

    def _kind(self, character: str) -> int:
        kind = self.states.classes.get(character)
        return self.states.kind(character) if kind is None else kind

    def _row(self, key: Key, *, found: bool) -> _Row:
        if len(self._rows) >= ROWS_AT_MOST:
            self._rows = {}
        return self._rows.setdefault((key, found), _Row(key, found=found))


class Places:
    """Named patterns that are looked for together.

    Attributes:
        longest: characters of the longest find.
    """

    def __init__(self, trees: Mapping[str, Node]) -> None:
        """Make the searches.

        Args:
            trees: name -> pattern, as `pattern.parse` gives it.

        Raises:
            BadPattern: one cannot be used; the text says why.
        """
        self.longest = 0
        for tree in trees.values():
            most = longest(tree)
            if most is None or most > LONGEST:
                raise BadPattern(
                    f"it may be longer than {LONGEST} characters: say how often something is repeated, "
                    "as {1,40} instead of +"
                )
            if shortest(tree) == 0:
                raise BadPattern(
                    "it may be empty, and what may be empty stands everywhere: say what must be there"
                )
            self.longest = max(self.longest, most)
        self._begins = _Search([backwards(tree) for tree in trees.values()], anywhere=True)
        self._pending = _Search(list(trees.values()), anywhere=True)
        self._each = {name: _Search([tree], anywhere=False) for name, tree in trees.items()}

    def find(self, text: str, start: int = 0) -> Iterator[Found]:
        """Every find that begins at `start` or behind it; what stands before is looked at."""
        begins = self._beginnings(text, start)
        for name, search in self._each.items():
            free = start
            for begin in begins:
                if begin >= free:
                    end = self._end(search, text, begin)
                    if end:
                        yield Found(name, begin, end)
                        free = end

    def begun(self, text: str, start: int) -> int:
        """Where from `start` on a find begins that more text could make or lengthen; else where the text ends."""
        search, idle = self._pending, start
        row = search.first(text[start - 1 : start])
        for at in range(start, len(text)):
            row = search.after(row, text[at])
            if row.key.states == search.states.start:
                idle = at + 1
        return max(idle, len(text) - self.longest - 1)

    def _beginnings(self, text: str, start: int) -> list[int]:
        search = self._begins
        row, found = search.first(""), []
        for at in range(len(text) - 1, start - 1, -1):
            row = search.after(row, text[at])
            if row.found:
                found.append(at + 1)
        if search.found(row, text[start - 1 : start]):
            found.append(start)
        return found[::-1]

    def _end(self, search: _Search, text: str, begin: int) -> int:
        """Where the longest find ends that begins at a place; 0 if none does."""
        row, end = search.first(text[begin - 1 : begin]), 0
        for at in range(begin, len(text)):
            row = search.after(row, text[at])
            if row.found:
                end = at
            if not row.key.states:
                return end
        return len(text) if search.found(row, "") else end

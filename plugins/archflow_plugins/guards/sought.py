"""What a guard of personal data looks for: identifiers that are known by name, and patterns that a configuration has.

Rule: pure, and linear in the text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain

from archflow_plugins.guards.identifiers import Found, alike, find
from archflow_plugins.guards.pattern import Node
from archflow_plugins.guards.places import Places


class Sought:
    """Identifiers and patterns that are looked for together.

    Attributes:
        names: the identifiers.
    """

    def __init__(self, names: tuple[str, ...], patterns: Mapping[str, Node] | None = None) -> None:
        """Make the searches.

        Args:
            names: identifiers, of `identifiers.NAMES`.
            patterns: name -> pattern, as `pattern.parse` gives it.

        Raises:
            BadPattern: a pattern cannot be used; the text says why.
        """
        self.names = names
        self._places = Places(patterns) if patterns else None

    def find(self, text: str, start: int = 0) -> Iterator[Found]:
        """Everything that begins at `start` or behind it, in the order of the names."""
        found = find(text, self.names, start)
        return found if self._places is None else chain(found, self._places.find(text, start))

    def alike(self, text: str, start: int = 0) -> Iterator[tuple[int, int]]:
        """Where anything stands that looks like an identifier, whether it is one or not."""
        return alike(text, self.names, start)

    def begun(self, text: str, start: int) -> int:
        """Where a pattern's find begins that more text could make or lengthen; where the text ends if there is none."""
        return len(text) if self._places is None else self._places.begun(text, start)

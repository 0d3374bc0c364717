"""A candidate: a piece of a turn that may be the value of a slot, with a score."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from archflow_plugins.slots.wants import Facet

ENOUGH = 1.0
"""The score from which a required slot takes a piece that has a form of its own."""
FREE = 0.6
"""How much more free text needs."""
OPTIONAL = 0.7
"""How much more an optional slot wants."""
EXACT: frozenset[Facet] = frozenset(
    {"boolean", "choice", "number", "currency", "date", "time", "email", "url", "phone", "code"}
)
"""Facets whose values have a form of their own; the others are free text."""


class Candidate(Struct, frozen=True, kw_only=True):
    """A piece of a turn that may be a slot's value.

    Attributes:
        start, end: where it stands; `sole` whether another slot may use the same piece.
        value: what the slot would get, of its type, or of its items' type.
        score: how well it fits.
        cued: whether words around it speak for this slot.
        shape: of free text: `quoted`, `name`, `plain`; `end` if a plain one ends its clause.
    """

    start: int
    end: int
    value: Any
    score: float
    cued: bool = False
    sole: bool = True
    shape: str = ""

"""Options that are too alike to be told apart: by what they say of themselves, and by their examples.

Rule: a table of n options is searched n times, never n times n compared.
"""

from __future__ import annotations

from msgspec import Struct

from archflow_plugins.local_models.chooser.table import Table

NEIGHBOURS = 24
"""Texts near an option's own that are looked at."""


class Pair(Struct, frozen=True):
    """Two options, how alike they are (a cosine), and by what: `descriptions` or `examples`."""

    one: str
    other: str
    likeness: float
    why: str


def pairs(table: Table, bar: float) -> list[Pair]:
    """Pairs that are at least so alike, the most alike first. Blocks: a second for some thousands of options."""
    found: dict[tuple[int, int], tuple[float, str]] = {}
    for here, there, likeness, why in table.neighbours(NEIGHBOURS):
        key = (min(here, there), max(here, there))
        if likeness >= bar and likeness > found.get(key, (0.0, ""))[0]:
            found[key] = (likeness, why)
    ordered = sorted(found.items(), key=lambda one: (-one[1][0], one[0]))
    return [
        Pair(table.options[one].name, table.options[other].name, likeness, why)
        for (one, other), (likeness, why) in ordered
    ]

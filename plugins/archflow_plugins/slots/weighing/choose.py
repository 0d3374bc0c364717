"""Which piece of free text goes to which slot: what the rules chose, unless the trees know better.

Rule: no piece is better than a doubtful one: what the rules chose and the trees do not believe is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping

from archflow_plugins.slots.candidates.candidate import Candidate
from archflow_plugins.slots.runs import overlaps
from archflow_plugins.slots.weighing.features import Scene, rows, weighed
from archflow_plugins.slots.weighing.trees import Trees

KEPT = 0.2
"""The chance from which what the rules chose is kept."""
TRUST = 0.2
"""How much more of a chance another piece needs to take its place."""
REQUIRED = 0.4
OPTIONAL = 0.5
"""The chance from which a piece is taken that the rules did not choose, by whether its slot is required."""


def choose(scene: Scene, ruled: Mapping[int, Candidate], trees: Trees) -> dict[int, Candidate]:
    """The pieces of all slots.

    Args:
        scene: the turn, before the slots of a target.
        ruled: what the rules chose, by the slot's place.
        trees: what weighs.
    """
    chosen = {place: one for place, one in ruled.items() if not weighed(scene.wants[place])}
    pairs, numbers = rows(scene)
    ranked: list[tuple[float, int, Candidate]] = []
    for (place, one), chance in zip(pairs, trees.chances(numbers), strict=True):
        rule = ruled.get(place)
        own = rule is not None and (rule.start, rule.end, rule.value) == (one.start, one.end, one.value)
        least = KEPT if own else REQUIRED if scene.wants[place].slot.required else OPTIONAL
        if chance >= least:
            ranked.append((chance + TRUST * own, place, one))
    ranked.sort(key=lambda each: (-each[0], each[1], each[2].start))
    for _, place, one in ranked:
        if place not in chosen and not (one.sole and overlaps(one, chosen.values())):
            chosen[place] = one
    return chosen

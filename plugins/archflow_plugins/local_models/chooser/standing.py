"""How an option stands before the backdrop: its score against the scores of what else a conversation could be about.

Subjects that are about the same as the option are no rivals of it: "write programs" says nothing against "generating
code".

Rule: pure arithmetic over scores and cosines.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from msgspec import Struct

if TYPE_CHECKING:
    from numpy.typing import NDArray

SAME = 0.4
"""From this cosine on a subject is about the same as an option."""
FEWEST = 8
"""Rivals that are kept however similar they are: the least similar ones."""
FURTHEST = 6.0
"""Distances to rivals are counted up to this one."""


class Standing(Struct, frozen=True):
    """How an option stands.

    Attributes:
        margin: its score above the best rival's.
        chance: the logarithm of its odds against all rivals together.
        height: its score above the mean of all subjects, in their standard deviations.
    """

    margin: float
    chance: float
    height: float


def standing(score: float, subjects: NDArray[Any], likeness: NDArray[Any]) -> Standing:
    """How an option stands.

    Args:
        score: its own.
        subjects: the scores of the subjects of the backdrop.
        likeness: of the option to each of them.
    """
    import numpy as np

    fewest = min(FEWEST, len(likeness)) - 1
    rivals = subjects[likeness <= max(SAME, float(np.partition(likeness, fewest)[fewest]))]
    best = float(rivals.max())
    together = best + math.log(float(np.exp(rivals - best).sum()))
    return Standing(
        margin=_within(score - best),
        chance=_within(score - together),
        height=_within((score - float(subjects.mean())) / (float(subjects.std()) + 1e-9)),
    )


def _within(distance: float) -> float:
    return max(-FURTHEST, min(FURTHEST, distance))

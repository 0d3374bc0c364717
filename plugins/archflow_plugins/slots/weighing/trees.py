"""Trees: numbers to a chance, in plain Python, some microseconds a tree.

Rule: the weights name the features that they were trained on; others are refused.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Self

import msgspec
from msgspec import Struct

from archflow_plugins.slots.weighing.features import FEATURES

WEIGHTS = Path(__file__).parent / "weights.json"


class Tree(Struct, frozen=True, forbid_unknown_fields=True):
    """One tree; a node that has no feature (-1) is a leaf.

    Attributes:
        feature: of each node, which number decides.
        at: up to which value the left node follows; of a leaf, what it adds.
        left, right: which node follows.
        unknown: 1 where the left node follows if the number is not known.
    """

    feature: tuple[int, ...]
    at: tuple[float, ...]
    left: tuple[int, ...]
    right: tuple[int, ...]
    unknown: tuple[int, ...]


class Weights(Struct, frozen=True, forbid_unknown_fields=True):
    """What was learned.

    Attributes:
        features: the names of the numbers, in order.
        base: what the trees are added to.
        trees: one after the other.
    """

    features: tuple[str, ...]
    base: float
    trees: tuple[Tree, ...]


class Trees:
    """Chances of pieces.

    Args:
        weights: what was learned.

    Raises:
        ValueError: the weights are of other features.
    """

    def __init__(self, weights: Weights) -> None:
        if weights.features != FEATURES:
            raise ValueError("the weights of the slot filler are of other features: install archflow again")
        self._base = weights.base
        self._trees = [
            tuple(zip(one.feature, one.at, one.left, one.right, one.unknown, strict=True))
            for one in weights.trees
        ]

    @classmethod
    @cache
    def installed(cls) -> Self:
        """The trees that ship. Blocks, the first time: it reads a small file."""
        return cls(msgspec.json.decode(WEIGHTS.read_bytes(), type=Weights))

    def chances(self, rows: Sequence[Sequence[float]]) -> list[float]:
        """How likely each row is that of a slot's value."""
        return [1 / (1 + math.exp(-self._sum(row))) for row in rows]

    def _sum(self, row: Sequence[float]) -> float:
        total = self._base
        for tree in self._trees:
            node = tree[0]
            while node[0] >= 0:
                value = row[node[0]]
                # What is not known is not equal to itself.
                left = value <= node[1] if value == value else node[4]  # noqa: PLR0124
                node = tree[node[2] if left else node[3]]
            total += node[1]
        return total

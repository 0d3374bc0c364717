"""Train the ranker that chooses among functions, and write its weights beside it.

    python bench/quality/train_ranker.py [--out FILE]

A softmax over each item's candidates, with a ridge; the weights that ship have seen every item of BFCL's live_multiple
and multiple, so the figures that are told of it are those of rankers that were trained here on parts of them.

Rule: the same data gives the same weights, up to the order of additions in the linear algebra.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
from scipy.optimize import minimize

from archflow_plugins.local_models.ranker import FEATURES, Ranker
from archflow_plugins.local_models.ranker.rank import WEIGHTS

RIDGE = 0.03


def train(rows: Sequence[np.ndarray], right: Sequence[int], ridge: float = RIDGE) -> Ranker:
    """A ranker that learned from some items.

    Args:
        rows: the features of each item's candidates.
        right: which candidate is right.
        ridge: how much large weights cost, where every feature is scaled to differ by 1 among candidates.
    """
    return Ranker(weights(rows, right, ridge))


def weights(rows: Sequence[np.ndarray], right: Sequence[int], ridge: float = RIDGE) -> dict[str, float]:
    """The weight of each feature, by name. What all candidates share falls out of a softmax, so there is no bias."""
    centred = [one - one.mean(0) for one in rows]
    scale = np.concatenate(centred).std(0) + 1e-6
    most, width = max(map(len, rows)), len(scale)
    padded, missing = np.zeros((len(rows), most, width)), np.full((len(rows), most), -1e9)
    for at, one in enumerate(centred):
        padded[at, : len(one)] = one / scale
        missing[at, : len(one)] = 0
    every, answers = np.arange(len(rows)), np.array(right)

    def loss(tried: np.ndarray) -> tuple[float, np.ndarray]:
        scores = padded @ tried + missing
        chances = np.exp(scores - scores.max(1, keepdims=True))
        chances /= chances.sum(1, keepdims=True)
        value = -np.log(chances[every, answers] + 1e-12).mean() + ridge * float(tried @ tried)
        chances[every, answers] -= 1
        return value, np.einsum("nm,nmk->k", chances, padded) / len(rows) + 2 * ridge * tried

    found = minimize(loss, np.zeros(width), jac=True, method="L-BFGS-B").x / scale
    return dict(zip(FEATURES, map(float, found), strict=True))


def main() -> None:
    """Train on both files and write."""
    from functions import items, rows_of
    from vectors import Vectors

    parser = argparse.ArgumentParser(description="Train the ranker that chooses among functions.")
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    options = parser.parse_args()
    every = items("live_multiple") + items("multiple")
    found = weights(rows_of(every, Vectors()), [item.right for item in every])
    rounded = {name: round(value, 4) for name, value in found.items()}
    options.out.write_bytes(msgspec.json.format(msgspec.json.encode(rounded), indent=1) + b"\n")


if __name__ == "__main__":
    main()

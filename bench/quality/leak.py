"""How much of a test set stands, in other words, among the texts that were learned from, and what is left without it.

Proves: whether the guard's figures on s-labs and neuralchemy live on texts that it nearly knew. Near copies by letters
(Jaccard 0.7 of 5-character runs) are removed before training, so what is counted here is what that misses: paraphrases
and templates with other words in their slots, by the cosine of the default embedder to the nearest text learned from.
Does not prove: that a text without such a neighbour is of a new kind.
"""

from __future__ import annotations

import numpy as np
import sets
from figures import share
from guard import encoders, scores
from near import near
from vectors import Vectors

from archflow_plugins.guards.jailbreak import HEAD, RATE, card, threshold_for
from archflow_plugins.local_models.classifier import Classifier

SOURCES = ("s-labs", "neuralchemy")
CLOSE = 0.95
LOOSE = 0.5


def table(vectors: Vectors) -> list[str]:
    """The lines of the table.

    Args:
        vectors: texts to vectors.
    """
    installed = card()
    head, judged = Classifier((HEAD / "weights.npz").read_bytes(), installed.sha256), encoders()
    bar = threshold_for(RATE, installed.thresholds)
    data, _ = sets.apart([*sets.load(), sets.sharegpt()])
    learned = [one for one in data if one.split != "test" and one.name.startswith(SOURCES)]
    known = vectors([text for one in learned for text in one.texts])
    known_labels = np.concatenate([one.labels for one in learned])
    lines = [
        f"| set | texts | Jaccard {LOOSE} to a known text | cosine {CLOSE} | other label | accuracy | without them |",
        "|---|--:|--:|--:|--:|---|---|",
    ]
    for one in data:
        if one.split != "test" or not one.name.startswith(SOURCES):
            continue
        labels = np.array(one.labels)
        right = (scores(one.texts, head, judged).at(bar) >= bar) == (labels == 1)
        nearest, highest = _nearest(vectors(list(one.texts)), known)
        close = highest >= CLOSE
        other = close & (known_labels[nearest] != labels)
        letters = near(list(one.texts), [text for some in learned for text in some.texts], LOOSE)
        lines.append(
            f"| {one.name} | {len(labels)} | {len(letters)} | {close.sum()} | {other.sum()} | "
            f"{share(int(right.sum()), len(labels))} | {share(int(right[~close].sum()), int((~close).sum()))} |"
        )
    return lines


def _nearest(rows: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each row the place of the nearest known one, and the cosine to it."""
    parts = [rows[at : at + 256] @ known.T for at in range(0, len(rows), 256)]
    return np.concatenate([one.argmax(1) for one in parts]), np.concatenate([one.max(1) for one in parts])

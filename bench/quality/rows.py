"""What the guard's encoder is tuned on: windows of texts, and what is held out of them.

A disputed text (`sets.py`) is learned a little towards its label, and not by heart which of its kind bears which.

Rule: what is held out depends on how a text begins only, so that variants of one text lie on one side.
"""

from __future__ import annotations

import msgspec
import numpy as np
import sets

from archflow_plugins.guards.windows import windows

HELD = 8
"""One of so many texts is held out."""
MOST = 24
"""Windows of one training text; of a longer one, evenly spaced ones."""
LEANED = {"HarmBench": (0.2, 0.8), "JudgeComparison": (0.03, 0.25)}
"""How much a disputed text counts as an attack for the encoder: labelled innocent, labelled an attack."""


class Rows(msgspec.Struct):
    """The windows of the training texts: which text each is of; and of the texts what to learn of them.

    Attributes:
        pieces: the windows, those of a text beside each other.
        text: the place of each one's text.
        labels: 1 for an attack.
        targets: what the encoder learns; of a disputed text how much it leans to its label.
        sources: the set of each text.
        held: which texts are held out.
    """

    pieces: list[str]
    text: np.ndarray
    labels: np.ndarray
    targets: np.ndarray
    sources: np.ndarray
    held: np.ndarray


def is_held(text: str) -> bool:
    """Whether a text is held out."""
    return int(sets.share("held " + " ".join(text.lower().split()[:3])) * HELD) == 0


def rows_of(learned: list[sets.Set]) -> Rows:
    """The windows of every text."""
    pieces: list[str] = []
    text, labels, targets, sources, held = [], [], [], [], []
    for one in learned:
        origin = one.name.rpartition(" ")[2]
        for content, label in zip(one.texts, one.labels, strict=True):
            found = spaced(windows(content), MOST)
            if not found:
                continue
            text += [len(labels)] * len(found)
            pieces += found
            labels.append(label)
            targets.append(LEANED[origin][label] if one.disputed else label)
            sources.append(one.name)
            held.append(is_held(content))
    return Rows(
        pieces,
        np.array(text),
        np.array(labels),
        np.array(targets),
        np.array(sources),
        np.array(held),
    )


def spaced(pieces: list[str], most: int) -> list[str]:
    """At most so many of the pieces, from the first to the last."""
    if len(pieces) <= most:
        return pieces
    return [pieces[round(at * (len(pieces) - 1) / (most - 1))] for at in range(most)]

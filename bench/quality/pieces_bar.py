"""The bar of pieces, from innocent texts that people wrote: `bar` is what head.json holds as `pieces`.

The bar is the lowest half logit above which the most suspicious piece of at most 1 % of the texts of each set lies
that pass by their windows. Of the sets that are too small for 1 %, none may.

Rule: reads no text of a test split.
Rule: ShareGPT beyond the part that is measured has no licence, and is only counted here too.
"""

from __future__ import annotations

import math

import numpy as np
import sets
from guard import judged
from vectors import Encoders

from archflow_plugins.guards.jailbreak import PIECES, JailbreakConfig
from archflow_plugins.guards.pieces import pieces
from archflow_plugins.guards.windows import windows
from archflow_plugins.local_models.classifier import Classifier

SETS = (
    "inspect-evals documents",
    "issues",
    "issues calibrate",
    "Arena-Hard requests",
    "HealthBench turns",
    "prompts.chat roles",
)
LEAST, MOST = 250, 150
"""Characters of a text, and texts of a set."""
ALLOWED = 0.01
STEP = 0.5


def bar(head: Classifier, vectors: Encoders, threshold: float) -> float:
    """What is taken from a piece's logit so that the threshold lies at the bar."""
    groups = [
        sorted((text for text in one.texts if len(text) > LEAST), key=sets.share)[:MOST]
        for one in sets.load()
        if one.name in SETS
    ]
    highest = [_highest(texts, head, vectors, threshold) for texts in [*groups, sets.sharegpt_rest()]]
    found = 0.0
    while any(np.mean(one > found) > ALLOWED for one in highest):
        found += STEP
    return round(found - math.log(threshold / (1 - threshold)), 6)


def _highest(texts: list[str], head: Classifier, vectors: Encoders, threshold: float) -> np.ndarray:
    """The logit of the most suspicious piece of each text that passes by its windows and has two pieces."""
    whole = judged(texts, windows, JailbreakConfig().windows, head, vectors)
    parts = judged(texts, pieces, PIECES, head, vectors)
    passing = [head.judge(table, rows, number) < threshold for number, table, rows in whole]
    return np.array(
        [
            float(head.windows(table, head.network(rows)).max()) if number > 1 and passes else -math.inf
            for passes, (number, table, rows) in zip(passing, parts, strict=True)
        ]
    )

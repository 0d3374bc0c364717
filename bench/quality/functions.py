"""Choosing the function, and seeing that none fits: BFCL with the encoder alone, and with a ranker as second stage.

Proves: how often the first function of the right answer is chosen among those offered (name only, arguments not looked
at), with weights that saw neither the item nor, in the strictest split, any of its functions.
Does not prove: anything about prompt targets written by other hands, nor about more than about ten candidates; the
figures are no leaderboard figures, for the checker is not BFCL's.

The relevance threshold is not chosen here: the area says how well one could be.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from figures import Figure, area, share
from ranker import Item, Ranker, described, features
from sets import asked, bfcl_rows
from sets import share as number_of
from vectors import Vectors

RIDGE = 0.03
FOLDS = 5


def items(name: str) -> list[Item]:
    """The items of a BFCL file that offer a choice."""
    answers: dict[Any, Any] = {row["id"]: row for row in bfcl_rows(f"possible_answer/BFCL_v4_{name}.json")}
    out = []
    for row in bfcl_rows(f"BFCL_v4_{name}.json"):
        functions: Any = row["function"]
        right = next(iter(answers[row["id"]]["ground_truth"][0]))
        offered = [function["name"] for function in functions]
        if len(offered) > 1 and right in offered:
            out.append(Item(str(row["id"]), asked(row), functions, offered.index(right)))
    return out


def _components(every: list[Item]) -> list[str]:
    """A name for each item that it shares with all items that offer one of its functions, and so on."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent.setdefault(name, name) != name:
            name = parent[name]
        return name

    for item in every:
        for function in item.functions[1:]:
            parent[root(function["name"])] = root(item.functions[0]["name"])
    return [root(item.functions[0]["name"]) for item in every]


def _cosine(every: list[Item], vectors: Callable[[list[str]], np.ndarray]) -> int:
    """How many items the encoder alone gets right."""
    hits = 0
    for item in every:
        rows = vectors([item.query, *map(described, item.functions)])
        hits += int((rows[1:] @ rows[0]).argmax()) == item.right
    return hits


def _crossed(
    every: list[Item], rows: list[np.ndarray], keys: list[str], more: tuple[list[np.ndarray], list[int]]
) -> int:
    """How many items rankers get right that saw no item with the same key."""
    folds = [int(number_of(key) * FOLDS) for key in keys]
    hits = 0
    for fold in range(FOLDS):
        learned = [at for at in range(len(every)) if folds[at] != fold]
        ranker = Ranker(
            [rows[at] for at in learned] + more[0], [every[at].right for at in learned] + more[1], RIDGE
        )
        hits += sum(
            ranker.choose(rows[at]) == every[at].right for at in range(len(every)) if folds[at] == fold
        )
    return hits


def choice(vectors: Vectors) -> list[str]:
    """The lines of the table of choices."""
    live, written = items("live_multiple"), items("multiple")
    vectors([text for item in live + written for text in (item.query, *map(described, item.functions))])
    live_rows, written_rows = features(live, vectors), features(written, vectors)
    other = (written_rows, [item.right for item in written])
    together = ["|".join(sorted(function["name"] for function in item.functions)) for item in live]
    alone = Ranker(*other, RIDGE)
    back = Ranker(live_rows, [item.right for item in live], RIDGE)
    lines: list[tuple[str, int, int]] = [
        ("live_multiple, encoder alone", _cosine(live, vectors), len(live)),
        (
            "live_multiple, ranker, 5 folds: no function offered in two folds",
            _crossed(live, live_rows, _components(live), other),
            len(live),
        ),
        (
            "live_multiple, ranker, 5 folds: no offer of functions in two folds",
            _crossed(live, live_rows, together, other),
            len(live),
        ),
        (
            "live_multiple, ranker trained on `multiple` only",
            sum(alone.choose(rows) == item.right for rows, item in zip(live_rows, live, strict=True)),
            len(live),
        ),
        ("multiple, encoder alone", _cosine(written, vectors), len(written)),
        (
            "multiple, ranker trained on live_multiple only",
            sum(back.choose(rows) == item.right for rows, item in zip(written_rows, written, strict=True)),
            len(written),
        ),
    ]
    return ["| what | items | right |", "|---|--:|---|"] + [
        f"| {name} | {number} | {share(hits, number)} |" for name, hits, number in lines
    ]


def relevance(vectors: Vectors) -> Figure:
    """The area for telling requests that a function fits from those that none does, by the best cosine."""
    groups, labels = [], []
    for name, label in (("live_multiple", 1), ("live_irrelevance", 0)):
        for row in bfcl_rows(f"BFCL_v4_{name}.json"):
            functions: Any = row["function"]
            if functions:
                groups.append([asked(row) or " ", *map(described, functions)])
                labels.append(label)
    vectors([text for group in groups for text in group])
    scores = [float((rows[1:] @ rows[0]).max()) for rows in map(vectors, groups)]
    return area(np.array(scores), np.array(labels))

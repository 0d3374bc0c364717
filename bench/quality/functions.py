"""Choosing the function, and seeing that none fits: BFCL with the encoder alone, and with the ranker as second stage.

Proves: how often the first function of the right answer is chosen among those offered (name only, arguments not looked
at), by rankers that saw neither the item nor, in the strictest split, any of its functions.
Does not prove: anything about prompt targets written by other hands, nor about more than about ten candidates; the
figures are no leaderboard figures, for the checker is not BFCL's. The ranker that ships has the same features and was
trained in the same way, but has learned from all of these items, so it is not measured itself.

The relevance threshold is not chosen here: the area says how well one could be.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
from figures import Figure, area, share
from sets import asked, bfcl_rows
from sets import share as number_of
from train_ranker import train
from vectors import Vectors

from archflow_plugins.local_models.ranker import Candidate, Offer, Parameter, Ranker, features, query_texts

FOLDS = 5
NUMBERS = {"integer", "float", "number"}


class Item(msgspec.Struct, frozen=True):
    """A query, the candidates it is offered, and which of them is right."""

    key: str
    query: str
    candidates: tuple[Candidate, ...]
    right: int


def candidate(function: dict[str, Any]) -> Candidate:
    """A function of BFCL, whose parameters are a JSON schema, as a candidate."""
    schema = function["parameters"]
    required = schema.get("required", [])
    return Candidate(
        name=function["name"],
        description=function.get("description", ""),
        parameters=tuple(
            Parameter(
                name=name,
                description=one.get("description", ""),
                number=one.get("type") in NUMBERS,
                required=name in required,
                values=tuple(map(str, one.get("enum") or (one.get("items") or {}).get("enum") or ())),
            )
            for name, one in schema.get("properties", {}).items()
        ),
    )


def items(name: str) -> list[Item]:
    """The items of a BFCL file that offer a choice."""
    answers: dict[Any, Any] = {row["id"]: row for row in bfcl_rows(f"possible_answer/BFCL_v4_{name}.json")}
    out = []
    for row in bfcl_rows(f"BFCL_v4_{name}.json"):
        functions: Any = row["function"]
        right = next(iter(answers[row["id"]]["ground_truth"][0]))
        offered = [function["name"] for function in functions]
        if len(offered) > 1 and right in offered:
            found = tuple(map(candidate, functions))
            out.append(Item(str(row["id"]), asked(row), found, offered.index(right)))
    return out


def rows_of(every: list[Item], vectors: Vectors) -> list[np.ndarray]:
    """The features of every candidate of every item."""
    offers = [Offer(item.candidates) for item in every]
    vectors(
        [
            text
            for item, offer in zip(every, offers, strict=True)
            for text in (*offer.texts, *query_texts(item.query))
        ]
    )
    return [
        features(offer, vectors(offer.texts), item.query, vectors(query_texts(item.query)))
        for item, offer in zip(every, offers, strict=True)
    ]


def _components(every: list[Item]) -> list[str]:
    """A name for each item that it shares with all items that offer one of its functions, and so on."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent.setdefault(name, name) != name:
            name = parent[name]
        return name

    for item in every:
        for one in item.candidates[1:]:
            parent[root(one.name)] = root(item.candidates[0].name)
    return [root(item.candidates[0].name) for item in every]


def cosine(every: list[Item], vectors: Callable[[list[str]], np.ndarray]) -> int:
    """How many items the encoder alone gets right."""
    hits = 0
    for item in every:
        rows = vectors([item.query, *(one.described for one in item.candidates)])
        hits += int((rows[1:] @ rows[0]).argmax()) == item.right
    return hits


def _right(ranker: Ranker, rows: list[np.ndarray], every: list[Item]) -> int:
    return sum(int(ranker.scores(one).argmax()) == item.right for one, item in zip(rows, every, strict=True))


def _crossed(
    every: list[Item], rows: list[np.ndarray], keys: list[str], more: tuple[list[np.ndarray], list[int]]
) -> int:
    """How many items rankers get right that saw no item with the same key."""
    folds = [int(number_of(key) * FOLDS) for key in keys]
    hits = 0
    for fold in range(FOLDS):
        learned = [at for at in range(len(every)) if folds[at] != fold]
        asked_of = [at for at in range(len(every)) if folds[at] == fold]
        ranker = train([rows[at] for at in learned] + more[0], [every[at].right for at in learned] + more[1])
        hits += _right(ranker, [rows[at] for at in asked_of], [every[at] for at in asked_of])
    return hits


def choice(vectors: Vectors) -> list[str]:
    """The lines of the table of choices."""
    live, written = items("live_multiple"), items("multiple")
    live_rows, written_rows = rows_of(live, vectors), rows_of(written, vectors)
    other = (written_rows, [item.right for item in written])
    together = ["|".join(sorted(one.name for one in item.candidates)) for item in live]
    alone = train(*other)
    back = train(live_rows, [item.right for item in live])
    lines: list[tuple[str, int, int]] = [
        ("live_multiple, encoder alone", cosine(live, vectors), len(live)),
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
        ("live_multiple, ranker trained on `multiple` only", _right(alone, live_rows, live), len(live)),
        ("multiple, encoder alone", cosine(written, vectors), len(written)),
        (
            "multiple, ranker trained on live_multiple only",
            _right(back, written_rows, written),
            len(written),
        ),
    ]
    return [
        "| what | items | right |",
        "|---|--:|---|",
        *(f"| {name} | {number} | {share(hits, number)} |" for name, hits, number in lines),
        "",
        _costs(live[::10], vectors),
    ]


def _costs(some: list[Item], vectors: Vectors) -> str:
    """What a choice costs beyond embedding the candidates, which is done beforehand; nothing is remembered."""
    ranker, embedder = Ranker.installed(), vectors.embedder
    embedding, ranking = [], []
    for item in some:
        offer = Offer(item.candidates)
        table = vectors(offer.texts)
        began = time.perf_counter()
        own = embedder.encode(query_texts(item.query))
        middle = time.perf_counter()
        ranker.chances(offer, table, item.query, own)
        embedding.append(middle - began)
        ranking.append(time.perf_counter() - middle)
    first, second = np.median(embedding) * 1000, np.median(ranking) * 1000
    return (
        f"a choice takes {first:.1f} ms to embed the query and its sentences and {second:.2f} ms to rank (medians of "
        f"{len(some)} items)"
    )


def relevance(vectors: Vectors) -> Figure:
    """The area for telling requests that a function fits from those that none does, by the best cosine."""
    groups, labels = [], []
    for name, label in (("live_multiple", 1), ("live_irrelevance", 0)):
        for row in bfcl_rows(f"BFCL_v4_{name}.json"):
            functions: Any = row["function"]
            if functions:
                groups.append([asked(row) or " ", *(candidate(one).described for one in functions)])
                labels.append(label)
    vectors([text for group in groups for text in group])
    scores = [float((rows[1:] @ rows[0]).max()) for rows in map(vectors, groups)]
    return area(np.array(scores), np.array(labels))

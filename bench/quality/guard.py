"""The jailbreak guard on every test set: recall, false alarms, accuracy, area, with 95 % intervals.

Proves: what the head that is installed does on texts that it did not learn from, near copies removed, through the same
windows, n-grams and embeddings as in the gateway.
Does not prove: that an attacker who knows the guard cannot pass it, nor how it does on languages and attacks that
these sets lack; where a set says "a source not trained on", that figure is the one to trust.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import hidden
import numpy as np
import sets
from figures import area, recall_at, share
from vectors import Vectors

from archflow_plugins.guards.jailbreak import (
    HEAD,
    PIECES,
    RATE,
    JailbreakConfig,
    card,
    of_pieces,
    threshold_for,
)
from archflow_plugins.guards.pieces import pieces
from archflow_plugins.guards.windows import windows
from archflow_plugins.local_models.classifier import Classifier, choose


def scores(texts: tuple[str, ...], head: Classifier, vectors: Vectors) -> np.ndarray:
    """The score of each text, computed as the guard does."""
    bar = card().pieces
    whole = [
        head.judge(ngrams, rows, number) if number else 0.0
        for number, ngrams, rows in judged(texts, windows, JailbreakConfig().windows, head, vectors)
    ]
    parts = [
        of_pieces(head, ngrams, rows, bar) if number > 1 else 0.0
        for number, ngrams, rows in judged(texts, pieces, PIECES, head, vectors)
    ]
    return np.maximum(whole, parts)


def judged(
    texts: Sequence[str], cut: Callable[[str], list[str]], most: int, head: Classifier, vectors: Vectors
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Of each text: how many parts it has, and the n-grams and embeddings of those that are chosen."""
    plans, wanted = [], []
    for text in texts:
        found = cut(text)
        table = head.ngrams(found)
        chosen = choose(table.tolist(), most)
        plans.append((len(found), table[chosen], len(wanted)))
        wanted += [found[at] for at in chosen]
    rows = vectors(wanted)
    for number, table, at in plans:
        yield number, table, rows[at : at + len(table)]


def table(vectors: Vectors, *, chat: bool) -> list[str]:
    """The lines of the table.

    Args:
        vectors: texts to vectors.
        chat: also count on ShareGPT, which is fetched for it.
    """
    installed = card()
    head = Classifier((HEAD / "weights.npz").read_bytes(), installed.sha256)
    usual = threshold_for(RATE, installed.thresholds)
    loose = threshold_for(0.03, installed.thresholds)
    tests = [one for one in sets.load() if one.split == "test"]
    if chat:
        tests.append(sets.sharegpt())
    lines = [
        f"threshold {usual:.3f} (the default: {RATE:.1%} of what it was calibrated on), {loose:.3f} (3 %), and 0.5",
        "",
        "| set | texts | at the default | at 3 % | at 0.5 | area, recall at 1 % of its own |",
        "|---|--:|---|---|---|---|",
    ]
    for one in tests:
        labels, found = np.array(one.labels), scores(one.texts, head, vectors)
        name = f"{one.name} ({one.note})" if one.note else one.name
        doubtful = np.isin(np.arange(len(labels)), one.doubtful)
        parts = {name: np.ones(len(labels), bool)}
        if doubtful.any():
            parts |= {f"{name}, what is disputed": doubtful, f"{name}, the rest": ~doubtful}
        for part, some in parts.items():
            lines.append(_line(part, found[some], labels[some], (usual, loose, 0.5)))
    short = hidden.attacks(tests)
    alone = scores(tuple(short), head, vectors)
    lines.append(_line("the attacks below, alone", alone, np.ones(len(short)), (usual, loose, 0.5)))
    for size in hidden.SIZES:
        documents = hidden.documents(tests, size)
        texts = documents + [hidden.inserted(*pair) for pair in zip(documents, short, strict=True)]
        labels = np.repeat([0, 1], len(documents))
        found = scores(tuple(texts), head, vectors)
        lines.append(_line(f"one attack in {size:,} characters", found, labels, (usual, loose, 0.5)))
    return lines + _orders(tests, head, vectors, (usual, loose, 0.5))


def _orders(tests: list[sets.Set], head: Classifier, vectors: Vectors, bars: tuple[float, ...]) -> list[str]:
    """The lines about what tools answer agents: alone, and with an order in it, by how that is brought in."""
    results, goals = hidden.results(tests), hidden.goals()
    made = {"what tools answer": results} | {
        f"an order in it, {name.replace('_', ' ')}": [
            hidden.ordered(one, way, goals[at % len(goals)]) for at, one in enumerate(results)
        ]
        for name, way in hidden.ways().items()
    }
    return [
        _line(name, scores(tuple(texts), head, vectors), np.full(len(texts), int(texts is not results)), bars)
        for name, texts in made.items()
    ]


def _line(name: str, found: np.ndarray, labels: np.ndarray, bars: tuple[float, ...]) -> str:
    cells = [_cell(found >= bar, labels) for bar in bars]
    both = 0 < labels.sum() < len(labels)
    last = f"{area(found, labels)}; {recall_at(found, labels, 0.01)}" if both else ""
    return f"| {name} | {len(labels)} | {' | '.join(cells)} | {last} |"


def _cell(denied: np.ndarray, labels: np.ndarray) -> str:
    attacks, innocent = denied[labels == 1], denied[labels == 0]
    parts = []
    if len(attacks) and len(innocent):
        parts.append(f"accuracy {share(int((denied == (labels == 1)).sum()), len(labels))}")
    if len(attacks):
        parts.append(f"recall {share(int(attacks.sum()), len(attacks))}")
    if len(innocent):
        parts.append(f"false alarms {share(int(innocent.sum()), len(innocent))}")
    return "<br>".join(parts)

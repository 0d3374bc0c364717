"""The jailbreak guard on every test set: recall, false alarms, accuracy, area, with 95 % intervals.

Proves: what the head that is installed does on texts that it did not learn from, near copies removed, through the same
windows, n-grams and embeddings as in the gateway.
Does not prove: that an attacker who knows the guard cannot pass it, nor how it does on languages and attacks that
these sets lack; where a set says "a source not trained on", that figure is the one to trust.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import hidden
import msgspec
import numpy as np
import sets
from figures import area, recall_at, share
from vectors import Encoders

from archflow_plugins.guards.jailbreak import (
    HEAD,
    PIECES,
    RATE,
    JailbreakConfig,
    card,
    threshold_for,
)
from archflow_plugins.guards.pieces import pieces
from archflow_plugins.guards.windows import windows
from archflow_plugins.local_models.classifier import Classifier, choose, logit, probability


class Scores(msgspec.Struct):
    """What is known of some texts before a threshold decides which of them encoders are asked about.

    Attributes:
        alone: of each text the logit of its n-grams by themselves.
        whole: its score by windows, were all asked about.
        pieces: of each text of several pieces, of those chosen the logit of the n-grams, and the whole one.
    """

    alone: np.ndarray
    whole: np.ndarray
    pieces: list[tuple[np.ndarray, np.ndarray]]

    def at(self, threshold: float) -> np.ndarray:
        """The score of each text, as the guard has it at a threshold."""
        installed = card()
        bar = logit(threshold)
        plain = np.abs(self.alone - bar) > installed.margin
        found = np.where(plain, 1 / (1 + np.exp(-self.alone)), self.whole)
        for at, (alone, whole) in enumerate(self.pieces):
            asked = whole[alone - installed.pieces >= bar - installed.margin]
            if len(asked):
                found[at] = max(found[at], probability(float(asked.max()) - installed.pieces))
        return found

    def asked(self, threshold: float) -> np.ndarray:
        """Of which texts encoders are asked, about a window or a piece."""
        installed = card()
        bar = logit(threshold)
        doubtful = np.abs(self.alone - bar) <= installed.margin
        passed = np.where(doubtful, self.whole < threshold, self.alone < bar)
        pieces = [
            bool((alone - installed.pieces >= bar - installed.margin).any()) for alone, _ in self.pieces
        ]
        return doubtful | (passed & np.array(pieces))


def scores(texts: Sequence[str], head: Classifier, vectors: Encoders) -> Scores:
    """What the guard's scores of texts are made of, computed as it does."""
    whole = [
        head.judge(ngrams, rows, number) if number else 0.0
        for number, ngrams, rows in judged(texts, windows, JailbreakConfig().windows, head, vectors)
    ]
    parts = [
        (head.windows_alone(ngrams), head.windows(ngrams, head.network(rows)))
        if number > 1
        else (np.zeros(0), np.zeros(0))
        for number, ngrams, rows in judged(texts, pieces, PIECES, head, vectors)
    ]
    return Scores(np.array([alone(text, head) for text in texts]), np.array(whole), parts)


def alone(text: str, head: Classifier) -> float:
    """What the n-grams of a text say by themselves, as a logit; of an empty one that it is innocent."""
    found = windows(text)
    return head.alone(head.ngrams(found).tolist()) if found else -60.0


def judged(
    texts: Sequence[str], cut: Callable[[str], list[str]], most: int, head: Classifier, vectors: Encoders
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


def encoders() -> Encoders:
    """Those of the head that is installed."""
    return Encoders(*(one.name for one in card().encoders))


def table(*, chat: bool) -> list[str]:
    """The lines of the table.

    Args:
        chat: also count on ShareGPT, which is fetched for it.
    """
    installed, vectors = card(), encoders()
    head = Classifier((HEAD / "weights.npz").read_bytes(), installed.sha256)
    usual = threshold_for(RATE, installed.thresholds)
    loose = threshold_for(0.03, installed.thresholds)
    bars = (usual, loose, 0.5)

    def scored(texts: Sequence[str]) -> list[np.ndarray]:
        found = scores(texts, head, vectors)
        return [found.asked(usual), *(found.at(bar) for bar in bars)]

    tests = [one for one in sets.load() if one.split == "test"]
    if chat:
        tests.append(sets.sharegpt())
    lines = [
        f"threshold {usual:.3f} (the default: {RATE:.1%} of what it was calibrated on), {loose:.3f} (3 %), and 0.5",
        "",
        "| set | texts | encoders asked | at the default | at 3 % | at 0.5 | area, recall at 1 % of its own |",
        "|---|--:|--:|---|---|---|---|",
    ]
    for one in tests:
        labels, found = np.array(one.labels), scored(one.texts)
        name = f"{one.name} ({one.note})" if one.note else one.name
        doubtful = np.isin(np.arange(len(labels)), one.doubtful)
        parts = {name: np.ones(len(labels), bool)}
        if doubtful.any():
            parts |= {f"{name}, what is disputed": doubtful, f"{name}, the rest": ~doubtful}
        for part, some in parts.items():
            lines.append(_line(part, [one[some] for one in found], labels[some], bars))
    short = hidden.attacks(tests)
    lines.append(_line("the attacks below, alone", scored(short), np.ones(len(short)), bars))
    for size in hidden.SIZES:
        documents = hidden.documents(tests, size)
        texts = documents + [hidden.inserted(*pair) for pair in zip(documents, short, strict=True)]
        labels = np.repeat([0, 1], len(documents))
        lines.append(_line(f"one attack in {size:,} characters", scored(texts), labels, bars))
    return lines + _orders(tests, scored, bars)


def _orders(
    tests: list[sets.Set], scored: Callable[[Sequence[str]], list[np.ndarray]], bars: tuple[float, ...]
) -> list[str]:
    """The lines about what tools answer agents: alone, and with an order in it, by how that is brought in."""
    results, goals = hidden.results(tests), hidden.goals()
    made = {"what tools answer": results} | {
        f"an order in it, {name.replace('_', ' ')}": [
            hidden.ordered(one, way, goals[at % len(goals)]) for at, one in enumerate(results)
        ]
        for name, way in hidden.ways().items()
    }
    return [
        _line(name, scored(texts), np.full(len(texts), int(texts is not results)), bars)
        for name, texts in made.items()
    ]


def _line(name: str, found: list[np.ndarray], labels: np.ndarray, bars: tuple[float, ...]) -> str:
    """A line of the table: of which texts encoders were asked, and the scores at each bar."""
    asked, *scored = found
    cells = [_cell(one >= bar, labels) for one, bar in zip(scored, bars, strict=True)]
    both = 0 < labels.sum() < len(labels)
    last = f"{area(scored[0], labels)}; {recall_at(scored[0], labels, 0.01)}" if both else ""
    return f"| {name} | {len(labels)} | {asked.mean():.3f} | {' | '.join(cells)} | {last} |"


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

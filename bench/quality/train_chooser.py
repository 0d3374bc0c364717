"""Train the scorer that finds which option a conversation is about, and write its weights beside it.

    python bench/quality/train_chooser.py [--out FILE]

In three steps, each on the train part of `routes.py`: weights of the features by a softmax over each case's options;
how much earlier turns count; and the confidence, on cases that are right, cases that are wrong, and cases that no
option fits. Every task counts the same, however many cases it has.

Rule: nothing of a test split is looked at.
Rule: the same data gives the same weights, up to the order of additions in the linear algebra.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np
from routes import FIELDS, Case, Task, tasks
from scipy.optimize import minimize
from vectors import Vectors

from archflow_plugins.local_models.chooser.asked import asked
from archflow_plugins.local_models.chooser.features import FEATURES
from archflow_plugins.local_models.chooser.score import (
    CONFIDENCE,
    LEANING,
    WEIGHTS,
    Scorer,
    Weights,
    leaning,
    numbers,
)
from archflow_plugins.local_models.chooser.table import Table, pack, texts

RIDGE = 0.01
UNDESCRIBED = "OVOS, fine"
"""Options without a word of description are not learned from: a configuration must describe its options."""
SEVERAL = "BFCL parallel_multiple"
"""Only the bar for further options was chosen on it."""
LEAN = 0.0003
"""The ridge of what decides how much earlier turns count."""
SURE = 0.002
"""The ridge of the confidence."""


class Seen(msgspec.Struct, frozen=True):
    """A case as the scorer sees it.

    Attributes:
        newest, joined: features of the options that are compared.
        right: which of them are right; none where the case has no right option, or it was not compared.
    """

    newest: np.ndarray
    joined: np.ndarray | None
    leans: tuple[float, ...]
    options: int
    right: tuple[int, ...]
    fits: bool


class Tables:
    """A table for each offer of options, made once."""

    def __init__(self, vectors: Vectors) -> None:
        self.vectors = vectors
        self._made: dict[int, tuple[object, Table]] = {}

    def __call__(self, case: Case) -> Table:
        """The table of a case's options."""
        key = id(case.options)
        if key not in self._made:
            data = pack(case.options, self.vectors(texts(case.options)))
            self._made[key] = (case.options, Table(case.options, data, self.vectors.embedder.dimension))
        return self._made[key][1]

    def fill(self, every: Sequence[Task]) -> None:
        """Embed all at once what is not known yet."""
        offers = {id(case.options): case.options for task in every for case in task.cases}
        wanted = [text for options in offers.values() for text in texts(options)]
        wanted += [text for task in every for case in task.cases for text in asked(case.turns).texts]
        self.vectors(list(dict.fromkeys(text for text in wanted if text)))

    def seen(self, case: Case) -> Seen:
        """A case as the scorer sees it."""
        table, said = self(case), asked(case.turns)
        places, newest, joined = table.features(said, self.vectors(said.texts))
        right = tuple(at for at, place in enumerate(places) if table.options[place].name in case.right)
        return Seen(newest, joined, said.leans, len(case.options), right, bool(case.right))


def drifting(every: Sequence[Task]) -> list[Task]:
    """Conversations that turn to something else: their newest turn has nothing to do with those before it."""
    rng = random.Random(7)
    out = []
    for name in ("BFCL multi_turn, coarse", "BFCL multi_turn, fine"):
        cases = next(task.cases for task in every if (task.name, task.split) == (name, "train"))
        moved = [
            msgspec.structs.replace(one, turns=(rng.choice(cases).turns[-1], one.turns[-1]))
            for one in cases
            if len(one.turns) == 1
        ]
        out.append(Task(f"{name}, drifting", "train", tuple(moved)))
    for name in ("OVOS, coarse", "OVOS, coarse, 5 examples"):
        strange = f"{name}, out of scope"
        by_name = {(task.name, task.split): task for task in every}
        cases = by_name[name, "train"].cases
        others = by_name[strange, "train"].cases
        moved = [msgspec.structs.replace(one, turns=(*rng.choice(cases).turns, *one.turns)) for one in cases]
        lost = [msgspec.structs.replace(one, turns=(*rng.choice(cases).turns, *one.turns)) for one in others]
        out += [
            Task(f"{name}, drifting", "train", tuple(moved)),
            Task(f"{name}, drifting away", "train", tuple(lost)),
        ]
    return out


FOLLOWED = (
    (
        *(
            "{}",
            "and in {}?",
            "what about {}?",
            "and {}?",
            "how about {} instead?",
            "ok and {} then",
            "no, {}",
        ),
        *("{} please", "the same for {}"),
    ),
    (
        *(
            "and tomorrow?",
            "thanks, and next week?",
            "is that all?",
            "tell me more about it",
            "are you sure?",
        ),
        *(
            "say that again",
            "and the one after that?",
            "in celsius please",
            "can you do it again?",
            "why is that?",
        ),
        *("which one?", "the other one", "make it shorter"),
    ),
)
"""What people say when they go on: ours, and only learned from."""


def followed(every: Sequence[Task]) -> list[Task]:
    """Conversations that go on with the same: half sentences, with values or without."""
    rng = random.Random(8)
    values = [value for some in FIELDS.values() for value in some]
    out = []
    for name in ("OVOS, coarse", "OVOS, coarse, 5 examples"):
        cases = next(task.cases for task in every if (task.name, task.split) == (name, "train"))
        more = [
            msgspec.structs.replace(
                one, turns=(*one.turns, rng.choice(rng.choice(FOLLOWED)).format(rng.choice(values)))
            )
            for one in cases
        ]
        out.append(Task(f"{name}, followed", "train", tuple(more)))
    return out


def feature_weights(groups: Sequence[Sequence[Seen]], ridge: float = RIDGE) -> np.ndarray:
    """Weights by a softmax over options; what all options share falls out, so there is no bias."""
    rows, answers, counts = [], [], []
    for group in groups:
        for one in group:
            rows.append(one.newest - one.newest.mean(0))
            answers.append(list(one.right))
            counts.append(1 / len(group) / len(groups))
    scale = np.concatenate(rows).std(0) + 1e-6
    most, width = max(map(len, rows)), len(scale)
    padded, missing = np.zeros((len(rows), most, width)), np.full((len(rows), most), -1e9)
    wanted = np.zeros((len(rows), most))
    for at, one in enumerate(rows):
        padded[at, : len(one)], missing[at, : len(one)] = one / scale, 0
        wanted[at, answers[at]] = 1
    share = np.array(counts)

    def loss(tried: np.ndarray) -> tuple[float, np.ndarray]:
        scores = padded @ tried + missing
        chances = np.exp(scores - scores.max(1, keepdims=True))
        chances /= chances.sum(1, keepdims=True)
        hit = (chances * wanted).sum(1) + 1e-12
        slope = (chances - chances * wanted / hit[:, None]) * share[:, None]
        value = -float(share @ np.log(hit)) + ridge * float(tried @ tried)
        return value, np.einsum("nm,nmk->k", slope, padded) + 2 * ridge * tried

    return minimize(loss, np.zeros(width), jac=True, method="L-BFGS-B").x / scale  # type: ignore[no-any-return]


def leaning_weights(groups: Sequence[Sequence[Seen]], weights: np.ndarray) -> np.ndarray:
    """How much earlier turns count: numbers that make the right options likeliest."""
    held = [
        [
            (
                one.newest @ weights,
                one.joined @ weights,
                leaning(one.newest, one.newest @ weights, one.leans, one.options),
                list(one.right),
            )
            for one in group
        ]
        for group in groups
        for group in [[one for one in group if one.joined is not None]]
        if group
    ]

    def loss(tried: np.ndarray) -> float:
        total = LEAN * float(tried[1:] @ tried[1:])
        for group in held:
            worth = 0.0
            for newest, joined, leans, right in group:
                share = 1 / (1 + np.exp(-leans @ tried))
                scores = (1 - share) * newest + share * joined
                raised = np.exp(scores - scores.max())
                worth -= float(np.log(raised[right].sum() / raised.sum() + 1e-12))
            total += worth / len(group) / len(held)
        return total

    return minimize(loss, np.zeros(len(LEANING)), method="L-BFGS-B").x  # type: ignore[no-any-return]


def confidence_weights(groups: Sequence[Sequence[Seen]], scorer: Scorer, ridge: float = SURE) -> np.ndarray:
    """A logistic curve: how likely the best option is right, over all groups."""
    inputs, truths, counts = [], [], []
    for group in groups:
        for one in group:
            scored = scorer.score(one.newest, one.joined, one.leans, one.options)
            share = scorer.leans(one.newest, one.leans, one.options) if one.joined is not None else 0.0
            seen = one.newest[scored.best]
            if one.joined is not None:
                seen = (1 - share) * seen + share * one.joined[scored.best]
            inputs.append(numbers(scored.scores, scored.best, seen, share, one.options))
            truths.append(scored.best in one.right)
            counts.append(1 / len(group) / len(groups))
    table, truth, share_of = np.array(inputs), np.array(truths, float), np.array(counts)
    scale = table.std(0)
    scale[scale == 0] = 1.0

    def loss(tried: np.ndarray) -> tuple[float, np.ndarray]:
        power = table / scale @ tried
        value = float(share_of @ (np.logaddexp(0, power) - truth * power)) + ridge * float(
            tried[1:] @ tried[1:]
        )
        slope = (table / scale).T @ (share_of * (1 / (1 + np.exp(-power)) - truth)) + 2 * ridge * np.array(
            [0.0, *tried[1:]]
        )
        return value, slope

    return minimize(loss, np.zeros(len(CONFIDENCE)), jac=True, method="L-BFGS-B").x / scale  # type: ignore[no-any-return]


def train(groups: dict[str, list[Seen]]) -> Weights:
    """All three steps, from cases by task."""
    fitting = {name: [one for one in group if one.right] for name, group in groups.items()}
    fitting = {name: group for name, group in fitting.items() if group}
    weights = feature_weights(
        [
            group
            for name, group in fitting.items()
            if "drifting" not in name and "follow" not in name and "answers" not in name
        ]
    )
    leans = leaning_weights(list(fitting.values()), weights)

    def named(names: Sequence[str], values: np.ndarray) -> dict[str, float]:
        return {name: round(float(value), 4) for name, value in zip(names, values, strict=True)}

    found = Weights(
        features=named(FEATURES, weights),
        leaning=named(LEANING, leans),
        confidence=dict.fromkeys(CONFIDENCE, 0.0),
    )
    sure = confidence_weights(list(groups.values()), Scorer(found))
    return msgspec.structs.replace(found, confidence=named(CONFIDENCE, sure))


def groups_of(
    every: Sequence[Task], tables: Tables, wanted: Callable[[str], bool] = lambda _: True
) -> dict[str, list[Seen]]:
    """The train part as the scorer sees it, by task."""
    learned = [
        task
        for task in every
        if task.split == "train" and wanted(task.name) and not task.name.startswith((UNDESCRIBED, SEVERAL))
    ]
    return {task.name: [tables.seen(case) for case in task.cases] for task in learned if task.cases}


def main() -> None:
    """Train and write."""
    parser = argparse.ArgumentParser(description="Train the scorer of options.")
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    options = parser.parse_args()
    every = [*tasks(), *drifting(tasks()), *followed(tasks())]
    tables = Tables(Vectors())
    tables.fill([task for task in every if task.split == "train"])
    found = train(groups_of(every, tables))
    options.out.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n")


if __name__ == "__main__":
    main()

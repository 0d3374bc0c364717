"""Train the scorer that finds which option a conversation is about, and write its weights beside it.

    python bench/quality/train_chooser.py [--out FILE]

In three steps, each on the train part of `routes.py` and on `own_requests.py`: weights of the features by a softmax
over each case's options; how much earlier turns count; and the confidence, on cases that are right, cases that are
wrong, and cases that no option fits, among all options of a task and among few of them. Every task counts the same,
however many cases it has; for the confidence, every source counts the same as well. Before that, the backdrop is
embedded.

Rule: nothing of a test split is looked at.
Rule: the same data gives the same weights, up to the order of additions in the linear algebra.
"""

from __future__ import annotations

import argparse
import os
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as in the gateway; before anything imports numpy

import msgspec
import numpy as np
from own_requests import fewer, requests
from own_requests import subjects as asked_for
from routes import FIELDS, Case, Task, tasks
from scipy.optimize import minimize
from vectors import Vectors

from archflow_plugins.local_models.chooser import backdrop
from archflow_plugins.local_models.chooser.asked import asked
from archflow_plugins.local_models.chooser.backdrop import Backdrop, Ordinary
from archflow_plugins.local_models.chooser.compared import Compared, mixed
from archflow_plugins.local_models.chooser.features import FEATURES
from archflow_plugins.local_models.chooser.score import (
    CONFIDENCE,
    LEANING,
    WEIGHTS,
    Scorer,
    Weights,
)
from archflow_plugins.local_models.chooser.table import Table, pack, texts

RIDGE = 0.01
UNDESCRIBED = "OVOS, fine"
"""Options without a word of description are not learned from: a configuration must describe its options."""
SEVERAL = "BFCL parallel_multiple"
"""Only the bar for further options was chosen on it."""
TALK = "requests among 8"
"""Own requests that others are put before."""
LEAN = 0.003
"""The ridge of what decides how much earlier turns count."""
SURE = 0.02
"""The ridge of the confidence: strong, so that it holds for other options than those that it was learned from."""


class Seen(msgspec.Struct, frozen=True):
    """A case as the scorer sees it.

    Attributes:
        compared: the options that are compared.
        right: which of them are right; none where the case has no right option, or it was not compared.
    """

    compared: Compared
    right: tuple[int, ...]


def kept(vectors: np.ndarray) -> np.ndarray:
    """The vectors of the backdrop as they ship."""
    return vectors.astype(np.float16)


class Tables:
    """A table for each offer of options, made once."""

    def __init__(self, vectors: Vectors) -> None:
        self.vectors = vectors
        ordinary = Ordinary.read()
        self.backdrop = Backdrop(ordinary, kept(vectors(ordinary.texts)).astype(np.float32))
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
        places, compared = table.compared(said, self.vectors(said.texts), self.backdrop)
        right = tuple(at for at, place in enumerate(places) if table.options[place].name in case.right)
        return Seen(compared[0], right)


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
    by_name = {(task.name, task.split): task for task in every}
    for name in ("OVOS, coarse", "OVOS, coarse, 5 examples", TALK):
        cases = [one for one in by_name[name, "train"].cases if one.right]
        if name == TALK:
            others = [one for one in by_name[name, "train"].cases if not one.right]
        else:
            others = list(by_name[f"{name}, out of scope", "train"].cases)
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
    for name in ("OVOS, coarse", "OVOS, coarse, 5 examples", TALK):
        every_case = next(task.cases for task in every if (task.name, task.split) == (name, "train"))
        cases = [one for one in every_case if one.right]
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
            rows.append(one.compared.newest.options - one.compared.newest.options.mean(0))
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


def leaning_weights(groups: Sequence[Sequence[Seen]], scorer: Scorer) -> np.ndarray:
    """How much earlier turns count: numbers that make the right options likeliest."""
    held = [_held(some, scorer) for group in groups for some in [_with_turns_before(group)] if some]
    scale = np.concatenate([leans for _, _, _, leans in held]).std(0)
    scale[scale == 0] = 1.0

    def loss(tried: np.ndarray) -> float:
        total = LEAN * float(tried[1:] @ tried[1:])
        for newest, joined, right, leans in held:
            share = (1 / (1 + np.exp(-(leans / scale) @ tried)))[:, None]
            raised = np.exp((1 - share) * newest + share * joined)
            hit = (raised * right).sum(1) / raised.sum(1)
            total -= float(np.log(hit + 1e-12).mean()) / len(held)
        return total

    return minimize(loss, np.zeros(len(LEANING)), method="L-BFGS-B").x / scale  # type: ignore[no-any-return]


def _with_turns_before(group: Sequence[Seen]) -> list[Seen]:
    return [one for one in group if one.right and one.compared.joined is not None]


def _held(group: Sequence[Seen], scorer: Scorer) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Scores by the newest turn and by the turns together, which options are right, and what decides between them."""
    most = max(len(one.compared.newest.options) for one in group)
    newest, joined = np.full((len(group), most), -40.0), np.full((len(group), most), -40.0)
    right = np.zeros((len(group), most))
    for at, one in enumerate(group):
        assert one.compared.joined is not None
        for into, beside in ((newest, one.compared.newest), (joined, one.compared.joined)):
            scores = scorer.scores(beside)
            into[at, : len(scores)] = scores - scores.max()
        right[at, list(one.right)] = 1
    return newest, joined, right, np.array([scorer.leaning(one.compared) for one in group])


def confidence_weights(groups: dict[str, list[Seen]], scorer: Scorer, ridge: float = SURE) -> np.ndarray:
    """A logistic curve: how likely the best option is right. Every source counts the same, and in it every task."""
    sources = Counter(_source(name) for name in groups)
    inputs, truths, counts = [], [], []
    for name, group in groups.items():
        for one in group:
            beside = mixed(one.compared, scorer.leans(one.compared))
            inputs.append(scorer.numbers(one.compared, beside))
            truths.append(int(scorer.scores(beside).argmax()) in one.right)
            counts.append(1 / len(group) / sources[_source(name)] / len(sources))
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


def _source(task: str) -> str:
    return task.partition(" ")[0].rstrip(",")


def train(groups: dict[str, list[Seen]], before: Backdrop) -> Weights:
    """All three steps, from cases by task."""
    whole = {name: group for name, group in groups.items() if not name.endswith(" of them")}
    fitting = {
        name: [one for one in group if one.right and len(one.compared.newest.options) > 1]
        for name, group in whole.items()
        if not any(word in name for word in ("drifting", "follow", "answers"))
    }
    weights = feature_weights([group for group in fitting.values() if group])

    def named(names: Sequence[str], values: np.ndarray) -> dict[str, float]:
        return {name: round(float(value), 4) for name, value in zip(names, values, strict=True)}

    found = Weights(
        features=named(FEATURES, weights),
        leaning=dict.fromkeys(LEANING, 0.0),
        confidence=dict.fromkeys(CONFIDENCE, 0.0),
    )
    leans = leaning_weights(list(whole.values()), Scorer(found, before))
    found = msgspec.structs.replace(found, leaning=named(LEANING, leans))
    sure = confidence_weights(groups, Scorer(found, before))
    return msgspec.structs.replace(found, confidence=named(CONFIDENCE, sure))


def learned() -> list[Task]:
    """All that is learned from."""
    every = [*tasks(), *requests()]
    every += [*drifting(every), *followed(every)]
    every = [
        task
        for task in every
        if task.split == "train" and task.cases and not task.name.startswith((UNDESCRIBED, SEVERAL))
    ]
    elsewhere = sorted({
        *(case.turns[-1] for task in every for case in task.cases if len(case.turns) == 1),
        *(ask for one in asked_for().values() for ask in one.asks),
    })  # fmt: skip
    small = fewer([task for task in every if not task.name.startswith("requests among")], elsewhere)
    return [*every, *small]


def main() -> None:
    """Train and write."""
    parser = argparse.ArgumentParser(description="Train the scorer of options.")
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument("--backdrop", type=Path, default=backdrop.VECTORS)
    options = parser.parse_args()
    every, vectors = learned(), Vectors()
    tables = Tables(vectors)
    tables.fill(every)
    np.save(options.backdrop, kept(vectors(Ordinary.read().texts)))
    found = train({task.name: [tables.seen(case) for case in task.cases] for task in every}, tables.backdrop)
    options.out.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n")


if __name__ == "__main__":
    main()

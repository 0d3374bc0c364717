"""Train the trees that weigh free text for slots, and write their weights beside them.

    python bench/quality/train_slots.py              # 5 folds, measured, then all of it, written
    python bench/quality/train_slots.py --folds-only

They learn from the halves of BFCL's simple_python, live_simple and parallel that nothing is measured on, and from its
multiple, live_multiple, parallel_multiple, live_parallel, live_parallel_multiple and executable sets: from every
function that is asked for, without what resembles one of the measured halves, by name, by description or by request.
Each item teaches what is right, and once more, without each value that can be cut out, what is missing.

Folds keep functions of one family together, so that what is measured is what was never seen.

Rule: the same data gives the same weights, up to the order of additions.
"""

from __future__ import annotations

import argparse
import ast
import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
import slots as bench
import trio
from near import near as near_copies
from sets import share as number_of
from vectors import Vectors

from archflow_plugins.slot_fillers import nearness
from archflow_plugins.slots import dialogue, fill, targets
from archflow_plugins.slots.candidates.candidate import Candidate
from archflow_plugins.slots.candidates.finders import candidates
from archflow_plugins.slots.turn import Weighing, turn
from archflow_plugins.slots.weighing.features import FEATURES, Near, Scene, rows
from archflow_plugins.slots.weighing.trees import WEIGHTS, Tree, Trees, Weights
from archflow_plugins.testing import conversation
from archflow_schema.conversation import Conversation
from archflow_schema.slots import Filled, Intent, Question, Slot

HALVES = ("simple_python", "live_simple", "parallel")
WHOLE = ("multiple", "live_multiple", "parallel_multiple", "live_parallel", "live_parallel_multiple")
RUN = ("exec_simple", "exec_multiple", "exec_parallel", "exec_parallel_multiple")
MEASURED = ("simple_python", "live_simple", "multiple", "live_multiple")
ALIKE = 0.6
"""The likeness of descriptions or requests from which an item is left out."""
FOLDS = 5
FARTHEST = 1e9
"""Where a node parts what is known from what is not."""
TREES: dict[str, Any] = {
    "max_iter": 150,
    "learning_rate": 0.06,
    "max_leaf_nodes": 12,
    "min_samples_leaf": 30,
    "l2_regularization": 1.0,
    "early_stopping": False,
    "random_state": 0,
}


class Lesson(msgspec.Struct, frozen=True, kw_only=True):
    """A request for one function: what was said, the target, and the accepted values of each call."""

    id: str
    name: str
    asked: Conversation
    intent: Intent
    calls: list[dict[str, list[Any]]]
    held_out: bool

    @property
    def item(self) -> bench.Item:
        """The same as the bench has it."""
        return bench.Item(
            id=self.id, asked=self.asked, intent=self.intent, accepted=self.calls[0], held_out=self.held_out
        )

    @property
    def family(self) -> str:
        """What is in one fold: a function, or all of one service such as `Hotels_2_SearchHouse`."""
        service = re.match(r"([A-Z][a-z]+)_\d", self.intent.name)
        return service[1] if service else self.intent.name.casefold()


# What is learned from.


def lessons(name: str) -> list[Lesson]:
    """The requests of one set, one for each function that is called."""
    run = name in RUN
    folder = "unused_datasets/question/" if run else ""
    answers = {
        row["id"]: row.get("ground_truth")
        for row in bench._rows(f"{'unused_datasets/' if run else ''}possible_answer/BFCL_v4_{name}.json")
    }
    found = []
    for row in bench._rows(f"{folder}BFCL_v4_{name}.json"):
        calls: dict[str, list[dict[str, list[Any]]]] = {}
        for one in answers.get(row["id"]) or ():
            for function, values in (_run(one) if isinstance(one, str) else one).items():
                calls.setdefault(function, []).append(values)
        turns = [f"{one['role']}: {one['content']}" for one in row["question"][0]]
        offered = row["function"] if isinstance(row["function"], list) else [row["function"]]
        for function in offered:
            if function["name"] in calls:
                intent = Intent(
                    function["name"], function["description"], bench._slots(function["parameters"])
                )
                found.append(
                    Lesson(
                        id=row["id"],
                        name=name,
                        asked=conversation(*turns),
                        intent=intent,
                        calls=calls[function["name"]],
                        held_out=number_of(row["id"]) >= 0.5,
                    )
                )
    return found


def _run(call: str) -> dict[str, dict[str, list[Any]]]:
    """An executable answer, `f(a=1)`, as the other sets have it; nothing if it is no plain call."""
    node = ast.parse(call, mode="eval").body
    assert isinstance(node, ast.Call)
    try:
        return {
            ast.unparse(node.func): {
                one.arg: [ast.literal_eval(one.value)] for one in node.keywords if one.arg is not None
            }
        }
    except ValueError:
        return {}


def learnable() -> list[Lesson]:
    """What may be learned from: nothing of the measured halves, and nothing that resembles them."""
    halves = [one for name in HALVES for one in lessons(name)]
    measured = [one for one in halves if one.held_out]
    rest = [one for one in halves if not one.held_out]
    rest += [one for name in (*WHOLE, *RUN) for one in lessons(name)]
    names = {one.intent.name for one in measured}
    lost = near_copies([_described(one) for one in rest], [_described(one) for one in measured], ALIKE)
    lost |= near_copies(
        [one.asked.last_user_text for one in rest], [one.asked.last_user_text for one in measured], ALIKE
    )
    return [one for at, one in enumerate(rest) if at not in lost and one.intent.name not in names]


def _described(one: Lesson) -> str:
    told = " ".join(f"{slot.name} {slot.description}" for slot in one.intent.slots)
    return f"{one.intent.name.split('.')[-1]} {one.intent.description} {told}"


# What the trees see.


class Examples(msgspec.Struct, frozen=True):
    """The pieces of one lesson: numbers with and without nearness, and which pieces are right."""

    family: str
    near: np.ndarray
    bare: np.ndarray
    right: np.ndarray


def examples(every: Sequence[Lesson], vectors: Vectors) -> list[Examples]:
    """All pieces of all lessons, and of those from which a value was cut out."""
    found = []
    for one in every:
        target = fill.target(one.intent)
        versions = [("", one.asked.last_user_text)]
        if one.name in MEASURED:
            versions += [(gone, left.last_user_text) for gone, left in bench.cut(one.item)]
        for gone, text in versions:
            read = turn(text, bench.NOW)
            pieces = {place: candidates(want, read) for place, want in enumerate(target.wants)}
            near = _near(vectors, target, [text])
            pairs, numbers = rows(Scene(target.wants, read, pieces, target.about, near))
            _, bare = rows(Scene(target.wants, read, pieces, target.about, {}))
            if pairs:
                marks = _marks(one, target, pairs, gone)
                found.append(Examples(one.family, np.array(numbers), np.array(bare), np.array(marks)))
    return found


def _near(vectors: Vectors, target: fill.Target, texts: Sequence[str]) -> Near:
    told = list(dict.fromkeys(one for text in texts for one in nearness.phrases(turn(text, bench.NOW))))
    return nearness.near(told, vectors(told), vectors(nearness.told(target))) if told else {}


def _marks(one: Lesson, target: fill.Target, pairs: Sequence[tuple[int, Candidate]], gone: str) -> list[bool]:
    """Which pieces are right. `San Francisco` is, where `San Francisco, CA` is accepted and nobody said it."""
    exact = [_accepted(one, target.wants[place].slot, piece.value, gone) for place, piece in pairs]
    full = {place for (place, _), right in zip(pairs, exact, strict=True) if right}
    return [
        right
        or (place not in full and _accepted(one, target.wants[place].slot, piece.value, gone, part=True))
        for (place, piece), right in zip(pairs, exact, strict=True)
    ]


def _accepted(one: Lesson, slot: Slot, value: Any, gone: str, *, part: bool = False) -> bool:
    if slot.name == gone:
        return False
    for call in one.calls:
        accepted = call.get(slot.name, [""])
        if part:
            accepted = [each.split(",")[0] for each in accepted if isinstance(each, str) and "," in each]
        if bench.accepts([each for each in accepted if each != ""], value):
            return True
    return False


# Learning.


def train(every: Sequence[Examples]) -> Weights:
    """Trees that learned from examples; a family of many requests counts as the root of their number."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    sizes = Counter(one.family for one in every)
    numbers = np.concatenate([*(one.near for one in every), *(one.bare for one in every)])
    right = np.concatenate([one.right for one in every] * 2)
    weights = np.concatenate([np.full(len(one.right), sizes[one.family] ** -0.5) for one in every] * 2)
    model = HistGradientBoostingClassifier(**TREES).fit(numbers, right, sample_weight=weights)
    return Weights(
        FEATURES,
        float(model._baseline_prediction[0, 0]),
        tuple(_tree(one.nodes) for [one] in model._predictors),
    )


def _tree(nodes: np.ndarray) -> Tree:
    leaf = nodes["is_leaf"].astype(bool)
    return Tree(
        tuple(-1 if end else int(one) for end, one in zip(leaf, nodes["feature_idx"], strict=True)),
        tuple(
            round(float(value if end else min(at, FARTHEST)), 5)
            for end, value, at in zip(leaf, nodes["value"], nodes["num_threshold"], strict=True)
        ),
        tuple(map(int, nodes["left"])),
        tuple(map(int, nodes["right"])),
        tuple(map(int, nodes["missing_go_to_left"])),
    )


# Measuring.


def maker(vectors: Vectors | None, trees: Trees | None) -> bench.Maker:
    """Filling with the rules alone, with trees, or with trees that are told what is near."""

    def make(intent: Intent) -> bench.Fill:
        target = fill.target(intent)

        async def filled(asked: Conversation) -> Filled | Question:
            told = dialogue.read(asked, bench.NOW)
            if trees is not None:
                texts = [one.text for one in told.turns if one.same]
                near = {intent.name: _near(vectors, target, texts)} if vectors is not None else {}
                told.reader.weighing = Weighing(trees, near)
            chosen = targets.chosen(told, (intent.name,), {intent.name: target})
            return targets.outcome(targets.drafts(chosen, told), told)

        return filled

    return make


async def folds(every: Sequence[Lesson], told: Sequence[Examples], vectors: Vectors) -> None:
    """What trees are worth on functions that they did not learn from, beside the rules alone."""
    trained = [
        Trees(train([each for each in told if int(number_of(each.family) * FOLDS) != fold]))
        for fold in range(FOLDS)
    ]
    ways: list[tuple[str, Callable[[int], bench.Maker]]] = [
        ("rules", lambda _: maker(None, None)),
        ("and trees", lambda fold: maker(None, trained[fold])),
        ("and trees, told what is near", lambda fold: maker(vectors, trained[fold])),
    ]
    print("| set | filled by | items | right | slots | asked | wrong | invented |")
    print("|---|---|--:|---|---|--:|---|---|")
    for name in MEASURED:
        for way, made in ways:
            total, hits, cuts = bench.Tally(), 0, 0
            for fold in range(FOLDS):
                own = [
                    each.item
                    for each in every
                    if each.name == name and int(number_of(each.family) * FOLDS) == fold
                ]
                one = await bench.measure(own, made(fold))
                for field in ("items", "right", "required", "good", "asked", "filled", "wrong"):
                    setattr(total, field, getattr(total, field) + getattr(one, field))
                more, of = await bench.invented(own, made(fold))
                hits, cuts = hits + more, cuts + of
            print(
                f"| {name} | {way} | {total.items} | {bench.share(total.right, total.items)} "
                f"| {bench.share(total.good, total.required)} | {total.asked / total.required:.3f} "
                f"| {bench.share(total.wrong, total.filled)} | {bench.share(hits, cuts)} |",
                flush=True,
            )


def main() -> None:
    """Measure in folds, then train on everything and write."""
    parser = argparse.ArgumentParser(description="Train the trees that weigh free text for slots.")
    parser.add_argument("--folds-only", action="store_true", help="write nothing")
    options = parser.parse_args()
    vectors = Vectors()
    every = learnable()
    vectors(sorted({text for one in every for text in _texts(one)}))
    told = examples(every, vectors)
    print(f"{len(every)} requests for {len({one.intent.name for one in every})} functions,", end=" ")
    print(
        f"{sum(len(one.right) for one in told)} pieces, {sum(int(one.right.sum()) for one in told)} of them right"
    )
    trio.run(folds, every, told, vectors)
    if not options.folds_only:
        WEIGHTS.write_bytes(msgspec.json.encode(train(told)) + b"\n")


def _texts(one: Lesson) -> list[str]:
    """All that is embedded for one lesson, so that it is in one batch with the others."""
    said = [one.asked.last_user_text]
    if one.name in MEASURED:
        said += [left.last_user_text for _, left in bench.cut(one.item)]
    return [
        *(each for text in said for each in nearness.phrases(turn(text, bench.NOW))),
        *nearness.told(fill.target(one.intent)),
    ]


if __name__ == "__main__":
    main()

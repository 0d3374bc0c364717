"""What a conversation is about: the scorer that ships, beside plainer ways, on conversations that it has not seen.

Proves: how often the right one of many described options comes first, for options and sources that nothing was learned
from (Home Assistant and `assistants`: whole sources; BFCL: other functions and other conversations), with and without
examples; how often one option alone, or one of two, is chosen where it should be and nowhere else; how much of what is
nobody's business is left alone at the default threshold; whether the confidence is what it says; that a conversation
that turns to something else is followed; and how often two wishes in one turn are both seen.
Does not prove: anything about other languages than English, or about options that a user of this gateway describes; the
descriptions of Home Assistant's intents are this project's words, its sentences are made from the package's templates,
and turns without a call of BFCL's conversations are left out.

`embedding`: cosine with name and description, or the best example. `keyword`: shared rare words. `ranker`: the second
stage for functions, `local_models/ranker`, which has learned from all of BFCL's live_multiple and multiple, so that
its figures there are too good. `semantic-router`: the package, with the same vectors. `language model`: SmolLM2-135M,
held to the options' names, on every eighth case.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from assistants import assistants
from figures import area, share
from own_requests import fewer
from packages import folder
from routes import Case, Task, tasks
from train_chooser import Seen, Tables
from vectors import Vectors

from archflow_plugins.choosing.chooser import ALSO
from archflow_plugins.choosing.compiled import ROUTER_THRESHOLD, THRESHOLD
from archflow_plugins.local_models.chooser.asked import asked
from archflow_plugins.local_models.chooser.described import Rarity, words
from archflow_plugins.local_models.chooser.score import Scorer
from archflow_plugins.local_models.ranker import Candidate, Offer, Ranker, query_texts
from archflow_plugins.local_models.ranker.candidate import spoken, stems

FEW = ("BFCL multi_turn, coarse", "Home Assistant, coarse", "assistants")
"""Tasks from which offers of one option and of two are drawn."""
PEER = "ARCHFLOW_BENCH_SEMANTIC_ROUTER"
"""A Python that has semantic-router installed."""
Way = Callable[[Case], int]


def embedding(tables: Tables) -> Way:
    """The nearest description, or example."""

    def choose(case: Case) -> int:
        own = tables.vectors([case.turns[-1]])[0]
        best = []
        for option in case.options:
            said = [f"{spoken(option.name)}: {option.description}".strip(": "), *option.examples]
            best.append(float((tables.vectors(said) @ own).max()))
        return int(np.argmax(best))

    return choose


def keyword() -> Way:
    """The option that shares most rare words."""
    made: dict[int, tuple[object, Rarity, list[Any]]] = {}

    def choose(case: Case) -> int:
        key = id(case.options)
        if key not in made:
            made[key] = (case.options, Rarity(case.options), [words(one) for one in case.options])
        _, rarity, known = made[key]
        said = stems(case.turns[-1])
        return int(
            np.argmax([rarity.of(said & frozenset().union(one.described, *one.examples)) for one in known])
        )

    return choose


def ranker(tables: Tables) -> Way:
    """The ranker of functions, which takes no examples."""
    installed = Ranker.installed()
    made: dict[int, tuple[object, Offer]] = {}

    def choose(case: Case) -> int:
        key = id(case.options)
        if key not in made:
            made[key] = (
                case.options,
                Offer([Candidate(name=o.name, description=o.description) for o in case.options]),
            )
        offer = made[key][1]
        query = case.turns[-1]
        own = tables.vectors(query_texts(query))
        return int(installed.chances(offer, tables.vectors(offer.texts), query, own).argmax())

    return choose


def language_model(every: Sequence[Task]) -> dict[str, str]:
    """Task -> how often SmolLM2 names the right option, asked as the language model router asks."""
    import trio

    from archflow_plugins.local_models import constrain
    from archflow_plugins.local_models.cache import Cache
    from archflow_plugins.local_models.chat_template import Turn
    from archflow_plugins.local_models.generate import Generation
    from archflow_plugins.local_models.host import Host
    from archflow_plugins.local_models.sample import Sampling

    async def run() -> dict[str, str]:
        host, cache = await Host.current(), Cache()
        lane = await host.language_model(cache.ensure(cache.find("smollm2-135m-instruct")))
        out = {}
        for task in every:
            hits, some = 0, task.cases[::8]
            for case in some:
                listed = "\n".join(f"- {o.name}: {o.description}" for o in case.options)
                text = f"Routes:\n{listed}\n\nMessage: {case.turns[-1]}\n\nAnswer with the name of the route that fits."

                def make(model: Any, tell: Any, text: str = text, case: Case = case) -> Generation:
                    rule = constrain.choices([o.name for o in case.options], model.words)
                    return Generation(
                        model, model.prompt([Turn("user", text)]), Sampling(max_tokens=40), tell, rule
                    )

                said = ""
                with await lane.generate(make) as stream:
                    while pieces := await stream.next():
                        said += "".join(piece.text for piece in pieces)
                hits += said.strip() in case.right
            out[task.name] = f"{share(hits, len(some))} of {len(some)}"
        return out

    return trio.run(run)


def peer(every: Sequence[Task], tables: Tables) -> dict[str, list[str | None]]:
    """Task -> what semantic-router says to each case; empty if it is not installed."""
    python = os.environ.get(PEER)
    if not python:
        return {}
    asks, known = [], {}
    for task in every:
        routes = []
        for option in task.cases[0].options:
            said = [f"{spoken(option.name)}: {option.description}".strip(": "), *option.examples]
            routes.append([option.name, said])
            known.update(dict.fromkeys(said))
        said = [case.turns[-1] for case in task.cases]
        known.update(dict.fromkeys(said))
        asks.append({"routes": routes, "texts": said})
    path = folder() / "semantic-router.json"
    path.write_text(json.dumps({"known": list(known), "tasks": asks}))
    np.savez(folder() / "semantic-router.npz", rows=tables.vectors(list(known)))
    script = Path(__file__).with_name("peer_semantic_router.py")
    done = subprocess.run(
        [python, str(script), str(path), str(folder() / "semantic-router.npz")],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        print(f"semantic-router: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        return {}
    return {task.name: found for task, found in zip(every, json.loads(done.stdout), strict=True)}


def drifted(task: Task, seed: int = 3) -> Task:
    """The cases of a task, each after a turn about something else."""
    rng = random.Random(seed)
    out = []
    for case in task.cases:
        before = rng.choice([one for one in rng.sample(task.cases, 8) if one.right != case.right] or [case])
        out.append(msgspec.structs.replace(case, turns=(before.turns[-1], case.turns[-1])))
    return Task(f"{task.name}, after another topic", task.split, tuple(out))


def _fill(every: Sequence[Task], vectors: Vectors) -> None:
    """Embed at once what the other ways compare."""
    wanted: dict[str, None] = {}
    for options in {id(case.options): case.options for task in every for case in task.cases}.values():
        wanted.update(
            dict.fromkeys(Offer([Candidate(name=o.name, description=o.description) for o in options]).texts)
        )
        wanted.update(dict.fromkeys(f"{spoken(o.name)}: {o.description}".strip(": ") for o in options))
    for task in every:
        for case in task.cases:
            wanted.update(dict.fromkeys((case.turns[-1], *query_texts(case.turns[-1]))))
            if task.name in {"BFCL parallel_multiple", "BFCL live_multiple"}:
                wanted.update(dict.fromkeys(asked(case.turns, several=True).texts))
    vectors(list(wanted))


def _judge(scorer: Scorer, cases: Sequence[Seen]) -> tuple[np.ndarray, np.ndarray]:
    """Whether the best option of each case is right, and how sure the scorer is."""
    found = [scorer.score(one.compared) for one in cases]
    right = [one.best in case.right for one, case in zip(found, cases, strict=True)]
    return np.array(right), np.array([one.confidence for one in found])


def table(vectors: Vectors, *, model: bool = False) -> list[str]:
    """The lines of the tables."""
    tables, scorer = Tables(vectors), Scorer.installed()
    every = [task for task in (*tasks(), *assistants()) if task.split == "test"]
    plain = [task for task in every if task.cases[0].right and not task.cases[0].every]
    plain += [
        drifted(task) for task in plain if task.name in {"Home Assistant, coarse", "Home Assistant, fine"}
    ]
    elsewhere = sorted({case.turns[-1] for task in every for case in task.cases if len(case.turns) == 1})
    small = list(fewer([task for task in every if task.name in FEW], elsewhere, (1, 2)))
    tables.fill([*every, *plain, *small])
    _fill(every, vectors)
    ways: dict[str, Way] = {"keyword": keyword(), "embedding": embedding(tables), "ranker": ranker(tables)}
    fixed = [task for task in plain if not task.name.startswith(("BFCL multiple", "BFCL live"))]
    theirs = peer(fixed, tables)
    models = (
        language_model([task for task in fixed if task.name == "Home Assistant, coarse"]) if model else {}
    )
    heads = ("", "cases", "options", *ways, "semantic-router", "scorer", "kept and right", "kept and wrong")
    lines = [f"| {' | '.join(heads)} |", f"|---|{'--:|' * (len(heads) - 1)}"]
    rights, sures = [], []
    for task in plain:
        seen = [tables.seen(case) for case in task.cases]
        right, sure = _judge(scorer, seen)
        rights.append(right)
        sures.append(sure)
        rates = []
        for way in ways.values():
            hits = sum(case.options[way(case)].name in case.right for case in task.cases)
            rates.append(f"{hits / len(task.cases):.3f}")
        said = theirs.get(task.name)
        hits = sum(one in case.right for one, case in zip(said or [], task.cases, strict=False))
        rates.append(f"{hits / len(task.cases):.3f}" if said else "-")
        count = round(float(np.mean([len(case.options) for case in task.cases])))
        kept = sure >= THRESHOLD
        rates += [
            str(share(int(right.sum()), len(right))),
            f"{np.mean(kept & right):.3f}",
            f"{np.mean(kept & ~right):.3f}",
        ]
        lines.append(f"| {task.name} | {len(task.cases)} | {count} | {' | '.join(rates)} |")
    return [
        *lines,
        *(f"\nlanguage model, {name}: {text}" for name, text in models.items()),
        *_few(small, tables, scorer),
        *_strangers(every, plain, tables, scorer, rights, sures),
        *_several(every, tables, scorer),
    ]


def _few(small: Sequence[Task], tables: Tables, scorer: Scorer) -> list[str]:
    """Offers of one option and of two, which half of the cases are about."""
    heads = ("few options", "cases", "about one", "kept and right", "kept and wrong", "area")
    lines = ["", f"| {' | '.join(heads)} |", f"|---|{'--:|' * (len(heads) - 2)}---|"]
    for task in small:
        right, sure = _judge(scorer, [tables.seen(case) for case in task.cases])
        kept, about = sure >= ROUTER_THRESHOLD, np.mean([bool(case.right) for case in task.cases])
        figures = f"{about:.3f} | {np.mean(kept & right):.3f} | {np.mean(kept & ~right):.3f}"
        lines.append(f"| {task.name} | {len(right)} | {figures} | {area(sure, right.astype(float))} |")
    return lines


def _strangers(
    every: Sequence[Task],
    plain: Sequence[Task],
    tables: Tables,
    scorer: Scorer,
    rights: list[np.ndarray],
    sures: list[np.ndarray],
) -> list[str]:
    """What is nobody's business, and whether confidence is what it says."""
    lines = [
        "",
        "| nobody's business | cases | left alone | area against what is somebody's |",
        "|---|--:|---|---|",
    ]
    by_name = {task.name: sure for task, sure in zip(plain, sures, strict=True)}
    strange = [task for task in every if not task.cases[0].right]
    for task in strange:
        right, sure = _judge(scorer, [tables.seen(case) for case in task.cases])
        rights.append(right)
        sures.append(sure)
        inside = by_name[
            task.name.removesuffix(", out of scope").replace("live_irrelevance", "live_multiple")
        ]
        labels = np.concatenate([np.ones(len(inside)), np.zeros(len(sure))])
        left = share(int((sure < THRESHOLD).sum()), len(sure))
        lines.append(
            f"| {task.name} | {len(sure)} | {left} | {area(np.concatenate([inside, sure]), labels)} |"
        )
    right, sure = np.concatenate(rights), np.concatenate(sures)
    lines += ["", "| confidence | cases | right |", "|---|--:|---|"]
    for low in np.arange(0, 1, 0.1):
        held = (sure >= low) & (sure < low + 0.1)
        lines.append(
            f"| {low:.1f} to {low + 0.1:.1f} | {held.sum()} | {share(int(right[held].sum()), int(held.sum()))} |"
        )
    return lines


def _several(every: Sequence[Task], tables: Tables, scorer: Scorer) -> list[str]:
    """Two wishes in one turn, and one."""
    lines = [
        "",
        "| wishes in one turn | cases | all found, nothing else | all found | something else found |",
        "|---|--:|---|---|---|",
    ]
    for name in ("BFCL parallel_multiple", "BFCL live_multiple"):
        task = next(one for one in every if one.name == name)
        exact = whole = more = 0
        for case in task.cases:
            said = asked(case.turns, several=True)
            found = tables(case).find(scorer, said, tables.vectors(said.texts), ALSO)
            names = {case.options[at].name for at in (found.options[0], *(at for at, _ in found.also))}
            exact += names == case.right
            whole += names >= case.right
            more += not names <= case.right
        count = len(task.cases)
        lines.append(
            f"| {name} | {count} | {share(exact, count)} | {share(whole, count)} | {share(more, count)} |"
        )
    return lines

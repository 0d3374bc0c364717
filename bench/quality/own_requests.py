"""What people ask of assistants, and what those who route them write: the project's own words, only learned from.

Other sources are of tools and voice commands; a routing preference is described, and asked for, in other words. Offers
of 1 to 16 subjects are drawn from `own_requests.toml`; half of the cases are about one of them. `fewer` draws small
offers from other tasks, so that the confidence is learned for one option, for two and for four as well as for all.

Rule: nothing here is measured on, and no test has a sentence or a description of it.
"""

from __future__ import annotations

import random
import tomllib
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import msgspec
from routes import Case, Task

from archflow_plugins.contexts import Option

REQUESTS = Path(__file__).with_name("own_requests.toml")
SIZES = (1, 2, 4, 8, 16)
OFFERS = 60
ASKED = 10
"""Cases of an offer that are about one of its options, and as many that are not."""
FEW = (1, 2, 4)
CASES = 150
"""Cases of a task from which small offers of one size are drawn."""
INSIDE = 0.55
"""How many of them have the right option."""
NEAR = 0.5
"""How many of those that have not ask for another option of the task; the rest for something else entirely."""


class Subject(msgspec.Struct, frozen=True):
    """One subject: ways to describe it, and what people ask."""

    options: tuple[tuple[str, str], ...]
    asks: tuple[str, ...]


@cache
def subjects() -> dict[str, Subject]:
    """All of `own_requests.toml`."""
    return msgspec.convert(tomllib.loads(REQUESTS.read_text("utf-8")), dict[str, Subject])


def requests() -> Iterator[Task]:
    """Offers of subjects, small and large, and what is asked of them."""
    every, rng = subjects(), random.Random(1)
    for size in SIZES:
        if size == 1:
            offers = [{key: way} for key, one in every.items() for way in one.options]
        else:
            offers = [
                {key: rng.choice(every[key].options) for key in rng.sample(list(every), size)}
                for _ in range(OFFERS)
            ]
        cases: list[Case] = []
        for offer in offers:
            options = tuple(Option(name=name, description=text) for name, text in offer.values())
            inside = [(offer[key][0], ask) for key in offer for ask in every[key].asks]
            outside = [ask for key, one in every.items() if key not in offer for ask in one.asks]
            for name, ask in rng.sample(inside, min(ASKED, len(inside))):
                cases.append(Case((ask,), options, frozenset({name})))
            cases += [Case((ask,), options, frozenset()) for ask in rng.sample(outside, ASKED)]
        yield Task(f"requests among {size}", "train", tuple(cases))


def fewer(every: Sequence[Task], elsewhere: Sequence[str], sizes: Sequence[int] = FEW) -> Iterator[Task]:
    """Small offers drawn from those of each task, with the right option or without.

    Args:
        every: tasks of cases with one right option or several of which any is right.
        elsewhere: what people ask for that is about something else.
        sizes: of the offers.
    """
    rng = random.Random(2)
    for task in every:
        known = [one for one in task.cases if one.right]
        for size in sizes if known else ():
            drawn = [_drawn(one, size, elsewhere, rng) for one in rng.sample(known, min(CASES, len(known)))]
            cases = tuple(one for one in drawn if one is not None)
            if cases:
                yield Task(f"{task.name}, {size} of them", task.split, cases)


def _drawn(case: Case, size: int, elsewhere: Sequence[str], rng: random.Random) -> Case | None:
    right = [one for one in case.options if one.name in case.right]
    wrong = [one for one in case.options if one.name not in case.right]
    if rng.random() < INSIDE:
        kept = rng.choice(right)
        picked = [kept, *rng.sample(wrong, min(size - 1, len(wrong)))]
        rng.shuffle(picked)
        return msgspec.structs.replace(case, options=tuple(picked), right=frozenset({kept.name}))
    if rng.random() >= NEAR:
        picked = rng.sample(case.options, min(size, len(case.options)))
        return Case((rng.choice(elsewhere),), tuple(picked), frozenset())
    if not wrong:
        return None
    picked = rng.sample(wrong, min(size, len(wrong)))
    return msgspec.structs.replace(case, options=tuple(picked), right=frozenset())

"""Runs: pieces that are told one after the other, as a list or as several calls.

    "devices 1, 2 and 7"   "gbp and eur"   "Rome for 3 days and Oslo for 5"   "[200, 300, 400]"

Rule: commas alone make no several calls: `Berkeley, CA, USA` is one place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from archflow_plugins.slots.candidates.candidate import EXACT, Candidate
from archflow_plugins.slots.extract.lists import joined
from archflow_plugins.slots.turn import Turn
from archflow_plugins.slots.values import shaped
from archflow_plugins.slots.wants import Want
from archflow_plugins.slots.words import words

CALLS_AT_MOST = 16
ITEMS_AT_MOST = 64


def overlaps(one: Candidate, taken: Iterable[Candidate]) -> bool:
    return any(each.sole and each.start < one.end and one.start < each.end for each in taken)


def gathered(
    want: Want, turn: Turn, found: Sequence[Candidate], one: Candidate, taken: Sequence[Candidate]
) -> tuple[Any, ...]:
    """The value of a slot from its best piece on: with those that are joined to it."""
    if want.many:
        if given := bracketed(want, turn, {}, one):
            return given
        items = run_of(turn, found, one, taken, least=0.2)
        value = shaped(want.slot, [each.value for each in items])
        return () if value is None else (value,)
    if want.facet in {"boolean", "object", "message"} or "verbatim" in want.flags:
        return _given(want, [one])
    least = {"number": 0.3, "code": 0.3}.get(want.facet, 1.0) if want.facet in EXACT else -4.0
    run = run_of(turn, found, one, taken, least=min(one.score - 1.0, least))
    if not _enumerated(turn, run):
        return _given(want, [one])
    return _given(want, run)


_AND = re.compile(r"\b(?:and|or|plus|as well as)\b|&", re.IGNORECASE)


def _enumerated(turn: Turn, run: Sequence[Candidate]) -> bool:
    """Whether pieces are told as several: commas alone may part one place, `Berkeley, CA, USA`."""
    return len(run) > 1 and _AND.search(turn.text[run[-2].end : run[-1].start]) is not None


def _given(want: Want, pieces: Sequence[Candidate]) -> tuple[Any, ...]:
    found = [shaped(want.slot, each.value) for each in pieces[:CALLS_AT_MOST]]
    kept: list[Any] = []
    for each in found:
        if each is not None and each not in kept:
            kept.append(each)
    return tuple(kept)


def run_of(
    turn: Turn, found: Sequence[Candidate], one: Candidate, taken: Sequence[Candidate], least: float
) -> list[Candidate]:
    """A piece and those that are joined to it by commas and `and`, in order."""
    others = [
        each
        for each in found
        if each.score >= least
        and not overlaps(each, taken)
        and (each.end <= one.start or each.start >= one.end)
        and _alike(one, each)
    ]
    run = [one]
    for forward in (True, False):
        while len(run) < ITEMS_AT_MOST:
            edge = run[-1] if forward else run[0]
            joinable = [each for each in others if _next(turn, edge, each, forward=forward)]
            if not joinable:
                break
            best = _nearest(joinable, forward=forward)
            if forward:
                run.append(best)
            else:
                run.insert(0, best)
            others = [each for each in others if each.end <= best.start or each.start >= best.end]
    return run


def _nearest(joinable: Sequence[Candidate], *, forward: bool) -> Candidate:
    """The piece that comes next, in its longest form."""
    if forward:
        return min(joinable, key=lambda each: (each.start, -each.end))
    return max(joinable, key=lambda each: (each.end, -each.start))


def _alike(one: Candidate, each: Candidate) -> bool:
    """Whether two pieces can stand in one list: names with names, plain words with such as end there."""
    if one.shape in {"", "words", "sum"}:
        return each.shape in {"", "words", "sum"}
    return one.shape == each.shape or (each.shape == "end" and one.shape in {"plain", "end"})


def _next(turn: Turn, edge: Candidate, each: Candidate, *, forward: bool) -> bool:
    left, right = (edge, each) if forward else (each, edge)
    if left.end > right.start or right.start - left.end > 60:
        return False
    gap = list(turn.text[left.end : right.start])
    between = [(one.start, one.end) for one in turn.mentions]
    between += [(one.start, one.end) for one in turn.phrases if one.shape != "plain"]
    for start, end in between:
        # "Rome for 3 days and Oslo for 5": what another slot has of each does not part the two.
        if left.end <= start and end <= right.start:
            gap[start - left.end : end - left.end] = " " * (end - start)
    noun = words(turn.text[max(0, left.start - 30) : left.start])
    return joined("".join(gap).strip("'\"’”"), noun[-1].low if noun else "")


def bracketed(
    want: Want, turn: Turn, values: dict[int, tuple[Any, ...]], one: Candidate | None = None
) -> tuple[Any, ...]:
    """A list in brackets that fits, the one that lies around a piece if it is given."""
    used = [value for given in values.values() for value in given]
    for each in turn.lists:
        if one is not None and not (each.start <= one.start and one.end <= each.end):
            continue
        value = shaped(want.slot, each.value)
        if (
            value is not None
            and value not in used
            and not (want.slot.items == "str" and one is None and _numeric(each.value))
        ):
            return (value,)
    return ()


def _numeric(items: object) -> bool:
    return isinstance(items, tuple) and all(isinstance(one, int | float) for one in items)

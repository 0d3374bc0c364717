"""Runs: pieces that are told one after the other, as a list or as several calls.

    "devices 1, 2 and 7"   "gbp and eur"   "Rome for 3 days and Oslo for 5"   "[200, 300, 400]"

Rule: commas alone make no several calls: `Berkeley, CA, USA` is one place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from archflow_plugins.slots.candidates.candidate import EXACT, Candidate
from archflow_plugins.slots.extract.lists import GAP_AT_MOST, joined
from archflow_plugins.slots.turn import Turn
from archflow_plugins.slots.values import shaped
from archflow_plugins.slots.wants import Want

CALLS_AT_MOST = 16
ITEMS_AT_MOST = 64
NEIGHBOURS = 12
"""Pieces behind another one that are looked at."""


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
    if _enumerated(turn, run):
        return _given(want, run)
    again = repeated(want, [each for each in found if each.cued], one, taken, alike=0.6) if one.cued else ()
    return again if len(again) > 1 and want.facet in _AGAIN else _given(want, [one])


_AGAIN = frozenset({"number", "date", "code"})
"""What may be said several times for as many calls, each time with the slot's own words beside it."""


def repeated(
    want: Want, found: Sequence[Candidate], one: Candidate, taken: Sequence[Candidate], *, alike: float
) -> tuple[Any, ...]:
    """The pieces that fit a slot as well as its best one does, in order."""
    apart: list[Candidate] = []
    for each in sorted(found, key=lambda each: (each.start, -each.end)):
        if each.score < one.score - alike or not _alike(one, each) or overlaps(each, taken):
            continue
        if not apart or each.start >= apart[-1].end:
            apart.append(each)
    return _given(want, apart)


_AND = re.compile(r"\b(?:and|or|plus|as well as)\b|&", re.IGNORECASE)


def _enumerated(turn: Turn, run: Sequence[Candidate]) -> bool:
    """Whether pieces are told as several: commas alone may part one place, `Berkeley, CA, USA`."""
    return len(run) > 1 and _AND.search(turn.text[run[-2].end : run[-1].start]) is not None


def _given(want: Want, pieces: Sequence[Candidate]) -> tuple[Any, ...]:
    found = [shaped(want.slot, each.value) for each in pieces[:CALLS_AT_MOST]]
    return tuple(one for one in found if one is not None)


def run_of(
    turn: Turn, found: Sequence[Candidate], one: Candidate, taken: Sequence[Candidate], least: float
) -> list[Candidate]:
    """A piece and those that are joined to it by commas and `and`, in order."""
    others = sorted(
        (
            each
            for each in found
            if each.score >= least
            and (each.end <= one.start or each.start >= one.end)
            and _alike(one, each)
            and not overlaps(each, taken)
        ),
        key=lambda each: (each.start, -each.end),
    )
    run = [one]
    for forward in (True, False):
        while len(run) < ITEMS_AT_MOST:
            following = _following(turn, others, run[-1] if forward else run[0], forward=forward)
            if following is None:
                break
            run.insert(len(run) if forward else 0, following)
    return run


def _following(
    turn: Turn, others: Sequence[Candidate], edge: Candidate, *, forward: bool
) -> Candidate | None:
    """The nearest piece that is joined to the end of a run, in its longest form."""
    reach = [
        each
        for each in others
        if (
            0 <= each.start - edge.end <= GAP_AT_MOST
            if forward
            else 0 <= edge.start - each.end <= GAP_AT_MOST
        )
    ]
    reach.sort(key=lambda each: (each.start, -each.end) if forward else (-each.end, each.start))
    for each in reach[:NEIGHBOURS]:
        left, right = (edge, each) if forward else (each, edge)
        if _several(turn, left, right) or not _joins(turn, left.start, left.end, right.start):
            continue
        return each
    return None


def _several(turn: Turn, left: Candidate, right: Candidate) -> bool:
    """Whether the right one is itself a part of the list: `Oslo, Bergen` behind `Paris, `."""
    inside = turn.text[right.start : right.end]
    return "," in inside and "," in turn.text[left.end : right.start]


def _alike(one: Candidate, each: Candidate) -> bool:
    """Whether two pieces can stand in one list: names with names, plain words with such as end there."""
    if one.shape in {"", "words", "sum"}:
        return each.shape in {"", "words", "sum"}
    return one.shape == each.shape or (each.shape == "end" and one.shape in {"plain", "end"})


def _joins(turn: Turn, start: int, end: int, following: int) -> bool:
    """Whether what stands between two pieces, the first one from `start` to `end`, joins them."""
    gap = list(turn.text[end:following])
    for first, last in turn.between(end, following):
        # "Rome for 3 days and Oslo for 5": what another slot has of each does not part the two.
        gap[first - end : last - end] = " " * (last - first)
    return joined("".join(gap).strip("'\"’”"), turn.word_before(start))


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

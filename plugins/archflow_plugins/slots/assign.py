"""Which piece of a turn goes to which slot: the best pairs first, each piece once, what is left in order.

Rule: two slots that nothing tells apart get their pieces in order only where there are as many pieces as slots.
Rule: one slot that has several pieces of a list gets them all: as a list, or as several calls.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from archflow_plugins.slots.candidates.candidate import ENOUGH, EXACT, FREE, OPTIONAL, Candidate
from archflow_plugins.slots.candidates.finders import candidates
from archflow_plugins.slots.lexicon import listed, said
from archflow_plugins.slots.runs import bracketed, gathered, overlaps, repeated, run_of
from archflow_plugins.slots.turn import Turn
from archflow_plugins.slots.wants import Want
from archflow_plugins.slots.words import pieces, stems

Choose = Callable[[dict[int, list[Candidate]], dict[int, Candidate]], dict[int, Candidate]]


def assign(
    wants: Sequence[Want],
    turn: Turn,
    *,
    only: frozenset[int] | None = None,
    choose: Choose | None = None,
) -> dict[int, tuple[Any, ...]]:
    """What a turn gives the slots of one target: by the slot's place, one value, or several for as many calls.

    Args:
        wants: the slots of one target.
        turn: what was said.
        only: the places of the slots to fill; all of them unless given. The others keep their claim on pieces.
        choose: has the last word on which piece each slot gets, of all pieces and what the rules chose.
    """
    every = {place: candidates(want, turn) for place, want in enumerate(wants)}
    _prefer_lists(wants, turn, every)
    chosen = _best(wants, every)
    _in_order(wants, turn, every, chosen)
    if choose is not None:
        chosen = choose(every, chosen)
    values: dict[int, tuple[Any, ...]] = {}
    for place, one in chosen.items():
        others = [each for each in chosen.values() if each is not one]
        if given := gathered(wants[place], turn, every[place], one, others):
            values[place] = given
    _rounds(wants, every, chosen, values)
    for place, want in enumerate(wants):
        if want.many and place not in values and (given := bracketed(want, turn, values)):
            values[place] = given
    return {place: given for place, given in values.items() if only is None or place in only}


def _rounds(
    wants: Sequence[Want],
    every: dict[int, list[Candidate]],
    chosen: dict[int, Candidate],
    values: dict[int, tuple[Any, ...]],
) -> None:
    """Where one slot was said several times, the others may have been too: `Rome in 2019 and Paris in 2018`."""
    count = max((len(given) for given in values.values()), default=1)
    if count < 2:
        return
    for place, one in chosen.items():
        if place in values and len(values[place]) == 1 and not wants[place].many:
            others = [each for each in chosen.values() if each is not one]
            again = repeated(wants[place], every[place], one, others, alike=0.3)
            if len(again) == count:
                values[place] = again


def _least(want: Want) -> float:
    base = ENOUGH if want.facet in EXACT else ENOUGH + FREE
    return base if want.slot.required else base + OPTIONAL


def _best(wants: Sequence[Want], every: dict[int, list[Candidate]]) -> dict[int, Candidate]:
    """The best pairs, one after the other; at the same score the earlier slot gets the earlier piece."""
    pairs = sorted(
        (
            (place, one)
            for place, found in every.items()
            for one in found[:32]
            if one.score >= _least(wants[place]) and (one.cued or _alone(wants, place))
        ),
        key=lambda pair: (-pair[1].score, pair[0], pair[1].start, pair[1].start - pair[1].end),
    )
    chosen: dict[int, Candidate] = {}
    for place, one in pairs:
        if place not in chosen and not (one.sole and overlaps(one, chosen.values())):
            chosen[place] = one
    return chosen


def _alone(wants: Sequence[Want], place: int) -> bool:
    """Whether a piece needs no words around it to be this slot's: nobody else of its sort competes."""
    want = wants[place]
    if want.facet == "choice":
        return True
    if want.facet == "number":
        rivals = [
            other
            for other, each in enumerate(wants)
            if other != place and each.facet == "number" and (each.slot.required or not want.slot.required)
        ]
        return False if rivals else want.slot.required
    rivals = [
        other
        for other, each in enumerate(wants)
        if other != place and each.facet == want.facet and each.role == want.role and each.slot.required
    ]
    return not rivals


def _prefer_lists(wants: Sequence[Want], turn: Turn, every: dict[int, list[Candidate]]) -> None:
    """What is told one after the other belongs to a slot that takes a list, if there is one for it."""
    for place, want in enumerate(wants):
        if not want.many:
            continue
        spans: set[tuple[int, int]] = set()
        for one in every[place][:8]:
            if (one.start, one.end) not in spans and len(
                run := run_of(turn, every[place], one, (), least=-4.0)
            ) > 1:
                spans |= {(each.start, each.end) for each in run}
        if not spans:
            continue
        for other, found in every.items():
            change = 1.0 if other == place else -1.0 if not wants[other].many else 0.0
            every[other] = sorted(
                (_changed(one, change) if (one.start, one.end) in spans else one for one in found),
                key=lambda one: (-one.score, one.start, -one.end),
            )


def _changed(one: Candidate, change: float) -> Candidate:
    return msgspec.structs.replace(one, score=one.score + change)


_LEVELS = listed("assign.levels")


def _level(want: Want) -> int:
    """How large a place is: English tells the smaller one first."""
    return next((at for at, one in enumerate(_LEVELS) if one in pieces(want.slot.name)), 0)


def _twins(wants: Sequence[Want], open_: Sequence[int]) -> bool:
    """Whether slots are so alike that only their order tells them apart: `num1` and `num2`, `x` and `y`."""
    if len(open_) < 2:
        return True
    bare = {
        tuple(
            one
            for one in pieces(wants[place].slot.name)
            if len(one) > 1 and not one.isdigit() and one not in _COUNTING
        )
        for place in open_
    }
    if len(bare) == 1:
        return True
    told = [set(stems(wants[place].slot.description)) for place in open_]
    common = set.intersection(*told)
    return bool(common) and all(len(common) >= 0.6 * len(one) for one in told)


_COUNTING = said("assign.counting")


def _in_order(
    wants: Sequence[Want], turn: Turn, every: dict[int, list[Candidate]], chosen: dict[int, Candidate]
) -> None:
    """Required slots that nothing tells apart get the pieces that are left, in order, if there are as many."""
    for facet in dict.fromkeys(one.facet for one in wants):
        open_ = [
            place
            for place, want in enumerate(wants)
            if want.facet == facet and want.slot.required and place not in chosen and not want.many
        ]
        if facet == "place":
            open_.sort(key=lambda place: _level(wants[place]))
        elif not _twins(wants, open_):
            continue
        if not open_:
            continue
        least = 0.0 if facet in EXACT else 0.8 if len(open_) == 1 else 0.2
        marked = facet in EXACT or len(open_) > 1
        left = {
            (one.start, one.end): one
            for place in open_
            for one in every[place]
            if one.score > least
            and (marked or one.shape in {"quoted", "name"})
            and not overlaps(one, chosen.values())
        }
        spans = _apart(sorted(left)) if facet in EXACT else _widest(list(left))
        if len(spans) > len(open_):
            # "two notes of 440 Hz and 880 Hz": what is written out only counts the others.
            spans = [one for one in spans if left[one].shape != "words"]
        if len(spans) > len(open_) == 1 and facet not in EXACT:
            # "Lakers and Bulls": several for one slot, if they are told as one list.
            first = left[spans[0]]
            run = run_of(turn, list(left.values()), first, (), least=-4.0)
            spans = spans[:1] if len(run) == len(spans) else spans
        if len(spans) != len(open_):
            continue
        for place, span in zip(open_, spans, strict=True):
            fitting = next((one for one in every[place] if (one.start, one.end) == span), None)
            if fitting is not None:
                chosen[place] = fitting


def _apart(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    kept: list[tuple[int, int]] = []
    for span in spans:
        if not kept or span[0] >= kept[-1][1]:
            kept.append(span)
    return kept


def _widest(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    kept: list[tuple[int, int]] = []
    for span in sorted(spans, key=lambda one: one[0] - one[1]):
        if all(span[1] <= other[0] or span[0] >= other[1] for other in kept):
            kept.append(span)
    return sorted(kept)

"""Numbers as candidates: by the words, the units and the signs that they were told with."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from archflow_plugins.slots.candidates.candidate import Candidate
from archflow_plugins.slots.candidates.cues import cue_of, role_of, spans
from archflow_plugins.slots.extract.units import convert, dimension
from archflow_plugins.slots.lexicon import said
from archflow_plugins.slots.mention import Mention
from archflow_plugins.slots.turn import Turn
from archflow_plugins.slots.wants import Want
from archflow_plugins.slots.words import pieces, stem

_TIMES = frozenset({"tim", "dur", "period", "term"})
"""Stems of names that a span of time fits."""
_COUNTING = said("counted.before")


def numbers(want: Want, turn: Turn) -> Iterator[Candidate]:
    """Numbers, and the years, months and hours of dates."""
    told = [one for one in turn.mentions if one.sort in {"number", "date", "time", "moment"}]
    others = spans(tuple(told))
    for one in told:
        if one.sort != "number":
            yield from _parts(want, one)
            continue
        measured = _measured(want, turn, one)
        if measured is None:
            continue
        value, more, sure = measured
        cue = cue_of(want, turn, one.start, one.end, others)
        score = 0.6 + cue + more + role_of(want, turn, one.start, one.role)
        cue += sure
        if any(each.start <= one.start and one.end <= each.end for each in turn.lists) and not want.many:
            score -= 0.6
        if one.shape == "words" and cue < 1 and value in {1, 2}:
            # "the other two sides": mostly no value.
            score -= 0.4
        if "probability" in want.flags and not 0 <= value <= 1:
            score -= 2.5
        if not one.unit and "count" in want.flags and turn.word_before(one.start) in _COUNTING:
            score, cue = score + 0.9, cue + 0.9
        yearlike = not one.shape and not one.unit and isinstance(one.value, int) and 1000 <= one.value <= 2999
        if "year" in want.flags:
            score, cue = score + (2.0 if yearlike else -3.0), cue + yearlike
        elif yearlike and turn.word_before(one.start) in {"in", "since", "of", "year"} and cue < 1:
            score -= 1.5
        if one.shape == "ordinal" and cue < 1:
            score -= 1.0
        yield Candidate(
            start=one.start, end=one.end, value=value, score=score, cued=cue >= 1, shape=one.shape
        )


def _measured(want: Want, turn: Turn, one: Mention) -> tuple[float, float, float] | None:
    """A number in the slot's unit, and what its unit adds to score and cue; None if it measures something else."""
    value = one.value
    assert isinstance(value, int | float)  # noqa: S101 - numbers are
    kind = want.slot.items if want.many else want.slot.type
    if one.unit == "%":
        if kind == "float" and "percent" not in want.flags and want.flags & {"share", "decimal"}:
            value = _hundredth(value)
        return (value, 1.5, 1.0) if want.flags & {"share", "percent", "decimal"} else (value, -0.8, 0.0)
    if len(one.unit) == 3 and one.unit.isupper():
        fits = "money" in want.flags or "dollar" in want.hints
        return (value, 1.5, 1.0) if fits else (value, -0.3, 0.0)
    if want.unit == "k" and turn.text[one.end - 1] == "K" and isinstance(value, int):
        # "298K" are kelvins here, no thousands.
        return value // 1000, 2.0, 1.0
    if one.unit and want.unit:
        changed = convert(value, one.unit, want.unit)
        if changed is not None:
            return changed, 2.0, 1.0
        return None if dimension(one.unit) == dimension(want.unit) else (value, -2.0, 0.0)
    if dimension(one.unit) in {"time", "months"} and _TIMES.intersection(want.names):
        return value, 1.5, 1.0
    return (value, 2.0, 1.0) if one.unit and _unit_named(want, turn, one) else (value, 0.0, 0.0)


def _hundredth(value: float) -> float:
    return float(Decimal(str(value)) / 100)


def _unit_named(want: Want, turn: Turn, one: Mention) -> bool:
    """Whether the slot's words name the unit that a number was told with: `days` for `10 days`."""
    told = [stem(word.low) for word in turn.words if one.start <= word.start < one.end]
    return any(each in want.names or want.hints.get(each) for each in told)


def _parts(want: Want, one: Mention) -> Iterator[Candidate]:
    """A year, a month or an hour of a date."""
    told = pieces(want.slot.name)
    if not told or "per" in told or told[-1] not in want.flags or one.shape in {"relative", "week", "year"}:
        return
    for part in sorted(want.flags & {"year", "month", "day", "hour", "hours", "minute", "minutes"}):
        value = getattr(one.value, part.removesuffix("s"), None)
        if isinstance(value, int) and not (one.shape == "month" and part == "day"):
            yield Candidate(start=one.start, end=one.end, value=value, score=2.5, cued=True, sole=False)

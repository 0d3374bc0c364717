"""What has a form of its own as candidates: currencies, dates, times, addresses, codes, choices, yes and no."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime, time
from typing import Any

from msgspec.structs import replace

from archflow_plugins.slots.candidates.candidate import Candidate
from archflow_plugins.slots.candidates.cues import Spans, cue_of, end_of, role_of, spans
from archflow_plugins.slots.extract import choices, polarity
from archflow_plugins.slots.extract.phrases import Phrase
from archflow_plugins.slots.formats import write
from archflow_plugins.slots.lexicon import said
from archflow_plugins.slots.mention import Mention, Sort
from archflow_plugins.slots.turn import Turn
from archflow_plugins.slots.values import truth
from archflow_plugins.slots.wants import Want
from archflow_plugins.slots.words import STOP, stems

_GIVEN = 1.0
"""What a currency lacks that its target names as given: it is meant only where no other is."""


def currencies(want: Want, turn: Turn) -> Iterator[Candidate]:
    """Currencies, told apart by what is given and what is got."""
    stops = spans(turn.currencies)
    for one in turn.currencies:
        lacks = _GIVEN if one.value == want.given else 0.0
        yield _told(want, turn, one, one.value, stops, lacks=lacks, side=_side(turn, one))


def _side(turn: Turn, one: Mention) -> str:
    """Which side of an exchange a currency is on: what is counted is given, what is asked after is got."""
    if (end := end_of(turn, one.start)) or one.start == 0:
        return end
    before = turn.text[: one.start].rstrip()
    if before[-1:].isdigit() or turn.text[one.end : one.end + 1].isdigit():
        return "low"
    return "high" if before.casefold().endswith(("how many", "how much")) else ""


def dates(want: Want, turn: Turn) -> Iterator[Candidate]:
    """Dates, with a time where the slot wants one, as its format has them."""
    told = tuple(one for one in turn.mentions if one.sort in {"date", "moment", "time"})
    stops = spans(told)
    days = [one for one in told if one.sort != "time"]
    for one in told:
        value = one.value
        if one.sort == "time":
            if "clock" not in want.flags or not days or not isinstance(value, time):
                continue
            nearest = min(days, key=lambda each: abs(each.start - one.start))
            day = nearest.value
            assert isinstance(day, date)  # noqa: S101 - dates and moments are
            value = datetime(day.year, day.month, day.day, value.hour, value.minute, value.second)  # noqa: DTZ001
        if one.shape in {"month", "week", "year"} and want.pattern and "%d" in want.pattern:
            continue
        vague = {"month": 0.3, "week": 1.0, "year": 1.0}.get(one.shape, 0.0)
        if isinstance(value, datetime) and want.pattern == "" and "clock" not in want.flags:
            value = value.date()
        if not isinstance(value, date):
            continue
        written = (
            _as_told(turn, one) if one.shape == "month" and not want.pattern else write(value, want.pattern)
        )
        if written is None:
            continue
        yield _told(want, turn, one, written, stops, lacks=vague)


def times(want: Want, turn: Turn) -> Iterator[Candidate]:
    """Times of day, as the slot's format has them."""
    told = tuple(one for one in turn.mentions if one.sort in {"time", "moment"})
    stops = spans(told)
    for one in told:
        value = one.value.time() if isinstance(one.value, datetime) else one.value
        written = write(value, want.pattern) if isinstance(value, time) else None
        if written is not None:
            told_ = _told(want, turn, one, written, stops)
            # "on 3 May at 7 pm" is the date of one slot and the time of another.
            yield replace(told_, sole=one.sort == "time")


def _told(
    want: Want, turn: Turn, one: Mention, value: Any, stops: Spans, *, lacks: float = 0.0, side: str = ""
) -> Candidate:
    """A mention of the sort that a slot wants, by what is said around it; `side` as `role_of` takes it."""
    cue = cue_of(want, turn, one.start, one.end, stops)
    return Candidate(
        start=one.start,
        end=one.end,
        value=value,
        score=2.0 + 0.5 * cue + role_of(want, turn, one.start, side) - lacks,
        cued=cue >= 1.0,
    )


def _as_told(turn: Turn, one: Mention) -> str:
    """A month as it was said, without the little word before it."""
    return turn.text[one.start : one.end].strip()


def of_sort(sort: Sort) -> Callable[[Want, Turn], Iterator[Candidate]]:
    """A finder for mentions of one sort."""

    def find(want: Want, turn: Turn) -> Iterator[Candidate]:
        told = tuple(one for one in turn.mentions if one.sort == sort)
        stops = spans(told)
        for one in told:
            yield _told(want, turn, one, one.value, stops)

    return find


def phones(want: Want, turn: Turn) -> Iterator[Candidate]:
    """Telephone numbers; a plain number that is as long as one will do."""
    yield from of_sort("phone")(want, turn)
    for one in turn.mentions:
        told = turn.text[one.start : one.end].strip()
        if one.sort == "number" and told.lstrip("+").isdigit() and 7 <= len(told.lstrip("+")) <= 15:
            yield Candidate(start=one.start, end=one.end, value=told, score=1.5)


def codes(want: Want, turn: Turn) -> Iterator[Candidate]:
    """Ids, serial numbers and the like, and what stands in capitals or quotes beside the slot's name."""
    told = tuple(one for one in turn.mentions if one.sort in {"code", "number"})
    stops = spans(told)
    letters = _shape(want.slot.format)
    for one in told:
        value = turn.text[one.start : one.end].strip() if one.sort == "number" else str(one.value)
        if one.sort == "number" and not value.replace("-", "").isdigit():
            continue
        cue = cue_of(want, turn, one.start, one.end, stops)
        score = (1.4 if one.sort == "code" else 0.4) + cue
        if letters:
            score += 2.0 if _shape(value) == letters else -1.0
        if one.shape in {"uuid", "ip", "mac", "ipv6"}:
            score += 1.0 if one.shape[:2] in f"{want.slot.format} {want.slot.name}".casefold() else -0.5
        yield Candidate(start=one.start, end=one.end, value=value, score=score, cued=cue >= 1)
    for phrase in turn.phrases:
        # "project with UUID SUPERFANCY", "project id badae": no digit, but marked.
        bare = phrase.text
        if (
            " " in bare
            or len(bare) < 2
            or not (bare.isupper() or phrase.shape == "quoted" or _labelled(phrase))
        ):
            continue
        if bare.casefold() in _LABELS or all(
            each in want.names or each in want.hints for each in stems(bare)
        ):
            continue
        cue = cue_of(want, turn, phrase.start, phrase.end)
        if cue >= 1.5 or phrase.mark:
            yield Candidate(start=phrase.start, end=phrase.end, value=bare, score=0.6 + 0.8 * cue, cued=True)


_LABELS = said("codes.labels")


def _labelled(phrase: Phrase) -> bool:
    """Whether a word stands right behind what labels a code: `id badae`, `serial number is badae`."""
    before = phrase.before[1:] if phrase.before[:1] == ("is",) else phrase.before
    return before[:1] != () and before[0] in _LABELS and phrase.text.casefold() not in STOP


def _shape(text: str) -> str:
    """The shape of a code: `AB-123` gives `AA-000`; empty for a format that is told in words."""
    if not text or " " in text or len(text) > 64 or not any(map(str.isdigit, text)):
        return ""
    return "".join("0" if one.isdigit() else "A" if one.isalpha() else one for one in text)


def options(want: Want, turn: Turn) -> Iterator[Candidate]:
    """Options of an enum."""
    numeric = {one: value for value, told in want.options for one in told if str(value).isdigit()}
    if numeric:
        for one in turn.mentions:
            if one.sort == "number" and str(one.value) in numeric:
                cue = cue_of(want, turn, one.start, one.end)
                yield Candidate(
                    start=one.start,
                    end=one.end,
                    value=numeric[str(one.value)],
                    score=0.8 + cue,
                    cued=cue >= 1,
                )
        if len(numeric) == len(want.options):
            return
    told = choices.choices(turn.text, turn.words, want.options)
    stops = tuple((one.start, one.end) for one in told)
    for each in told:
        cue = cue_of(want, turn, each.start, each.end, stops)
        yield Candidate(
            start=each.start,
            end=each.end,
            value=each.value,
            score=1.2 + 1.3 * each.sure + 0.4 * cue + role_of(want, turn, each.start),
            cued=cue >= 1,
        )


def booleans(want: Want, turn: Turn) -> Iterator[Candidate]:
    """Yes or no, by what the turn says about what the slot is about; as the slot's own words for it."""
    about = polarity.telling(want.names, want.hints)
    paid = polarity.polarity(turn.text, turn.words, polarity.PAID) if polarity.FREE in about else None
    found = polarity.polarity(turn.text, turn.words, about & {polarity.FREE} or about)
    if paid is not None:
        # "no entry fee" is free entry.
        found = (not paid[0], paid[1], paid[2])
    if found is not None:
        value, start, end = found
        yield Candidate(
            start=start, end=end, value=truth(want.slot, said=value), score=2.0, cued=True, sole=False
        )

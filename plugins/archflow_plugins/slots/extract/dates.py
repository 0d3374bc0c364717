"""Dates and times of day: written in full, in short, in words, and relative to now.

    2024-05-03   03/05/2024   May 3rd   3 May 2024   May 2024   tomorrow   next friday   in 3 days   5 days ago
    15:30   3 pm   noon   half past seven   at 3 in the afternoon

Rule: now is handed in. A date without a year is the next one that comes.
Rule: what no calendar has, such as 31 June, is no date.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta

from archflow_plugins.slots.lexicon import listed
from archflow_plugins.slots.mention import MOST, Mention, Sort, Value

MONTHS = {name.casefold(): number for number, name in enumerate(calendar.month_name) if name}
_MONTH = {**MONTHS, **{name[:3]: number for name, number in MONTHS.items()}, "sept": 9}
DAYS = {name.casefold(): number for number, name in enumerate(calendar.day_name)}
_DAY = {
    **DAYS,
    **{name[:3]: number for name, number in DAYS.items()},
    "tues": 1,
    "thur": 3,
    "thurs": 3,
}
_M = "(?P<m>" + "|".join(sorted(_MONTH, key=len, reverse=True)) + r")\b\.?"
_D = r"(?P<d>\d{1,2})(?:st|nd|rd|th)?"
_Y = r"(?P<y>(?:1[0-9]|2[0-9])\d\d)"
_W = "(?P<w>" + "|".join(sorted(_DAY, key=len, reverse=True)) + ")"
_SMALL = {word: number for number, word in enumerate(listed("dates.small"))}
_SMALL |= {"a": 1, "an": 1, "couple": 2, "a couple of": 2}
_N = r"(?P<n>\d{1,4}|an?|one|two|three|four|five|six|seven|eight|nine|ten)"
_UNIT = r"(?P<u>day|week|fortnight|month|year|hour|minute)s?"
_PAST = re.compile(
    r"\b(?:last|was|were|did|ago|happened|since|history|historical|released|born|past)\b", re.IGNORECASE
)


def _rx(pattern: str, marks: str = "/.:-") -> re.Pattern[str]:
    """A pattern that stands for itself: no letter, and none of some marks, before it."""
    return re.compile(rf"(?<![\w{marks}])(?:{pattern})(?![\w])", re.IGNORECASE)


class _Now:
    """The moment that relative dates are relative to, and how short dates are read."""

    def __init__(self, now: datetime, text: str, *, day_first: bool) -> None:
        self.now = now
        self.today = now.date()
        self.day_first = day_first
        self.past = _PAST.search(text) is not None


_Found = tuple[Sort, Value, str] | None
_Rule = Callable[[re.Match[str], _Now], _Found]


def _whole(one: re.Match[str], _: _Now) -> _Found:
    return _of(int(one["y"]), int(one["mm"]), int(one["d"]))


def _of(year: int, month: int, day: int, shape: str = "") -> _Found:
    try:
        return ("date", date(year, month, day), shape)
    except ValueError:
        return None


def _short(one: re.Match[str], now: _Now) -> _Found:
    first, second, year = int(one["a"]), int(one["b"]), int(one["y"])
    if len(one["y"]) == 2:
        year += 2000 if year < 70 else 1900
    day_first = now.day_first or one["sep"] == "."
    if first > 12 or (day_first and second <= 12):
        return _of(year, second, first, "short")
    return _of(year, first, second, "short")


def _named(one: re.Match[str], now: _Now) -> _Found:
    month, day = _MONTH[one["m"].casefold()], int(one["d"])
    if one["y"]:
        return _of(int(one["y"]), month, day)
    found = _of(now.today.year, month, day, "yearless")
    if found is None:
        return _of(now.today.year + 1, month, day, "yearless")
    value = found[1]
    if not now.past and isinstance(value, date) and value < now.today:
        return _of(now.today.year + 1, month, day, "yearless") or found
    if now.past and isinstance(value, date) and value > now.today:
        return _of(now.today.year - 1, month, day, "yearless") or found
    return found


def _month(one: re.Match[str], _: _Now) -> _Found:
    return _of(int(one["y"]), _MONTH[one["m"].casefold()], 1, "month")


def _bare_month(one: re.Match[str], now: _Now) -> _Found:
    month = _MONTH[one["m"].casefold()]
    return _of(now.today.year + (month < now.today.month and not now.past), month, 1, "month")


_NAMES = {
    "day after tomorrow": 2,
    "day before yesterday": -2,
    "tomorrow": 1,
    "tonight": 0,
    "today": 0,
    "yesterday": -1,
}


def _day(one: re.Match[str], now: _Now) -> _Found:
    return _shifted(now.today, "day", _NAMES[one["name"].casefold()], "relative")


def _weekday(one: re.Match[str], now: _Now) -> _Found:
    which, wanted = (one["which"] or "").casefold(), _DAY[one["w"].casefold()]
    ahead = (wanted - now.today.weekday()) % 7
    if which in {"last", "past"}:
        ahead -= 7
    elif ahead == 0 and which == "next":
        ahead = 7
    return _shifted(now.today, "day", ahead, "weekday")


def _relative(one: re.Match[str], now: _Now) -> _Found:
    number = one["n"].casefold()
    count = int(number) if number.isdigit() else _SMALL[number]
    return _moved(now, one["u"].casefold(), -count if "ago" in one.groupdict() else count)


def _moved(now: _Now, unit: str, count: int) -> _Found:
    if unit in {"hour", "minute"}:
        moved = now.now + timedelta(**{f"{unit}s": count})
        return ("moment", moved.replace(tzinfo=None, second=0, microsecond=0), "relative")
    return _shifted(now.today, unit, count, "relative")


def _shifted(day: date, unit: str, count: int, shape: str) -> _Found:
    try:
        if unit in {"month", "year"}:
            months = day.year * 12 + day.month - 1 + count * (12 if unit == "year" else 1)
            year, month = divmod(months, 12)
            last = calendar.monthrange(year, month + 1)[1]
            return ("date", date(year, month + 1, min(day.day, last)), shape)
        return ("date", day + timedelta(days=count * {"day": 1, "week": 7, "fortnight": 14}[unit]), shape)
    except (ValueError, OverflowError, IndexError):
        return None


def _next(one: re.Match[str], now: _Now) -> _Found:
    count, unit = {"next": 1, "this": 0, "last": -1}[one["which"].casefold()], one["u"].casefold()
    return _shifted(now.today, unit, count, unit)


def _clock(one: re.Match[str], _: _Now) -> _Found:
    hour, minute, second = int(one["h"]), int(one["mi"] or 0), int(one["s"] or 0)
    half = (one["half"] or "").casefold().replace(".", "")
    if half in {"pm", "in the afternoon", "in the evening", "at night"} and hour < 12:
        hour += 12
    elif half in {"am", "in the morning"} and hour == 12:
        hour = 0
    if hour > 23 or minute > 59 or second > 59:
        return None
    return ("time", time(hour, minute, second), "")


def _word_clock(one: re.Match[str], _: _Now) -> _Found:
    return ("time", {"noon": time(12), "midday": time(12), "midnight": time(0)}[one[0].casefold()], "")


def _past_clock(one: re.Match[str], _: _Now) -> _Found:
    told = one["h"].casefold()
    hour = int(told) if told.isdigit() else _SMALL.get(told, {"eleven": 11, "twelve": 12}.get(told, 0))
    if not 1 <= hour <= 12:
        return None
    minute = {"half past": 30, "quarter past": 15, "quarter to": -15}[" ".join(one["rel"].casefold().split())]
    return ("time", time((hour - (minute < 0)) % 24, minute % 60), "")


def _moment(one: re.Match[str], _: _Now) -> _Found:
    try:
        found = datetime.fromisoformat(one[0].upper().replace(" ", "T", 1))
    except ValueError:
        return None
    return ("moment", found.replace(tzinfo=None), "")


_HOUR = r"(?P<h>\d{1,2})"
_HALF = r"(?P<half>[ap]\.?m\b\.?|in the (?:morning|afternoon|evening)|at night)"
_RULES: tuple[tuple[re.Pattern[str], _Rule], ...] = (
    (_rx(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)?"), _moment),
    (_rx(r"(?P<y>\d{4})[-/.](?P<mm>\d{1,2})[-/.](?P<d>\d{1,2})"), _whole),
    (_rx(r"(?P<a>\d{1,2})(?P<sep>[-/.])(?P<b>\d{1,2})(?P=sep)(?P<y>\d{4}|\d\d)"), _short),
    (_rx(rf"(?:(?:{_W.replace('?P<w>', '')}),?\s+)?{_M}\s*{_D}(?:,?\s*{_Y})?", "/.:"), _named),
    (_rx(rf"(?:the\s+)?{_D}(?:\s+of)?\s+{_M}(?:,?\s*{_Y})?"), _named),
    (_rx(rf"{_M},?\s+(?:of\s+)?{_Y}"), _month),
    (_rx(rf"(?:the\s+)?(?P<name>{'|'.join(_NAMES)})"), _day),
    (_rx(rf"in\s+(?:the\s+next\s+)?{_N}\s+{_UNIT}(?:\s+(?:from\s+now|time))?"), _relative),
    (_rx(rf"{_N}\s+{_UNIT}\s+from\s+(?:now|today)"), _relative),
    (_rx(rf"{_N}\s+{_UNIT}\s+(?P<ago>ago|earlier)"), _relative),
    (_rx(rf"(?:on\s+)?(?:(?P<which>next|this|last|past|coming)\s+)?{_W}"), _weekday),
    (_rx(r"(?P<which>next|this|last)\s+(?P<u>week|month|year)"), _next),
    (_rx(rf"(?P<which>in|for|by|during|of|since|until|next|last|this)\s+{_M}"), _bare_month),
    (_rx(rf"{_HOUR}[:.](?P<mi>\d\d)(?::(?P<s>\d\d))?\s*{_HALF}?"), _clock),
    (_rx(rf"{_HOUR}(?P<mi>)(?P<s>)\s*{_HALF}"), _clock),
    (_rx(r"noon|midday|midnight"), _word_clock),
    (_rx(r"(?P<rel>half\s+past|quarter\s+past|quarter\s+to)\s+(?P<h>\w+)"), _past_clock),
)
HALF_A_YEAR = 6
_ABBREVIATED = frozenset(
    {"may", "mar", "sun", "sat", "wed", "mon", "march", "fri", "tue", "thu", "dec", "jan"}
)
_LEADS = re.compile(
    r"(?:in|on|for|by|during|of|since|until|the|next|last|this|past|coming)\s+", re.IGNORECASE
)
_JOINT = re.compile(r"\s*(?:,|at|@|around|from)?\s*(?:about\s+|(?:which|that) is\s+)?", re.IGNORECASE)


def dates(text: str, now: datetime, *, day_first: bool = False) -> list[Mention]:
    """The dates and times of a text, in order; a date with its time is one mention, of sort `moment`.

    Args:
        text: what was said.
        now: what it is relative to.
        day_first: whether 03/04/2024 is in April.
    """
    when = _Now(now, text, day_first=day_first)
    found: list[Mention] = []
    taken: list[tuple[int, int]] = []
    for start, end, one in _all(text, when):
        if any(start < other[1] and other[0] < end for other in taken):
            continue
        # What looks like a date and is none, such as 31 June, is no other date either.
        taken.append((start, end))
        if one is not None:
            found.append(one)
        if len(taken) == MOST:
            break
    return _joined(text, _years(sorted(found, key=lambda one: one.start)))


def _years(found: list[Mention]) -> list[Mention]:
    """A date without a year gets that of a full date beside it: `April 3rd to April 5th 2023`, and the other way."""
    kept = list(found)
    for at, one in enumerate(kept):
        if one.shape != "yearless":
            continue
        behind = found[at + 1] if at + 1 < len(found) else None
        before = kept[at - 1] if at else None
        if behind is not None and _full(behind):
            kept[at] = _in_year_of(one, behind, later=False)
        elif before is not None and _full(before):
            kept[at] = _in_year_of(one, before, later=True)
    return kept


def _full(one: Mention) -> bool:
    return one.sort == "date" and not one.shape


def _in_year_of(one: Mention, other: Mention, *, later: bool) -> Mention:
    """A date in the year of another one; in the next, if it comes later and would lie months before."""
    day, year = one.value, other.value
    assert isinstance(day, date)  # noqa: S101 - yearless mentions are dates
    assert isinstance(year, date)  # noqa: S101
    after = later and year.month - day.month > HALF_A_YEAR
    told = _of(year.year + after, day.month, day.day)
    return one if told is None else Mention(start=one.start, end=one.end, sort="date", value=told[1])


def _all(text: str, when: _Now) -> Iterator[tuple[int, int, Mention | None]]:
    for pattern, rule in _RULES:
        for number, one in enumerate(pattern.finditer(text)):
            if number == MOST:
                break
            if rule is _weekday and _word_only(one["w"], one["which"] or "", one[0]):
                continue
            told = rule(one, when)
            if told is None:
                yield one.start(), one.end(), None
                continue
            start = one.start()
            if rule in {_weekday, _bare_month}:
                lead = _LEADS.match(one[0])
                if lead and lead[0].split()[0].casefold() not in {"next", "last", "this"}:
                    start += lead.end()
            yield (
                start,
                one.end(),
                Mention(start=start, end=one.end(), sort=told[0], value=told[1], shape=told[2]),
            )


def _word_only(word: str, which: str, whole: str) -> bool:
    """Whether what looks like a day in short is a word of its own: `sun`, `sat`, `wed`."""
    low = word.casefold()
    return low in _ABBREVIATED and not which and not whole.casefold().startswith("on ")


def _joined(text: str, found: list[Mention]) -> list[Mention]:
    kept: list[Mention] = []
    for one in found:
        before = kept[-1] if kept else None
        if before is not None and _JOINT.fullmatch(text[before.end : one.start]):
            pair = {before.sort: before, one.sort: one}
            day, hour = pair.get("date"), pair.get("time")
            if day is not None and hour is not None and day.shape not in {"month", "week", "year"}:
                value = datetime.combine(day.value, hour.value)  # type: ignore[arg-type]
                kept[-1] = Mention(start=before.start, end=one.end, sort="moment", value=value)
                continue
            if (
                before.sort == one.sort == "date"
                and before.shape in {"relative", "weekday"}
                and one.shape in {"", "yearless"}
            ):
                # "today, April 25th 2023": the full date says what the word means.
                kept[-1] = Mention(start=before.start, end=one.end, sort="date", value=one.value)
                continue
        kept.append(one)
    return kept

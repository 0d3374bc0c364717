"""How dates and times are written where a slot says so: `YYYY-MM-DD`, `dd/mm/yyyy HH:MM`, `%d.%m.%Y`, `ISO 8601`.

Rule: a format that is not understood is no format: ISO 8601 is written.
"""

from __future__ import annotations

import re
from datetime import date, datetime, time
from functools import lru_cache

_STRFTIME = re.compile(r"%[YymdHMSIpBbjZ](?:[^\w%]?%[YymdHMSIpBbjZ])+")
_LETTERS = re.compile(
    r"(?<![A-Za-z])(?:(?:YYYY|yyyy|YY|yy|MMMM|MMM|MM|mm|DD|dd|D|d|M|HH|hh|SS|ss|a|A|tt|Month|month)"
    r"[-/.: ,T]{0,2}){2,8}Z?(?![A-Za-z])"
)
_TOKENS = re.compile(r"YYYY|yyyy|YY|yy|MMMM|MMM|Month|month|MM|mm|DD|dd|D|d|M|HH|hh|SS|ss|a|A|tt|T|.")
_CODES = {
    "YYYY": "%Y", "yyyy": "%Y", "YY": "%y", "yy": "%y", "MMMM": "%B", "Month": "%B", "month": "%B", "MMM": "%b",
    "DD": "%d", "dd": "%d", "D": "%d", "d": "%d", "M": "%m", "HH": "%H", "SS": "%S", "ss": "%S", "a": "%p", "A": "%p",
    "tt": "%p",
}  # fmt: skip
_MOST = 400


@lru_cache(maxsize=1024)
def date_format(text: str) -> str:
    """The strftime format that a description or a format names; empty if it names none."""
    text = text[:_MOST]
    if found := _STRFTIME.search(text):
        return found[0]
    for one in _LETTERS.finditer(text):
        written = one[0].strip(" ,.")
        if re.search(r"[Yy]{2}|[Hh]{2}|MM.?[Dd]{2}|[Dd]{2}.?MM", written):
            return _translated(written)
    if re.search(r"\bISO[ -]?8601\b|\bdate-time\b|\brfc ?3339\b", text, re.IGNORECASE):
        return "iso"
    if re.search(r"\bunix\b|\bepoch\b", text, re.IGNORECASE):
        return "epoch"
    return ""


def _translated(written: str) -> str:
    twelve = bool(re.search(r"(?<![A-Za-z])(?:a|A|tt)(?![A-Za-z])|[ap]m", written))
    out: list[str] = []
    seen_hour = False
    for piece in _TOKENS.findall(written):
        if piece in {"HH", "hh"}:
            seen_hour = True
            out.append("%I" if twelve and piece == "hh" else "%H")
        elif piece in {"MM", "mm"}:
            out.append("%M" if seen_hour else "%m")
        else:
            out.append(_CODES.get(piece, piece))
    return "".join(out)


def write(value: date | datetime | time, pattern: str) -> str | int | None:
    """A date, a time or both as the format has it; None if the format wants what is not there."""
    wants_day = any(code in pattern for code in ("%d", "%m", "%Y", "%y", "%B", "%b", "%j"))
    wants_hour = "%H" in pattern or "%I" in pattern
    if pattern in {"", "iso"}:
        return (
            value.isoformat(timespec="minutes")
            if isinstance(value, time) and not value.second
            else value.isoformat()
        )
    if pattern == "epoch":
        from datetime import UTC

        if isinstance(value, time):
            return None
        moment = (
            value if isinstance(value, datetime) else datetime(value.year, value.month, value.day, tzinfo=UTC)
        )
        return int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp())
    if isinstance(value, time):
        return None if wants_day else value.strftime(pattern)
    if isinstance(value, datetime):
        return value.strftime(pattern)
    return (
        None
        if wants_hour and not wants_day
        else _written(datetime(value.year, value.month, value.day), pattern)  # noqa: DTZ001 - a date has no zone
    )


def _written(value: datetime, pattern: str) -> str:
    """strftime, with years before 1000 in four digits too."""
    return value.strftime(pattern.replace("%Y", f"{value.year:04d}"))

"""Evidence: whether what a model says a slot's value is was said in the conversation at all.

It replaces the check of a model's entropy: what nobody said is missing, however sure the model was.

Rule: a number, a date, a currency or a text needs its words in a turn of the user, or in a question that the user said
yes to. A choice and a yes or no are by meaning: their words need not be there.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from archflow_plugins.slots.dialogue import Dialogue
from archflow_plugins.slots.extract.currencies import currencies
from archflow_plugins.slots.extract.dates import dates
from archflow_plugins.slots.extract.numbers import numbers
from archflow_plugins.slots.extract.polarity import answer
from archflow_plugins.slots.extract.units import convert, named
from archflow_plugins.slots.formats import date_format
from archflow_plugins.slots.words import STOP, folded, pieces, stem
from archflow_schema.slots import Slot

DEPTH = 8
CHARACTERS = 16_000


class Evidence:
    """What was said, ready to be looked up."""

    def __init__(self, dialogue: Dialogue) -> None:
        told = [one.text for one in dialogue.turns]
        told += [one.asked for one in dialogue.turns if one.asked and answer(one.text)]
        self._now = dialogue.now
        self.text = "\n".join(told)[:CHARACTERS]
        self._folded = f" {folded(self.text)} "
        self._stems = {stem(one) for one in self._folded.split()}
        self._numbers = numbers(self.text)
        self._values = [one.value for one in self._numbers if isinstance(one.value, int | float)]
        self._currencies = {one.value for one in currencies(self.text)}
        self._dates = [one.value for one in dates(self.text, dialogue.now)]

    def supports(self, slot: Slot, value: Any) -> bool:
        """Whether a value of a slot was said."""
        if slot.enum or slot.type == "bool":
            return True
        return self._said(slot, value, DEPTH)

    def supported(self, slot: Slot, value: Any) -> Any | None:
        """The part of a value that was said; None if nothing of it was."""
        if slot.type == "list" and isinstance(value, list):
            kept = [one for one in value if self.supports(slot, one)]
            return kept or None
        return value if self.supports(slot, value) else None

    def _said(self, slot: Slot, value: Any, depth: int) -> bool:
        match value:
            case bool() | None:
                return True
            case int() | float():
                return self._number(slot, value)
            case str():
                return self._text(slot, value)
            case list():
                return depth > 0 and bool(value) and all(self._said(slot, one, depth - 1) for one in value)
            case dict():
                return (
                    depth > 0
                    and bool(value)
                    and all(self._said(slot, one, depth - 1) for one in value.values())
                )
            case _:
                return False

    def _number(self, slot: Slot, value: float) -> bool:
        if any(_near(one, value) or _near(one / 100, value) for one in self._values):
            return True
        wanted = named(f"{' '.join(pieces(slot.name))} {slot.description}")
        if wanted:
            for one in self._numbers:
                changed = (
                    convert(one.value, one.unit, wanted)
                    if one.unit and isinstance(one.value, int | float)
                    else None
                )
                if changed is not None and _near(changed, value):
                    return True
        return any(value in {day.year, day.month, day.day} for day in self._dates if isinstance(day, date))

    def _text(self, slot: Slot, value: str) -> bool:
        bare = folded(value)
        if not bare:
            return value.strip() != "" and value.strip() in self.text
        if f" {bare} " in self._folded:
            return True
        if value.upper() in self._currencies:
            return True
        if self._dated(slot, value):
            return True
        digits = re.sub(r"\D", "", value)
        if digits and digits == re.sub(r"[^\w]", "", value) and len(digits) > 6:
            return digits in re.sub(r"\D", "", self.text)
        wanted = [stem(one) for one in bare.split() if one not in STOP]
        return bool(wanted) and all(one in self._stems for one in wanted)

    def _dated(self, slot: Slot, value: str) -> bool:
        """Whether a text is a date that was said in other words: `tomorrow`, `3 May`."""
        pattern = date_format(f"{slot.format} {slot.description}")
        found: Sequence[object] = [one.value for one in dates(value, self._now)]
        if pattern and "%" in pattern:
            with contextlib.suppress(ValueError):
                found = [*found, datetime.strptime(value, pattern)]  # noqa: DTZ007 - no date here has a zone
        return any(_day(one) == _day(told) for one in found for told in self._dates)


def _near(one: float, other: float) -> bool:
    return abs(one - other) <= 1e-9 * max(1.0, abs(one), abs(other))


def _day(value: object) -> object:
    return value.date() if isinstance(value, datetime) else value

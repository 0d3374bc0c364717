"""Values that fit their slots: type, enum, items, format.

Rule: what comes out is valid JSON of the slot's type, or None; nothing is bent into shape but 4.0 into 4.
"""

from __future__ import annotations

import math
import re
from datetime import date, datetime, time
from typing import Any

import msgspec
from msgspec import Raw

from archflow_schema.slots import Slot, SlotType

_encode = msgspec.json.Encoder(order="deterministic").encode
_FORMATS = {
    "email": re.compile(r"[^@\s]{1,64}@[^@\s]{1,255}"),
    "uri": re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s]+"),
    "url": re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s]+|www\.[^\s]+"),
    "uuid": re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"),
    "ipv4": re.compile(r"(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4}"),
}
TEXT_AT_MOST = 16_000


def fit(slot: Slot, value: Any) -> Raw | None:
    """A value as the slot takes it, as JSON; None if it does not fit."""
    found = shaped(slot, value)
    return None if found is None else Raw(_encode(found))


def shaped(slot: Slot, value: Any) -> Any | None:
    """As `fit`, but as a value of Python; one value for a slot that takes a list is a list of one."""
    if slot.type == "list":
        items = list(value) if isinstance(value, list | tuple) else [value]
        found = [_typed(slot.items, one) for one in items]
        if any(one is None for one in found) or not found:
            return None
        if slot.enum:
            found = [option(slot, one) for one in found]
            return None if any(one is None for one in found) else found
        return found
    typed = _typed(slot.type, value)
    if typed is None:
        return None
    if slot.enum:
        return option(slot, typed)
    if isinstance(typed, str):
        pattern = _FORMATS.get(slot.format.casefold())
        if not typed.strip() or (pattern is not None and not pattern.fullmatch(typed)):
            return None
    return typed


def options(slot: Slot) -> tuple[Any, ...]:
    """The values of an enum, decoded; one that is no JSON counts as the text that it is."""
    found = []
    for raw in slot.enum:
        try:
            found.append(msgspec.json.decode(raw))
        except msgspec.DecodeError:
            found.append(raw.decode("utf-8", "replace"))
    return tuple(found)


_TRUE = frozenset({"true", "yes"})
_FALSE = frozenset({"false", "no"})
_NEITHER = frozenset({"dontcare", "don't care", "any", "none", "either", "unknown", "n/a"})


def truths(slot: Slot) -> tuple[Any, Any] | None:
    """The options that mean yes and no, where an enum offers these two and at most that it does not matter."""
    told = {str(one).casefold(): one for one in options(slot)}
    yes, no = _TRUE.intersection(told), _FALSE.intersection(told)
    if len(yes) != 1 or len(no) != 1 or told.keys() - yes - no - _NEITHER:
        return None
    return told[min(yes)], told[min(no)]


def truth(slot: Slot, *, said: bool) -> Any:
    """Yes or no as a slot has it: a bool, or the option that means it."""
    pair = truths(slot) if slot.enum else None
    return said if pair is None else pair[not said]


def option(slot: Slot, value: Any) -> Any | None:
    """The option that a value is, whatever its case; None if it is none of them."""
    every = options(slot)
    for one in every:
        if one == value and isinstance(one, bool) == isinstance(value, bool):
            return one
    told = str(value).casefold()
    return next((one for one in every if str(one).casefold() == told), None)


def lenient(slot: Slot, value: Any) -> Any:
    """A value that a model wrote in another type, such as `"5"` for 5, in the slot's; else the value itself."""
    if isinstance(value, str) and slot.type != "str":
        bare = value.strip()
        if slot.type == "bool":
            return {"true": True, "yes": True, "false": False, "no": False}.get(bare.casefold(), value)
        try:
            return msgspec.json.decode(bare.replace(",", "") if slot.type in {"int", "float"} else bare)
        except msgspec.DecodeError:
            return [value] if slot.type == "list" else value
    if isinstance(value, list) and slot.type not in {"list", "str"} and len(value) == 1:
        return value[0]
    return value


def _typed(kind: SlotType, value: Any) -> Any | None:
    match kind:
        case "int":
            if isinstance(value, bool) or not isinstance(value, int | float):
                return None
            if not math.isfinite(value) or value != int(value) or abs(value) >= 1 << 63:
                return None
            return int(value)
        case "float":
            if isinstance(value, bool) or not isinstance(value, int | float):
                return None
            return float(value) if abs(value) < 1e300 and math.isfinite(value) else None
        case "bool":
            return value if isinstance(value, bool) else None
        case "dict":
            return value if isinstance(value, dict) else None
        case "list":
            return list(value) if isinstance(value, list | tuple) else None
        case "str":
            if isinstance(value, date | datetime | time):
                value = value.isoformat()
            if isinstance(value, bool) or not isinstance(value, str | int | float):
                return None
            text = str(value).encode("utf-8", "replace").decode()
            return text if 0 < len(text) <= TEXT_AT_MOST else None

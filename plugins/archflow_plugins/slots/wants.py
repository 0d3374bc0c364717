"""What a slot wants: the sort of value, and the words that tell its value from those of its neighbours.

Read once for each slot of a graph, from its name, description, type, enum and format.

Rule: what is read here is only how a slot is told; no conversation is looked at.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any, Literal

import msgspec
from msgspec import Struct

from archflow_plugins.slots import values
from archflow_plugins.slots.extract.currencies import currencies
from archflow_plugins.slots.extract.units import named
from archflow_plugins.slots.formats import date_format
from archflow_plugins.slots.lexicon import said, table
from archflow_plugins.slots.words import pieces, stem, stems, words
from archflow_schema.slots import Intent, Slot

Facet = Literal[
    "boolean", "choice", "number", "currency", "date", "time", "email", "url", "phone", "code", "place", "name",
    "message", "text", "object",
]  # fmt: skip

_BY_FORMAT: dict[str, Facet] = {
    "email": "email", "uri": "url", "url": "url", "uuid": "code", "ipv4": "code", "ipv6": "code", "phone": "phone",
    "tel": "phone", "date": "date", "date-time": "date", "datetime": "date", "time": "time", "currency": "currency",
}  # fmt: skip
_BY_NAME: dict[Facet, frozenset[str]] = table("facets")  # type: ignore[assignment]
_BY_DESCRIPTION: tuple[tuple[Facet, re.Pattern[str]], ...] = (
    ("email", re.compile(r"\be-?mail address", re.IGNORECASE)),
    ("phone", re.compile(r"\b(?:tele)?phone number", re.IGNORECASE)),
    ("url", re.compile(r"\bURL\b")),
    (
        "code",
        re.compile(
            r"\b(?:unique identifier|serial number|(?:file )?path (?:to|of|where)|IP address)", re.IGNORECASE
        ),
    ),
)
_PEOPLE = said("wants.people")
_CODES_OF_WORDS = frozenset(
    {"country", "language", "area", "source", "programming", "state", "region", "color", "colour"}
)
_CURRENCY = re.compile(
    r"\b(?:currency|currencies)\b(?!\s+(?:conversion|exchange|converter|pair))", re.IGNORECASE
)
_EXAMPLES = re.compile(
    r"(?:e\.?g\.?,?|for example,?|for instance,?|such as|i\.e\.?,?|options?(?: are| include)?:?"
    r"|choices?(?: are| include)?:?|one of:?|either|can be|could be|may be|values?(?: are| include)?:?"
    r"|possible values:?|like)\s+(.{2,200})",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"'([^']{1,40})'|\"([^\"]{1,40})\"")
_MONEY = said("wants.money")
_SHARE = frozenset(
    [
        "rate",
        "percent",
        "percentage",
        "ratio",
        "probability",
        "level",
        "discount",
        "interest",
        "share",
        "tax",
        "return",
        "frequency",
    ]
)
_COUNT = said("wants.count")
_PARTS = frozenset({"year", "month", "day", "hour", "hours", "minute", "minutes"})
_LOW = said("wants.low")
_HIGH = said("wants.high")
_COMMAS = re.compile(r"\b[A-Za-z]+(?: \w+)?(?: \(\w+\))?(?:, [A-Z]\w+(?: \(\w+\))?){1,4}")
_WHOLE = re.compile(
    r"\b(?:user'?s?|original|full|entire|whole|exact|customer'?s?)\s+(?:question|query|message|request|input|prompt|utterance|text|words)\b"
    r"|\b(?:question|query|message|request)\s+(?:posed|asked|sent|written|from|by)\b.{0,20}\buser\b",
    re.IGNORECASE,
)
SOFT_AT_MOST = 16
WORDS_AT_MOST = 60
"""Words of a description that are hints."""


class Want(Struct, frozen=True, kw_only=True):
    """What one slot wants.

    Attributes:
        slot: as it is declared.
        facet: the sort of its value, or of its items.
        many: whether it takes a list.
        names: stems of its name's words; `hints` those of its description's, with how telling each is.
        unit: of a number, as far as it is told.
        role: `low` or `high` for one of two ends, such as `from_date`.
        options: the values that it may have, with the words that mean them.
        soft: values that its description names as examples.
        pattern: how a date is written.
        flags: what else its words say: money, share, decimal, count, year, person, verbatim, ...
        given: the currency that its target names as given, and that it hence does not ask for: `from USD to others`.
    """

    slot: Slot
    facet: Facet
    many: bool = False
    names: tuple[str, ...] = ()
    hints: dict[str, float] = {}
    unit: str = ""
    role: str = ""
    options: tuple[tuple[Any, tuple[str, ...]], ...] = ()
    soft: tuple[str, ...] = ()
    pattern: str = ""
    flags: frozenset[str] = frozenset()
    given: str = ""


def wants(intent: Intent) -> tuple[Want, ...]:
    """What the slots of a target want, in order."""
    told = [stems(slot.description, WORDS_AT_MOST) for slot in intent.slots]
    named_by = [dict.fromkeys(map(stem, pieces(slot.name))) for slot in intent.slots]
    shared = Counter(one for hints in told for one in set(hints))
    shared_names = Counter(one for names in named_by for one in names)
    found: list[Want] = []
    for slot, hints, names in zip(intent.slots, told, named_by, strict=True):
        telling = {one: 1.0 / shared[one] ** 2 for one in hints if one not in names}
        own = tuple(one for one in names if shared_names[one] == 1) or tuple(names)
        found.append(_want(slot, own, telling))
    if sum(one.facet == "currency" for one in found) == 1:
        found = [
            msgspec.structs.replace(one, given=_given(f"{intent.description}\n{one.slot.description}"))
            if one.facet == "currency"
            else one
            for one in found
        ]
    options = {str(value).casefold() for one in found for value, _ in one.options}
    if options:
        found = [
            msgspec.structs.replace(
                one, soft=tuple(each for each in one.soft if each.casefold() not in options)
            )
            for one in found
        ]
    places = [one for one in found if one.facet == "place" and not one.role]
    if len(places) > 1:
        # "Sydney, Australia" is two values where there is a slot for each.
        found = [
            msgspec.structs.replace(one, flags=one.flags | {"part"}) if one in places else one
            for one in found
        ]
    return tuple(found)


def _given(told: str) -> str:
    """The one currency that a target and its slot name, but as an example."""
    named = {one.value for one in currencies(_EXAMPLES.sub(" ", told))}
    return str(named.pop()) if len(named) == 1 else ""


def _want(slot: Slot, names: tuple[str, ...], hints: dict[str, float]) -> Want:
    kind = slot.items if slot.type == "list" else slot.type
    parts = frozenset(pieces(slot.name))
    text = f"{slot.format} {slot.description}"
    facet = _facet(slot, kind, parts)
    flags = {
        flag
        for flag, known in (("money", _MONEY), ("share", _SHARE), ("count", _COUNT), ("person", _PEOPLE))
        if parts & known or (flag != "count" and known & {one.low for one in words(slot.description)[:8]})
    }
    low = text.casefold()
    if re.search(r"\bdecimal\b(?! places?)|= ?0\.\d|between 0 and 1\b|0 to 1\b|0-1\b", low):
        flags.add("decimal")
    elif re.search(r"percent|%", low):
        flags.add("percent")
    flags |= {part for part in _PARTS if part in parts}
    if _WHOLE.search(slot.description):
        flags.add("verbatim")
    if re.search(r"\bprobab", low):
        flags.add("probability")
    if facet == "place":
        flags |= _parts_of_place(text, parts)
    if (
        facet == "date"
        and re.search(r"[Hh]{2}:|\btime\b", text)
        and "date" not in slot.format.casefold().split()
    ):
        flags.add("clock")
    return Want(
        slot=slot,
        facet=facet,
        many=slot.type == "list",
        names=names,
        hints=hints,
        unit="" if facet != "number" else named(f"{' '.join(pieces(slot.name))} {slot.description}"),
        role=_role(slot, parts),
        options=_options(slot),
        soft=() if slot.enum or facet not in {"text", "name", "place"} else _soft(slot.description),
        pattern=date_format(f"{slot.format} {slot.description}") if facet in {"date", "time"} else "",
        flags=frozenset(flags),
    )


def _parts_of_place(text: str, parts: frozenset[str]) -> set[str]:
    """Whether a place is told with what it lies in: `City, State`; or for itself: a slot that only wants a city."""
    commas = _COMMAS.search(text)
    if commas:
        return {"long"} if commas[0].count(",") > 1 else set()
    alone = parts & {"city", "town", "country", "state"} and not re.search(
        r"\b(?:and|or) (?:state|country)\b", text
    )
    return {"part"} if alone else set()


def _facet(slot: Slot, kind: str, parts: frozenset[str]) -> Facet:
    if slot.enum:
        return "choice" if values.truths(slot) is None else "boolean"
    match kind:
        case "bool":
            return "boolean"
        case "int" | "float":
            return "number"
        case "dict" | "list":
            return "object"
        case _:
            pass
    if found := _BY_FORMAT.get(slot.format.casefold()):
        return found
    if "id" in parts and parts & {"email", "mail"}:
        return "email"
    for facet, known in _BY_NAME.items():
        if not parts & known:
            continue
        if facet == "code" and "code" in parts and parts & _CODES_OF_WORDS:
            continue
        if facet == "code" and "currency" in parts:
            return "currency"
        if facet == "time" and _dated(date_format(f"{slot.format} {slot.description}")):
            return "date"
        return facet
    for facet, told in _BY_DESCRIPTION:
        if told.search(slot.description[:60]):
            return facet
    if _CURRENCY.search(slot.description[:80]):
        return "currency"
    pattern = date_format(f"{slot.format} {slot.description}")
    if pattern:
        return "date" if _dated(pattern) else "time"
    if re.match(r"(?:the )?(?:full |first |last )?name of\b", slot.description, re.IGNORECASE):
        return "name"
    if re.search(r"\b(?:city|town|location)\b", slot.description[:60], re.IGNORECASE):
        return "place"
    return "text"


def _dated(pattern: str) -> bool:
    """Whether a format has a day in it."""
    return any(code in pattern for code in ("%Y", "%m", "%d", "iso", "epoch"))


def _role(slot: Slot, parts: frozenset[str]) -> str:
    first = {one.low for one in words(slot.description)[:6]}
    for known, role in ((_LOW, "low"), (_HIGH, "high")):
        other = _HIGH if known is _LOW else _LOW
        if parts & known and not parts & other:
            return role
    if first & {"start", "starting", "departure", "source", "origin"}:
        return "low"
    if first & {"end", "ending", "destination", "target", "arrival"}:
        return "high"
    return ""


def _options(slot: Slot) -> tuple[tuple[Any, tuple[str, ...]], ...]:
    """Each option with the words that mean it."""
    if not slot.enum:
        return ()
    return tuple((one, tuple(pieces(str(one))) or (str(one).casefold(),)) for one in values.options(slot))


def _soft(description: str) -> tuple[str, ...]:
    """The examples that a description gives: `e.g. Hearts, Spades`."""
    found: list[str] = []
    for one in _EXAMPLES.finditer(description):
        listed = re.split(r"\.(?:\s|$)|;|\)", one[1])[0]
        quoted = [first or second for first, second in _QUOTED.findall(listed)]
        items = quoted or [each.strip(" '\"") for each in re.split(r",|\bor\b|\band\b|/", listed)]
        if len(items) > 1 or quoted:
            found += [
                each
                for each in items
                if 1 < len(each) <= 40 and len(each.split()) <= 4 and each.casefold() not in {"etc", "etc."}
            ]
    found += [
        first or second for first, second in _QUOTED.findall(description) if 1 < len(first or second) <= 40
    ]
    return tuple(dict.fromkeys(found))[:SOFT_AT_MOST]

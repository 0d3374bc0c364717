"""Replies to a question: `GBP`, `Oslo, 5 days`, `yes` mean what was asked for.

Rule: what a turn says by itself comes first; a reply only gives what was asked and is still open.
Rule: a reply that asks back, or says that it does not know, is no value.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from archflow_plugins.slots import values
from archflow_plugins.slots.candidates.candidate import EXACT
from archflow_plugins.slots.dialogue import Past
from archflow_plugins.slots.extract.currencies import NAMES
from archflow_plugins.slots.extract.polarity import answer
from archflow_plugins.slots.question import phrase
from archflow_plugins.slots.turn import Turn
from archflow_plugins.slots.wants import Want
from archflow_plugins.slots.words import folded, stem

_LEAD_IN = re.compile(
    r"^\W*(?:(?:well|oh|um|uh|so|ok(?:ay)?|yes|yeah|sure|please|hi|hello|thanks),?\s+)*"
    r"(?:(?:it'?s|it is|that'?s|that is|they are|they'?re|i'?d like|i want|i need|i'?m (?:in|at|from)|use|take|make it"
    r"|let'?s (?:say|take|go with)|my \w+(?: \w+)? (?:is|are)|the \w+(?: \w+)? (?:is|are)"
    r"|to|for|in|at|from|with|on|called|named|just)\s+)*",
    re.IGNORECASE,
)
_NO_VALUE = re.compile(
    r"^\W*(?:(?:please )?(?:show|tell|get|give|find)|what'?s|can|could|would|will|do|does|is|are"
    r"|i (?:don'?t|do not) (?:know|care|remember)|no idea|not sure|no|none|nothing|whatever|anything|why|what|which|who"
    r"|how|yes|ok(?:ay)?|sure|thanks?|hello|hi|y|n)\b",
    re.IGNORECASE,
)
_REQUEST = re.compile(
    r"^\W*(?:please )?(?i:cancel|order|book|buy|delete|remove|stop|start|add|create|make|update|set|send|play"
    r"|open|change|close|turn|check|search|list|reboot|restart|explain|calculate|convert|translate) (?!of\b)[a-z0-9]"
)
"""What begins as another request: `cancel order 77` is no plant. A name may, `Order of the Phoenix`."""
_PARTS = re.compile(r"[,;\n]|\band\b")
FREE_WORDS = 8
"""Words of the longest reply that is taken whole as a value."""


def asked_for(wants: Sequence[Want], past: Past, left: Sequence[int]) -> list[int]:
    """The places of the slots that the assistant asked for, in the order in which it did."""
    if not past.asked:
        return []
    asked = folded(past.asked)
    stems_ = [stem(each) for each in asked.split()]
    found: list[tuple[int, int]] = []
    for place in left:
        want = wants[place]
        told = folded(phrase(want.slot))
        if told and told in asked:
            found.append((asked.index(told), place))
        elif any(name in stems_ for name in want.names):
            found.append((min(stems_.index(name) for name in want.names if name in stems_) * 6, place))
    if not found:
        required = [place for place in left if wants[place].slot.needed]
        return required if len(required) == 1 else []
    return [place for _, place in sorted(found)]


def replied(
    wants: Sequence[Want], read: Turn, asked: Sequence[int], given: dict[int, tuple[Any, ...]]
) -> None:
    """What a short reply gives the slots that were asked for."""
    open_ = [place for place in asked if place not in given]
    parts = _PARTS.split(read.text)
    for place in list(open_):
        want = wants[place]
        value = _exact_reply(want, read, parts if len(asked) > 1 else (), lone=len(open_) == 1)
        if value is not None:
            given[place] = (value,)
            open_.remove(place)
    free = [place for place in open_ if wants[place].facet not in EXACT and wants[place].facet != "object"]
    if _REQUEST.match(read.text):
        free = [place for place in free if wants[place].facet not in {"place", "name"}]
    # A piece that was taken by a guess of the extractors is better explained by the question.
    if (
        len(free) == 1
        and len(asked) == 1
        and (bare := bare_of(read.text))
        and len(bare.split()) <= FREE_WORDS
    ):
        value = values.shaped(wants[free[0]].slot, bare)
        if value is not None:
            given[free[0]] = (value,)
    elif free:
        bare_parts = [part for each in parts if (part := bare_of(each))]
        told = [
            part
            for part in bare_parts
            if not any(_same(part, each) for value in given.values() for each in value)
        ]
        if len(told) == len(free):
            for place, part in zip(free, told, strict=True):
                value = values.shaped(wants[place].slot, part)
                if value is not None:
                    given[place] = (value,)


def _exact_reply(want: Want, read: Turn, parts: Sequence[str], *, lone: bool) -> Any | None:
    if want.facet == "boolean":
        # "sw-12, yes" answers two questions.
        said = {found for each in (read.text, *parts) if (found := answer(each)) is not None}
        return values.truth(want.slot, said=said.pop()) if len(said) == 1 else None
    if want.facet == "number" and lone:
        numbers = [one for one in read.mentions if one.sort == "number"]
        if len(numbers) == 1:
            return values.shaped(want.slot, numbers[0].value)
    if want.facet == "code" and lone:
        bare = bare_of(read.text)
        if bare and " " not in bare:
            return values.shaped(want.slot, bare)
    if want.facet == "currency" and lone:
        bare = bare_of(read.text).upper()
        return bare if bare in NAMES else None
    return None


def bare_of(text: str) -> str:
    """A reply without what leads to it: `it's Paris, please` gives `Paris`."""
    if _NO_VALUE.match(text) or "?" in text:
        return ""
    bare = _LEAD_IN.sub("", text, count=1)
    return re.sub(r"(?:,?\s*(?:please|thanks|thank you|then))?\W*$", "", bare, flags=re.IGNORECASE).strip(
        " '\"`“”‘’.,;:"
    )


def _same(part: str, value: object) -> bool:
    return folded(part) == folded(str(value))

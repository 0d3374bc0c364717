"""Closing what extractors left open: a model chooses among pieces of the conversation, or says that nobody said it.

The answer is held to a schema: text, numbers and dates can only be pieces that stand in the conversation, in the form
that the slot wants; so a model of any size cannot make one up. It can only choose the wrong one.

Rule: what was found is not asked again; what has no piece to choose from is not asked at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Raw, Struct

from archflow_plugins.slot_fillers.schemas import TYPES, nullable, whole
from archflow_plugins.slots import values
from archflow_plugins.slots.candidates.candidate import EXACT
from archflow_plugins.slots.candidates.finders import candidates
from archflow_plugins.slots.dialogue import Dialogue
from archflow_plugins.slots.evidence import Evidence
from archflow_plugins.slots.fill import Draft
from archflow_plugins.slots.question import phrase
from archflow_plugins.slots.turn import Turn
from archflow_plugins.slots.wants import Want
from archflow_plugins.slots.words import stems
from archflow_schema.conversation import Conversation, Message, Output, Sampling, TextPart

PIECES_AT_MOST = 100
TOKENS = 512
PROMPT = """What was said:
{turns}

Take from it, for "{task}":
{slots}

Answer with a JSON object. Copy each value from what was said; write null for what was not said."""

_encode = msgspec.json.Encoder().encode


class Asked(Struct, frozen=True):
    """What a model is to be asked for one target, and which slots it is about."""

    conversation: Conversation
    places: tuple[int, ...]


def asked(draft: Draft, dialogue: Dialogue, turns: Sequence[Turn], *, optional: bool) -> Asked | None:
    """What to ask a model for the open slots of a target; None if there is nothing that it could say.

    Args:
        draft: what was found.
        dialogue: what was said.
        turns: the same, read; the newest first.
        optional: whether to ask for optional slots too.
    """
    properties: dict[str, Any] = {}
    places: list[int] = []
    for place in draft.open:
        want = draft.target.wants[place]
        if place in draft.values or want.slot.default or not (want.slot.required or optional):
            continue
        schema = _schema(want, draft, turns)
        if schema is not None:
            properties[want.slot.name] = schema
            places.append(place)
    if not places:
        return None
    told = [draft.target.wants[place] for place in places]
    text = PROMPT.format(
        turns="\n".join(_line(one.text, one.asked) for one in reversed(dialogue.turns)),
        task=draft.target.intent.description or draft.target.intent.name,
        slots="\n".join(f"- {one.slot.name}: {phrase(one.slot)}" for one in told),
    )
    return Asked(
        Conversation(
            messages=(Message(role="user", parts=(TextPart(text),)),),
            sampling=Sampling(max_tokens=TOKENS, temperature=0.0),
            output=Output(
                form="json_schema", name="values", schema=Raw(_encode(whole(properties))), strict=True
            ),
        ),
        tuple(places),
    )


def take(draft: Draft, asked_for: Asked, text: str, evidence: Evidence) -> None:
    """Put what a model answered into a draft, as far as it is valid and was said."""
    try:
        told = msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return
    for place in asked_for.places:
        slot = draft.target.wants[place].slot
        value = values.shaped(slot, told.get(slot.name)) if told.get(slot.name) is not None else None
        value = None if value is None else evidence.supported(slot, value)
        if value is not None and _sound(value):
            draft.values.setdefault(place, (value,))


def _sound(value: Any) -> bool:
    return value not in ("", [], {})


def _line(text: str, question: str) -> str:
    return f"Assistant: {question}\nUser: {text}" if question else f"User: {text}"


def _schema(want: Want, draft: Draft, turns: Sequence[Turn]) -> dict[str, Any] | None:
    slot = want.slot
    if want.facet == "object":
        return nullable(
            {"type": TYPES[slot.type]}
            if slot.type != "list"
            else {"type": "array", "items": {"type": "object"}}
        )
    if want.options:
        every: list[Any] = [one for one, _ in want.options]
    elif want.facet == "boolean":
        return None if want.many else nullable({"type": "boolean"})
    else:
        every = _pieces(want, draft, turns)
    if not every:
        return None
    kind = TYPES[slot.items if want.many else slot.type]
    if want.many:
        return nullable(
            {"type": "array", "items": {"type": kind, "enum": every}, "minItems": 1, "maxItems": 12}
        )
    return nullable({"type": kind, "enum": every})


def _pieces(want: Want, draft: Draft, turns: Sequence[Turn]) -> list[Any]:
    """The pieces of the turns that the slot could take, the likeliest first; what another slot has is left out."""
    taken = [one for given in draft.values.values() for one in given]
    own = draft.target.about.union(want.names, want.hints)
    found: list[Any] = []
    for turn in turns:
        for one in candidates(want, turn):
            said = stems(one.value) if want.facet not in EXACT and isinstance(one.value, str) else []
            # "find a recipe" names no dish: the target's own words are no value of its slots.
            if one.value not in found and one.value not in taken and not (said and own.issuperset(said)):
                found.append(one.value)
            if len(found) >= PIECES_AT_MOST:
                return found
    return found

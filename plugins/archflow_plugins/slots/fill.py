"""Filling the slots of one target from a conversation, without a model: what is said, and what is open.

    newest turn -> turns of the same request -> earlier calls of the target -> older turns (required slots only)

Rule: a newer turn's value stands; an older one fills only what is open.
Rule: whoever has a model may close what is left open here; nobody may change what was found.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from archflow_plugins.slots import values
from archflow_plugins.slots.assign import Choose, assign
from archflow_plugins.slots.candidates.candidate import Candidate
from archflow_plugins.slots.dialogue import REPLY_WORDS, Dialogue, Past
from archflow_plugins.slots.replies import asked_for, replied
from archflow_plugins.slots.rounds import rounds
from archflow_plugins.slots.runs import CALLS_AT_MOST
from archflow_plugins.slots.turn import Turn
from archflow_plugins.slots.wants import Want, wants
from archflow_plugins.slots.weighing.choose import choose
from archflow_plugins.slots.weighing.features import Scene, weighed
from archflow_plugins.slots.words import stems
from archflow_schema.slots import FilledCall, Intent, Slot

WORDS_AT_MOST = 80
"""Words of what a target does that are looked at."""


class Target(Struct, frozen=True):
    """A target, read."""

    intent: Intent
    wants: tuple[Want, ...]
    about: frozenset[str]


class Draft(Struct, frozen=True, kw_only=True):
    """What extractors found for one target.

    Attributes:
        target: whose slots.
        values: by the slot's place, one value or several for as many calls.
        open: places of the slots that extractors found none for, those first that are required.
    """

    target: Target
    values: dict[int, tuple[Any, ...]]
    open: tuple[int, ...]

    @property
    def missing(self) -> tuple[Slot, ...]:
        """The required slots that nobody said."""
        return tuple(
            one.slot
            for place, one in enumerate(self.target.wants)
            if one.slot.needed and place not in self.values
        )

    def calls(self) -> tuple[FilledCall, ...]:
        """The calls: as many as the longest list of values asks for."""
        count = max((len(given) for given in self.values.values()), default=1)
        found: list[FilledCall] = []
        for at in range(min(count, CALLS_AT_MOST)):
            told = []
            for place, want in enumerate(self.target.wants):
                given = self.values.get(place)
                if given is None:
                    continue
                # Lists of different lengths: the longest one makes the calls, the others keep their first value.
                raw = values.fit(want.slot, given[at if len(given) == count else 0])
                if raw is not None:
                    told.append((want.slot.name, raw))
            call = FilledCall(self.target.intent.name, tuple(told))
            if call not in found:
                found.append(call)
        return tuple(found)


def target(intent: Intent) -> Target:
    """Read a target."""
    told = f"{intent.name.replace('_', ' ')} {intent.description}"
    return Target(intent, wants(intent), frozenset(stems(told, WORDS_AT_MOST)))


def draft(one: Target, dialogue: Dialogue, *, text: str = "") -> Draft:
    """What a conversation says for one target.

    Args:
        one: the target.
        dialogue: what was said.
        text: the part of the newest turn that is about this target; all of it unless given.
    """
    found: dict[int, tuple[Any, ...]] = {}
    count = len(one.wants)
    for age, past in enumerate(dialogue.turns):
        left = [place for place in range(count) if place not in found]
        if not left:
            break
        _earlier(one, dialogue, age, found)
        left = [place for place in left if place not in found and (past.same or one.wants[place].slot.needed)]
        if not left:
            continue
        from_turn(one, past, text if text and not age else past.text, left, found, dialogue)
    _earlier(one, dialogue, len(dialogue.turns), found)
    open_ = sorted(
        (place for place in range(count) if place not in found),
        key=lambda place: (not one.wants[place].slot.required, place),
    )
    return Draft(target=one, values=found, open=tuple(open_))


def from_turn(
    one: Target,
    past: Past,
    text: str,
    left: list[int],
    found: dict[int, tuple[Any, ...]],
    dialogue: Dialogue,
) -> None:
    """Put what one turn gives the open slots of a target into what is found."""
    read = dialogue.reader.turn(text)

    def fill(part: str) -> dict[int, tuple[Any, ...]]:
        piece = dialogue.reader.turn(part)
        return assign(one.wants, piece, only=frozenset(left), choose=_choose(one, piece, dialogue))

    given = fill(text)
    if past.same and len(left) == len(one.wants):
        given = rounds(one.wants, text, given, fill) or given
    asked = asked_for(one.wants, past, left)
    if asked and len(read.words) <= REPLY_WORDS:
        replied(one.wants, read, asked, given)
    for place, value in given.items():
        if place not in found:
            found[place] = value if past.same else value[:1]


def _choose(one: Target, read: Turn, dialogue: Dialogue) -> Choose | None:
    """What has the last word on free text, where it is weighed at all."""
    weighing = dialogue.reader.weighing
    if weighing is None or not any(map(weighed, one.wants)):
        return None
    near = weighing.near.get(one.intent.name, {})

    def chosen(every: dict[int, list[Candidate]], ruled: dict[int, Candidate]) -> dict[int, Candidate]:
        return choose(Scene(one.wants, read, every, one.about, near), ruled, weighing.trees)

    return chosen


def _earlier(one: Target, dialogue: Dialogue, age: int, found: dict[int, tuple[Any, ...]]) -> None:
    """What calls of the same target were made with, right before a turn of this age."""
    if age and not dialogue.turns[age - 1].same:
        return
    for call in dialogue.calls:
        if call.target != one.intent.name or call.age != age or age == 0:
            continue
        for place, want in enumerate(one.wants):
            if place not in found and want.slot.name in call.values:
                value = values.shaped(want.slot, call.values[want.slot.name])
                if value is not None:
                    found[place] = (value,)

"""What the language model slot filler does for one conversation: ask, read, believe what was said.

    tools           the targets are offered as tools; the model calls them (the default)
    json_schema     the answer is held to a schema that lists calls; for models without tools, such as local ones
    arch_function   the targets stand in the prompt, the answer is one of Arch-Function's JSON shapes

Rule: every value is checked twice: that it is valid for its slot, and that it was said. What was not is asked for.
Rule: a model that does not answer fails; an answer that cannot be read is no call.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw

from archflow_plugins.contexts import RunContext
from archflow_plugins.routers.window import window
from archflow_plugins.slot_fillers import answers, clock, schemas
from archflow_plugins.slots import dialogue, fill, values
from archflow_plugins.slots import targets as targets_of
from archflow_plugins.slots.evidence import Evidence
from archflow_schema.conversation import (
    Conversation,
    Message,
    Output,
    Role,
    Sampling,
    TextPart,
    Tool,
    ToolChoice,
)
from archflow_schema.slots import Filled, FilledCall, Intent, Question, Slot

if TYPE_CHECKING:
    from archflow_plugins.slot_fillers.language_model import LanguageModel

PROMPT = Path(__file__).with_name("arch_function.txt")
INSTRUCTIONS = (
    "Call the functions that the user's newest message asks for, each as often as it asks. Take arguments only from "
    "what the user said. If a required argument was not said, ask for it in one short question instead of calling. "
    "Today is {today}."
)
TOKENS = 1024
_encode = msgspec.json.Encoder().encode


class Calling:
    """The targets of one slot filler, and the model that is asked about them."""

    def __init__(self, settings: LanguageModel, ctx: RunContext) -> None:
        self._settings = settings
        self._ctx = ctx
        self._targets = {one.name: fill.target(one) for one in settings.intents}
        self._zone = clock.zone(settings.timezone)
        self._prompt = PROMPT.read_text("utf-8")

    async def run(
        self, conversation: Conversation, targets: tuple[str, ...], when: datetime | None = None
    ) -> Filled | Question:
        """The calls that a conversation asks for, or a question. Blocks while the model thinks.

        Args:
            conversation: what was said.
            targets: what was matched, the surest first.
            when: what dates are relative to; now unless given.

        Raises:
            UpstreamError: the model does not answer.
        """
        settings = self._settings
        told = dialogue.read(conversation, when or clock.now(self._zone), day_first=settings.day_first)
        chosen = targets_of.chosen(told, targets, self._targets)
        if not chosen:
            return Filled(())
        intents = [one.intent for one in chosen]
        asked = self._asked(conversation, intents, told)
        reply = await self._ctx.ask(settings.model, asked, timeout=settings.timeout)
        said = answers.read(reply)
        return outcome(said, intents, told, Evidence(told) if settings.evidence else None)

    def _asked(
        self, conversation: Conversation, intents: Sequence[Intent], told: dialogue.Dialogue
    ) -> Conversation:
        today = told.now.date().isoformat()
        turns = [_turn(one.role, one.content) for one in window(conversation, self._settings.tokens)]
        sampling = Sampling(max_tokens=TOKENS, temperature=0.0)
        instructions = INSTRUCTIONS.replace("{today}", today)
        match self._settings.form:
            case "arch_function":
                prompt = self._prompt.replace("{tools}", "\n".join(_tool_line(one) for one in intents))
                return Conversation(messages=(_turn("system", prompt), *turns), sampling=sampling)
            case "json_schema":
                lines = "\n".join(_tool_line(one) for one in intents)
                output = Output(
                    form="json_schema", name="calls", schema=Raw(_encode(_calls(intents))), strict=True
                )
                system = f"{instructions} Write null for an argument that was not said.\n{lines}"
                return Conversation(
                    messages=(_turn("system", system), *turns), sampling=sampling, output=output
                )
            case _:
                return Conversation(
                    messages=(_turn("system", instructions), *turns),
                    tools=tuple(_tool(one) for one in intents),
                    tool_choice=ToolChoice("auto"),
                    parallel_tool_calls=True,
                    sampling=sampling,
                )


def outcome(
    said: answers.Said, intents: Sequence[Intent], told: dialogue.Dialogue, evidence: Evidence | None
) -> Filled | Question:
    """What a model's answer comes to: its calls as far as they are valid and were said, or a question."""
    known = {one.name: one for one in intents}
    calls: list[FilledCall] = []
    missing: list[tuple[str, Slot]] = []
    for call in said.calls:
        intent = known.get(call.target)
        if intent is None:
            continue
        found = tuple(
            (slot.name, raw)
            for slot in intent.slots
            if (raw := _value(slot, call.arguments, evidence)) is not None
        )
        names = {name for name, _ in found}
        missing += [(intent.name, slot) for slot in intent.slots if slot.needed and slot.name not in names]
        one = FilledCall(intent.name, found)
        if one not in calls:
            calls.append(one)
    if missing:
        return targets_of.asking(missing)
    if calls:
        return Filled(tuple(calls), ordered=len(calls) > 1 and targets_of.ordered(told.turns[0].text))
    if said.question:
        about = known.get(said.about) or intents[0]
        return Question(said.question, tuple(slot.name for slot in about.slots if slot.needed), about.name)
    return Filled(())


def _value(slot: Slot, arguments: dict[str, Any], evidence: Evidence | None) -> Raw | None:
    told = arguments.get(slot.name)
    if told is None:
        return None
    value = values.shaped(slot, values.lenient(slot, told))
    if value is None or evidence is None:
        return None if value is None else values.fit(slot, value)
    kept = evidence.supported(slot, value)
    return None if kept is None else values.fit(slot, kept)


def _turn(role: str, text: str) -> Message:
    known: Role = "assistant" if role == "assistant" else "system" if role == "system" else "user"
    return Message(role=known, parts=(TextPart(text),))


def _tool(intent: Intent) -> Tool:
    return Tool(
        name=intent.name, description=intent.description, parameters=Raw(_encode(schemas.parameters(intent)))
    )


def _tool_line(intent: Intent) -> str:
    told = {"name": intent.name, "description": intent.description, "parameters": schemas.parameters(intent)}
    return _encode({"type": "function", "function": told}).decode()


def _calls(intents: Sequence[Intent]) -> dict[str, Any]:
    """A list of calls, each of one of the targets."""
    every = [
        schemas.whole(
            {
                "name": {"const": one.name},
                "arguments": schemas.whole(
                    {slot.name: schemas.nullable(schemas.bare(slot)) for slot in one.slots}
                ),
            }
        )
        for one in intents
    ]
    call = every[0] if len(every) == 1 else {"anyOf": every}
    return schemas.whole({"calls": {"type": "array", "items": call, "minItems": 1, "maxItems": 4}})

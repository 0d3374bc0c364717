"""What the composite slot filler does for one conversation.

    dialogue -> drafts (extractors) -> similar (embedder) -> closing (model) -> calls or one question

Rule: a model that fails leaves its slots open: they are asked for.
Rule: what a conversation says is never logged.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from archflow_plugins.contexts import RunContext
from archflow_plugins.slot_fillers import clock, closing, similar
from archflow_plugins.slots import dialogue, fill
from archflow_plugins.slots import targets as targets_of
from archflow_plugins.slots.evidence import Evidence
from archflow_plugins.slots.turn import Turn
from archflow_schema.conversation import Conversation
from archflow_schema.errors import ArchflowError
from archflow_schema.slots import Filled, Question

if TYPE_CHECKING:
    from archflow_plugins.slot_fillers.composite import Composite

LONG = 2000
"""Characters from which a conversation is read in a thread."""


class Extracting:
    """The targets of one slot filler, read, and what closes their slots.

    Args:
        settings: what the graph stores.
        ctx: to ask a model, and for threads.
        encode: texts to vectors, if choices are found by meaning.
    """

    def __init__(self, settings: Composite, ctx: RunContext, encode: similar.Encode | None) -> None:
        self._settings = settings
        self._ctx = ctx
        self._encode = encode
        self._targets = {one.name: fill.target(one) for one in settings.intents}
        self._zone = clock.zone(settings.timezone)

    async def run(
        self, conversation: Conversation, targets: tuple[str, ...], when: datetime | None = None
    ) -> Filled | Question:
        """The calls that a conversation asks for, or a question. Blocks while threads compute and a model thinks.

        Args:
            conversation: what was said.
            targets: what was matched, the surest first.
            when: what dates are relative to; now unless given.
        """
        now = when or clock.now(self._zone)
        size = sum(len(one.text) for one in conversation.messages)
        told, drafts, turns = (
            await self._ctx.offload(lambda: self._drafts(conversation, targets, now))
            if size > LONG
            else self._drafts(conversation, targets, now)
        )
        if turns:
            if self._encode is not None:
                await similar.close(drafts, turns, self._encode, self._settings.similarity)
            if self._settings.model:
                await self._ask(told, drafts, turns)
        return targets_of.outcome(drafts, told)

    def _drafts(
        self, conversation: Conversation, targets: tuple[str, ...], now: datetime
    ) -> tuple[dialogue.Dialogue, list[fill.Draft], list[Turn]]:
        """What extractors find for every target that counts; and the request's turns, read, if anything is open."""
        told = dialogue.read(conversation, now, day_first=self._settings.day_first)
        drafts = targets_of.drafts(targets_of.chosen(told, targets, self._targets), told)
        left = (self._encode or self._settings.model) and any(one.open for one in drafts)
        turns = [told.reader.turn(one.text) for one in told.turns if one.same] if left else []
        return told, drafts, turns

    async def _ask(self, told: dialogue.Dialogue, drafts: list[fill.Draft], turns: list[Turn]) -> None:
        """Ask the model for what is open. Blocks while it thinks."""
        evidence = Evidence(told)
        model = self._settings.model
        for draft in drafts:
            asked = closing.asked(draft, told, turns, optional=self._settings.optional)
            if asked is None:
                continue
            try:
                reply = await self._ctx.ask(model, asked.conversation, timeout=self._settings.timeout)
            except ArchflowError as error:
                self._ctx.log("slot_model_failed", model=model, error=type(error).__name__)
                return
            closing.take(draft, asked, reply.text, evidence)

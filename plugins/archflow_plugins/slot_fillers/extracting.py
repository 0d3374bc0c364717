"""What the composite slot filler does for one conversation.

    dialogue -> nearness (embedder) -> drafts (extractors, trees) -> similar (embedder) -> closing (model)
        -> calls or one question

Rule: a model that fails leaves its slots open: they are asked for.
Rule: what a conversation says is never logged.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from archflow_plugins.contexts import RunContext
from archflow_plugins.slot_fillers import clock, closing, similar
from archflow_plugins.slot_fillers.nearness import nearness
from archflow_plugins.slots import dialogue, fill
from archflow_plugins.slots import targets as targets_of
from archflow_plugins.slots.evidence import Evidence
from archflow_plugins.slots.turn import Turn, Weighing
from archflow_plugins.slots.weighing.trees import Trees
from archflow_schema.conversation import Conversation
from archflow_schema.errors import ArchflowError
from archflow_schema.slots import Filled, Question

if TYPE_CHECKING:
    from archflow_plugins.slot_fillers.composite import Composite

LONG = 2000
"""Characters from which a conversation is read in a thread."""
NEAR_TURNS = 3
"""Turns of the request whose pieces are embedded."""

T = TypeVar("T")


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
        long = sum(len(one.text) for one in conversation.messages) > LONG
        told, chosen = await self._away(long, lambda: self._read(conversation, targets, now))
        if self._encode is not None and chosen:
            turns = await self._away(long, lambda: self._same(told)[:NEAR_TURNS])
            near = await nearness(chosen, turns, self._encode)
            told.reader.weighing = Weighing(Trees.installed(), near)
        drafts = await self._away(long, lambda: targets_of.drafts(chosen, told))
        if (self._encode or self._settings.model) and any(one.open for one in drafts):
            turns = await self._away(long, lambda: self._same(told))
            if self._encode is not None:
                await similar.close(drafts, turns, self._encode, self._settings.similarity)
            if self._settings.model:
                await self._ask(told, drafts, turns)
        return targets_of.outcome(drafts, told)

    async def _away(self, long: bool, work: Callable[[], T]) -> T:
        """Do some work, in a thread if the conversation is long."""
        return await self._ctx.offload(work) if long else work()

    def _read(
        self, conversation: Conversation, targets: tuple[str, ...], now: datetime
    ) -> tuple[dialogue.Dialogue, list[fill.Target]]:
        """What a conversation says, and the targets that count."""
        told = dialogue.read(conversation, now, day_first=self._settings.day_first)
        told.reader.weighing = Weighing(Trees.installed())
        return told, targets_of.chosen(told, targets, self._targets)

    @staticmethod
    def _same(told: dialogue.Dialogue) -> list[Turn]:
        """The turns of the request, read."""
        return [told.reader.turn(one.text) for one in told.turns if one.same]

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

"""The default matcher: finds the prompt targets that a conversation asks for with this process's own models."""

from __future__ import annotations

from typing import Any, Self

from msgspec import Struct

from archflow_plugins.choosing.chooser import Chooser
from archflow_plugins.choosing.compiled import ChooserConfig, Chosen, compile_options
from archflow_plugins.contexts import CompileContext, RunContext
from archflow_plugins.kinds import Choice, Matcher
from archflow_schema.conversation import Conversation


class CompositeMatcher(Matcher):
    """Matches by embeddings and a trained scorer, in milliseconds; several targets where a turn asks for several."""

    kind = "matcher.composite"
    config = ChooserConfig
    compiled = Chosen

    @classmethod
    def compile(cls, config: ChooserConfig, ctx: CompileContext) -> Struct:
        return compile_options(config, ctx)

    def __init__(self, compiled: Any, ctx: RunContext) -> None:
        super().__init__(compiled, ctx)
        self._chooser: Chooser

    @classmethod
    async def open(cls, compiled: Any, ctx: RunContext) -> Self:
        matcher = cls(compiled, ctx)
        matcher._chooser = await Chooser.open(compiled, ctx)
        return matcher

    async def close(self) -> None:
        self._chooser.close()

    async def match(self, conversation: Conversation) -> Choice:
        return await self._chooser.choose(conversation, several=True)

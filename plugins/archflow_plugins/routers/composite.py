"""The default router: finds the preference that a conversation is about with this process's own models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

from msgspec import Struct

from archflow_plugins.choosing.chooser import Chooser
from archflow_plugins.choosing.compiled import Chosen, RouterConfig, compile_options
from archflow_plugins.contexts import CompileContext, Option, RunContext
from archflow_plugins.deciding.tuning import best_threshold, judged
from archflow_plugins.kinds import Choice, Router
from archflow_schema.conversation import Conversation


class CompositeRouter(Router):
    """Chooses by embeddings and a trained scorer, in milliseconds, with a calibrated confidence."""

    kind = "router.composite"
    config = RouterConfig
    compiled = Chosen

    @classmethod
    def compile(cls, config: RouterConfig, ctx: CompileContext) -> Struct:
        return compile_options(config, ctx)

    def __init__(self, compiled: Any, ctx: RunContext) -> None:
        super().__init__(compiled, ctx)
        self._chooser: Chooser

    @classmethod
    async def open(cls, compiled: Any, ctx: RunContext) -> Self:
        router = cls(compiled, ctx)
        router._chooser = await Chooser.open(compiled, ctx)
        return router

    async def close(self) -> None:
        self._chooser.close()

    async def choose(self, conversation: Conversation, options: tuple[Option, ...] = ()) -> Choice:
        return await self._chooser.choose(conversation, options)

    def tuned(self, cases: Sequence[tuple[str, Choice]]) -> Mapping[str, float]:
        now = self.settings.threshold
        best = best_threshold([judged(route, choice) for route, choice in cases], now)
        return {} if best == now else {"threshold": best}

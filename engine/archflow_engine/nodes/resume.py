"""Takes a conversation up again where nothing is matched: for a target, an agent or a model that was selected."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archflow_engine.prompts.prompt import readable
from archflow_engine.walk import Runner

if TYPE_CHECKING:
    from archflow_engine.exchange import Exchange
    from archflow_engine.prompts.resuming import Resuming


class ResumeNode(Runner):
    """Puts back what earlier turns called."""

    waits = True

    def __init__(self, name: str, resuming: Resuming) -> None:
        super().__init__(name)
        self._resuming = resuming

    async def run_waiting(self, exchange: Exchange) -> Runner | None:
        if readable(exchange):
            await self._resuming.prompt(exchange)
        return self.edges["resumed"]

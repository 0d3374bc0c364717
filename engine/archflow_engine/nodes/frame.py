"""Makes a conversation one that a model can be asked: with a system prompt, without the calls that only we know.

Rule: a conversation in which nothing changes goes on as the bytes that came.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from archflow_engine.prompts import history
from archflow_engine.prompts.prompt import cleaned, readable
from archflow_engine.walk import Runner

if TYPE_CHECKING:
    from archflow_engine.exchange import Exchange


class FrameNode(Runner):
    """Puts one system prompt before conversations of users."""

    def __init__(self, name: str, system: str, *, forget: bool) -> None:
        super().__init__(name)
        self._system = system
        self._forget = forget

    def run(self, exchange: Exchange) -> Runner | None:
        if readable(exchange):
            conversation = exchange.conversation
            system = self._system if conversation.user_turns else ""
            names = exchange.prompt.names if exchange.prompt is not None else frozenset()
            told = history.for_model(conversation, names, system=system, forget=self._forget)
            exchange.rewrite(cleaned(told))
        return self.edges["framed"]

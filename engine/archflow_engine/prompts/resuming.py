"""How a conversation is taken up again: a prompt begins, and what earlier turns called is put back.

Rule: what is known comes from the client's metadata and from the store; neither can name a call that is none of ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from archflow_engine.prompts import history, state
from archflow_engine.prompts.prompt import Prompt, cleaned, of

if TYPE_CHECKING:
    from archflow_engine.exchange import Exchange
    from archflow_engine.prompts.memory import Memory


class Resuming:
    """Takes up the conversations of one listener.

    Attributes:
        names: its prompt targets.
    """

    def __init__(self, names: tuple[str, ...], *, tells: bool, memory: Memory | None) -> None:
        """Args: `tells` if the client is told what is called; `memory` where it is kept here."""
        self.names = frozenset(names)
        self._tells = tells
        self._memory = memory

    async def prompt(self, exchange: Exchange) -> Prompt:
        """The exchange's prompt, with what earlier turns called in its conversation. Blocks if the store does."""
        prompt, memory = of(exchange), self._memory
        prompt.names, prompt.tells, prompt.memory = self.names, self._tells, memory
        conversation = exchange.conversation
        turns = state.of_client(conversation)
        if memory is not None:
            prompt.key = memory.key(exchange)
            turns |= state.of_turns(await memory.turns(prompt.key))
        exchange.rewrite(cleaned(history.restored(conversation, turns, self.names)))
        return prompt

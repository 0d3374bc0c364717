"""The state of conversations that is kept here, so that clients need carry nothing but their own messages.

Rule: a conversation is known by its id, by the listener and by the client's key together, so that nobody reads
another's by guessing an id.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import trio

from archflow_engine.hub import Hub
from archflow_engine.prompts import state
from archflow_engine.prompts.prompt import Prompt
from archflow_engine.prompts.state import Turn
from archflow_plugins.kinds import Store

if TYPE_CHECKING:
    from archflow_engine.exchange import Exchange

CONVERSATION = "x-arch-conversation-id"
"""The header, or the metadata, that names a conversation."""


class Memory:
    """The state of conversations, in one store."""

    def __init__(self, store: Store, seconds: float, hub: Hub) -> None:
        self._hub = hub
        self._store = store
        self._seconds = seconds

    def key(self, exchange: Exchange) -> str:
        """The key of the exchange's conversation; empty if it names none."""
        named = exchange.request.fields.get(CONVERSATION.encode(), b"").decode("latin-1").strip()
        if not named:
            metadata = exchange.conversation.metadata
            named = next((value for name, value in metadata if name == CONVERSATION), "")
        if not named:
            return ""
        digest = hashlib.sha256()
        for part in (
            exchange.listener.name.encode(),
            exchange.request.fields.get(b"authorization", b"")
            or exchange.request.fields.get(b"x-api-key", b""),
            named.encode("utf-8", "surrogatepass"),
        ):
            digest.update(b"%d:" % len(part) + part)
        return f"conversation\n{digest.hexdigest()}"

    async def turns(self, key: str) -> tuple[Turn, ...]:
        """What is kept. Blocks if the store does; a store that fails keeps nothing."""
        if not key:
            return ()
        try:
            found = await self._store.get(key)
        except trio.Cancelled:
            raise
        except Exception as error:  # noqa: BLE001 - state that is lost costs context, never a request
            self._hub.trouble(error)
            return ()
        return state.of_store(found)

    async def keep(self, exchange: Exchange, prompt: Prompt) -> None:
        """Keep what the newest turn called. Blocks if the store does."""
        key = prompt.key
        if not key:
            return
        number = len(exchange.conversation.user_turns)
        try:
            value = state.for_store(await self.turns(key), number, prompt.made)
            await self._store.put(key, value, self._seconds)
        except trio.Cancelled:
            raise
        except Exception as error:  # noqa: BLE001 - as above
            self._hub.trouble(error)

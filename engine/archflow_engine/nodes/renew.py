"""Sends to an upstream whose key expires: once it is stale, the next request waits until there is another.

Rule: while the key is good, a request needs no task.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from archflow_engine.nodes.dispatch import DispatchNode
from archflow_engine.walk import Runner
from archflow_schema.errors import UpstreamError

if TYPE_CHECKING:
    from archflow_engine.exchange import Exchange
    from archflow_schema.conversation import Conversation
    from archflow_schema.reply import Reply


class RenewingDispatchNode(DispatchNode):
    """A DispatchNode for a provider that implements `renew`."""

    @property
    def waits(self) -> bool:  # type: ignore[override]
        """Whether the key must be renewed before the next request."""
        return self._kind.stale

    async def run_waiting(self, exchange: Exchange) -> Runner | None:
        try:
            await self._kind.renew()
        except UpstreamError as error:
            exchange.error = str(error)
            return self.edges["failed"]
        return self.run(exchange)

    async def ask(self, conversation: Conversation, suffix: str, timeout: float) -> Reply:  # noqa: ASYNC109
        if self._kind.stale:
            await self._kind.renew()
        return await super().ask(conversation, suffix, timeout)

"""Asks a guard kind about the conversation. A guard that fails denies, by the edge that the graph wired."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from archflow_engine.walk import Runner
from archflow_plugins.kinds import Guard, Verdict
from archflow_schema.errors import ClientProtocolError

if TYPE_CHECKING:
    from archflow_engine.exchange import Exchange


class GuardNode(Runner):
    """Runs a guard that judges at once."""

    def __init__(self, name: str, guard: Guard) -> None:
        super().__init__(name)
        self._guard = guard

    def run(self, exchange: Exchange) -> Runner | None:
        conversation = exchange.conversation
        try:
            verdict = self._guard.check_nowait(conversation)
        except Exception as error:  # noqa: BLE001 - a guard that could not judge has not allowed
            return self._failed(exchange, error)
        return self._judged(exchange, verdict)

    def _judged(self, exchange: Exchange, verdict: Verdict) -> Runner | None:
        outcome = "allow" if verdict.allow else "deny"
        exchange.record.guards.append((self.name, outcome))
        if not verdict.allow:
            exchange.error = verdict.message
        return self.edges[outcome]

    def _failed(self, exchange: Exchange, error: Exception) -> Runner | None:
        exchange.record.guards.append((self.name, "failed"))
        exchange.error = f"the guard {self.name} could not judge the request"
        exchange.plan.hub.trouble(error)
        return self.edges["failed"]


class WaitingGuardNode(GuardNode):
    """Runs a guard that waits for others."""

    waits = True

    async def run_waiting(self, exchange: Exchange) -> Runner | None:
        conversation = exchange.conversation
        try:
            verdict = await self._guard.check(conversation)
        except (ClientProtocolError, trio.Cancelled):
            raise
        except Exception as error:  # noqa: BLE001 - as above
            return self._failed(exchange, error)
        return self._judged(exchange, verdict)

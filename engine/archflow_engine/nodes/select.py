"""Lets a router choose the agent by what the conversation is about.

Rule: a router that fails, or takes too long, has chosen nobody; the record, the reply and the metrics say so.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import trio

from archflow_engine import trace
from archflow_engine.hub import monotonic
from archflow_engine.walk import Runner
from archflow_plugins.kinds import Choice, Router
from archflow_plugins.record import Decision
from archflow_schema.errors import ClientProtocolError

if TYPE_CHECKING:
    from archflow_engine.exchange import Exchange


class SelectNode(Runner):
    """Asks a router kind."""

    waits = True

    def __init__(self, name: str, router: Router, agents: tuple[str, ...], timeout: float) -> None:
        super().__init__(name)
        self._router = router
        self._agents = frozenset(agents)
        self._timeout = timeout

    async def run_waiting(self, exchange: Exchange) -> Runner | None:
        decision = Decision(id=trace.new_span_id(), node=self.name)
        exchange.record.decisions.append(decision)
        began = monotonic()
        choice = await self._asked(exchange, decision)
        decision.seconds = monotonic() - began
        chosen = choice.option if choice is not None and choice.option in self._agents else ""
        if choice is not None:
            decision.option = chosen
            decision.reason = choice.reason or "none"
            decision.confidence = choice.confidence
            decision.runner_up = next((name for name, _ in choice.scores if name != chosen), "")
        exchange.reply_headers += [
            (b"x-arch-decision-id", decision.id.encode("ascii")),
            (b"x-arch-route-reason", decision.reason.encode("ascii", "backslashreplace")),
        ]
        if choice is None:
            return self.edges["failed"]
        return self.edges[f"agent:{chosen}" if chosen else "none"]

    async def _asked(self, exchange: Exchange, decision: Decision) -> Choice | None:
        """The router's answer; None if there is none in time."""
        conversation = exchange.conversation
        try:
            with trio.move_on_after(self._timeout or math.inf):
                return await self._router.choose(conversation)
        except (ClientProtocolError, trio.Cancelled):
            raise
        except Exception as error:  # noqa: BLE001 - a router that fails has chosen nobody
            decision.reason = "failed"
            exchange.plan.hub.trouble(error)
            return None
        decision.reason = "timeout"
        return None

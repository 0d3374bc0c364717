"""Asks a guard kind about the conversation. A guard that fails denies, unless the graph wired it to fail open.

Rule: a guard that failed is recorded as failed, wherever its edge leads.
Rule: what a guard puts in the conversation's place is all that goes on, to whomever; the reply is the client's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from archflow_engine.nodes.judged import OfReply, denied
from archflow_engine.nodes.rewrite import rewritten
from archflow_engine.screening import Screening
from archflow_engine.stages import put
from archflow_engine.walk import Runner
from archflow_plugins.kinds import Guard
from archflow_plugins.verdict import Verdict
from archflow_schema.errors import ClientProtocolError

if TYPE_CHECKING:
    from archflow_engine.exchange import Exchange
    from archflow_schema.conversation import Conversation


class GuardNode(Runner):
    """Runs a guard that judges at once."""

    def __init__(self, name: str, guard: Guard, label: str = "") -> None:
        super().__init__(name)
        self._guard = guard
        self._label = label or name

    def run(self, exchange: Exchange) -> Runner | None:
        conversation = exchange.conversation
        try:
            verdict = self._guard.check_nowait(conversation)
        except Exception as error:  # noqa: BLE001 - a guard that could not judge has not allowed
            return self._failed(exchange, error)
        return self._judged(exchange, verdict)

    def _judged(self, exchange: Exchange, verdict: Verdict) -> Runner | None:
        if not verdict.allow:
            denied(exchange, self.name, self._label, verdict)
            return self.edges["deny"]
        if verdict.becomes is not None and not self._change(exchange, verdict.becomes):
            return None
        if verdict.screens is not None:
            screens = verdict.screens
            open_here = self.edges["failed"] is self.edges["allow"]

            def stage() -> Screening:
                judge = OfReply(exchange, self, self._label, fail_open=open_here, judges=False)
                return Screening(screens, judge)

            put(exchange, stage, last=True)
        exchange.record.guards.append((self.name, "allow" if verdict.becomes is None else "changed"))
        return self.edges["allow"]

    def _change(self, exchange: Exchange, after: Conversation) -> bool:
        """Let another conversation go on; False if that cannot be, and was answered."""
        assert exchange.dialect is not None  # noqa: S101 - set by begin()
        if not exchange.dialect.translates:
            exchange.refuse(
                400,
                "unsupported_dialect",
                f"the guard {self._label} cannot change requests in {exchange.record.dialect}: use another API",
            )
            return False
        head = rewritten(exchange, after)
        exchange.said = exchange.said or exchange.head
        exchange.becomes(head)
        return True

    def _failed(self, exchange: Exchange, error: Exception) -> Runner | None:
        exchange.record.guards.append((self.name, "failed"))
        if self.edges["failed"] is not self.edges["allow"]:
            exchange.error = f"the guard {self._label} could not judge the request"
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

"""Asks a guard kind about the conversation. A guard that fails denies, unless the graph wired it to fail open.

Rule: a guard that failed is recorded as failed, wherever its edge leads.
Rule: a client that was denied is told by whom, in a header of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from archflow_engine.walk import Runner
from archflow_plugins.kinds import Guard
from archflow_plugins.verdict import Verdict
from archflow_schema.errors import ClientProtocolError

if TYPE_CHECKING:
    from archflow_engine.exchange import Exchange


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
        outcome = "allow" if verdict.allow else "deny"
        exchange.record.guards.append((self.name, outcome))
        if not verdict.allow:
            record = exchange.record
            record.denied_by = self._label
            record.denied_score = verdict.score or -1.0
            exchange.reply_headers.append((b"x-arch-guard", told(self._label, verdict.score)))
            exchange.error = verdict.message
        return self.edges[outcome]

    def _failed(self, exchange: Exchange, error: Exception) -> Runner | None:
        exchange.record.guards.append((self.name, "failed"))
        if self.edges["failed"] is not self.edges["allow"]:
            exchange.error = f"the guard {self.name} could not judge the request"
        exchange.plan.hub.trouble(error)
        return self.edges["failed"]


def told(label: str, score: float) -> bytes:
    """A guard and its score for a header: a string and a parameter of RFC 8941, so that any name can stand there."""
    ascii_only = label.encode("ascii", "replace").decode("ascii")
    named = "".join(one if one.isprintable() else "?" for one in ascii_only)
    quoted = named.replace("\\", "\\\\").replace('"', '\\"')
    scored = f";score={score:.3f}" if score else ""
    return f'"{quoted}"{scored}'.encode("ascii")


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

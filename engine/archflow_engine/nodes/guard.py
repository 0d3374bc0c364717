"""Asks a guard kind about the conversation. A guard that fails denies, unless the graph wired it to fail open.

Rule: a guard that failed is recorded as failed, wherever its edge leads.
Rule: what a guard puts in the conversation's place is all that goes on, to whomever; the reply is the client's own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import trio

from archflow_engine.nodes.judged import OfReply, denied
from archflow_engine.screening import Screening
from archflow_engine.stages import put
from archflow_engine.walk import Runner
from archflow_plugins import rewriting
from archflow_plugins.kinds import Guard, Head
from archflow_plugins.verdict import Verdict
from archflow_schema.errors import ClientProtocolError

if TYPE_CHECKING:
    from archflow_engine.exchange import Exchange
    from archflow_schema.conversation import Conversation


AT_ONCE = 32 * 1024
"""Bytes of a request that is written anew on the event loop; a longer one is in a thread."""


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
        work = self._goes_on(exchange, conversation, verdict)
        return self._judged(exchange, verdict, None if work is None else work())

    def _judged(self, exchange: Exchange, verdict: Verdict, head: Head | None) -> Runner | None:
        """Go on from a verdict with the request `head`, or with what there is."""
        if not verdict.allow:
            denied(exchange, self.name, self._label, verdict)
            return self.edges["deny"]
        if verdict.becomes is not None and head is None:
            exchange.refuse(
                400,
                "unsupported_dialect",
                f"the guard {self._label} cannot change requests in {exchange.record.dialect}: use another API",
            )
            return None
        changed = head is not None and head is not exchange.head
        if head is not None and changed:
            exchange.instead(head)
        if verdict.screens is not None and (changed or verdict.texts is None):
            screens = verdict.screens
            open_here = self.edges["failed"] is self.edges["allow"]

            def stage() -> Screening:
                judge = OfReply(exchange, self, self._label, fail_open=open_here, judges=False)
                return Screening(screens, judge)

            put(exchange, stage, last=True)
        exchange.record.guards.append((self.name, "changed" if changed else "allow"))
        return self.edges["allow"]

    @staticmethod
    def _goes_on(
        exchange: Exchange, conversation: Conversation, verdict: Verdict
    ) -> Callable[[], Head] | None:
        """What writes the request that goes on; None if nothing can, or need."""
        dialect, head, texts = exchange.dialect, exchange.head, verdict.texts
        assert dialect is not None and head is not None  # noqa: PT018, S101 - set by begin()
        if not verdict.allow or not dialect.translates or (verdict.becomes is None and texts is None):
            return None
        before, after = exchange.original or conversation, verdict.becomes or conversation

        def work() -> Head:
            new = head if verdict.becomes is None else rewriting.rewritten(dialect, head, before, after)
            return new if texts is None else rewriting.covered(dialect, new, after, texts)

        return work

    def _failed(self, exchange: Exchange, error: Exception) -> Runner | None:
        exchange.record.guards.append((self.name, "failed"))
        if self.edges["failed"] is not self.edges["allow"]:
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
        work = self._goes_on(exchange, conversation, verdict)
        if work is None:
            return self._judged(exchange, verdict, None)
        assert exchange.head is not None  # noqa: S101 - set by begin()
        long = len(exchange.head.body) > AT_ONCE
        return self._judged(exchange, verdict, await self._guard.ctx.offload(work) if long else work())

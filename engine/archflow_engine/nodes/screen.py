"""Has a guard judge the reply: before the model is asked, this node puts a stage into the reply's way.

Rule: a guard that failed denies, unless the graph says that it fails open; it is recorded as failed either way.
Rule: a client that was denied is told by whom: in a header, as long as it got none, and in the record in any case.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from archflow_engine.nodes.guard import told
from archflow_engine.screening import Screening
from archflow_engine.stages import Ended
from archflow_engine.walk import Runner
from archflow_plugins.kinds import Guard
from archflow_plugins.verdict import Channel, Screen, Verdict
from archflow_schema.events import Failed

if TYPE_CHECKING:
    from archflow_engine.exchange import Exchange


class ScreenNode(Runner):
    """Runs a guard over replies.

    Attributes:
        label: what clients are told that it is called.
        open: whether a reply that it cannot judge goes to the client all the same.
    """

    def __init__(self, name: str, guard: Guard, label: str, *, fail_open: bool) -> None:
        super().__init__(name)
        self.label = label or name
        self.open = fail_open
        self._guard = guard

    def run(self, exchange: Exchange) -> Runner | None:
        dialect = exchange.dialect
        assert dialect is not None  # noqa: S101 - set by begin()
        if dialect.translates:
            put(exchange, partial(self._stage, exchange))
        elif not dialect.silent:
            exchange.refuse(
                400,
                "unsupported_dialect",
                f"the guard {self.label} cannot judge replies in {exchange.record.dialect}: use another API",
            )
            return None
        return self.edges["ready"]

    def _stage(self, exchange: Exchange) -> Screening:
        def screen(channel: Channel) -> Screen | None:
            return self._guard.screen(channel, lambda: exchange.conversation)

        return Screening(screen, _Judge(self, exchange))


class _Judge:
    """What a guard's judgement means for one exchange."""

    def __init__(self, node: ScreenNode, exchange: Exchange) -> None:
        self._node = node
        self._exchange = exchange

    def allowed(self) -> None:
        self._exchange.record.guards.append((self._node.name, "allow"))

    def denied(self, verdict: Verdict) -> Runner | None:
        node, exchange = self._node, self._exchange
        record = exchange.record
        record.guards.append((node.name, "deny"))
        record.denied_by = node.label
        record.denied_score = verdict.score or -1.0
        record.finish_reason = "content_filter"
        exchange.reply_headers.append((b"x-arch-guard", told(node.label, verdict.score)))
        exchange.error = verdict.message
        return node.edges["deny"]

    def failed(self, error: Exception) -> Ended | None:
        node, exchange = self._node, self._exchange
        exchange.record.guards.append((node.name, "failed"))
        exchange.plan.hub.trouble(error)
        if node.open:
            return None
        message = f"the guard {node.name} could not judge the answer"
        exchange.error = message
        exchange.record.error, exchange.record.detail = "guard_failed", message
        return Ended(node.edges["failed"], [Failed("guard_failed", message)])


def put(exchange: Exchange, stage: partial[Screening]) -> None:
    """Let the reply pass one more stage, behind those that are there."""
    if exchange.stages is None:
        exchange.stages = []
    exchange.stages.append(stage)

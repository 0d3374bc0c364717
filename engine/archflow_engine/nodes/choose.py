"""Lets a router choose the model by what the conversation is about, and tells everybody what it chose and why.

How it is chosen stands in `archflow_plugins.deciding`, which `archc explain --prompt` asks the same.

Rule: a router that fails, or takes too long, has preferred nothing; the record, the reply and the metrics say so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from archflow_engine import trace
from archflow_engine.decided import tell, tell_model
from archflow_engine.walk import Runner
from archflow_plugins.deciding.choosing import Choosing, Request
from archflow_plugins.deciding.sessions import AFFINITY, PERCENT
from archflow_plugins.kinds import Head
from archflow_plugins.record import Decision
from archflow_schema.conversation import Conversation

if TYPE_CHECKING:
    from archflow_engine.exchange import Exchange

_AFFINITY, _PERCENT = AFFINITY.encode(), PERCENT.encode()


class ChooseNode(Runner):
    """Asks a router kind."""

    waits = True

    def __init__(self, name: str, choosing: Choosing) -> None:
        super().__init__(name)
        self._choosing = choosing
        sessions = choosing.sessions
        self._tenant = sessions.tenant.encode() if sessions is not None else b""

    async def run_waiting(self, exchange: Exchange) -> Runner | None:
        decision = Decision(id=trace.new_span_id(), node=self.name)
        exchange.record.decisions.append(decision)
        exchange.decision = decision
        chosen = await self._choosing.choose(self._request(exchange), decision)
        for error in chosen.troubles:
            exchange.plan.hub.trouble(error)
        if chosen.head is not exchange.head:
            exchange.becomes(chosen.head)
        tell(exchange, decision)
        if exchange.decides and chosen.models:
            exchange.decided(chosen.models)
            return None
        if chosen.outcome == "named":
            exchange.chosen = chosen.models
        if chosen.outcome != "model":
            return self.edges[chosen.outcome]
        tell_model(exchange, chosen.models[0])
        exchange.record.model = chosen.models[0]
        exchange.record.reason = "session" if decision.pinned else "preference"
        exchange.spare = chosen.models[1:]
        return self.edges[f"model:{chosen.models[0]}"]

    def _request(self, exchange: Exchange) -> Request:
        def decode(head: Head) -> Conversation:
            if head is not exchange.head:
                exchange.becomes(head)
            return exchange.conversation

        head, fields = exchange.head, exchange.request.fields
        assert head is not None  # noqa: S101 - set by begin()
        session = fields.get(_AFFINITY, b"")
        if not session:
            return Request(head=head, decode=decode)
        return Request(
            head=head,
            decode=decode,
            tokens=exchange.estimate(),
            session=session.decode("latin-1"),
            tenant=fields.get(self._tenant, b"").decode("latin-1"),
            percent=_percent(fields.get(_PERCENT)),
        )


def _percent(said: bytes | None) -> float | None:
    """The per cent of a header; None if it says nothing that can be used."""
    try:
        return min(100.0, max(0.0, float(said))) if said else None
    except ValueError:
        return None

"""Picks the model that a request names, or leaves it to a router; the tables are those of `deciding.names`.

A hint that is unknown is passed over; the reply's `x-arch-dropped` and the record's reason say so. Preferences that a
request brings are taken out of it where nobody looks at them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import structs

from archflow_engine.decided import tell_model
from archflow_engine.walk import Runner
from archflow_plugins.deciding.names import HINT, Named, Names
from archflow_plugins.deciding.proposed import brings, without
from archflow_plugins.kinds import Head
from archflow_schema.graph import Route

if TYPE_CHECKING:
    from archflow_engine.exchange import Exchange

_DROPPED = (b"x-arch-dropped", HINT)


class RouteNode(Runner):
    """Looks the model up."""

    def __init__(self, node: Route) -> None:
        super().__init__(node.name)
        self._names = Names(node)

    def run(self, exchange: Exchange) -> Runner | None:
        head, record = exchange.head, exchange.record
        assert head is not None  # noqa: S101 - set by begin()
        found = self._names.plain.get(head.model)
        if found is None or exchange.chosen or HINT in exchange.request.fields or brings(head):
            found = self._found(exchange, head)
        if found.model:
            record.model = found.model
            exchange.model_suffix = found.suffix
            if exchange.decision is not None:
                tell_model(exchange, found.model)
            if exchange.decides:
                record.reason = found.reason
                exchange.decided((found.model,))
                return None
        elif found.outcome == "unknown":
            exchange.error = self._names.explain(head.model)
        if found.reason:
            record.reason = found.reason
        return self.edges[found.outcome]

    def _found(self, exchange: Exchange, head: Head) -> Named:
        """What is found for a request that may say more than a name."""
        own = brings(head)
        hint = exchange.request.fields.get(HINT)
        found = None if hint is None else self._names.hinted(hint.decode("latin-1"))
        if found is None:
            found = self._names.named(head.model, chosen=exchange.chosen, brings=own)
            if hint is not None and found.outcome != "choose":
                found = self._passed_over(exchange, found)
        if own and found.outcome != "choose":
            exchange.becomes(without(head))
        return found

    @staticmethod
    def _passed_over(exchange: Exchange, found: Named) -> Named:
        exchange.reply_headers.append(_DROPPED)
        return structs.replace(
            found, reason=f"{found.reason}, hint unknown" if found.reason else "hint unknown"
        )

"""Takes the next model of a route, where an upstream could not be reached: no connection, TLS or stream.

Rule: an answer with an error status, 429 included, is the client's; it never leads here.
Rule: whatever was made or charged for the model that refused is undone first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from archflow_engine.decided import tell_model
from archflow_engine.walk import Runner

if TYPE_CHECKING:
    from archflow_engine.exchange import Exchange


class NextNode(Runner):
    """Goes on with the best model that was not asked yet."""

    def run(self, exchange: Exchange) -> Runner | None:
        if not exchange.spare:
            return self.edges["none"]
        model, exchange.spare = exchange.spare[0], exchange.spare[1:]
        exchange.anew()
        tell_model(exchange, model)
        exchange.record.model = model
        exchange.record.reason = "next of route"
        return self.edges[f"model:{model}"]

"""Picks the model: by provider hint, by name or alias, by wildcard, or the default one; or leaves it to a router.

What is unknown is refused with the names that come close, or goes to the default model if the graph says so. A hint
that is unknown is passed over, as it is only a hint; the reply's `x-arch-dropped` and the record's reason say so.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from archflow_engine.nodes.proposed import brings
from archflow_engine.walk import Runner
from archflow_schema.graph import Route

if TYPE_CHECKING:
    from archflow_engine.exchange import Exchange

HINT = b"x-arch-llm-provider-hint"
_DROPPED = (b"x-arch-dropped", HINT)
_UNNAMED = frozenset({"", "none", "auto", "default"})
"""What a client may say instead of a model's name; Arch's own examples send "none"."""


class RouteNode(Runner):
    """Looks the model up in tables that were made at compile time."""

    def __init__(self, node: Route) -> None:
        super().__init__(node.name)
        self._names = {name: (f"model:{model}", model, reason) for name, model, reason in node.names}
        self._wildcards = tuple(sorted(node.wildcards, key=lambda item: -len(item[0])))
        self._default = node.default
        self._routed = frozenset(node.routed)
        self._unknown_to_default = node.unknown == "default"

    def run(self, exchange: Exchange) -> Runner | None:
        hint = exchange.request.fields.get(HINT)
        if hint is None:
            return self._by_name(exchange)
        found = self._find(exchange, hint.decode("latin-1").strip(), "hint")
        if found is not None:
            return found
        exchange.reply_headers.append(_DROPPED)
        found = self._by_name(exchange)
        record = exchange.record
        record.reason = f"{record.reason}, hint unknown" if record.reason else "hint unknown"
        return found

    def _by_name(self, exchange: Exchange) -> Runner | None:
        assert exchange.head is not None  # noqa: S101 - set by begin()
        asked = exchange.chosen or exchange.head.model
        if self._routed and (asked in self._routed or brings(exchange.head)):
            return self.edges["choose"]
        found = self._find(exchange, asked, "preference" if exchange.chosen else "")
        if found is not None:
            return found
        if self._unknown_to_default and self._default:
            return self._take(exchange, self._default, "default")
        exchange.error = self._explain(asked)
        return self.edges["unknown"]

    def _find(self, exchange: Exchange, asked: str, reason: str) -> Runner | None:
        entry = self._names.get(asked)
        if entry is not None:
            outcome, model, why = entry
            exchange.record.model = model
            exchange.record.reason = reason or why
            return self.edges[outcome]
        for prefix, model in self._wildcards:
            if asked.startswith(prefix) and len(asked) > len(prefix):
                exchange.model_suffix = asked[len(prefix) :]
                return self._take(exchange, model, reason or "wildcard")
        if asked in _UNNAMED and self._default:
            return self._take(exchange, self._default, reason or "default")
        return None

    def _take(self, exchange: Exchange, model: str, reason: str) -> Runner | None:
        exchange.record.model = model
        exchange.record.reason = reason
        return self.edges[f"model:{model}"]

    def _explain(self, asked: str) -> str:
        if asked in _UNNAMED:
            return "no model specified in the request, and no default model is configured"
        close = difflib.get_close_matches(asked[:200], self._names, n=3, cutoff=0.5)
        hint = f"; did you mean {' or '.join(close)}?" if close else "; GET /v1/models lists the models"
        return f"the requested model '{asked[:200]}' does not exist{hint}"

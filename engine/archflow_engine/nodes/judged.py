"""What a guard's judgement means for an exchange: in its record, in the reply's header, and for where the walk goes on.

Rule: a guard that failed is recorded as failed, wherever its edge leads.
Rule: a client that was denied is told by whom, in a header of its own, as long as it got none yet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from archflow_engine.stages import Ended
from archflow_plugins.verdict import Verdict
from archflow_schema.events import Failed

if TYPE_CHECKING:
    from archflow_engine.exchange import Exchange
    from archflow_engine.walk import Runner


def denied(exchange: Exchange, name: str, label: str, verdict: Verdict) -> None:
    """A guard denied what an exchange asks, or what it is answered."""
    record = exchange.record
    record.guards.append((name, "deny"))
    record.denied_by = label
    record.denied_score = verdict.score or -1.0
    exchange.reply_headers.append((b"x-arch-guard", told(label, verdict.score)))
    exchange.error = verdict.message


def told(label: str, score: float) -> bytes:
    """A guard and its score for a header: a string and a parameter of RFC 8941, so that any name can stand there."""
    ascii_only = label.encode("ascii", "replace").decode("ascii")
    named = "".join(one if one.isprintable() else "?" for one in ascii_only)
    quoted = named.replace("\\", "\\\\").replace('"', '\\"')
    scored = f";score={score:.3f}" if score else ""
    return f'"{quoted}"{scored}'.encode("ascii")


class OfReply:
    """Hears how a guard judges the reply of one exchange."""

    def __init__(
        self, exchange: Exchange, node: Runner, label: str, *, fail_open: bool, judges: bool = True
    ) -> None:
        """Make it.

        Args:
            exchange: the exchange.
            node: the guard's, whose edges deny and failed lead on.
            label: what clients are told that it is called.
            fail_open: whether a reply that it could not judge goes to the client.
            judges: whether it is worth a record that it has passed a reply.
        """
        self._exchange = exchange
        self._node = node
        self._label = label
        self._open = fail_open
        self._judges = judges

    def allowed(self) -> None:
        """All of it was judged, and leaves."""
        if self._judges:
            self._exchange.record.guards.append((self._node.name, "allow"))

    def denied(self, verdict: Verdict) -> Runner | None:
        """It ends here; where the walk goes on if the client got nothing."""
        denied(self._exchange, self._node.name, self._label, verdict)
        self._exchange.record.finish_reason = "content_filter"
        return self._node.edges["deny"]

    def failed(self, error: Exception) -> Ended | None:
        """It cannot be judged: how it ends; None if it leaves all the same."""
        exchange, node = self._exchange, self._node
        exchange.record.guards.append((node.name, "failed"))
        exchange.plan.hub.trouble(error)
        if self._open:
            return None
        message = f"the guard {self._label} could not judge the answer"
        exchange.error = message
        exchange.record.error, exchange.record.detail = "guard_failed", message
        return Ended(node.edges["failed"], [Failed("guard_failed", message)])

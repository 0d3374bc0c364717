"""What a client is told that asked which model would be asked, and not for an answer.

The names are those of Plano's routing service, so that its clients can read them; what is ours comes after them.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from archflow_plugins.record import Decision, Record


class _Decided(Struct):
    """The body.

    Attributes:
        models: best first.
        route: the preference; null if none was found.
        trace_id: of this request.
        session_id: as the client named it.
        pinned, switched: whether its session was with the first model before, or moved to it.
        decision_id, reason, confidence, runner_up, seconds: how it was found.
    """

    models: tuple[str, ...]
    route: str | None
    trace_id: str
    session_id: str | None
    pinned: bool
    switched: bool
    decision_id: str
    reason: str
    confidence: float
    runner_up: str
    seconds: float


_encode = msgspec.json.Encoder().encode


def encode_decided(models: tuple[str, ...], record: Record, decision: Decision | None, session: str) -> bytes:
    """The body for a decision, or for a model that was named or is the default, where nothing had to be decided."""
    decision = decision or Decision(reason=record.reason)
    return _encode(
        _Decided(
            models=models,
            route=decision.option or None,
            trace_id=record.trace_id,
            session_id=session or None,
            pinned=decision.pinned,
            switched=decision.switched,
            decision_id=decision.id,
            reason=decision.reason,
            confidence=decision.confidence,
            runner_up=decision.runner_up,
            seconds=decision.seconds,
        )
    )

"""What a client is told of a decision: in the headers of its reply, or in the body if it asked for nothing else.

The body's names are those of Plano's routing service, so that its clients can read them; what is ours comes after them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from archflow_plugins.record import Decision, Record

if TYPE_CHECKING:
    from archflow_engine.exchange import Exchange

MODEL = b"x-arch-model"
"""The reply header that names the model that was asked."""


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


def tell(exchange: Exchange, decision: Decision) -> None:
    """Write the decision into the reply's headers."""
    headers = [("x-arch-decision-id", decision.id), ("x-arch-route-reason", decision.reason)]
    if decision.option:
        headers.append(("x-arch-route", decision.option))
    exchange.reply_headers += [(name.encode("ascii"), _value(text)) for name, text in headers]


def tell_model(exchange: Exchange, model: str) -> None:
    """Write into the reply's headers and the decision which model is asked because of it, if there was one."""
    if exchange.decision is None:
        return
    exchange.decision.model = model
    others = [header for header in exchange.reply_headers if header[0] != MODEL]
    exchange.reply_headers = [*others, (MODEL, _value(model))]


def _value(text: str) -> bytes:
    """A text as a header's value, which it cannot end."""
    shown = text if text.isprintable() else "".join(one if one.isprintable() else " " for one in text)
    return shown.encode("ascii", "backslashreplace")

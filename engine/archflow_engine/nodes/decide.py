"""Asks a kind that decides, on the record and within a time: what match and select have in common.

Rule: a kind that fails, or takes too long, has decided nothing; the record says so, and the request goes on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import trio

from archflow_engine import trace
from archflow_engine.hub import monotonic
from archflow_plugins.kinds import Choice
from archflow_plugins.record import Decision
from archflow_schema.conversation import Conversation
from archflow_schema.errors import ClientProtocolError

if TYPE_CHECKING:
    from archflow_engine.exchange import Exchange


async def decided(
    exchange: Exchange,
    node: str,
    ask: Callable[[Conversation], Awaitable[Choice]],
    timeout: float,  # noqa: ASYNC109 - it comes from the graph, and its end is an outcome
) -> tuple[Decision, Choice | None]:
    """What a kind decides of the exchange's conversation; None if that is nothing, or not in time. Blocks.

    Args:
        exchange: whose record tells of it.
        node: who asks.
        ask: the kind.
        timeout: seconds that it may take.

    Raises:
        ClientProtocolError: there is no conversation to decide of.
    """
    decision = Decision(id=trace.new_span_id(), node=node)
    exchange.record.decisions.append(decision)
    began = monotonic()
    choice = await _asked(exchange, decision, ask, timeout)
    decision.seconds = monotonic() - began
    if choice is not None:
        decision.reason = choice.reason or "none"
        decision.confidence = choice.confidence
    return decision, choice


async def _asked(
    exchange: Exchange,
    decision: Decision,
    ask: Callable[[Conversation], Awaitable[Choice]],
    timeout: float,  # noqa: ASYNC109 - as above
) -> Choice | None:
    conversation = exchange.conversation
    try:
        with trio.move_on_after(timeout):
            return await ask(conversation)
    except (ClientProtocolError, trio.Cancelled):
        raise
    except Exception as error:  # noqa: BLE001 - a kind that fails has decided nothing
        decision.reason = "failed"
        exchange.plan.hub.trouble(error)
        return None
    decision.reason = "timeout"
    return None

"""Lets a router choose the model by what the conversation is about.

A request may bring preferences of its own; they take the place of the graph's, and are removed before it is sent on.

Rule: a router that fails, or takes too long, has preferred nothing; the record, the reply and the metrics say so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import trio
from msgspec import structs

from archflow_engine import trace
from archflow_engine.hub import monotonic
from archflow_engine.nodes.proposed import Proposed, take
from archflow_engine.walk import Runner
from archflow_plugins.kinds import Choice, Router
from archflow_plugins.record import Decision
from archflow_schema.conversation import Conversation
from archflow_schema.errors import ClientProtocolError

if TYPE_CHECKING:
    from archflow_engine.exchange import Exchange


class ChooseNode(Runner):
    """Asks a router kind."""

    waits = True

    def __init__(
        self,
        name: str,
        router: Router,
        routes: Mapping[str, tuple[str, ...]],
        timeout: float,
        *,
        user_only: bool,
    ) -> None:
        super().__init__(name)
        self._router = router
        self._routes = routes
        self._timeout = timeout
        self._user_only = user_only

    async def run_waiting(self, exchange: Exchange) -> Runner | None:
        assert exchange.head is not None  # noqa: S101 - set by begin()
        proposed = take(exchange.head)
        routes = self._routes
        if proposed is not None:
            exchange.becomes(proposed.head)
            routes = proposed.routes
        decision = Decision(id=trace.new_span_id(), node=self.name)
        exchange.record.decisions.append(decision)
        began = monotonic()
        choice = await self._asked(exchange, decision, proposed)
        decision.seconds = monotonic() - began
        models = routes.get(choice.option, ()) if choice is not None else ()
        _tell(exchange, decision, choice, models)
        if choice is None:
            return self.edges["failed"]
        if not models:
            return self.edges["none"]
        if proposed is not None:
            exchange.chosen = models[0]
            return self.edges["named"]
        exchange.record.model = models[0]
        exchange.record.reason = "preference"
        return self.edges[f"model:{models[0]}"]

    async def _asked(
        self, exchange: Exchange, decision: Decision, proposed: Proposed | None
    ) -> Choice | None:
        """The router's answer; None if there is none in time."""
        conversation = exchange.conversation
        if self._user_only:
            conversation = _until_the_user(conversation)
        try:
            with trio.move_on_after(self._timeout or math.inf):
                return await self._router.choose(
                    conversation, proposed.options if proposed is not None else ()
                )
        except (ClientProtocolError, trio.Cancelled):
            raise
        except Exception as error:  # noqa: BLE001 - a router that fails has preferred nothing
            decision.reason = "failed"
            exchange.plan.hub.trouble(error)
            return None
        decision.reason = "timeout"
        return None


def _until_the_user(conversation: Conversation) -> Conversation:
    """The conversation up to the newest turn of a user."""
    messages = conversation.messages
    last = max((index for index, one in enumerate(messages) if one.role == "user"), default=len(messages) - 1)
    return structs.replace(conversation, messages=messages[: last + 1])


def _tell(exchange: Exchange, decision: Decision, choice: Choice | None, models: tuple[str, ...]) -> None:
    """Write the decision into the record and the reply's headers."""
    if choice is not None:
        decision.option = choice.option
        decision.reason = choice.reason or "none"
        decision.confidence = choice.confidence
        decision.runner_up = next((name for name, _ in choice.scores if name != choice.option), "")
    headers = [("x-arch-decision-id", decision.id), ("x-arch-route-reason", decision.reason)]
    if decision.option:
        headers.append(("x-arch-route", decision.option))
    if models:
        headers.append(("x-arch-model", models[0]))
    exchange.reply_headers += [
        (name.encode("ascii"), value.encode("ascii", "backslashreplace")) for name, value in headers
    ]

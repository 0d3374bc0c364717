"""The model that is preferred for what a conversation is about: a router finds the route, its models are ranked, and a
session stays where it is.

A request may bring preferences of its own; they take the place of the graph's, and it goes on without them.

Rule: a router that fails, or takes too long, has preferred nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Literal

import trio
from msgspec import Struct, structs

from archflow_plugins.contexts import Option
from archflow_plugins.deciding.proposed import take
from archflow_plugins.deciding.ranking import Ranking
from archflow_plugins.deciding.sessions import Pin, Sessions
from archflow_plugins.kinds import Choice, Head, Router
from archflow_plugins.record import Decision
from archflow_schema.conversation import Conversation
from archflow_schema.errors import ClientProtocolError

Outcome = Literal["model", "named", "none", "failed"]


class Request(Struct, frozen=True, kw_only=True):
    """What is decided about.

    Attributes:
        head: the request.
        decode: gives it dialect-free.
        tokens: how many it has, roughly.
        session, tenant: whose it is; empty if it does not say.
        percent: what moving the session may cost, if it says so.
    """

    head: Head
    decode: Callable[[Head], Conversation]
    tokens: int = 0
    session: str = ""
    tenant: str = ""
    percent: float | None = None


class Chosen(Struct):
    """What was decided. Mutable: a session may have the last word.

    Attributes:
        outcome: of the node, `model` for that of the first model.
        models: best first; what the request proposed if the outcome is `named`.
        head: the request as it goes on.
        choice: the router's answer; None if it was not asked, or gave none.
        troubles: what failed on the way, and cost the request nothing but a preference.
    """

    outcome: Outcome
    models: tuple[str, ...]
    head: Head
    choice: Choice | None = None
    troubles: tuple[Exception, ...] = ()


class Choosing:
    """One node that chooses."""

    def __init__(
        self,
        router: Router,
        routes: Mapping[str, tuple[str, ...]],
        timeout: float,
        *,
        user_only: bool = False,
        rankings: Mapping[str, Ranking] | None = None,
        sessions: Sessions | None = None,
    ) -> None:
        self.sessions = sessions
        self._router = router
        self._routes = routes
        self._timeout = timeout
        self._user_only = user_only
        self._rankings = rankings or {}
        self._models = {model for models in routes.values() for model in models}

    async def choose(self, request: Request, decision: Decision) -> Chosen:
        """Decide, and write into `decision` what comes of it. Blocks while the router and a store think.

        Raises:
            ClientProtocolError: the request is not understood.
        """
        proposed = take(request.head)
        options: tuple[Option, ...] = ()
        routes, known, head = self._routes, self._models, request.head
        if proposed is not None:
            head = proposed.head
        if proposed is not None and proposed.options:
            options, routes = proposed.options, proposed.routes
            known = {model for models in routes.values() for model in models}
            decision.proposed = True
        began = monotonic()
        session = await _Session.of(self.sessions, request, known)
        if session.pin is not None and session.stays:
            chosen = self._pinned(session.pin, routes, head, decision)
        else:
            chosen = await self._asked(request, head, options, routes, decision)
            await session.decided(request, chosen, routes, decision)
        chosen.troubles += tuple(session.troubles)
        if options and chosen.outcome == "model":
            chosen.outcome = "named"
        decision.model = chosen.models[0] if chosen.models else ""
        decision.seconds = monotonic() - began
        return chosen

    def _pinned(
        self, pin: Pin, routes: Mapping[str, tuple[str, ...]], head: Head, decision: Decision
    ) -> Chosen:
        decision.option, decision.reason, decision.pinned = pin.option, "session", True
        decision.confidence = 1.0
        return Chosen("model", _first(pin.model, routes.get(pin.option, ())), head)

    async def _asked(
        self,
        request: Request,
        head: Head,
        options: tuple[Option, ...],
        routes: Mapping[str, tuple[str, ...]],
        decision: Decision,
    ) -> Chosen:
        """What the router prefers."""
        conversation = request.decode(head)
        if self._user_only:
            conversation = until_the_user(conversation)
        choice: Choice | None = None
        try:
            with trio.move_on_after(self._timeout or math.inf):
                choice = await self._router.choose(conversation, options)
        except (ClientProtocolError, trio.Cancelled):
            raise
        except Exception as error:  # noqa: BLE001 - a router that fails has preferred nothing
            decision.reason = "failed"
            return Chosen("failed", (), head, troubles=(error,))
        if choice is None:
            decision.reason = "timeout"
            return Chosen("failed", (), head)
        decision.option, decision.reason = choice.option, choice.reason or "none"
        decision.confidence = choice.confidence
        decision.runner_up = next((name for name, _ in choice.scores if name != choice.option), "")
        models = routes.get(choice.option, ())
        ranking = None if options else self._rankings.get(choice.option)
        if ranking is not None:
            models = ranking(models)
        return Chosen("model" if models else "none", models, head, choice)


class _Session:
    """The session of one request, if it has one. What its store cannot do is trouble, and nothing else."""

    def __init__(self, sessions: Sessions | None, pin: Pin | None = None) -> None:
        self.pin = pin
        self.troubles: list[Exception] = []
        self._sessions = sessions

    @classmethod
    async def of(cls, sessions: Sessions | None, request: Request, known: set[str]) -> _Session:
        """Look it up; one that is with a model that is not there any more begins anew."""
        if sessions is None or not request.session:
            return cls(None)
        session = cls(sessions)
        try:
            pin = await sessions.recall(request.session, request.tenant)
        except Exception as error:  # noqa: BLE001 - see the class
            session.troubles.append(error)
        else:
            session.pin = pin if pin is not None and pin.model in known else None
        if session.pin is not None and session.stays:
            await session._keep(request, session.pin)  # for as long again
        return session

    @property
    def stays(self) -> bool:
        """Whether it never moves, so that nobody need be asked."""
        return self._sessions is None or self._sessions.budget is None

    async def decided(
        self, request: Request, chosen: Chosen, routes: Mapping[str, tuple[str, ...]], decision: Decision
    ) -> None:
        """Let it stay or move, and keep where it is now."""
        sessions, pin = self._sessions, self.pin
        if sessions is None:
            return
        model = chosen.models[0] if chosen.models else ""
        if pin is None:
            if model:
                await self._keep(request, Pin(model, decision.option, model))
            return
        moved = sessions.judge(
            pin, model, decision.option, decision.confidence, request.tokens, request.percent
        )
        decision.switched, decision.pinned = moved.moves, not moved.moves
        if not moved.moves and model != pin.model:
            if sessions.budget is not None and sessions.budget.counterfactual:
                decision.kept_from = model
            decision.option = pin.option
            decision.reason = "session" if model else decision.reason
        if not moved.moves:
            chosen.outcome = "model"
            chosen.models = _first(
                pin.model, chosen.models if model == pin.model else routes.get(pin.option, ())
            )
        await self._keep(request, moved.pin)

    async def _keep(self, request: Request, pin: Pin) -> None:
        assert self._sessions is not None  # noqa: S101 - whoever keeps has one
        try:
            await self._sessions.keep(request.session, request.tenant, pin)
        except Exception as error:  # noqa: BLE001 - see the class
            self.troubles.append(error)


def _first(model: str, models: tuple[str, ...]) -> tuple[str, ...]:
    """Models with one of them first."""
    return (model, *(one for one in models if one != model))


def until_the_user(conversation: Conversation) -> Conversation:
    """The conversation up to the newest turn of a user; all of it if there is none."""
    found = conversation.user_turns
    return (
        structs.replace(conversation, messages=conversation.messages[: found[-1] + 1])
        if found
        else conversation
    )

"""Which prompt target a conversation is for, and with which values, asked without a gateway.

Rule: kinds are asked as the engine asks them; what fails here is what fails there.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio
from msgspec import Struct

from archflow_plugins.kinds import Choice, Matcher, Router, SlotFiller
from archflow_schema import graph as ir
from archflow_schema.conversation import Conversation
from archflow_schema.slots import Filled, FilledCall, Question

T = TypeVar("T")
_FAILURES_AT_MOST = 200
_SHOWN = 400
"""Characters of a call that are shown."""


class Found(Struct, frozen=True, kw_only=True):
    """What a kind found: the outcome, why in words, what was compared, and the targets or agents that it chose."""

    outcome: str
    why: str
    scores: tuple[tuple[str, float], ...] = ()
    chosen: tuple[str, ...] = ()


async def matched(node: ir.Match, matcher: Matcher, conversation: Conversation) -> Found:
    """The prompt target that a conversation asks for. Blocks while the matcher thinks."""
    if not conversation.newest_is_users:
        return Found(outcome="pass", why="the newest turn is not the user's")
    if not conversation.last_user_text.strip():
        return Found(outcome="empty", why="the newest turn of the user says nothing")
    choice = await _asked(matcher.match, conversation, node.timeout)
    if isinstance(choice, str):
        return Found(outcome="failed", why=f"{node.use.kind} {choice}")
    named = (choice.option, *choice.also) if choice.option else ()
    chosen = tuple(one for one in dict.fromkeys(named) if one in node.targets)
    if choice.option and choice.option not in chosen:
        return Found(
            outcome="failed", why=f"{node.use.kind} chose {choice.option}, which is no prompt target"
        )
    outcome = f"target:{chosen[0]}" if chosen else "miss"
    return Found(
        outcome=outcome, why=_told(node.use.kind, choice, chosen), scores=choice.scores, chosen=chosen
    )


async def selected(node: ir.Select, kind: Router | Matcher, conversation: Conversation) -> Found:
    """The agent that a conversation is for; of several, the first. Blocks while the kind thinks."""
    ask = kind.choose if isinstance(kind, Router) else kind.match
    choice = await _asked(ask, conversation, node.timeout)
    if isinstance(choice, str):
        return Found(outcome="failed", why=f"{node.use.kind} {choice}")
    chosen = tuple(one for one in dict.fromkeys((choice.option, *choice.also)) if one in node.agents)
    outcome = f"agent:{chosen[0]}" if chosen else "none"
    return Found(
        outcome=outcome, why=_told(node.use.kind, choice, chosen), scores=choice.scores, chosen=chosen
    )


async def filled(
    node: ir.Fill, filler: SlotFiller, conversation: Conversation, targets: tuple[str, ...]
) -> Found:
    """The values of the targets that were matched. Blocks while the slot filler thinks."""
    known = tuple(one for one in targets if one in node.targets)
    found = await _asked(lambda said: filler.fill(said, known), conversation, node.timeout)
    if isinstance(found, str):
        return Found(outcome="failed", why=f"{node.use.kind} {found}")
    strange = (
        [call.target for call in found.calls if call.target not in known] if isinstance(found, Filled) else []
    )
    if strange:
        return Found(
            outcome="failed",
            why=f"{node.use.kind} filled {strange[0]}, which is no prompt target that can be called",
        )
    if isinstance(found, Question):
        return Found(outcome="ask", why=f"{node.use.kind} asks: {found.text}")
    if not found.calls:
        return Found(outcome="none", why=f"{node.use.kind} finds nothing to call")
    calls = ", then " if found.ordered else ", "
    return Found(outcome="filled", why=f"{node.use.kind} fills {calls.join(map(_call, found.calls))}")


def _call(call: FilledCall) -> str:
    values = ", ".join(f"{name}={bytes(value).decode()}" for name, value in call.values)
    told = f"{call.target}({values})"
    return told if len(told) <= _SHOWN else told[: _SHOWN - 3] + "..."


def _told(kind: str, choice: Choice, chosen: tuple[str, ...]) -> str:
    """What was chosen and how sure that is; with the margin to the next where two were compared."""
    how = [choice.reason or "chosen", f"confidence {choice.confidence:.2f}"]
    if len(choice.scores) > 1:
        how.append(f"margin {choice.scores[0][1] - choice.scores[1][1]:.2f}")
    return f"{kind} finds {' and '.join(chosen) or 'nothing that fits'} ({', '.join(how)})"


async def _asked(
    ask: Callable[[Conversation], Awaitable[T]],
    conversation: Conversation,
    timeout: float,  # noqa: ASYNC109
) -> T | str:
    """What a kind answers, or in words why it does not."""
    try:
        with trio.move_on_after(timeout or math.inf):
            return await ask(conversation)
    except trio.Cancelled:
        raise
    except Exception as error:  # noqa: BLE001 - as in the engine, it has found nothing
        return f"failed: {error}"[:_FAILURES_AT_MOST]
    return f"took longer than {timeout:g} s"

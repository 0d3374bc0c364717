"""How much to think, in the words of the model's family.

Source: Amazon Bedrock User Guide ("Adaptive thinking", "Extended thinking", "Amazon Nova: extended thinking"),
Anthropic's "Extended thinking", 2026-11.

Rule: a client that said how long the answer may be at most is not made to pay for more: thoughts that would take all
of it take half.
Rule: who says only an effort gets what is nearest; who says that the model shall think, or how long, gets that or 400.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from archflow_plugins.dialects.bedrock_converse.families import Family
from archflow_plugins.dialects.effort import budget_of, effort_of
from archflow_plugins.translation import CannotExpress
from archflow_schema.conversation import Conversation, Reasoning

LEAST_BUDGET = 1024
ROOM = 4096
"""Tokens for the answer beside a budget of thought, where the client did not say how many it wants."""
MOST = 32_000
"""Tokens of thoughts and answer that every Claude with a budget gives."""
_EFFORTS = {
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "high",
    "max": "high",
}
_CLAUDE_EFFORTS = {**_EFFORTS, "xhigh": "xhigh", "max": "max"}


class Thoughts(Struct, frozen=True, kw_only=True):
    """What a request says about thinking.

    Attributes:
        fields: of `additionalModelRequestFields`.
        effort: `outputConfig.effort`; empty if unsaid.
        max_tokens: the least that must be asked for; None if it does not matter.
        on: the model thinks, so that it takes no temperature and cannot be made to call a tool.
        budgeted: it thinks in a fixed budget, so that a turn with tool calls must begin with thoughts.
        dropped: features that were left out.
    """

    fields: dict[str, object] = {}
    effort: str = ""
    max_tokens: int | None = None
    on: bool = False
    budgeted: bool = False
    dropped: tuple[str, ...] = ()


def think(conversation: Conversation, family: Family, *, thoughtless: bool) -> Thoughts:
    """What to say about thinking.

    Args:
        conversation: the request.
        family: of the model.
        thoughtless: the turn under way has tool calls without thoughts before them.

    Raises:
        CannotExpress: the client asks for thoughts and for a tool call, which exclude each other.
    """
    reasoning = conversation.reasoning
    if reasoning is None or reasoning == Reasoning():
        return Thoughts()
    choice = conversation.tool_choice
    forced = choice is not None and choice.mode in {"required", "named"}
    thoughts = _FAMILIES[family.thinking](reasoning, conversation, family)
    if thoughts.on and forced:
        if reasoning.mode or reasoning.budget is not None:
            raise CannotExpress("tool_choice", "a model that thinks cannot be made to call a tool")
        effort = _EFFORTS[thoughts.effort] if thoughts.effort else ""
        return Thoughts(effort=effort, dropped=() if effort else _said(reasoning))
    if thoughts.budgeted and thoughtless:
        return Thoughts(dropped=_said(reasoning))
    return thoughts


def _said(reasoning: Reasoning) -> tuple[str, ...]:
    return tuple(
        name
        for name, value in (
            ("reasoning.mode", reasoning.mode),
            ("reasoning.effort", reasoning.effort),
            ("reasoning.budget", reasoning.budget),
            ("reasoning.summary", reasoning.summary),
        )
        if value
    )


def _off(reasoning: Reasoning) -> bool:
    return reasoning.mode == "off" or reasoning.effort == "none" or reasoning.budget == 0


def _effort(reasoning: Reasoning, otherwise: str) -> str:
    if reasoning.effort in _CLAUDE_EFFORTS:
        return reasoning.effort
    if reasoning.budget is not None and reasoning.budget > 0:
        return effort_of(reasoning.budget)
    return otherwise


def _no_thoughts(reasoning: Reasoning, _: Conversation, __: Family) -> Thoughts:
    return Thoughts() if _off(reasoning) else Thoughts(dropped=_said(reasoning))


def _adaptive(reasoning: Reasoning, conversation: Conversation, family: Family) -> Thoughts:
    """Claude that decides itself, guided by an effort."""
    if _off(reasoning):
        return Thoughts(fields={"thinking": {"type": "disabled"}})
    if family.budgets and reasoning.budget is not None and reasoning.budget > 0:
        found = _budget(reasoning, conversation, family)
        effort = _CLAUDE_EFFORTS.get(reasoning.effort, "")
        return found if not found.on else replace(found, effort=effort)
    thinking: dict[str, object] = {"type": "adaptive", **_display(reasoning)}
    effort = _CLAUDE_EFFORTS.get(_effort(reasoning, ""), "")
    return Thoughts(fields={"thinking": thinking}, effort=effort, on=True)


def _budget(reasoning: Reasoning, conversation: Conversation, family: Family) -> Thoughts:
    """Claude that thinks in a budget, which must be smaller than the answer's tokens."""
    if _off(reasoning):
        return Thoughts(fields={"thinking": {"type": "disabled"}})
    budget = reasoning.budget or budget_of(reasoning.effort) or (budget_of("medium") if reasoning.mode else 0)
    if not budget:
        return Thoughts(dropped=_said(reasoning))
    budget = max(LEAST_BUDGET, budget)
    asked = conversation.sampling.max_tokens
    if asked is not None and asked <= LEAST_BUDGET:
        return Thoughts(dropped=_said(reasoning))
    if asked is not None and budget >= asked:
        budget = max(LEAST_BUDGET, asked // 2)
    elif asked is None and not reasoning.budget:
        budget = min(budget, MOST - ROOM)
    display = _display(reasoning) if family.thinking == "adaptive" else {}
    return Thoughts(
        fields={"thinking": {"type": "enabled", "budget_tokens": budget, **display}},
        max_tokens=budget + ROOM if asked is None else None,
        on=True,
        budgeted=True,
    )


def _display(reasoning: Reasoning) -> dict[str, object]:
    if reasoning.hidden:
        return {"display": "omitted"}
    return {"display": "summarized"} if reasoning.summary else {}


def _nova(reasoning: Reasoning, conversation: Conversation, _: Family) -> Thoughts:
    """Nova 2, which at its highest effort takes none of the parameters of the answer."""
    if _off(reasoning):
        return Thoughts(fields={"reasoningConfig": {"type": "disabled"}})
    effort = _EFFORTS[_effort(reasoning, "medium")]
    sampling = conversation.sampling
    if any(value is not None for value in (sampling.max_tokens, sampling.temperature, sampling.top_p)):
        effort = "medium" if effort == "high" else effort
    return Thoughts(
        fields={"reasoningConfig": {"type": "enabled", "maxReasoningEffort": effort}},
        dropped=("reasoning.summary",) if reasoning.summary else (),
    )


def _named_effort(reasoning: Reasoning, _: Conversation, __: Family) -> Thoughts:
    """OpenAI's open models, which cannot but think."""
    dropped = ("reasoning.summary",) if reasoning.summary else ()
    if _off(reasoning):
        return Thoughts(fields={"reasoning_effort": "low"}, dropped=(*_said(reasoning)[:1], *dropped))
    effort = _effort(reasoning, "medium" if reasoning.mode else "")
    fields: dict[str, object] = {"reasoning_effort": _EFFORTS[effort]} if effort else {}
    return Thoughts(fields=fields, dropped=dropped)


_FAMILIES: dict[str, Callable[[Reasoning, Conversation, Family], Thoughts]] = {
    "": _no_thoughts,
    "adaptive": _adaptive,
    "budget": _budget,
    "nova": _nova,
    "effort": _named_effort,
}

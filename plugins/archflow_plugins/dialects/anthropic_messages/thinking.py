"""How a model is told to think: by a budget, by an effort, or not at all.

Rule: a budget is at least 1024 tokens and smaller than `max_tokens`, which holds both the thoughts and the answer. A
client that said how long the answer may be at most is not made to pay for more: its thoughts take half of it.
"""

from __future__ import annotations

from msgspec import Struct

from archflow_plugins.dialects.anthropic_messages.generations import Generation
from archflow_plugins.dialects.effort import budget_of, effort_of
from archflow_plugins.translation import CannotExpress
from archflow_schema.conversation import Reasoning

LEAST = 1024
"""Tokens of the smallest budget."""
ANSWER = 4096
"""Tokens that are left for an answer beside the thoughts, where the client did not say."""
MOST_BY_BUDGET = 32_000
MOST_BY_EFFORT = 64_000
"""`max_tokens` that every model of those generations takes, at most."""
_WORDS = {"minimal": "low"}


class Thought(Struct, frozen=True, omit_defaults=True):
    """`thinking` of a request."""

    type: str
    budget_tokens: int | None = None
    display: str | None = None


class Plan(Struct, frozen=True, kw_only=True):
    """How the model shall think.

    Attributes:
        effort: of `output_config`.
        thinks: whether it is told to think, so that other fields are forbidden.
        max_tokens: for thoughts and answer; None if neither client nor thoughts say.
    """

    thought: Thought | None = None
    effort: str | None = None
    thinks: bool = False
    max_tokens: int | None = None


def think(
    told: Reasoning | None,
    max_tokens: int | None,
    generation: Generation,
    dropped: dict[str, None],
    *,
    forced: bool,
    answering: bool,
) -> Plan:
    """How a model of this generation is told what the client said; `dropped` gets the names of what is left out.

    `forced`: it must call a tool. `answering`: it goes on after calls that it made without a thought to show.

    Raises:
        CannotExpress: the client wants both thoughts and a forced call.
    """
    if told is None or not (told.mode or told.effort or told.budget is not None or told.summary):
        return Plan(max_tokens=max_tokens)
    if told.mode == "off" or (not told.mode and (told.effort == "none" or told.budget == 0)):
        return Plan(thought=Thought("disabled") if generation.thinks else None, max_tokens=max_tokens)
    if forced and told.mode:
        raise CannotExpress("tool_choice", "Claude cannot be made to call a tool while it thinks")
    budget = told.budget if generation.budget else None
    effort = told.effort or (effort_of(told.budget) if told.budget and not generation.budget else "")
    if budget is None and generation.adaptive:
        return _by_effort(told, effort, max_tokens, generation, dropped, forced=forced)
    return _by_budget(
        told,
        budget,
        max_tokens,
        generation,
        dropped,
        possible=not forced and not (answering and generation.recalls),
    )


def _by_budget(
    told: Reasoning,
    budget: int | None,
    max_tokens: int | None,
    generation: Generation,
    dropped: dict[str, None],
    *,
    possible: bool,
) -> Plan:
    effort = told.effort
    if budget is None:
        budget = budget_of(effort or "high") if effort or told.mode else None
        if budget is not None and max_tokens is None:
            budget = min(budget, MOST_BY_BUDGET - ANSWER)
    room = max_tokens if max_tokens is not None else (budget or 0) + ANSWER
    if budget is not None and budget >= room:
        budget = room // 2
    if budget is None or not possible or not generation.thinks or room <= LEAST:
        dropped.update(_said(told))
        return Plan(max_tokens=max_tokens)
    return Plan(
        thought=Thought("enabled", max(budget, LEAST), _display(told, generation)),
        effort=_word(effort, generation) if generation.adaptive else None,
        thinks=True,
        max_tokens=room,
    )


def _by_effort(
    told: Reasoning,
    effort: str,
    max_tokens: int | None,
    generation: Generation,
    dropped: dict[str, None],
    *,
    forced: bool,
) -> Plan:
    word = _word(effort, generation)
    if forced:
        if told.summary:
            dropped["reasoning.summary"] = None
        return Plan(effort=word, max_tokens=max_tokens)
    room = min((budget_of(effort or "high") or 0) + ANSWER, MOST_BY_EFFORT)
    return Plan(
        thought=Thought("adaptive", None, _display(told, generation)),
        effort=word,
        thinks=True,
        max_tokens=max_tokens if max_tokens is not None else room,
    )


def _word(effort: str, generation: Generation) -> str | None:
    if effort == "xhigh" and not generation.xhigh:
        return "max"
    return _WORDS.get(effort, effort) or None


def _display(told: Reasoning, generation: Generation) -> str | None:
    """Whether the thoughts are shown; older models show them where nothing is said."""
    if told.hidden:
        return "omitted"
    return "summarized" if told.summary and generation.adaptive else None


def _said(told: Reasoning) -> dict[str, None]:
    """What the client said about thinking."""
    said = (
        ("reasoning.mode", told.mode),
        ("reasoning.effort", told.effort),
        ("reasoning.budget", told.budget),
        ("reasoning.summary", told.summary),
    )
    return dict.fromkeys(name for name, value in said if value)

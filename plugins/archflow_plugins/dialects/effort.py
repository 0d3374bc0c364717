"""How hard to think, as a word and as tokens: one table between the dialects that know the one and the other.

Rule: a budget becomes the smallest effort whose own budget holds it, so that nobody thinks less than was asked for;
`max` is the most there is.
Invariant: `effort_of(budget_of(effort)) == effort` for every effort but `none`, which is no thinking at all.
"""

from __future__ import annotations

BUDGETS: dict[str, int] = {
    "minimal": 1024,
    "low": 2048,
    "medium": 8192,
    "high": 16384,
    "xhigh": 32768,
    "max": 65536,
}
"""Effort -> tokens of thought, from least to most."""


def budget_of(effort: str) -> int | None:
    """The tokens of thought that an effort stands for; 0 for `none`, None for a word that is not in the table."""
    return 0 if effort == "none" else BUDGETS.get(effort)


def effort_of(budget: int) -> str:
    """The effort that a number of tokens stands for; `none` if it is not above 0."""
    if budget <= 0:
        return "none"
    return next((effort for effort, tokens in BUDGETS.items() if tokens >= budget), "max")

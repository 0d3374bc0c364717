"""Efforts and budgets: there and back, and what lies between."""

import pytest

from archflow_plugins.dialects.effort import BUDGETS, budget_of, effort_of


@pytest.mark.parametrize("effort", BUDGETS)
def test_there_and_back(effort):
    assert effort_of(budget_of(effort)) == effort


def test_budgets_grow_with_effort():
    assert list(BUDGETS.values()) == sorted(set(BUDGETS.values()))


@pytest.mark.parametrize(
    ("budget", "effort"),
    [
        (-1, "none"),
        (0, "none"),
        (1, "minimal"),
        (1025, "low"),
        (4000, "medium"),
        (10_000, "high"),
        (65_536, "max"),
        (65_537, "max"),
        (10**9, "max"),
    ],
)
def test_a_budget_between_two_efforts_is_the_higher_one(budget, effort):
    assert effort_of(budget) == effort


def test_no_effort_is_no_tokens_and_an_unknown_one_is_none_of_ours():
    assert budget_of("none") == 0
    assert budget_of("extreme") is None

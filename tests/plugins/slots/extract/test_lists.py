"""Lists in brackets, and what joins mentions."""

import pytest

from archflow_plugins.slots.extract.lists import joined, lists


def test_brackets():
    (one,) = lists("the average of [12, 15.5, -3]")
    assert one.value == (12, 15.5, -3)
    (one,) = lists("of ['red', 'blue sky']")
    assert one.value == ("red", "blue sky")
    assert lists("(just words)") == []


@pytest.mark.parametrize("gap", [", ", " and ", ", and ", " or ", " & ", " and in ", " and device ", "/"])
def test_joined(gap):
    assert joined(gap, "device")


@pytest.mark.parametrize("gap", [" ", " in ", " and then book ", ". ", " to "])
def test_not_joined(gap):
    assert not joined(gap, "device")

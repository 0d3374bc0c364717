"""The order of models."""

from archflow_plugins.deciding.ranking import ranked


def test_the_lowest_number_first_and_what_is_unknown_last():
    assert ranked(("a", "b", "c", "d"), {"c": 1.0, "b": 2.0}) == ("c", "b", "a", "d")
    assert ranked(("a", "b"), {}) == ("a", "b")
    assert ranked(("a", "b"), {"a": 1.0, "b": 1.0, "z": 0.0}) == ("a", "b")


def test_what_is_unknown_first_where_it_has_to_be_tried():
    assert ranked(("a", "b", "c"), {"a": 1.0, "b": 0.5}, unknown_first=True) == ("c", "b", "a")

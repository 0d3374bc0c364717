"""The threshold that decides labelled cases best."""

from archflow_plugins.deciding.tuning import Judged, best_threshold, right


def cases(*told):
    return [Judged(route, likeliest, confidence) for route, likeliest, confidence in told]


def test_a_case_is_right_by_its_route_or_by_none():
    (case,) = cases(("a", "a", 0.4))
    assert case.right(0.4)
    assert not case.right(0.41)
    (none,) = cases(("", "a", 0.4))
    assert none.right(0.41)
    assert not none.right(0.4)


def test_a_threshold_between_what_is_right_and_what_is_nothing():
    found = cases(("a", "a", 0.3), ("a", "a", 0.9), ("", "b", 0.2), ("", "a", 0.1))
    assert right(found, 0.5) == 3
    assert best_threshold(found, 0.5) == 0.26  # the middle of 0.21 to 0.30
    assert right(found, 0.26) == 4


def test_without_a_gain_nothing_moves():
    assert best_threshold(cases(("a", "a", 0.9), ("", "b", 0.1)), 0.437) == 0.437
    assert best_threshold(cases(("a", "b", 0.9)), 0.5) == 0.5
    assert best_threshold([], 0.5) == 0.5


def test_a_threshold_that_is_never_reached():
    assert best_threshold(cases(("", "a", 0.99), ("", "b", 0.9)), 0.5) == 1.0

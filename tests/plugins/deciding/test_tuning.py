"""The threshold that decides labelled cases best."""

from archflow_plugins.deciding.tuning import Judged, best_sure, best_threshold, right


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


def test_sure_is_where_nothing_is_wrong_any_more():
    found = cases(("a", "a", 0.9), ("a", "b", 0.6), ("", "b", 0.3), ("a", "a", 0.7), ("a", "a", 0.2))
    assert best_sure(found, 0.5, 0.35) == 0.65  # between 0.6, which is wrong, and 0.7
    assert best_sure(found, 0.95, 0.35) == 0.65  # the model would be asked for two cases more
    assert best_sure(found, 0.68, 0.35) == 0.68  # as good as any: it stays


def test_sure_where_everything_is_right_or_nothing_is():
    every = cases(("a", "a", 0.9), ("b", "b", 0.5))
    assert best_sure(every, 0.8, 0.35) == 0.43
    assert best_sure(every, 0.4, 0.35) == 0.4
    assert best_sure(cases(("a", "b", 0.9)), 0.8, 0.35) == 1.0
    assert best_sure(cases(("a", "b", 0.7)), 0.8, 0.35) == 0.8
    assert best_sure([], 0.8, 0.35) == 0.8

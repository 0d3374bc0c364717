"""Personal data in portions: what is told when, and what may leave."""

from archflow_plugins.guards.identifiers import NAMES, Found
from archflow_plugins.guards.sighting import LONGEST_RUN, Sighting


def fed(*parts, names=NAMES):
    sighting = Sighting(tuple(names))
    found = [sighting.feed(part, end=False) for part in parts]
    return found, sighting.safe


def test_ordinary_text_is_held_by_its_last_word():
    assert fed("It is a fine day, ") == ([[]], 17)
    assert fed("It is a fine da") == ([[]], 13)


def test_what_more_could_change_is_not_told():
    found, safe = fed("mail me@example.co", "m now ")
    assert found == [[], [Found("email", 5, 19)]]
    assert safe == 20
    assert fed("mail me@example.co")[1] == 5


def test_digits_are_held_while_they_may_go_on():
    assert fed("pay 4111 1111 ")[1] == 0
    found, safe = fed("pay 4111 1111 1111 1111, thanks ")
    assert (found, safe) == ([[Found("card", 4, 23)]], 25)


def test_what_runs_on_is_held_no_longer_than_anything_can_be():
    sighting = Sighting(NAMES)
    for _ in range(100):
        assert sighting.feed("ab" * 50, end=False) == []
    assert sighting.safe == 10_000 - LONGEST_RUN

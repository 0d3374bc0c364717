"""Personal data in portions: what is told when, and what may leave."""

from archflow_plugins.guards.identifiers import NAMES, Found
from archflow_plugins.guards.pattern import parse
from archflow_plugins.guards.sighting import LONGEST_RUN, Sighting
from archflow_plugins.guards.sought import Sought


def fed(*parts, names=NAMES, **patterns):
    own = {name: parse(pattern, ignore_case=True) for name, pattern in patterns.items()}
    sighting = Sighting(Sought(names, own))
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
    sighting = Sighting(Sought(NAMES))
    for _ in range(100):
        assert sighting.feed("ab" * 50, end=False) == []
    assert sighting.safe == 10_000 - LONGEST_RUN


def test_own_patterns_are_held_while_more_could_make_them():
    assert fed("The EMP-12", names=(), id=r"EMP-\d{6}")[1] == 4
    found, safe = fed("The EMP-12", "3456 is", names=(), id=r"EMP-\d{6}")
    assert (found, safe) == ([[], [Found("id", 4, 14)]], 17)
    assert fed("He is fine ", names=(), id=r"is not .{1,40}end")[1] == 11
    found, _ = fed("He is no", "t the very end of it, ", names=(), id=r"is not .{1,40}end")
    assert found == [[], []]
    found, _ = fed(
        "He is no", "t the very end of it, ", "or whatever it may be said ", names=(), id=r"is not .{1,40}end"
    )
    assert found[2] == [Found("id", 3, 22)]


def test_of_an_own_pattern_and_a_known_one_the_longer_is_told():
    found, _ = fed("mail a@b.example.com for ", id=r"a@b\.exam")
    assert found == [[Found("email", 5, 20)]]
    found, _ = fed("mail a@b.example.com for you and me ", id=r"\ba@b\.example\.com f")
    assert found == [[Found("id", 5, 22)]]

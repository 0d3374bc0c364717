"""Words in a text that comes in portions: what is found, and what may leave."""

import pytest

from archflow_plugins.guards.spoken import LONGEST_RUN, Entries, Spoken, tokens


def fed(entries, *parts):
    """Whether something is found, and how much may have left before the last portion."""
    spoken = Spoken(Entries(entries))
    safe = 0
    for number, part in enumerate(parts, 1):
        if spoken.feed(part, end=number == len(parts)):
            return True, safe
        safe = spoken.safe
    return False, safe


@pytest.mark.parametrize(
    ("parts", "found", "left"),
    [
        (("the project", " falc", "on is"), True, 4),
        (("the project f", "ox falcon"), False, 22),
        (("the proj", "ects falcon "), False, 20),
        (("project", "... \u2014 ", "falcon"), True, 0),
        (("project then", " falcon"), False, 19),
        (("PRO\u00adJECT\uff0c", "fal\u200bcon\u3002"), True, 0),
    ],
)
def test_what_is_found_and_what_may_leave(parts, found, left):
    assert fed(["project falcon"], *parts) == (found, left)


def test_a_word_is_whole_only_when_something_ends_it():
    assert fed(["cat"], "cat", "alogue") == (False, 9)
    assert fed(["cat"], "cat", "") == (True, 0)
    assert fed(["cat"], "e", "cat ") == (False, 5)


def test_what_runs_on_is_not_held_for_ever_and_its_end_is_no_word():
    spoken = Spoken(Entries(["cat"]))
    assert not spoken.feed("x" * (LONGEST_RUN + 1), end=False)
    assert spoken.safe == LONGEST_RUN + 1
    assert not spoken.feed("cat ", end=False)
    assert spoken.feed("cat ", end=False)


def test_words_are_what_they_look_like():
    assert tokens("Stra\u00dfe, \uff21\uff22 c\u200bd") == ("strasse", "ab", "cd")

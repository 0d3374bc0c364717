"""Yes and no by meaning."""

import pytest

from archflow_plugins.slots.extract.polarity import answer, polarity, telling
from archflow_plugins.slots.words import stem, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("reboot the device", True),
        ("please don't reboot it", False),
        ("do not reboot", False),
        ("rebooting is fine", True),
        ("without a reboot", False),
        ("show the statistics", None),
        ("don't wait, reboot it", False),
        ("I do not mind; reboot it", True),
        ("set reboot off", False),
    ],
)
def test_polarity(text, expected):
    found = polarity(text, words(text), frozenset({"reboot"}))
    assert (found[0] if found else None) is expected


def test_forms_of_a_word_are_the_same():
    found = polarity("include its statistics", words("include its statistics"), frozenset({"stat"}))
    assert found is not None
    assert found[0]


def test_a_slot_is_about_what_its_name_says():
    assert telling([stem("include"), stem("stats")], ["x"]) == {"stat"}
    assert telling([stem("enabled")], [stem("monitoring")]) == {stem("monitoring")}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("yes please", True),
        ("Sure!", True),
        ("no", False),
        ("nope, thanks", False),
        ("don't", False),
        ("Paris", None),
        ("north", None),
    ],
)
def test_answers(text, expected):
    assert answer(text) is expected

"""Numbers in digits and words, with what they are told with."""

import pytest

from archflow_plugins.slots.extract.numbers import numbers


def values(text):
    return [one.value for one in numbers(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5 apples", [5]),
        ("1,500 users", [1500]),
        ("12,345,678", [12345678]),
        ("1,2 and 3", [1, 2, 3]),
        ("0.25 and .5", [0.25, 0.5]),
        ("2.5k followers", [2500]),
        ("$3 million", [3_000_000]),
        ("-4 degrees", [-4]),
        ("minus five", [-5]),
        ("negative 3", [-3]),
        ("3/4 of it", [0.75]),
        ("1 1/2 cups", [1.5]),
        ("two hundred and ten", [210]),
        ("twenty-one", [21]),
        ("three thousand five hundred", [3500]),
        ("a dozen eggs", [12]),
        ("two dozen", [24]),
        ("two and a half hours", [2.5]),
        ("one two three", [1, 2, 3]),
        ("the second one", [1]),
        ("the 14th century", [14]),
        ("1e3 items", [1000]),
        ("a = 3, b = -11, and c = -4", [3, -11, -4]),
        ("x^3", []),
        ("AB1010CD", []),
        ("v1.2.3", []),
        ("no number", []),
        ("one", [1]),
        ("lend one book, chapter one", [1, 1]),
        ("who wrote that one", []),
        ("a cheaper one, or another one", []),
        ("1/0", []),
    ],
)
def test_what_is_a_number(text, expected):
    assert values(text) == expected


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("5%", "%"),
        ("60 percent", "%"),
        ("10 days", "d"),
        ("150lbs", "lb"),
        ("$20", "USD"),
        ("20€", "EUR"),
        ("100µF", "uf"),
        ("100°C", "c"),
        ("two weeks", "week"),
        ("5 in total", ""),
        ("3 bananas", ""),
    ],
)
def test_units(text, unit):
    (one,) = numbers(text)
    assert one.unit == unit


def test_mixed_quantities_are_one():
    (one,) = numbers("he is 5ft 10in who")
    assert (one.value, one.unit) == (70, "in")
    (one,) = numbers("2 hours and 30 minutes")
    assert (one.value, one.unit) == (150, "min")


@pytest.mark.parametrize(
    "text", ["between 10 and 20", "from 10 to 20", "10-20", "10 – 20", "from 10 until 20"]
)
def test_ranges_have_two_ends(text):
    low, high = numbers(text)
    assert (low.value, low.role, high.value, high.role) == (10, "low", 20, "high")


def test_the_first_of_a_range_has_the_unit_of_the_second():
    low, high = numbers("from 10 to 20 km")
    assert low.unit == high.unit == "km"


def test_a_list_is_no_range():
    assert [one.role for one in numbers("10 and 20")] == ["", ""]

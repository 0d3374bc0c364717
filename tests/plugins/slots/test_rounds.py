"""Several calls of one turn, each part of which says all that one takes."""

import pytest

from archflow_plugins.slots.rounds import rounds
from archflow_plugins.slots.wants import wants
from archflow_plugins.testing import conversation
from archflow_schema.slots import Intent, Slot
from slot_world import filled, values

FLIGHT = Intent(
    "book_flight",
    "Book a flight",
    (
        Slot("departure_city", "The city to leave from", "str", required=True),
        Slot("destination_city", "The city to go to", "str", required=True),
        Slot("date", "The day, YYYY-MM-DD", "str", required=True),
        Slot("seats", "How many seats", "int"),
    ),
)
AREA = Intent(
    "triangle_area",
    "The area of a triangle",
    (
        Slot("base", "The base", "int", required=True),
        Slot("height", "The height", "int", required=True),
    ),
)


def calls(text, intent):
    return values(filled(conversation(f"user: {text}"), (intent.name,), (intent,)))


@pytest.mark.parametrize(
    "between", [". Book another flight ", ", and then book a flight ", "; also one ", " and another flight "]
)
def test_each_part_that_says_all_is_a_call(between):
    first = "Book a flight from Oslo to Rome on 2024-05-03"
    assert calls(f"{first}{between}from Rome to Paris on 2024-05-09", FLIGHT) == [
        {"departure_city": "Oslo", "destination_city": "Rome", "date": "2024-05-03"},
        {"departure_city": "Rome", "destination_city": "Paris", "date": "2024-05-09"},
    ]


def test_the_same_numbers_in_other_roles_are_kept_apart():
    text = "A triangle with a base of 4 and a height of 6. Then one with a base of 6 and a height of 4."
    assert calls(text, AREA) == [{"base": 4, "height": 6}, {"base": 6, "height": 4}]


@pytest.mark.parametrize(
    "text",
    [
        "Book a flight from Oslo to Rome on 2024-05-03 and wake me up then",
        "Book a flight from Oslo to Rome on 2024-05-03. I said from Oslo to Rome on 2024-05-03.",
    ],
)
def test_a_turn_that_asks_once_is_one_call(text):
    assert len(calls(text, FLIGHT)) == 1


def test_what_one_part_says_besides_holds_for_all_of_them():
    seen = {"a": {0: (1,), 1: (2,), 2: ("x",)}, "b": {0: (3,), 1: (4,)}}
    slots = wants(Intent("f", "", (*AREA.slots, Slot("unit", "", "str"))))
    assert rounds(slots, "a. b", {}, seen.get) == {0: (1, 3), 1: (2, 4), 2: ("x",)}


def test_what_is_told_in_runs_already_is_left_as_it_is():
    asked = []
    assert rounds(wants(AREA), "a. b", {0: (1, 3), 1: (2, 4)}, asked.append) == {}
    assert asked == []


def test_only_some_parts_of_a_long_turn_are_looked_at():
    asked = []

    def given(part):
        asked.append(part)
        return {}

    assert rounds(wants(AREA), "a. " * 1000, {}, given) == {}
    assert len(asked) <= 36


def test_a_part_is_filled_once_however_often_it_is_parted():
    asked = []

    def given(part):
        asked.append(part)
        return {}

    assert rounds(wants(AREA), "a. b and c", {}, given) == {}
    assert asked == ["a", "b and c", "b", "c"]

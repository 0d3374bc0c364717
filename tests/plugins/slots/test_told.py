"""Ways in which people tell values, and in which slots describe them: one request, one target, no model."""

import pytest

from archflow_plugins.slots.values import truths
from archflow_plugins.testing import conversation
from archflow_schema.slots import Intent, Question, Slot
from slot_world import filled, values

YES_OR_NO = (b'"True"', b'"False"', b'"dontcare"')
FREE = Slot("free_entry", "Whether the attraction has free entry", "str", required=True, enum=YES_OR_NO)
LAUNDRY = Slot("has_laundry_service", "Whether there is a laundry", "str", required=True, enum=YES_OR_NO)
STARS = Slot("star_rating", "The star rating", "str", required=True, enum=(b'"1"', b'"3"', b'"dontcare"'))
BEDROOMS = Slot("bedrooms", "Number of bedrooms", "int", required=True)
BATHS = Slot("number_of_baths", "Number of bathrooms", "int", required=True)
GENRE = Slot("genre", "The kind of event", "str", required=True, enum=(b'"Music"', b'"Theater"'))
KIND = Slot("kind", "Of which kind", "str", required=True, enum=(b'"all"', b'"postgres"'))
ALARM = Slot("alarm_time", "The time, in the format 'YYYY-MM-DD HH:MM:SS'", "str", required=True)
DAY = Slot("show_date", "The date, in the format 'YYYY-MM-DD'", "str", required=True)
HOUR = Slot("show_time", "The time in 24-hour format 'HH:MM'", "str", required=True)
RECEIVER = Slot("receiver_name", "Who gets the money", "str", required=True)
PROJECT = Slot("project_id", "The unique identifier of the project", "str", required=True)


def told(text, *slots):
    find = Intent("find", "Find something", slots)
    outcome = filled(conversation(f"user: {text}"), (find.name,), (find,))
    return outcome.missing if isinstance(outcome, Question) else values(outcome)


@pytest.mark.parametrize(
    ("text", "slot", "expected"),
    [
        ("a house with laundry service in Rome", LAUNDRY, "True"),
        ("a house without laundry service", LAUNDRY, "False"),
        ("museums with no entry fee", FREE, "True"),
        ("museums with free entry", FREE, "True"),
        ("a landmark that charges for entry", FREE, "False"),
        ("a 3-star hotel", STARS, "3"),
        ("a three star hotel", STARS, "3"),
        ("a musical show in Oslo", GENRE, "Music"),
        ("list all the PostgreSQL servers", KIND, "postgres"),
        ("list all servers", KIND, "all"),
        ("an alarm for 2023-04-02 07:30:00 please", ALARM, "2023-04-02 07:30:00"),
        ("send $5 to Emma's account", RECEIVER, "Emma"),
        ("the badge of project id badae", PROJECT, "badae"),
    ],
)
def test_what_is_told_in_other_ways_is_taken(text, slot, expected):
    assert told(text, slot) == [{slot.name: expected}]


@pytest.mark.parametrize("text", ["a house in Rome", "museums in Rome"])
def test_yes_or_no_that_is_not_spoken_of_is_asked_for(text):
    assert told(text, LAUNDRY) == ("has_laundry_service",)


def test_a_number_before_a_hyphen_is_told_of_what_stands_behind_it():
    assert told("a 2-bedroom, 1-bathroom flat", BEDROOMS, BATHS) == [{"bedrooms": 2, "number_of_baths": 1}]


def test_a_moment_gives_one_slot_its_date_and_another_its_time():
    expected = {"show_date": "2023-04-15", "show_time": "19:00"}
    assert told("the showing on 2023-04-15 at 19:00", DAY, HOUR) == [expected]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((b'"True"', b'"False"'), ("True", "False")),
        ((b'"no"', b'"yes"', b'"any"'), ("yes", "no")),
        ((b'"yes"', b'"no"', b'"maybe"'), None),
        ((b'"true"', b'"1"'), None),
    ],
)
def test_an_enum_of_yes_and_no_says_which_is_which(options, expected):
    assert truths(Slot("flag", "", "str", enum=options)) == expected

"""Dates and times, written out, in short, and relative to a given moment: Wednesday, 21 February 2024, 10:00."""

from datetime import date, datetime, time

import pytest

from archflow_plugins.slots.extract.dates import dates
from slot_world import NOW


def values(text, **more):
    return [one.value for one in dates(text, NOW, **more)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("on 2024-05-03", date(2024, 5, 3)),
        ("2024/5/3", date(2024, 5, 3)),
        ("03/05/2024", date(2024, 3, 5)),
        ("25/12/2024", date(2024, 12, 25)),
        ("25.12.2024", date(2024, 12, 25)),
        ("5.3.2024", date(2024, 3, 5)),
        ("March 5th, 2023", date(2023, 3, 5)),
        ("5 March 2023", date(2023, 3, 5)),
        ("the 12th of March 2023", date(2023, 3, 12)),
        ("Jan 28, 2021", date(2021, 1, 28)),
        ("on March 5", date(2024, 3, 5)),
        ("January 5", date(2025, 1, 5)),
        ("it was January 5", date(2024, 1, 5)),
        ("this coming Saturday, which is 2023-10-07", date(2023, 10, 7)),
        ("today", date(2024, 2, 21)),
        ("tomorrow", date(2024, 2, 22)),
        ("the day after tomorrow", date(2024, 2, 23)),
        ("yesterday", date(2024, 2, 20)),
        ("in 3 days", date(2024, 2, 24)),
        ("in two weeks", date(2024, 3, 6)),
        ("5 days ago", date(2024, 2, 16)),
        ("a month from now", date(2024, 3, 21)),
        ("on friday", date(2024, 2, 23)),
        ("next wednesday", date(2024, 2, 28)),
        ("last monday", date(2024, 2, 19)),
        ("next week", date(2024, 2, 28)),
        ("next month", date(2024, 3, 21)),
        ("April 2022", date(2022, 4, 1)),
        ("in December", date(2024, 12, 1)),
        ("at noon", time(12)),
        ("3pm", time(15)),
        ("at 12 am", time(0)),
        ("15:30", time(15, 30)),
        ("half past seven", time(7, 30)),
        ("quarter to 8", time(7, 45)),
        ("3 in the afternoon", time(15)),
        ("2024-05-03T15:30:00Z", datetime.fromisoformat("2024-05-03T15:30")),
        ("tomorrow at 3 pm", datetime.fromisoformat("2024-02-22T15:00")),
        ("the 12th of March 2023 at 3 in the afternoon", datetime.fromisoformat("2023-03-12T15:00")),
        ("in 2 hours", datetime.fromisoformat("2024-02-21T12:00")),
        ("today, April 25th 2023", date(2023, 4, 25)),
    ],
)
def test_what_is_a_date(text, expected):
    assert values(text) == [expected]


@pytest.mark.parametrize(
    "text", ["31 June 2024", "2024-02-30", "99:99", "25 pm", "may I", "the sun", "sat down", "1.2.3", ""]
)
def test_what_is_none(text):
    assert values(text) == []


def test_the_day_comes_first_where_the_configuration_says_so():
    assert values("03/05/2024", day_first=True) == [date(2024, 5, 3)]


def test_a_date_without_a_year_gets_that_of_the_one_behind_it():
    assert values("from April 3rd to April 5th 2023") == [date(2023, 4, 3), date(2023, 4, 5)]


def test_a_leap_day_is_moved_to_one_that_is():
    assert [one.value for one in dates("a year from now", datetime.fromisoformat("2024-02-29"))] == [
        date(2025, 2, 28)
    ]
    assert [one.value for one in dates("in 9999 years", NOW)] == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("from April 3rd to April 5th 2023", [date(2023, 4, 3), date(2023, 4, 5)]),
        ("April 1-April 30 2023", [date(2023, 4, 1), date(2023, 4, 30)]),
        ("leaving on March 1st 2023, back on the 6th of March", [date(2023, 3, 1), date(2023, 3, 6)]),
        ("from December 28, 2023 until January 3", [date(2023, 12, 28), date(2024, 1, 3)]),
    ],
)
def test_a_date_without_a_year_gets_that_of_the_date_beside_it(text, expected):
    assert values(text) == expected

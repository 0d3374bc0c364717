"""How slots say that dates are written."""

from datetime import date, datetime, time

import pytest

from archflow_plugins.slots.formats import date_format, write

DAY, MOMENT = date(2023, 3, 12), datetime.fromisoformat("2023-03-12T15:04:05")


@pytest.mark.parametrize(
    ("told", "value", "expected"),
    [
        ("in the format YYYY-MM-DD", DAY, "2023-03-12"),
        ("in the format of 'dd/mm/yyyy HH:MM'", MOMENT, "12/03/2023 15:04"),
        ("MM/DD/YYYY", DAY, "03/12/2023"),
        ("%d.%m.%Y", DAY, "12.03.2023"),
        ("YYYY-MM-DD HH:mm:ss", MOMENT, "2023-03-12 15:04:05"),
        ("mm-yyyy", DAY, "03-2023"),
        ("hh:MM a", time(15, 4), "03:04 PM"),
        ("HH:MM", time(15, 4), "15:04"),
        ("an ISO 8601 date", MOMENT, "2023-03-12T15:04:05"),
        ("as a unix timestamp", DAY, 1678579200),
        ("the date", DAY, "2023-03-12"),
        ("the time", time(9), "09:00"),
    ],
)
def test_formats(told, value, expected):
    assert write(value, date_format(told)) == expected


def test_a_format_that_wants_more_than_there_is_gives_nothing():
    assert write(time(15), "%Y-%m-%d") is None
    assert write(DAY, "%H:%M") is None


@pytest.mark.parametrize("told", ["the day", "a MAD DAD", "", "add more"])
def test_words_are_no_format(told):
    assert date_format(told) == ""

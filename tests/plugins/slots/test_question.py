"""The one question, in good English."""

import pytest

from archflow_plugins.slots.question import ask, phrase
from archflow_schema.slots import Slot


@pytest.mark.parametrize(
    ("description", "kind", "expected"),
    [
        ("The city.", "str", "the city"),
        ("City to look in, e.g. Paris", "str", "the city to look in"),
        ("the currency that needs conversion", "str", "the currency that needs conversion"),
        ("Specifies the start date in the format YYYY-MM-DD", "str", "the start date"),
        ("Whether to include details", "bool", "whether to include details"),
        ("A flag indicating whether to apply tax", "bool", "whether to apply tax"),
        ("If true, include statistics. Default is false.", "bool", "whether to include statistics"),
        ("If true, returns the full name", "bool", "whether it returns the full name"),
        ("A device to look at.", "str", "a device to look at"),
        ("IBAN of the payer", "str", "the IBAN of the payer"),
        ("Confirmation flag to proceed with reboot.", "bool", "whether you confirm to proceed with reboot"),
        ("the user's consent of the sale", "bool", "whether you confirm the sale"),
        ("Number of days", "int", "the number of days"),
        ("URL of the page", "str", "the URL of the page"),
        ("How many guests come", "int", "how many guests come"),
        ("", "str", "the user name"),
    ],
)
def test_phrases(description, kind, expected):
    assert phrase(Slot("user_name", description, kind)) == expected


def test_one_question_for_all():
    missing = [
        Slot("city", "The city", "str", format="City, State"),
        Slot("days", "number of days", "int"),
        Slot("unit", "the unit", "str", enum=(b'"celsius"', b'"fahrenheit"')),
    ]
    assert (
        ask(missing)
        == "Could you tell me the city (as City, State), the number of days and the unit (celsius, fahrenheit)?"
    )
    assert ask(missing[:1] * 2) == "Could you tell me the city (as City, State)?"

"""What slots want, read from how they are declared."""

import pytest

from archflow_plugins.slots.wants import wants
from archflow_schema.slots import Intent, Slot


def want(*slots):
    return wants(Intent("t", "", slots))


@pytest.mark.parametrize(
    ("name", "description", "more", "facet"),
    [
        ("currency_symbol", "the currency that needs conversion", {}, "currency"),
        ("from", "currency to convert from", {}, "currency"),
        ("location", "where", {"format": "City, State"}, "place"),
        ("when", "the day, in the format YYYY-MM-DD", {}, "date"),
        ("start", "HH:MM", {}, "time"),
        ("to", "The email address to send to", {}, "email"),
        ("device_id", "device", {}, "code"),
        ("country_code", "two letters", {}, "place"),
        ("x", "anything", {"format": "uri"}, "url"),
        ("artist", "who plays", {}, "name"),
        ("message", "what to say", {}, "message"),
        ("species", "the kind of animal", {}, "text"),
        ("unit", "unit", {"enum": (b'"a"', b'"b"')}, "choice"),
    ],
)
def test_facets_of_text(name, description, more, facet):
    (one,) = want(Slot(name, description, "str", **more))
    assert one.facet == facet


def test_units_roles_and_examples():
    low, high, height, suit = want(
        Slot("from_date", "", "str"),
        Slot("to_date", "", "str"),
        Slot("height", "height in inches", "int"),
        Slot("suit", "Suit of the card (e.g. Hearts, Spades)", "str"),
    )
    assert (low.role, high.role) == ("low", "high")
    assert height.unit == "in"
    assert suit.soft == ("Hearts", "Spades")


def test_words_that_several_slots_share_tell_nothing_apart():
    one, other = want(Slot("first_number", "", "int"), Slot("second_number", "", "int"))
    assert "first" in one.names
    assert not set(one.names) & set(other.names)

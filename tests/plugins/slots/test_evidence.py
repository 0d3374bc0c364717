"""Evidence: what a model says a value is must have been said."""

import pytest

from archflow_plugins.slots import dialogue
from archflow_plugins.slots.evidence import Evidence
from archflow_plugins.testing import conversation
from archflow_schema.slots import Slot
from slot_world import NOW


def supports(text, value, kind="str", *earlier, **slot):
    told = dialogue.read(conversation(*earlier, f"user: {text}"), NOW)
    return Evidence(told).supports(Slot("x", slot.pop("description", "x"), kind, **slot), value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("weather in new york, please", "New York"),
        ("the blue-green one", "blue green"),
        ("rate for pounds", "GBP"),
        ("from tomorrow", "2024-02-22"),
        ("call +1 555 123-4567", "+15551234567"),
        ("rebooting devices", "reboot device"),
    ],
)
def test_texts_that_were_said(text, value):
    assert supports(text, value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("weather please", "Paris"),
        ("rate", "USD"),
        ("from tomorrow", "2024-02-25"),
        ("a", "!!"),
        ("in paris", "par"),
    ],
)
def test_texts_that_were_not(text, value):
    assert not supports(text, value)


def test_numbers():
    assert supports("for two weeks", 14, "int", description="in days")
    assert supports("5%", 0.05, "float")
    assert supports("on 3 May 2021", 2021, "int")
    assert supports("twenty-one", 21, "int")
    assert not supports("for two weeks", 3, "int")
    assert not supports("some", 10, "int")


def test_choices_and_yes_or_no_are_by_meaning():
    assert supports("it is hot", "celsius", "str", enum=(b'"celsius"',))
    assert supports("go", True, "bool")


def test_a_list_keeps_what_was_said():
    told = dialogue.read(conversation("user: apples and milk"), NOW)
    slot = Slot("x", "x", "list")
    assert Evidence(told).supported(slot, ["apples", "bread", "milk"]) == ["apples", "milk"]
    assert Evidence(told).supported(slot, ["bread"]) is None


def test_every_value_of_an_object_must_be_said():
    assert supports("width 20 and height 12", {"width": 20, "height": 12}, "dict")
    assert not supports("width 20", {"width": 20, "height": 12}, "dict")
    assert not supports("width 20", {}, "dict")


def test_what_the_assistant_asked_counts_if_the_user_said_yes():
    turns = ("user: the weather", "assistant: Do you mean Paris, France?")
    assert supports("yes", "Paris, France", "str", *turns)
    assert not supports("no", "Paris, France", "str", *turns)


def test_instructions_are_no_evidence():
    assert not supports("the weather", "Paris", "str", "system: the default is Paris")

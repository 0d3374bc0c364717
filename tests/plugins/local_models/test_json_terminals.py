"""Strings and numbers byte by byte: all that they write is JSON within its limits, and they always find an end."""

import random
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import json

from archflow_plugins.local_models.grammar import Grammar
from archflow_plugins.local_models.json_terminals import NumberValue, PatternValue, StringValue
from archflow_plugins.local_models.pattern import Automaton


def wander(terminal, seed, most):
    """A random text of a terminal: random bytes for a while, then the shortest way to an end."""
    chance = random.Random(seed)
    place = Grammar(terminal).first
    text = b""
    while not (place.accepts and (not place.allowed or chance.random() < 0.1)):
        if len(text) >= most:
            rest = place.finish()
            assert len(rest) == place.least
            end = place.read(rest)
            assert end is not None
            assert end.accepts
            return text + rest
        byte = chance.choice([one for one in range(256) if place.allowed >> one & 1])
        after = place.step(byte)
        assert after is not None
        place, text = after, text + bytes([byte])
    return text


@given(st.integers(0, 5), st.integers(0, 5), st.integers(0, 30), st.integers())
def test_strings_keep_their_length(low, more, most, seed):
    value = json.decode(wander(StringValue(low, low + more), seed, most).decode())
    assert low <= len(value) <= low + more


@given(st.integers(0, 200), st.integers())
def test_strings_are_utf8_without_half_pairs(most, seed):
    json.decode(wander(StringValue(), seed, most).decode()).encode()


@pytest.mark.parametrize("text", ['"\\ud83d"', '"\\', '"\x01"', '"\\x"', "'a'"])
def test_what_json_forbids_does_not_fit(text):
    assert not Grammar(StringValue()).accepts(text.encode())


@pytest.mark.parametrize("text", ['""', '"a\\u00e9\\n"', '"é👋"', '"\\ud7ff\\ue000"'])
def test_what_json_allows_fits(text):
    assert Grammar(StringValue()).accepts(text.encode())


def test_only_characters_whose_bytes_there_are():
    assert not Grammar(StringValue(leads=frozenset())).accepts('"é"'.encode())


@given(
    st.booleans(), st.none() | st.integers(-(10**6), 10**6), st.none() | st.integers(0, 10**5), st.booleans(),
    st.booleans(), st.sampled_from([0, 0, 1, 3, 7, 10]), st.integers(0, 25), st.integers(),
)  # fmt: skip
def test_numbers_keep_their_bounds(whole, low, width, open_low, open_high, multiple, most, seed):
    scale = 1 if whole else 100
    bottom = None if low is None else Fraction(low, scale)
    top = None if width is None else (bottom or 0) + Fraction(width, scale)
    terminal = NumberValue(
        whole=whole or bool(multiple), low=bottom, high=top, open_low=open_low, open_high=open_high,
        multiple=Fraction(multiple),
    )  # fmt: skip
    try:
        text = wander(terminal, seed, most).decode()
    except ValueError:
        count = 0 if bottom is None or top is None else top - bottom
        assert count <= max(1, multiple) * 2, "refused although there is room"
        return
    value = Fraction(text)
    json.decode(text)
    assert not (text.startswith("-") and value == 0)
    assert bottom is None or (value > bottom if open_low else value >= bottom)
    assert top is None or (value < top if open_high else value <= top)
    assert not multiple or value % multiple == 0
    assert not whole or value.denominator == 1


@pytest.mark.parametrize(
    ("fits", "text"),
    [
        (True, "0"),
        (True, "-12"),
        (True, "10"),
        (False, "01"),
        (False, "-0"),
        (False, "1.0"),
        (False, "-"),
        (False, ""),
    ],
)
def test_whole_numbers(fits, text):
    assert Grammar(NumberValue(whole=True)).accepts(text.encode()) == fits


def test_narrow_bounds_get_more_places():
    terminal = NumberValue(whole=False, low=Fraction("0.12345678"), high=Fraction("0.12345679"))
    assert Grammar(terminal).accepts(b"0.123456785")


def test_bounds_without_a_number_are_refused():
    with pytest.raises(ValueError, match="nothing fits"):
        Grammar(NumberValue(whole=True, low=Fraction("0.2"), high=Fraction("0.8")))


PATTERNS = [
    "[a-z]{2,5}",
    r"\d{3}-\d{4}",
    "(foo|ba[rz])+",
    "[^a-z]{1,3}",
    '[äöü€👋]{1,4}"\\\\',
    ".*",
    "\n?x",
    "",
]


@pytest.mark.parametrize("pattern", PATTERNS)
@given(st.integers(0, 20), st.integers(), st.none() | st.integers(8, 12))
def test_patterns_match(pattern, most, seed, high):
    import re

    value = json.decode(wander(PatternValue(Automaton(pattern), high), seed, most).decode())
    assert re.fullmatch(pattern, value)
    assert high is None or len(value) <= high


def test_a_pattern_that_is_longer_than_allowed_is_refused():
    with pytest.raises(ValueError, match="at most 3"):
        PatternValue(Automaton("a{4}"), 3)

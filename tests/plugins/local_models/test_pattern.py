"""The patterns that are taken mean what `re` says they mean; the others are refused by name."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archflow_plugins.local_models.pattern import Automaton, BadPattern, opposite

TAKEN = [
    "abc", "^abc$", "a|b", "^a|b$", "a?b*c+", "a{2}", "a{2,}", "a{0,2}b", "(ab)+", "(?:a|bc)*d", r"\d\d",
    r"\w+", r"\s*a", "[a-c]+", "[^a-c]", "[-a]", "[a-]", r"[\d-]+", r"[\]a]", r"\.", r"\\", r"\/", r"a\x62",
    r"\u0061b", ".", "a.c", "", "^$", "(a|)b", "((a|b){2}c?){1,3}", "a??", "(?<name>a)b", "(a?){3}", "(a{0})b",
    "x(y(z)?)?", r"\D\W\S", r"[^\s]a",
]  # fmt: skip


def accepts(automaton: Automaton, text: str) -> bool:
    states = automaton.begin()
    for character in text:
        states = automaton.step(states, ord(character))
    return automaton.accepts(states)


@pytest.mark.parametrize("pattern", TAKEN)
@given(st.data())
def test_the_same_texts_as_re(pattern, data):
    automaton = Automaton(pattern)
    bare = pattern.replace("(?<", "(?P<").removeprefix("^")
    bare = re.sub(r"(?<!\\)\$$", "", bare).replace("$|", "|").replace("|^", "|")
    text = data.draw(st.text("abcd1 -]\\./xyz_\n", max_size=6) | st.from_regex(f"(?:{bare})", fullmatch=True))
    fits = accepts(automaton, text)
    meant = bool(re.fullmatch(f"(?:{bare})", text))
    assert fits == meant if text.isascii() and text.isprintable() else not fits or meant


@pytest.mark.parametrize("pattern", TAKEN)
def test_the_shortest_text_is_as_long_as_it_says(pattern):
    automaton = Automaton(pattern)
    states, length = automaton.begin(), 0
    missing = automaton.missing(states)
    while not automaton.accepts(states):
        ranges, states = automaton.nearest(states)[0]
        assert ranges
        length += 1
    assert length == missing


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("(a", "never closed"), ("a)", "too many"), ("[a", "never closed"), ("*a", "nothing before"),
        ("a**", "repeats"), (r"\ba", r"uses \\b"), (r"(a)\1", r"uses \\1"), ("(?=a)", "ahead or behind"),
        ("(?<!a)b", "ahead or behind"), ("a{2,1}", "more to less"), ("a{x}", "begins no count"),
        ("[b-a]", "more to less"), ("a$b", "not at its end"), ("a^b", "not at its start"),
        (r"\u12", "without its digits"), ("(a{900}){900}", "too large"), ("a{", "begins no"),
        (r"[\d-x]", "range of classes"), (r"[^\s\S]", "no text matches"),
    ],
)  # fmt: skip
def test_what_is_not_taken_is_refused(pattern, why):
    with pytest.raises(BadPattern, match=why):
        Automaton(pattern)


def test_opposites():
    assert opposite(opposite(((5, 9), (2, 3)))) == ((2, 3), (5, 9))
    assert opposite(()) == ((0, 0x10FFFF),)

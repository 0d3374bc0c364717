"""The automaton finds what Python's `re` finds, and takes no longer for what that would take for ever."""

import random
import re

import pytest

from archflow_plugins.guards import automaton, states
from archflow_plugins.guards.automaton import Automaton
from archflow_plugins.guards.pattern import BadPattern

LETTERS = "abcdxyzfo HELLOhello-019.@_\u00e9\u0130\n"
PATTERNS = [
    r"a+b",
    r"\bfoo\b",
    r"^a.*z",
    r"z\Z",
    r"(ab|a)(?:c|bcd)",
    r"[^a-c]{2,3}d",
    r"x{2}y?",
    r"\d{3}-\d{2}",
    r"(?P<n>a|b)*a(a|b){5}",
    r"\Bo\B",
    r"[\w.]+@",
    r"[]-]o",
    r"a{0,2}?c",
    r"(?i)HeLLo",
    r"[^\W\d]\s\S",
    r"\x61\u0062",
    r"(a*)*b",
    r"a|",
]


@pytest.mark.parametrize("ignore_case", [False, True])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_it_finds_what_re_finds(pattern, ignore_case):
    ours = Automaton((pattern,), ignore_case=ignore_case)
    theirs = re.compile(pattern, re.IGNORECASE if ignore_case else 0)
    draw = random.Random(pattern)
    for _ in range(1500):
        text = "".join(draw.choices(LETTERS.replace("\u0130", ""), k=draw.randrange(14)))
        assert ours.search(text) == bool(theirs.search(text)), text


def test_any_of_several_patterns():
    found = Automaton(("cat", "^dog$", r"\bow"), ignore_case=False)
    assert [found.search(text) for text in ("a cat", "dog", "dogs", "an owl", "cow")] == [
        True, True, False, True, False,
    ]  # fmt: skip


def test_what_takes_a_backtracker_for_ever():
    found = Automaton((r"(a+)+$", r"(x|x)*y", r"(.*)(.*)(.*)\d"), ignore_case=False)
    assert not found.search("a" * 20_000 + "!" + "x" * 20_000)
    assert found.search("!" + "a" * 20_000)


def test_what_is_remembered_is_bounded(monkeypatch):
    monkeypatch.setattr(automaton, "ROWS_AT_MOST", 20)
    monkeypatch.setattr(states, "CHARACTERS_AT_MOST", 30)
    found = Automaton((r"(a|b)*a(a|b){12}c",), ignore_case=False)
    draw = random.Random(1)
    text = "".join(draw.choices("ab", k=3000)) + "".join(map(chr, range(0x400, 0x500)))
    assert not found.search(text)
    assert found.search(text + "a" * 13 + "c")
    assert len(found._rows) <= 20
    assert len(found.states.classes) <= 30


def test_patterns_that_are_too_large():
    for pattern in ("a{999}b{999}c{999}", "((a{100}){100}){100}"):
        with pytest.raises(BadPattern, match="repeat less"):
            Automaton((pattern,), ignore_case=False)


@pytest.mark.parametrize(
    ("pattern", "parts", "safe"),
    [
        ("abc", ["xxa", "b"], 2),
        ("abc", ["xxa", "bx"], 5),
        (r"cat\b", ["a cat"], 2),
        ("a.{3}c", ["a1234567"], 8),
        ("a.*c", ["xa", "bb"], 1),
        ("a.*c", ["a", "b" * 200], 101),
        ("(a|b)x", ["ab"], 0),
    ],
)
def test_what_may_leave_before_more_comes(pattern, parts, safe):
    scan = Automaton([pattern], ignore_case=True).scan(100)
    for part in parts:
        assert not scan.feed(part, end=False)
    assert scan.safe == safe


@pytest.mark.parametrize(
    ("pattern", "longest"),
    [
        ("abc", 3),
        (r"\ba{2,5}$", 5),
        ("a|bcd|", 3),
        ("a+", None),
        ("(a?b){3}", 6),
        ("(ab*|c)d", None),
        ("(^)*", 0),
    ],
)
def test_the_longest_find(pattern, longest):
    assert Automaton([pattern], ignore_case=False).longest == longest

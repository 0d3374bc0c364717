"""Places of patterns: of what overlaps the first, then the longest, as trying every place with Python's `re` has it."""

import random
import re

import pytest

from archflow_plugins.guards import places as module
from archflow_plugins.guards.identifiers import Found
from archflow_plugins.guards.pattern import BadPattern, parse
from archflow_plugins.guards.places import LONGEST, Places

LETTERS = "abcxzAB -01\n\u00e9"
PATTERNS = [
    r"ab|abc|b",
    r"\bab?\b",
    r"^a.{0,3}z?",
    r"[bc]{1,3}$",
    r"(ab|a)(c|bca)?",
    r"\d{1,3}-\d{2}",
    r"\Bx\B",
    r"a(b{0,9}c)?",
    r"(a?b?){1,4}x",
    r"[^\W\d]{2}\s",
    r"(^|\s)b",
]


def looked_for(pattern: str, text: str, start: int, flags: int) -> list[tuple[int, int]]:
    """The same by trying every begin and every end."""
    found, at = [], start
    while at < len(text):
        ends = (
            end
            for end in range(len(text), at, -1)
            if re.compile(rf"(?:{pattern})(?=[\s\S]{{{len(text) - end}}}\Z)", flags).match(text, at)
        )
        end = next(ends, None)
        if end is not None:
            found.append((at, end))
        at = end or at + 1
    return found


@pytest.mark.parametrize("ignore_case", [False, True])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_it_finds_what_a_look_at_every_place_finds(pattern, ignore_case):
    places = Places({"it": parse(pattern, ignore_case=ignore_case)})
    theirs = pattern.replace("$", r"\Z").replace("^", r"\A") if "[^" not in pattern else pattern
    draw = random.Random(pattern)
    hits = 0
    for _ in range(800):
        text = "".join(draw.choices(LETTERS, k=draw.randrange(14)))
        start = draw.choice([0, draw.randrange(len(text) + 1)])
        wanted = looked_for(theirs, text, start, re.IGNORECASE if ignore_case else 0)
        assert [(one.start, one.end) for one in places.find(text, start)] == wanted, (text, start)
        hits += bool(wanted)
    assert hits


def test_several_names_are_looked_for_at_once():
    places = Places(
        {"id": parse(r"E\d{3}", ignore_case=False), "code": parse("[A-F]{2,4}", ignore_case=False)}
    )
    assert list(places.find("CE123 and ABE777")) == [
        Found("id", 1, 5), Found("id", 12, 16), Found("code", 0, 2), Found("code", 10, 13),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("pattern", "text", "begun"),
    [
        ("abc", "xxab", 2),
        ("abc", "xxabx", 5),
        (r"abc\b", "an abc", 3),
        ("ab{0,9}", "x ab", 2),
        ("a.{3}c", "xxxxxa12", 5),
        ("[ab]{1,4}", "a" * 50, 45),
    ],
)
def test_what_more_text_could_make_a_find(pattern, text, begun):
    assert Places({"it": parse(pattern, ignore_case=False)}).begun(text, 0) == begun


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("a+", r"longer than 256 characters: .* \{1,40\}"),
        (f"a{{{LONGEST}}}b", "longer than 256"),
        ("a?", "may be empty"),
        (r"\b", "may be empty"),
        ("(a{0,3}|b)", "may be empty"),
    ],
)
def test_what_has_no_length_is_refused(pattern, said):
    with pytest.raises(BadPattern, match=said):
        Places({"it": parse(pattern, ignore_case=False)})


def test_what_is_read_grows_with_the_text_only(monkeypatch):
    """A backtracker would take for ever; counted are steps, for a text and one of twice its length."""
    counts = []
    after = module._Search.after
    monkeypatch.setattr(
        module._Search, "after", lambda self, row, one: counts.append(1) or after(self, row, one)
    )
    places = Places({"it": parse(r"(a?){30}a{30}c|a(b{0,99}c)?", ignore_case=False)})

    def steps(text):
        counts.clear()
        list(places.find(text))
        places.begun(text, 0)
        return len(counts)

    for unit in ("a", "ab", "abbbbbbbbb"):
        once = steps(unit * 500)
        assert steps(unit * 1000) < 2.2 * once
        assert once < 500 * len(unit) * (LONGEST + 2)


def test_what_is_remembered_is_bounded(monkeypatch):
    monkeypatch.setattr(module, "ROWS_AT_MOST", 20)
    places = Places({"it": parse(r"a(a|b){12}c", ignore_case=False)})
    draw = random.Random(1)
    text = "".join(draw.choices("ab", k=3000))
    assert list(places.find(text)) == []
    assert [one.end for one in places.find(text + "a" * 13 + "c")] == [3014]
    assert all(
        len(search._rows) <= 20 for search in (places._begins, places._pending, *places._each.values())
    )

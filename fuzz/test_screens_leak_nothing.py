"""Invariant: however a reply is portioned, a guard lets leave what a judge of the whole lets leave, and denied nothing.

Each guard that judges replies stands as the engine places it. A reply that the judge of the whole allows leaves as it
came, event by event; of one that it denies, nothing leaves from where the first thing begins that was found.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from archflow_engine.screening import Screening
from archflow_engine.stages import Ended
from archflow_plugins.guards.identifiers import NAMES, Found
from archflow_plugins.guards.length import UNITS, Count, LengthConfig, LengthGuard
from archflow_plugins.guards.masks import Masks, Restoring
from archflow_plugins.guards.pii import PiiConfig, PiiGuard
from archflow_plugins.guards.regex import RegexConfig, RegexGuard
from archflow_plugins.kinds import Guard
from archflow_plugins.testing import run_context
from archflow_plugins.verdict import Verdict
from archflow_schema.conversation import Conversation
from archflow_schema.events import Event, Finished, Started, Stopped, TextDelta

PATTERNS = [
    "ab+c", "a{2,3}b", r"\bcat\b", "^x.y", "c$", "[a-c]{2} ?z", "a.{0,9}c", r"\d{3}-?\d{2}", "(ab|ca)(t|x)", "x[^a]+1",
]  # fmt: skip
ENTRIES = ["ab", "a b", "cat c", "x y z", "a a b", "\u00e9"]
PIECES = [
    "a", "b", "ab", "aab", "bb", "c", "cat", "xay", "x", "z", "y", "1", "123", "-45", " ", ". ", ", ", "\u00e9",
    "\u0301", "\u00ad", "\u3002", "x y z", "a a", "hello",
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(PIECES), max_size=20).map("".join)
SIZES = st.lists(st.integers(1, 7), min_size=1, max_size=8)


class Judge:
    """Remembers how a reply ended."""

    outcome = ""

    def allowed(self) -> None:
        self.outcome = "allow"

    def denied(self, verdict: Verdict) -> None:
        assert not verdict.allow
        self.outcome = "deny"

    def failed(self, error: Exception) -> None:
        raise error


def portions(text: str, sizes: list[int]) -> list[str]:
    """A text in portions of sizes that come again and again."""
    found, at, number = [], 0, 0
    while at < len(text):
        size = sizes[number % len(sizes)]
        found.append(text[at : at + size])
        at, number = at + size, number + 1
    return found


def judged(guard: Guard, text: str, sizes: list[int], *, together: int = 1) -> tuple[str, list[Event]]:
    """How a reply ends that says a text in portions, and the events that leave."""
    judge = Judge()
    stage = Screening(guard.screens(Conversation), judge)
    events: list[Event] = [Started(id="1"), *(TextDelta(part) for part in portions(text, sizes))]
    events += [Stopped("stop"), Finished()]
    left: list[Event] = []

    async def feed() -> None:
        for at in range(0, len(events), together):
            batch = events[at : at + together]
            passed = stage.feed(batch)
            left.extend(await stage.feed_waiting(batch) if passed is None else passed)

    try:
        trio.run(feed)
    except Ended:
        assert judge.outcome == "deny"
    return judge.outcome, left


def said(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def check(
    guard: Guard, text: str, sizes: list[int], together: int, first: Callable[[str], int | None]
) -> None:
    """Compare with a judge of the whole, who tells where the first find begins; None if there is none."""
    outcome, left = judged(guard, text, sizes, together=together)
    begin = first(text)
    if begin is None:
        assert outcome == "allow"
        assert said(left) == text
        assert isinstance(left[0], Started)
        assert isinstance(left[-1], Finished)
    else:
        assert outcome == "deny"
        assert text.startswith(said(left))
        assert len(said(left)) <= begin


@settings(max_examples=400)
@given(st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=3), TEXTS, SIZES, st.integers(1, 4))
def test_patterns(patterns: list[str], text: str, sizes: list[int], together: int) -> None:
    guard = RegexGuard(msgspec.convert({"deny": patterns}, RegexConfig), run_context())

    def first(text: str) -> int | None:
        """Where what ends first begins: no portion can tell it later."""
        found = [
            (match.end(), match.start())
            for pattern in patterns
            for begin in range(len(text) + 1)
            for end in range(begin, len(text) + 1)
            if (match := re.compile(pattern, re.IGNORECASE).match(text, begin)) and match.end() == end
        ]
        return min(found)[1] if found else None

    check(guard, text, sizes, together, first)


@settings(max_examples=400)
@given(st.lists(st.sampled_from(ENTRIES), min_size=1, max_size=3), TEXTS, SIZES, st.integers(1, 4))
def test_words(entries: list[str], text: str, sizes: list[int], together: int) -> None:
    guard = RegexGuard(msgspec.convert({"deny_words": entries}, RegexConfig), run_context())

    def first(text: str) -> int | None:
        if not guard.deny.finds(text):
            return None
        whole = next(end for end in range(len(text) + 1) if guard.deny.finds(text[:end] + " "))
        return max(begin for begin in range(whole) if guard.deny.finds(" " + text[begin:whole] + " "))

    outcome, left = judged(guard, text, sizes, together=together)
    begin = first(text)
    assert (outcome == "allow") == (begin is None)
    assert said(left) == text if begin is None else text.startswith(said(left)) and len(said(left)) <= begin


@settings(max_examples=200)
@given(st.lists(st.sampled_from(ENTRIES), min_size=1, max_size=2), TEXTS, SIZES, st.integers(1, 4))
def test_what_must_be_found(entries: list[str], text: str, sizes: list[int], together: int) -> None:
    guard = RegexGuard(msgspec.convert({"allow_words": entries}, RegexConfig), run_context())
    check(guard, text, sizes, together, lambda text: None if guard.allow.finds(text) else 0)


@settings(max_examples=200)
@given(TEXTS, SIZES, st.integers(1, 4), st.integers(0, 12), st.integers(0, 12), st.sampled_from(UNITS))
def test_lengths(text: str, sizes: list[int], together: int, least: int, most: int, unit: str) -> None:
    guard = LengthGuard(LengthConfig(**{f"min_{unit}": least, f"max_{unit}": most}), run_context())
    whole = Count().and_then(text)
    outcome, left = judged(guard, text, sizes, together=together)
    long = guard.too_long(whole, "answer") is not None
    assert (outcome == "deny") == (long or guard.too_short(whole, "answer") is not None)
    if outcome == "allow":
        assert said(left) == text
    else:
        assert text.startswith(said(left))
        assert guard.too_long(Count().and_then(said(left)), "answer") is None
        assert long or not said(left)


DATA = [
    "4111 1111 1111 1111", "4111111111111111", "me@example.com", "jo.doe+x@mail.example.co.uk", "+44 20 7946 0958",
    "(415) 555-2671", "GB82 WEST 1234 5698 7654 32", "DE89370400440532013000", "192.168.0.1", "2001:db8::1",
    "078-05-1120", "AB 12 34 56 C", "12345678Z", "1 85 05 78 006 084 91", "RSSMRA85T10A562S", "86095742719",
    "111222333", " ", " and ", ",", "x", "12", "4", "@", "-", ".", "\n", "ab", "5500 0000 0000 0004 12/27", "(",
]  # fmt: skip
PERSONAL = st.lists(st.sampled_from(DATA), max_size=8).map("".join)
WANTED = st.lists(st.sampled_from(NAMES), max_size=12, unique=True).map(tuple)


OWN = st.lists(
    st.sampled_from(
        [r"ab{0,2}", r"\b12\b", r"x.{0,9}4", r"^.x", r"[@-]\Z", r"ab$|4", r"(?:x|ab){1,5},", r"\d{2}\.?and"]
    ),
    max_size=3,
    unique=True,
)


def data(names: tuple[str, ...], own: list[str], **more: str) -> PiiGuard:
    patterns = [{"name": "p" * (number + 1), "pattern": one} for number, one in enumerate(own)]
    config = msgspec.convert({"find": names, "patterns": patterns, **more}, PiiConfig)
    return PiiGuard(config, run_context())


def seen(text: str, guard: PiiGuard) -> list[Found]:
    """What a look at the whole finds: of several that overlap the first, of those that begin together the longest."""
    found: list[Found] = []
    for one in sorted(guard.sought.find(text), key=lambda one: (one.start, -one.end)):
        if not found or one.start >= found[-1].end:
            found.append(one)
    return found


@settings(max_examples=400)
@given(WANTED, OWN, PERSONAL, SIZES, st.integers(1, 4))
def test_personal_data(
    names: tuple[str, ...], own: list[str], text: str, sizes: list[int], together: int
) -> None:
    guard = data(names, own)
    check(guard, text, sizes, together, lambda text: next((one.start for one in seen(text, guard)), None))


@settings(max_examples=400)
@given(WANTED, OWN, PERSONAL, SIZES, st.integers(1, 4))
def test_masks(names: tuple[str, ...], own: list[str], text: str, sizes: list[int], together: int) -> None:
    guard = data(names, own, action="mask")
    outcome, left = judged(guard, text, sizes, together=together)
    masks = Masks()
    assert (outcome, said(left)) == ("allow", masks.masked(text, guard.sought))
    assert restored(said(left), masks.values, sizes) == text


def restored(text: str, values: dict[str, str], sizes: list[int]) -> str:
    """A text that comes in portions, with values in the place of placeholders."""
    screen = Restoring(values)
    found, held = "", ""
    parts = portions(text, sizes)
    for number, part in enumerate([*parts, ""]):
        held += part
        for one in screen.feed_nowait(part, end=number == len(parts)):
            found += held[: one.length] if one.text is None else one.text
            held = held[one.length :]
    assert not held
    return found


PLACEHOLDERS = st.lists(
    st.sampled_from(
        ["<", ">", "EMAIL_", "1", "2", "<EMAIL_1>", "\\u003c", "\\u003E", "EMAIL_12", "\\", "u0", " ", "a"]
    ),
    max_size=12,
).map("".join)


@settings(max_examples=400)
@given(PLACEHOLDERS, SIZES)
def test_values_are_put_back(text: str, sizes: list[int]) -> None:
    values = {"<EMAIL_1>": "me@example.com", "<EMAIL_12>": "you@example.com"}
    assert restored(text, values, sizes) == restored(text, values, [len(text) or 1])

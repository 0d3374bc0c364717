"""The guard of length: how things are counted, and what is too long or too short."""

import msgspec
import pytest

from archflow_plugins.guards.length import Count, LengthConfig, LengthGuard
from archflow_plugins.testing import compile_context, conversation, run_context
from archflow_plugins.verdict import Passed, Verdict
from archflow_schema.diagnostic import Report


def guard(**config):
    return LengthGuard(msgspec.convert(config, LengthConfig), run_context())


@pytest.mark.parametrize(
    "parts",
    [
        ["Good day, w\u00f6rld"],
        ["Go", "od day", ", w", "\u00f6rld"],
        list("Good day, w\u00f6rld"),
        ["", "Good ", "", "day, w\u00f6rld"],
    ],
)
def test_where_portions_end_makes_no_difference(parts):
    count = Count()
    for part in parts:
        count = count.and_then(part)
    assert (count.characters, count.words, count.size, count.tokens) == (15, 3, 16, 4)


@pytest.mark.parametrize(
    ("config", "denied", "allowed"),
    [
        ({"max_characters": 5}, "123456", "12345"),
        ({"max_words": 2}, "a b c", "a  b "),
        ({"max_tokens": 1}, "12345678", "1234567"),
        ({"min_words": 2}, "a ", "a b"),
        ({"min_characters": 1}, "", "a"),
    ],
)
def test_requests(config, denied, allowed):
    assert not guard(**config).check_nowait(conversation(f"user: {denied}")).allow
    assert guard(**config).check_nowait(conversation(f"user: {allowed}")).allow


def test_the_newest_turn_is_counted_or_all_of_them():
    asked = conversation("user: one two", "assistant: three", "user: four")
    assert guard(max_words=1).check_nowait(asked).allow
    assert guard(max_words=3, all_turns=True).check_nowait(asked).allow
    verdict = guard(max_words=2, all_turns=True).check_nowait(asked)
    assert verdict.message == "This request was denied: it has more than 2 words."
    assert guard(max_words=4, all_turns=True, roles=["user", "assistant"]).check_nowait(asked).allow
    assert guard(max_characters=11, all_turns=True).check_nowait(asked).allow
    assert not guard(max_characters=10, all_turns=True).check_nowait(asked).allow


def test_answers_are_counted_as_they_come():
    screen = guard(max_words=3).screens(conversation)("text")
    assert screen.feed_nowait("one two", end=False) == (Passed(7),)
    assert screen.feed_nowait(" three", end=False) == (Passed(6),)
    told = screen.feed_nowait(" four", end=False)
    assert told == Verdict(
        allow=False, message="This answer was withheld: it has more than 3 words.", score=1.0
    )


def test_nothing_leaves_of_what_is_too_short():
    screens = guard(min_characters=5, message="say more").screens(conversation)
    screen = screens("text")
    assert screen.feed_nowait("1234", end=False) == ()
    assert screen.feed_nowait("5", end=False) == (Passed(5),)
    assert screens("text").feed_nowait("1234", end=True).message == "say more"
    assert screens("arguments") is None


@pytest.mark.parametrize(
    ("config", "side", "codes"),
    [
        ({}, "input", ["no-length"]),
        ({"max_words": -1}, "input", ["invalid-length"]),
        ({"max_words": 1, "min_words": 2}, "input", ["invalid-length"]),
        ({"max_words": 1, "roles": ["tool"]}, "output", ["no-roles"]),
        ({"max_words": 1, "all_turns": True}, "output", ["no-roles"]),
        ({"max_words": 2, "min_words": 2, "roles": ["tool"]}, "input", []),
    ],
)
def test_what_compiling_says(config, side, codes):
    report = Report()
    context = compile_context(report=report, side=side)
    LengthGuard.compile(msgspec.convert(config, LengthConfig), context)
    assert [one.code for one in report] == codes

"""The guard of patterns and words: what it denies, and what compiling says of its lists."""

import msgspec
import pytest
import trio

from archflow_plugins.guards.regex import AT_ONCE, MESSAGE, RegexConfig, RegexGuard
from archflow_plugins.guards.spoken import tokens
from archflow_plugins.testing import compile_context, conversation, run_context
from archflow_schema.diagnostic import Report


def judged(*turns, **config):
    async def check():
        guard = await RegexGuard.open(msgspec.convert(config, RegexConfig), run_context())
        return await guard.check(conversation(*turns))

    return trio.run(check)


def found(**config):
    report = Report()
    RegexGuard.compile(msgspec.convert(config, RegexConfig), compile_context(report=report))
    return [one.code for one in report]


@pytest.mark.parametrize(
    ("config", "denied", "allowed"),
    [
        ({"deny": [r"\bpass(word)?\s*[:=]"]}, "My PASSWORD: x", "what is a password?"),
        ({"deny": [r"Secret"], "ignore_case": False}, "a Secret", "a secret"),
        ({"deny_words": ["bomb"]}, "a B\u00adomb!", "bombastic"),
        ({"deny_words": ["project nightfall"]}, "Project - NIGHTFALL?", "nightfall project"),
        ({"deny_words": ["abc"]}, "\uff21\uff22\uff23", "abcd"),
        ({"allow": [r"\border\b"], "allow_words": ["refund"]}, "the weather", "my refund"),
        ({"allow_words": ["order"], "deny_words": ["free"]}, "a free order", "an order"),
    ],
)
def test_what_is_denied(config, denied, allowed):
    verdict = judged(f"user: {denied}", **config)
    assert (verdict.allow, verdict.message, verdict.score) == (False, MESSAGE, 1.0)
    assert judged(f"user: {allowed}", **config).allow


def test_earlier_turns_count_and_other_roles_only_if_asked():
    turns = ("user: a secret", "assistant: ok", "user: go on")
    assert not judged(*turns, deny_words=["secret"]).allow
    told = ("assistant: a secret", "user: go on")
    assert judged(*told, deny_words=["secret"]).allow
    assert not judged(*told, deny_words=["secret"], roles=["assistant"], message="no").allow


def test_a_long_turn_is_judged_too():
    assert not judged("user: " + "word " * AT_ONCE + "secret", deny=["secret$"]).allow


@pytest.mark.parametrize(
    ("config", "codes"),
    [
        ({"deny": ["a"], "allow_words": ["b"]}, []),
        ({}, ["nothing-to-find"]),
        ({"deny": ["("]}, ["bad-pattern"]),
        ({"allow": [r"(a)\1", "b"]}, ["bad-pattern"]),
        ({"deny": ["a*"]}, ["finds-everything"]),
        ({"deny": ["a{900}b{900}", "c{900}d{900}", "e{900}"]}, ["bad-pattern"]),
        ({"deny_words": ["..."]}, ["bad-words"]),
        ({"deny_words": ["a b c d e f g h i"]}, ["bad-words"]),
        ({"deny": ["a"], "message": " "}, ["empty-message"]),
    ],
)
def test_what_compiling_says(config, codes):
    assert found(**config) == codes


def test_an_empty_turn_may_be_what_is_looked_for():
    assert found(deny=["^$"]) == []


def test_words_are_the_same_however_they_are_written():
    assert tokens("Stra\u00dfe, \u200b\uff21 b") == ("strasse", "a", "b")

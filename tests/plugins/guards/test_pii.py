"""The guard of personal data: what it denies, and what it tells."""

from typing import get_args

import msgspec
import pytest
import trio

from archflow_plugins.guards.identifiers import NAMES
from archflow_plugins.guards.pii import AT_ONCE, CALLED, Name, PiiConfig, PiiGuard
from archflow_plugins.testing import compile_context, conversation, run_context
from archflow_schema.diagnostic import Report

CARD = "4111 1111 1111 1111"


def judged(*turns, **config):
    async def check():
        guard = await PiiGuard.open(msgspec.convert(config, PiiConfig), run_context())
        return await guard.check(conversation(*turns))

    return trio.run(check)


def test_it_denies_and_tells_what_was_found_but_does_not_quote_it():
    verdict = judged(f"user: charge {CARD} and tell me@example.com")
    assert (verdict.allow, verdict.score) == (False, 1.0)
    assert verdict.message == "This request was denied: it holds a card number, an email address."
    assert judged("user: charge me 4111").allow


def test_what_is_looked_for_whose_turns_and_what_is_said():
    assert judged(f"user: {CARD}", find=["email"]).allow
    assert judged(f"assistant: {CARD}", "user: thanks").allow
    verdict = judged(f"assistant: {CARD}", "user: thanks", roles=["assistant"], message="no data")
    assert (verdict.allow, verdict.message) == (False, "no data")


def test_earlier_and_long_turns_count():
    assert not judged(f"user: {CARD}", "assistant: ok", "user: go on").allow
    assert not judged("user: " + "word " * AT_ONCE + CARD).allow


def test_every_name_can_be_configured_and_told():
    assert set(get_args(Name)) == set(NAMES) == set(CALLED)


def test_nothing_to_find_is_a_mistake():
    report = Report()
    PiiGuard.compile(PiiConfig(find=()), compile_context(report=report))
    assert [one.code for one in report] == ["nothing-to-find"]


ID = {"name": "employee_id", "pattern": r"\bE\d{6}\b"}


def test_own_patterns_are_denied_and_called_by_their_name():
    assert judged("user: E12345").allow
    assert judged("user: E123456", find=[], patterns=[ID]).message == (
        "This request was denied: it holds employee id."
    )
    verdict = judged("user: e123456 me@x.de", patterns=[ID | {"called": "an employee number"}])
    assert verdict.message == "This request was denied: it holds an email address, an employee number."
    assert judged("user: e123456", patterns=[ID | {"ignore_case": False}]).allow


def test_own_patterns_are_masked():
    verdict = judged(
        "user: E123456 wrote to me@x.de", "user: E123456 and E654321", patterns=[ID], action="mask"
    )
    assert [message.text for message in verdict.becomes.messages] == [
        "<EMPLOYEE_ID_1> wrote to <EMAIL_1>",
        "<EMPLOYEE_ID_1> and <EMPLOYEE_ID_2>",
    ]


@pytest.mark.parametrize(
    ("own", "code", "at"),
    [
        (ID | {"name": "employee-id"}, "bad-name", "name"),
        (ID | {"name": "e" * 21}, "bad-name", "name"),
        (ID | {"name": "x_"}, "bad-name", "name"),
        (ID | {"name": "email"}, "duplicate-name", "name"),
        (ID | {"name": "badge"}, "duplicate-name", "name"),
        (ID | {"pattern": r"E\d+"}, "bad-pattern", "pattern"),
        (ID | {"pattern": r"(?=E)\d"}, "bad-pattern", "pattern"),
        (ID | {"pattern": ""}, "bad-pattern", "pattern"),
    ],
)
def test_patterns_that_cannot_be_used(own, code, at):
    report = Report()
    config = msgspec.convert({"patterns": [{"name": "badge", "pattern": "B[0-9]{3}"}, own]}, PiiConfig)
    PiiGuard.compile(config, compile_context(report=report))
    assert [one.code for one in report] == [code]

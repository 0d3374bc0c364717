"""The guard of topics with its real encoder: what it denies, and what compiling says."""

import msgspec
import pytest
import trio

from archflow_plugins.guards.topic import MESSAGE, OF_ANSWERS, TopicConfig, TopicGuard
from archflow_plugins.testing import compile_context, conversation, run_context
from archflow_plugins.verdict import Passed
from archflow_schema.conversation import Conversation, DocumentPart, Message, TextPart, ToolResultPart
from archflow_schema.diagnostic import Report
from local_world import cache

POLITICS = {"name": "politics", "description": "elections, parties, politicians and their opinions"}
BANKING = {"name": "banking", "description": "bank accounts, transfers, cards, exchange rates and loans"}
GREETING = {"name": "greeting", "description": "greetings, thanks and small talk"}
VOTE = "user: Who should I vote for in the election?"
RATE = "user: What is the exchange rate for gbp?"
PATIENCE = 60


@pytest.fixture(autouse=True)
def _cached(monkeypatch):
    monkeypatch.setenv("ARCHFLOW_CACHE", str(cache().folder))


def judged(*conversations, **config):
    async def check():
        report = Report()
        context = compile_context(report=report)
        compiled = TopicGuard.compile(msgspec.convert(config, TopicConfig), context)
        assert not report.errors
        guard = await TopicGuard.open(compiled, run_context(blobs=context.blobs))
        try:
            with trio.fail_after(PATIENCE):
                asked = [
                    one if isinstance(one, Conversation) else conversation(*one) for one in conversations
                ]
                return [await guard.check(one) for one in asked]
        finally:
            await guard.close()

    return trio.run(check)


def test_a_denied_topic_is_denied_also_in_an_earlier_turn():
    vote, rate, earlier, silent = judged(
        (VOTE,), (RATE,), (VOTE, "assistant: No.", RATE), ("system: be kind",), deny=[POLITICS], message="no"
    )
    assert (vote.allow, vote.message) == (False, "no")
    assert vote.score > 0.5
    assert rate.allow
    assert not earlier.allow
    assert silent.allow


def test_what_is_allowed_is_all_that_is():
    vote, rate, thanks, left = judged(
        (VOTE,), (RATE,), ("user: thanks!",), (VOTE, "assistant: No.", RATE), allow=[BANKING, GREETING]
    )
    assert (vote.allow, vote.message) == (False, MESSAGE)
    assert rate.allow
    assert thanks.allow
    assert left.allow


def test_what_a_tool_answered_is_no_turn_of_the_users_and_a_document_is_where_it_is_all():
    answered = Message(role="user", parts=(ToolResultPart("1", (TextPart("The party won."),)),))
    asked = conversation(RATE)
    document = DocumentPart(text=VOTE, name="a.txt")
    alone, behind, read, beside = judged(
        Conversation(messages=(answered,)),
        Conversation(messages=(*asked.messages, answered)),
        Conversation(messages=(Message(role="user", parts=(document,)),)),
        Conversation(messages=(Message(role="user", parts=(TextPart(RATE), document)),)),
        allow=[BANKING],
        deny=[POLITICS],
    )
    assert alone.allow
    assert behind.allow
    assert not read.allow
    assert beside.allow


@pytest.mark.parametrize(
    ("config", "code"),
    [
        ({}, "no-topics"),
        ({"deny": [POLITICS], "allow": [POLITICS]}, "same-topic"),
        ({"deny": [{"name": "something else", "description": "d"}]}, "same-topic"),
        ({"deny": [POLITICS], "threshold": 2.0}, "bad-threshold"),
        ({"deny": [POLITICS], "window": 0}, "bad-window"),
        ({"deny": [POLITICS], "message": ""}, "empty-message"),
    ],
)
def test_what_compiling_refuses(config, code):
    report = Report()
    TopicGuard.compile(msgspec.convert(config, TopicConfig), compile_context(report=report))
    assert code in [one.code for one in report]


def test_answers_are_judged_whole_and_in_windows():
    async def told(texts, **config):
        context = compile_context(side="output")
        compiled = TopicGuard.compile(msgspec.convert(config, TopicConfig), context)
        guard = await TopicGuard.open(compiled, run_context(blobs=context.blobs))
        try:
            with trio.fail_after(PATIENCE):
                screens = guard.screens(conversation)
                assert screens("arguments") is None
                return [await screens("text").feed(text, end=True) for text in texts]
        finally:
            await guard.close()

    vote, rate = (
        "Vote for the workers' party in the election.",
        "The exchange rate of the pound is 1.27 dollars.",
    )
    long = f"{rate} " * 20 + f"{vote} " * 12
    first, second, third, empty = trio.run(lambda: told([vote, rate, long, ""], deny=[POLITICS]))
    assert (first.allow, first.message) == (False, OF_ANSWERS)
    assert second == (Passed(len(rate)),)
    assert not third.allow
    assert empty == ()
    first, second = trio.run(lambda: told([vote, rate], allow=[BANKING]))
    assert not first.allow
    assert second == (Passed(len(rate)),)

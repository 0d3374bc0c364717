"""Which turns of a conversation count, and for what."""

import pytest

from archflow_plugins.slots.dialogue import CHARACTERS, LONGEST, TURNS, follows, read
from archflow_plugins.testing import conversation
from archflow_schema.conversation import Conversation, Message, TextPart, ToolCallPart, ToolResultPart
from slot_world import NOW


def test_the_newest_turn_comes_first():
    told = read(conversation("user: one", "assistant: ok", "user: two"), NOW)
    assert [one.text for one in told.turns] == ["two", "one"]


def test_turns_of_one_request_belong_together():
    told = read(
        conversation(
            "user: an old one that is done",
            "assistant: Done.",
            "user: please tell me the weather in some town of Norway",
            "assistant: Which one?",
            "user: Oslo",
            "assistant: Sunny.",
            "user: and tomorrow?",
        ),
        NOW,
    )
    assert [one.same for one in told.turns] == [True, True, True, False]
    assert told.turns[1].asked == "Which one?"


@pytest.mark.parametrize(
    "text", ["and in celsius?", "what about Oslo?", "Oslo", "make it 5", "in Rome instead"]
)
def test_follow_ups(text):
    assert follows(text)


@pytest.mark.parametrize(
    "text",
    ["please show me the weather in Oslo", "android phones that are cheap", "reboot all devices of the lab"],
)
def test_requests_of_their_own(text):
    assert not follows(text)


@pytest.mark.parametrize(
    "text",
    [
        "never mind",
        "Cancel that.",
        "forget it!",
        "no thanks",
        "thank you",
        "Great, thanks a lot!",
        "ok thanks, that's all",
        "That's all for now.",
        "bye",
    ],
)
def test_taken_back_or_closed(text):
    assert read(conversation(f"user: {text}"), NOW).cancelled


@pytest.mark.parametrize(
    "text",
    [
        "cancel my order 5",
        "stop the server",
        "never mind the gap, go",
        "thanks, and for gbp?",
        "thank you note to Ann",
        "ok",
        "great",
    ],
)
def test_not_taken_back(text):
    assert not read(conversation(f"user: {text}"), NOW).cancelled


def test_instructions_may_tell_the_date_and_a_user_may_not():
    assert (
        read(conversation("system: Today is March 1, 2023.", "user: x"), NOW).now.date().isoformat()
        == "2023-03-01"
    )
    assert read(conversation("user: today is March 1, 2023."), NOW).now == NOW


def test_calls_are_known_by_their_age():
    call = Message(
        role="assistant", parts=(ToolCallPart("c", "t", '{"a":1}'), ToolCallPart("d", "t", "not json"))
    )
    result = Message(role="tool", parts=(ToolResultPart("c", (TextPart("sunny"),)),))
    user = Message(role="user", parts=(TextPart("hi"),))
    told = read(Conversation(messages=(user, call, result, user)), NOW)
    assert [(one.target, one.values, one.age) for one in told.calls] == [("t", {"a": 1}, 1)]
    assert [one.text for one in told.turns] == ["hi", "hi"]


def test_what_is_looked_at_is_bounded():
    assert len(read(conversation(*["user: hi"] * 50), NOW).turns) == TURNS
    long = "user: " + "x" * LONGEST
    assert len(read(conversation(*[long] * 9), NOW).turns) == CHARACTERS // LONGEST

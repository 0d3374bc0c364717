"""Conversations with calls of prompt targets in them, as kinds read them and as models are asked."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from archflow_engine.prompts import history
from archflow_schema.conversation import (
    Conversation,
    ImagePart,
    Message,
    TextPart,
    Tool,
    ToolCallPart,
    ToolResultPart,
)

NAMES = frozenset({"weather"})


def said(role: Any, *texts: str) -> Message:
    return Message(role=role, parts=tuple(TextPart(one) for one in texts))


def called(call: str = "c1", name: str = "weather") -> Message:
    return Message(role="assistant", parts=(ToolCallPart(call, name, "{}"),))


def told(call: str = "c1", text: str = "rain", role: Any = "tool") -> Message:
    return Message(role=role, parts=(ToolResultPart(call, (TextPart(text),)),))


def of(*messages: Message, tools: tuple[Tool, ...] = ()) -> Conversation:
    return Conversation(messages=messages, tools=tools)


def texts(conversation: Conversation) -> list[tuple[str, str]]:
    return [(one.role, one.text) for one in conversation.messages]


def test_a_conversation_without_calls_is_given_back() -> None:
    conversation = of(said("user", "a"), said("assistant", "b"), said("user", "c"))
    assert history.for_model(conversation, NAMES) is conversation
    assert history.restored(conversation, {}, NAMES) is conversation


def test_answers_stand_behind_the_words_that_led_to_them() -> None:
    conversation = of(
        said("user", "one"),
        called(),
        told(),
        told("c2", "snow"),
        said("assistant", "x"),
        said("user", "two", "more"),
    )
    found = history.for_model(conversation, NAMES, system="be kind", context=["sun", "wind"])
    assert texts(found) == [
        ("system", "be kind"),
        ("user", "one\ncontext: rain\ncontext: snow"),
        ("assistant", "x"),
        ("user", "two\nmore\ncontext: sun\ncontext: wind"),
    ]
    assert texts(history.for_model(conversation, NAMES, forget=True)) == [
        ("user", "one"),
        ("assistant", "x"),
        ("user", "two\nmore"),
    ]


def test_a_tool_of_the_client_that_has_a_targets_name_is_the_clients() -> None:
    conversation = of(said("user", "a"), called(), told(), tools=(Tool(name="weather"),))
    assert history.for_model(conversation, NAMES) is conversation


def test_results_that_a_dialect_puts_into_the_users_messages() -> None:
    mixed = Message(role="user", parts=(*told("theirs").parts, *told().parts, TextPart("b")))
    conversation = of(said("user", "a"), called("theirs", "look"), mixed)
    found = history.for_model(conversation, NAMES)
    assert [type(part) for part in found.messages[-1].parts] == [ToolResultPart, TextPart]
    assert found.messages[0].text == "a\ncontext: rain"
    assert history.for_model(of(told(role="user"), said("user", "b")), NAMES).messages == (said("user", "b"),)


def test_messages_that_say_nothing_are_left_out() -> None:
    empty = Message(role="assistant", parts=())
    assert history.for_model(of(said("user", "a"), empty, Message(role="tool", parts=())), NAMES) == of(
        said("user", "a")
    )


def test_context_for_a_message_without_text() -> None:
    nothing = Message(role="user", parts=())
    assert texts(history.for_model(of(nothing), NAMES, context=["x"])) == [("user", "\ncontext: x")]
    assert history.for_model(of(said("system", "a")), NAMES, context=["x"]) == of(said("system", "a"))


@pytest.mark.parametrize(
    ("text", "ours"),
    [
        ('{"tool_calls": []}', True),
        ('```json\n{"tool_calls": [{"name": "weather"}]}\n```', True),
        ('say {"tool_calls": []}', False),
        ('{"tool_calls": [', False),
        ('{"a": "tool_calls"}', False),
        ('["tool_calls"]', False),
        ('{"tool_calls":' + "[" * 100_000, False),
    ],
)
def test_calls_in_archs_words(text: str, ours: bool) -> None:
    assert history.is_ours(said("assistant", text), NAMES) is ours
    assert history.is_ours(said("user", text), NAMES) is False


def test_calls_are_put_back_behind_their_turn_unless_they_are_there() -> None:
    turns = {1: (called(), told()), 2: (called("c2"), told("c2")), 9: (called("c9"),)}
    conversation = of(said("user", "a"), said("assistant", "b"), said("user", "c"))
    roles = [one.role for one in history.restored(conversation, turns, NAMES).messages]
    assert roles == ["user", "assistant", "tool", "assistant", "user"]
    there = of(said("user", "a"), called(), told(), said("assistant", "b"), said("user", "c"))
    assert history.restored(there, turns, NAMES) is there


@pytest.mark.parametrize(
    ("messages", "newest"),
    [
        ((said("user", "a"),), True),
        ((said("user", "a"), said("system", "b")), True),
        ((said("user", "a"), said("assistant", "b")), False),
        ((said("user", "a"), called(), told()), False),
        ((said("user", "a"), Message(role="user", parts=(ImagePart("https://x.test"),))), False),
        ((said("system", "a"),), False),
        ((), False),
    ],
)
def test_whose_the_newest_turn_is(messages: tuple[Message, ...], newest: bool) -> None:
    assert of(*messages).newest_is_users is newest


def test_everything_else_of_a_conversation_stays() -> None:
    conversation = structs.replace(of(said("user", "a")), model="m", user="u", metadata=(("a", "b"),))
    found = history.for_model(conversation, NAMES, context=["x"])
    assert structs.replace(found, messages=()) == structs.replace(conversation, messages=())

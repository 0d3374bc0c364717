"""Which words of a conversation guards read."""

import msgspec
import pytest
from msgspec import Raw

from archflow_plugins.dialects.anthropic_messages import AnthropicMessages
from archflow_plugins.dialects.openai_chat import OpenAIChat
from archflow_plugins.dialects.openai_responses.dialect import OpenAIResponses
from archflow_plugins.guards.asked import body
from archflow_plugins.guards.turns import apart, said, words
from archflow_plugins.kinds import Empty
from archflow_plugins.testing import conversation, run_context
from archflow_schema.conversation import (
    Conversation,
    DocumentPart,
    ImagePart,
    Message,
    OpaquePart,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)


def test_the_newest_first_and_only_those_who_are_asked_for():
    asked = conversation("system: s", "user: one", "assistant: a", "user: two")
    assert list(words(asked, ("user",))) == ["two", "one"]
    assert list(words(asked, ("assistant", "system"))) == ["a", "s"]


def test_everything_that_a_model_reads_as_text():
    user = Message(
        role="user",
        parts=(
            TextPart("t"),
            ImagePart("https://x"),
            DocumentPart(text="d", context="c", name="n"),
            ToolResultPart("1", (TextPart("r"), DocumentPart(text="in it"))),
            OpaquePart("k", Raw(b"{}")),
        ),
    )
    called = Message(role="assistant", parts=(ReasoningPart(text="so"), ToolCallPart("1", "f", '{"a":1}')))
    developer = Message(role="developer", parts=(TextPart("rules"),))
    silent = Message(role="user", parts=(ImagePart("https://x"),))
    asked = Conversation(messages=(developer, user, called, silent))
    everybody = ("user", "assistant", "system", "tool")
    assert list(words(asked, everybody)) == ['so\n{"a":1}', "t\nd\nc\nn", "r\nin it", "rules"]
    assert list(words(asked, ("tool",))) == ["r\nin it"]
    assert list(apart(asked, everybody)) == [
        "so", '{"a":1}', "t", "d\nc\nn", "r\nin it", "rules"
    ]  # fmt: skip
    assert list(apart(asked, ("user",))) == ["t", "d\nc\nn"]


def test_a_turn_is_said_by_the_tool_before_the_user_and_by_somebody_if_nothing_is_said():
    result = ToolResultPart("1", (TextPart("r"),))
    assert said(Message(role="user", parts=(TextPart("t"), result, TextPart("u")))) == [
        ("tool", "r"),
        ("user", "t\nu"),
    ]
    assert said(Message(role="user", parts=(result,))) == [("tool", "r")]
    assert said(Message(role="tool", parts=(result, TextPart("t")))) == [("tool", "r"), ("tool", "t")]
    assert said(Message(role="developer", parts=())) == [("system", "")]
    assert said(Message(role="user", parts=(ImagePart("https://x"),))) == [("user", "")]


CHAT = {
    "messages": [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": None, "tool_calls": [
            {"id": one, "type": "function", "function": {"name": "f", "arguments": "{}"}} for one in "ab"
        ]},
        {"role": "tool", "tool_call_id": "a", "content": "first"},
        {"role": "tool", "tool_call_id": "b", "content": "second"},
    ]
}  # fmt: skip
MESSAGES = {
    "max_tokens": 9,
    "messages": [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": [
            {"type": "tool_use", "id": one, "name": "f", "input": {}} for one in "ab"
        ]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "a", "content": "first"},
            {"type": "tool_result", "tool_use_id": "b", "content": "second"},
        ]},
    ]
}  # fmt: skip


def read(kind, body):
    dialect = kind(Empty(), run_context())
    return dialect.decode(dialect.decode_head(msgspec.json.encode({"model": "m", **body})))


def test_the_same_is_read_of_both_apis():
    chat, messages = read(OpenAIChat, CHAT), read(AnthropicMessages, MESSAGES)
    for roles in (("tool",), ("user",), ("user", "tool")):
        assert list(words(chat, roles)) == list(words(messages, roles))
    assert list(words(messages, ("tool",))) == ["second", "first"]
    told = [msgspec.json.decode(body(one))["messages"] for one in (chat, messages)]
    assert told[0] == told[1]
    assert [one["role"] for one in told[0]] == ["user", "assistant", "tool", "tool"]


@pytest.mark.parametrize(
    ("kind", "asked", "user", "tool"),
    [
        (AnthropicMessages, [{"type": "document", "source": {
            "type": "base64", "media_type": "text/plain", "data": "c2VjcmV0"}}], ["secret"], []),
        (AnthropicMessages, [{"type": "tool_result", "tool_use_id": "a", "content": [{"type": "document", "source": {
            "type": "base64", "media_type": "text/plain", "data": "c2VjcmV0"}}]}], [], ["secret"]),
        (AnthropicMessages, [{"type": "mcp_tool_result", "tool_use_id": "a", "content": [
            {"type": "text", "text": "secret"}]}], [], ["secret"]),
        (OpenAIChat, [{"type": "file", "file": {
            "filename": "a.txt", "file_data": "data:text/plain;base64,c2VjcmV0"}}], ["secret\na.txt"], []),
        (OpenAIChat, [{"type": "strange", "words": [{"type": "x", "of": "secret"}, {"image": "data:x"}],
            "bytes": "A" * 300}], ["secret"], []),
    ],
)  # fmt: skip
def test_what_only_a_dialect_understands_is_read(kind, asked, user, tool):
    found = read(kind, {"max_tokens": 9, "messages": [{"role": "user", "content": asked}]})
    assert (list(words(found, ("user",))), list(words(found, ("tool",)))) == (user, tool)
    assert (list(apart(found, ("user",))), list(apart(found, ("tool",)))) == (user, tool)


def test_items_and_values_beside_the_messages_are_read():
    items = [
        {"type": "message", "role": "user", "content": "hi"},
        {
            "type": "mcp_call",
            "id": "m",
            "server_label": "s",
            "name": "f",
            "arguments": "{}",
            "output": "secret",
        },
    ]
    prompt = {
        "id": "p",
        "version": "2",
        "variables": {"topic": "taxes", "more": {"type": "input_text", "text": "now"}},
    }
    found = read(OpenAIResponses, {"input": items, "prompt": prompt})
    assert list(words(found, ("user",))) == ["hi", "taxes\nnow"]
    assert any("secret" in text for text in words(found, ("tool",)))
    assert not any("secret" in text for text in words(found, ("user", "assistant", "system")))
    for empty in ({"id": "p", "version": "2"}, "p", None):
        found = read(OpenAIResponses, {"input": "hi", "prompt": empty})
        assert list(words(found, ("user", "tool"))) == ["hi"]

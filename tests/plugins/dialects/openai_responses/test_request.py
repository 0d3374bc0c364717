"""Conversations of any dialect, written as requests of the Responses API."""

import pytest
from msgspec import Raw, json

from archflow_plugins.dialects.openai_responses.dialect import OpenAIResponses
from archflow_plugins.kinds import Empty
from archflow_plugins.testing import conversation, run_context
from archflow_plugins.translation import CannotExpress
from archflow_schema.conversation import (
    AudioPart,
    CacheMark,
    Conversation,
    DocumentPart,
    ImagePart,
    Message,
    OpaquePart,
    Output,
    Reasoning,
    ReasoningPart,
    RefusalPart,
    Sampling,
    TextPart,
    Tool,
    ToolCallPart,
    ToolChoice,
    ToolResultPart,
)
from archflow_schema.errors import ClientProtocolError

dialect = OpenAIResponses(Empty(), run_context())
HI = Message(role="user", parts=(TextPart("hi"),))
CALL = Message(role="assistant", parts=(ToolCallPart("c1", "look", ""),))


def encode(*messages, **fields):
    encoded = dialect.encode(Conversation(messages=messages or (HI,), **fields), "gpt-x")
    return json.decode(encoded.body), encoded.dropped


def item(message):
    """What one part of a user's message becomes."""
    body, _ = encode(Message(role="user", parts=(message,)))
    return body["input"][0]["content"][0]


def test_only_what_was_said():
    assert encode() == (
        {"model": "gpt-x", "input": [{"type": "message", "role": "user", "content": "hi"}], "store": False},
        (),
    )


def test_roles():
    body, _ = encode(
        *conversation(
            "system: a", "system: b", "developer: c", "user: d", "assistant: e", "system: f"
        ).messages
    )
    assert body["instructions"] == "a"
    assert [(one["role"], one["content"]) for one in body["input"]] == [
        ("system", "b"),
        ("developer", "c"),
        ("user", "d"),
        ("assistant", "e"),
        ("system", "f"),
    ]


def test_a_system_message_alone_is_the_input():
    body, _ = encode(*conversation("system: a").messages)
    assert "instructions" not in body
    assert body["input"][0]["role"] == "system"


def test_a_conversation_without_messages_makes_no_sense():
    with pytest.raises(ClientProtocolError, match="empty"):
        dialect.encode(Conversation(), "m")


def test_a_turn_with_tools():
    body, dropped = encode(
        HI,
        Message(
            role="assistant",
            parts=(
                ReasoningPart(text="hm", sealed="gA", id="rs_1", summary=True, origin="openai_responses"),
                ReasoningPart(text="hm", signature="s", origin="anthropic_messages"),
                TextPart("I look."),
                RefusalPart("no"),
                ToolCallPart("c1", "look", '{"a":1}'),
                ToolCallPart("c2", "patch", "*** Begin", custom=True),
            ),
        ),
        Message(
            role="user",
            parts=(
                ToolResultPart("c1", (TextPart("a"), TextPart("b")), is_error=True),
                ToolResultPart("c2", (ImagePart("https://x/y.png"),)),
                TextPart("go on"),
            ),
        ),
    )
    assert body["input"][1:] == [
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "hm"}],
            "encrypted_content": "gA",
        },
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "I look."}, {"type": "refusal", "refusal": "no"}],
        },
        {"type": "function_call", "call_id": "c1", "name": "look", "arguments": '{"a":1}'},
        {"type": "custom_tool_call", "call_id": "c2", "name": "patch", "input": "*** Begin"},
        {"type": "function_call_output", "call_id": "c1", "output": "a\nb"},
        {
            "type": "custom_tool_call_output",
            "call_id": "c2",
            "output": [{"type": "input_image", "image_url": "https://x/y.png"}],
        },
        {"type": "message", "role": "user", "content": "go on"},
    ]
    assert body["include"] == ["reasoning.encrypted_content"]
    assert dropped == ("reasoning.history", "tool_results.error")


def test_thoughts_that_were_never_sealed_go_back_as_words():
    part = ReasoningPart(text="hm", id="rs_1", origin="openai_responses")
    body, dropped = encode(HI, Message(role="assistant", parts=(part, TextPart("ho"))), HI)
    assert body["input"][1] == {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [],
        "content": [{"type": "reasoning_text", "text": "hm"}],
    }
    assert (dropped, body.get("include")) == ((), None)


def test_a_result_without_its_call_makes_no_sense():
    with pytest.raises(ClientProtocolError, match="'c9' has no such call"):
        encode(HI, CALL, Message(role="tool", parts=(ToolResultPart("c9"),)))


def test_long_ids_of_calls_are_short_on_both_sides():
    long = "c" * 100
    body, _ = encode(
        HI,
        Message(role="assistant", parts=(ToolCallPart(long, "look", "{}"),)),
        Message(role="tool", parts=(ToolResultPart(long, (TextPart("a"),)),)),
    )
    ids = {one["call_id"] for one in body["input"][1:]}
    assert len(ids) == 1
    assert len(ids.pop()) == 64


def test_parts():
    assert item(ImagePart("data:image/png;base64,AA", "high")) == {
        "type": "input_image",
        "image_url": "data:image/png;base64,AA",
        "detail": "high",
    }
    assert item(DocumentPart(url="https://x/y.pdf")) == {"type": "input_file", "file_url": "https://x/y.pdf"}
    assert item(DocumentPart(url="data:application/pdf;base64,AA")) == {
        "type": "input_file",
        "filename": "document.pdf",
        "file_data": "data:application/pdf;base64,AA",
    }
    assert item(DocumentPart(text="hi", name="notes")) == {
        "type": "input_file",
        "filename": "notes.txt",
        "file_data": "data:text/plain;base64,aGk=",
    }
    assert item(DocumentPart(file_id="file-1", origin="openai_chat")) == {
        "type": "input_file",
        "file_id": "file-1",
    }


@pytest.mark.parametrize(
    ("part", "feature"),
    [
        (AudioPart("AA", "wav"), "audio"),
        (OpaquePart("later", Raw(b"{}")), "opaque"),
        (DocumentPart(file_id="file_1", origin="anthropic_messages"), "document.file_id"),
    ],
)
def test_parts_that_would_be_missed(part, feature):
    with pytest.raises(CannotExpress) as raised:
        item(part)
    assert raised.value.feature == feature


def test_tools():
    body, dropped = encode(
        tools=(
            Tool(name="look", description="Looks.", parameters=Raw(b'{"type":"object"}'), strict=True),
            Tool(name="wait", cache=CacheMark()),
            Tool(
                name="patch", custom=True, grammar=Raw(b'{"type":"grammar","syntax":"lark","definition":"d"}')
            ),
            Tool(
                name="sql",
                custom=True,
                grammar=Raw(b'{"type":"grammar","grammar":{"syntax":"regex","definition":"x"}}'),
            ),
        ),
        tool_choice=ToolChoice("named", "patch"),
        parallel_tool_calls=False,
    )
    assert body["tools"] == [
        {
            "type": "function",
            "name": "look",
            "parameters": {"type": "object"},
            "strict": True,
            "description": "Looks.",
        },
        {
            "type": "function",
            "name": "wait",
            "parameters": {"type": "object", "properties": {}},
            "strict": False,
        },
        {
            "type": "custom",
            "name": "patch",
            "format": {"type": "grammar", "syntax": "lark", "definition": "d"},
        },
        {
            "type": "custom",
            "name": "sql",
            "format": {"type": "grammar", "syntax": "regex", "definition": "x"},
        },
    ]
    assert body["tool_choice"] == {"type": "custom", "name": "patch"}
    assert body["parallel_tool_calls"] is False
    assert dropped == ("cache",)


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        (ToolChoice("auto"), "auto"),
        (ToolChoice("required"), "required"),
        (ToolChoice("named", "look"), {"type": "function", "name": "look"}),
        (
            ToolChoice("auto", allowed=("look",)),
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "look"}]},
        ),
    ],
)
def test_tool_choice(said, wanted):
    body, _ = encode(tools=(Tool(name="look"),), tool_choice=said)
    assert body["tool_choice"] == wanted


def test_settings():
    body, dropped = encode(
        sampling=Sampling(
            max_tokens=1,
            temperature=0.5,
            top_p=0.9,
            top_k=5,
            seed=1,
            n=1,
            presence_penalty=0.0,
            frequency_penalty=0.1,
            logprobs=True,
            top_logprobs=2,
            logit_bias=Raw(b"{}"),
        ),
        output=Output(form="json_schema", schema=Raw(b'{"type":"object"}'), description="d", strict=False),
        verbosity="high",
        user="u" * 65,
        cache_key="k",
        metadata=(("a", "b"),),
        service_tier="standard_only",
        stream=True,
    )
    assert body["max_output_tokens"] == 16
    assert (body["temperature"], body["top_p"], body["top_logprobs"]) == (0.5, 0.9, 2)
    assert body["include"] == ["message.output_text.logprobs"]
    assert body["text"] == {
        "format": {
            "type": "json_schema",
            "name": "answer",
            "schema": {"type": "object"},
            "description": "d",
            "strict": False,
        },
        "verbosity": "high",
    }
    assert len(body["safety_identifier"]) == 64
    assert (body["prompt_cache_key"], body["service_tier"], body["stream"]) == ("k", "default", True)
    assert body["metadata"] == {"a": "b"}
    assert dropped == ("top_k", "seed", "frequency_penalty")


def test_an_unknown_tier_is_left_out():
    body, dropped = encode(service_tier="batch")
    assert "service_tier" not in body
    assert dropped == ("service_tier",)


@pytest.mark.parametrize(
    ("sampling", "feature"),
    [
        (Sampling(stop=("x",)), "stop"),
        (Sampling(n=2), "n"),
        (Sampling(logit_bias=Raw(b'{"50256":-100}')), "logit_bias"),
    ],
)
def test_settings_that_would_be_missed(sampling, feature):
    with pytest.raises(CannotExpress) as raised:
        encode(sampling=sampling)
    assert raised.value.feature == feature


@pytest.mark.parametrize(
    ("said", "wanted", "dropped"),
    [
        (Reasoning(mode="off"), {"effort": "none"}, ()),
        (Reasoning(mode="adaptive"), {"effort": "medium"}, ()),
        (Reasoning(mode="on", budget=4000), {"effort": "medium"}, ("reasoning.budget",)),
        (Reasoning(effort="high", summary="auto"), {"effort": "high", "summary": "auto"}, ()),
        (Reasoning(), None, ()),
    ],
)
def test_reasoning(said, wanted, dropped):
    body, left = encode(reasoning=said)
    assert body.get("reasoning") == wanted
    assert left == dropped
    thinks = wanted is not None and wanted["effort"] != "none"
    assert body.get("include") == (["reasoning.encrypted_content"] if thinks else None)

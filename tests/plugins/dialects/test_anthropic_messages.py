"""Anthropic Messages: requests to conversations, our own answers, and what replies tell."""

import anthropic
import pytest
from msgspec import Raw, json

from archflow_plugins.dialects.anthropic_messages import AnthropicMessages
from archflow_plugins.framing import sse
from archflow_plugins.kinds import Empty, Summary
from archflow_plugins.testing import run_context
from archflow_schema.conversation import (
    ImagePart,
    OpaquePart,
    TextPart,
    Tool,
    ToolCallPart,
    ToolResultPart,
)
from archflow_schema.errors import ClientProtocolError
from archflow_schema.events import Usage
from sdk_transport import canned_client

dialect = AnthropicMessages(Empty(), run_context())


def decode(**fields):
    return dialect.decode(dialect.decode_head(json.encode({"model": "m", "max_tokens": 9, **fields})))


def test_system_and_texts():
    found = decode(
        system=[{"type": "text", "text": "be brief", "cache_control": {"type": "ephemeral"}}],
        messages=[
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": [{"type": "text", "text": "ho"}]},
        ],
        temperature=1,
    )
    assert [(message.role, message.text) for message in found.messages] == [
        ("system", "be brief"),
        ("user", "hi"),
        ("assistant", "ho"),
    ]
    assert [name for name, _ in found.extras] == ["max_tokens", "temperature"]
    assert decode(system="short", messages=[]).messages[0].text == "short"
    assert decode(system=None, messages=[]).messages == ()


def test_blocks():
    found = decode(
        messages=[
            {
                "role": "user",
                "content": [
                    {
                        "type": "image",
                        "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"},
                    },
                    {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
                    {"type": "image", "source": {"type": "file", "file_id": "f"}},
                    {"type": "document", "source": {}},
                ],
            },
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "s"},
                    {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "t1", "content": "42"},
                    {
                        "type": "tool_result",
                        "tool_use_id": "t2",
                        "is_error": True,
                        "content": [
                            {"type": "text", "text": "a"},
                            {"type": "text", "text": "b"},
                            {"type": "image", "source": {"type": "url", "url": "https://x"}},
                        ],
                    },
                    {"type": "tool_result", "tool_use_id": "t3"},
                ],
            },
        ]
    )
    images, calls, results = (message.parts for message in found.messages)
    assert images[:2] == (ImagePart("data:image/png;base64,AAAA"), ImagePart("https://x/y.png"))
    assert [part.kind for part in images[2:] if isinstance(part, OpaquePart)] == ["image", "document"]
    assert isinstance(calls[0], OpaquePart)
    assert calls[0].kind == "thinking"
    assert calls[1] == ToolCallPart("t1", "f", '{"a":1}')
    assert results == (
        ToolResultPart("t1", (TextPart("42"),)),
        ToolResultPart("t2", (TextPart("a\nb"),), is_error=True),
        ImagePart("https://x"),
        ToolResultPart("t3"),
    )


def test_tools():
    schema = {"type": "object"}
    found = decode(
        messages=[],
        tools=[
            {"name": "f", "description": "d", "input_schema": schema},
            {"type": "web_search_20250305", "name": "web_search"},
        ],
    )
    assert found.tools == (Tool(name="f", description="d", parameters=Raw(json.encode(schema))),)
    assert [(name, json.decode(raw)) for name, raw in found.extras if name == "tools"] == [
        ("tools", [{"type": "web_search_20250305", "name": "web_search"}])
    ]


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({}, "the request lacks `messages`"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "a role that is neither user nor assistant"),
        ({"messages": [{"role": "user"}]}, "`content`"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "`messages[0]`.content[0]"),
        ({"messages": [{"role": "user", "content": [{"type": "tool_use"}]}]}, "`messages[0]`.content[0]"),
        ({"messages": [], "system": 1}, "`system`"),
        ({"messages": [], "tools": [1]}, "`tools[0]`"),
    ],
)
def test_what_is_no_request_is_refused_with_its_place(fields, complaint):
    with pytest.raises(ClientProtocolError) as raised:
        decode(**fields)
    assert complaint in str(raised.value)


def test_summary_counts_cached_tokens_once():
    body = json.encode(
        {
            "id": "msg_1",
            "model": "claude",
            "stop_reason": "max_tokens",
            "usage": {
                "input_tokens": 10,
                "cache_read_input_tokens": 100,
                "cache_creation_input_tokens": 5,
                "output_tokens": 7,
            },
        }
    )
    assert dialect.summarise(body) == Summary(
        usage=Usage(input_tokens=115, output_tokens=7, cached_tokens=100),
        finish_reason="max_tokens",
        response_model="claude",
        response_id="msg_1",
    )
    assert dialect.summarise(b"<html>") == Summary()


def stream(*events) -> bytes:
    return b"".join(sse.encode(json.encode(event), event["type"]) for event in events)


START = {
    "type": "message_start",
    "message": {
        "id": "msg_1",
        "model": "claude",
        "usage": {"input_tokens": 25, "output_tokens": 1, "cache_read_input_tokens": 5},
    },
}
TEXT = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": 'say "usage"'}}


@pytest.mark.parametrize("size", [1, 13, 4096])
def test_tap(size):
    data = stream(
        START,
        *[TEXT] * 10,
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 15}},
        {"type": "message_stop"},
    )
    tap = dialect.tap()
    for at in range(0, len(data), size):
        tap.feed(data[at : at + size])
    assert tap.usage == Usage(input_tokens=30, output_tokens=15, cached_tokens=5)
    assert (tap.finish_reason, tap.response_id, tap.response_model) == ("end_turn", "msg_1", "claude")


def test_tap_of_an_upstream_that_counts_at_the_end():
    tap = dialect.tap()
    tap.feed(
        stream(
            {
                "type": "message_start",
                "message": {"id": "m", "usage": {"input_tokens": 0, "output_tokens": 0}},
            },
            {"type": "message_delta", "delta": {}, "usage": {"input_tokens": 12, "output_tokens": 3}},
        )
    )
    assert tap.usage == Usage(input_tokens=12, output_tokens=3)


def test_tap_passes_over_garbage():
    tap = dialect.tap()
    tap.feed(b'data: {"usage": broken\n\ndata: [1,"usage"]\n\n' + stream(START))
    assert tap.response_id == "msg_1"


def client(status: int, content_type: str, body: bytes) -> anthropic.Anthropic:
    """The official client, whose transport answers with these bytes."""
    return anthropic.Anthropic(
        api_key="x",
        base_url="http://gateway.test",
        max_retries=0,
        http_client=canned_client(anthropic.DefaultHttpxClient, status, content_type, body),
    )


QUESTION = {"model": "claude", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize(
    ("status", "expected", "kind"),
    [
        (400, anthropic.BadRequestError, "invalid_request_error"),
        (401, anthropic.AuthenticationError, "authentication_error"),
        (403, anthropic.PermissionDeniedError, "permission_error"),
        (404, anthropic.NotFoundError, "not_found_error"),
        (413, anthropic.APIStatusError, "request_too_large"),
        (429, anthropic.RateLimitError, "rate_limit_error"),
        (502, anthropic.InternalServerError, "api_error"),
        (504, anthropic.InternalServerError, "timeout_error"),
        (415, anthropic.APIStatusError, "invalid_request_error"),
    ],
)
def test_errors_raise_the_typed_exceptions(status, expected, kind):
    body = dialect.encode_error(status, "some_code", "the text", request_id="r1")
    assert json.decode(body) == {
        "type": "error",
        "error": {"type": kind, "message": "the text"},
        "request_id": "r1",
    }
    with client(status, "application/json", body) as sdk, pytest.raises(expected, match="the text"):
        sdk.messages.create(**QUESTION)


def test_error_in_mid_stream_raises():
    body = stream(START) + dialect.encode_stream_error("upstream_timeout", "the upstream fell silent")
    with (
        client(200, "text/event-stream", body) as sdk,
        pytest.raises(anthropic.APIError, match="the upstream fell silent"),
    ):
        list(sdk.messages.create(**QUESTION, stream=True))


def test_own_answer_is_parsed():
    content_type, body = dialect.encode_text(dialect.decode_head(b'{"model":"m"}'), "no", request_id="r1")
    with client(200, content_type, body) as sdk:
        reply = sdk.messages.create(**QUESTION)
    assert reply.content[0].text == "no"
    assert reply.stop_reason == "end_turn"


def test_own_stream_is_parsed():
    head = dialect.decode_head(b'{"model":"m","stream":true}')
    content_type, body = dialect.encode_text(head, "no", request_id="r1")
    with client(200, content_type, body) as sdk, sdk.messages.stream(**QUESTION) as events:
        assert events.get_final_text() == "no"
        assert events.get_final_message().stop_reason == "end_turn"


def test_text_part_is_what_guards_read():
    (message,) = decode(messages=[{"role": "user", "content": [{"type": "text", "text": "a"}]}]).messages
    assert message.parts == (TextPart("a"),)

"""OpenAI Chat Completions: requests to conversations, our own answers, and what replies tell."""

import pytest
from msgspec import Raw, json

from archflow_plugins.dialects.openai_chat import OpenAIChat
from archflow_plugins.kinds import Empty, Summary
from archflow_plugins.testing import run_context
from archflow_schema.conversation import (
    ImagePart,
    Message,
    OpaquePart,
    TextPart,
    Tool,
    ToolCallPart,
    ToolResultPart,
)
from archflow_schema.errors import ClientProtocolError
from archflow_schema.events import Usage

dialect = OpenAIChat(Empty(), run_context())


def decode(**fields):
    return dialect.decode(dialect.decode_head(json.encode({"model": "m", **fields})))


def one(message) -> Message:
    (found,) = decode(messages=[message]).messages
    return found


def test_texts_and_roles():
    found = decode(
        messages=[
            {"role": "system", "content": "be brief"},
            {"role": "developer", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
            {"role": "user", "name": "ann", "content": "hi"},
            {"role": "assistant", "content": None},
        ],
        stream=True,
        odd=0.5,
    )
    assert [(message.role, message.text) for message in found.messages] == [
        ("system", "be brief"),
        ("developer", "a\nb"),
        ("user", "hi"),
        ("assistant", ""),
    ]
    assert found.messages[2].name == "ann"
    assert (found.model, found.stream, found.last_user_text) == ("m", True, "hi")
    assert [(name, bytes(raw)) for name, raw in found.extras] == [("odd", b"0.5")]


def test_images():
    message = one(
        {
            "role": "user",
            "content": [
                {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}},
                {"type": "image_url", "image_url": "data:image/png;base64,AAAA"},
            ],
        }
    )
    assert message.parts == (ImagePart("https://x/y.png", "low"), ImagePart("data:image/png;base64,AAAA"))


def test_unknown_parts_stay_as_they_came():
    message = one({"role": "user", "content": [{"type": "video_url", "video_url": {"url": "x"}}]})
    (part,) = message.parts
    assert isinstance(part, OpaquePart)
    assert (part.kind, json.decode(part.raw)) == (
        "video_url",
        {"type": "video_url", "video_url": {"url": "x"}},
    )


def test_tool_calls_and_results():
    found = decode(
        messages=[
            {
                "role": "assistant",
                "content": "let me see",
                "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}},
                    {"id": "c2", "type": "custom", "custom": {"name": "g", "input": "x"}},
                    {"id": "c3", "type": "other", "other": {}},
                ],
            },
            {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "42"}]},
            {"role": "assistant", "function_call": {"name": "old", "arguments": "{}"}},
            {"role": "function", "name": "old", "content": "7"},
        ]
    )
    first, result, older, older_result = found.messages
    assert first.parts[:3] == (
        TextPart("let me see"),
        ToolCallPart("c1", "f", '{"a": 1}'),
        ToolCallPart("c2", "g", "x", custom=True),
    )
    assert isinstance(first.parts[3], OpaquePart)
    assert first.parts[3].kind == "other"
    assert (result.role, result.parts) == ("tool", (ToolResultPart("c1", (TextPart("42"),)),))
    assert older.parts == (ToolCallPart("call_2", "old", "{}"),)
    assert older_result.parts == (ToolResultPart("call_2", (TextPart("7"),), name="old"),)


def test_tools():
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    found = decode(
        messages=[],
        tools=[
            {"type": "function", "function": {"name": "f", "description": "d", "parameters": schema}},
            {"type": "function", "function": {"name": "g"}},
            {"type": "web_search", "web_search": {}},
        ],
    )
    assert found.tools == (
        Tool(name="f", description="d", parameters=Raw(json.encode(schema))),
        Tool(name="g"),
    )
    assert [(name, json.decode(raw)) for name, raw in found.extras] == [
        ("tools", [{"type": "web_search", "web_search": {}}])
    ]


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({}, "the request lacks `messages`"),
        ({"messages": "hi"}, "the request cannot be read: Expected `array`, got `str` - at `$.messages`"),
        ({"messages": [{"content": "x"}]}, "missing required field `role`"),
        (
            {"messages": [{"role": "robot", "content": "x"}]},
            "`messages[0]` has a role that is none of system",
        ),
        ({"messages": [{"role": "user", "content": 1}]}, "$.messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"text": "x"}]}]}, "`messages[0]`.content[0]"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "lacks `image_url`"),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"function": 1}]}]},
            "`messages[0]`.tool_calls[0]",
        ),
        ({"messages": [], "tools": [{"type": "function"}]}, "`tools[0]`"),
        ({"messages": [], "tools": {}}, "`$.tools`"),
    ],
)
def test_what_is_no_request_is_refused_with_its_place(fields, complaint):
    with pytest.raises(ClientProtocolError) as raised:
        decode(**fields)
    assert complaint in str(raised.value)
    assert "robot" not in str(raised.value), "an error's text is logged: it must not quote the conversation"


class TestSummary:
    def test_whole_reply(self):
        body = json.encode(
            {
                "id": "chatcmpl-1",
                "model": "gpt-4o-2024",
                "choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}],
                "usage": {
                    "prompt_tokens": 100,
                    "completion_tokens": 50,
                    "total_tokens": 150,
                    "prompt_tokens_details": {"cached_tokens": 64},
                    "completion_tokens_details": {"reasoning_tokens": 30},
                },
            }
        )
        assert dialect.summarise(body) == Summary(
            usage=Usage(input_tokens=100, output_tokens=50, cached_tokens=64, reasoning_tokens=30),
            finish_reason="stop",
            response_model="gpt-4o-2024",
            response_id="chatcmpl-1",
        )

    @pytest.mark.parametrize(
        ("told", "usage"),
        [
            # xAI and Gemini count reasoning beside completion_tokens; total_tokens tells.
            (
                {
                    "prompt_tokens": 10,
                    "completion_tokens": 5,
                    "total_tokens": 45,
                    "completion_tokens_details": {"reasoning_tokens": 30},
                },
                Usage(input_tokens=10, output_tokens=35, reasoning_tokens=30),
            ),
            ({"prompt_tokens": 10, "completion_tokens": 5}, Usage(input_tokens=10, output_tokens=5)),
            ({"prompt_tokens": 8, "total_tokens": 8}, Usage(input_tokens=8)),
            (
                {"prompt_tokens": 10, "completion_tokens": 5, "prompt_cache_hit_tokens": 4},
                Usage(input_tokens=10, output_tokens=5, cached_tokens=4),
            ),
            (
                {"prompt_tokens": 1, "completion_tokens": 2, "prompt_tokens_details": None},
                Usage(input_tokens=1, output_tokens=2),
            ),
        ],
    )
    def test_tokens_are_counted_once(self, told, usage):
        assert dialect.summarise(json.encode({"usage": told})).usage == usage

    @pytest.mark.parametrize(
        "body",
        [b"", b"{", b"null", b"[]", b'{"usage":1}', b"\xff", b"[" * 100_000, b'{"id":"\xff"}', b"<html>"],
    )
    def test_what_is_not_understood_tells_nothing(self, body):
        assert dialect.summarise(body) == Summary()

    def test_nulls(self):
        assert dialect.summarise(b'{"id":null,"usage":null,"choices":null,"model":null}') == Summary()


def chunk(**fields) -> bytes:
    return b"data: " + json.encode({"id": "c1", "model": "gpt-4o-2024", **fields}) + b"\n\n"


def delta(text: str, finish: str | None = None, **fields) -> bytes:
    return chunk(choices=[{"index": 0, "delta": {"content": text}, "finish_reason": finish}], **fields)


USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}


class TestTap:
    @staticmethod
    def feed(*chunks: bytes, size: int = 0):
        data = b"".join(chunks)
        tap = dialect.tap()
        for at in range(0, len(data), size or len(data)):
            tap.feed(data[at : at + (size or len(data))])
        return tap

    @pytest.mark.parametrize("size", [0, 1, 7, 64])
    def test_stream_with_a_usage_chunk(self, size):
        tap = self.feed(
            delta("", usage=None),
            *(delta("hello ", usage=None) for _ in range(20)),
            delta("", "length", usage=None),
            chunk(choices=[], usage=USAGE),
            b"data: [DONE]\n\n",
            size=size,
        )
        assert tap.usage == Usage(input_tokens=3, output_tokens=4)
        assert (tap.finish_reason, tap.response_id, tap.response_model) == ("length", "c1", "gpt-4o-2024")

    def test_stream_without_usage(self):
        tap = self.feed(*(delta("x") for _ in range(20)), delta("", "stop"), b"data: [DONE]\n\n")
        assert (tap.usage, tap.finish_reason) == (None, "stop")

    def test_spaces_after_colons(self):
        tap = self.feed(
            delta(""),
            b'data: {"choices": [{"finish_reason": "stop"}], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}\n',
        )
        assert (tap.usage, tap.finish_reason) == (Usage(input_tokens=1, output_tokens=2), "stop")

    def test_groq_without_stream_options(self):
        tap = self.feed(delta(""), delta("", "stop", x_groq={"id": "r", "usage": USAGE}))
        assert tap.usage == Usage(input_tokens=3, output_tokens=4)

    def test_azure_opens_with_a_chunk_about_its_filter(self):
        tap = self.feed(chunk(id="", model="", choices=[], prompt_filter_results=[]), delta("x"))
        assert (tap.response_id, tap.response_model) == ("c1", "gpt-4o-2024")

    def test_usage_in_every_chunk_the_last_one_counts(self):
        chunks = [
            delta("x", usage={**USAGE, "completion_tokens": n, "total_tokens": 3 + n}) for n in range(1, 12)
        ]
        assert self.feed(*chunks).usage == Usage(input_tokens=3, output_tokens=11)

    def test_content_that_looks_like_usage_is_no_usage(self):
        tap = self.feed(delta(""), delta('{"usage":{"prompt_tokens":9},"finish_reason":"stop"}'))
        assert (tap.usage, tap.finish_reason) == (None, "")

    def test_garbage_is_passed_over(self):
        tap = self.feed(
            b'data: {"usage":{broken\n\n', b"\xff\xfe\n\n", delta(""), chunk(choices=[], usage=USAGE)
        )
        assert tap.usage == Usage(input_tokens=3, output_tokens=4)


class TestOwnAnswers:
    def head(self, **fields):
        return dialect.decode_head(json.encode({"model": "gpt-4o", "messages": [], **fields}))

    def test_whole(self):
        content_type, body = dialect.encode_text(self.head(), "no", request_id="r1")
        reply = json.decode(body)
        assert content_type == "application/json"
        assert (reply["id"], reply["object"], reply["model"]) == ("chatcmpl-r1", "chat.completion", "gpt-4o")
        assert reply["choices"][0]["message"] == {"role": "assistant", "content": "no", "refusal": None}
        assert reply["choices"][0]["finish_reason"] == "stop"

    def test_streamed_as_arch_does_in_two_chunks_the_second_with_the_content(self):
        content_type, body = dialect.encode_text(self.head(stream=True), "no", request_id="r1")
        assert content_type == "text/event-stream"
        *chunks, done = body.decode().split("\n\n")[:-1]
        assert done == "data: [DONE]"
        first, second = (json.decode(one.removeprefix("data: ")) for one in chunks)
        assert first["choices"][0] == {
            "index": 0,
            "delta": {"role": "assistant", "content": ""},
            "finish_reason": None,
        }
        assert second["choices"][0] == {"index": 0, "delta": {"content": "no"}, "finish_reason": "stop"}

    def test_streamed_with_the_usage_that_was_asked_for(self):
        head = self.head(stream=True, stream_options={"include_usage": True})
        _, body = dialect.encode_text(head, "no", request_id="r1")
        tap = dialect.tap()
        tap.feed(body)
        assert tap.usage == Usage()
        assert tap.finish_reason == "stop"

    @pytest.mark.parametrize("options", [None, {}, {"include_usage": None}, {"include_usage": "x"}, 1])
    def test_odd_stream_options_ask_for_nothing(self, options):
        _, body = dialect.encode_text(self.head(stream=True, stream_options=options), "no", request_id="r1")
        assert b"usage" not in body

    @pytest.mark.parametrize(
        ("status", "kind"),
        [
            (400, "invalid_request_error"),
            (401, "invalid_request_error"),
            (403, "permission_error"),
            (404, "invalid_request_error"),
            (413, "invalid_request_error"),
            (429, "rate_limit_error"),
            (502, "server_error"),
        ],
    )
    def test_errors(self, status, kind):
        body = dialect.encode_error(status, "some_code", 'a "text"', request_id="r1")
        assert json.decode(body) == {
            "error": {"message": 'a "text"', "type": kind, "param": None, "code": "some_code"}
        }

    def test_error_in_a_stream(self):
        body = dialect.encode_stream_error("upstream_timeout", "too slow")
        assert body.startswith(b'data: {"error":{"message":"too slow","type":"server_error"')
        assert body.endswith(b"\n\n")


def test_models_are_listed_as_arch_lists_them():
    one = {"id": "openai/gpt-4o", "object": "model", "created": 0, "owned_by": "system"}
    assert dialect.models_path == "/v1/models"
    assert json.decode(dialect.encode_model("openai/gpt-4o")) == one
    assert json.decode(dialect.encode_models(["openai/gpt-4o"])) == {"object": "list", "data": [one]}

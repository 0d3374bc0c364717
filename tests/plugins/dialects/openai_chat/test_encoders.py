"""Events as replies of chat completions, read by the official client."""

import msgspec
import openai
import pytest
from msgspec import json
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from archflow_plugins.dialects.openai_chat import OpenAIChat
from archflow_plugins.dialects.sealed import Proof, unwrap
from archflow_plugins.kinds import Empty
from archflow_plugins.testing import run_context
from archflow_plugins.translation import Answering, Prelude
from archflow_schema.conversation import Citation, ReasoningPart
from archflow_schema.events import (
    CitationFound,
    Failed,
    Finished,
    Ping,
    ReasoningDelta,
    RefusalDelta,
    Started,
    Stopped,
    TextDelta,
    TokenLogprob,
    ToolCallDelta,
    Usage,
    UsageReported,
)
from sdk_transport import canned_client

dialect = OpenAIChat(Empty(), run_context())
ANSWERING = Answering(request_id="r1", model="asked", created=9)
ASKED = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
USAGE = Usage(input_tokens=5, output_tokens=7, cached_tokens=1, cache_written_tokens=2, reasoning_tokens=3)
ORIGIN = "anthropic_messages"


def head(**fields):
    return dialect.decode_head(json.encode({**ASKED, **fields}))


def streamed(*events, **fields):
    """The bytes of a stream, written event by event."""
    encoder = dialect.reply_encoder(head(stream=True, **fields), ANSWERING)
    assert encoder.content_type == "text/event-stream"
    return b"".join(encoder.feed([event]) for event in events)


def chunks(*events, **fields):
    body = streamed(*events, **fields)
    lines = body.decode().removesuffix("\n\n").split("\n\n")
    assert lines[-1] == "data: [DONE]"
    found = [json.decode(line.removeprefix("data: ")) for line in lines[:-1]]
    for chunk in found:
        ChatCompletionChunk.model_validate(chunk)
    return found


def deltas(*events, **fields):
    """What the chunks between the first and the one with the finish reason say."""
    found = [chunk["choices"][0] for chunk in chunks(*events, **fields) if chunk["choices"]]
    return [choice["delta"] for choice in found[1:] if not choice["finish_reason"]]


def whole(*events, **fields):
    encoder = dialect.reply_encoder(head(**fields), ANSWERING)
    assert encoder.content_type == "application/json"
    assert encoder.feed(events[:-1]) == b""
    reply = json.decode(encoder.feed(events[-1:]))
    if not any(isinstance(event, ToolCallDelta) and event.custom for event in events):
        ChatCompletion.model_validate(reply)
    return reply


def reply(*events, reason="stop"):
    return (Started(id="msg_1", model="claude"), *events, Stopped(reason), UsageReported(USAGE), Finished())


def test_a_stream():
    first, text, end = chunks(*reply(TextDelta("hi")))
    shared = {"id": "chatcmpl-r1", "object": "chat.completion.chunk", "created": 9, "model": "claude"}
    assert first == {
        **shared,
        "choices": [
            {
                "index": 0,
                "delta": {"role": "assistant", "content": ""},
                "logprobs": None,
                "finish_reason": None,
            }
        ],
    }
    assert text["choices"][0]["delta"] == {"content": "hi"}
    assert end["choices"][0] == {"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}


def test_the_first_bytes_come_when_the_reply_starts():
    encoder = dialect.reply_encoder(head(stream=True), ANSWERING)
    assert b'"role":"assistant"' in encoder.feed([Started()])


def test_usage_comes_last_and_only_if_asked_for():
    *others, last = chunks(*reply(TextDelta("hi")), stream_options={"include_usage": True})
    assert [other["usage"] for other in others] == [None] * 3
    assert last["choices"] == []
    assert last["usage"] == {
        "prompt_tokens": 5,
        "completion_tokens": 7,
        "total_tokens": 12,
        "prompt_tokens_details": {"cached_tokens": 1, "cache_write_tokens": 2},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }


def test_a_whole_reply():
    assert whole(*reply(TextDelta("hel"), Ping(), TextDelta("lo"))) == {
        "id": "chatcmpl-r1",
        "object": "chat.completion",
        "created": 9,
        "model": "claude",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "hello", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 5,
            "completion_tokens": 7,
            "total_tokens": 12,
            "prompt_tokens_details": {"cached_tokens": 1, "cache_write_tokens": 2},
            "completion_tokens_details": {"reasoning_tokens": 3},
        },
    }


def test_what_the_upstream_told_of_itself():
    started = Started(id="chatcmpl-5", created=3, service_tier="flex", fingerprint="fp")
    found = whole(started, TextDelta("x"), Stopped("stop"), Finished())
    assert (found["id"], found["created"], found["model"]) == ("chatcmpl-5", 3, "asked")
    assert (found["service_tier"], found["system_fingerprint"]) == ("flex", "fp")
    assert "usage" not in found


CALLS = (
    TextDelta("see"),
    ToolCallDelta(index=0, block=1, id="a", name="f"),
    ToolCallDelta(index=0, block=1, arguments='{"x":'),
    ToolCallDelta(index=0, block=1, arguments="1}"),
    ToolCallDelta(index=1, block=2, id="b", name="g"),
)


def test_calls_streamed():
    assert deltas(*reply(*CALLS, reason="tool_calls"))[1:] == [
        {
            "tool_calls": [
                {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}
            ]
        },
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"x":'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": "1}"}}]},
        {
            "tool_calls": [
                {"index": 1, "id": "b", "type": "function", "function": {"name": "g", "arguments": ""}}
            ]
        },
        {"tool_calls": [{"index": 1, "function": {"arguments": "{}"}}]},
    ]


def test_calls_whole():
    (choice,) = whole(*reply(*CALLS, reason="tool_calls"))["choices"]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] == "see"
    assert choice["message"]["tool_calls"] == [
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}},
        {"id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"}},
    ]
    assert whole(*reply(*CALLS[1:]))["choices"][0]["message"]["content"] is None


def test_custom_calls():
    call = (
        ToolCallDelta(index=0, id="a", name="f", custom=True),
        ToolCallDelta(index=0, arguments="free", custom=True),
    )
    (choice,) = whole(*reply(*call, reason="tool_calls"))["choices"]
    assert choice["message"]["tool_calls"] == [
        {"id": "a", "type": "custom", "custom": {"name": "f", "input": "free"}}
    ]
    encoder = dialect.reply_encoder(head(stream=True), ANSWERING)
    assert b'"custom":{"input":"free"}' in encoder.feed(reply(*call))


def test_a_client_of_the_older_functions_gets_the_older_form():
    asked = {"functions": [{"name": "f"}]}
    (choice,) = whole(*reply(*CALLS, reason="tool_calls"), **asked)["choices"]
    assert choice["finish_reason"] == "function_call"
    assert choice["message"]["function_call"] == {"name": "f", "arguments": '{"x":1}'}
    assert "tool_calls" not in choice["message"]
    assert deltas(*reply(*CALLS, reason="tool_calls"), **asked)[1:] == [
        {"function_call": {"name": "f", "arguments": ""}},
        {"function_call": {"arguments": '{"x":'}},
        {"function_call": {"arguments": "1}"}},
    ]


def test_signatures_of_calls():
    call = ToolCallDelta(index=0, id="a", name="f", arguments="{}", signature="s", origin="gemini")
    (choice,) = whole(*reply(call))["choices"]
    carried = choice["message"]["tool_calls"][0]["extra_content"]["google"]["thought_signature"]
    assert unwrap(carried) == ("gemini", Proof(signature="s"))
    late = ToolCallDelta(index=0, signature="s", origin="openai_chat")
    assert deltas(*reply(call, late))[1]["tool_calls"][0]["extra_content"] == {
        "google": {"thought_signature": "s"}
    }


THOUGHTS = (
    ReasoningDelta("hm", origin=ORIGIN),
    ReasoningDelta("m", origin=ORIGIN),
    ReasoningDelta(signature="s", origin=ORIGIN),
    ReasoningDelta(sealed="d", block=1, origin=ORIGIN),
    ReasoningDelta("again", block=2, origin=ORIGIN),
    TextDelta("x", block=3),
)


class TestThoughts:
    @pytest.mark.parametrize("way", ["streamed", "whole"])
    def test_they_come_back_as_they_were(self, way):
        if way == "whole":
            (choice,) = whole(*reply(*THOUGHTS))["choices"]
            message = choice["message"]
            shown, details = message["reasoning_content"], message["reasoning_details"]
            assert message["content"] == "x"
        else:
            said = deltas(*reply(*THOUGHTS))
            shown = "".join(delta.get("reasoning_content", "") for delta in said)
            details = [item for delta in said for item in delta.get("reasoning_details", ())]
        assert shown == "hmm\n\nagain"
        assert [item["type"] for item in details] == ["reasoning.text", "reasoning.encrypted"]
        assert [item["index"] for item in details] == [0, 1]
        sent = {"role": "assistant", "content": "x", "reasoning_content": shown, "reasoning_details": details}
        back = dialect.decode(head(messages=[sent])).messages[0]
        assert back.parts[:2] == (
            ReasoningPart(text="hmm", signature="s", origin=ORIGIN),
            ReasoningPart(sealed="d", origin=ORIGIN),
        )

    def test_a_proof_comes_when_its_thought_ends_before_what_follows(self):
        said = deltas(*reply(*THOUGHTS))
        assert [next(iter(delta)) for delta in said] == [
            "reasoning_content",
            "reasoning_content",
            "reasoning_details",
            "reasoning_details",
            "reasoning_content",
            "content",
        ]

    def test_without_proofs_there_are_no_details(self):
        said = reply(ReasoningDelta("hm", origin=ORIGIN), TextDelta("x", block=1))
        assert whole(*said)["choices"][0]["message"] == {
            "role": "assistant",
            "content": "x",
            "refusal": None,
            "reasoning_content": "hm",
        }

    @pytest.mark.parametrize("asked", [{"reasoning": {"exclude": True}}, {"include_reasoning": False}])
    def test_a_client_that_does_not_want_them(self, asked):
        assert "reasoning_content" not in whole(*reply(*THOUGHTS), **asked)["choices"][0]["message"]
        assert deltas(*reply(*THOUGHTS), **asked) == [{"content": "x"}]

    @pytest.mark.parametrize(
        "odd", [{"reasoning": 3}, {"reasoning": None}, {"reasoning": {}}, {"include_reasoning": 1}]
    )
    def test_odd_wishes_are_none(self, odd):
        assert whole(*reply(*THOUGHTS), **odd)["choices"][0]["message"]["reasoning_content"]


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("tool_calls", "tool_calls"),
        ("content_filter", "content_filter"),
        ("refusal", "content_filter"),
        ("pause", "stop"),
    ],
)
def test_why_it_stopped(reason, word):
    said = reply(TextDelta("x"), reason=reason)
    assert whole(*said)["choices"][0]["finish_reason"] == word
    assert chunks(*said)[-1]["choices"][0]["finish_reason"] == word


def test_a_refusal():
    said = reply(RefusalDelta("no"), reason="refusal")
    (choice,) = whole(*said)["choices"]
    assert choice["message"] == {"role": "assistant", "content": None, "refusal": "no"}
    assert choice["finish_reason"] == "stop"
    assert deltas(*said) == [{"refusal": "no"}]


def test_citations_point_at_the_text_that_they_support():
    said = reply(
        TextDelta("First. "),
        TextDelta("Second.", block=1),
        CitationFound(Citation(url="https://x", title="X"), block=1),
        CitationFound(Citation(url="https://y", start=0, end=5), block=1),
        CitationFound(Citation(cited="no address", document=0), block=1),
    )
    expected = [
        {
            "type": "url_citation",
            "url_citation": {"url": "https://x", "title": "X", "start_index": 7, "end_index": 14},
        },
        {
            "type": "url_citation",
            "url_citation": {"url": "https://y", "title": "", "start_index": 0, "end_index": 5},
        },
    ]
    assert whole(*said)["choices"][0]["message"]["annotations"] == expected
    assert [one for delta in deltas(*said) for one in delta.get("annotations", ())] == expected


def test_log_probabilities():
    tokens = (TokenLogprob("x", -0.5, (120,), (TokenLogprob("y", -2.0),)),)
    expected = {
        "content": [
            {
                "token": "x",
                "logprob": -0.5,
                "bytes": [120],
                "top_logprobs": [{"token": "y", "logprob": -2.0, "bytes": None}],
            }
        ],
        "refusal": None,
    }
    said = reply(TextDelta("x", logprobs=tokens))
    assert whole(*said)["choices"][0]["logprobs"] == expected
    for options in ({}, {"stream_options": {"include_usage": True}}):
        assert chunks(*said, **options)[1]["choices"][0]["logprobs"] == expected


SEVERAL = (
    Started(),
    TextDelta("a"),
    TextDelta("b", choice=1),
    TextDelta("c"),
    ToolCallDelta(index=0, block=1, choice=1, id="i", name="f"),
    Stopped("stop"),
    Stopped("tool_calls", choice=1),
    Finished(),
)


def test_several_choices():
    one, other = whole(*SEVERAL)["choices"]
    assert (one["index"], one["message"]["content"], one["finish_reason"]) == (0, "ac", "stop")
    assert (other["index"], other["message"]["content"], other["finish_reason"]) == (1, "b", "tool_calls")
    found = [chunk["choices"][0] for chunk in chunks(*SEVERAL)]
    roles = [choice["index"] for choice in found if "role" in choice["delta"]]
    assert roles == [0, 1]
    assert [(choice["index"], choice["finish_reason"]) for choice in found if choice["finish_reason"]] == [
        (0, "stop"),
        (1, "tool_calls"),
    ]


def test_a_choice_that_says_nothing_is_there_all_the_same():
    for number in (0, 1):
        found = whole(Started(), Stopped("stop", choice=number), Finished())
        assert found["choices"][number]["message"]["content"] == ""
        assert chunks(Started(), Stopped("stop", choice=number), Finished())


def test_an_error_in_mid_stream_is_the_last():
    body = streamed(
        Started(), TextDelta("x"), Failed("upstream_failed", "too much"), TextDelta("y"), Finished()
    )
    last = body.decode().split("\n\n")[-2]
    assert json.decode(last.removeprefix("data: "))["error"] == {
        "message": "too much",
        "type": "server_error",
        "param": None,
        "code": "upstream_failed",
    }
    assert b"DONE" not in body


def test_an_error_instead_of_a_whole_reply():
    encoder = dialect.reply_encoder(head(), ANSWERING)
    assert json.decode(encoder.feed([Failed("c", "m")]))["error"]["message"] == "m"
    assert encoder.feed([Finished()]) == b""


class TestOfficialClient:
    @staticmethod
    def client(content_type, body):
        return openai.OpenAI(
            api_key="x",
            base_url="http://gateway.test/v1",
            max_retries=0,
            http_client=canned_client(openai.DefaultHttpxClient, 200, content_type, body),
        )

    def test_a_stream_with_tools(self):
        body = streamed(
            *reply(*THOUGHTS, *CALLS[1:], reason="tool_calls"), stream_options={"include_usage": True}
        )
        client = self.client("text/event-stream", body)
        with client.chat.completions.stream(**ASKED, stream_options={"include_usage": True}) as stream:
            stream.until_done()
            found = stream.get_final_completion()
        (choice,) = found.choices
        assert choice.finish_reason == "tool_calls"
        assert choice.message.content == "x"
        assert [call.function.arguments for call in choice.message.tool_calls] == ['{"x":1}', "{}"]
        assert found.usage.total_tokens == 12

    def test_an_error_in_mid_stream_raises(self):
        client = self.client(
            "text/event-stream", streamed(Started(), TextDelta("x"), Failed("c", "too much"))
        )
        with pytest.raises(openai.APIError, match="too much"):
            list(client.chat.completions.create(**ASKED, stream=True))


@pytest.mark.parametrize("way", ["streamed", "whole"])
def test_what_is_written_is_read_again(way):
    said = reply(TextDelta("see"), *CALLS[1:], reason="tool_calls")
    streams = way == "streamed"
    asked = head(stream=True, stream_options={"include_usage": True}) if streams else head()
    body = dialect.reply_encoder(asked, ANSWERING).feed(said)
    decoder = dialect.reply_decoder(stream=streams)
    found = [*decoder.feed(body), *decoder.end()]
    assert "".join(event.text for event in found if isinstance(event, TextDelta)) == "see"
    calls = [event for event in found if isinstance(event, ToolCallDelta)]
    assert "".join(event.arguments for event in calls if event.index == 0) == '{"x":1}'
    assert found[-3:] == [Stopped("tool_calls"), UsageReported(USAGE), Finished()]


DECORATED = msgspec.structs.replace(
    ANSWERING,
    metadata=(("x-arch-state", "{}"), ("team", "red")),
    prelude=(Prelude("assistant", "calls", "Arch-Function"), Prelude("tool", "answers", "Arch-Function")),
)
SAID = (Started(id="chatcmpl-1", model="gpt-x"), TextDelta("hi"), Stopped("stop"), Finished())


def test_a_whole_reply_carries_metadata():
    reply = json.decode(dialect.reply_encoder(head(), DECORATED).feed(SAID))
    ChatCompletion.model_validate(reply)
    assert reply["metadata"] == {"x-arch-state": "{}", "team": "red"}
    assert [choice["message"]["content"] for choice in reply["choices"]] == ["hi"]
    assert "metadata" not in whole(*SAID)


@pytest.mark.parametrize("events", [SAID, SAID[1:]], ids=["started", "without a start"])
def test_a_stream_begins_with_its_prelude(events):
    body = dialect.reply_encoder(head(stream=True), DECORATED).feed(events)
    found = [json.decode(line.removeprefix("data: ")) for line in body.decode().split("\n\n")[:-2]]
    for chunk in found:
        ChatCompletionChunk.model_validate(chunk)
    told = [(chunk["model"], chunk["choices"][0]["delta"].get("role")) for chunk in found]
    assert told[:2] == [("Arch-Function", "assistant"), ("Arch-Function", "tool")]
    assert told[2][1] == "assistant"
    contents = [chunk["choices"][0]["delta"].get("content") for chunk in found]
    assert contents == ["calls", "answers", "", "hi", None]


def test_an_error_has_no_prelude():
    body = dialect.reply_encoder(head(stream=True), DECORATED).feed([Failed("x", "y")])
    assert b"Arch-Function" not in body

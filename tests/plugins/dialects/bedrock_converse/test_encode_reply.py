"""Replies for clients that speak Converse: botocore reads them, and our own decoder gives back the events."""

import itertools

import msgspec
import pytest
from botocore.exceptions import EventStreamError

from archflow_plugins.dialects.bedrock_converse.decode_reply import StreamDecoder, WholeDecoder
from archflow_plugins.dialects.bedrock_converse.encode_reply import StreamEncoder, WholeEncoder
from archflow_plugins.dialects.bedrock_converse.frames import PING
from archflow_plugins.dialects.bedrock_converse.words import ReasoningText, thought
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
    ToolCallDelta,
    Usage,
    UsageReported,
)
from bedrock_oracle import read_reply, read_stream

OURS = "bedrock_converse"
COUNTS = Usage(input_tokens=17, output_tokens=5, cached_tokens=4, cache_written_tokens=3)
EVENTS = [
    Started(id="chatcmpl-1", model="m"),
    ReasoningDelta("h", 0, origin=OURS),
    ReasoningDelta("m", 0, origin=OURS),
    ReasoningDelta("", 0, signature="sig", origin=OURS),
    ReasoningDelta("", 1, sealed="aGk=", origin=OURS),
    TextDelta("it ", 2),
    Ping(),
    TextDelta("is", 2),
    TextDelta("another answer", 0, choice=1),
    ToolCallDelta(index=0, block=3, id="t1", name="weather"),
    ToolCallDelta(index=0, block=3, arguments='{"city":'),
    ToolCallDelta(index=0, block=3, arguments='"Ulm"}'),
    ToolCallDelta(index=1, block=4, id="t2", name="now", arguments="{}"),
    Stopped("stop", choice=1),
    Stopped("tool_calls"),
    UsageReported(COUNTS),
    Finished(),
]


def clock(*times):
    return iter(times or itertools.repeat(0.0)).__next__


def stream(events, *times):
    data = StreamEncoder(clock(*times)).feed(events)
    one_by_one = StreamEncoder(clock(*times))
    assert b"".join(one_by_one.feed([event]) for event in events) == data
    return data


def whole(events, *times):
    encoder = WholeEncoder(clock(*times))
    assert encoder.feed(events[:-1]) == b""
    return encoder.feed(events[-1:])


def test_a_stream_as_boto3_reads_it():
    assert read_stream(stream(EVENTS, 1.0, 1.25)) == [
        {"messageStart": {"role": "assistant"}},
        {"contentBlockDelta": {"delta": {"reasoningContent": {"text": "h"}}, "contentBlockIndex": 0}},
        {"contentBlockDelta": {"delta": {"reasoningContent": {"text": "m"}}, "contentBlockIndex": 0}},
        {"contentBlockDelta": {"delta": {"reasoningContent": {"signature": "sig"}}, "contentBlockIndex": 0}},
        {"contentBlockStop": {"contentBlockIndex": 0}},
        {
            "contentBlockDelta": {
                "delta": {"reasoningContent": {"redactedContent": b"hi"}},
                "contentBlockIndex": 1,
            }
        },
        {"contentBlockStop": {"contentBlockIndex": 1}},
        {"contentBlockDelta": {"delta": {"text": "it "}, "contentBlockIndex": 2}},
        {"contentBlockDelta": {"delta": {"text": "is"}, "contentBlockIndex": 2}},
        {"contentBlockStop": {"contentBlockIndex": 2}},
        {
            "contentBlockStart": {
                "start": {"toolUse": {"toolUseId": "t1", "name": "weather"}},
                "contentBlockIndex": 3,
            }
        },
        {"contentBlockDelta": {"delta": {"toolUse": {"input": '{"city":'}}, "contentBlockIndex": 3}},
        {"contentBlockDelta": {"delta": {"toolUse": {"input": '"Ulm"}'}}, "contentBlockIndex": 3}},
        {"contentBlockStop": {"contentBlockIndex": 3}},
        {
            "contentBlockStart": {
                "start": {"toolUse": {"toolUseId": "t2", "name": "now"}},
                "contentBlockIndex": 4,
            }
        },
        {"contentBlockDelta": {"delta": {"toolUse": {"input": "{}"}}, "contentBlockIndex": 4}},
        {"contentBlockStop": {"contentBlockIndex": 4}},
        {"messageStop": {"stopReason": "tool_use"}},
        {
            "metadata": {
                "usage": {
                    "inputTokens": 10,
                    "outputTokens": 5,
                    "totalTokens": 22,
                    "cacheReadInputTokens": 4,
                    "cacheWriteInputTokens": 3,
                },
                "metrics": {"latencyMs": 250},
            }
        },
    ]


def test_a_whole_reply_as_boto3_reads_it():
    found = read_reply(whole(EVENTS, 1.0, 1.25))
    assert found["output"]["message"] == {
        "role": "assistant",
        "content": [
            {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "sig"}}},
            {"reasoningContent": {"redactedContent": b"hi"}},
            {"text": "it is"},
            {"toolUse": {"toolUseId": "t1", "name": "weather", "input": {"city": "Ulm"}}},
            {"toolUse": {"toolUseId": "t2", "name": "now", "input": {}}},
        ],
    }
    assert found["stopReason"] == "tool_use"
    assert found["usage"]["cacheReadInputTokens"] == 4
    assert found["metrics"] == {"latencyMs": 250}


def test_both_are_read_back_as_what_was_said():
    expected = [event for event in EVENTS if not isinstance(event, Ping) and not getattr(event, "choice", 0)]
    back = StreamDecoder().feed(stream(EVENTS))
    assert back[1:4] == expected[1:4]
    assert [one for one in back if not isinstance(one, Started | Stopped)] == [
        one
        for event in expected
        if not isinstance(event, Started | Stopped)
        for one in (
            [
                ToolCallDelta(index=1, block=4, id="t2", name="now"),
                ToolCallDelta(index=1, block=4, arguments="{}"),
            ]
            if event == EVENTS[12]
            else [event]
        )
    ]
    decoder = WholeDecoder()
    decoder.feed(whole(EVENTS))
    assert [type(event) for event in decoder.end()] == [
        Started, ReasoningDelta, ReasoningDelta, TextDelta, ToolCallDelta, ToolCallDelta, Stopped, UsageReported,
        Finished,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("stopped", "word"),
    [
        (Stopped("stop"), "end_turn"),
        (Stopped("stop", sequence="END"), "stop_sequence"),
        (Stopped("length"), "max_tokens"),
        (Stopped("tool_calls"), "tool_use"),
        (Stopped("content_filter"), "content_filtered"),
        (Stopped("refusal"), "content_filtered"),
        (Stopped("pause"), "end_turn"),
        (Stopped("error"), "malformed_model_output"),
    ],
)
def test_stop_reasons(stopped, word):
    events = [Started(), stopped, Finished()]
    assert read_reply(whole(events))["stopReason"] == word
    told = read_stream(stream(events))[1]["messageStop"]
    assert told["stopReason"] == word
    if stopped.sequence:
        assert told["additionalModelResponseFields"] == {"delta": {"stop_sequence": "END"}}
        assert read_reply(whole(events))["additionalModelResponseFields"] == {"stop_sequence": "END"}


def test_an_answer_without_anything():
    events = [Started(service_tier="flex"), Stopped("stop"), Finished()]
    found = read_reply(whole(events))
    assert found["output"]["message"]["content"] == []
    assert found["usage"] == {"inputTokens": 0, "outputTokens": 0, "totalTokens": 0}
    assert found["serviceTier"] == {"type": "flex"}
    assert [next(iter(event)) for event in read_stream(stream(events))] == [
        "messageStart",
        "messageStop",
        "metadata",
    ]


def test_refusals_are_text():
    events = [Started(), RefusalDelta("no"), Stopped("refusal"), Finished()]
    assert read_reply(whole(events))["output"]["message"]["content"] == [{"text": "no"}]
    assert read_stream(stream(events))[1]["contentBlockDelta"]["delta"] == {"text": "no"}


def test_citations():
    raw = msgspec.Raw(b'{"title":"T","location":{"web":{"url":"https://x.test"}}}')
    cited = [
        Citation(title="T", origin=OURS, raw=raw),
        Citation(url="https://y.test", title="Y", cited="words", origin="openai_responses"),
        Citation(document=2, origin="anthropic_messages"),
        Citation(),
    ]
    said = [
        {"title": "T", "location": {"web": {"url": "https://x.test"}}},
        {"title": "Y", "sourceContent": [{"text": "words"}], "location": {"web": {"url": "https://y.test"}}},
        {"location": {"documentChar": {"documentIndex": 2}}},
        {},
    ]
    events = [Started(), TextDelta("a"), *(CitationFound(one) for one in cited), Stopped("stop"), Finished()]
    assert read_reply(whole(events))["output"]["message"]["content"] == [
        {"citationsContent": {"content": [{"text": "a"}], "citations": said}}
    ]
    found = [event["contentBlockDelta"]["delta"] for event in read_stream(stream(events))[2:6]]
    assert [one["citation"] for one in found] == said


@pytest.mark.parametrize(
    ("arguments", "sent"), [("", {}), (" ", {}), ('{"a": [1]}', {"a": [1]}), ('{"cut": "of', '{"cut": "of')]
)
def test_arguments_of_a_whole_reply(arguments, sent):
    events = [
        Started(),
        ToolCallDelta(index=0, id="t", name="n", arguments=arguments),
        Stopped("length"),
        Finished(),
    ]
    (block,) = msgspec.json.decode(whole(events))["output"]["message"]["content"]
    assert block["toolUse"]["input"] == sent


@pytest.mark.parametrize(
    "part",
    [
        ReasoningPart(text="hm", signature="s", origin="anthropic_messages"),
        ReasoningPart(text="hm", id="rs_1", origin="openai_responses"),
        ReasoningPart(text="hm", signature="s", id="x", origin="gemini"),
        ReasoningPart(sealed="aGk=", origin="anthropic_messages"),
        ReasoningPart(sealed="gAAA_-", id="rs_1", origin="openai_responses"),
        ReasoningPart(text="hm", origin="openai_chat"),
    ],
)
def test_proofs_of_other_providers_come_back_to_them(part):
    fields = {name: getattr(part, name) for name in ("text", "signature", "sealed", "id", "origin")}
    events = [Started(), ReasoningDelta(**fields), Stopped("stop"), Finished()]
    (block,) = msgspec.json.decode(whole(events))["output"]["message"]["content"]
    told = block["reasoningContent"]
    text = told.get("reasoningText")
    back = thought(ReasoningText(**text) if text else None, told.get("redactedContent"))
    carried = bool(part.signature or part.sealed or part.id) and part.origin != "anthropic_messages"
    assert back == (part if carried else msgspec.structs.replace(part, origin=OURS))
    streamed = [
        one["contentBlockDelta"]["delta"]["reasoningContent"] for one in read_stream(stream(events))[1:-3]
    ]
    merged = {name: value for one in streamed for name, value in one.items()}
    if "redactedContent" in told:
        assert list(merged) == ["redactedContent"]
    else:
        assert merged == text


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("rate_limit_exceeded", "throttlingException"),
        ("upstream_failed", "modelStreamErrorException"),
        ("upstream_timeout", "modelStreamErrorException"),
        ("invalid_request", "validationException"),
        ("overloaded", "serviceUnavailableException"),
        ("anything", "internalServerException"),
    ],
)
def test_errors_in_mid_stream_raise_boto3_s_exception(code, name):
    data = stream([Started(), TextDelta("a"), Failed(code, "why")])
    with pytest.raises(EventStreamError, match="why") as raised:
        read_stream(data)
    assert raised.value.response["Error"]["Code"] == name


def test_a_ping_is_passed_over():
    data = stream(EVENTS)
    assert read_stream(PING + data + PING) == read_stream(data)


def test_a_whole_reply_that_failed_is_an_error():
    encoder = WholeEncoder()
    found = read_reply(encoder.feed([Started(), TextDelta("a"), Failed("upstream_failed", "why")]), 424)
    assert found["Error"] == {"Message": "why", "Code": "ModelErrorException"}


def test_calls_whose_arguments_come_by_turns():
    events = [
        Started(),
        ToolCallDelta(index=0, block=0, id="a", name="f"),
        ToolCallDelta(index=1, block=1, id="b", name="g"),
        ToolCallDelta(index=0, block=0, arguments='{"x":1}'),
        ToolCallDelta(index=1, block=1, arguments='{"y":2}'),
        Stopped("tool_calls"),
        Finished(),
    ]
    told = [
        (name, fields.get("contentBlockIndex"))
        for event in read_stream(stream(events))
        for name, fields in event.items()
    ]
    assert told[1:-2] == [
        (name, index)
        for index in (0, 1)
        for name in ("contentBlockStart", "contentBlockDelta", "contentBlockStop")
    ]

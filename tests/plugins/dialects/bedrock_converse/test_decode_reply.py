"""Replies of Converse, whole and as frames, read into events."""

import msgspec
import pytest

from archflow_plugins.dialects import whole_body
from archflow_plugins.dialects.bedrock_converse.decode_reply import StreamDecoder, WholeDecoder
from archflow_plugins.framing.aws_event_stream import encode, encode_headers
from archflow_schema.errors import UpstreamProtocolError
from archflow_schema.events import (
    CitationFound,
    Failed,
    Finished,
    ReasoningDelta,
    Started,
    Stopped,
    TextDelta,
    ToolCallDelta,
    Usage,
    UsageReported,
)
from bedrock_oracle import read_reply, read_stream

OURS = "bedrock_converse"
USAGE = {
    "inputTokens": 10,
    "outputTokens": 5,
    "totalTokens": 22,
    "cacheReadInputTokens": 4,
    "cacheWriteInputTokens": 3,
}
COUNTED = UsageReported(Usage(input_tokens=17, output_tokens=5, cached_tokens=4, cache_written_tokens=3))
CITATION = {
    "title": "T",
    "sourceContent": [{"text": "blue"}],
    "location": {"documentChar": {"documentIndex": 1}},
}


def frame(name, payload, kind="event"):
    key = {"event": ":event-type", "exception": ":exception-type", "error": ":error-code"}[kind]
    block = encode_headers({key: name, ":content-type": "application/json", ":message-type": kind})
    return encode(block, msgspec.json.encode(payload))


def start(index, use):
    return frame("contentBlockStart", {"contentBlockIndex": index, "start": {"toolUse": use}, "p": "abcdefg"})


def delta(index, **value):
    return frame("contentBlockDelta", {"contentBlockIndex": index, "delta": value, "p": "abcdefghijklmnop"})


def stop(index):
    return frame("contentBlockStop", {"contentBlockIndex": index, "p": "abc"})


BEGIN = frame("messageStart", {"role": "assistant", "p": "abc"})
METADATA = frame("metadata", {"usage": USAGE, "metrics": {"latencyMs": 551}, "p": "a"})


def end(reason="end_turn", **more):
    return frame("messageStop", {"stopReason": reason, "p": "abc", **more})


def read(data, *, ended=True):
    decoder = StreamDecoder()
    events = decoder.feed(data)
    if ended:
        events += decoder.end()
    byte_by_byte = StreamDecoder()
    again = [event for at in range(len(data)) for event in byte_by_byte.feed(data[at : at + 1])]
    if ended:
        again += byte_by_byte.end()
    assert again == events
    return events


def whole(reply):
    read_reply(msgspec.json.encode(reply))
    decoder = WholeDecoder()
    data = msgspec.json.encode(reply)
    assert decoder.feed(data[:7]) == decoder.feed(data[7:]) == []
    return decoder.end()


def test_a_text():
    data = BEGIN + delta(0, text="Hel") + delta(0, text="lo") + stop(0) + end() + METADATA
    assert len(read_stream(data)) == 6
    assert read(data) == [
        Started(),
        TextDelta("Hel"),
        TextDelta("lo"),
        Stopped("stop", detail="end_turn"),
        COUNTED,
        Finished(),
    ]


def test_the_end_is_told_with_the_last_frame():
    assert read(BEGIN + end() + METADATA, ended=False)[-1] == Finished()
    assert read(METADATA + BEGIN + end()) == [
        COUNTED,
        Started(),
        Stopped("stop", detail="end_turn"),
        Finished(),
    ]


def test_thoughts_texts_and_calls():
    data = b"".join(
        [
            BEGIN,
            delta(0, reasoningContent={"text": "hm"}),
            delta(0, reasoningContent={"signature": "sig"}),
            stop(0),
            delta(1, reasoningContent={"redactedContent": "aGk="}),
            stop(1),
            delta(2, text="so"),
            stop(2),
            start(3, {"toolUseId": "t1", "name": "weather"}),
            delta(3, toolUse={"input": ""}),
            delta(3, toolUse={"input": '{"city":'}),
            delta(3, toolUse={"input": '"Ulm"}'}),
            stop(3),
            start(4, {"toolUseId": "t2", "name": "now"}),
            stop(4),
            end("tool_use"),
            METADATA,
        ]
    )
    read_stream(data)
    assert read(data)[1:-2] == [
        ReasoningDelta("hm", 0, origin=OURS),
        ReasoningDelta("", 0, signature="sig", origin=OURS),
        ReasoningDelta("", 1, sealed="aGk=", origin=OURS),
        TextDelta("so", 2),
        ToolCallDelta(index=0, block=3, id="t1", name="weather"),
        ToolCallDelta(index=0, block=3, arguments='{"city":'),
        ToolCallDelta(index=0, block=3, arguments='"Ulm"}'),
        ToolCallDelta(index=1, block=4, id="t2", name="now"),
        ToolCallDelta(index=1, block=4, arguments="{}"),
        Stopped("tool_calls", detail="tool_use"),
    ]


def test_block_numbers_are_places():
    data = delta(5, text="a") + delta(9, text="b") + delta(5, text="c") + end()
    assert read(data)[:4] == [Started(), TextDelta("a", 0), TextDelta("b", 1), TextDelta("c", 0)]


def test_citations():
    data = BEGIN + delta(0, text="it is blue") + delta(0, citation=CITATION) + stop(0) + end()
    read_stream(data)
    (found,) = [event for event in read(data) if isinstance(event, CitationFound)]
    assert (found.citation.title, found.citation.cited, found.citation.document) == ("T", "blue", 1)
    assert msgspec.json.decode(found.citation.raw) == CITATION


def test_what_the_models_vendor_ran_is_no_call_of_the_client():
    data = b"".join(
        [
            BEGIN,
            start(0, {"toolUseId": "s", "name": "nova_grounding", "type": "server_tool_use"}),
            delta(0, toolUse={"input": "{}"}),
            stop(0),
            frame("contentBlockStart", {"contentBlockIndex": 1, "start": {"toolResult": {"toolUseId": "s"}}}),
            delta(1, toolResult=[{"text": "x"}]),
            stop(1),
            delta(2, text="so"),
            end(),
        ]
    )
    assert [event for event in read(data) if isinstance(event, ToolCallDelta)] == []


def test_unknown_frames_are_passed_over():
    assert read(BEGIN + frame("ping", {}) + BEGIN + delta(0, hologram={}) + end() + end("max_tokens")) == [
        Started(),
        Stopped("stop", detail="end_turn"),
        Finished(),
    ]


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("tool_use", "tool_calls"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("guardrail_intervened", "content_filter"),
        ("content_filtered", "content_filter"),
        ("malformed_tool_use", "error"),
        ("malformed_model_output", "error"),
        ("refusal", "refusal"),
        ("something_new", "stop"),
    ],
)
def test_stop_reasons(word, reason):
    assert read(BEGIN + end(word))[1] == Stopped(reason, detail=word)


@pytest.mark.parametrize(
    ("fields", "sequence"),
    [
        ({"delta": {"stop_sequence": "END"}}, "END"),
        ({"stop_sequence": "END"}, "END"),
        ({"delta": None}, ""),
        ("odd", ""),
        (None, ""),
    ],
)
def test_the_stop_text(fields, sequence):
    stopped = read(BEGIN + end("stop_sequence", additionalModelResponseFields=fields))[1]
    assert stopped == Stopped("stop", sequence=sequence, detail="stop_sequence")


@pytest.mark.parametrize(
    ("name", "kind", "payload", "code", "message"),
    [
        ("throttlingException", "exception", {"message": "slow down"}, "rate_limit_exceeded", "slow down"),
        ("validationException", "exception", {"message": "no"}, "invalid_request", "no"),
        ("serviceUnavailableException", "exception", {"message": "later"}, "overloaded", "later"),
        (
            "modelStreamErrorException",
            "exception",
            {"message": "outer", "originalMessage": "inner", "originalStatusCode": 500},
            "upstream_failed",
            "inner",
        ),
        (
            "somethingNewException",
            "exception",
            [],
            "upstream_failed",
            "Bedrock gave up: somethingNewException",
        ),
        ("InternalError", "error", None, "upstream_failed", "Bedrock gave up: InternalError"),
    ],
)
def test_exceptions(name, kind, payload, code, message):
    data = BEGIN + delta(0, text="a") + frame(name, payload, kind) + delta(0, text="b") + METADATA
    assert read(data) == [Started(), TextDelta("a"), Failed(code, message)]


def test_an_unmodelled_error():
    block = encode_headers({":message-type": "error", ":error-code": "500", ":error-message": "broken"})
    assert read(encode(block, b"")) == [Failed("upstream_failed", "broken")]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "before its message was complete"),
        (BEGIN + delta(0, text="a"), "before its message was complete"),
        (BEGIN + end()[:-3], "in the middle of a frame"),
        (BEGIN + delta(0, toolUse={"input": "{"}), "no contentBlockStart"),
        (frame("contentBlockDelta", {"delta": 1}), "'contentBlockDelta' of the stream is not understood"),
        (delta(0, citation="odd"), "'contentBlockDelta' of the stream is not understood"),
        (b"data: {}\n\ndata: [DONE]\n\n", "checksum"),
    ],
)
def test_what_is_no_stream(data, why):
    with pytest.raises(UpstreamProtocolError, match=why):
        read(data)


def reply(*content, reason="end_turn", **more):
    return {
        "output": {"message": {"role": "assistant", "content": list(content)}},
        "stopReason": reason,
        "usage": USAGE,
        "metrics": {"latencyMs": 5},
        **more,
    }


def test_a_whole_reply():
    found = whole(
        reply(
            {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "sig"}}},
            {"reasoningContent": {"redactedContent": "aGk="}},
            {"text": "so"},
            {"image": {"format": "png", "source": {"bytes": "aGk="}}},
            {"toolUse": {"toolUseId": "s", "name": "g", "input": {}, "type": "server_tool_use"}},
            {
                "citationsContent": {
                    "content": [{"text": "it is "}, {"text": "blue"}],
                    "citations": [CITATION],
                }
            },
            {"toolUse": {"toolUseId": "t1", "name": "weather", "input": {"city": "Ulm"}}},
            {"toolUse": {"toolUseId": "t2", "name": "now", "input": {}}},
            reason="tool_use",
            serviceTier={"type": "flex"},
        )
    )
    (cited,) = [event for event in found if isinstance(event, CitationFound)]
    assert msgspec.json.decode(cited.citation.raw) == CITATION
    assert cited.block == 3
    assert [event for event in found if event is not cited] == [
        Started(service_tier="flex"),
        ReasoningDelta("hm", 0, signature="sig", origin=OURS),
        ReasoningDelta("", 1, sealed="aGk=", origin=OURS),
        TextDelta("so", 2),
        TextDelta("it is blue", 3),
        ToolCallDelta(index=0, block=4, id="t1", name="weather", arguments='{"city":"Ulm"}'),
        ToolCallDelta(index=1, block=5, id="t2", name="now", arguments="{}"),
        Stopped("tool_calls", detail="tool_use"),
        COUNTED,
        Finished(),
    ]


def test_a_whole_reply_tells_its_stop_text():
    found = whole(reply(reason="stop_sequence", additionalModelResponseFields={"stop_sequence": "END"}))
    assert found[1] == Stopped("stop", sequence="END", detail="stop_sequence")


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"output":1}', b'{"stopReason":"end_turn"}', b"\xff"])
def test_what_is_no_reply(data):
    decoder = WholeDecoder()
    decoder.feed(data)
    with pytest.raises(UpstreamProtocolError, match="the reply of Converse is not understood"):
        decoder.end()


def test_a_reply_that_is_too_large(monkeypatch):
    monkeypatch.setattr(whole_body, "LARGEST", 10)
    decoder = WholeDecoder()
    decoder.feed(b"x" * 10)
    with pytest.raises(UpstreamProtocolError, match="larger than 10 bytes"):
        decoder.feed(b"x")

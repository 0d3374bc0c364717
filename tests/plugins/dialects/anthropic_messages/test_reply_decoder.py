"""Replies of Messages to events: streamed in any portions, and whole."""

import anthropic.types
import pydantic
import pytest
from msgspec import json

from archflow_plugins.dialects.anthropic_messages import AnthropicMessages
from archflow_plugins.dialects.whole_body import LARGEST
from archflow_plugins.framing import sse
from archflow_plugins.kinds import Empty
from archflow_plugins.testing import run_context
from archflow_schema.errors import UpstreamProtocolError
from archflow_schema.events import (
    CitationFound,
    Failed,
    Finished,
    Ping,
    ReasoningDelta,
    Started,
    Stopped,
    TextDelta,
    ToolCallDelta,
    Usage,
    UsageReported,
)

dialect = AnthropicMessages(Empty(), run_context())
OWN = "anthropic_messages"
EVENT = pydantic.TypeAdapter(anthropic.types.RawMessageStreamEvent)

USAGE = {
    "input_tokens": 25,
    "output_tokens": 1,
    "cache_read_input_tokens": 5,
    "cache_creation_input_tokens": 2,
    "service_tier": "standard",
}
START = {
    "type": "message_start",
    "message": {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": USAGE,
    },
}
STARTED = Started(id="msg_1", model="claude", service_tier="default")
STOP = {"type": "message_stop"}


def begin(index, **block):
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(index, kind, **fields):
    return {"type": "content_block_delta", "index": index, "delta": {"type": f"{kind}_delta", **fields}}


def end(index):
    return {"type": "content_block_stop", "index": index}


def ending(reason, sequence=None, **usage):
    return {
        "type": "message_delta",
        "delta": {"stop_reason": reason, "stop_sequence": sequence},
        "usage": {"output_tokens": 15, **usage},
    }


CITED = {
    "type": "web_search_result_location",
    "url": "https://x",
    "title": "X",
    "cited_text": "blue",
    "encrypted_index": "e",
}
FULL = (
    START,
    {"type": "ping"},
    begin(0, type="thinking", thinking="", signature=""),
    delta(0, "thinking", thinking="hm"),
    delta(0, "signature", signature="c2ln"),
    end(0),
    begin(1, type="redacted_thinking", data="c2Vh"),
    end(1),
    begin(2, type="server_tool_use", id="srvtoolu_1", name="web_search", input={}),
    delta(2, "input_json", partial_json='{"query":"x"}'),
    end(2),
    begin(3, type="web_search_tool_result", tool_use_id="srvtoolu_1", content=[]),
    end(3),
    begin(4, type="text", text=""),
    delta(4, "text", text="It is "),
    delta(4, "citations", citation=CITED),
    delta(4, "text", text="blue 🌊"),
    end(4),
    begin(5, type="tool_use", id="toolu_1", name="f", input={}),
    delta(5, "input_json", partial_json=""),
    delta(5, "input_json", partial_json='{"a":'),
    delta(5, "input_json", partial_json="1}"),
    end(5),
    begin(6, type="tool_use", id="toolu_2", name="g", input={}),
    delta(6, "input_json", partial_json=""),
    end(6),
    ending("tool_use", output_tokens_details={"thinking_tokens": 4}),
    STOP,
)
SAID = [
    STARTED,
    Ping(),
    ReasoningDelta("hm", 0, origin=OWN),
    ReasoningDelta("", 0, signature="c2ln", origin=OWN),
    ReasoningDelta("", 1, sealed="c2Vh", origin=OWN),
    TextDelta("It is ", 2),
    "citation",
    TextDelta("blue 🌊", 2),
    ToolCallDelta(index=0, block=3, id="toolu_1", name="f"),
    ToolCallDelta(index=0, block=3, arguments='{"a":'),
    ToolCallDelta(index=0, block=3, arguments="1}"),
    ToolCallDelta(index=1, block=4, id="toolu_2", name="g"),
    ToolCallDelta(index=1, block=4, arguments="{}"),
    Stopped("tool_calls", detail="tool_use"),
    UsageReported(
        Usage(input_tokens=32, output_tokens=15, cached_tokens=5, cache_written_tokens=2, reasoning_tokens=4)
    ),
    Finished(),
]


def stream(*events) -> bytes:
    return b"".join(sse.encode(json.encode(event), event["type"]) for event in events)


def read(*events, size=1 << 20):
    return read_bytes(stream(*events), size=size)


def read_bytes(data, *, size=1 << 20, whole=False):
    decoder = dialect.reply_decoder(stream=not whole)
    found = []
    for at in range(0, len(data), size):
        found += decoder.feed(data[at : at + size])
    return found + decoder.end()


def test_the_vectors_are_those_of_the_official_client():
    for event in FULL:
        if event["type"] != "ping":
            EVENT.validate_python(event)


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_a_stream_with_everything(size):
    found = read(*FULL, size=size)
    (cited,) = [event for event in found if isinstance(event, CitationFound)]
    assert (cited.block, cited.citation.url, cited.citation.cited) == (2, "https://x", "blue")
    assert json.decode(cited.citation.raw) == CITED
    assert ["citation" if event is cited else event for event in found] == SAID


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "refusal"),
        ("pause_turn", "pause"),
        ("something_new", "stop"),
    ],
)
def test_reasons(word, reason):
    expected = Stopped(reason, sequence="END", detail=word)
    assert read(START, ending(word, "END"), STOP)[1] == expected
    whole = {**START["message"], "stop_reason": word, "stop_sequence": "END"}
    assert read_bytes(json.encode(whole), whole=True)[1] == expected


def test_arguments_that_come_with_the_start():
    found = read(
        START, begin(0, type="tool_use", id="t", name="f", input={"a": 1}), end(0), ending("tool_use"), STOP
    )
    assert found[1:3] == [
        ToolCallDelta(index=0, id="t", name="f"),
        ToolCallDelta(index=0, arguments='{"a":1}'),
    ]


def test_interleaved_blocks_keep_their_numbers():
    found = read(
        START,
        begin(0, type="tool_use", id="t", name="f", input={}),
        begin(1, type="tool_use", id="u", name="g", input={}),
        delta(1, "input_json", partial_json="{}"),
        delta(0, "input_json", partial_json="{}"),
        end(1),
        end(0),
        ending("tool_use"),
        STOP,
    )
    assert [
        (event.index, event.block, event.arguments) for event in found if isinstance(event, ToolCallDelta)
    ] == [
        (0, 0, ""),
        (1, 1, ""),
        (1, 1, "{}"),
        (0, 0, "{}"),
    ]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            {"type": "overloaded_error", "message": "Overloaded"},
            Failed("upstream_overloaded", "Overloaded"),
        ),
        ({"type": "api_error", "message": "oops"}, Failed("upstream_failed", "oops")),
        (None, Failed("upstream_failed", "the upstream gave up without saying why")),
    ],
)
def test_an_error_ends_it(error, expected):
    failure = {"type": "error", "error": error}
    assert read(START, failure, delta(0, "text", text="x"), STOP) == [STARTED, expected]
    assert read_bytes(json.encode(failure), whole=True) == [expected]


def test_nothing_follows_the_end():
    found = read(START, ending("end_turn"), STOP, STOP, {"type": "error", "error": None})
    assert found[-1] == Finished()
    assert found.count(Finished()) == 1


def test_unknown_things_are_passed_over():
    found = read(
        START,
        {"type": "weather_report", "delta": "sunny", "index": "north"},
        begin(0, type="hologram", data={"x": 1}),
        delta(0, "text", text="not shown"),
        end(0),
        begin(1, type="text", text=""),
        {"type": "content_block_delta", "index": 1, "delta": {"type": "shimmer", "text": ["no"]}},
        delta(1, "text", text="shown"),
        delta(9, "text", text="no block"),
        ending(None),
        ending("end_turn"),
        ending("max_tokens"),
        STOP,
    )
    assert found[1:3] == [TextDelta("shown"), Stopped("stop", detail="end_turn")]
    assert len(found) == 5


def test_a_block_of_an_unknown_type_may_have_fields_of_our_names():
    blocks = [{"type": "hologram", "text": 5, "id": ["x"]}, {"type": "text", "text": "shown"}]
    message = {"type": "message", "id": "msg_1", "model": "c", "content": blocks, "stop_reason": "end_turn"}
    decoder = dialect.reply_decoder(stream=False)
    decoder.feed(json.encode(message))
    assert decoder.end()[1] == TextDelta("shown")


def test_a_stream_without_its_last_event_is_whole_if_it_stopped():
    assert read(START, ending("end_turn"))[-1] == Finished()
    with pytest.raises(UpstreamProtocolError, match="before its message was complete"):
        read(START, begin(0, type="text", text=""), delta(0, "text", text="x"))


@pytest.mark.parametrize(
    "data",
    [
        b"data: {broken\n\n",
        b"data: [1]\n\n",
        b'data: {"type":"content_block_delta","index":"x"}\n\n',
        b'data: {"type":"message_start","message":7}\n\n',
        b"data: " + b"[" * 5000 + b"\n\n",
    ],
)
def test_what_is_no_event_of_messages(data):
    with pytest.raises(UpstreamProtocolError):
        read_bytes(data)


def test_a_whole_reply():
    reply = {
        **START["message"],
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
            {"type": "redacted_thinking", "data": "c2Vh"},
            {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}, "text": {"odd": 1}},
            {"type": "text", "text": "It is blue", "citations": [CITED]},
            {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}},
            {"type": "tool_use", "id": "u", "name": "g", "input": {}},
        ],
        "stop_reason": "tool_use",
        "usage": {**USAGE, "output_tokens": 15},
    }
    found = read_bytes(json.encode(reply), size=3, whole=True)
    assert [event for event in found if not isinstance(event, CitationFound)] == [
        STARTED,
        ReasoningDelta("hm", 0, signature="c2ln", origin=OWN),
        ReasoningDelta("", 1, sealed="c2Vh", origin=OWN),
        TextDelta("It is blue", 2),
        ToolCallDelta(index=0, block=3, id="t", name="f"),
        ToolCallDelta(index=0, block=3, arguments='{"a":1}'),
        ToolCallDelta(index=1, block=4, id="u", name="g"),
        ToolCallDelta(index=1, block=4, arguments="{}"),
        Stopped("tool_calls", detail="tool_use"),
        UsageReported(Usage(input_tokens=32, output_tokens=15, cached_tokens=5, cache_written_tokens=2)),
        Finished(),
    ]


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'{"content":"x"}', b'{"content":[{"type":3}]}']
)
def test_what_is_no_message(body):
    with pytest.raises(UpstreamProtocolError, match="the reply is not a message"):
        read_bytes(body, whole=True)


def test_a_reply_without_end_is_given_up():
    decoder = dialect.reply_decoder(stream=False)
    portion = b"x" * (LARGEST // 4)
    for _ in range(4):
        decoder.feed(portion)
    with pytest.raises(UpstreamProtocolError, match="larger than"):
        decoder.feed(portion)

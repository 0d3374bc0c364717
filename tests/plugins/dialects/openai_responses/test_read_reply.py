"""Replies of upstreams that speak the Responses API, as OpenAI and its imitators send them."""

import pytest
from msgspec import Raw, json

from archflow_plugins.dialects.openai_responses.read_reply import ITEMS_AT_MOST, StreamedReply, WholeReply
from archflow_plugins.framing import sse
from archflow_schema.conversation import Citation
from archflow_schema.errors import UpstreamProtocolError
from archflow_schema.events import (
    CitationFound,
    Failed,
    Finished,
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

ORIGIN = "openai_responses"
RESPONSE = {"id": "resp_1", "object": "response", "created_at": 7, "model": "gpt-x", "status": "in_progress"}
STARTED = Started(id="resp_1", model="gpt-x", created=7)
MESSAGE = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed"}
TEXT = {"type": "output_text", "text": "Hello", "annotations": []}
USAGE = {"input_tokens": 5, "output_tokens": 2, "output_tokens_details": {"reasoning_tokens": 1}}
TOLD = UsageReported(Usage(input_tokens=5, output_tokens=2, reasoning_tokens=1))
CREATED = {"type": "response.created", "response": RESPONSE}


def completed(**fields):
    response = {**RESPONSE, "status": "completed", "usage": USAGE, **fields}
    return {"type": f"response.{response['status']}", "response": response}


def stream(*events):
    return b"".join(sse.encode(json.encode(event), event["type"]) for event in events)


def read(*events):
    reader = StreamedReply()
    return reader.feed(stream(*events)) + reader.end()


def whole(**fields):
    reader = WholeReply()
    assert reader.feed(json.encode(completed(**fields)["response"])) == []
    return reader.end()


def added(index, item):
    return {"type": "response.output_item.added", "output_index": index, "item": item}


def done(index, item):
    return {"type": "response.output_item.done", "output_index": index, "item": item}


def delta(kind, text, index=0, **fields):
    return {
        "type": f"response.{kind}.delta",
        "delta": text,
        "output_index": index,
        "content_index": 0,
        **fields,
    }


def test_a_text_in_deltas():
    assert read(
        CREATED,
        {"type": "response.in_progress", "response": RESPONSE},
        added(0, {**MESSAGE, "content": []}),
        delta("output_text", "Hel", obfuscation="xxxx"),
        delta("output_text", "lo", logprobs=[]),
        {"type": "response.output_text.done", "output_index": 0, "content_index": 0, "text": "Hello"},
        done(0, {**MESSAGE, "content": [TEXT]}),
        completed(output=[{**MESSAGE, "content": [TEXT]}]),
    ) == [STARTED, TextDelta("Hel"), TextDelta("lo"), Stopped("stop"), TOLD, Finished()]


@pytest.mark.parametrize(
    "events",
    [
        (done(0, {**MESSAGE, "content": [TEXT]}), completed(output=[])),
        (completed(output=[{**MESSAGE, "content": [TEXT]}]),),
        (added(0, {**MESSAGE, "content": []}), completed(output=[{**MESSAGE, "content": [TEXT]}])),
    ],
)
def test_what_was_left_out_is_taken_from_where_it_stands(events):
    assert read(CREATED, *events) == [STARTED, TextDelta("Hello"), Stopped("stop"), TOLD, Finished()]


def test_a_reply_without_its_beginning_begins_all_the_same():
    assert read(delta("output_text", "a"), completed(output=[]))[:2] == [Started(), TextDelta("a")]


def test_thoughts():
    item = {"type": "reasoning", "id": "rs_1", "summary": []}
    assert read(
        CREATED,
        added(0, item),
        {"type": "response.reasoning_summary_part.added", "output_index": 0, "summary_index": 0},
        delta("reasoning_summary_text", "one", summary_index=0),
        {"type": "response.reasoning_summary_part.added", "output_index": 0, "summary_index": 1},
        delta("reasoning_summary_text", "two", summary_index=1),
        delta("reasoning_text", "the same, longer"),
        done(0, {**item, "encrypted_content": "gA"}),
        added(1, {**MESSAGE, "content": []}),
        delta("output_text", "a", 1),
        completed(output=[]),
    )[1:-3] == [
        ReasoningDelta("one", 0, id="rs_1", summary=True, origin=ORIGIN),
        ReasoningDelta("\n\n", 0, id="rs_1", summary=True, origin=ORIGIN),
        ReasoningDelta("two", 0, id="rs_1", summary=True, origin=ORIGIN),
        ReasoningDelta("", 0, sealed="gA", id="rs_1", origin=ORIGIN),
        TextDelta("a", 1),
    ]


def test_calls():
    call = {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "look", "arguments": ""}
    custom = {"type": "custom_tool_call", "id": "ctc_1", "call_id": "c2", "name": "patch", "input": ""}
    assert read(
        CREATED,
        added(0, call),
        delta("function_call_arguments", '{"a"'),
        delta("function_call_arguments", ":1}"),
        done(0, {**call, "arguments": '{"a":1}'}),
        added(1, custom),
        delta("custom_tool_call_input", "*** Begin", 1),
        done(1, {**custom, "input": "*** Begin"}),
        done(2, {**call, "call_id": "c3", "arguments": "{}"}),
        completed(output=[]),
    )[1:] == [
        ToolCallDelta(index=0, block=0, id="c1", name="look"),
        ToolCallDelta(index=0, block=0, arguments='{"a"'),
        ToolCallDelta(index=0, block=0, arguments=":1}"),
        ToolCallDelta(index=1, block=1, id="c2", name="patch", custom=True),
        ToolCallDelta(index=1, block=1, arguments="*** Begin", custom=True),
        ToolCallDelta(index=2, block=2, id="c3", name="look"),
        ToolCallDelta(index=2, block=2, arguments="{}"),
        Stopped("tool_calls"),
        TOLD,
        Finished(),
    ]


def test_citations_refusals_and_log_probabilities():
    raw = {"type": "url_citation", "url": "https://sea", "title": "Sea", "start_index": 0, "end_index": 1}
    top = [{"token": "b", "logprob": -1.0}]
    assert read(
        CREATED,
        added(0, {**MESSAGE, "content": []}),
        delta("output_text", "a", logprobs=[{"token": "a", "logprob": -0.5, "top_logprobs": top}]),
        {
            "type": "response.output_text.annotation.added",
            "output_index": 0,
            "content_index": 0,
            "annotation": raw,
        },
        delta("refusal", "no", content_index=1),
        done(
            0, {**MESSAGE, "content": [{**TEXT, "annotations": [raw]}, {"type": "refusal", "refusal": "no"}]}
        ),
        completed(output=[]),
    )[1:-3] == [
        TextDelta("a", logprobs=(TokenLogprob("a", -0.5, None, (TokenLogprob("b", -1.0),)),)),
        CitationFound(
            Citation(url="https://sea", title="Sea", start=0, end=1, origin=ORIGIN, raw=Raw(json.encode(raw)))
        ),
        RefusalDelta("no", 1),
    ]


def test_events_and_items_that_nobody_knows_are_passed_over():
    search = {"type": "web_search_call", "id": "ws_1", "status": "completed", "name": 3}
    assert read(
        CREATED,
        {"type": "response.later", "delta": {"a": 1}},
        added(0, search),
        {"type": "response.web_search_call.completed", "output_index": 0, "item_id": "ws_1"},
        done(0, search),
        completed(output=[search, {**MESSAGE, "content": [TEXT]}]),
    ) == [STARTED, TextDelta("Hello"), Stopped("stop"), TOLD, Finished()]


@pytest.mark.parametrize(
    ("reason", "stopped"), [("max_output_tokens", "length"), ("content_filter", "content_filter")]
)
def test_a_response_that_is_not_complete(reason, stopped):
    fields = {"status": "incomplete", "incomplete_details": {"reason": reason}, "output": []}
    wanted = [STARTED, Stopped(stopped, detail=reason), TOLD, Finished()]
    assert read(CREATED, completed(**fields)) == wanted
    assert whole(**fields) == wanted


@pytest.mark.parametrize(
    ("event", "failed"),
    [
        (
            completed(status="failed", error={"code": "rate_limit_exceeded", "message": "slow down"}),
            Failed("rate_limit_exceeded", "slow down"),
        ),
        ({"type": "error", "code": None, "message": "gone"}, Failed("upstream_failed", "gone")),
        (
            {"type": "error", "error": {"type": "server_error", "message": "gone"}},
            Failed("server_error", "gone"),
        ),
        (
            completed(status="cancelled"),
            Failed("upstream_failed", "the response cancelled without saying why"),
        ),
    ],
)
def test_an_upstream_that_gives_up(event, failed):
    assert read(CREATED, event, delta("output_text", "late")) == [STARTED, failed]


def test_a_whole_response():
    assert whole(
        service_tier="flex",
        output=[
            {
                "type": "reasoning",
                "id": "rs_1",
                "summary": [],
                "content": [{"type": "reasoning_text", "text": "t"}],
            },
            {**MESSAGE, "content": [TEXT]},
            {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"},
        ],
    ) == [
        Started(id="resp_1", model="gpt-x", created=7, service_tier="flex"),
        ReasoningDelta("t", 0, id="rs_1", origin=ORIGIN),
        TextDelta("Hello", 1),
        ToolCallDelta(index=0, block=2, id="c1", name="look"),
        ToolCallDelta(index=0, block=2, arguments="{}"),
        Stopped("tool_calls"),
        TOLD,
        Finished(),
    ]


def test_a_response_in_the_background_is_none_yet():
    with pytest.raises(UpstreamProtocolError, match="queued"):
        whole(status="queued", output=[])


@pytest.mark.parametrize(
    "data",
    [
        b"data: nonsense\n\n",
        b"data: []\n\n",
        b'data: {"type":"response.output_text.delta","delta":3}\n\n',
        b'data: {"type":"response.output_item.added","item":{"type":"function_call","name":3}}\n\n',
        b'data: {"type":"response.output_item.added","item":3}\n\n',
        b'data: {"type":"response.function_call_arguments.delta","delta":"{}"}\n\n',
        b'data: {"type":"response.completed","response":3}\n\n',
        b'data: {"type":"response.completed","response":{"output":[3]}}\n\n',
        b'data: {"type":"response.output_text.delta","delta":"\\ud83d"}\n\n',
    ],
)
def test_what_is_not_of_this_dialect_is_an_upstreams_fault(data):
    with pytest.raises(UpstreamProtocolError):
        StreamedReply().feed(data)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"status":3}'])
def test_a_whole_reply_that_is_none(data):
    reader = WholeReply()
    reader.feed(data)
    with pytest.raises(UpstreamProtocolError):
        reader.end()


def test_a_stream_that_ends_too_early():
    reader = StreamedReply()
    reader.feed(stream(CREATED, delta("output_text", "a")))
    with pytest.raises(UpstreamProtocolError, match=r"without response\.completed"):
        reader.end()


def test_a_response_of_endless_items_is_cut():
    reader = StreamedReply()
    with pytest.raises(UpstreamProtocolError, match="items"):
        reader.feed(stream(*(added(index, {"type": "message"}) for index in range(ITEMS_AT_MOST + 1))))


def test_a_whole_reply_that_is_too_large(monkeypatch):
    monkeypatch.setattr("archflow_plugins.dialects.whole_body.LARGEST", 4)
    reader = WholeReply()
    reader.feed(b"1234")
    with pytest.raises(UpstreamProtocolError, match="larger than 4 bytes"):
        reader.feed(b"5")

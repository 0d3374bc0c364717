"""Replies for clients of the Responses API, read by the official client's own types and accumulator."""

import pytest
from msgspec import Raw, json, structs
from openai import omit
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from archflow_plugins.dialects.openai_responses.dialect import OpenAIResponses
from archflow_plugins.dialects.openai_responses.read_reply import StreamedReply, WholeReply
from archflow_plugins.dialects.sealed import Proof, wrap
from archflow_plugins.framing import sse
from archflow_plugins.kinds import Empty
from archflow_plugins.testing import run_context
from archflow_plugins.translation import Answering
from archflow_schema.conversation import Citation
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

EVENT = TypeAdapter(ResponseStreamEvent)
dialect = OpenAIResponses(Empty(), run_context())
TOOLS = [
    {"type": "function", "name": "look", "parameters": {"type": "object"}, "strict": False},
    {"type": "custom", "name": "patch", "description": "edits"},
    {
        "type": "namespace",
        "name": "agents",
        "description": "",
        "tools": [
            {"type": "function", "name": "spawn", "parameters": {"type": "object"}},
            {"type": "custom", "name": "exec"},
        ],
    },
    {"type": "local_shell"},
    {"type": "tool_search", "execution": "client", "description": "finds", "parameters": {"type": "object"}},
    {"type": "web_search"},
]
END = [Stopped("stop"), UsageReported(Usage(input_tokens=9, output_tokens=3, cached_tokens=4)), Finished()]


def encoder(*, stream=True, **fields):
    head = dialect.decode_head(json.encode({"model": "m", "input": "hi", "stream": stream, **fields}))
    return dialect.reply_encoder(head, Answering(request_id="r1", model="m", created=1_763_000_000))


def streamed(events, **fields):
    """The events of a stream, each checked against the official types, and what the client makes of them."""
    writer = encoder(**fields)
    data = b"".join(writer.feed([event]) for event in events)
    found = []
    state = ResponseStreamState(input_tools=omit, text_format=omit)
    for one in sse.Splitter().feed(data):
        body = json.decode(one.data)
        assert body["type"] == one.event
        assert body["sequence_number"] == len(found)
        state.handle_event(EVENT.validate_python(body))
        found.append(body)
    return found, state


def whole(events, **fields):
    writer = encoder(stream=False, **fields)
    assert b"".join(writer.feed([event]) for event in events[:-1]) == b""
    body = json.decode(writer.feed(events[-1:]))
    Response.model_validate(body)
    return body


def both(events, **fields):
    """The output, which is the same whole and streamed but for the ids that are made anew."""
    found, state = streamed(events, **fields)
    last = found[-1]["response"]
    one = whole(events, **fields)
    key, other = last["id"].removeprefix("resp_"), one["id"].removeprefix("resp_")
    text = json.encode({**one, "completed_at": last["completed_at"]}).replace(other.encode(), key.encode())
    assert json.decode(text) == last
    done = [event["item"] for event in found if event["type"] == "response.output_item.done"]
    assert sorted(done, key=lambda item: item["id"]) == sorted(last["output"], key=lambda item: item["id"])
    assert state._completed_response is None or state._completed_response.to_dict()["id"] == last["id"]
    return last


def kinds(found):
    return [event["type"].removeprefix("response.") for event in found]


def test_the_whole_sequence_of_a_text():
    found, state = streamed([Started(model="gpt-x"), TextDelta("Hel"), TextDelta("lo"), Ping(), *END])
    assert kinds(found) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert state._completed_response.output_text == "Hello"
    assert found[0]["response"]["status"] == "in_progress"
    assert found[0]["response"]["usage"] is None
    final = found[-1]["response"]
    assert final["id"] == found[0]["response"]["id"]
    assert final["id"].startswith("resp_")
    assert final["model"] == "gpt-x"
    assert final["created_at"] == 1_763_000_000
    assert final["usage"] == {
        "input_tokens": 9,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
        "output_tokens": 3,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 12,
    }
    item = final["output"][0]
    assert (item["status"], item["role"], item["id"][:4]) == ("completed", "assistant", "msg_")


def test_two_replies_never_share_an_id():
    ids = {whole([Started(id="resp_up"), TextDelta("a"), *END])["id"] for _ in range(9)}
    assert len(ids) == 9
    assert "resp_up" not in ids


def test_thoughts_texts_and_calls_in_one_reply():
    final = both(
        [
            Started(),
            ReasoningDelta("I ", 0, origin="anthropic_messages"),
            ReasoningDelta("think", 0, origin="anthropic_messages"),
            ReasoningDelta(block=0, signature="sig", origin="anthropic_messages"),
            TextDelta("Let me ", 1),
            TextDelta("look.", 1),
            ToolCallDelta(index=0, block=2, id="call_1", name="look"),
            ToolCallDelta(index=0, block=2, arguments='{"a":'),
            ToolCallDelta(index=1, block=3, id="call_2", name="look"),
            ToolCallDelta(index=0, block=2, arguments="1}"),
            ToolCallDelta(index=1, block=3, arguments="{}"),
            Stopped("tool_calls"),
            Finished(),
        ],
        tools=TOOLS,
    )
    thought, message, first, second = final["output"]
    assert thought["summary"] == [{"type": "summary_text", "text": "I think"}]
    assert thought["encrypted_content"] == wrap("anthropic_messages", Proof(signature="sig"))
    assert message["content"][0]["text"] == "Let me look."
    assert (first["call_id"], first["name"], first["arguments"]) == ("call_1", "look", '{"a":1}')
    assert (second["call_id"], second["arguments"]) == ("call_2", "{}")
    assert final["status"] == "completed"
    assert final["usage"] is None


def test_what_proves_a_call_stands_before_it():
    signed = ToolCallDelta(
        index=0, block=1, id="call_1", name="look", arguments="{}", signature="b3du", origin="gemini"
    )
    other = ToolCallDelta(index=1, block=2, id="call_2", name="look", arguments="{}")
    output = both([Started(), TextDelta("x"), signed, other, *END], tools=TOOLS)["output"]
    assert [one["type"] for one in output] == ["message", "reasoning", "function_call", "function_call"]
    assert output[1]["encrypted_content"] == wrap("gemini", Proof(signature="b3du", id="call_1"))
    assert [one["call_id"] for one in output[2:]] == ["call_1", "call_2"]


def test_calls_take_the_form_of_the_tool_that_was_offered():
    calls = [
        ("agents__spawn", '{"task":"t"}', False),
        ("agents__exec", '{"input":"text(1)"}', False),
        ("patch", "*** Begin", True),
        ("local_shell", '{"command":["ls"],"timeout_ms":5}', False),
        ("tool_search", '{"query":"q"}', False),
        ("look", "", False),
    ]
    events = [Started()]
    for index, (name, arguments, custom) in enumerate(calls):
        events.append(ToolCallDelta(index=index, block=index, id=f"call_{index}", name=name, custom=custom))
        events.append(ToolCallDelta(index=index, block=index, arguments=arguments, custom=custom))
    output = both([*events, Stopped("tool_calls"), Finished()], tools=TOOLS)["output"]
    without = [{key: item[key] for key in item.keys() - {"id", "status", "call_id"}} for item in output]
    assert without == [
        {"type": "function_call", "namespace": "agents", "name": "spawn", "arguments": '{"task":"t"}'},
        {"type": "custom_tool_call", "namespace": "agents", "name": "exec", "input": "text(1)"},
        {"type": "custom_tool_call", "name": "patch", "input": "*** Begin"},
        {
            "type": "local_shell_call",
            "action": {"type": "exec", "env": {}, "command": ["ls"], "timeout_ms": 5},
        },
        {"type": "tool_search_call", "execution": "client", "arguments": {"query": "q"}},
        {"type": "function_call", "name": "look", "arguments": "{}"},
    ]
    assert [item["call_id"] for item in output] == [f"call_{index}" for index in range(len(calls))]


def test_a_tool_that_stands_among_the_items_is_found():
    tools = {"type": "additional_tools", "role": "developer", "tools": TOOLS[2:3]}
    output = both(
        [
            Started(),
            ToolCallDelta(index=0, block=0, id="c", name="agents__exec", arguments='{"code":"x"}'),
            Stopped("tool_calls"),
            Finished(),
        ],
        input=[tools, {"role": "user", "content": "hi"}],
    )["output"]
    assert (output[0]["namespace"], output[0]["name"], output[0]["input"]) == ("agents", "exec", "x")


def test_deltas_of_a_call_go_out_as_they_come():
    found, _ = streamed(
        [
            Started(),
            ToolCallDelta(index=0, block=0, id="c1", name="look"),
            ToolCallDelta(index=0, block=0, arguments='{"a'),
            ToolCallDelta(index=0, block=0, arguments='":1}'),
            Stopped("tool_calls"),
            Finished(),
        ],
        tools=TOOLS,
    )
    deltas = [event["delta"] for event in found if event["type"] == "response.function_call_arguments.delta"]
    assert deltas == ['{"a', '":1}']
    (done,) = [event for event in found if event["type"] == "response.function_call_arguments.done"]
    assert (done["name"], done["arguments"]) == ("look", '{"a":1}')


def test_a_refusal_and_a_text_are_parts_of_one_message():
    output = both([Started(), TextDelta("well", 0), RefusalDelta("no", 1), *END])["output"]
    assert [part["type"] for part in output[0]["content"]] == ["output_text", "refusal"]
    assert output[0]["content"][1]["refusal"] == "no"


def test_citations_become_annotations():
    raw = {"type": "file_citation", "file_id": "file-1", "filename": "a.pdf", "index": 3}
    output = both(
        [
            Started(),
            TextDelta("The sea.", 0),
            CitationFound(Citation(url="https://sea", title="Sea"), 0),
            CitationFound(Citation(title="Doc", document=2, cited="sea"), 0),
            CitationFound(Citation(origin="openai_responses", raw=Raw(json.encode(raw))), 0),
            *END,
        ]
    )["output"]
    assert output[0]["content"][0]["annotations"] == [
        {"type": "url_citation", "url": "https://sea", "title": "Sea", "start_index": 0, "end_index": 8},
        {"type": "file_citation", "file_id": "", "filename": "Doc", "index": 2},
        raw,
    ]


def test_log_probabilities():
    told = TokenLogprob("a", -0.5, (97,), (TokenLogprob("b", -1.0),))
    found, _ = streamed([Started(), TextDelta("a", logprobs=(told,)), *END])
    wanted = [
        {
            "token": "a",
            "logprob": -0.5,
            "bytes": [97],
            "top_logprobs": [{"token": "b", "logprob": -1.0, "bytes": [98]}],
        }
    ]
    assert [event["logprobs"] for event in found if event["type"].endswith("output_text.delta")] == [wanted]
    assert found[-1]["response"]["output"][0]["content"][0]["logprobs"] == wanted


@pytest.mark.parametrize(
    ("reason", "details"),
    [("length", "max_output_tokens"), ("content_filter", "content_filter"), ("refusal", "content_filter")],
)
def test_a_reply_that_is_not_complete(reason, details):
    final = both([Started(), TextDelta("a"), Stopped(reason), Finished()])
    assert final["status"] == "incomplete"
    assert final["incomplete_details"] == {"reason": details}
    assert final["output"][0]["status"] == "incomplete"
    assert final["completed_at"] is None


def test_a_refusal_in_words_is_a_complete_reply_as_openais_is():
    final = both([Started(), RefusalDelta("no"), Stopped("refusal"), Finished()])
    assert (final["status"], final["incomplete_details"]) == ("completed", None)
    assert final["output"][0]["status"] == "completed"
    assert final["output"][0]["content"] == [{"type": "refusal", "refusal": "no"}]


def test_an_error_in_mid_stream_is_a_failed_response_and_the_end():
    writer = encoder()
    data = writer.feed([Started(), TextDelta("a"), Failed("rate_limit_exceeded", "slow down")])
    assert writer.feed([TextDelta("b"), Finished()]) == b""
    events = [json.decode(one.data) for one in sse.Splitter().feed(data)]
    assert events[-1]["type"] == "response.failed"
    assert events[-1]["response"]["status"] == "failed"
    assert events[-1]["response"]["error"] == {"code": "rate_limit_exceeded", "message": "slow down"}
    assert events[-2]["type"] == "response.output_item.done"
    EVENT.validate_python({**events[-1], "response": {**events[-1]["response"], "error": None}})


def test_a_reply_without_a_beginning_or_content():
    found, _ = streamed([Finished()])
    assert kinds(found) == ["created", "in_progress", "completed"]
    assert found[-1]["response"]["output"] == []


def test_an_endless_reply_fails(monkeypatch):
    monkeypatch.setattr("archflow_plugins.dialects.openai_responses.write_reply.REPLY_AT_MOST", 10)
    writer = encoder()
    data = b"".join(writer.feed([TextDelta("abcd")]) for _ in range(9))
    events = [json.decode(one.data) for one in sse.Splitter().feed(data)]
    assert events[-1]["type"] == "response.failed"
    assert sum(event["type"] == "response.output_text.delta" for event in events) == 3


def test_other_choices_are_not_told():
    final = both([Started(), TextDelta("a"), TextDelta("b", choice=1), Stopped("length", choice=1), *END])
    assert [part["text"] for part in final["output"][0]["content"]] == ["a"]
    assert final["status"] == "completed"


def test_the_request_is_repeated():
    pretty = Raw(
        b'[\n  {"type": "function", "name": "look", "parameters": {"type": "object"}, "strict": true}\n]'
    )
    body = {
        "model": "m",
        "input": "hi",
        "stream": True,
        "tools": pretty,
        "instructions": "be\nbrief",
        "temperature": 0.5,
        "reasoning": {"effort": "high"},
        "text": {"verbosity": "low"},
        "metadata": {"a": "b"},
        "store": False,
        "previous_response_id": "resp_0",
        "user": None,
    }
    writer = dialect.reply_encoder(
        dialect.decode_head(json.encode(body)), Answering(request_id="r", model="m", created=1)
    )
    data = writer.feed([Started(), *END])
    events = [json.decode(one.data) for one in sse.Splitter().feed(data)]
    final = events[-1]["response"]
    Response.model_validate(final)
    assert final["tools"] == json.decode(pretty)
    assert final["instructions"] == "be\nbrief"
    assert final["reasoning"] == {"effort": "high", "summary": None}
    assert final["text"] == {"format": {"type": "text"}, "verbosity": "low"}
    assert (final["temperature"], final["top_p"], final["store"]) == (0.5, 1.0, False)
    assert final["previous_response_id"] == "resp_0"
    assert final["user"] is None
    assert final["metadata"] == {"a": "b"}


REPLY = [
    Started(id="resp_9", model="gpt-x", created=7, service_tier="default"),
    ReasoningDelta("hm", 0, id="rs_1", summary=True, origin="openai_responses"),
    ReasoningDelta(block=0, id="rs_1", sealed="gAAA", origin="openai_responses"),
    TextDelta("Hel", 1),
    TextDelta("lo", 1),
    RefusalDelta("no", 2),
    ToolCallDelta(index=0, block=3, id="call_1", name="look"),
    ToolCallDelta(index=0, block=3, arguments="{}"),
    Stopped("tool_calls"),
    UsageReported(Usage(input_tokens=5, output_tokens=2, reasoning_tokens=1, cache_written_tokens=3)),
    Finished(),
]


def nameless(events):
    """Events of a reply whose id is not told, for ours is made anew."""
    return [structs.replace(events[0], id=""), *events[1:]]


def test_what_is_written_is_read_again():
    writer = encoder(tools=TOOLS)
    reader = StreamedReply()
    events = []
    for event in REPLY:
        events += reader.feed(writer.feed([event]))
    assert nameless(events + reader.end()) == nameless(REPLY)


def test_what_is_written_whole_is_read_again():
    writer = encoder(stream=False, tools=TOOLS)
    reader = WholeReply()
    assert reader.feed(writer.feed(REPLY)) == []
    assert nameless(reader.end()) == [
        nameless(REPLY)[0],
        ReasoningDelta("hm", 0, id="rs_1", sealed="gAAA", summary=True, origin="openai_responses"),
        TextDelta("Hello", 1),
        RefusalDelta("no", 2),
        REPLY[6],
        *REPLY[7:],
    ]

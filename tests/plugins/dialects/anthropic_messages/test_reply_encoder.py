"""Events to replies of Messages, streamed and whole, as the official client reads them."""

import anthropic
import anthropic.types
import pydantic
import pytest
from msgspec import json

from archflow_plugins.dialects.anthropic_messages import AnthropicMessages
from archflow_plugins.dialects.anthropic_messages.reply_encoder import KEPT_AT_MOST
from archflow_plugins.dialects.sealed import Proof, unwrap, wrap
from archflow_plugins.framing.sse import Splitter
from archflow_plugins.kinds import Empty
from archflow_plugins.testing import run_context
from archflow_plugins.translation import Answering
from archflow_schema.conversation import Citation, ReasoningPart
from archflow_schema.errors import UpstreamProtocolError
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
from sdk_transport import canned_client

dialect = AnthropicMessages(Empty(), run_context())
ANSWERING = Answering(request_id="r1", model="asked", created=0)
STARTED = Started(id="chatcmpl-1", model="gpt-5")
CALLED = (Stopped("tool_calls"), Finished())
EVENT = pydantic.TypeAdapter(anthropic.types.RawMessageStreamEvent)
QUESTION = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}


def encoder(*, stream):
    head = dialect.decode_head(b'{"stream":true}' if stream else b"{}")
    return dialect.reply_encoder(head, ANSWERING)


def written(*events, stream=True):
    """The bytes, event by event or all at once, which must be the same."""
    one = encoder(stream=stream)
    data = b"".join(one.feed([event]) for event in events)
    assert encoder(stream=stream).feed(events) == data
    return data


def wire(*events):
    """The events on the wire, each held by the official client's types."""
    found = []
    for event in Splitter().feed(written(*events)):
        value = json.decode(event.data)
        assert event.event == value["type"]
        if value["type"] not in {"ping", "error"}:
            EVENT.validate_python(value)
        found.append(value)
    return found


def client(content_type, body):
    return anthropic.Anthropic(
        api_key="x",
        base_url="http://gateway.test",
        max_retries=0,
        http_client=canned_client(anthropic.DefaultHttpxClient, 200, content_type, body),
    )


def final(*events, stream):
    """What the official client makes of it in the end."""
    body = written(*events, stream=stream)
    with client(encoder(stream=stream).content_type, body) as sdk:
        if not stream:
            return sdk.messages.create(**QUESTION)
        with sdk.messages.stream(**QUESTION) as found:
            return found.get_final_message()


def indices(found):
    """The order of blocks: `+` starts, `-` stops; every delta must be of the block that is open."""
    order, opened = [], None
    for value in found:
        match value["type"]:
            case "content_block_start":
                assert opened is None
                opened = value["index"]
                order.append(f"+{opened}")
            case "content_block_delta":
                assert value["index"] == opened
            case "content_block_stop":
                assert value["index"] == opened
                order.append(f"-{opened}")
                opened = None
    assert opened is None
    return " ".join(order)


EVERYTHING = (
    STARTED,
    ReasoningDelta("h", 0, origin="openai_responses"),
    ReasoningDelta("m", 0, origin="openai_responses"),
    ReasoningDelta("", 0, sealed="xyz", id="rs_1", origin="openai_responses"),
    TextDelta("It is ", 1),
    TextDelta("blue 🌊", 1),
    ToolCallDelta(index=0, block=2, id="call_1", name="f"),
    ToolCallDelta(index=0, block=2, arguments='{"a":'),
    ToolCallDelta(index=0, block=2, arguments='"ü"}'),
    ToolCallDelta(index=1, block=3, id="call_2", name="g", arguments="{}"),
    Stopped("tool_calls"),
    UsageReported(
        Usage(input_tokens=30, output_tokens=20, cached_tokens=10, cache_written_tokens=5, reasoning_tokens=4)
    ),
    Finished(),
)


@pytest.mark.parametrize("stream", [True, False])
def test_everything_arrives(stream):
    message = final(*EVERYTHING, stream=stream)
    thought, text, first, second = message.content
    assert (thought.type, thought.thinking) == ("thinking", "hm")
    assert unwrap(thought.signature) == ("openai_responses", Proof(sealed="xyz", id="rs_1"))
    assert text.text == "It is blue 🌊"
    assert (first.id, first.name, first.input) == ("call_1", "f", {"a": "ü"})
    assert (second.id, second.name, second.input) == ("call_2", "g", {})
    assert (message.id, message.model, message.role) == ("msg_r1", "gpt-5", "assistant")
    assert (message.stop_reason, message.stop_sequence) == ("tool_use", None)
    usage = message.usage
    assert (usage.input_tokens, usage.output_tokens) == (15, 20)
    assert (usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (10, 5)
    assert usage.output_tokens_details.thinking_tokens == 4


def test_the_order_on_the_wire():
    found = wire(*EVERYTHING)
    assert [value["type"] for value in found[:3]] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
    ]
    assert [value["type"] for value in found[-3:]] == ["content_block_stop", "message_delta", "message_stop"]
    assert indices(found) == "+0 -0 +1 -1 +2 -2 +3 -3"


def test_bytes_go_out_with_the_first_event_and_arguments_as_they_come():
    one = encoder(stream=True)
    assert b"message_start" in one.feed([STARTED])
    assert b"content_block_start" in one.feed([ToolCallDelta(index=0, id="c", name="f")])
    assert b'"partial_json":"{\\"a\\":"' in one.feed([ToolCallDelta(index=0, arguments='{"a":')])
    assert encoder(stream=False).feed(EVERYTHING[:-1]) == b""


def calls(*deltas):
    return [ToolCallDelta(index=index, block=index, **fields) for index, fields in deltas]


@pytest.mark.parametrize(
    "deltas",
    [
        calls(
            (0, {"id": "a", "name": "f"}),
            (1, {"id": "b", "name": "g"}),
            (0, {"arguments": '{"x":'}),
            (1, {"arguments": '{"y":'}),
            (0, {"arguments": "1}"}),
            (1, {"arguments": "2}"}),
        ),
        calls(
            (0, {"id": "a", "name": "f", "arguments": '{"x":1}'}),
            (1, {"id": "b", "name": "g", "arguments": '{"y":'}),
            (0, {"arguments": "\n"}),
            (1, {"arguments": "2}"}),
        ),
        calls(
            (0, {"id": "a", "name": "f", "arguments": '{"x":'}),
            (1, {"id": "b", "name": "g", "arguments": '{"y":2}'}),
            (0, {"arguments": "1}"}),
        ),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
def test_calls_in_turns(deltas, stream):
    first, second = final(STARTED, *deltas, *CALLED, stream=stream).content
    assert (first.id, first.input) == ("a", {"x": 1})
    assert (second.id, second.input) == ("b", {"y": 2})
    assert indices(wire(STARTED, *deltas, *CALLED)) == "+0 -0 +1 -1"


def test_many_calls_in_turns_with_text_and_thought_between():
    begun = calls(*[(block, {"id": f"c{block}", "name": "f", "arguments": "{"}) for block in range(5)])
    mixed = (TextDelta("hello", 7), ReasoningDelta("hm", 8, origin="openai_chat"), TextDelta(" you", 7))
    ended = calls(*[(block, {"arguments": "}"}) for block in range(5)])
    events = (STARTED, *begun, *mixed, *ended, *CALLED)
    message = final(*events, stream=True)
    assert [block.type for block in message.content] == ["tool_use"] * 5 + ["text", "thinking"]
    assert message.content[5].text == "hello you"
    assert indices(wire(*events)) == "+0 -0 +1 -1 +2 -2 +3 -3 +4 -4 +5 -5 +6 -6"


def test_a_second_call_is_not_held_up_when_the_first_is_complete():
    one = encoder(stream=True)
    one.feed([STARTED, *calls((0, {"id": "a", "name": "f", "arguments": "{}"}))])
    assert b'"id":"b"' in one.feed(calls((1, {"id": "b", "name": "g"})))


def test_text_around_a_call_keeps_its_order():
    call = ToolCallDelta(index=0, block=1, id="c", name="f", arguments="{}")
    found = final(STARTED, TextDelta("a", 0), call, TextDelta("b", 0), *CALLED, stream=True).content
    assert [block.type for block in found] == ["text", "tool_use", "text"]
    (text, _) = final(STARTED, TextDelta("a", 0), call, TextDelta("b", 0), *CALLED, stream=False).content
    assert text.text == "ab"


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("deltas", "kind", "proof"),
    [
        ([ReasoningDelta("hm", origin="openai_chat")], "thinking", ("openai_chat", Proof())),
        (
            [ReasoningDelta("", sealed="x", id="rs", origin="openai_responses")],
            "redacted_thinking",
            ("openai_responses", Proof(sealed="x", id="rs")),
        ),
        (
            [ReasoningDelta("hm", signature="s", origin="gemini")],
            "thinking",
            ("gemini", Proof(signature="s")),
        ),
        (
            [
                ReasoningDelta("hm", origin="bedrock_converse"),
                ReasoningDelta("", signature="s", origin="bedrock_converse"),
            ],
            "thinking",
            "s",
        ),
        ([ReasoningDelta("", signature="s", origin="bedrock_converse")], "thinking", "s"),
        ([ReasoningDelta("", sealed="d", origin="bedrock_converse")], "redacted_thinking", "d"),
        ([ReasoningDelta("hm")], "thinking", ""),
    ],
)
def test_thoughts_and_their_proofs_come_back(stream, deltas, kind, proof):
    thought, _ = final(STARTED, *deltas, TextDelta("x", 1), *CALLED, stream=stream).content
    assert thought.type == kind
    carried = thought.signature if kind == "thinking" else thought.data
    assert (carried if isinstance(proof, str) else unwrap(carried)) == proof
    body = json.encode({"messages": [{"role": "assistant", "content": [thought.model_dump()]}]})
    (part,) = dialect.decode(dialect.decode_head(body)).messages[0].parts
    assert isinstance(part, ReasoningPart)
    assert part.text == "".join(one.text for one in deltas)
    assert part.signature == "".join(one.signature for one in deltas)
    assert part.sealed == "".join(one.sealed for one in deltas)


@pytest.mark.parametrize("stream", [True, False])
def test_what_proves_a_call_stands_before_it(stream):
    signed = ToolCallDelta(
        index=0, block=1, id="call_1", name="f", arguments="{}", signature="b3du", origin="gemini"
    )
    other = ToolCallDelta(index=1, block=2, id="call_2", name="g", arguments="{}")
    content = final(STARTED, TextDelta("x"), signed, other, *CALLED, stream=stream).content
    assert [one.type for one in content] == ["text", "redacted_thinking", "tool_use", "tool_use"]
    assert unwrap(content[1].data) == ("gemini", Proof(signature="b3du", id="call_1"))
    said = json.encode(
        {"messages": [{"role": "assistant", "content": [one.model_dump() for one in content]}]}
    )
    parts = dialect.decode(dialect.decode_head(said)).messages[0].parts
    assert parts[1] == ReasoningPart(signature="b3du", id="call_1", origin="gemini")
    assert parts[2].id == "call_1"


@pytest.mark.parametrize("stream", [True, False])
def test_a_thought_that_says_nothing_is_none(stream):
    (text,) = final(
        STARTED, ReasoningDelta("", origin="openai_chat"), TextDelta("x", 1), *CALLED, stream=stream
    ).content
    assert text.text == "x"


@pytest.mark.parametrize("stream", [True, False])
def test_refusals_are_text_that_stopped_so(stream):
    message = final(
        STARTED, RefusalDelta("I must"), RefusalDelta(" not"), Stopped("refusal"), Finished(), stream=stream
    )
    assert [block.text for block in message.content] == ["I must not"]
    assert message.stop_reason == "refusal"


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("stopped", "expected"),
    [
        (Stopped("stop"), ("end_turn", None)),
        (Stopped("stop", sequence="END"), ("stop_sequence", "END")),
        (Stopped("length"), ("max_tokens", None)),
        (Stopped("tool_calls"), ("tool_use", None)),
        (Stopped("content_filter"), ("refusal", None)),
        (Stopped("pause"), ("pause_turn", None)),
        (Stopped("error"), ("end_turn", None)),
    ],
)
def test_reasons(stream, stopped, expected):
    message = final(STARTED, TextDelta("x"), stopped, Finished(), stream=stream)
    assert (message.stop_reason, message.stop_sequence) == expected


@pytest.mark.parametrize("stream", [True, False])
def test_a_call_is_the_reason_even_where_the_upstream_says_stop(stream):
    call = ToolCallDelta(index=0, id="c", name="f", arguments="{}")
    assert final(STARTED, call, Stopped("stop"), Finished(), stream=stream).stop_reason == "tool_use"


@pytest.mark.parametrize("stream", [True, False])
def test_the_least_that_an_upstream_can_say(stream):
    message = final(Finished(), stream=stream)
    assert (message.content, message.stop_reason, message.id, message.model) == (
        [],
        "end_turn",
        "msg_r1",
        "asked",
    )
    assert (message.usage.input_tokens, message.usage.output_tokens) == (0, 0)


@pytest.mark.parametrize("stream", [True, False])
def test_own_ids_and_tiers_are_kept(stream):
    message = final(Started(id="msg_9", service_tier="default"), TextDelta("x"), *CALLED, stream=stream)
    assert (message.id, message.usage.service_tier) == ("msg_9", "standard")


@pytest.mark.parametrize("stream", [True, False])
def test_a_call_without_an_id_gets_one(stream):
    (call,) = final(STARTED, ToolCallDelta(index=3, name="f", arguments="{}"), *CALLED, stream=stream).content
    assert call.id == "toolu_r1_3"


@pytest.mark.parametrize("stream", [True, False])
def test_citations_of_pages(stream):
    cited = CitationFound(
        Citation(url="https://x", title="X", cited="blue", start=0, end=4, origin="openai_chat")
    )
    place = CitationFound(Citation(document=1, start=0, end=4, origin="gemini"))
    elsewhere = CitationFound(cited.citation, block=5)
    (text,) = final(STARTED, elsewhere, TextDelta("blue"), cited, place, *CALLED, stream=stream).content
    (found,) = text.citations
    assert (found.type, found.url, found.title, found.cited_text) == (
        "web_search_result_location",
        "https://x",
        "X",
        "blue",
    )


def test_a_failure_in_mid_stream_raises_in_the_client():
    found = wire(
        STARTED, TextDelta("x"), Failed("upstream_timeout", "it fell silent"), Finished(), TextDelta("y")
    )
    assert [value["type"] for value in found[-2:]] == ["content_block_delta", "error"]
    assert found[-1]["error"] == {"type": "timeout_error", "message": "it fell silent"}
    body = written(STARTED, Failed("upstream_failed", "it fell silent"))
    with client("text/event-stream", body) as sdk, pytest.raises(anthropic.APIError, match="it fell silent"):
        list(sdk.messages.create(**QUESTION, stream=True))


def test_a_failure_instead_of_a_whole_reply():
    body = written(STARTED, Failed("upstream_overloaded", "busy"), stream=False)
    assert json.decode(body) == {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}


def test_pings_are_anthropics():
    assert [value["type"] for value in wire(STARTED, Ping())] == ["message_start", "ping"]
    assert written(Ping()) == dialect.ping
    assert written(Ping(), stream=False) == b""


@pytest.mark.parametrize("stream", [True, False])
def test_arguments_without_end_are_given_up(stream):
    one = encoder(stream=stream)
    portion = "x" * (KEPT_AT_MOST // 4)
    for block in range(4):
        one.feed([ToolCallDelta(index=block, block=block, arguments=portion)])
    with pytest.raises(UpstreamProtocolError, match="larger than"):
        one.feed([ToolCallDelta(index=1, block=1, arguments="x")])


def test_arguments_that_are_no_json_do_not_break_a_whole_reply():
    call = ToolCallDelta(index=0, id="c", name="f", arguments='{"a": "cut sho')
    (found,) = final(STARTED, call, Stopped("length"), Finished(), stream=False).content
    assert found.input == {"input": '{"a": "cut sho'}
    (found,) = final(STARTED, call, Stopped("length"), Finished(), stream=True).content
    assert found.type == "tool_use"


def test_a_wrapped_proof_never_reaches_anthropic():
    foreign = wrap("openai_chat", Proof())
    thoughts = [
        {"type": "thinking", "thinking": "hm", "signature": foreign},
        {"type": "redacted_thinking", "data": foreign},
    ]
    own = {"type": "thinking", "thinking": "archflow1.", "signature": "c2ln"}
    messages = [
        {"role": "user", "content": f'"{foreign}"'},
        {"role": "assistant", "content": [*thoughts, {"type": "text", "text": foreign}, own], "extra": 1},
        {"role": "assistant", "content": thoughts},
    ]
    head = dialect.decode_head(json.encode({"model": "m", "odd": [1], "messages": messages}))
    assert json.decode(dialect.encode_head(head, "claude")) == {
        "model": "claude",
        "odd": [1],
        "messages": [messages[0], {**messages[1], "content": [{"type": "text", "text": foreign}, own]}],
    }


@pytest.mark.parametrize(
    "messages",
    [
        "archflow1.",
        [1],
        [{"content": ["archflow1."]}],
        [{"content": [{"type": "text", "text": "archflow1."}]}],
    ],
)
def test_what_is_not_understood_goes_on_as_it_came(messages):
    body = json.encode({"model": "m", "messages": messages})
    assert dialect.encode_head(dialect.decode_head(body), "m") == json.encode(json.decode(body))

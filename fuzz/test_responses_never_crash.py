"""Invariant: whatever bytes come as a request or a reply of the Responses API give values or the errors they should.

Requests: plausible and broken items. Replies: plausible and broken events, whole, byte by byte and in random portions;
what is read can be written again, for clients who stream and for those who do not.
"""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import json

from archflow_plugins.dialects.openai_responses.dialect import OpenAIResponses
from archflow_plugins.framing import sse
from archflow_plugins.kinds import Empty
from archflow_plugins.testing import run_context
from archflow_plugins.translation import Answering
from archflow_schema.errors import ClientProtocolError, UpstreamProtocolError
from archflow_schema.events import Failed, Finished

dialect = OpenAIResponses(Empty(), run_context())

ODD = (
    st.none() | st.integers(-2, 2) | st.text(max_size=4) | st.just([]) | st.just({}) | st.just("archflow1.AA")
)
ITEM_TYPES = st.sampled_from([
    "message", "reasoning", "function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output",
    "local_shell_call", "local_shell_call_output", "tool_search_call", "tool_search_output", "additional_tools",
    "agent_message", "item_reference", "web_search_call", "compaction", "later",
])  # fmt: skip
PART = st.fixed_dictionaries(
    {
        "type": st.sampled_from([
            "input_text", "output_text", "input_image", "input_file", "input_audio", "refusal", "summary_text", "later",
        ])
    },
    optional={
        "text": ODD,
        "refusal": ODD,
        "image_url": ODD,
        "file_data": ODD | st.just("data:text/plain;base64,aGk="),
        "file_id": ODD,
        "annotations": ODD | st.lists(ODD, max_size=2),
    },
)  # fmt: skip
PARTS = ODD | st.lists(PART, max_size=3)
TOOL = st.fixed_dictionaries(
    {
        "type": st.sampled_from(
            ["function", "custom", "namespace", "local_shell", "tool_search", "web_search"]
        )
    },
    optional={"name": ODD, "parameters": ODD, "tools": ODD | st.lists(st.just({"name": "x"}), max_size=2)},
)
ITEM = st.fixed_dictionaries(
    {},
    optional={
        "type": ITEM_TYPES,
        "role": st.sampled_from(["user", "assistant", "system", "pirate"]),
        "content": PARTS,
        "output": PARTS,
        "summary": PARTS,
        "id": ODD,
        "call_id": ODD,
        "name": ODD,
        "arguments": ODD,
        "action": ODD,
        "encrypted_content": ODD,
        "tools": ODD | st.lists(TOOL, max_size=2),
    },
)
REQUEST = st.fixed_dictionaries(
    {"input": ODD | st.lists(ITEM | ODD, max_size=5)},
    optional={
        "tools": ODD | st.lists(TOOL, max_size=3),
        "tool_choice": ODD
        | st.sampled_from(["auto", {"type": "allowed_tools", "tools": [{"type": "function"}]}]),
        "text": ODD,
        "reasoning": ODD | st.fixed_dictionaries({"effort": ODD}),
        "include": ODD,
        "temperature": ODD,
        "instructions": ODD,
        "stream": st.booleans(),
    },
)
OUTPUT = st.fixed_dictionaries(
    {},
    optional={
        "type": ITEM_TYPES,
        "content": PARTS,
        "summary": PARTS,
        "id": ODD,
        "call_id": ODD,
        "name": ODD,
        "arguments": ODD,
        "input": ODD,
        "encrypted_content": ODD,
    },
)
RESPONSE = ODD | st.fixed_dictionaries(
    {},
    optional={
        "id": ODD,
        "model": ODD,
        "status": st.sampled_from(["completed", "incomplete", "failed", "in_progress"]) | ODD,
        "usage": ODD | st.fixed_dictionaries({"input_tokens": ODD}),
        "output": ODD | st.lists(OUTPUT | ODD, max_size=3),
        "error": ODD,
    },
)
EVENT = st.fixed_dictionaries(
    {
        "type": st.sampled_from([
            "response.created", "response.output_item.added", "response.output_item.done", "response.completed",
            "response.output_text.delta", "response.refusal.delta", "response.function_call_arguments.delta",
            "response.custom_tool_call_input.delta", "response.reasoning_summary_text.delta", "response.failed",
            "response.reasoning_text.delta", "response.reasoning_summary_part.added", "error", "later",
            "response.output_text.annotation.added",
        ])
    },
    optional={
        "delta": ODD,
        "output_index": st.integers(0, 2),
        "content_index": st.integers(0, 2),
        "item": OUTPUT,
        "annotation": ODD,
        "response": RESPONSE,
        "message": ODD,
    },
)  # fmt: skip


@given(REQUEST)
@settings(max_examples=300)
def test_requests(request):
    body = json.encode({"model": "m", **request})
    try:
        head = dialect.decode_head(body)
        said = dialect.decode(head)
        encoded = dialect.encode(said, "m")
    except ClientProtocolError:
        return
    assert dialect.decode(dialect.decode_head(encoded.body)).messages


@given(st.binary(max_size=60))
def test_any_bytes(data):
    for read in (
        lambda: dialect.decode(dialect.decode_head(data)),
        lambda: dialect.decode_head(b'{"input":' + data + b"}"),
    ):
        try:
            read()
        except ClientProtocolError:
            continue
    for stream in (True, False):
        try:
            reader = dialect.reply_decoder(stream=stream)
            reader.feed(data)
            reader.end()
        except UpstreamProtocolError:
            continue


def events_of(data, cuts, *, stream):
    """What a reply says, with the error that ended it."""
    reader = dialect.reply_decoder(stream=stream)
    found = []
    edges = [0, *cuts, len(data)]
    try:
        for start, end in pairwise(edges):
            found += reader.feed(data[start:end])
        found += reader.end()
    except UpstreamProtocolError:
        found.append("broken")
    return found


@given(st.lists(EVENT, max_size=8), st.data())
@settings(max_examples=300)
def test_streams(events, data):
    body = b"".join(sse.encode(json.encode(event), event["type"]) for event in events)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=5)))
    found, cut = events_of(body, range(1, len(body)), stream=True), events_of(body, cuts, stream=True)
    assert ("broken" in found) == ("broken" in cut)  # what a portion told before it broke may be lost
    if "broken" not in found:
        assert found == cut
        written(found)


@given(RESPONSE)
@settings(max_examples=200)
def test_whole_replies(response):
    body = json.encode(response)
    found = events_of(body, (), stream=False)
    assert found == events_of(body, range(1, len(body)), stream=False)
    if "broken" not in found:
        written(found)


def written(events):
    """What was read can be written in both forms, and read again with the same end."""
    assert isinstance(events[-1], Finished | Failed)
    for stream in (True, False):
        head = dialect.decode_head(json.encode({"model": "m", "stream": stream}))
        writer = dialect.reply_encoder(head, Answering(request_id="r", model="m", created=1))
        body = b"".join(writer.feed([event]) for event in events)
        again = events_of(body, (), stream=stream)
        if type(events[-1]) is not Failed:
            assert type(again[-1]) in {Finished, Failed}


@pytest.mark.parametrize("data", [b"\xff", b"{", b'{"type":', b"data: \xff\n\n"])
def test_broken_streams_are_an_upstreams_fault(data):
    assert events_of(data, (), stream=True) == ["broken"]

"""Invariant: no bytes make Messages raise anything but its two errors; chunks do not matter; blocks never overlap.

Requests: plausible and broken ones decode, and encode again, or are the client's mistake. Replies: plausible and broken
ones, whole, byte by byte and in portions, give the same events or the same error, and what is written of them is a
sequence of blocks that each start, go on and stop.
"""

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import json

from archflow_plugins.dialects.anthropic_messages import AnthropicCountTokens, AnthropicMessages
from archflow_plugins.dialects.sealed import Proof, wrap
from archflow_plugins.framing.sse import Splitter
from archflow_plugins.kinds import Empty, Head
from archflow_plugins.testing import run_context
from archflow_plugins.translation import Answering
from archflow_schema.errors import ClientProtocolError, UpstreamProtocolError

dialect = AnthropicMessages(Empty(), run_context())
counting = AnthropicCountTokens(Empty(), run_context())

TEXT = st.sampled_from(
    ["hi", "c1", "ü🌊", "{}", '{"a":1}', '{"a":', "", " ", "data:image/png;base64,A", wrap("x", Proof())]
)
ODD = st.none() | st.booleans() | st.integers(-1, 5) | TEXT | st.just([]) | st.just({})
RARELY = st.integers(0, 40)


def mostly(value):
    """A value that is right but for one in forty."""
    return RARELY.flatmap(lambda drawn: ODD if drawn == 7 else value)


def block(optional=(), /, **fields):
    """An object whose fields are there and mostly right; those in `optional` may be missing."""
    told = {name: mostly(value) for name, value in fields.items() if name not in optional}
    return st.fixed_dictionaries(told, optional={name: mostly(fields[name]) for name in optional})


def typed(kind, optional=(), /, **fields):
    return block(optional, type=st.just(kind), **fields)


SOURCE = st.one_of(
    typed(
        "base64",
        media_type=st.sampled_from(["image/png", "application/pdf", "text/csv"]),
        data=st.just("AAAA"),
    ),
    typed("url", url=st.just("https://x")),
    typed("text", media_type=st.just("text/plain"), data=TEXT),
    typed("file", file_id=TEXT),
    typed("content", content=TEXT),
)
CACHE = typed("ephemeral", ["ttl"], ttl=st.sampled_from(["5m", "9d"]))
CALL_ID = st.sampled_from(["c1", "c2", "c.2"])
CITATION = typed("web_search_result_location", url=st.just("https://x"), cited_text=TEXT)
TEXT_BLOCK = typed(
    "text",
    ["cache_control", "citations"],
    text=TEXT,
    cache_control=CACHE,
    citations=st.lists(CITATION, max_size=1),
)
MEDIA = st.one_of(
    typed("image", source=SOURCE),
    typed(
        "document", ["title", "citations"], source=SOURCE, title=TEXT, citations=block(enabled=st.booleans())
    ),
    typed("search_result", source=TEXT, title=TEXT, content=st.lists(TEXT_BLOCK, max_size=2)),
)
RESULT = typed(
    "tool_result",
    ["content", "is_error"],
    tool_use_id=CALL_ID,
    content=TEXT | st.lists(TEXT_BLOCK | MEDIA | typed("tool_reference", tool_name=TEXT), max_size=2),
    is_error=st.booleans(),
)
CALL = typed("tool_use", id=CALL_ID, name=TEXT, input=st.just({"a": 1}))
SAID = st.one_of(
    TEXT_BLOCK,
    CALL,
    typed("thinking", thinking=TEXT, signature=TEXT),
    typed("redacted_thinking", data=TEXT),
    typed("server_tool_use", id=TEXT, name=TEXT, input=st.just({})),
    typed("web_search_tool_result", tool_use_id=TEXT, content=st.just({"odd": 1})),
    typed("compaction", content=TEXT),
)
USER = block(role=st.just("user"), content=TEXT | st.lists(TEXT_BLOCK | MEDIA, max_size=3))
ASSISTANT = block(role=st.just("assistant"), content=TEXT | st.lists(SAID, max_size=4))
SYSTEM = block(role=st.just("system"), content=TEXT | st.lists(TEXT_BLOCK, max_size=2))
TOOL_TURNS = st.tuples(
    block(
        role=st.just("assistant"),
        content=st.lists(SAID, max_size=2).flatmap(lambda said: CALL.map(lambda one: [*said, one])),
    ),
    block(role=st.just("user"), content=st.lists(RESULT | TEXT_BLOCK, min_size=1, max_size=2)),
)
MESSAGES = st.lists(
    st.tuples(USER) | st.tuples(ASSISTANT) | st.tuples(SYSTEM) | TOOL_TURNS, min_size=1, max_size=4
).map(lambda turns: [message for turn in turns for message in turn])
_SETTINGS = {
    "model": TEXT,
    "system": TEXT | st.lists(TEXT_BLOCK, max_size=2),
    "max_tokens": st.integers(0, 5000),
    "temperature": st.floats(0, 2),
    "stop_sequences": st.lists(TEXT, max_size=2),
    "tools": st.lists(
        block(
            ["type", "input_schema"],
            name=TEXT,
            type=st.just("custom"),
            input_schema=st.just({"type": "object"}),
        ),
        max_size=2,
    ),
    "tool_choice": block(type=st.sampled_from(["auto", "any", "none"])),
    "thinking": block(
        ["budget_tokens"], type=st.sampled_from(["enabled", "adaptive"]), budget_tokens=st.integers(-5, 9000)
    ),
    "output_config": block(
        ["effort", "format"], effort=TEXT, format=typed("json_schema", schema=st.just({}))
    ),
    "metadata": block(["other"], user_id=TEXT, other=TEXT),
}
REQUEST = block(tuple(_SETTINGS), messages=MESSAGES, **_SETTINGS)

INDEX = st.integers(0, 2)
START = typed(
    "message_start", message=block(["usage"], id=TEXT, model=TEXT, usage=block(input_tokens=st.just(3)))
)
BEGIN = typed(
    "content_block_start",
    index=INDEX,
    content_block=SAID | typed("new", text=st.just({"odd": 1})),
)
DELTA = typed(
    "content_block_delta",
    index=INDEX,
    delta=st.one_of(
        typed("text_delta", text=TEXT),
        typed("input_json_delta", partial_json=TEXT),
        typed("thinking_delta", thinking=TEXT),
        typed("signature_delta", signature=TEXT),
        typed("citations_delta", citation=CITATION),
        typed("new", text=st.just({"odd": 1})),
    ),
)
EVENT = st.one_of(
    START,
    BEGIN,
    BEGIN,
    DELTA,
    DELTA,
    DELTA,
    typed("content_block_stop", index=INDEX),
    typed("ping"),
    typed("new"),
)
LAST = st.one_of(
    st.just([]),
    st.just([{"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}]),
    st.just([{"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 5}}]),
    st.just([{"type": "message_delta", "delta": {"stop_reason": "end_turn"}}, {"type": "message_stop"}]),
)
EVENTS = st.tuples(st.lists(EVENT, max_size=14), LAST).map(lambda parts: [*parts[0], *parts[1]])
STREAM = st.one_of(
    EVENTS.map(lambda events: b"".join(b"data: " + json.encode(event) + b"\n\n" for event in events)),
    st.lists(st.binary(max_size=12) | st.just(b'data: {"type":"message_stop"}\n\n'), max_size=4).map(
        b"".join
    ),
)
REPLY = block(["stop_reason"], id=TEXT, model=TEXT, content=st.lists(SAID, max_size=4), stop_reason=TEXT)
ANSWERING = Answering(request_id="r", model="m", created=0)


@settings(max_examples=150)
@given(
    body=REQUEST.map(json.encode) | st.binary(max_size=40),
    model=st.sampled_from(["model-x", "claude-sonnet-4-5", "claude-opus-5"]),
)
def test_requests(body, model):
    try:
        head = dialect.decode_head(body)
        dialect.encode_head(head, model)
        counting.answer(head)
        encoded = dialect.encode(dialect.decode(head), model)
    except ClientProtocolError:
        return
    again = dialect.decode(dialect.decode_head(encoded.body))
    assert again.messages
    assert len(set(encoded.dropped)) == len(encoded.dropped)


def told(chunks, *, stream):
    """The events of a reply, or why it failed."""
    decoder = dialect.reply_decoder(stream=stream)
    events = []
    try:
        for chunk in chunks:
            events += decoder.feed(chunk)
        events += decoder.end()
    except UpstreamProtocolError as error:
        return [], str(error)
    return events, ""


def check_blocks(data):
    opened = None
    expected = 0
    for event in Splitter().feed(data):
        value = json.decode(event.data)
        match value["type"]:
            case "content_block_start":
                assert (opened, value["index"]) == (None, expected)
                opened = expected
                expected += 1
            case "content_block_delta" | "content_block_stop":
                assert value["index"] == opened
                opened = None if value["type"] == "content_block_stop" else opened
            case "message_delta":
                assert opened is None


@settings(max_examples=150)
@given(data=STREAM, size=st.integers(2, 30))
def test_streams(data, size):
    whole = told([data], stream=True)
    assert told([data[at : at + 1] for at in range(len(data))], stream=True) == whole
    assert told([data[at : at + size] for at in range(0, len(data), size)], stream=True) == whole
    check_blocks(dialect.reply_encoder(Head("m", True, {}, b""), ANSWERING).feed(whole[0]))
    written = dialect.reply_encoder(Head("m", False, {}, b""), ANSWERING).feed(whole[0])
    assert not written or json.decode(written)["type"] in {"message", "error"}


@settings(max_examples=150)
@given(body=REPLY.map(json.encode) | st.binary(max_size=40))
def test_whole_replies(body):
    whole = told([body], stream=False)
    assert told([body[at : at + 1] for at in range(len(body))], stream=False) == whole
    check_blocks(dialect.reply_encoder(Head("m", True, {}, b""), ANSWERING).feed(whole[0]))

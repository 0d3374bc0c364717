"""Invariant: whatever bytes a client or an upstream of chat completions sends, in whatever pieces, reading them gives
the same events or the same kind of refusal, and nothing else is raised; and what was read can be written.
"""

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import json

from archflow_plugins.dialects.openai_chat import OpenAIChat
from archflow_plugins.kinds import Empty
from archflow_plugins.testing import run_context
from archflow_plugins.translation import Answering
from archflow_schema.errors import ClientProtocolError, UpstreamProtocolError
from archflow_schema.events import Failed, Finished

DIALECT = OpenAIChat(Empty(), run_context())
ANSWERING = Answering(request_id="r", model="m", created=1)
TEXT = st.text(max_size=6)
ODD = st.none() | st.integers(-2, 3) | TEXT | st.just([]) | st.just({}) | st.just([{}])


def fields(**known):
    """An object with some of these fields, each what it should be or something odd."""
    return st.fixed_dictionaries({}, optional={name: value | ODD for name, value in known.items()})


CALL = fields(
    index=st.integers(0, 2),
    id=TEXT,
    type=st.sampled_from(["function", "custom"]),
    function=fields(name=TEXT, arguments=TEXT),
    custom=fields(name=TEXT, input=TEXT),
)
THOUGHT = fields(
    type=st.sampled_from(
        ["reasoning.text", "reasoning.summary", "reasoning.encrypted", "thinking", "redacted_thinking"]
    ),
    text=TEXT,
    summary=TEXT,
    thinking=TEXT,
    data=TEXT,
    signature=TEXT,
    index=st.integers(0, 2),
)
PART = fields(
    type=st.sampled_from(["text", "image_url", "input_audio", "file", "refusal", "thinking", "odd"]),
    text=TEXT,
    image_url=fields(url=TEXT, detail=TEXT),
    input_audio=fields(data=TEXT, format=TEXT),
    file=fields(file_data=TEXT, file_id=TEXT, filename=TEXT),
    refusal=TEXT,
    thinking=TEXT,
    cache_control=fields(ttl=TEXT),
)
MESSAGE = fields(
    role=st.sampled_from(["system", "developer", "user", "assistant", "tool", "function"]),
    content=TEXT | st.lists(PART, max_size=3),
    name=TEXT,
    refusal=TEXT,
    reasoning_content=TEXT,
    reasoning=TEXT,
    reasoning_details=st.lists(THOUGHT, max_size=2),
    thinking_blocks=st.lists(THOUGHT, max_size=2),
    tool_calls=st.lists(CALL, max_size=2),
    tool_call_id=TEXT,
    function_call=fields(name=TEXT, arguments=TEXT),
    annotations=st.lists(fields(url_citation=fields(url=TEXT, start_index=st.integers(0, 3))), max_size=2),
)
REQUEST = fields(
    model=TEXT,
    stream=st.booleans(),
    messages=st.lists(MESSAGE, max_size=4),
    tools=st.lists(
        fields(type=st.sampled_from(["function", "custom", "odd"]), function=fields(name=TEXT)), max_size=2
    ),
    tool_choice=st.sampled_from(["auto", "required", "odd"]),
    stop=TEXT,
    reasoning=fields(effort=TEXT, max_tokens=st.integers(0, 9)),
    response_format=fields(type=st.sampled_from(["json_object", "json_schema", "text"])),
    metadata=fields(a=TEXT),
)
CHUNK = fields(
    id=TEXT,
    model=TEXT,
    created=st.integers(0, 9) | st.floats(allow_nan=False, allow_infinity=False),
    choices=st.lists(
        fields(
            index=st.integers(0, 2),
            delta=MESSAGE,
            message=MESSAGE,
            finish_reason=st.sampled_from(["stop", "length", "tool_calls", "odd"]),
            logprobs=fields(content=st.lists(fields(token=TEXT, logprob=st.just(-1.0)), max_size=1)),
        ),
        max_size=2,
    ),
    usage=fields(prompt_tokens=st.integers(-1, 9), completion_tokens=st.integers(-1, 9)),
    error=fields(message=TEXT),
    citations=st.lists(TEXT, max_size=1),
)
LINES = st.lists(
    CHUNK.map(lambda chunk: b"data: " + json.encode(chunk) + b"\n\n")
    | st.sampled_from([b"data: [DONE]\n\n", b": ping\n\n", b"data:\n\n", b"\n"])
    | st.binary(max_size=9),
    max_size=6,
)


def read(pieces, *, stream):
    """The events of a reply; the kind of refusal if there is one. What came before it depends on the pieces."""
    decoder = DIALECT.reply_decoder(stream=stream)
    events = []
    try:
        for piece in pieces:
            events += decoder.feed(piece)
        events += decoder.end()
    except UpstreamProtocolError:
        return UpstreamProtocolError
    return events


def check_reply(body, *, stream):
    whole = read([body], stream=stream)
    assert read([body[at : at + 1] for at in range(len(body))], stream=stream) == whole
    if whole is UpstreamProtocolError:
        return
    assert [type(event) for event in whole if isinstance(event, Finished | Failed)] == [type(whole[-1])]
    for asked in (b'{"stream":true,"stream_options":{"include_usage":true}}', b"{}", b'{"functions":[]}'):
        encoder = DIALECT.reply_encoder(DIALECT.decode_head(asked), ANSWERING)
        assert encoder.feed(whole)


@settings(max_examples=200)
@given(lines=LINES)
def test_streams(lines):
    check_reply(b"".join(lines), stream=True)


@settings(max_examples=200)
@given(body=CHUNK.map(json.encode) | st.binary(max_size=20))
def test_whole_replies(body):
    check_reply(body, stream=False)


@settings(max_examples=400)
@given(body=REQUEST.map(json.encode) | st.binary(max_size=20))
def test_requests(body):
    try:
        conversation = DIALECT.decode(DIALECT.decode_head(body))
        encoded = DIALECT.encode(conversation, "m")
    except ClientProtocolError:
        return
    again = DIALECT.decode(DIALECT.decode_head(encoded.body))
    assert DIALECT.encode(again, "m").body == encoded.body


@settings(max_examples=100)
@given(body=fields(error=fields(message=TEXT, code=TEXT)).map(json.encode) | st.binary(max_size=20))
def test_errors(body):
    assert DIALECT.decode_error(500, body).message

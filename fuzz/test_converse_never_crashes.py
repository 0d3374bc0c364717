"""Invariant: whatever a client or an upstream of Bedrock's Converse sends, it is understood or it is their mistake: a
ClientProtocolError or an UpstreamProtocolError, nothing else, however the bytes were portioned.

What a request says is also put into Converse's words again, for models of every family.
"""

import contextlib

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import json

from archflow_plugins.dialects.bedrock_converse import BedrockConverse
from archflow_plugins.framing.aws_event_stream import encode, encode_headers
from archflow_plugins.kinds import Head
from archflow_plugins.testing import run_context
from archflow_plugins.translation import Answering
from archflow_schema.errors import ClientProtocolError, UpstreamProtocolError
from archflow_schema.events import Failed, Finished

DIALECT = BedrockConverse(None, run_context())
MODELS = (
    "anthropic.claude-3-7-sonnet",
    "anthropic.claude-opus-4-7",
    "amazon.nova-2-lite",
    "openai.gpt-oss",
    "meta.x",
    "x",
)
ODD = st.none() | st.booleans() | st.integers(-2, 2**65) | st.text(max_size=4) | st.just([]) | st.just({})
BASE64 = st.sampled_from(["aGk=", "aGkhIQ==", "aGkaGka="])
TEXT = st.sampled_from(["hi", "there", "", " \n"])


def struct(required=None, **optional):
    return st.fixed_dictionaries(required or {}, optional=optional)


def one(**members):
    """A union of Amazon's: exactly one member."""
    return st.one_of(*(st.fixed_dictionaries({name: value}) for name, value in members.items()))


def listed(item, least=0, most=3):
    return st.lists(item, min_size=least, max_size=most)


def blob(*formats):
    return struct(
        {
            "format": st.sampled_from(formats),
            "source": one(bytes=BASE64, s3Location=st.just({"uri": "s3://b/k"})),
        }
    )


TOLD = struct(text=TEXT)
CITATION = struct(
    title=TEXT,
    sourceContent=listed(TOLD),
    location=one(web=struct(url=TEXT), documentPage=struct(documentIndex=st.integers(0, 3))),
)
IDS = st.sampled_from(["a", "b", "c d" * 40])
NAMES = st.sampled_from(["f", "g", "f", "g", "f.g"])
POINT = struct({"type": st.just("default")}, ttl=st.just("1h"))
DOCUMENT = struct(
    {
        "name": st.sampled_from(["n", "n.pdf"]),
        "source": one(bytes=BASE64, text=TEXT, content=listed(TOLD)),
        "format": st.sampled_from(["pdf", "txt"]),
    },
    context=TEXT,
    citations=struct({"enabled": st.booleans()}),
)
INNER = one(text=TEXT, image=blob("png", "png", "bmp"), document=DOCUMENT, json=ODD)
LEAF = one(
    text=TEXT,
    image=blob("png", "jpeg"),
    audio=blob("mp3"),
    document=DOCUMENT,
    cachePoint=POINT,
    guardContent=one(text=TOLD, image=blob("png")),
)
THOUGHT = one(reasoningText=struct({"text": TEXT}, signature=st.just("s")), redactedContent=BASE64)
CITED = struct(content=listed(TOLD), citations=listed(CITATION))
CALL = struct({"toolUseId": IDS, "name": NAMES, "input": st.sampled_from([{}, {"a": 1}, [1]])})
RESULT = struct({"toolUseId": IDS, "content": listed(INNER)}, status=st.just("error"))
ASKED = listed(LEAF | one(toolResult=RESULT), 1)
ANSWERED = listed(
    one(text=TEXT, toolUse=CALL, reasoningContent=THOUGHT, citationsContent=CITED, cachePoint=POINT), 1
)
MESSAGE = st.one_of(
    struct({"role": st.just("user"), "content": ASKED}),
    struct({"role": st.just("assistant"), "content": ANSWERED}),
    struct({"role": st.just("system"), "content": listed(one(text=TEXT), 1)}),
)
TOOL = one(
    toolSpec=struct(
        {"name": NAMES, "inputSchema": struct({"json": st.sampled_from([{}, {"type": "object"}])})},
        description=TEXT,
        strict=st.booleans(),
    ),
    systemTool=struct({"name": NAMES}),
    cachePoint=POINT,
)
SCHEMA = st.sampled_from(["{}", '{"type":"object"}', "{", "1"])
OWN = struct(
    thinking=struct(
        {"type": st.sampled_from(["enabled", "adaptive", "disabled"])},
        budget_tokens=st.integers(-1, 9000),
        display=st.just("omitted"),
    ),
    top_k=st.integers(-1, 9),
    reasoning_effort=st.sampled_from(["none", "high", "odd"]),
    reasoningConfig=struct({"type": st.just("enabled")}, maxReasoningEffort=st.just("high")),
    tool_choice=struct(
        {"type": st.sampled_from(["auto", "any", "tool", "none"])},
        name=NAMES,
        disable_parallel_tool_use=st.booleans(),
    ),
)
REQUEST = struct(
    {"messages": listed(MESSAGE, 1, 5)},
    system=listed(one(text=TEXT, cachePoint=POINT)),
    toolConfig=struct(
        {"tools": listed(TOOL, 1)},
        toolChoice=one(auto=st.just({}), any=st.just({}), tool=struct({"name": NAMES})),
    ),
    inferenceConfig=struct(
        maxTokens=st.integers(1, 9000),
        temperature=st.floats(0, 2),
        topP=st.floats(0, 1),
        stopSequences=listed(TEXT),
    ),
    outputConfig=struct(
        effort=st.sampled_from(["low", "max", "odd"]),
        textFormat=struct({"structure": struct({"jsonSchema": struct({"schema": SCHEMA}, name=TEXT)})}),
    ),
    requestMetadata=st.dictionaries(TEXT, TEXT, max_size=3),
    serviceTier=struct({"type": st.sampled_from(["flex", "odd"])}),
    additionalModelRequestFields=OWN,
    tools=ODD,
    promptVariables=ODD,
)
DAMAGE = st.none() | st.none() | st.tuples(st.integers(0, 200), ODD)


def damaged(value, damage):
    """The value with one of its nodes replaced, or as it is."""
    if damage is None:
        return value
    left, odd = damage
    left = [left % max(1, size(value))]

    def walk(node):
        left[0] -= 1
        if left[0] < 0:
            left[0] = 10**9
            return odd
        if isinstance(node, dict):
            return {name: walk(inner) for name, inner in node.items()}
        return [walk(inner) for inner in node] if isinstance(node, list) else node

    return walk(value)


def size(node) -> int:
    inner = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return 1 + sum(map(size, inner))


@settings(max_examples=500)
@given(request=REQUEST, damage=DAMAGE, stream=st.booleans())
def test_requests(request, damage, stream):
    body = json.encode(damaged(request, damage))
    try:
        found = DIALECT.decode_head(body)
        said = DIALECT.decode(Head("m", stream, found.fields, body))
    except ClientProtocolError:
        return
    for model in MODELS:
        try:
            encoded = DIALECT.encode(said, model)
        except ClientProtocolError:
            continue
        assert len(set(encoded.dropped)) == len(encoded.dropped)
        again = DIALECT.decode_head(encoded.body)
        DIALECT.decode(Head(model, stream, again.fields, encoded.body))


USAGE = struct(
    {"inputTokens": st.integers(-1, 2**40)},
    outputTokens=st.integers(0, 9),
    cacheReadInputTokens=st.integers(-1, 9),
)
STOP = st.sampled_from(["end_turn", "tool_use", "stop_sequence", "odd", ""])
DELTA = one(
    text=TEXT,
    toolUse=struct({"input": st.sampled_from(["", "{", "}"])}),
    reasoningContent=one(text=TEXT, signature=st.just("s"), redactedContent=BASE64),
    citation=CITATION,
)
INDEX = {"contentBlockIndex": st.integers(0, 3)}
USE = struct({"toolUseId": IDS, "name": NAMES}, type=st.just("server_tool_use"))
BODY = st.one_of(
    st.tuples(st.just("messageStart"), struct({"role": st.just("assistant")})),
    st.tuples(st.just("contentBlockStart"), struct({**INDEX, "start": one(toolUse=USE, toolResult=USE)})),
    st.tuples(st.just("contentBlockDelta"), struct({**INDEX, "delta": DELTA})),
    st.tuples(st.just("contentBlockStop"), struct(INDEX)),
    st.tuples(st.just("odd"), ODD),
)
LAST = st.one_of(
    st.tuples(
        st.just("messageStop"),
        struct({"stopReason": STOP}, additionalModelResponseFields=struct(stop_sequence=TEXT) | ODD),
    ),
    st.tuples(st.just("metadata"), struct({"usage": USAGE})),
    st.tuples(st.just("throttlingException"), struct(message=TEXT)),
)
FRAMES = st.tuples(listed(BODY, most=8), listed(LAST, 1)).map(
    lambda both: [[*one] for one in both[0] + both[1]]
)
CUTS = st.lists(st.integers(1, 60), max_size=30)


def framed(name: str, payload: object) -> bytes:
    kind = "exception" if name.endswith("Exception") else "event"
    return encode(encode_headers({f":{kind}-type": name, ":message-type": kind}), json.encode(payload))


def events(chunks: list[bytes], *, stream: bool) -> list[object] | str:
    decoder = DIALECT.reply_decoder(stream=stream)
    found: list[object] = []
    try:
        for chunk in chunks:
            found += decoder.feed(chunk)
        found += decoder.end()
    except UpstreamProtocolError:
        return "not understood"
    return found


def check(data: bytes, cuts: list[int], *, stream: bool) -> None:
    whole = events([data], stream=stream)
    assert events([data[at : at + 1] for at in range(len(data))], stream=stream) == whole
    chunks, rest = [], data
    for cut in cuts:
        chunks.append(rest[:cut])
        rest = rest[cut:]
    assert events([*chunks, rest], stream=stream) == whole
    if isinstance(whole, str):
        return
    assert [type(one) in {Finished, Failed} for one in whole] == [False] * (len(whole) - 1) + [True]
    for streamed in (False, True):
        head = Head("m", streamed, {}, b"{}")
        answering = Answering(request_id="r", model="m", created=0)
        assert DIALECT.reply_encoder(head, answering).feed(whole)


@settings(max_examples=400)
@given(frames=FRAMES, damage=DAMAGE, cuts=CUTS)
def test_streams(frames, damage, cuts):
    data = b"".join(framed(name, damaged(payload, damage)) for name, payload in frames)
    check(data, cuts, stream=True)


REPLY = struct(
    {"output": struct({"message": struct({"content": ANSWERED})}), "stopReason": STOP},
    usage=USAGE,
    serviceTier=struct(type=st.just("flex")),
    additionalModelResponseFields=struct(stop_sequence=TEXT) | ODD,
)


@settings(max_examples=300)
@given(reply=REPLY, damage=DAMAGE, cuts=CUTS)
def test_replies(reply, damage, cuts):
    check(json.encode(damaged(reply, damage)), cuts, stream=False)


@settings(max_examples=200)
@given(data=st.binary(max_size=40), cuts=CUTS, stream=st.booleans())
def test_noise(data, cuts, stream):
    check(data, cuts, stream=stream)
    with contextlib.suppress(ClientProtocolError):
        DIALECT.decode(DIALECT.decode_head(data))

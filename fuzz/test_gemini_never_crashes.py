"""Invariant: no bytes make Google's dialect raise anything but its two errors; a reply's portions make no difference.

Requests and replies made of plausible fields with odd values, in both spellings, and of arbitrary bytes.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import json

from archflow_plugins.dialects.gemini import Gemini
from archflow_plugins.dialects.gemini.spelling import CAMEL
from archflow_plugins.kinds import Empty, Head
from archflow_plugins.testing import run_context
from archflow_plugins.translation import Answering
from archflow_schema.errors import ClientProtocolError, UpstreamProtocolError

DIALECT = Gemini(Empty(), run_context())
TEXT = st.text(max_size=6) | st.sampled_from(
    ["f", "g", "YXJjaGZsb3cx", "data:,", "image/png", "text/plain", "http://["]
)
LEAF = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
)
NAMES = st.sampled_from(sorted({
    *CAMEL, *CAMEL.values(), "text", "thought", "parts", "role", "name", "args", "id", "data", "response", "mode",
    "candidates", "content", "finishReason", "groundingChunks", "groundingSupports", "segment", "startIndex", "index",
    "endIndex", "error", "groundingChunkIndices", "web", "uri", "usageMetadata", "promptTokenCount", "promptFeedback",
}))  # fmt: skip
ANY = st.recursive(
    LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=12
)


def objects(**fields):
    return st.fixed_dictionaries({}, optional={name: value | ANY for name, value in fields.items()})


BLOB = st.deferred(lambda: objects(mimeType=TEXT, mime_type=TEXT, data=TEXT))
FILE = st.deferred(lambda: objects(fileUri=TEXT, mimeType=TEXT))
CALL = st.deferred(
    lambda: objects(name=st.sampled_from(["f", "g"]), id=TEXT, args=st.dictionaries(TEXT, LEAF, max_size=2))
)
RESPONSE = st.deferred(
    lambda: objects(
        name=st.sampled_from(["f", "g"]),
        response=st.dictionaries(st.sampled_from(["output", "error"]), LEAF),
        parts=st.lists(objects(inlineData=BLOB), max_size=2),
    )
)
PART = st.deferred(
    lambda: objects(
        text=TEXT,
        thought=st.booleans(),
        thoughtSignature=TEXT,
        inlineData=BLOB,
        inline_data=BLOB,
        fileData=FILE,
        functionCall=CALL,
        functionResponse=RESPONSE,
    )
)
CONTENTS = st.deferred(
    lambda: st.lists(
        objects(role=st.sampled_from(["user", "model", "function"]), parts=st.lists(PART, max_size=3)),
        max_size=4,
    )
)
REQUEST = st.deferred(
    lambda: objects(
        contents=CONTENTS,
        systemInstruction=objects(parts=st.lists(PART, max_size=2)),
        tools=st.lists(
            objects(functionDeclarations=st.lists(objects(name=TEXT, parameters=ANY), max_size=2)), max_size=2
        ),
        generationConfig=st.dictionaries(NAMES, LEAF, max_size=3),
    )
)
SUPPORT = st.deferred(
    lambda: objects(
        segment=objects(startIndex=st.integers(-9, 9), endIndex=st.integers(-9, 9)),
        groundingChunkIndices=st.lists(st.integers(-3, 3), max_size=2),
    )
)
CANDIDATE = st.deferred(
    lambda: objects(
        content=objects(parts=st.lists(PART, max_size=3)),
        index=st.integers(-2, 2),
        finishReason=st.sampled_from(["STOP", "SAFETY", "ODD"]),
        groundingMetadata=objects(
            groundingChunks=st.lists(objects(web=objects(uri=TEXT)), max_size=2),
            groundingSupports=st.lists(SUPPORT, max_size=2),
        ),
    )
)
CHUNK = st.deferred(
    lambda: objects(
        candidates=st.lists(CANDIDATE, max_size=2),
        responseId=TEXT,
        usageMetadata=objects(promptTokenCount=LEAF),
    )
)


@settings(max_examples=400)
@given(body=REQUEST.map(json.encode) | ANY.map(json.encode) | st.binary(max_size=60))
def test_requests(body):
    try:
        head = DIALECT.decode_head(body)
        DIALECT.reply_encoder(head, Answering(request_id="r", model="m", created=0))
        said = DIALECT.decode(Head("m", False, head.fields, body))
        DIALECT.encode(said, "gemini-3-pro")
    except ClientProtocolError:
        pass


def heard(data, *, stream, size):
    decoder = DIALECT.reply_decoder(stream=stream)
    events = []
    try:
        for at in range(0, len(data), size):
            events += decoder.feed(data[at : at + size])
        events += decoder.end()
    except UpstreamProtocolError:
        return [*events, "broken"]
    return events


@pytest.mark.parametrize("stream", [False, True])
@settings(max_examples=300)
@given(
    chunks=st.lists(CHUNK.map(json.encode) | ANY.map(json.encode) | st.binary(max_size=20), max_size=4),
    size=st.integers(1, 50),
)
def test_replies(stream, chunks, size):
    data = b"".join(b"data: " + chunk + b"\r\n\r\n" for chunk in chunks) if stream else b"".join(chunks)
    whole = heard(data, stream=stream, size=max(1, len(data)))
    assert heard(data, stream=stream, size=1) == heard(data, stream=stream, size=size) == whole
    if "broken" not in whole:
        writer = DIALECT.reply_encoder(
            Head("m", stream, {}, b"{}"), Answering(request_id="r", model="m", created=0, query="alt=sse")
        )
        writer.feed(whole)
    DIALECT.summarise(data)
    DIALECT.decode_error(500, data)


@settings(max_examples=50)
@given(depth=st.integers(1, 3000), name=st.sampled_from(["contents", "parts", "top_k"]))
def test_depth(depth, name):
    inner = b'{"%b":' % name.encode() * depth + b"1" + b"}" * depth
    for body in (inner, b'{"contents":' + b"[" * depth + b"]" * depth + b',"tool_config":1}'):
        try:
            head = DIALECT.decode_head(body)
            DIALECT.decode(head)
        except ClientProtocolError:
            pass

"""Google's replies to events: whole, streamed, and cut anywhere."""

import pytest
from google.genai import types
from msgspec import json

from archflow_plugins.dialects.gemini import Gemini
from archflow_plugins.kinds import Empty, Summary
from archflow_plugins.testing import run_context
from archflow_plugins.translation import Problem
from archflow_schema.errors import UpstreamProtocolError
from archflow_schema.events import (
    CitationFound,
    Failed,
    Finished,
    ReasoningDelta,
    Started,
    Stopped,
    TextDelta,
    TokenLogprob,
    ToolCallDelta,
    Usage,
    UsageReported,
)

dialect = Gemini(Empty(), run_context())
USAGE = {
    "promptTokenCount": 10,
    "candidatesTokenCount": 5,
    "thoughtsTokenCount": 7,
    "totalTokenCount": 24,
    "toolUsePromptTokenCount": 2,
    "cachedContentTokenCount": 4,
}
COUNTED = Usage(input_tokens=12, output_tokens=12, cached_tokens=4, reasoning_tokens=7)
IDS = {"modelVersion": "gemini-3-flash", "responseId": "r1"}
STARTED = Started(id="r1", model="gemini-3-flash")


def candidate(*parts, reason=None, index=0, **fields):
    found = {"content": {"parts": list(parts), "role": "model"}, "index": index, **fields}
    return {**found, "finishReason": reason} if reason else found


def chunk(*candidates, **fields):
    found = {"candidates": list(candidates), **fields, **IDS}
    types.GenerateContentResponse.model_validate(found)
    return found


def whole(body):
    decoder = dialect.reply_decoder(stream=False)
    return decoder.feed(json.encode(body)) + decoder.end()


def wire(*chunks):
    return b"".join(b"data: " + json.encode(one) + b"\r\n\r\n" for one in chunks)


def streamed(*chunks, size=0):
    data = wire(*chunks)
    decoder = dialect.reply_decoder(stream=True)
    found = []
    for at in range(0, len(data), size or len(data)):
        found += decoder.feed(data[at : at + (size or len(data))])
    return found + decoder.end()


FULL = candidate(
    {"text": "I look.", "thought": True},
    {"text": "It "},
    {"text": "is.", "thoughtSignature": "c2ln"},
    {"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "b3du"},
    {"functionCall": {"name": "g", "id": "own"}},
    reason="STOP",
)


def test_a_whole_reply():
    assert whole(chunk(FULL, usageMetadata=USAGE)) == [
        STARTED,
        ReasoningDelta("I look.", 0, summary=True, origin="gemini"),
        TextDelta("It ", 1),
        TextDelta("is.", 1),
        ReasoningDelta("", 2, signature="c2ln", origin="gemini"),
        ToolCallDelta(
            index=0, block=3, id="call_r1_0", name="f", arguments='{"a":1}', signature="b3du", origin="gemini"
        ),
        ToolCallDelta(index=1, block=4, id="own", name="g", arguments="{}"),
        Stopped("tool_calls", detail="STOP"),
        UsageReported(COUNTED),
        Finished(),
    ]


@pytest.mark.parametrize("size", [0, 1, 7])
def test_a_stream(size):
    assert streamed(
        chunk(candidate({"text": "I ", "thought": True}), usageMetadata={"promptTokenCount": 10}),
        chunk(candidate({"text": "look.", "thought": True}, {"text": "It"}, reason="STOP")),
        chunk(candidate({"text": " is."})),
        chunk(candidate({"text": "", "thoughtSignature": "c2ln"}, reason="STOP"), usageMetadata=USAGE),
        size=size,
    ) == [
        STARTED,
        ReasoningDelta("I ", 0, summary=True, origin="gemini"),
        ReasoningDelta("look.", 0, summary=True, origin="gemini"),
        TextDelta("It", 1),
        TextDelta(" is.", 1),
        ReasoningDelta("", 2, signature="c2ln", origin="gemini"),
        Stopped("stop", detail="STOP"),
        UsageReported(COUNTED),
        Finished(),
    ]


def test_an_array_of_chunks_is_a_reply_too():
    found = whole([chunk(candidate({"text": "a"})), chunk(candidate({"text": "b"}, reason="STOP"))])
    assert [one.text for one in found if isinstance(one, TextDelta)] == ["a", "b"]
    assert found[-1] == Finished()


def test_several_candidates():
    found = whole(
        chunk(candidate({"text": "a"}, reason="STOP"), candidate({"text": "b"}, reason="MAX_TOKENS", index=1))
    )
    assert found[1:] == [
        TextDelta("a", 0, 0),
        TextDelta("b", 0, 1),
        Stopped("stop", 0, detail="STOP"),
        Stopped("length", 1, detail="MAX_TOKENS"),
        Finished(),
    ]


@pytest.mark.parametrize("value", [one.value for one in types.FinishReason])
def test_every_reason_that_google_knows_is_one_of_ours(value):
    body = chunk(candidate({"text": "a"}, reason=value))
    if value == "FINISH_REASON_UNSPECIFIED":
        with pytest.raises(UpstreamProtocolError):
            whole(body)
        return
    (stopped,) = (one for one in whole(body) if isinstance(one, Stopped))
    assert stopped.detail == value
    filtered = any(word in value for word in ("SAFETY", "PROHIBITED", "RECITATION", "BLOCKLIST", "SPII"))
    assert (stopped.reason == "content_filter") >= filtered
    assert (stopped.reason == "stop") == (value == "STOP")


def test_why_it_stopped_is_kept():
    found = whole(chunk(candidate(reason="MALFORMED_FUNCTION_CALL", finishMessage="print(f()")))
    assert found[1] == Stopped("error", detail="MALFORMED_FUNCTION_CALL: print(f()")


def test_a_blocked_prompt():
    body = chunk(promptFeedback={"blockReason": "SAFETY"}, usageMetadata={"promptTokenCount": 3})
    assert whole(body) == [
        STARTED,
        Stopped("content_filter", detail="SAFETY"),
        UsageReported(Usage(input_tokens=3)),
        Finished(),
    ]


def test_citations_are_counted_in_characters():
    grounding = {
        "groundingChunks": [
            {"web": {"uri": "https://a.org", "title": "A"}},
            {"web": {"uri": "https://b.org"}},
        ],
        "groundingSupports": [
            {"segment": {"endIndex": 4, "text": "hä?"}, "groundingChunkIndices": [0, 1]},
            {"segment": {"startIndex": 5, "endIndex": 99}, "groundingChunkIndices": [1, 7]},
        ],
    }
    found = streamed(
        chunk(candidate({"text": "hä? "})),
        chunk(candidate({"text": "ja"}, reason="STOP", groundingMetadata=grounding)),
    )
    cited = [one for one in found if isinstance(one, CitationFound)]
    assert [
        (one.citation.url, one.citation.title, one.citation.start, one.citation.end) for one in cited
    ] == [
        ("https://a.org", "A", 0, 3),
        ("https://b.org", "", 0, 3),
        ("https://b.org", "", 4, 6),
    ]
    assert json.decode(cited[0].citation.raw) == {"web": {"uri": "https://a.org", "title": "A"}}


def test_sources_without_places_and_recitations():
    grounding = {"groundingChunks": [{"retrievedContext": {"uri": "gs://a"}}, {}]}
    recited = {"citations": [{"startIndex": 0, "endIndex": 2, "uri": "https://c.org"}]}
    found = whole(
        chunk(candidate({"text": "ab"}, reason="STOP", groundingMetadata=grounding, citationMetadata=recited))
    )
    cited = [one.citation for one in found if isinstance(one, CitationFound)]
    assert [(one.url, one.start, one.end) for one in cited] == [("gs://a", -1, -1), ("https://c.org", 0, 2)]


def test_logprobs():
    result = {
        "chosenCandidates": [{"token": "a", "logProbability": -0.5}],
        "topCandidates": [{"candidates": [{"token": "b", "logProbability": -1.0}]}],
    }
    token = TokenLogprob("a", -0.5, top=(TokenLogprob("b", -1.0),))
    found = whole(chunk(candidate({"text": "a"}, reason="STOP", logprobsResult=result)))
    assert found[1] == TextDelta("a", 0, 0, (token,))
    assert whole(chunk(candidate(reason="STOP", logprobsResult=result)))[1] == TextDelta("", 0, 0, (token,))


def test_an_error_in_the_middle():
    decoder = dialect.reply_decoder(stream=True)
    found = decoder.feed(wire(chunk(candidate({"text": "a"}))))
    error = {"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}
    found += decoder.feed(wire(error, chunk(candidate({"text": "b"}))))
    assert found[-1] == Failed("unavailable", "overloaded")
    assert decoder.end() == []


def test_what_only_google_shows_is_passed_over():
    shown = [{"executableCode": {"code": "1"}}, {"inlineData": {"mimeType": "image/png", "data": "AA=="}}]
    assert whole(chunk(candidate(*shown, {"text": "a"}, reason="STOP")))[1] == TextDelta("a", 0)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"3", b"{}", b'{"candidates":[{"content":{"parts":[{"text":3}]}}]}', b"\xff"]
)
def test_a_reply_that_is_none(body):
    decoder = dialect.reply_decoder(stream=False)
    decoder.feed(body)
    with pytest.raises(UpstreamProtocolError):
        decoder.end()


def test_a_stream_that_is_cut_or_broken():
    decoder = dialect.reply_decoder(stream=True)
    decoder.feed(wire(chunk(candidate({"text": "a"}))))
    with pytest.raises(UpstreamProtocolError, match="ended before"):
        decoder.end()
    with pytest.raises(UpstreamProtocolError, match="not understood"):
        dialect.reply_decoder(stream=True).feed(b"data: {\n\n")


def test_ids_are_short_and_tell_candidates_apart():
    reply = {
        **chunk(candidate({"functionCall": {"name": "f"}}, reason="STOP", index=1)),
        "responseId": "x/" * 40,
    }
    (call,) = (one for one in whole(reply) if isinstance(one, ToolCallDelta))
    assert call.id == "call_" + "x_" * 13 + "_1_0"
    assert len(call.id) <= 40


def test_summary_and_tap():
    reply = chunk(FULL, usageMetadata=USAGE)
    told = Summary(usage=COUNTED, finish_reason="STOP", response_model="gemini-3-flash", response_id="r1")
    assert dialect.summarise(json.encode(reply)) == told
    assert dialect.summarise(json.encode([reply, {}])) == told
    assert dialect.summarise(b"{") == Summary() == dialect.summarise(b"[]")
    tap = dialect.tap()
    tap.feed(wire(chunk(candidate({"text": "a"})), reply, {"odd": 1}))
    assert (tap.usage, tap.finish_reason, tap.response_model, tap.response_id) == (
        COUNTED, "STOP", "gemini-3-flash", "r1",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("status", "body", "problem"),
    [
        (
            429,
            b'{"error":{"code":429,"message":"slow down","status":"RESOURCE_EXHAUSTED"}}',
            Problem("slow down", "RESOURCE_EXHAUSTED"),
        ),
        (400, b'[{"error":{"message":"no","status":"INVALID_ARGUMENT"}}]', Problem("no", "INVALID_ARGUMENT")),
        (404, b'{"error":{"message":"gone"}}', Problem("gone", "NOT_FOUND")),
        (502, b"<html>" + b"x" * 9000, Problem("<html>" + "x" * 494)),
        (500, b"", Problem("the upstream answered 500 and said nothing")),
        (500, b"[]", Problem("[]")),
        (500, b"\xff\xfe", Problem("��")),
    ],
)
def test_errors(status, body, problem):
    assert dialect.decode_error(status, body) == problem

"""Events as Google's replies: whole, as server-sent events, as a growing array; checked by Google's own types."""

import pytest
from google.genai import errors, types
from msgspec import json

from archflow_plugins.dialects.gemini import Gemini
from archflow_plugins.dialects.gemini.signatures import pack
from archflow_plugins.dialects.sealed import Proof
from archflow_plugins.framing.sse import Splitter
from archflow_plugins.kinds import Empty, Head
from archflow_plugins.testing import run_context
from archflow_plugins.translation import Answering
from archflow_schema.conversation import Citation, ReasoningPart, TextPart
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

dialect = Gemini(Empty(), run_context())
SHOWN = b'{"contents":[],"generationConfig":{"thinkingConfig":{"includeThoughts":true}}}'
HIDDEN = b'{"contents":[]}'
TALK = (
    Started(id="chatcmpl-1", model="gpt-x"),
    ReasoningDelta("I ", 0, origin="anthropic_messages"),
    ReasoningDelta("look.", 0, origin="anthropic_messages"),
    ReasoningDelta("", 0, signature="sig", origin="anthropic_messages"),
    TextDelta("It ", 1),
    Ping(),
    TextDelta("is.", 1),
    ToolCallDelta(index=0, block=2, id="call_1", name="f"),
    ToolCallDelta(index=0, block=2, arguments='{"a":'),
    ToolCallDelta(index=0, block=2, arguments="1}"),
    ToolCallDelta(index=1, block=3, id="call_2", name="g", signature="b3du", origin="gemini"),
    Stopped("tool_calls"),
    UsageReported(Usage(input_tokens=10, output_tokens=9, cached_tokens=4, reasoning_tokens=6)),
    Finished(),
)
PROOF = pack("anthropic_messages", Proof(signature="sig"))
CALLS = [
    {"functionCall": {"name": "f", "args": {"a": 1}, "id": "call_1"}},
    {"functionCall": {"name": "g", "args": {}, "id": "call_2"}, "thoughtSignature": "b3du"},
]
COUNTS = {
    "promptTokenCount": 10,
    "candidatesTokenCount": 3,
    "totalTokenCount": 19,
    "cachedContentTokenCount": 4,
    "thoughtsTokenCount": 6,
}


def writer(body=SHOWN, *, stream=False, query="alt=sse"):
    head = dialect.decode_head(body)
    answering = Answering(request_id="req-1", model="asked", created=1, query=query)
    return dialect.reply_encoder(Head("asked", stream, head.fields, body), answering)


def written(events, body=SHOWN, *, stream=False, query="alt=sse", size=0):
    found = writer(body, stream=stream, query=query)
    size = size or len(events)
    data = b"".join(found.feed(events[at : at + size]) for at in range(0, len(events), size))
    if not stream:
        assert found.content_type == "application/json"
        replies = [json.decode(data)]
    elif query:
        assert found.content_type == "text/event-stream"
        replies = [json.decode(one.data) for one in Splitter().feed(data)]
    else:
        assert found.content_type == "application/json"
        replies = json.decode(data)
    for reply in replies:
        if "error" not in reply:
            types.GenerateContentResponse.model_validate(reply)
    return replies


def test_a_whole_reply():
    assert written(TALK) == [
        {
            "candidates": [
                {
                    "content": {
                        "role": "model",
                        "parts": [
                            {"text": "I look.", "thought": True},
                            {"text": "", "thought": True, "thoughtSignature": PROOF},
                            {"text": "It is."},
                            *CALLS,
                        ],
                    },
                    "finishReason": "STOP",
                    "index": 0,
                }
            ],
            "usageMetadata": COUNTS,
            "modelVersion": "gpt-x",
            "responseId": "chatcmpl-1",
        }
    ]


@pytest.mark.parametrize("query", ["alt=sse", ""])
@pytest.mark.parametrize("size", [0, 1, 3])
def test_a_stream(query, size):
    replies = written(TALK, stream=True, query=query, size=size)
    parts = [part for one in replies for part in one["candidates"][0]["content"]["parts"]]
    assert parts == [
        {"text": "I ", "thought": True},
        {"text": "look.", "thought": True},
        {"text": "", "thought": True, "thoughtSignature": PROOF},
        {"text": "It "},
        {"text": "is."},
        *CALLS,
        {"text": ""},
    ]
    assert {(one["modelVersion"], one["responseId"]) for one in replies} == {("gpt-x", "chatcmpl-1")}
    assert replies[-1]["usageMetadata"] == COUNTS
    assert ["finishReason" in one["candidates"][0] for one in replies] == [False] * 7 + [True]


@pytest.mark.parametrize("stream", [False, True])
def test_thoughts_that_nobody_asked_for_are_carried_unseen(stream):
    replies = written(TALK, HIDDEN, stream=stream)
    parts = [part for one in replies for part in one["candidates"][0]["content"]["parts"]]
    carried = pack("anthropic_messages", Proof(signature="sig", text="I look."))
    assert parts[0] == {"text": "", "thought": True, "thoughtSignature": carried}
    assert "look" not in "".join(part.get("text", "") for part in parts)


@pytest.mark.parametrize("body", [SHOWN, HIDDEN])
@pytest.mark.parametrize("stream", [False, True])
def test_what_a_client_sends_back_is_what_the_model_thought(body, stream):
    replies = written(TALK, body, stream=stream)
    contents = [one["candidates"][0]["content"] for one in replies]
    (message,) = dialect.decode(dialect.decode_head(json.encode({"contents": contents}))).messages
    assert message.parts[:2] == (
        ReasoningPart(text="I look.", signature="sig", origin="anthropic_messages"),
        TextPart("It is."),
    )
    assert [part.id for part in message.parts[2:]] == ["call_1", "call_2"]


def test_several_choices():
    events = (
        Started(),
        TextDelta("a", 0, 0),
        TextDelta("b", 0, 1),
        Stopped("stop", 0),
        Stopped("length", 1),
        Finished(),
    )
    (whole,) = written(events)
    assert [one["finishReason"] for one in whole["candidates"]] == ["STOP", "MAX_TOKENS"]
    assert [one["content"]["parts"] for one in whole["candidates"]] == [[{"text": "a"}], [{"text": "b"}]]
    *chunks, last = written(events, stream=True)
    assert [(one["candidates"][0]["index"], len(one["candidates"])) for one in chunks] == [(0, 1), (1, 1)]
    assert [one["index"] for one in last["candidates"]] == [0, 1]
    assert (whole["modelVersion"], whole["responseId"]) == ("asked", "req-1")


@pytest.mark.parametrize("stream", [False, True])
def test_refusals_filters_and_citations(stream):
    events = (
        Started(),
        RefusalDelta("hä, no"),
        CitationFound(Citation(url="https://a.org", title="A", start=0, end=2)),
        CitationFound(Citation(url="https://a.org", title="A", start=4, end=6)),
        Stopped("refusal", detail="refusal"),
        Finished(),
    )
    replies = written(events, stream=stream)
    last = replies[-1]["candidates"][0]
    assert replies[0]["candidates"][0]["content"]["parts"] == [{"text": "hä, no"}]
    assert (last["finishReason"], last["finishMessage"]) == ("SAFETY", "refusal")
    assert last["groundingMetadata"] == {
        "groundingChunks": [{"web": {"uri": "https://a.org", "title": "A"}}],
        "groundingSupports": [
            {"segment": {"startIndex": 0, "endIndex": 3}, "groundingChunkIndices": [0]},
            {"segment": {"startIndex": 5, "endIndex": 7}, "groundingChunkIndices": [0]},
        ],
    }


@pytest.mark.parametrize("stream", [False, True])
def test_logprobs(stream):
    token = TokenLogprob("a", -0.5, top=(TokenLogprob("b", -1.0),))
    found = written(
        (Started(), TextDelta("a", logprobs=(token,)), Stopped("stop"), Finished()), stream=stream
    )
    assert found[0]["candidates"][0]["logprobsResult"] == {
        "chosenCandidates": [{"token": "a", "logProbability": -0.5}],
        "topCandidates": [{"candidates": [{"token": "b", "logProbability": -1.0}]}],
    }


@pytest.mark.parametrize("arguments", ["", '{"a": tru', "[1]"])
def test_arguments_are_always_an_object(arguments):
    call = ToolCallDelta(index=0, block=0, id="1", name="f", arguments=arguments)
    (found,) = written((Started(), call, Stopped("tool_calls"), Finished()))
    args = found["candidates"][0]["content"]["parts"][0]["functionCall"]["args"]
    assert args == ({"arguments": arguments} if arguments else {})


@pytest.mark.parametrize("query", ["alt=sse", ""])
def test_an_error_in_the_middle(query):
    replies = written(
        (Started(), TextDelta("a"), Failed("upstream_failed", "gone")), stream=True, query=query
    )
    error = replies[-1]["error"]
    assert (error["code"], error["status"], error["message"]) == (502, "UNAVAILABLE", "gone")
    with pytest.raises(errors.ServerError, match="gone"):
        errors.APIError.raise_error(error["code"], replies[-1], None)


def test_an_error_instead_of_a_reply():
    (reply,) = written((Failed("upstream_timeout", "late"),))
    assert reply["error"]["status"] == "DEADLINE_EXCEEDED"


def test_an_answer_of_ours():
    head = dialect.decode_head(HIDDEN)
    kind, body = dialect.encode_text(head, "no", request_id="r")
    assert kind == "application/json"
    assert types.GenerateContentResponse.model_validate_json(body).text == "no"
    kind, body = dialect.encode_text(Head("m", True, head.fields, HIDDEN), "no", request_id="r")
    assert kind == "text/event-stream"
    first, last = (
        types.GenerateContentResponse.model_validate_json(one.data) for one in Splitter().feed(body)
    )
    assert (first.text, last.candidates[0].finish_reason) == ("no", types.FinishReason.STOP)


def test_errors_raise_the_clients_own_exceptions():
    body = json.decode(dialect.encode_error(429, "rate_limit_exceeded", "slow down", request_id="r"))
    with pytest.raises(errors.ClientError, match="429 RESOURCE_EXHAUSTED") as caught:
        errors.APIError.raise_error(429, body, None)
    assert caught.value.message == "slow down"
    assert body["error"]["details"][0]["reason"] == "RATE_LIMIT_EXCEEDED"
    (event,) = Splitter().feed(dialect.encode_stream_error("upstream_failed", "gone"))
    assert json.decode(event.data)["error"]["message"] == "gone"


def test_models():
    (model,) = json.decode(dialect.encode_models(["openai/gpt-x"]))["models"]
    assert model == json.decode(dialect.encode_model("openai/gpt-x"))
    assert types.Model.model_validate({"name": model["name"]}).name == "models/openai/gpt-x"


@pytest.mark.parametrize("stream", [False, True])
def test_calls_whose_arguments_come_by_turns(stream):
    events = (
        Started(),
        ToolCallDelta(index=0, block=0, id="a", name="f"),
        ToolCallDelta(index=1, block=1, id="b", name="g"),
        ToolCallDelta(index=0, block=0, arguments='{"x":1}'),
        ToolCallDelta(index=1, block=1, arguments='{"y":2}'),
        Stopped("tool_calls"),
        Finished(),
    )
    replies = written(events, stream=stream, size=1)
    calls = [
        (part["functionCall"]["id"], part["functionCall"]["name"], part["functionCall"]["args"])
        for reply in replies
        for part in reply["candidates"][0]["content"]["parts"]
        if "functionCall" in part
    ]
    assert calls == [("a", "f", {"x": 1}), ("b", "g", {"y": 2})]

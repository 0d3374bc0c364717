"""Converse as clients post it and upstreams answer it: heads, errors, our own answers, taps."""

import msgspec
import pytest

from archflow_plugins.dialects.bedrock_converse import BedrockConverse
from archflow_plugins.framing.aws_event_stream import CONTENT_TYPE, encode, encode_headers
from archflow_plugins.kinds import Head, Summary
from archflow_plugins.testing import run_context
from archflow_plugins.translation import Problem
from archflow_schema.errors import ClientProtocolError
from archflow_schema.events import Usage
from bedrock_oracle import read_reply, read_stream

DIALECT = BedrockConverse(None, run_context())
BODY = b'{"messages": [{"role":"user","content":[{"text":"hello you"}]}], "unknown":{"x":[1, 2]}}'
USAGE = {"inputTokens": 10, "outputTokens": 5, "totalTokens": 19, "cacheReadInputTokens": 4}
COUNTS = Usage(input_tokens=14, output_tokens=5, cached_tokens=4)


def head(stream=False):
    found = DIALECT.decode_head(BODY)
    return Head("m", stream, found.fields, found.body)


def test_model_and_streaming_are_in_the_path():
    found = DIALECT.decode_head(BODY)
    assert (found.model, found.stream, found.body) == ("", False, BODY)
    assert DIALECT.encode_head(found, "another") is BODY
    assert DIALECT.path.format(model="m") == "/model/m/converse"
    assert DIALECT.stream_path.format(model="m") == "/model/m/converse-stream"
    assert DIALECT.estimate(head()) == len("hello you") // 4
    assert DIALECT.estimate(DIALECT.decode_head(b'{"messages":1}')) >= 1


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"messages":'])
def test_what_is_no_object(body):
    with pytest.raises(ClientProtocolError):
        DIALECT.decode_head(body)


def test_our_own_answer():
    kind, data = DIALECT.encode_text(head(), "no", request_id="r")
    assert kind == "application/json"
    assert read_reply(data)["output"]["message"] == {"role": "assistant", "content": [{"text": "no"}]}
    kind, data = DIALECT.encode_text(head(stream=True), "no", request_id="r")
    assert kind == CONTENT_TYPE == DIALECT.stream_type
    assert [next(iter(event)) for event in read_stream(data)] == [
        "messageStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "ValidationException"),
        (401, "AccessDeniedException"),
        (403, "AccessDeniedException"),
        (404, "ResourceNotFoundException"),
        (413, "ValidationException"),
        (424, "ModelErrorException"),
        (429, "ThrottlingException"),
        (500, "InternalServerException"),
        (502, "ServiceUnavailableException"),
        (503, "ServiceUnavailableException"),
        (504, "ModelTimeoutException"),
    ],
)
def test_errors_are_boto3_s_exceptions(status, code):
    body = DIALECT.encode_error(status, "x", "why", request_id="r")
    assert read_reply(body, status)["Error"] == {"Message": "why", "Code": code}
    assert DIALECT.decode_error(status, body) == Problem("why", code)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b'{"message":"no"}', Problem("no")),
        (
            b'{"Message":"no","__type":"com.amazon#ThrottlingException:http://x"}',
            Problem("no", "ThrottlingException"),
        ),
        (b'{"code":"X","message":"no"}', Problem("no", "X")),
        (b'{"code":5}', Problem("Bedrock answered 418")),
        (b"<html>" + b"x" * 2000, Problem(("<html>" + "x" * 2000)[:1000])),
        (b"", Problem("Bedrock answered 418")),
        (b"\xff", Problem("\ufffd")),
    ],
)
def test_errors_of_an_upstream(body, problem):
    assert DIALECT.decode_error(418, body) == problem


@pytest.mark.parametrize(
    ("body", "summary"),
    [
        (msgspec.json.encode({"stopReason": "end_turn", "usage": USAGE}), Summary(COUNTS, "end_turn")),
        (b"{}", Summary()),
        (b'{"usage":1}', Summary()),
        (b"", Summary()),
    ],
)
def test_summaries(body, summary):
    assert DIALECT.summarise(body) == summary


def frame(name, payload):
    return encode(
        encode_headers({":event-type": name, ":message-type": "event"}), msgspec.json.encode(payload)
    )


def test_a_tap():
    data = b"".join(
        [
            frame("messageStart", {"role": "assistant"}),
            frame("contentBlockDelta", {"delta": {"text": "x" * 100}, "contentBlockIndex": 0}),
            frame("messageStop", {"stopReason": "max_tokens"}),
            frame("metadata", {"usage": USAGE, "metrics": {"latencyMs": 1}}),
        ]
    )
    for size in (1, 7, len(data)):
        tap = DIALECT.tap()
        for at in range(0, len(data), size):
            tap.feed(data[at : at + size])
        assert (tap.usage, tap.finish_reason) == (COUNTS, "max_tokens")


def test_a_tap_knows_whether_a_frame_may_follow():
    tap = DIALECT.tap()
    data = frame("ping", {"a": "\n\n"})
    seen = [tap.between]
    for portion in (data, data[:9], data[9:], data[:5], b"\n\n" * 20):
        tap.feed(portion)
        seen.append(tap.between)
    assert seen == [True, True, False, True, False, False]


def test_a_tap_gives_up_at_what_is_broken():
    tap = DIALECT.tap()
    tap.feed(frame("metadata", {"usage": "odd"}))
    tap.feed(b"not a frame at all")
    tap.feed(frame("metadata", {"usage": USAGE}))
    assert tap.usage is None

"""The dialect as a whole: our own answers, errors, and what its taps learn."""

import openai
import pytest
from msgspec import json
from openai.types.responses import Response

from archflow_plugins.dialects.openai_responses.dialect import OpenAIResponses
from archflow_plugins.dialects.openai_responses.watch import ResponsesTap
from archflow_plugins.framing import sse
from archflow_plugins.kinds import Empty, Summary
from archflow_plugins.testing import check_kind, run_context
from archflow_plugins.translation import Problem
from archflow_schema.events import Usage
from sdk_transport import canned_client

dialect = OpenAIResponses(Empty(), run_context())
USAGE = {
    "input_tokens": 10,
    "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2},
    "output_tokens": 5,
    "output_tokens_details": {"reasoning_tokens": 3},
    "total_tokens": 15,
}
TOLD = Usage(input_tokens=10, output_tokens=5, cached_tokens=4, cache_written_tokens=2, reasoning_tokens=3)
RESPONSE = {"id": "resp_1", "object": "response", "model": "gpt-x", "status": "completed", "usage": USAGE}


def client(status, content_type, body):
    """The official client, answered with these bytes."""
    return openai.OpenAI(
        api_key="k",
        base_url="http://x/v1",
        max_retries=0,
        http_client=canned_client(openai.DefaultHttpxClient, status, content_type, body),
    )


def head(**fields):
    return dialect.decode_head(json.encode({"model": "m", "input": "hi", **fields}))


def test_contract():
    check_kind(OpenAIResponses)


def test_our_own_answer():
    content_type, body = dialect.encode_text(head(), "not allowed", request_id="r1")
    assert content_type == "application/json"
    assert Response.model_validate(json.decode(body)).output_text == "not allowed"


def test_our_own_answer_as_a_stream():
    content_type, body = dialect.encode_text(head(stream=True), "not allowed", request_id="r1")
    with client(200, content_type, body).responses.stream(model="m", input="hi") as stream:
        assert stream.get_final_response().output_text == "not allowed"


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, openai.BadRequestError),
        (404, openai.NotFoundError),
        (429, openai.RateLimitError),
        (502, openai.InternalServerError),
    ],
)
def test_errors_raise_the_typed_exceptions(status, error):
    body = dialect.encode_error(status, "some_code", "that is wrong", request_id="r1")
    with pytest.raises(error, match="that is wrong") as raised:
        client(status, "application/json", body).responses.create(model="m", input="hi")
    assert raised.value.code == "some_code"


def test_an_error_in_a_stream_that_passes_by():
    (event,) = sse.Splitter().feed(dialect.encode_stream_error("upstream_timeout", "silent"))
    assert event.event == "error"
    assert json.decode(event.data) == {
        "type": "error",
        "sequence_number": 0,
        "code": "upstream_timeout",
        "message": "silent",
        "param": None,
    }


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, "stop"),
        ({"output": [{"type": "reasoning"}, {"type": "function_call"}]}, "tool_calls"),
        ({"output": [{"type": "web_search_call"}, {"type": "message"}]}, "stop"),
        ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, "length"),
        ({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, "content_filter"),
        ({"status": "failed"}, "error"),
    ],
)
def test_what_a_whole_reply_tells(fields, reason):
    assert dialect.summarise(json.encode({**RESPONSE, **fields})) == Summary(TOLD, reason, "gpt-x", "resp_1")


@pytest.mark.parametrize("body", [b"", b"[]", b'{"usage": 3}', b'{"id": 4}', b"\xff"])
def test_what_is_not_understood_tells_nothing(body):
    assert dialect.summarise(body) == Summary()


def test_what_a_stream_tells():
    tap = dialect.tap()
    assert isinstance(tap, ResponsesTap)
    started = {**RESPONSE, "status": "in_progress", "usage": None}
    for event in (
        {"type": "response.created", "response": started},
        {"type": "response.output_text.delta", "delta": 'a "response.completed" b'},
        {"type": "response.completed", "response": RESPONSE},
    ):
        tap.feed(sse.encode(json.encode(event), event["type"]))
    assert (tap.response_id, tap.response_model) == ("resp_1", "gpt-x")
    assert (tap.usage, tap.finish_reason) == (TOLD, "stop")


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (
            b'{"error":{"message":"slow down","type":"rate_limit_error","code":"rate_limit_exceeded"}}',
            Problem("slow down", "rate_limit_exceeded"),
        ),
        (
            b'{"error":{"message":"no","type":"invalid_request_error","code":null}}',
            Problem("no", "invalid_request_error"),
        ),
        (b'{"error":"gone"}', Problem("gone")),
        (b'{"error":{"message":"no","code":42}}', Problem("no", "42")),
        (b"<html>bad gateway</html>", Problem("<html>bad gateway</html>")),
        (b"", Problem("the upstream answered 502 without saying why")),
    ],
)
def test_an_upstreams_error(body, problem):
    assert dialect.decode_error(502, body) == problem

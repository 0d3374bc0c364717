"""Anthropic Messages as a kind: our own answers, errors, models, and what replies tell."""

import anthropic
import pytest
from msgspec import json

from archflow_plugins.dialects.anthropic_messages import AnthropicMessages
from archflow_plugins.framing import sse
from archflow_plugins.kinds import Empty, Summary
from archflow_plugins.testing import run_context
from archflow_plugins.translation import Problem
from archflow_schema.events import Usage
from sdk_transport import canned_client

dialect = AnthropicMessages(Empty(), run_context())


def test_summary_counts_cached_tokens_once():
    body = json.encode(
        {
            "id": "msg_1",
            "model": "claude",
            "stop_reason": "max_tokens",
            "usage": {
                "input_tokens": 10,
                "cache_read_input_tokens": 100,
                "cache_creation_input_tokens": 5,
                "output_tokens": 7,
            },
        }
    )
    assert dialect.summarise(body) == Summary(
        usage=Usage(input_tokens=115, output_tokens=7, cached_tokens=100, cache_written_tokens=5),
        finish_reason="max_tokens",
        response_model="claude",
        response_id="msg_1",
    )
    assert dialect.summarise(b"<html>") == Summary()


def stream(*events) -> bytes:
    return b"".join(sse.encode(json.encode(event), event["type"]) for event in events)


START = {
    "type": "message_start",
    "message": {
        "id": "msg_1",
        "model": "claude",
        "usage": {"input_tokens": 25, "output_tokens": 1, "cache_read_input_tokens": 5},
    },
}
TEXT = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": 'say "usage"'}}


@pytest.mark.parametrize("size", [1, 13, 4096])
def test_tap(size):
    data = stream(
        START,
        *[TEXT] * 10,
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 15}},
        {"type": "message_stop"},
    )
    tap = dialect.tap()
    for at in range(0, len(data), size):
        tap.feed(data[at : at + size])
    assert tap.usage == Usage(input_tokens=30, output_tokens=15, cached_tokens=5)
    assert (tap.finish_reason, tap.response_id, tap.response_model) == ("end_turn", "msg_1", "claude")


def test_tap_of_an_upstream_that_counts_at_the_end():
    tap = dialect.tap()
    tap.feed(
        stream(
            {
                "type": "message_start",
                "message": {"id": "m", "usage": {"input_tokens": 0, "output_tokens": 0}},
            },
            {"type": "message_delta", "delta": {}, "usage": {"input_tokens": 12, "output_tokens": 3}},
        )
    )
    assert tap.usage == Usage(input_tokens=12, output_tokens=3)


def test_tap_passes_over_garbage():
    tap = dialect.tap()
    tap.feed(b'data: {"usage": broken\n\ndata: [1,"usage"]\n\n' + stream(START))
    assert tap.response_id == "msg_1"


def client(status: int, content_type: str, body: bytes) -> anthropic.Anthropic:
    """The official client, whose transport answers with these bytes."""
    return anthropic.Anthropic(
        api_key="x",
        base_url="http://gateway.test",
        max_retries=0,
        http_client=canned_client(anthropic.DefaultHttpxClient, status, content_type, body),
    )


QUESTION = {"model": "claude", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize(
    ("status", "expected", "kind"),
    [
        (400, anthropic.BadRequestError, "invalid_request_error"),
        (401, anthropic.AuthenticationError, "authentication_error"),
        (403, anthropic.PermissionDeniedError, "permission_error"),
        (404, anthropic.NotFoundError, "not_found_error"),
        (413, anthropic.APIStatusError, "request_too_large"),
        (429, anthropic.RateLimitError, "rate_limit_error"),
        (502, anthropic.InternalServerError, "api_error"),
        (504, anthropic.InternalServerError, "timeout_error"),
        (415, anthropic.APIStatusError, "invalid_request_error"),
        (402, anthropic.APIStatusError, "billing_error"),
        (409, anthropic.ConflictError, "conflict_error"),
        (500, anthropic.InternalServerError, "api_error"),
        (529, anthropic.InternalServerError, "overloaded_error"),
    ],
)
def test_errors_raise_the_typed_exceptions(status, expected, kind):
    body = dialect.encode_error(status, "some_code", "the text", request_id="r1")
    assert json.decode(body) == {
        "type": "error",
        "error": {"type": kind, "message": "the text"},
        "request_id": "r1",
    }
    with client(status, "application/json", body) as sdk, pytest.raises(expected, match="the text"):
        sdk.messages.create(**QUESTION)


def test_error_in_mid_stream_raises():
    body = stream(START) + dialect.encode_stream_error("upstream_timeout", "the upstream fell silent")
    with (
        client(200, "text/event-stream", body) as sdk,
        pytest.raises(anthropic.APIError, match="the upstream fell silent"),
    ):
        list(sdk.messages.create(**QUESTION, stream=True))


def test_own_answer_is_parsed():
    content_type, body = dialect.encode_text(dialect.decode_head(b'{"model":"m"}'), "no", request_id="r1")
    with client(200, content_type, body) as sdk:
        reply = sdk.messages.create(**QUESTION)
    assert reply.content[0].text == "no"
    assert reply.stop_reason == "end_turn"


def test_own_stream_is_parsed():
    head = dialect.decode_head(b'{"model":"m","stream":true}')
    content_type, body = dialect.encode_text(head, "no", request_id="r1")
    with client(200, content_type, body) as sdk, sdk.messages.stream(**QUESTION) as events:
        assert events.get_final_text() == "no"
        assert events.get_final_message().stop_reason == "end_turn"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("upstream_timeout", "timeout_error"),
        ("upstream_overloaded", "overloaded_error"),
        ("upstream_rate_limit", "rate_limit_error"),
        ("upstream_failed", "api_error"),
    ],
)
def test_kinds_of_errors_in_mid_stream(code, kind):
    (event,) = sse.Splitter().feed(dialect.encode_stream_error(code, "the text"))
    assert event.event == "error"
    assert json.decode(event.data) == {"type": "error", "error": {"type": kind, "message": "the text"}}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"r"}',
            Problem("Overloaded", "overloaded_error"),
        ),
        (b'{"error":{"message":"no"}}', Problem("no")),
        (b"<html>bad gateway</html>", Problem("<html>bad gateway</html>")),
        (b'{"error":"no"}', Problem('{"error":"no"}')),
        (b"", Problem("the upstream answered 502 without a word")),
        (b"x" * 5000, Problem("x" * 2000)),
    ],
)
def test_errors_of_an_upstream(body, expected):
    assert dialect.decode_error(502, body) == expected


def test_models_are_listed_in_anthropics_form():
    with client(200, "application/json", dialect.encode_models(["a", "b/c"])) as sdk:
        page = sdk.models.list()
    assert [model.id for model in page.data] == ["a", "b/c"]
    assert (page.has_more, page.first_id, page.last_id) == (False, "a", "b/c")
    for model in page.data:
        anthropic.types.ModelInfo.model_validate(model.model_dump(), strict=False)
    with client(200, "application/json", dialect.encode_model("a")) as sdk:
        assert sdk.models.retrieve("a").display_name == "a"
    assert json.decode(dialect.encode_models([])) == {
        "data": [],
        "has_more": False,
        "first_id": None,
        "last_id": None,
    }


def test_a_ping_between_events_is_passed_over_by_clients():
    head = dialect.decode_head(b'{"model":"m","stream":true}')
    _, body = dialect.encode_text(head, "no", request_id="r1")
    first, rest = body.split(b"\n\n", 1)
    body = first + b"\n\n" + dialect.ping + rest
    with client(200, "text/event-stream", body) as sdk, sdk.messages.stream(**QUESTION) as events:
        assert events.get_final_text() == "no"

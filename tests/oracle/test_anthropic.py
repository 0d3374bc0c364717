"""The official anthropic client, unchanged, through a running archrun to a provider of its own dialect."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import pytest

from oracle.conftest import Side
from process.harness import KEY, PATIENCE
from process.upstream import gated

pytestmark = pytest.mark.process

HELLO: Any = [{"role": "user", "content": "Hello there"}]


@pytest.fixture
def client(side: Side) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(
        base_url=side.url, api_key="of-the-client", max_retries=0, timeout=PATIENCE
    ) as client:
        yield client


def test_a_plain_message(side: Side, client: anthropic.Anthropic) -> None:
    reply = client.messages.create(model="anthropic/claude-sonnet-4", max_tokens=64, messages=HELLO)
    assert reply.content[0].type == "text"
    assert reply.content[0].text == "claude-sonnet-4 heard: Hello there"
    assert reply.stop_reason == "end_turn"
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (2, 4)
    sent = side.upstream.last
    assert sent.path == "/v1/messages"
    assert sent.headers["x-api-key"] == KEY
    assert sent.headers["anthropic-version"] == "2023-06-01"
    assert "of-the-client" not in str(sent.headers)


def test_a_stream(client: anthropic.Anthropic) -> None:
    with client.messages.stream(model="anthropic/claude-sonnet-4", max_tokens=64, messages=HELLO) as stream:
        assert "".join(stream.text_stream) == "claude-sonnet-4 heard: Hello there"
        final = stream.get_final_message()
    assert final.stop_reason == "end_turn"
    assert final.usage.output_tokens == 4


def test_each_event_arrives_before_the_next_is_sent(side: Side, client: anthropic.Anthropic) -> None:
    side.upstream.script = gated
    side.upstream.step()
    kinds = []
    stream = client.messages.create(
        model="anthropic/claude-sonnet-4", max_tokens=64, messages=HELLO, stream=True
    )
    with stream:
        for event in stream:
            kinds.append(event.type)
            side.upstream.step()
    deltas = ["content_block_delta"] * 4
    end = ["content_block_stop", "message_delta", "message_stop"]
    assert kinds == ["message_start", "content_block_start", *deltas, *end]


def test_fields_that_we_do_not_know_survive(side: Side, client: anthropic.Anthropic) -> None:
    client.messages.create(
        model="anthropic/claude-sonnet-4",
        max_tokens=64,
        messages=HELLO,
        system="Be kind.",
        extra_body={"x_new_field": [1, {"a": None}]},
    )
    sent = side.upstream.last.json
    assert sent["x_new_field"] == [1, {"a": None}]
    assert sent["system"] == "Be kind."
    assert sent["model"] == "claude-sonnet-4"


def test_the_clients_beta_header_goes_through(side: Side, client: anthropic.Anthropic) -> None:
    beta = {"anthropic-beta": "context-1m-2025-08-07"}
    client.messages.create(
        model="anthropic/claude-sonnet-4", max_tokens=64, messages=HELLO, extra_headers=beta
    )
    assert side.upstream.last.headers["anthropic-beta"] == "context-1m-2025-08-07"


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, anthropic.BadRequestError),
        (401, anthropic.AuthenticationError),
        (403, anthropic.PermissionDeniedError),
        (404, anthropic.NotFoundError),
        (429, anthropic.RateLimitError),
        (500, anthropic.InternalServerError),
        (529, anthropic.InternalServerError),
    ],
)
def test_an_upstream_error_comes_back_as_it_is(
    client: anthropic.Anthropic, status: int, error: type[anthropic.APIStatusError]
) -> None:
    with pytest.raises(error) as caught:
        client.messages.create(model=f"anthropic/status-{status}", max_tokens=64, messages=HELLO)
    assert caught.value.status_code == status
    assert f"you asked for status {status}" in caught.value.message


def test_a_model_that_nobody_serves_is_an_error_of_this_dialect(client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.NotFoundError) as caught:
        client.messages.create(model="nobody/nothing", max_tokens=64, messages=HELLO)
    body = caught.value.body
    assert isinstance(body, dict)
    assert body["type"] == "error"
    assert body["error"]["type"] == "not_found_error"


def test_a_body_that_is_too_large(client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.APIStatusError) as caught:
        client.messages.create(
            model="anthropic/claude-sonnet-4",
            max_tokens=64,
            messages=[{"role": "user", "content": "x" * 70_000}],
        )
    assert caught.value.status_code == 413
    body = caught.value.body
    assert isinstance(body, dict)
    assert body["error"]["type"] == "request_too_large"


def test_a_client_that_leaves_a_stream_is_seen_by_the_upstream(
    side: Side, client: anthropic.Anthropic
) -> None:
    side.upstream.script = gated
    side.upstream.step()
    stream = client.messages.create(
        model="anthropic/claude-sonnet-4", max_tokens=64, messages=HELLO, stream=True
    )
    next(iter(stream))
    stream.close()
    assert side.upstream.last.closed.wait(PATIENCE), "the upstream was left alone"

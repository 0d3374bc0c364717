"""The official openai client, unchanged, through a running archrun: it must not notice the difference."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest

from oracle.conftest import Side
from process.harness import KEY, PATIENCE, eventually
from process.upstream import gated

pytestmark = pytest.mark.process

HELLO: Any = [{"role": "user", "content": "Hello there"}]


@pytest.fixture
def client(side: Side) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        base_url=f"{side.url}/v1", api_key="of-the-client", max_retries=0, timeout=PATIENCE
    ) as client:
        yield client


def test_a_plain_completion(side: Side, client: openai.OpenAI) -> None:
    reply = client.chat.completions.create(model="openai/gpt-4o", messages=HELLO)
    assert reply.choices[0].message.content == "gpt-4o heard: Hello there"
    assert reply.choices[0].finish_reason == "stop"
    assert reply.usage is not None
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (2, 4)
    assert reply._request_id == "req_upstream"
    assert side.upstream.last.path == "/v1/chat/completions"
    assert side.upstream.last.headers["authorization"] == f"Bearer {KEY}"


def test_what_a_router_decided(client: openai.OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(model="none", messages=HELLO)
    assert raw.headers["x-arch-route"] == "code"
    assert raw.headers["x-arch-model"] == "openai/gpt-4o"
    assert raw.headers["x-arch-route-reason"] == "static"
    assert len(raw.headers["x-arch-decision-id"]) == 16
    assert raw.parse().choices[0].message.content == "gpt-4o heard: Hello there"


def test_a_stream(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model="openai/gpt-4o", messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == "gpt-4o heard: Hello there"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 6
    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason] == [
        "stop"
    ]


def test_each_event_arrives_before_the_next_is_sent(side: Side, client: openai.OpenAI) -> None:
    side.upstream.script = gated
    side.upstream.step()
    pieces = []
    with client.chat.completions.create(model="openai/gpt-4o", messages=HELLO, stream=True) as stream:
        for chunk in stream:
            pieces.append(chunk.choices[0].delta.content or "")
            side.upstream.step()
    assert pieces == ["", "gpt-4o", " heard:", " Hello", " there", ""]


def test_fields_that_we_do_not_know_survive_both_ways(side: Side, client: openai.OpenAI) -> None:
    extra = {"reasoning_effort": "low", "x_new_field": {"deep": [1, 2.50, None, "ü"]}}
    reply = client.chat.completions.create(model="openai/gpt-4o", messages=HELLO, extra_body=extra)
    sent = side.upstream.last.json
    assert {name: sent[name] for name in extra} == extra
    assert b'"x_new_field":{"deep":[1,2.5,null,"' in side.upstream.last.body.replace(b" ", b"")
    assert reply.model == "gpt-4o"


def test_an_unknown_field_of_the_reply_survives(side: Side, client: openai.OpenAI) -> None:
    from process.upstream import Answer

    body = b'{"id":"1","object":"chat.completion","created":1,"model":"m","choices":[],"x_vendor":{"a":[1]}}'
    side.upstream.script = lambda _: Answer(body=body)
    reply = client.chat.completions.with_raw_response.create(model="openai/gpt-4o", messages=HELLO)
    assert reply.content == body


def test_a_model_by_its_bare_id_and_by_default(side: Side, client: openai.OpenAI) -> None:
    client.chat.completions.create(model="mistral/limited", messages=HELLO)
    assert side.upstream.last.json["model"] == "limited"
    client.chat.completions.create(model="limited", messages=HELLO)
    assert side.upstream.last.json["model"] == "limited"
    client.post("/chat/completions", body={"model": "default", "messages": HELLO}, cast_to=object)
    assert side.upstream.last.json["model"] == "limited"


def test_the_hint_header_decides(side: Side, client: openai.OpenAI) -> None:
    hint = {"x-arch-llm-provider-hint": "mistral/limited"}
    client.chat.completions.create(model="openai/gpt-4o", messages=HELLO, extra_headers=hint)
    assert side.upstream.last.json["model"] == "limited"
    assert "x-arch-llm-provider-hint" not in side.upstream.last.headers


def test_the_list_of_models(client: openai.OpenAI) -> None:
    listed = [model.id for model in client.models.list()]
    assert "mistral/limited" in listed
    assert "fast.v1" in listed


def test_embeddings(side: Side, client: openai.OpenAI) -> None:
    reply = client.embeddings.create(model="openai/embed", input=["one two"], encoding_format="float")
    assert reply.data[0].embedding == [7.0, 2.0, 3.0]
    assert side.upstream.last.path == "/v1/embeddings"
    assert side.upstream.last.json["model"] == "embed"


def test_a_legacy_completion(side: Side, client: openai.OpenAI) -> None:
    reply = client.completions.create(model="openai/babbage", prompt="once upon")
    assert reply.choices[0].text == "babbage heard: once upon"
    assert side.upstream.last.path == "/v1/completions"


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError),
        (409, openai.ConflictError),
        (422, openai.UnprocessableEntityError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
    ],
)
def test_an_upstream_error_comes_back_as_it_is(
    client: openai.OpenAI, status: int, error: type[openai.APIStatusError]
) -> None:
    with pytest.raises(error) as caught:
        client.chat.completions.create(model=f"openai/status-{status}", messages=HELLO)
    assert caught.value.status_code == status
    assert f"you asked for status {status}" in caught.value.message
    assert caught.value.request_id == "req_upstream"
    assert caught.value.response.headers.get("retry-after") == ("7" if status == 429 else None)


def test_a_model_that_nobody_serves(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="mistral/limted", messages=HELLO)
    assert caught.value.code == "model_not_found"
    assert "mistral/limited" in caught.value.message


def test_a_body_that_is_too_large(client: openai.OpenAI) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(
            model="openai/gpt-4o", messages=[{"role": "user", "content": "x" * 70_000}]
        )
    assert caught.value.status_code == 413
    assert (
        "65536" in caught.value.message.replace(",", "").replace("_", "") or "64 KiB" in caught.value.message
    )


def test_a_request_without_messages_is_the_upstreams_business(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.post("/chat/completions", body={"model": "openai/gpt-4o"}, cast_to=object)
    assert "status 400" in caught.value.message


def test_a_body_that_is_no_json(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.post("/chat/completions", content=b'{"model": ', cast_to=object)
    assert caught.value.type == "invalid_request_error"


def test_an_upstream_that_is_down(client: openai.OpenAI) -> None:
    with pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(model="fast.v1", messages=HELLO)
    assert caught.value.status_code == 502


def test_a_rate_limit_says_when_to_come_back(client: openai.OpenAI) -> None:
    red = {"x-arch-ratelimit-selector": "x-team", "x-team": "red"}
    blue = {"x-arch-ratelimit-selector": "x-team", "x-team": "blue"}

    def ask_ten_times(headers: dict[str, str]) -> None:
        for _ in range(10):
            client.chat.completions.create(model="mistral/limited", messages=HELLO, extra_headers=headers)

    with pytest.raises(openai.RateLimitError) as caught:  # 6 tokens each, 40 an hour
        ask_ten_times(red)
    assert int(caught.value.response.headers["retry-after"]) > 0
    ask_ten_times(blue)


def test_a_client_that_leaves_a_stream_is_seen_by_the_upstream(side: Side, client: openai.OpenAI) -> None:
    side.upstream.script = gated
    side.upstream.step()
    stream = client.chat.completions.create(model="openai/gpt-4o", messages=HELLO, stream=True)
    next(iter(stream))
    stream.close()
    assert side.upstream.last.closed.wait(PATIENCE), "the upstream was left alone"


def test_a_client_that_does_not_wait_for_a_reply_is_seen_by_the_upstream(
    side: Side, client: openai.OpenAI
) -> None:
    side.upstream.script = gated
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=0.3).chat.completions.create(model="openai/gpt-4o", messages=HELLO)
    eventually(lambda: side.upstream.received, "the upstream was asked")
    assert side.upstream.last.closed.wait(PATIENCE), "the upstream was left alone"

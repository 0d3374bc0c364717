"""What the official client makes of our errors and answers, without a network."""

import openai
import pytest

from archflow_plugins.dialects.openai_chat import OpenAIChat
from archflow_plugins.dialects.openai_completions import OpenAICompletions
from archflow_plugins.kinds import Empty
from archflow_plugins.testing import run_context
from sdk_transport import canned_client

chat = OpenAIChat(Empty(), run_context())
completions = OpenAICompletions(Empty(), run_context())


def client(status: int, content_type: str, body: bytes) -> openai.OpenAI:
    """The official client, whose transport answers with these bytes."""
    return openai.OpenAI(
        api_key="x",
        base_url="http://gateway.test/v1",
        max_retries=0,
        http_client=canned_client(openai.DefaultHttpxClient, status, content_type, body),
    )


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError),
        (429, openai.RateLimitError),
        (502, openai.InternalServerError),
    ],
)
def test_errors_raise_the_typed_exceptions(status, expected):
    body = chat.encode_error(status, "some_code", "the text", request_id="r1")
    with client(status, "application/json", body) as sdk, pytest.raises(expected, match="the text") as raised:
        sdk.chat.completions.create(model="m", messages=[])
    assert raised.value.code == "some_code"


def test_error_in_mid_stream_raises():
    head = chat.decode_head(b'{"model":"m","stream":true}')
    body = chat.encode_text(head, "partial", request_id="r1")[1].removesuffix(b"data: [DONE]\n\n")
    body += chat.encode_stream_error("upstream_timeout", "the upstream fell silent")
    with client(200, "text/event-stream", body) as sdk:
        stream = sdk.chat.completions.create(model="m", messages=[], stream=True)
        with pytest.raises(openai.APIError, match="the upstream fell silent"):
            list(stream)


def test_own_answers_are_parsed():
    content_type, body = chat.encode_text(chat.decode_head(b'{"model":"m"}'), "no", request_id="r1")
    with client(200, content_type, body) as sdk:
        reply = sdk.chat.completions.create(model="m", messages=[])
    assert reply.choices[0].message.content == "no"
    assert reply.choices[0].finish_reason == "stop"


def test_own_streams_are_parsed():
    head = chat.decode_head(b'{"model":"m","stream":true,"stream_options":{"include_usage":true}}')
    content_type, body = chat.encode_text(head, "no", request_id="r1")
    with client(200, content_type, body) as sdk:
        chunks = list(sdk.chat.completions.create(model="m", messages=[], stream=True))
    assert "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices) == "no"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 0


def test_own_completions_are_parsed():
    content_type, body = completions.encode_text(
        completions.decode_head(b'{"model":"m"}'), "no", request_id="r1"
    )
    with client(200, content_type, body) as sdk:
        assert sdk.completions.create(model="m", prompt="x").choices[0].text == "no"

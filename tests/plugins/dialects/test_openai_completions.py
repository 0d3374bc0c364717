"""OpenAI Completions."""

import pytest
from msgspec import json

from archflow_plugins.dialects.openai_completions import OpenAICompletions
from archflow_plugins.kinds import Empty
from archflow_plugins.testing import run_context
from archflow_schema.conversation import OpaquePart
from archflow_schema.errors import ClientProtocolError
from archflow_schema.events import Usage

dialect = OpenAICompletions(Empty(), run_context())


def decode(**fields):
    return dialect.decode(dialect.decode_head(json.encode({"model": "m", **fields})))


def test_prompt_forms():
    assert [message.text for message in decode(prompt="a").messages] == ["a"]
    assert [message.text for message in decode(prompt=["a", "b"]).messages] == ["a", "b"]
    assert decode().messages == ()
    assert decode(prompt=[]).messages == ()


@pytest.mark.parametrize("prompt", [[1, 2, 3], [[1, 2], [3]]])
def test_tokens_stay_opaque(prompt):
    (message,) = decode(prompt=prompt).messages
    (part,) = message.parts
    assert isinstance(part, OpaquePart)
    assert (part.kind, json.decode(part.raw)) == ("tokens", prompt)


def test_other_fields_are_extras():
    assert [name for name, _ in decode(prompt="a", suffix="b").extras] == ["suffix"]


def test_a_prompt_of_another_type_is_refused():
    with pytest.raises(ClientProtocolError, match="`prompt` must be a string"):
        decode(prompt=1)


def test_own_answer():
    head = dialect.decode_head(b'{"model":"m","prompt":"a"}')
    content_type, body = dialect.encode_text(head, "no", request_id="r1")
    reply = json.decode(body)
    assert content_type == "application/json"
    assert (reply["object"], reply["choices"][0]["text"]) == ("text_completion", "no")
    assert dialect.summarise(body).finish_reason == "stop"


@pytest.mark.parametrize(("options", "usage"), [({}, None), ({"include_usage": True}, Usage())])
def test_own_answer_streamed(options, usage):
    head = dialect.decode_head(
        json.encode({"model": "m", "prompt": "a", "stream": True, "stream_options": options})
    )
    content_type, body = dialect.encode_text(head, "no", request_id="r1")
    assert content_type == "text/event-stream"
    assert body.endswith(b"data: [DONE]\n\n")
    tap = dialect.tap()
    tap.feed(body)
    assert (tap.finish_reason, tap.usage) == ("stop", usage)

"""Counting tokens without asking anybody: everything that a model reads counts."""

import base64

import anthropic
import pytest
from msgspec import json

from archflow_plugins.dialects.anthropic_messages import AnthropicCountTokens
from archflow_plugins.kinds import Empty
from archflow_plugins.testing import run_context
from archflow_schema.errors import ClientProtocolError
from sdk_transport import canned_client

dialect = AnthropicCountTokens(Empty(), run_context())
HI = {"role": "user", "content": "hi there"}
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A" * 40_000}}
PAGES = b"1 0 obj <</Type /Pages>> 2 0 obj <</Type /Page>> 3 0 obj <</Type/Page /X 1>> endobj"


def count(*blocks, **fields):
    messages = [{"role": "user", "content": list(blocks)}] if blocks else [HI]
    body = json.encode({"model": "m", "messages": messages, **fields})
    return json.decode(dialect.answer(dialect.decode_head(body)))["input_tokens"]


def document(kind, **source):
    return {"type": "document", "source": {"type": kind, **source}}


@pytest.mark.parametrize(
    ("block", "tokens"),
    [
        ({"type": "text", "text": "x" * 400}, 100),
        ({"type": "text", "text": "ü" * 400}, 200),
        (IMAGE, 1600),
        ({"type": "image", "source": {"type": "file", "file_id": "f"}}, 1600),
        (document("url", url="https://x/a.pdf"), 3100),
        (document("file", file_id="f"), 3100),
        (document("text", media_type="text/plain", data="x" * 400), 100),
        (document("base64", media_type="application/pdf", data="AAAA"), 3100),
        (document("base64", media_type="application/pdf", data="A"), 3100),
        (document("base64", media_type="application/pdf", data=base64.b64encode(PAGES).decode()), 6200),
        ({"type": "tool_use", "id": "t", "name": "f", "input": {"a": "x" * 400}}, 102),
        (
            {
                "type": "tool_result",
                "tool_use_id": "t",
                "content": [{"type": "text", "text": "x" * 400}, IMAGE],
            },
            1700,
        ),
        ({"type": "thinking", "thinking": "x" * 400, "signature": "s" * 4000}, 100),
        ({"type": "redacted_thinking", "data": "s" * 400}, 100),
    ],
)
def test_every_block_counts(block, tokens):
    assert count(block) == tokens


def test_everything_around_the_messages_counts():
    tool = {"name": "f" * 40, "description": "d" * 160, "input_schema": {"type": "object", "x": "y" * 177}}
    search = {"type": "web_search_20250305", "name": "w" * 360}
    form = {"format": {"type": "json_schema", "schema": {"x": "y" * 392}}}
    assert count() == 2
    assert count(system="x" * 400) == 102
    assert count(tools=[tool]) == 102
    assert count(tools=[search]) >= 100
    assert count(output_config=form) == 102


def test_an_empty_request_has_a_token():
    assert count(messages=[]) == 1


def test_what_is_no_request():
    with pytest.raises(ClientProtocolError, match="`messages"):
        count(messages=[{"role": "nobody", "content": ""}])


def test_the_official_client_reads_it():
    body = json.encode({"model": "m", "messages": [HI]})
    answer = dialect.answer(dialect.decode_head(body))
    http = canned_client(anthropic.DefaultHttpxClient, 200, "application/json", answer)
    with anthropic.Anthropic(api_key="x", base_url="http://gateway.test", http_client=http) as sdk:
        assert sdk.messages.count_tokens(model="m", messages=[HI]).input_tokens == 2


def test_as_a_kind():
    head = dialect.decode_head(json.encode({"model": "m", "messages": [HI]}))
    assert dialect.estimate(head) == 1
    assert dialect.encode_text(head, "no", request_id="r") == ("application/json", b'{"input_tokens":2}')
    assert not dialect.translates
    assert not dialect.models_path

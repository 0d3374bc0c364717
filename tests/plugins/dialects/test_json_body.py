"""What all JSON dialects share: the head of a request."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import json

from archflow_plugins.dialects.openai_chat import OpenAIChat
from archflow_plugins.kinds import Empty
from archflow_plugins.testing import run_context
from archflow_schema.errors import ClientProtocolError

dialect = OpenAIChat(Empty(), run_context())


def test_head_reads_model_and_stream_only():
    head = dialect.decode_head(b'{"model":"gpt-4o","stream":true,"messages":"anything"}')
    assert (head.model, head.stream) == ("gpt-4o", True)
    assert bytes(head.fields["messages"]) == b'"anything"'


@pytest.mark.parametrize("body", [b"{}", b'{"model":null,"stream":null}', b'{"model":"","stream":false}'])
def test_absent_and_null_are_the_same(body):
    head = dialect.decode_head(body)
    assert (head.model, head.stream) == ("", False)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"", "the request body is empty"),
        (b" \n", "the request body is empty"),
        (b'{"model":', "it ends too early, after 9 bytes"),
        (b'{"model":"x"', "it ends too early"),
        (b'{\n  "model": "x",\n  "stream": tru\n}', "invalid character at line 3, column 14 (byte 31)"),
        (b'{"a":1} x', "trailing characters at line 1, column 10 (byte 9)"),
        (b"[1]", "must be a JSON object: expected `object`, got `array`"),
        (b'"x"', "must be a JSON object"),
        (b'{"\xff":1}', "not UTF-8"),
        (b'{"model":1}', "`model` must be a string"),
        (b'{"model":["x"]}', "`model` must be a string"),
        (b'{"model":"\\ud800"}', "the UTF-16 escape at byte 10 lacks its other half"),
        (b'{"model":"x","a":"\\ud83d","b":1}', "the UTF-16 escape at byte 18 lacks its other half"),
        (b'{"a":"\\ud83d\\ude00 \\\\ud83d \\uDE00"}', "the UTF-16 escape at byte 27 lacks its other half"),
        (b'{"a":"\\ud83d\\ude00 \\\\ud83d"', "it ends too early"),
        (b'{"model":"\xff"}', "`model` must be a string"),
        (b'{"stream":"yes"}', "`stream` must be true or false"),
        (b'{"stream":1}', "`stream` must be true or false"),
        (b'{"a":' + b"[" * 200_000, "nested too deeply"),
        (b'{"a":' * 200_000, "nested too deeply"),
        (b"\xef\xbb\xbf{}", "invalid character at line 1, column 1 (byte 0)"),
    ],
)
def test_bad_bodies_are_explained(body, complaint):
    with pytest.raises(ClientProtocolError) as raised:
        dialect.decode_head(body)
    assert complaint in str(raised.value)


def test_same_model_returns_the_very_bytes():
    body = b'{ "model" : "a", "x": 1.50 }'
    assert dialect.encode_head(dialect.decode_head(body), "a") is body


def test_another_model_keeps_every_other_byte():
    body = b'{"unknown":{"a": [1.50,  "\\u00e9"]},"model":"a","n":1e2}'
    head = dialect.decode_head(body)
    assert (
        dialect.encode_head(head, 'b"\n')
        == b'{"unknown":{"a": [1.50,  "\\u00e9"]},"model":"b\\"\\n","n":1e2}'
    )
    assert head.model == "a"
    assert bytes(head.fields["model"]) == b'"a"'


def test_a_model_is_added_where_none_was():
    assert dialect.encode_head(dialect.decode_head(b'{"n":1}'), "b") == b'{"n":1,"model":"b"}'


@pytest.mark.parametrize(
    ("body", "tokens"),
    [
        (b'{"messages":[{"role":"user","content":"' + b"x" * 400 + b'"}]}', 100),
        (b'{"messages":[{"role":"user","content":"' + "é".encode() * 200 + b'"}]}', 100),
        (b'{"messages":[]}', 1),
        (b'{"messages":"' + b"x" * 385 + b'"}', 100),
        (
            b'{"messages":[{"role":"user","content":[{"type":"text","text":"'
            + b"x" * 40
            + b'"},{"type":"image_url",'
            b'"image_url":{"url":"data:' + b"x" * 4000 + b'"}}]}]}',
            10,
        ),
    ],
)
def test_estimate_counts_text_not_images(body, tokens):
    assert dialect.estimate(dialect.decode_head(body)) == tokens


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=200)
@given(st.dictionaries(st.text(max_size=5), JSON, max_size=5), st.text(), st.text())
def test_changing_the_model_changes_nothing_else(fields, model, other):
    body = json.encode({**fields, "model": model, "stream": False})
    changed = json.decode(dialect.encode_head(dialect.decode_head(body), other))
    assert changed == {**json.decode(body), "model": other}


@settings(max_examples=300)
@given(
    st.binary(max_size=60)
    | JSON.map(json.encode)
    | st.text(alphabet='{}[]",:\\u0ntf1 ', max_size=30).map(str.encode)
)
def test_any_bytes_are_a_head_or_a_protocol_error(body):
    with contextlib.suppress(ClientProtocolError):
        head = dialect.decode_head(body)
        assert dialect.estimate(head) > 0
        dialect.decode(head)

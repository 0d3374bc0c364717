"""OpenAI Embeddings."""

import pytest
from msgspec import json

from archflow_plugins.dialects.openai_embeddings import OpenAIEmbeddings
from archflow_plugins.kinds import Empty
from archflow_plugins.testing import run_context
from archflow_schema.errors import ClientProtocolError
from archflow_schema.events import Usage

dialect = OpenAIEmbeddings(Empty(), run_context())


def decode(**fields):
    return dialect.decode(dialect.decode_head(json.encode({"model": "m", **fields})))


def test_inputs():
    assert [message.text for message in decode(input=["a", "b"]).messages] == ["a", "b"]
    assert [name for name, _ in decode(input="a", dimensions=3).extras] == ["dimensions"]


@pytest.mark.parametrize(("fields", "complaint"), [({}, "lacks `input`"), ({"input": {}}, "`input` must be")])
def test_without_an_input_it_is_no_request(fields, complaint):
    with pytest.raises(ClientProtocolError, match=complaint):
        decode(**fields)


def test_reply():
    told = dialect.summarise(
        b'{"object":"list","data":[{"embedding":[0.1]}],"model":"m","usage":{"prompt_tokens":8,"total_tokens":8}}'
    )
    assert (told.usage, told.response_model) == (Usage(input_tokens=8), "m")


def test_words_are_no_embedding():
    with pytest.raises(ClientProtocolError, match="not this one"):
        dialect.encode_text(dialect.decode_head(b'{"input":"a"}'), "not this one", request_id="r1")

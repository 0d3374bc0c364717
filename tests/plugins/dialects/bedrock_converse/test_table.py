"""The table's samples are requests of Converse, and so is what they become: botocore says so."""

import msgspec
import pytest

from archflow_plugins.dialects.bedrock_converse import BedrockConverse
from archflow_plugins.dialects.bedrock_converse.table import MINIMAL, PLACES
from archflow_plugins.kinds import Head
from archflow_plugins.testing import run_context
from archflow_plugins.translation import Sent
from bedrock_oracle import check_request

DIALECT = BedrockConverse(None, run_context())
SAMPLES = {name: place.sample for name, place in PLACES.items() if isinstance(place, Sent)}


@pytest.mark.parametrize("name", SAMPLES)
def test_samples(name):
    body = {**msgspec.json.decode(MINIMAL), **msgspec.json.decode(SAMPLES[name])}
    check_request(body)
    head = DIALECT.decode_head(msgspec.json.encode(body))
    said = DIALECT.decode(Head("m", True, head.fields, head.body))
    for model in (
        "anthropic.claude-opus-4-7",
        "amazon.nova-2-lite-v1:0",
        "openai.gpt-oss-120b-1:0",
        "meta.llama",
    ):
        check_request(msgspec.json.decode(DIALECT.encode(said, model).body), stream=True)

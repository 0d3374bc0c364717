import pytest

from archflow_compiler.explain.words import text
from compiling import HEAD, MODEL, graph

LIMITED = (
    HEAD + MODEL + "ratelimits: [{model: gpt-4o, selector: {key: x-user}, limit: {tokens: 7, unit: hour}}]\n"
)


@pytest.fixture(scope="module")
def found():
    return graph(LIMITED)


def test_every_node_and_outcome_is_named(found):
    said = text(found, "abc")
    for words in (
        "sha256 abc",
        "listener llm: model, http://0.0.0.0:12000",
        "unknown -> reply 404 model_not_found",
        "7 tokens per hour for each x-user",
        "timeout -> reply 504 upstream_timeout",
        "streaming -> the client",
        "key $OPENAI_API_KEY",
    ):
        assert words in said

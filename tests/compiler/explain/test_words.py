import pytest
from msgspec import structs

from archflow_compiler.explain.words import text
from archflow_schema.graph import LocalModel
from compiling import HEAD, MODEL, graph

LIMITED = (
    HEAD + MODEL + "ratelimits: [{model: gpt-4o, selector: {key: x-user}, limit: {tokens: 7, unit: hour}}]\n"
)


@pytest.fixture(scope="module")
def found():
    return graph(LIMITED)


def test_local_models_are_shown_with_what_they_cost(found):
    models = (LocalModel("minilm", "5aef" * 16, "int8", 1, 24_000_000),)
    said = text(structs.replace(found, models=models))
    assert "local model minilm: int8, 24 MB in each worker, sha256 5aef5aef5aef5aef, conversion 1" in said


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

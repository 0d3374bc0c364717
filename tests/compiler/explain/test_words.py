import pytest
from msgspec import structs

from archflow_compiler.explain.words import text
from archflow_plugins.registry import Registry
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
    assert "local model minilm: int8, 24 MB in each worker, sha256 5aef5aef5aef, conversion 1" in said


def test_nodes_are_told_in_the_order_in_which_they_are_walked():
    guards = "guards: [{kind: regex, deny: [x]}, {kind: pii, find: [card, email]}]"
    said = text(graph(HEAD.replace("type: model", f"type: model, {guards}") + MODEL))
    places = [
        said.index(f"\n{name}: ")
        for name in ("guard regex", "guard pii", "route llm", "dispatch openai/gpt-4o")
    ]
    assert places == sorted(places)
    assert "guard pii: guard.pii, find [card, email], " in said


def test_no_name_is_both_unknown_and_refused():
    said = text(graph(HEAD + MODEL.replace("}", ", default: true}") + "routing: {unknown_model: default}\n"))
    assert "unknown models become openai/gpt-4o\n" in said
    assert "unknown -> dispatch openai/gpt-4o" in said
    assert "404" not in said


def test_every_path_is_told_where_the_dialects_are_known(found):
    said = text(found, dialects=Registry.load().dialects())
    for words in (
        "/model/{model}/converse-stream                the same, streamed",
        "/openai/v1/chat/completions                   the same",
        "/v1beta/models                                lists the same",
    ):
        assert f"  {words}\n" in said
    assert "the same" not in text(found)


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

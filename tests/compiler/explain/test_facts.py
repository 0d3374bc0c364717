import msgspec
from msgspec import structs

from archflow_compiler.explain.facts import edges, facts, guards, walked
from archflow_compiler.explain.stored import settings, words
from archflow_schema.graph import LocalModel, Route, Use
from compiling import HEAD, MODEL, graph


def test_every_model_and_listener_is_a_thing():
    found = facts(graph(HEAD + MODEL))
    assert {
        "listener llm",
        "model openai/gpt-4o",
        "requests of llm",
        "tracer.access_log",
        "plugin archflow",
    } <= found.keys()
    assert found["model openai/gpt-4o"]["names"] == "gpt-4o, openai/gpt-4o"


def test_two_tracers_of_a_kind_are_told_apart():
    text = (
        HEAD
        + MODEL
        + "tracing: {random_sampling: 1, exporters: [{type: otlp}, {type: otlp, endpoint: 'http://b'}]}\n"
    )
    assert {"tracer.otlp", "tracer.otlp 2"} <= facts(graph(text)).keys()


def test_settings_show_names_instead_of_values():
    value = {
        "key": ["Bearer ", ["env", "A"]],
        "own": [["secret", "b.c"]],
        "n": 1.5,
        "on": True,
        "deep": {"x": [1, 2]},
        "odd": ["a,b", "", "c"],
        "topics": [{"name": "law", "is": "advice"}, {"name": "art", "is": "beauty"}],
        "twice": [{"name": "law", "is": "a"}, {"name": "law", "is": "b"}],
    }
    assert settings(Use("k", msgspec.msgpack.encode(value))) == {
        "key": "Bearer $A",
        "own": "***",
        "n": "1.5",
        "on": "true",
        "deep.x": "1, 2",
        "odd": '"a,b", "", c',
        "topics.law.is": "advice",
        "topics.art.is": "beauty",
        "twice.0.name": "law",
        "twice.0.is": "a",
        "twice.1.name": "law",
        "twice.1.is": "b",
    }


def test_people_are_shown_less_than_programs():
    use = Use(
        "k", msgspec.msgpack.encode({"sha": "5aef" * 16, "words": [str(n) for n in range(20)], "none": []})
    )
    assert words(use) == "sha 5aef5aef5aef, words [0, 1, 2, 3, 4, 5, 6, 7 and 12 more]"
    assert settings(use) == {"sha": "5aef" * 16, "words": ", ".join(str(n) for n in range(20))}


def test_settings_that_cannot_be_read_show_their_size():
    assert settings(Use("k", b"\xc1")) == {"settings": "1 bytes"}


def test_a_listener_without_guards_has_none():
    found = graph(HEAD + MODEL)
    assert list(guards(found, found.listeners[0])) == []


def test_local_models_are_things():
    models = (LocalModel("minilm", "5aef" * 16, "int8", 1, 24_000_000),)
    found = facts(structs.replace(graph(HEAD + MODEL), models=models))
    assert found["local model minilm"] == {"kept as": "int8, conversion 1", "sha256": "5aef" * 16}


def test_an_unknown_name_is_refused_or_goes_where_the_default_model_goes():
    kept = graph(HEAD + MODEL + "routing: {unknown_model: default}\n")
    route = next(node for node in kept.nodes if isinstance(node, Route))
    walked_to = {edge.outcome: edge.target for edge in edges(route)}
    assert walked_to["unknown"] == walked_to["model:openai/gpt-4o"]
    assert "model_not_found" not in {getattr(node, "code", "") for node in walked(kept).values()}
    refusing = graph(HEAD + MODEL)
    assert "model_not_found" in {getattr(node, "code", "") for node in walked(refusing).values()}

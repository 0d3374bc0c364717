import msgspec

from archflow_compiler.explain.facts import facts, guards
from archflow_compiler.explain.stored import settings
from archflow_schema.graph import Use
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
    }
    assert settings(Use("k", msgspec.msgpack.encode(value))) == {
        "key": "Bearer $A",
        "own": "***",
        "n": "1.5",
        "on": "true",
        "deep.x.0": "1",
        "deep.x.1": "2",
    }


def test_settings_that_cannot_be_read_show_their_size():
    assert settings(Use("k", b"\xc1")) == {"settings": "1 bytes"}


def test_a_listener_without_guards_has_none():
    found = graph(HEAD + MODEL)
    assert list(guards(found, found.listeners[0])) == []

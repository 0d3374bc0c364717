import pytest

from archflow_compiler.explain.diff import changes, text
from compiling import HEAD, MODEL, graph

BASE = HEAD + MODEL + "model_aliases: {fast: {target: gpt-4o}}\n"


def changed(before, after):
    return {change.thing: (change.what, change.properties) for change in changes(graph(before), graph(after))}


def test_the_same_configuration_changes_nothing():
    assert text(changes(graph(BASE), graph(BASE))) == "no change for traffic\n"


def test_another_order_of_the_file_changes_nothing():
    two = "  - {model: openai/a, access_key: $K}\n", "  - {model: openai/b, access_key: $K}\n"
    one = HEAD + "model_providers:\n" + two[0] + two[1]
    other = HEAD + "model_providers:\n" + two[1] + two[0]
    assert changed(one, other) == {}


@pytest.mark.parametrize(
    ("old", "new", "thing", "what"),
    [
        ("$OPENAI_API_KEY", "$OTHER", "model openai/gpt-4o", ("key", "$OPENAI_API_KEY", "$OTHER")),
        ("type: model}", "type: model, timeout: 9s}", "listener llm", ("timeout", "300 s", "9 s")),
        ("type: model}", "type: model, port: 9}", "listener llm", ("address", "0.0.0.0:12000", "0.0.0.0:9")),
        (
            "type: model}",
            "type: model, limits: {body: 1}}",
            "listener llm",
            ("limit of body", "33554432 bytes", "1 bytes"),
        ),
        (
            "$OPENAI_API_KEY}",
            "$OPENAI_API_KEY, base_url: 'http://h'}",
            "model openai/gpt-4o",
            ("at", "https://api.openai.com", "http://h"),
        ),
        (
            "$OPENAI_API_KEY}",
            "$OPENAI_API_KEY, timeouts: {first_byte: 1}}",
            "model openai/gpt-4o",
            ("timeout of the first byte", "300 s", "1 s"),
        ),
        ("$OPENAI_API_KEY}", "$OPENAI_API_KEY, name: x}", "alias fast", ("leads to", "openai/gpt-4o", "x")),
    ],
)
def test_what_is_told(old, new, thing, what):
    found = changed(BASE, BASE.replace(old, new))
    assert what in found[thing][1]


def test_models_come_and_go():
    found = changed(BASE, BASE.replace("openai/gpt-4o", "mistral/gpt-4o"))
    assert found["model openai/gpt-4o"][0] == "removed"
    assert found["model mistral/gpt-4o"][0] == "added"


def test_literal_keys_show_by_place_only():
    literal = BASE.replace("$OPENAI_API_KEY", "canary-0123456789")
    found = changed(BASE, literal)
    assert ("key", "$OPENAI_API_KEY", "***") in found["model openai/gpt-4o"][1]
    assert "canary" not in text(changes(graph(BASE), graph(literal)))


def test_rate_limits_and_tracers():
    more = BASE + "ratelimits: [{model: fast, selector: {key: k}, limit: {tokens: 1, unit: day}}]\n"
    assert "ratelimits" not in BASE
    found = changed(BASE, more.replace("model: fast", "model: gpt-4o") + "tracing: {random_sampling: 1}\n")
    assert found["rate limit of openai/gpt-4o"] == ("added", (("k any", "", "1 tokens per day"),))
    assert found["tracer.otlp"][0] == "added"

import sys

import pytest

from archflow_schema.graph import END, Dispatch, Guard, Limit, Recall, Reply, Route, problems
from compiling import HEAD, MODEL, codes, compiled, graph
from fake_plugins import write_distribution

WITH_CONFIG = """
from archflow_plugins import Guard, ALLOW, hookimpl
from msgspec import Struct

class Config(Struct, frozen=True, forbid_unknown_fields=True):
    limit: int
    note: str = ""

class Test(Guard):
    kind = "guard.test"
    config = Config

    @classmethod
    def compile(cls, config, ctx):
        if config.limit == 13:
            ctx.error("unlucky", "thirteen is unlucky", "limit")
        if config.limit == 99:
            raise RuntimeError("bug")
        ctx.text(config.note, "note", secret=config.limit == 7)
        return config

    def check_nowait(self, conversation):
        return ALLOW

@hookimpl
def archflow_register_guards():
    return [Test]
"""


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    write_distribution(tmp_path, "archflow-test", WITH_CONFIG, {"test": "fake_lower_plugin"})
    yield
    sys.modules.pop("fake_lower_plugin", None)


def guarded(*guards):
    items = "".join(f"      - {one}\n" for one in guards)
    return (
        f"version: v0.4.0\nlisteners:\n  - name: llm\n    type: model\n    guards:\n{items}"
        + MODEL
        + "plugins: {test: '*'}\n"
    )


def follow(found, index, outcome):
    node = found.nodes[index]
    return next(edge.target for edge in node.edges if edge.outcome == outcome)


@pytest.mark.usefixtures("plugin")
def test_guards_stand_before_the_route_in_their_order():
    found = graph(guarded("{kind: test, limit: 1, name: first}", "{kind: guard.test, limit: 2}"))
    entry = found.listeners[0].endpoints[0].entry
    entries = {endpoint.entry for endpoint in found.listeners[0].endpoints}
    recalling = [found.nodes[one] for one in entries - {entry}]
    assert all(isinstance(node, Recall) for node in recalling)
    assert {follow(found, found.nodes.index(node), "ready") for node in recalling} <= {entry}
    first = found.nodes[entry]
    assert isinstance(first, Guard)
    assert first.name == "guard first"
    second = found.nodes[follow(found, entry, "allow")]
    assert second.use.kind == "guard.test"
    assert isinstance(found.nodes[follow(found, found.nodes.index(second), "allow")], Route)
    denied = found.nodes[follow(found, entry, "deny")]
    assert (denied.status, denied.code) == (400, "guard_denied")
    failed = found.nodes[follow(found, entry, "failed")]
    assert (failed.status, failed.code) == (503, "guard_failed")


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize(
    ("settings", "code", "column"),
    [
        ("limit: x", "wrong-type", 29),
        ("limit: 13", "unlucky", 29),
        ("limt: 1", "unknown-key", 22),
        ("limit: 99", "kind-failed", 10),
    ],
)
def test_a_kind_is_checked_at_its_own_place(settings, code, column):
    outcome = compiled(guarded(f"{{kind: test, {settings}}}"))
    found = next(one for one in outcome.report if one.code == code)
    assert (found.range.line, found.range.column) == (6, column)
    assert outcome.graph is None


@pytest.mark.usefixtures("plugin")
def test_a_kinds_secret_goes_to_the_side_file():
    outcome = compiled(guarded("{kind: test, limit: 7, note: canary}"))
    assert outcome.secrets == {"listeners.llm.guards.0.note": "canary"}
    assert outcome.graph.secrets == ("listeners.llm.guards.0.note",)


@pytest.mark.usefixtures("plugin")
def test_a_kind_that_stores_a_secret_is_found_out():
    outcome = compiled(guarded("{kind: test, limit: 7, note: canary-0123456789}"))
    assert outcome.graph is None
    assert codes(outcome)[-1] == "secret-in-graph"
    assert not any("canary" in f"{one.summary}{one.detail}{one.fix}" for one in outcome.report)


def test_models_share_replies_and_listeners_share_models():
    found = graph(
        "version: v0.4.0\nlisteners: [{name: a, type: model}, {name: b, type: model, port: 1}]\n"
        "model_providers: [{model: openai/a, access_key: $K}, {model: openai/b, access_key: $K}]\n"
    )
    assert sum(isinstance(node, Dispatch) for node in found.nodes) == 2
    assert sum(isinstance(node, Reply) for node in found.nodes) == len(
        {(node.status, node.code) for node in found.nodes if isinstance(node, Reply)}
    )
    assert problems(found) == ()


def test_what_a_dispatch_does_when_it_fails():
    found = graph(HEAD + MODEL)
    index = next(number for number, node in enumerate(found.nodes) if isinstance(node, Dispatch))
    assert follow(found, index, "streaming") == END
    replies = {
        outcome: (
            found.nodes[follow(found, index, outcome)].status,
            found.nodes[follow(found, index, outcome)].code,
        )
        for outcome in ("refused", "timeout", "failed", "unsupported")
    }
    assert replies == {
        "refused": (502, "upstream_refused"),
        "timeout": (504, "upstream_timeout"),
        "failed": (502, "upstream_failed"),
        "unsupported": (400, "unsupported_dialect"),
    }


TRANSLATED = [
    "/model/{model}/converse",
    "/v1/chat/completions",
    "/v1/messages",
    "/v1/messages/count_tokens",
    "/v1/responses",
    "/v1beta/models/{model}:generateContent",
]


def test_endpoints_are_those_that_some_upstream_speaks_or_is_translated_for():
    anthropic = "model_providers: [{model: anthropic/x, access_key: $K}]\n"
    paths = [endpoint.path for endpoint in graph(HEAD + anthropic).listeners[0].endpoints]
    assert paths == TRANSLATED
    paths = [endpoint.path for endpoint in graph(HEAD + MODEL).listeners[0].endpoints]
    assert paths == sorted([*TRANSLATED, "/v1/completions", "/v1/embeddings"])


def test_limits_stand_before_their_model_only():
    found = graph(
        HEAD
        + "model_providers: [{model: openai/a, access_key: $K}, {model: openai/b, access_key: $K}]\n"
        + "ratelimits: [{model: a, selector: {key: X-Who}, limit: {tokens: 5, unit: hour}}]\n"
    )
    (limit,) = (node for node in found.nodes if isinstance(node, Limit))
    assert [(one.key, one.value, one.tokens, one.period) for one in limit.quotas] == [("x-who", "", 5, 3600)]
    route = next(node for node in found.nodes if isinstance(node, Route))
    targets = {edge.outcome: found.nodes[edge.target] for edge in route.edges}
    assert targets["model:openai/a"] is limit
    assert isinstance(targets["model:openai/b"], Dispatch)


@pytest.mark.parametrize(
    ("listener", "unknown"),
    [("type: model", "refuse"), ("type: prompt", "default")],
)
def test_unknown_names(listener, unknown):
    found = graph(f"version: v0.4.0\nlisteners: [{{name: x, {listener}}}]\n" + MODEL)
    assert next(node for node in found.nodes if isinstance(node, Route)).unknown == unknown


def test_unknown_names_may_go_to_the_default():
    found = graph(HEAD + MODEL + "routing: {unknown_model: default}\n")
    assert next(node for node in found.nodes if isinstance(node, Route)).unknown == "default"


def test_origins_lead_back_to_the_file():
    found = graph(HEAD + MODEL)
    assert (found.listeners[0].origin.file, found.listeners[0].origin.line) == ("arch_config.yaml", 3)
    assert found.upstreams[0].origin.line == 5


def test_a_guard_that_no_plugin_offers():
    assert codes(compiled(guarded("{kind: missing}").replace("plugins: {test: '*'}\n", ""))) == [
        "unknown-kind"
    ]


def test_a_wildcard_lists_what_it_is_known_to_take():
    providers = ("{model: claude/*, access_key: $K}", "{model: openai/gpt-9, access_key: $K}")
    text = f"{HEAD}model_providers:\n" + "".join(f"  - {one}\n" for one in providers)
    (listener,) = graph(text).listeners
    names = listener.models
    assert names[0] == "openai/gpt-9"
    assert len(names) > 10
    assert all(name.startswith("claude/claude-") for name in names[1:])


@pytest.mark.parametrize(
    "provider",
    [
        "{model: openai/*, access_key: $K, base_url: 'http://box:8000'}",
        "{model: openrouter/*, access_key: $K}",
    ],
)
def test_a_wildcard_of_which_nothing_is_known_lists_nothing(provider):
    (listener,) = graph(f"{HEAD}model_providers:\n  - {provider}\n").listeners
    assert listener.models == ()

import pytest

from archflow_compiler.passes.migrate import STEPS, migrate
from archflow_compiler.source import Source, parse
from archflow_compiler.tree import find, plain
from archflow_schema.diagnostic import Report


def migrated(text):
    report = Report()
    root = parse(Source("x.yaml", text), report)
    return migrate(root, report), report


def test_the_newest_form_passes_untouched():
    text = """
version: v0.4.0
listeners: [{name: a, type: model}]
model_providers: [{model: openai/gpt-4o, base_url: "http://x", provider_interface: openai}]
agents: [{id: a, url: "http://a"}]
prompt_targets: [{name: a, endpoint: {name: b, http_method: POST}}]
endpoints: {b: {endpoint: "h:1"}}
routing: {model_provider: x}
tracing: {random_sampling: 3}
error_target: {name: b}
"""
    root, report = migrated(text)
    assert not list(report)
    report = Report()
    assert plain(root) == plain(parse(Source("x.yaml", text), report))


def test_legacy_listeners_become_a_list_that_points_at_the_old_keys():
    root, _ = migrated(
        "listeners:\n  ingress_traffic: {port: 1}\n  egress_traffic: {timeout: 30s}\nmodel_providers: []\n"
    )
    assert plain(root.get("listeners")) == [
        {"name": "ingress_traffic", "type": "prompt", "port": 1},
        {"name": "egress_traffic", "type": "model", "timeout": "30s"},
    ]
    assert find(root, ("listeners", 1, "name")).range.line == 3


@pytest.mark.parametrize(
    ("provider", "model", "base_url"),
    [
        ("{provider: openai, model: gpt-4o}", "openai/gpt-4o", None),
        ("{provider: openai, model: openai/gpt-4o}", "openai/gpt-4o", None),
        ("{provider_interface: openai, model: gpt-4o}", "openai/gpt-4o", None),
        ("{provider_interface: arch, model: hf.co/a, name: arch/hf.co/a}", "arch/hf.co/a", None),
        ("{model: a/b, endpoint: 'h:1'}", "a/b", "http://h:1"),
        ("{model: a/b, endpoint: h, port: 2, protocol: https}", "a/b", "https://h:2"),
        ("{model: a/b, endpoint: 'h:1', port: 2}", "a/b", "http://h:1"),
        ("{model: a/b, base_url: 'http://x', endpoint: x, port: 80, protocol: http}", "a/b", "http://x"),
    ],
)
def test_older_forms_of_a_provider(provider, model, base_url):
    root, report = migrated(f"model_providers: [{provider}]\n")
    (found,) = plain(root.get("model_providers"))
    assert found["model"] == model
    assert found.get("base_url") == base_url
    assert not found.keys() & {"provider", "endpoint", "port", "protocol"}
    assert report.warnings == len(list(report)) > 0


def test_a_slash_in_the_model_keeps_the_interface_of_a_provider_of_ones_own():
    root, report = migrated(
        "model_providers: [{model: custom/x, provider_interface: openai, base_url: 'http://h'}]\n"
    )
    assert plain(root.get("model_providers"))[0]["provider_interface"] == "openai"
    assert not list(report)


@pytest.mark.parametrize(("rate", "percent"), [("0.1", 10), ("1", 100), ("0", 0), ("0.005", 0)])
def test_a_sampling_rate_becomes_per_cent(rate, percent):
    root, report = migrated(f"tracing: {{sampling_rate: {rate}}}\n")
    assert plain(root.get("tracing")) == {"random_sampling": percent}
    assert report.warnings == 1


@pytest.mark.parametrize("endpoint", ["api", "{name: api}"])
def test_a_path_beside_the_endpoint_goes_into_it(endpoint):
    tree, report = migrated(
        "endpoints: {api: {endpoint: h}, other: {endpoint: i}}\n"
        f"prompt_targets: [{{name: a, endpoint: {endpoint}, path: /x}}]\n"
    )
    assert plain(tree.get("prompt_targets")) == [{"name": "a", "endpoint": {"name": "api", "path": "/x"}}]
    assert [one.code for one in report] == ["legacy-form"]


def test_a_path_that_the_endpoint_has_too_is_left_for_decode():
    target = "{name: a, endpoint: {name: api, path: /y}, path: /x}"
    tree, report = migrated(f"endpoints: {{api: {{endpoint: h}}}}\nprompt_targets: [{target}]\n")
    assert "path" in tree.get("prompt_targets").items[0]
    assert not list(report)


def test_what_is_no_part_of_one_is_left_for_decode():
    root, report = migrated("tracing: {sampling_rate: 30}\n")
    assert plain(root.get("tracing")) == {"sampling_rate": 30}
    assert not list(report)


@pytest.mark.parametrize(
    "value", ["3", "[]", "{}", "text", "[1]", "[[]]", "{a: 1}", "[{}]", "~", "{egress_traffic: 3}"]
)
@pytest.mark.parametrize(
    "key",
    [
        "listeners",
        "listener",
        "llm_providers",
        "model_providers",
        "agents",
        "prompt_targets",
        "endpoints",
        "routing",
        "tracing",
        "error_target",
    ],
)
def test_no_step_minds_a_wrong_type(key, value):
    root, _ = migrated(f"{key}: {value}\n")
    assert root is not None


def test_every_step_is_in_the_list_once():
    assert len(set(STEPS)) == len(STEPS)

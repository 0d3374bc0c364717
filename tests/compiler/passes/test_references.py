import pytest

from compiling import HEAD, MODEL, codes, compiled

TARGET = "prompt_targets: [{name: t, description: d, endpoint: {name: a, path: /}}]\n"


@pytest.mark.parametrize(
    ("one", "two", "clash"),
    [
        ("0.0.0.0", "127.0.0.1", True),
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "127.0.0.2", False),
        ("::", "127.0.0.1", True),
    ],
)
def test_two_listeners_at_one_port(one, two, clash):
    listeners = f"listeners: [{{name: a, type: model, address: '{one}'}}, {{name: b, type: model, address: '{two}'}}]\n"
    outcome = compiled("version: v0.4.0\n" + listeners + MODEL)
    assert ("port-taken" in codes(outcome)) == clash


@pytest.mark.parametrize("version", ["v0.1", "v0.1.0", "0.1-beta", "0.2.0", "v0.2.0", "v0.3.0", "v0.4.0"])
def test_versions_of_arch(version):
    assert codes(compiled(HEAD.replace("v0.4.0", version) + MODEL)) == []


@pytest.mark.parametrize(
    ("host", "good"),
    [
        ("api.example.com", True),
        ("$HOST", True),
        ("${HOST}:80", True),
        ("[::1]:80", True),
        ("a b", False),
        ("höst", False),
        ("http://h", False),
        ("h/x", False),
        ("$HOST/", False),
    ],
)
def test_what_a_host_header_may_be(host, good):
    provider = f"model_providers: [{{model: openai/x, access_key: $K, http_host: '{host}'}}]\n"
    endpoint = MODEL + f"endpoints: {{a: {{endpoint: h, http_host: '{host}'}}}}\n"
    for text in (provider, endpoint):
        found = [one for one in compiled(HEAD + text).report if one.severity == "error"]
        assert [one.code for one in found] == ([] if good else ["bad-host"])


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (
            "agents: [{id: a, url: 'ftp://h'}]\nlisteners: [{name: p, type: agent, port: 1, agents: [{id: a}]}]\n",
            "bad-url",
        ),
        ("filters: [{id: a, url: h}]\nlisteners: [{name: p, type: model, input_filters: [a]}]\n", "bad-url"),
        (
            "endpoints: {a: {endpoint: []}}\nlisteners: [{name: p, type: prompt}]\n" + TARGET,
            "wrong-type",
        ),
    ],
    ids=["agent", "filter", "endpoint"],
)
def test_what_was_refused_is_not_called_missing(text, code):
    assert codes(compiled("version: v0.4.0\n" + MODEL + text)) == [code]


@pytest.mark.parametrize(
    "text",
    [
        "model_aliases: {fast: {target: gpt-4o}}\n",
        "ratelimits: [{model: gpt-4o, selector: {key: x}, limit: {tokens: 1, unit: day}}]\n",
        "routing_preferences: [{name: a, description: b, models: [gpt-4o]}]\n",
    ],
    ids=["alias", "rate limit", "preference"],
)
def test_a_model_that_was_refused_is_not_called_missing(text):
    providers = "model_providers: [{model: gpt-4o}, {model: openai/o3, access_key: $K}]\n"
    assert codes(compiled(HEAD + providers + text)) == ["bad-model-name"]


def test_refused_providers_are_not_called_missing():
    assert codes(compiled(HEAD + "model_providers: [{model: 3}]\n")) == ["wrong-type"]

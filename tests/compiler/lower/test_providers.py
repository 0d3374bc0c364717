import pytest

from archflow_schema.text import Env, Secret
from compiling import HEAD, codes, compiled, graph


def upstream(provider):
    (found,) = graph(HEAD + f"model_providers: [{provider}]\n").upstreams
    return found


def test_addresses_and_settings_reach_the_upstream():
    found = upstream(
        "{model: openai/x, base_url: 'http://h:1/v2', http_host: a.b, http_version: 2, passthrough_auth: true,"
        " timeouts: {connect: 1s, first_byte: 2s, between_chunks: 3s}}"
    )
    assert (found.url, found.host, found.http, found.passthrough_auth) == (
        ("http://h:1",),
        ("a.b",),
        "2",
        True,
    )
    assert (found.connect, found.first_byte, found.between_chunks) == (1.0, 2.0, 3.0)


def test_the_connect_timeout_of_all_providers():
    text = (
        HEAD
        + "model_providers: [{model: openai/x, access_key: $K}]\n"
        + "overrides: {upstream_connect_timeout: 7s, upstream_tls_ca_path: /ca}\n"
    )
    (found,) = graph(text).upstreams
    assert (found.connect, found.ca) == (7.0, "/ca")


@pytest.mark.parametrize(
    ("model", "more", "kind", "provider"),
    [
        ("openai/x", "", "provider.openai_compatible", "openai"),
        ("claude/x", "", "provider.anthropic", "anthropic"),
        ("azure_openai/x", ", base_url: 'https://r'", "provider.azure_openai", "azure.ai.openai"),
        (
            "mine/x",
            ", base_url: 'http://r', provider_interface: openai",
            "provider.openai_compatible",
            "mine",
        ),
        ("mine/x", ", base_url: 'http://r', provider_interface: claude", "provider.anthropic", "mine"),
        (
            "mine/x",
            ", base_url: 'http://r', provider_interface: mistral",
            "provider.mistral",
            "mine",
        ),
    ],
)
def test_the_kind_is_chosen_by_vendor_or_interface(model, more, kind, provider):
    found = upstream(f"{{model: {model}, access_key: $K{more}}}")
    assert (found.use.kind, found.provider) == (kind, provider)


def test_variables_are_declared_wherever_they_stand():
    found = graph(
        HEAD
        + "model_providers: [{model: mine/x, provider_interface: openai, base_url: 'http://${H}:1', http_host: $I,"
        + " access_key: $J, headers: {x-a: 'a $L'}}]\n"
    )
    assert found.environment == ("H", "I", "J", "L")
    assert found.secrets == ()
    assert Env("H") in found.upstreams[0].url


def test_literal_keys_are_named_and_kept_apart():
    outcome = compiled(
        HEAD
        + "model_providers:\n"
        + "  - {model: openai/x, access_key: canary-0123456789, headers: {X-Api-Key: canary-9876543210, x-team: red}}\n"
    )
    assert codes(outcome) == ["literal-secret", "literal-secret"]
    assert outcome.secrets == {
        "model_providers.openai/x.access_key": "canary-0123456789",
        "model_providers.openai/x.headers.X-Api-Key": "canary-9876543210",
    }
    assert outcome.graph.secrets == tuple(sorted(outcome.secrets))
    assert b"canary" not in outcome.data
    assert b"red" in outcome.data


def test_a_dollar_sign_in_a_literal_key_is_itself():
    outcome = compiled(HEAD + "model_providers: [{model: openai/x, access_key: 'a$$b'}]\n")
    assert outcome.secrets == {"model_providers.openai/x.access_key": "a$b"}
    assert Secret("model_providers.openai/x.access_key").key in outcome.graph.secrets


@pytest.mark.parametrize("model", ["chatgpt/gpt-5", "chatgpt/*"])
def test_a_vendor_whose_api_is_not_spoken(model):
    outcome = compiled(
        HEAD + f"model_providers: [{{model: '{model}', access_key: $K, base_url: 'https://x'}}]\n"
    )
    assert codes(outcome) == ["not-yet-supported"]

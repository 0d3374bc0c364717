"""Anthropic: its key, its version, its paths."""

import pytest

from archflow_plugins.kinds import ProviderConfig
from archflow_plugins.providers.anthropic import Anthropic
from archflow_plugins.testing import compile_context, run_context


def live(**fields):
    config = ProviderConfig(name="a", access_key="$KEY", **{"vendor": "anthropic", **fields})
    return Anthropic(Anthropic.compile(config, compile_context()), run_context(environment={"KEY": "sk-1"}))


def test_messages():
    request = live().request("anthropic_messages", "m", stream=True)
    assert request.path == "/v1/messages"
    assert request.headers == (("x-api-key", "sk-1"), ("anthropic-version", "2023-06-01"))


def test_counting_tokens():
    request = live().request("anthropic_count_tokens", "m", stream=False)
    assert request.path == "/v1/messages/count_tokens"
    assert request.headers == (("x-api-key", "sk-1"), ("anthropic-version", "2023-06-01"))


def test_the_version_goes_along_when_the_client_brings_the_key():
    request = live(passthrough_auth=True).request("anthropic_messages", "m", stream=False)
    assert request.headers == (("anthropic-version", "2023-06-01"),)


def test_a_configured_version_wins():
    request = live(headers=(("Anthropic-Version", "2099-01-01"),)).request(
        "anthropic_messages", "m", stream=False
    )
    assert dict(request.headers)["anthropic-version"] == "2099-01-01"


@pytest.mark.parametrize("fields", [{"vendor": "claude"}, {"vendor": "mine", "interface": "anthropic"}])
def test_by_alias_and_by_interface(fields):
    provider = live(base_url="http://box:1/api/v2", **fields)
    assert provider.dialects(provider.settings) == ("anthropic_messages", "anthropic_count_tokens")
    assert provider.request("anthropic_messages", "m", stream=False).path == "/api/v2/messages"


def test_a_clients_own_key_is_sent_in_the_form_of_the_dialect():
    provider = live(passthrough_auth=True)
    assert provider.credentials("anthropic_messages", "k") == (("x-api-key", "k"),)
    assert provider.credentials("anthropic_count_tokens", "k") == (("x-api-key", "k"),)

"""Azure OpenAI: deployments in the path, the version in the query."""

import pytest

from archflow_plugins.kinds import ProviderConfig
from archflow_plugins.providers.azure import AzureOpenAI
from archflow_plugins.testing import compile_context, run_context


def live(base_url="https://mine.openai.azure.com"):
    config = ProviderConfig(name="a", vendor="azure_openai", access_key="$KEY", base_url=base_url)
    return AzureOpenAI(AzureOpenAI.compile(config, compile_context()), run_context(environment={"KEY": "k"}))


def test_key_and_path():
    request = live().request("openai_chat", "gpt-5-mini", stream=False)
    assert request.path == "/openai/deployments/gpt-5-mini/chat/completions?api-version=2025-01-01-preview"
    assert request.headers == (("api-key", "k"),)


@pytest.mark.parametrize("model", ["../x", "a/b", "a?b#c", "a b\r\n", "\u00e9"])
def test_a_model_cannot_leave_its_segment(model):
    path = live().request("openai_chat", model, stream=False).path
    assert path.startswith("/openai/deployments/")
    assert path.count("/") == 5
    assert path.count("?") == 1
    assert path.isascii()
    assert not any(one <= " " for one in path)


def test_a_base_url_with_a_path_replaces_the_prefix():
    path = live("https://proxy/azure").request("openai_embeddings", "m", stream=False).path
    assert path == "/azure/m/embeddings?api-version=2025-01-01-preview"


@pytest.mark.parametrize(
    ("base_url", "path"),
    [
        ("https://mine.openai.azure.com", "/openai/v1/responses"),
        ("https://mine.openai.azure.com/openai/v1", "/openai/v1/responses"),
        ("https://proxy/azure", "/azure/v1/responses"),
    ],
)
def test_responses_are_in_the_newer_api(base_url, path):
    assert live(base_url).request("openai_responses", "gpt-5", stream=False).path == path

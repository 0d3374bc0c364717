"""Google's Gemini API: the model in the path, two forms of the key."""

import pytest

from archflow_plugins.kinds import ProviderConfig, UpstreamRequest
from archflow_plugins.providers.gemini import Gemini
from archflow_plugins.testing import compile_context, run_context


def live(**fields):
    config = ProviderConfig(name="g", access_key="$KEY", **{"vendor": "gemini", **fields})
    return Gemini(Gemini.compile(config, compile_context()), run_context(environment={"KEY": "k"}))


def test_native():
    assert live().request("gemini", "gemini-2.5-pro", stream=False) == UpstreamRequest(
        "/v1beta/models/gemini-2.5-pro:generateContent", (("x-goog-api-key", "k"),)
    )
    assert live().request("gemini", "a/b c", stream=True) == UpstreamRequest(
        "/v1beta/models/a%2Fb%20c:streamGenerateContent", (("x-goog-api-key", "k"),), "alt=sse"
    )


@pytest.mark.parametrize(
    ("dialect", "path"),
    [("openai_chat", "/v1beta/openai/chat/completions"), ("openai_embeddings", "/v1beta/openai/embeddings")],
)
def test_compatible(dialect, path):
    request = live().request(dialect, "m", stream=True)
    assert request == UpstreamRequest(path, (("authorization", "Bearer k"),))


@pytest.mark.parametrize(
    ("base_url", "native", "chat"),
    [
        ("http://box:1", "/v1beta/models/m:generateContent", "/v1beta/openai/chat/completions"),
        ("http://box:1/p/openai/", "/p/models/m:generateContent", "/p/openai/chat/completions"),
        ("http://box:1/p", "/p/models/m:generateContent", "/p/chat/completions"),
    ],
)
def test_a_path_of_ones_own(base_url, native, chat):
    provider = live(base_url=base_url)
    assert provider.request("gemini", "m", stream=False).path == native
    assert provider.request("openai_chat", "m", stream=False).path == chat


def test_the_native_dialect_is_what_others_are_translated_into():
    assert live().dialects(live().settings) == ("gemini", "openai_chat", "openai_embeddings")


def test_a_clients_own_key():
    assert live().credentials("gemini", "c") == (("x-goog-api-key", "c"),)
    assert live().credentials("openai_chat", "c") == (("authorization", "Bearer c"),)
    assert live().stale is False

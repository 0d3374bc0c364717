"""Paths, keys and headers of the vendors that the table describes."""

import pytest

from archflow_plugins.contexts import CompileContext, encode_compiled
from archflow_plugins.kinds import ProviderConfig
from archflow_plugins.providers.openai_compatible import OpenAICompatible
from archflow_plugins.testing import compile_context, run_context
from archflow_schema.diagnostic import Report
from archflow_schema.errors import ArchflowError
from archflow_schema.text import Env, Secret


def compiled(vendor: str, report: Report | None = None, kind=OpenAICompatible, **fields):
    report = Report() if report is None else report
    fields = {"access_key": "$KEY", **fields}
    config = ProviderConfig(name=f"{vendor}/m", vendor=vendor, model_id="m", **fields)
    return kind.compile(config, compile_context(vendor, report))


def live(vendor: str, environment: dict[str, str] | None = None, kind=OpenAICompatible, **fields):
    environment = {"KEY": "sk-1"} if environment is None else environment
    return kind(compiled(vendor, kind=kind, **fields), run_context(vendor, environment=environment))


@pytest.mark.parametrize(
    ("vendor", "fields", "origin", "path"),
    [
        ("openai", {}, "https://api.openai.com", "/v1/chat/completions"),
        ("groq", {}, "https://api.groq.com", "/openai/v1/chat/completions"),
        ("gemini", {}, "https://generativelanguage.googleapis.com", "/v1beta/openai/chat/completions"),
        ("zhipu", {}, "https://open.bigmodel.cn", "/api/paas/v4/chat/completions"),
        ("perplexity", {}, "https://api.perplexity.ai", "/chat/completions"),
        ("openrouter", {}, "https://openrouter.ai", "/api/v1/chat/completions"),
        ("edenai", {}, "https://api.edenai.run", "/v3/chat/completions"),
        ("ollama", {"base_url": "http://localhost:11434"}, "http://localhost:11434", "/v1/chat/completions"),
        ("qwen", {"base_url": "https://dashscope.aliyuncs.com"}, "https://dashscope.aliyuncs.com",
         "/compatible-mode/v1/chat/completions"),
        ("openai", {"base_url": "https://host/api/v2"}, "https://host", "/api/v2/chat/completions"),
        ("groq", {"base_url": "https://host/api/v2/"}, "https://host", "/api/v2/chat/completions"),
        ("groq", {"base_url": "https://host"}, "https://host", "/openai/v1/chat/completions"),
        ("openai", {"base_url": "https://host/v1"}, "https://host", "/v1/chat/completions"),
        ("moonshotai", {"base_url": "https://api.kimi.com/coding/v1"}, "https://api.kimi.com",
         "/coding/v1/chat/completions"),
        ("mine", {"base_url": "http://box:1", "interface": "openai"}, "http://box:1", "/v1/chat/completions"),
        ("mine", {"base_url": "http://box:1", "interface": "groq"}, "http://box:1", "/openai/v1/chat/completions"),
        ("mine", {"base_url": "http://box:1/", "interface": "plano"}, "http://box:1", "/v1/chat/completions"),
    ],
)  # fmt: skip
def test_where_vendors_are_asked(vendor, fields, origin, path):
    provider = live(vendor, **fields)
    assert provider.url(provider.settings) == (origin,)
    assert provider.request("openai_chat", "m", stream=False).path == path


def test_paths_of_the_other_dialects():
    provider = live("openai")
    spoken = ("openai_chat", "openai_completions", "openai_embeddings", "openai_responses")
    assert provider.dialects(provider.settings) == spoken
    assert provider.request("openai_responses", "m", stream=True).path == "/v1/responses"
    assert provider.request("openai_embeddings", "m", stream=False).path == "/v1/embeddings"
    assert provider.request("openai_completions", "m", stream=True).path == "/v1/completions"


def test_key_is_a_name_until_it_is_opened():
    stored = compiled("openai")
    assert stored.key == (Env("KEY"),)
    assert live("openai").request("openai_chat", "m", stream=False).headers == (
        ("authorization", "Bearer sk-1"),
    )


def test_a_literal_key_never_enters_the_graph():
    secrets = {}

    def keep(raw, path):
        secrets[path] = raw
        return (Secret("the-key"),)

    context = CompileContext("openai", Report(), lambda *_: None, keep)
    config = ProviderConfig(
        name="openai/m",
        vendor="openai",
        access_key="sk-canary",
        headers=(("X-Api-Key", "canary-2"), ("x-max-tokens-hint", "plain")),
    )
    stored = OpenAICompatible.compile(config, context)
    assert b"canary" not in encode_compiled(stored)
    assert secrets == {("access_key",): "sk-canary", ("headers", "X-Api-Key"): "canary-2"}
    assert stored.headers[1] == ("x-max-tokens-hint", ("plain",))


def test_a_trailing_newline_of_a_key_is_dropped():
    provider = live("openai", {"KEY": "sk-1\n"})
    assert provider.request("openai_chat", "m", stream=False).headers == (("authorization", "Bearer sk-1"),)


def test_a_key_with_a_line_break_inside_is_refused_without_showing_it():
    with pytest.raises(ArchflowError, match="access_key of openai holds a line break") as raised:
        live("openai", {"KEY": "sk-canary\r\nx: y"})
    assert "canary" not in str(raised.value)


def test_passthrough_sends_no_key_of_ours():
    report = Report()
    stored = compiled("openai", report, passthrough_auth=True)
    assert stored.key == ()
    assert [one.code for one in report] == ["unused-access-key"]
    provider = OpenAICompatible(stored, run_context("openai"))
    assert provider.request("openai_chat", "m", stream=False).headers == ()


def test_configured_headers_win():
    provider = live(
        "openai", {"KEY": "a", "TEAM": "blue"}, headers=(("X-Team", "$TEAM"), ("Authorization", "Basic x"))
    )
    assert provider.request("openai_chat", "m", stream=False).headers == (
        ("authorization", "Basic x"),
        ("x-team", "blue"),
    )


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ((("x y", "a"),), "invalid-header"),
        ((("", "a"),), "invalid-header"),
        ((("x\r\ny", "a"),), "invalid-header"),
        ((("x", "a\r\nb: c"),), "invalid-header"),
        ((("x", "\u4e2d"),), "invalid-header"),
        ((("Host", "a"),), "reserved-header"),
        ((("Content-Length", "1"),), "reserved-header"),
        ((("Transfer-Encoding", "chunked"),), "reserved-header"),
    ],
)
def test_headers_that_would_break_a_request(headers, code):
    report = Report()
    compiled("openai", report, headers=headers)
    assert [one.code for one in report] == [code]
    assert next(iter(report)).range.file == f"headers.{headers[0][0]}"


@pytest.mark.parametrize(
    ("vendor", "fields", "code", "severity"),
    [
        ("mine", {}, "unknown-provider", "error"),
        ("mine", {"interface": "nobody", "base_url": "http://x"}, "unknown-provider", "error"),
        ("ollama", {}, "missing-base-url", "error"),
        ("openai", {"base_url": "host/x"}, "invalid-base-url", "error"),
        ("openai", {"access_key": ""}, "no-access-key", "warning"),
    ],
)
def test_mistakes_of_the_configuration(vendor, fields, code, severity):
    report = Report()
    compiled(vendor, report, **fields)
    assert [(one.code, one.severity) for one in report] == [(code, severity)]


@pytest.mark.parametrize(
    ("vendor", "fields"),
    [
        ("ollama", {"base_url": "http://x"}),
        ("vllm", {"base_url": "http://x"}),
        ("arch", {}),
        ("openai", {"base_url": "http://x"}),
        ("openai", {"passthrough_auth": True}),
    ],
)
def test_who_needs_no_key(vendor, fields):
    report = Report()
    compiled(vendor, report, access_key="", **fields)
    assert list(report) == []


@pytest.mark.parametrize(
    ("base_url", "value", "path"),
    [
        ("$BASE", "http://box:1", "/v1/chat/completions"),
        ("$BASE", "http://box:1/api", "/api/chat/completions"),
        ("${BASE}/v7", "http://box:1", "/v7/chat/completions"),
        ("http://$BASE:1/v7", "box", "/v7/chat/completions"),
    ],
)
def test_a_base_url_from_the_environment(base_url, value, path):
    provider = live("openai", {"KEY": "k", "BASE": value}, base_url=base_url)
    assert Env("BASE") in provider.url(provider.settings)
    assert provider.request("openai_chat", "m", stream=False).path == path


def test_a_bad_base_url_from_the_environment_stops_the_start():
    with pytest.raises(ArchflowError, match="base_url of openai cannot be used: its scheme"):
        live("openai", {"KEY": "k", "BASE": "box"}, base_url="$BASE")


def test_an_unknown_vendor_of_an_interface_is_not_asked_for_responses():
    stored = compiled("mine", base_url="http://box:1", interface="openai")
    assert OpenAICompatible.dialects(stored) == ("openai_chat", "openai_completions", "openai_embeddings")


@pytest.mark.parametrize("vendor", ["chatgpt"])
def test_vendors_without_a_dialect_of_ours_say_so(vendor):
    stored = compiled(vendor, base_url="https://box.test")
    assert OpenAICompatible.dialects(stored) == ()


@pytest.mark.parametrize(
    ("vendor", "dialect", "name"),
    [
        ("openai", "openai_chat", "max_completion_tokens"),
        ("groq", "openai_chat", "max_tokens"),
        ("openai", "openai_completions", "max_tokens"),
    ],
)
def test_a_translated_request_is_in_the_vendors_words(vendor, dialect, name):
    body = live(vendor).adapt(dialect, b'{"model":"m","max_tokens":5}')
    assert body == b'{"model":"m","%s":5}' % name.encode()

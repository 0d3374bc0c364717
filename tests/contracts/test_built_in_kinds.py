"""Every built-in kind keeps the contract that `archflow_plugins.testing` asks of a stranger's."""

import msgspec
import pytest
import trio

from archflow_plugins.contexts import Answered, Option
from archflow_plugins.gauges.prices import PricesConfig
from archflow_plugins.gauges.source import Measured
from archflow_plugins.kinds import KINDS, ProviderConfig
from archflow_plugins.registry import Registry
from archflow_plugins.testing import check_kind, conversation
from archflow_schema.errors import UpstreamTimeout
from archflow_schema.reply import Reply
from archflow_schema.slots import Intent, Slot
from local_world import cache

REGISTRY = Registry.load()


def provider(vendor: str, **fields) -> dict[str, object]:
    config = ProviderConfig(name=f"{vendor}/m", vendor=vendor, access_key="$KEY", **fields)
    return {"config": config, "environment": {"KEY": "sk-1"}}


OPTIONS = (Option(name="a", description="one thing"), Option(name="b", description="another"))


async def answer(model, conversation, timeout):
    """What every model answers."""
    await trio.lowlevel.checkpoint()
    return Reply(text='{"route": "a", "functions": ["b"]}')


async def filtered(method, url, headers, body, timeout):
    """What every filter outside answers: an MCP server by what it is asked, others with what they were sent."""
    await trio.lowlevel.checkpoint()
    said = msgspec.json.decode(body)
    if url.endswith("/mcp"):
        text = {"content": [{"type": "text", "text": "{}"}]}
        body = msgspec.json.encode({"jsonrpc": "2.0", "id": said.get("id"), "result": text})
    elif url.endswith("/agent/v1/chat/completions"):
        message = {"role": "assistant", "content": msgspec.json.encode(said["messages"]).decode()}
        body = msgspec.json.encode({"choices": [{"index": 0, "message": message}]})
    return Answered(200, "application/json", (("mcp-session-id", "s"),), body)


async def refuse(method, url, headers, body, timeout):
    """What every service answers."""
    await trio.lowlevel.checkpoint()
    return Answered(422, "application/json", (), b'{"detail": "no"}')


async def tool(method, url, headers, body, timeout):
    """What a tool of an MCP server answers."""
    await trio.lowlevel.checkpoint()
    result = b'{"content":[{"text":"{\\"allow\\": false, \\"message\\": \\"no\\"}"}]}'
    call = msgspec.json.decode(body).get("id", 0)
    return Answered(200, "application/json", (), b'{"jsonrpc":"2.0","id":%d,"result":%b}' % (call, result))


async def prices(method, url, headers, body, timeout):
    """What a catalogue answers."""
    await trio.lowlevel.checkpoint()
    return Answered(200, "application/json", (), b'{"openai":{"models":{"gpt-4o":{"cost":{"input":1}}}}}')


async def nobody(method, url, headers, body, timeout):
    """A service that is not there."""
    await trio.lowlevel.checkpoint()
    raise UpstreamTimeout("nobody there")


MEASURED = (Measured("openai/gpt-4o", "openai", "gpt-4o"),)
INTENTS = (
    Intent("weather", "the weather", (Slot("city", "the city", "str", required=True),)),
    Intent(
        "rate",
        "a rate",
        (Slot("currency", "the currency", "str", required=True), Slot("days", "days", "int")),
    ),
)

CASES: dict[str, list[dict[str, object]]] = {
    "dialect.openai_chat": [{}],
    "dialect.openai_completions": [{}],
    "dialect.openai_embeddings": [{}],
    "dialect.anthropic_messages": [{}],
    "dialect.bedrock_converse": [{}],
    "dialect.anthropic_count_tokens": [{}],
    "dialect.gemini": [{}],
    "dialect.openai_responses": [{}],
    "filter.http": [{"config": {"url": "http://h/f"}, "fetch": filtered}],
    "filter.mcp": [{"config": {"url": "http://h", "tool": "t"}, "fetch": filtered}],
    "filter.messages": [{"config": {"url": "http://h/agent"}, "fetch": filtered}],
    "gauge.prices": [{"config": PricesConfig(models=MEASURED), "fetch": fetch} for fetch in (prices, nobody)],
    "gauge.prometheus": [
        {"config": {"models": MEASURED, "url": "http://p", "query": "up"}, "fetch": nobody},
    ],
    "guard.json_schema": [{}, {"config": {"schema": {"type": "object"}, "message": "no"}}],
    "guard.length": [{"config": {"max_characters": 30}}, {"config": {"min_words": 2, "all_turns": True}}],
    "guard.mcp": [
        {"config": {"url": "http://$HOST", "tool": "judge"}, "environment": {"HOST": "h"}, "fetch": tool}
    ],
    "guard.jailbreak": [{}, {"config": {"threshold": 0.5, "windows": 2}}],
    "guard.http": [
        {
            "config": {"url": "http://$HOST/guard", "headers": [["x-key", "$KEY"]], "timeout": 1.0},
            "environment": {"HOST": "guard.test", "KEY": "sk-1"},
            "fetch": refuse,
        }
    ],
    "guard.pii": [
        {},
        {"config": {"action": "mask", "restore": True}},
        {"config": {"find": ["email", "card"], "roles": ["user", "tool"], "message": "no"}},
    ],
    "guard.regex": [
        {"config": {"deny": [r"\bhel+o\b"], "message": "no"}},
        {"config": {"allow_words": ["hello", "good morning"], "roles": ["user", "tool"]}},
    ],
    "guard.topic": [
        {"config": {"deny": [{"name": "sport", "description": "games and matches"}], "message": "no"}},
        {"config": {"allow": [{"name": "hi", "description": "greetings", "examples": ["hello"]}]}},
    ],
    "matcher.composite": [
        {"options": OPTIONS},
        {"config": {"threshold": 0.0, "window": 1}, "options": OPTIONS},
    ],
    "matcher.language_model": [{"config": {"model": "openai/gpt-4o"}, "options": OPTIONS, "ask": answer}],
    "provider.openai_compatible": [
        provider("openai"),
        provider("groq", headers=(("x-team", "$KEY"),)),
        provider("mine", interface="openai", base_url="http://127.0.0.1:1/v1"),
    ],
    "provider.anthropic": [provider("anthropic"), provider("claude", base_url="https://host/api")],
    "provider.azure_openai": [provider("azure_openai", base_url="https://mine.openai.azure.com")],
    "provider.bedrock": [
        provider("amazon_bedrock", base_url="https://bedrock.test"),
        {
            "config": ProviderConfig(name="b", vendor="amazon_bedrock", access_key="$ID:$SECRET:$TOKEN"),
            "environment": {
                "ID": "AKIAIOSFODNN7EXAMPLE",
                "SECRET": "a/secret+key",
                "TOKEN": "a-token",
                "AWS_REGION": "eu-west-1",
            },
        },
    ],
    "provider.gemini": [provider("gemini")],
    "provider.mistral": [provider("mistral"), provider("mine", interface="mistral", base_url="http://box:1")],
    "provider.vertex": [provider("vertex_ai")],
    "provider.local": [
        {"config": ProviderConfig(name=f"local/{name}", vendor="local", model_id=name)}
        for name in ("tiny-chat", "tiny-embed")
    ],
    "router.cascade": [{"config": {"model": "openai/gpt-4o"}, "options": OPTIONS, "ask": answer}],
    "router.composite": [{"options": OPTIONS}, {}],
    "router.language_model": [{"config": {"model": "openai/gpt-4o"}, "options": OPTIONS, "ask": answer}],
    "router.static": [{"config": {"option": "a"}, "options": OPTIONS}],
    "slot_filler.composite": [
        {"intents": INTENTS},
        {
            "config": {"model": "openai/gpt-4o", "optional": True, "timezone": "Europe/Paris"},
            "intents": INTENTS,
            "ask": answer,
        },
    ],
    "slot_filler.language_model": [
        {"config": {"model": "openai/gpt-4o", "form": form}, "intents": INTENTS, "ask": answer}
        for form in ("tools", "json_schema", "arch_function")
    ],
    "store.memory": [{}, {"config": {"max_keys": 3}}],
    "store.sqlite": [{"config": {"path": "FILE"}}],
    "tracer.access_log": [{"config": {"path": "FILE"}}, {"config": {"path": "FILE", "format": "arch"}}],
    "tracer.otlp": [{"config": {"endpoint": "http://127.0.0.1:1", "timeout": 0.05}}],
}


LOCAL = {
    "guard.jailbreak",
    "guard.topic",
    "matcher.composite",
    "provider.local",
    "router.cascade",
    "router.composite",
}
"""Those that use local models."""


def test_every_built_in_kind_has_a_case():
    kinds = {dotted for family in KINDS for dotted in REGISTRY.family(family)}
    missing = kinds - set(CASES)
    assert not missing, f"add {', '.join(sorted(missing))} to CASES in {__file__}"
    assert set(CASES) == kinds


@pytest.mark.parametrize(
    ("dotted", "case"), [(dotted, case) for dotted, cases in CASES.items() for case in cases], ids=str
)
def test_contract(dotted, case, tmp_path, monkeypatch):
    if dotted in LOCAL:
        monkeypatch.setenv("ARCHFLOW_CACHE", str(cache().folder))
    config = case.get("config")
    if isinstance(config, dict) and config.get("path") == "FILE":
        config = {**config, "path": str(tmp_path / "access.log")}
    more = {key: case[key] for key in ("environment", "options", "intents", "ask", "fetch") if key in case}
    check_kind(REGISTRY.kind(dotted), config, conversations=[conversation("user: hello")], **more)

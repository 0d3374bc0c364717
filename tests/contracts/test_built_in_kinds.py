"""Every built-in kind keeps the contract that `archflow_plugins.testing` asks of a stranger's."""

import pytest
import trio

from archflow_plugins.contexts import Option
from archflow_plugins.kinds import KINDS, ProviderConfig
from archflow_plugins.registry import Registry
from archflow_plugins.testing import check_kind, conversation
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
    return Reply(text='{"route": "a"}')


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
    "guard.jailbreak": [{}, {"config": {"threshold": 0.5, "windows": 2}}],
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
    "provider.vertex": [provider("vertex_ai")],
    "provider.local": [
        {"config": ProviderConfig(name=f"local/{name}", vendor="local", model_id=name)}
        for name in ("tiny-chat", "tiny-embed")
    ],
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


def test_every_built_in_kind_has_a_case():
    kinds = {dotted for family in KINDS for dotted in REGISTRY.family(family)}
    missing = kinds - set(CASES)
    assert not missing, f"add {', '.join(sorted(missing))} to CASES in {__file__}"
    assert set(CASES) == kinds


@pytest.mark.parametrize(
    ("dotted", "case"), [(dotted, case) for dotted, cases in CASES.items() for case in cases], ids=str
)
def test_contract(dotted, case, tmp_path, monkeypatch):
    if dotted in {"provider.local", "guard.jailbreak"}:
        monkeypatch.setenv("ARCHFLOW_CACHE", str(cache().folder))
    config = case.get("config")
    if isinstance(config, dict) and config.get("path") == "FILE":
        config = {**config, "path": str(tmp_path / "access.log")}
    more = {key: case[key] for key in ("environment", "options", "intents", "ask", "fetch") if key in case}
    check_kind(REGISTRY.kind(dotted), config, conversations=[conversation("user: hello")], **more)

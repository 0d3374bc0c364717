"""The built-in kinds, registered through the same hooks as a stranger's, and imported when they are first named.

Rule: importing this module imports no kind: a worker pays, in memory and at its start, for those that its graph names.
"""

from __future__ import annotations

from archflow_plugins.hookspecs import hookimpl
from archflow_plugins.kinds import Later


def _later(kind: str, place: str) -> Later:
    return Later(kind, f"archflow_plugins.{place}")


@hookimpl
def archflow_register_dialects() -> list[Later]:
    return [
        _later("dialect.openai_chat", "dialects.openai_chat.dialect:OpenAIChat"),
        _later("dialect.openai_completions", "dialects.openai_completions:OpenAICompletions"),
        _later("dialect.openai_embeddings", "dialects.openai_embeddings:OpenAIEmbeddings"),
        _later("dialect.openai_responses", "dialects.openai_responses.dialect:OpenAIResponses"),
        _later("dialect.anthropic_messages", "dialects.anthropic_messages.dialect:AnthropicMessages"),
        _later(
            "dialect.anthropic_count_tokens", "dialects.anthropic_messages.count_tokens:AnthropicCountTokens"
        ),
        _later("dialect.bedrock_converse", "dialects.bedrock_converse.dialect:BedrockConverse"),
        _later("dialect.gemini", "dialects.gemini.dialect:Gemini"),
    ]


@hookimpl
def archflow_register_guards() -> list[Later]:
    return [
        _later("guard.http", "guards.external:HttpGuard"),
        _later("guard.jailbreak", "guards.jailbreak:JailbreakGuard"),
        _later("guard.json_schema", "guards.json_schema:JsonSchemaGuard"),
        _later("guard.length", "guards.length:LengthGuard"),
        _later("guard.mcp", "guards.mcp:McpGuard"),
        _later("guard.pii", "guards.pii:PiiGuard"),
        _later("guard.regex", "guards.regex:RegexGuard"),
        _later("guard.topic", "guards.topic:TopicGuard"),
    ]


@hookimpl
def archflow_register_matchers() -> list[Later]:
    return [
        _later("matcher.composite", "matchers.composite:CompositeMatcher"),
        _later("matcher.language_model", "matchers.language_model:LanguageModelMatcher"),
    ]


@hookimpl
def archflow_register_providers() -> list[Later]:
    return [
        _later("provider.openai_compatible", "providers.openai_compatible:OpenAICompatible"),
        _later("provider.anthropic", "providers.anthropic:Anthropic"),
        _later("provider.azure_openai", "providers.azure:AzureOpenAI"),
        _later("provider.bedrock", "providers.bedrock:Bedrock"),
        _later("provider.gemini", "providers.gemini:Gemini"),
        _later("provider.mistral", "providers.mistral:Mistral"),
        _later("provider.vertex", "providers.vertex:Vertex"),
        _later("provider.local", "providers.local:Local"),
    ]


@hookimpl
def archflow_register_routers() -> list[Later]:
    return [
        _later("router.cascade", "routers.cascade:CascadeRouter"),
        _later("router.composite", "routers.composite:CompositeRouter"),
        _later("router.language_model", "routers.language_model:LanguageModelRouter"),
        _later("router.static", "routers.static:StaticRouter"),
    ]


@hookimpl
def archflow_register_filters() -> list[Later]:
    return [
        _later("filter.http", "filters.http:HttpFilter"),
        _later("filter.mcp", "filters.mcp:McpFilter"),
        _later("filter.messages", "filters.messages:MessagesFilter"),
    ]


@hookimpl
def archflow_register_gauges() -> list[Later]:
    return [
        _later("gauge.prices", "gauges.prices:Prices"),
        _later("gauge.prometheus", "gauges.prometheus:Prometheus"),
    ]


@hookimpl
def archflow_register_slot_fillers() -> list[Later]:
    return [
        _later("slot_filler.composite", "slot_fillers.composite:CompositeSlotFiller"),
        _later("slot_filler.language_model", "slot_fillers.language_model:LanguageModelSlotFiller"),
    ]


@hookimpl
def archflow_register_stores() -> list[Later]:
    return [
        _later("store.memory", "stores.memory:Memory"),
        _later("store.sqlite", "stores.sqlite:Sqlite"),
    ]


@hookimpl
def archflow_register_tracers() -> list[Later]:
    return [
        _later("tracer.access_log", "tracers.access_log:AccessLog"),
        _later("tracer.otlp", "tracers.otlp:Otlp"),
    ]

"""The built-in kinds, registered through the same hooks as a stranger's.

Rule: importing this module imports nothing heavy: a kind imports its libraries when it is opened.
"""

from __future__ import annotations

from archflow_plugins.dialects.anthropic_messages import AnthropicCountTokens, AnthropicMessages
from archflow_plugins.dialects.bedrock_converse import BedrockConverse
from archflow_plugins.dialects.gemini import Gemini
from archflow_plugins.dialects.openai_chat import OpenAIChat
from archflow_plugins.dialects.openai_completions import OpenAICompletions
from archflow_plugins.dialects.openai_embeddings import OpenAIEmbeddings
from archflow_plugins.dialects.openai_responses.dialect import OpenAIResponses
from archflow_plugins.guards.jailbreak import JailbreakGuard
from archflow_plugins.hookspecs import hookimpl
from archflow_plugins.kinds import Dialect, Guard, Provider, Router, SlotFiller, Store, Tracer
from archflow_plugins.providers.anthropic import Anthropic
from archflow_plugins.providers.azure import AzureOpenAI
from archflow_plugins.providers.bedrock import Bedrock
from archflow_plugins.providers.gemini import Gemini as GeminiProvider
from archflow_plugins.providers.local import Local
from archflow_plugins.providers.openai_compatible import OpenAICompatible
from archflow_plugins.providers.vertex import Vertex
from archflow_plugins.routers.language_model import LanguageModelRouter
from archflow_plugins.routers.static import StaticRouter
from archflow_plugins.slot_fillers.composite import CompositeSlotFiller
from archflow_plugins.slot_fillers.language_model import LanguageModelSlotFiller
from archflow_plugins.stores.memory import Memory
from archflow_plugins.stores.sqlite import Sqlite
from archflow_plugins.tracers.access_log import AccessLog
from archflow_plugins.tracers.otlp import Otlp


@hookimpl
def archflow_register_dialects() -> list[type[Dialect]]:
    return [
        OpenAIChat,
        OpenAICompletions,
        OpenAIEmbeddings,
        OpenAIResponses,
        AnthropicMessages,
        AnthropicCountTokens,
        BedrockConverse,
        Gemini,
    ]


@hookimpl
def archflow_register_guards() -> list[type[Guard]]:
    return [JailbreakGuard]


@hookimpl
def archflow_register_providers() -> list[type[Provider]]:
    return [OpenAICompatible, Anthropic, AzureOpenAI, Bedrock, GeminiProvider, Vertex, Local]


@hookimpl
def archflow_register_routers() -> list[type[Router]]:
    return [LanguageModelRouter, StaticRouter]


@hookimpl
def archflow_register_slot_fillers() -> list[type[SlotFiller]]:
    return [CompositeSlotFiller, LanguageModelSlotFiller]


@hookimpl
def archflow_register_stores() -> list[type[Store]]:
    return [Memory, Sqlite]


@hookimpl
def archflow_register_tracers() -> list[type[Tracer]]:
    return [AccessLog, Otlp]

"""The whole file."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from archflow_schema.config.agents import Agent, Filter
from archflow_schema.config.forms import Name
from archflow_schema.config.listeners import Listener
from archflow_schema.config.models import (
    CostSource,
    LatencySource,
    ModelAlias,
    ModelProvider,
    PromptCaching,
    RateLimit,
    Routing,
    RoutingPreference,
)
from archflow_schema.config.operations import AccessLog, Overrides, PluginUse, StateStorage, Tracing
from archflow_schema.config.prompts import ErrorTarget, PromptGuards, Prompting, PromptTarget, ServiceEndpoint

VERSIONS = ("v0.1", "v0.1.0", "0.1-beta", "0.2.0", "v0.2.0", "v0.3.0", "v0.4.0")
"""The versions that Arch and its successor have written. No behaviour depends on them."""


class Config(Struct, frozen=True, kw_only=True):
    """arch_config.yaml.

    Attributes:
        version: the version of the format, such as `v0.4.0`; no behaviour depends on it.
        listeners: where clients connect; by default one of type `model` at port 12000.
        model_providers: the models and who serves them.
        model_aliases: other names for models.
        routing_preferences: kinds of requests and the models preferred for them.
        routing: how a model is chosen.
        ratelimits: limits on the tokens that models take.
        model_metrics_sources: where prices and latencies of models come from.
        prompt_caching: how the prompt caches of providers are used.
        prompt_targets: intents of users and the endpoints that serve them.
        endpoints: the services that prompt targets call.
        prompting: how prompts are understood.
        system_prompt: goes before every conversation of a listener of type `prompt`.
        prompt_guards: the guards of listeners of type `prompt`, and of those of type `agent` that name prompt targets.
        error_target: where errors are told.
        agents: programs that answer conversations.
        filters: programs that requests and replies pass.
        overrides: settings of Arch that change its defaults.
        tracing: what is traced and where spans go.
        access_log: one line per request.
        state_storage: where conversations of the Responses API are kept.
        plugins: plugins of third parties that this file uses, and which versions of them.
        mode: Arch reads it and does nothing with it.
    """

    version: Name = ""
    listeners: tuple[Listener, ...] = ()
    model_providers: tuple[ModelProvider, ...] = ()
    model_aliases: Annotated[tuple[ModelAlias, ...], Meta(extra={"form": "keyed", "key": "alias"})] = ()
    routing_preferences: tuple[RoutingPreference, ...] = ()
    routing: Routing = Routing()
    ratelimits: tuple[RateLimit, ...] = ()
    model_metrics_sources: tuple[CostSource | LatencySource, ...] = ()
    prompt_caching: PromptCaching = PromptCaching()
    prompt_targets: tuple[PromptTarget, ...] = ()
    endpoints: Annotated[tuple[ServiceEndpoint, ...], Meta(extra={"form": "keyed", "key": "name"})] = ()
    prompting: Prompting = Prompting()
    system_prompt: str = ""
    prompt_guards: PromptGuards | None = None
    error_target: ErrorTarget | None = None
    agents: tuple[Agent, ...] = ()
    filters: tuple[Filter, ...] = ()
    overrides: Overrides = Overrides()
    tracing: Tracing = Tracing()
    access_log: AccessLog = AccessLog()
    state_storage: StateStorage | None = None
    plugins: Annotated[
        tuple[PluginUse, ...], Meta(extra={"form": "keyed", "key": "name", "value": "version"})
    ] = ()
    mode: Literal["llm", "prompt"] = "prompt"

"""The typed arch_config.yaml: what a user may write, as frozen Structs.

Every key of Arch 0.3 and of its successor's 0.4, the forms that only their documentation shows, and ours. Older forms
are rewritten to these by the compiler before anything is decoded. The docstrings are the reference: schema/README.md
and schema/arch_config.schema.json are written from them.

Rule: values only; which names exist and what belongs together is the business of the compiler's passes.
"""

from archflow_schema.config.agents import Agent, Filter
from archflow_schema.config.listeners import DEFAULT_PORTS, GuardUse, Limits, Listener, ListenerAgent, Tls
from archflow_schema.config.models import (
    CostSource,
    LatencySource,
    Limit,
    ModelAlias,
    ModelProvider,
    Preference,
    PromptCaching,
    RateLimit,
    RouterUse,
    Routing,
    RoutingPreference,
    Selector,
    Timeouts,
)
from archflow_schema.config.operations import (
    AccessLog,
    OtlpExporter,
    Overrides,
    PluginUse,
    PosthogExporter,
    SpanAttributes,
    StateStorage,
    Tracing,
)
from archflow_schema.config.prompts import (
    PARAMETER_TYPES,
    ErrorTarget,
    Parameter,
    PromptGuards,
    Prompting,
    PromptKind,
    PromptTarget,
    ServiceEndpoint,
    TargetEndpoint,
)
from archflow_schema.config.root import VERSIONS, Config

__all__ = [
    "DEFAULT_PORTS",
    "PARAMETER_TYPES",
    "VERSIONS",
    "AccessLog",
    "Agent",
    "Config",
    "CostSource",
    "ErrorTarget",
    "Filter",
    "GuardUse",
    "LatencySource",
    "Limit",
    "Limits",
    "Listener",
    "ListenerAgent",
    "ModelAlias",
    "ModelProvider",
    "OtlpExporter",
    "Overrides",
    "Parameter",
    "PluginUse",
    "PosthogExporter",
    "Preference",
    "PromptCaching",
    "PromptGuards",
    "PromptKind",
    "PromptTarget",
    "Prompting",
    "RateLimit",
    "RouterUse",
    "Routing",
    "RoutingPreference",
    "Selector",
    "ServiceEndpoint",
    "SpanAttributes",
    "StateStorage",
    "TargetEndpoint",
    "Timeouts",
    "Tls",
    "Tracing",
]

"""How the gateway runs: overrides, tracing, access log, state."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from archflow_schema.config.forms import Duration, Name, Pairs, Percent, Scalars, Size, Url


class Overrides(Struct, frozen=True, kw_only=True):
    """Settings of Arch that change its defaults.

    Attributes:
        prompt_target_intent_matching_threshold: how sure a match with a prompt target must be; the matcher's own
            threshold if it is not said, which is 0.65 for `composite`.
        optimize_context_window: leave the answers of endpoints out of what a model is asked.
        use_agent_orchestrator: the prompt targets are agents behind the only endpoint, which answers at listeners of
            type `prompt` in the place of models, and reads in `metadata` which of them is asked (`agent-name`).
        disable_signals: do not judge how conversations go.
        upstream_connect_timeout: until a connection to a provider is made.
        upstream_tls_ca_path: a PEM file of the authorities that providers' certificates are checked against;
            a relative path begins at the folder of the file that archrun is given.
        llm_routing_model: the model that chooses by routing preferences.
        agent_orchestration_model: the model that chooses agents.
        orchestrator_model_context_length: how many tokens that model takes.
    """

    prompt_target_intent_matching_threshold: Annotated[float, Meta(ge=0, le=1)] | None = None
    optimize_context_window: bool = False
    use_agent_orchestrator: bool = False
    disable_signals: bool = False
    upstream_connect_timeout: Duration = 5.0
    upstream_tls_ca_path: Name | None = None
    llm_routing_model: str = ""
    agent_orchestration_model: str = ""
    orchestrator_model_context_length: Annotated[int, Meta(ge=1)] = 8192


class SpanAttributes(Struct, frozen=True):
    """What every span carries beside its own facts.

    Attributes:
        header_prefixes: request headers that begin so become attributes.
        static: attributes with fixed values.
    """

    header_prefixes: tuple[Name, ...] = ()
    static: Scalars = ()


class OtlpExporter(Struct, frozen=True, kw_only=True, tag="otlp", tag_field="type"):
    """Sends spans to an OpenTelemetry collector, by OTLP over HTTP.

    Attributes:
        endpoint: the whole address, such as `http://localhost:4318/v1/traces`.
        headers: extra headers, such as a key.
        timeout: for one batch.
    """

    endpoint: Url = "http://localhost:4318/v1/traces"
    headers: Pairs = ()
    timeout: Duration = 10.0


class PosthogExporter(Struct, frozen=True, kw_only=True, tag="posthog", tag_field="type"):
    """Sends an event per model call to PostHog.

    Attributes:
        url: the PostHog host.
        api_key: the project's key.
        distinct_id_header: the request header that tells users apart.
        capture_messages: also send what users write.
    """

    url: Url
    api_key: str
    distinct_id_header: str = ""
    capture_messages: bool = False


class Tracing(Struct, frozen=True, kw_only=True):
    """What is traced and where spans go.

    Attributes:
        random_sampling: per cent of requests that are traced; 0 turns tracing off.
        trace_arch_internal: also trace the steps inside the gateway.
        opentracing_grpc_endpoint: Arch's collector address, OTLP over gRPC; an exporter of type `otlp` is newer.
        span_attributes: what every span carries beside its own facts.
        exporters: where spans go; by default to a collector on this machine.
    """

    random_sampling: Percent = 0
    trace_arch_internal: bool = False
    opentracing_grpc_endpoint: Url | None = None
    span_attributes: SpanAttributes = SpanAttributes()
    exporters: tuple[OtlpExporter | PosthogExporter, ...] = ()


class AccessLog(Struct, frozen=True):
    """One line per request.

    Attributes:
        format: `json`, Arch's own line (`arch`), or none (`off`).
        path: `stdout`, `stderr` or a file, which is opened again after log rotation.
    """

    format: Literal["json", "arch", "off"] = "json"
    path: Name = "stdout"


class StateStorage(Struct, frozen=True, kw_only=True):
    """Where replies are kept that were translated for clients of the Responses API, so that they can go on from them.

    Attributes:
        type: `memory` of each worker, `sqlite`, which workers share and restarts leave alone, or `postgres`.
        connection_string: for `postgres`: where it is.
        path: for `sqlite`: the file; it is made if it is not there.
        keep: for how long; OpenAI keeps responses for 30 days.
        max_bytes: of all that is kept, roughly; the oldest gives way. By default 64 MiB in memory, 1 GiB in a file.
    """

    type: Literal["memory", "sqlite", "postgres"] = "memory"
    connection_string: str = ""
    path: str = ""
    keep: Duration = 2_592_000.0
    max_bytes: Size | None = None


class PluginUse(Struct, frozen=True):
    """A plugin of a third party that this configuration uses.

    Attributes:
        name: its entry point in the group `archflow`; `archc plugins list` shows those that are installed.
        version: which versions will do, such as `>=1.2,<2`; `*` takes any.
    """

    name: Name
    version: Name

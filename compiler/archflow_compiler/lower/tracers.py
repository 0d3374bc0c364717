"""Tracing and access log -> the tracer kinds that see every exchange."""

from __future__ import annotations

from urllib.parse import urlsplit

import msgspec

from archflow_compiler.lower.draft import Draft
from archflow_compiler.tree import Path
from archflow_schema.config import OtlpExporter, PosthogExporter
from archflow_schema.config.forms import Scalar

OTLP_HTTP = 4318
"""The port of OTLP over HTTP; 4317 is that of gRPC."""


def lower(draft: Draft) -> None:
    """Add the tracers."""
    log = draft.config.access_log
    if log.format != "off":
        _add(
            draft,
            "tracer.access_log",
            {"format": log.format, "path": log.path},
            ("access_log",),
            "access_log",
        )
    _exporters(draft)


def _exporters(draft: Draft) -> None:
    tracing, unit = draft.config.tracing, draft.unit
    for index, exporter in enumerate(tracing.exporters):
        if isinstance(exporter, PosthogExporter):
            unit.warning(
                "no-effect-yet",
                "events are not sent to PostHog yet",
                unit.places.value("tracing", "exporters", index),
            )
    if tracing.random_sampling == 0:
        for key in ("exporters", "opentracing_grpc_endpoint", "span_attributes"):
            if unit.places.said("tracing", key):
                unit.warning(
                    "no-effect",
                    f'"{key}" has no effect: random_sampling is 0, so nothing is traced',
                    unit.places.key("tracing", key),
                    fix="add `random_sampling: 100`",
                )
        return
    otlp = [(index, one) for index, one in enumerate(tracing.exporters) if isinstance(one, OtlpExporter)]
    for index, exporter in otlp:
        _otlp(draft, exporter, ("tracing", "exporters", index), f"tracing.exporters.{index}")
    grpc = tracing.opentracing_grpc_endpoint
    if grpc is not None:
        endpoint = _over_http(grpc)
        unit.warning(
            "otlp-over-http",
            "spans are sent by OTLP over HTTP, not gRPC",
            unit.places.value("tracing", "opentracing_grpc_endpoint"),
            detail=f"they go to {endpoint}; collectors listen there beside their gRPC port",
            fix=f"write `exporters: [{{type: otlp, endpoint: {endpoint}}}]`",
        )
        _otlp(draft, OtlpExporter(endpoint=endpoint), ("tracing", "opentracing_grpc_endpoint"), "tracing")
    elif not otlp:
        _otlp(draft, OtlpExporter(), ("tracing",), "tracing")


def _over_http(grpc: str) -> str:
    """The collector's HTTP address beside its gRPC one."""
    if "$" in grpc:
        return grpc.rstrip("/") + "/v1/traces"
    parts = urlsplit(grpc)
    port = OTLP_HTTP if parts.port in {None, OTLP_HTTP - 1} else parts.port
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}:{port}/v1/traces"


def _otlp(draft: Draft, exporter: OtlpExporter, at: Path, entry: str) -> None:
    tracing = draft.config.tracing
    _add(
        draft,
        "tracer.otlp",
        {
            "endpoint": exporter.endpoint,
            "headers": exporter.headers,
            "timeout": exporter.timeout,
            "sampling": float(tracing.random_sampling),
            "attributes": tuple((name, _shown(value)) for name, value in tracing.span_attributes.static),
        },
        at,
        entry,
    )


def _shown(value: Scalar) -> str:
    """A value as an attribute: `true` rather than Python's `True`."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _add(draft: Draft, dotted: str, settings: dict[str, object], at: Path, entry: str) -> None:
    kind = draft.registry.kind(dotted)
    used = draft.use(kind, msgspec.convert(settings, kind.config), dotted, at, entry)
    if used is not None:
        draft.tracers.append(used[0])

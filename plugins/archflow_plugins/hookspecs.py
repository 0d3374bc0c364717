"""What pluggy may call, all of it: at start-up and at compile time, never for a request.

Registration hooks return classes, or a `Later` for one that shall be imported when it is first named; they do no I/O
and import nothing heavy. The others are for an organisation's own rules.

Rule: a hook ships only with a plugin that uses it, a test and its paragraph in plugins/README.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from archflow_plugins.kinds import (
        Dialect,
        Filter,
        Gauge,
        Guard,
        Later,
        Matcher,
        Provider,
        Router,
        SlotFiller,
        Store,
        Tracer,
    )
    from archflow_schema.diagnostic import Report
    from archflow_schema.graph import Graph

PROJECT = "archflow"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def archflow_register_dialects() -> list[type[Dialect] | Later]:  # type: ignore[empty-body]
    """Wire formats of LLM APIs."""


@hookspec
def archflow_register_guards() -> list[type[Guard] | Later]:  # type: ignore[empty-body]
    """Judges of conversations."""


@hookspec
def archflow_register_matchers() -> list[type[Matcher] | Later]:  # type: ignore[empty-body]
    """Pickers of prompt targets."""


@hookspec
def archflow_register_slot_fillers() -> list[type[SlotFiller] | Later]:  # type: ignore[empty-body]
    """Extractors of parameters."""


@hookspec
def archflow_register_routers() -> list[type[Router] | Later]:  # type: ignore[empty-body]
    """Pickers of models."""


@hookspec
def archflow_register_filters() -> list[type[Filter] | Later]:  # type: ignore[empty-body]
    """Changers of requests."""


@hookspec
def archflow_register_gauges() -> list[type[Gauge] | Later]:  # type: ignore[empty-body]
    """Numbers by which models are ranked."""


@hookspec
def archflow_register_providers() -> list[type[Provider] | Later]:  # type: ignore[empty-body]
    """Those who serve models."""


@hookspec
def archflow_register_stores() -> list[type[Store] | Later]:  # type: ignore[empty-body]
    """Counters, leases and values with a time to live."""


@hookspec
def archflow_register_tracers() -> list[type[Tracer] | Later]:  # type: ignore[empty-body]
    """Exporters of telemetry."""


@hookspec
def archflow_graph_verified(graph: Graph, report: Report) -> None:
    """A graph was compiled and verified: the place for an organisation's own rules. Read-only; add to `report`."""

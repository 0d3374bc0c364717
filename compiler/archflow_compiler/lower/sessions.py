"""`routing.session_*` -> how sessions stay with a model, and in which store."""

from __future__ import annotations

from archflow_compiler.lower.draft import Draft
from archflow_compiler.tree import Path
from archflow_plugins.providers import catalogue
from archflow_schema.graph import Budget, Sessions


def sessions(draft: Draft, models: set[str]) -> Sessions | None:
    """The sessions of a router that chooses among these models; None if their store cannot be used, which is told."""
    routing = draft.config.routing
    cache = routing.session_cache
    at: Path = ("routing", "session_cache")
    kind = draft.registry.kind("store.sqlite" if cache.type == "sqlite" else "store.memory")
    config = (
        kind.config(path=cache.path)
        if cache.type == "sqlite"
        else kind.config(max_values=routing.session_max_entries)
    )
    used = draft.use(kind, config, "sessions", at, "routing.session_cache")
    if used is None:
        return None
    return Sessions(
        used[0], routing.session_ttl_seconds, cache.tenant_header.lower(), _budget(draft, sorted(models))
    )


def _budget(draft: Draft, models: list[str]) -> Budget | None:
    said = draft.config.routing.routing_budget
    if said is None:
        return None
    prices = []
    for name in models:
        model = draft.names.find(name)
        known = None if model is None else catalogue.find(model.vendor, model.model_id)
        if known is not None and known.input_price is not None:
            cached = -1.0 if known.cached_price is None else known.cached_price
            prices.append((name, float(known.input_price), float(cached)))
    return Budget(
        percent=said.max_switch_spend_pct,
        anew=said.replenish_on_rebind,
        discount=said.cache_read_discount,
        counterfactual=said.record_counterfactual,
        confidence=said.min_confidence,
        prices=tuple(prices),
    )

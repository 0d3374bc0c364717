"""The order of a preference's models: by what they cost, by how fast they are, or as they are given.

Where nothing has to be asked for it, it is decided here; else a gauge decides while requests come.

Rule: a model of which nothing is known comes after those of which something is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from archflow_compiler.lower.draft import Draft
from archflow_compiler.passes.models import Model
from archflow_compiler.passes.preferences import Preferred
from archflow_compiler.tree import Path
from archflow_plugins.deciding.ranking import ranked as by_number
from archflow_plugins.gauges.prices import price
from archflow_plugins.gauges.source import Measured
from archflow_schema.config import CostSource, LatencySource
from archflow_schema.graph import Ranked, Use

COST, LATENCY = "gauge.prices", "gauge.prometheus"


def models(draft: Draft, preferred: Preferred) -> tuple[str, ...]:
    """The models of a preference as providers are called, best first as far as that is known by now."""
    found = [model for name in preferred.models if (model := draft.names.find(name)) is not None]
    order = tuple(dict.fromkeys(model.name for model in found))
    return by_number(order, prices(found)) if preferred.prefer == "cheapest" else order


def prices(found: Iterable[Model]) -> Mapping[str, float]:
    """What models cost, as the shipped catalogue tells."""
    known = ((model.name, price(model.vendor, model.model_id)) for model in found)
    return {name: costs for name, costs in known if costs is not None}


def ranked(draft: Draft, preferred: Sequence[Preferred]) -> tuple[Ranked, ...]:
    """Which preferences are ranked while requests come, and by what."""
    cheapest = tuple(one.name for one in preferred if one.prefer == "cheapest")
    fastest = tuple(one.name for one in preferred if one.prefer == "fastest")
    sources = _sources(draft, cheapest=bool(cheapest), fastest=bool(fastest))
    found: list[Ranked] = []
    if cheapest and CostSource in sources:
        use = _use(draft, COST, sources[CostSource], _measured(draft, preferred, "cheapest"))
        found += [] if use is None else [Ranked(cheapest, use)]
    if fastest:
        at = sources.get(LatencySource)
        use = None if at is None else _use(draft, LATENCY, at, _measured(draft, preferred, "fastest"))
        found.append(Ranked(fastest, use))
    return tuple(found)


def _sources(draft: Draft, *, cheapest: bool, fastest: bool) -> dict[type, int]:
    """The first source of each type, by its place in the list; what nobody needs is told."""
    found: dict[type, int] = {}
    wanted = {CostSource: ("cheapest", cheapest), LatencySource: ("fastest", fastest)}
    for index, source in enumerate(draft.config.model_metrics_sources):
        policy, needed = wanted[type(source)]
        why = (
            f"no routing preference says `prefer: {policy}`" if not needed
            else f"only the first source of type {policy_type(source)} is asked" if type(source) in found
            else ""
        )  # fmt: skip
        if why:
            place = draft.unit.places.value("model_metrics_sources", index)
            draft.unit.warning("no-effect", f"this source has no effect: {why}", place)
        found.setdefault(type(source), index)
    return found


def policy_type(source: CostSource | LatencySource) -> str:
    """What a configuration calls the type of a source."""
    return str(source.__struct_config__.tag)


def _measured(draft: Draft, preferred: Sequence[Preferred], prefer: str) -> tuple[Measured, ...]:
    found = (draft.names.find(name) for one in preferred if one.prefer == prefer for name in one.models)
    return tuple(
        dict.fromkeys(
            Measured(model.name, model.vendor, model.model_id) for model in found if model is not None
        )
    )


def _use(draft: Draft, dotted: str, index: int, measured: tuple[Measured, ...]) -> Use | None:
    source = draft.config.model_metrics_sources[index]
    kind = draft.registry.kind(dotted)
    more: dict[str, object] = {"url": source.url or "", "refresh_interval": source.refresh_interval}
    if isinstance(source, CostSource):
        more |= {"provider": source.provider, "model_aliases": _aliases(draft, source)}
    else:
        more["query"] = source.query
    at: Path = ("model_metrics_sources", index)
    used = draft.use(kind, kind.config(models=measured, **more), dotted, at, f"model_metrics_sources.{index}")
    return None if used is None else used[0]


def _aliases(draft: Draft, source: CostSource) -> tuple[tuple[str, str], ...]:
    """The catalogue's names and ours, ours as providers are called."""
    found = ((theirs, draft.names.find(ours)) for theirs, ours in source.model_aliases)
    return tuple((theirs, model.name) for theirs, model in found if model is not None)

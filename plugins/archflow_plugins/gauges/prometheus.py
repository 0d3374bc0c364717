"""How fast models are, as a Prometheus query tells it: one value per label `model_name`, the lowest is best.

Source: https://prometheus.io/docs/prometheus/latest/querying/api/ (instant queries, vectors).
"""

from __future__ import annotations

import urllib.parse
from typing import Any, ClassVar

import msgspec
from msgspec import Struct

from archflow_plugins.contexts import CompileContext, RunContext
from archflow_plugins.gauges.source import Measured, Source, SourceGauge, keys
from archflow_schema.text import Text

PATH = "/api/v1/query"
LABEL = "model_name"


class PrometheusConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Configuration of the gauge that asks Prometheus.

    Attributes:
        models: the models that want a number.
        url: where Prometheus is.
        query: a PromQL query that gives one value per label `model_name`.
        refresh_interval: seconds between two looks.
    """

    models: tuple[Measured, ...] = ()
    url: str
    query: str
    refresh_interval: int = 60


class PrometheusCompiled(Struct, frozen=True, kw_only=True):
    """What the graph keeps of it."""

    url: Text
    refresh_interval: int
    names: tuple[tuple[str, str], ...]


class Prometheus(SourceGauge):
    """Ranks models by the result of a query."""

    kind = "gauge.prometheus"
    config = PrometheusConfig
    compiled: ClassVar[type[Struct] | None] = PrometheusCompiled

    @classmethod
    def compile(cls, config: PrometheusConfig, ctx: CompileContext) -> PrometheusCompiled:
        base = config.url.rstrip("/").removesuffix(PATH)
        return PrometheusCompiled(
            url=ctx.text(f"{base}{PATH}?query={urllib.parse.quote(config.query, safe='')}", "url"),
            refresh_interval=config.refresh_interval,
            names=keys(config.models),
        )

    def __init__(self, compiled: Any, ctx: RunContext) -> None:
        super().__init__(compiled, ctx)
        self._source = Source(ctx, compiled.url, compiled.refresh_interval, compiled.names, read)


class _Sample(Struct):
    metric: dict[str, str] = {}
    value: tuple[float, str] = (0.0, "NaN")


class _Data(Struct):
    result: list[_Sample] = []


class _Answer(Struct):
    data: _Data


def read(body: bytes) -> dict[str, float]:
    """Label -> value. Raises MsgspecError."""
    samples = msgspec.json.decode(body, type=_Answer).data.result
    return {
        one.metric[LABEL]: msgspec.convert(one.value[1], float, strict=False)
        for one in samples
        if LABEL in one.metric
    }

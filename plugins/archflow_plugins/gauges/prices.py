"""What models cost, from a catalogue on the network; until it answered, from the one that is shipped.

The number of a model is what a million tokens of input and a million of output cost together, in US dollars.

Source: https://models.dev/api.json, and DigitalOcean's `GET /v2/gen-ai/models/catalog` as Plano reads it.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import msgspec
from msgspec import Struct

from archflow_plugins.contexts import CompileContext, RunContext
from archflow_plugins.gauges.source import Measured, Source, SourceGauge, keys
from archflow_plugins.providers import catalogue
from archflow_schema.text import Text

Catalogue = Literal["models.dev", "digitalocean"]
PLACES: dict[str, str] = {
    "models.dev": "https://models.dev/api.json",
    "digitalocean": "https://api.digitalocean.com/v2/gen-ai/models/catalog",
}


class PricesConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Configuration of the gauge of prices.

    Attributes:
        models: the models that want a price.
        provider: the catalogue.
        url: where it is, when not at its own address.
        refresh_interval: seconds between two looks.
        model_aliases: the catalogue's names, and ours.
    """

    models: tuple[Measured, ...] = ()
    provider: Catalogue = "models.dev"
    url: str = ""
    refresh_interval: int = 3600
    model_aliases: tuple[tuple[str, str], ...] = ()


class PricesCompiled(Struct, frozen=True, kw_only=True):
    """What the graph keeps of it; `known` are the prices of the shipped catalogue."""

    provider: Catalogue
    url: Text
    refresh_interval: int
    names: tuple[tuple[str, str], ...]
    known: tuple[tuple[str, float], ...]


def price(vendor: str, model: str) -> float | None:
    """What a model costs as far as the shipped catalogue tells: a million tokens of input and of output together."""
    known = catalogue.find(vendor, model)
    if known is None or known.input_price is None:
        return None
    return known.input_price + (known.output_price or 0.0)


class Prices(SourceGauge):
    """Ranks models by what they cost."""

    kind = "gauge.prices"
    config = PricesConfig
    compiled: ClassVar[type[Struct] | None] = PricesCompiled

    @classmethod
    def compile(cls, config: PricesConfig, ctx: CompileContext) -> PricesCompiled:
        known = ((one.name, price(one.vendor, one.id)) for one in config.models)
        return PricesCompiled(
            provider=config.provider,
            url=ctx.text(config.url or PLACES[config.provider], "url"),
            refresh_interval=config.refresh_interval,
            names=keys(config.models, config.model_aliases),
            known=tuple((name, costs) for name, costs in known if costs is not None),
        )

    def __init__(self, compiled: Any, ctx: RunContext) -> None:
        super().__init__(compiled, ctx)
        self._source = Source(
            ctx,
            compiled.url,
            compiled.refresh_interval,
            compiled.names,
            read_models_dev if compiled.provider == "models.dev" else read_digitalocean,
            compiled.known,
        )


class _Cost(Struct):
    input: float | None = None
    output: float | None = None


class _Listed(Struct):
    cost: _Cost | None = None


class _Vendor(Struct):
    models: dict[str, _Listed] = {}


class _Pricing(Struct):
    input_price_per_million: float | None = None
    output_price_per_million: float | None = None


class _Offered(Struct):
    model_id: str = ""
    pricing: _Pricing | None = None


class _Offers(Struct):
    data: list[_Offered] = []


def read_models_dev(body: bytes) -> dict[str, float]:
    """`vendor/model` -> its number. Raises MsgspecError."""
    vendors = msgspec.json.decode(body, type=dict[str, _Vendor])
    return {
        f"{vendor}/{model}": listed.cost.input + (listed.cost.output or 0.0)
        for vendor, one in vendors.items()
        for model, listed in one.models.items()
        if listed.cost is not None and listed.cost.input is not None
    }


def read_digitalocean(body: bytes) -> dict[str, float]:
    """Model -> its number. Raises MsgspecError."""
    return {
        one.model_id: one.pricing.input_price_per_million + (one.pricing.output_price_per_million or 0.0)
        for one in msgspec.json.decode(body, type=_Offers).data
        if one.pricing is not None and one.pricing.input_price_per_million is not None
    }

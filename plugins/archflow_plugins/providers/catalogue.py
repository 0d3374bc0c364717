"""The vendors' models that were known when this version was made: sizes, prices, what they can.

Facts only, in `models.json`, one model a line, with their source and the day they were taken. They list what a wildcard
such as `openai/*` takes and tell people what a model costs; nothing is refused for not being among them.

Rule: read when first asked for: a gateway that serves never opens the file.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from archflow_plugins.providers.table import Vendor

Ability = Literal["vision", "tools", "reasoning", "json_schema", "audio", "pdf"]


class Known(Struct, frozen=True, kw_only=True):
    """A model.

    Attributes:
        vendor: the name in `table.VENDORS`.
        id: what the vendor calls it.
        does: how it is asked: `responses` is chat that speaks OpenAI's Responses only.
        context: tokens of input at most.
        output: tokens of output at most; 0 if the source does not tell, or it has none.
        input_price, output_price, cached_price: US dollars per million tokens of input, output, and input that is read
            from the prompt cache; None if the source does not tell.
        can: pictures, tools, thinking, answers by a schema, sound and PDF among its input.
    """

    vendor: str
    id: str
    does: Literal["chat", "responses", "embeddings"]
    context: int
    output: int = 0
    input_price: float | None = None
    output_price: float | None = None
    cached_price: float | None = None
    can: tuple[Ability, ...] = ()

    def served_by(self, vendor: Vendor) -> bool:
        """Whether archflow can ask its vendor for it."""
        if self.does == "chat":
            return bool(vendor.dialects)
        return f"openai_{self.does}" in vendor.dialects


class Catalogue(Struct, frozen=True):
    """All of them.

    Attributes:
        taken: the day, such as 2026-11-25.
        source: where from.
    """

    taken: str
    source: str
    models: tuple[Known, ...]


@cache
def catalogue() -> Catalogue:
    """The models that this version knows."""
    return msgspec.json.decode(Path(__file__).with_name("models.json").read_bytes(), type=Catalogue)


def of(vendor: str) -> tuple[Known, ...]:
    """The models of a vendor, by id; empty for one whose models are not known."""
    return tuple(model for model in catalogue().models if model.vendor == vendor)


def find(vendor: str, model: str) -> Known | None:
    """A vendor's model by its id; None for one that is not known."""
    return next((one for one in of(vendor) if one.id == model), None)

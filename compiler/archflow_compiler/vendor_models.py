"""What `archc models list --provider` says: a vendor's models as this version knows them.

Rule: only words here; the facts are archflow_plugins.providers.catalogue's.
"""

from __future__ import annotations

from collections.abc import Iterator

from archflow_plugins.providers.catalogue import Known, catalogue, of
from archflow_plugins.providers.table import find
from archflow_schema.errors import ArchflowError
from archflow_schema.suggest import listed


def models(provider: str) -> tuple[Known, ...]:
    """The models of a vendor, by its name or alias.

    Raises:
        ArchflowError: none of its models is known.
    """
    vendor = find(provider)
    found = of(vendor.name) if vendor is not None else ()
    if not found:
        known = listed(tuple(dict.fromkeys(model.vendor for model in catalogue().models)))
        raise ArchflowError(f"no models of '{provider}' are known", fix=f"there are some of {known}")
    return found


def lines(found: tuple[Known, ...]) -> Iterator[str]:
    """The models as a table for people."""
    rows = [(_name(model), _size(model), _prices(model), _can(model)) for model in found]
    name, size, prices = (max(len(row[column]) for row in rows) for column in range(3))
    for row in rows:
        yield f"{row[0]:<{name}}  {row[1]:<{size}}  {row[2]:<{prices}}  {row[3]}".rstrip()
    told = catalogue()
    yield ""
    yield "US dollars per million tokens: input / output / input from the cache"
    yield f"taken {told.taken} from {told.source}"


def _name(model: Known) -> str:
    return f"{model.vendor}/{model.id}"


def _size(model: Known) -> str:
    return f"{_tokens(model.context)} in" + (f", {_tokens(model.output)} out" if model.output else "")


def _can(model: Known) -> str:
    return " ".join((*(() if model.does == "chat" else (model.does,)), *model.can))


def _tokens(count: int) -> str:
    return f"{count / 1e6:.3g}M" if count >= 1_000_000 else f"{count / 1e3:.4g}k"


def _prices(model: Known) -> str:
    told = (model.input_price, model.output_price, model.cached_price)
    return " / ".join("-" if price is None else f"${price:g}" for price in told)

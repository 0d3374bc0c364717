"""Forms of values in arch_config.yaml that are more than a YAML type: times, sizes, names, mappings with keys.

A form is a mark on the type. The compiler decodes values by it, and the JSON Schema and the reference are written from
it, so that the three can never disagree.

Rule: a `str` without a mark may hold environment references (`$NAME`, `${NAME}`); a `Name` must be literal.
"""

from __future__ import annotations

from typing import Annotated, TypeVar

from msgspec import Meta

T = TypeVar("T")

SECOND = 1.0
DURATION_UNITS: dict[str, float] = {
    "ns": 1e-9,
    "us": 1e-6,
    "ms": 1e-3,
    "s": SECOND,
    "m": 60 * SECOND,
    "h": 3600 * SECOND,
    "d": 86_400 * SECOND,
}
"""The units of a time, as in `30s`, `500ms` and `1h`."""

SIZE_UNITS: dict[str, int] = {
    "B": 1,
    "kB": 1000,
    "KB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "KiB": 1024,
    "MiB": 1024**2,
    "GiB": 1024**3,
}
"""The units of a size, as in `64KiB` and `32MiB`."""

Duration = Annotated[float, Meta(gt=0, extra={"form": "duration"})]
"""A time in seconds: a number, or a number with a unit."""

Size = Annotated[int, Meta(gt=0, extra={"form": "size"})]
"""A number of bytes: an integer, or a number with a unit."""

Name = Annotated[str, Meta(min_length=1, extra={"form": "name"})]
"""Literal text that the graph is built from; an environment reference is refused here."""

Url = Annotated[str, Meta(min_length=1, extra={"form": "url"})]
"""An address with scheme http or https; may hold environment references."""

Port = Annotated[int, Meta(ge=1, le=65_535)]
"""A TCP port."""

Percent = Annotated[int, Meta(ge=0, le=100)]
"""Whole per cent."""

Pairs = Annotated[tuple[tuple[str, str], ...], Meta(extra={"form": "pairs"})]
"""A mapping of text to text, kept as pairs in the order of the file."""

Scalar = str | int | float | bool
"""Any single value."""

Scalars = Annotated[tuple[tuple[str, str | int | float | bool], ...], Meta(extra={"form": "pairs"})]
"""A mapping of text to single values."""

OneOrMore = Annotated[tuple[T, ...], Meta(min_length=1, extra={"form": "one-or-more"})]
"""A list; a single value stands for a list of one."""

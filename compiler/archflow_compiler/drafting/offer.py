"""What an API offers to call, as far as prompt targets can say it.

Rule: values; where they come from is known to those who read sources.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from msgspec import Struct

Single = str | int | float | bool

MOST_CALLS = 1000
"""Calls of a draft; nobody reads on."""
MOST_VALUES = 64
"""Parameters of a call."""
WITHOUT_BODY = frozenset({"GET", "DELETE"})
"""Methods whose parameters go into the query by themselves, for they have no body."""
_LONGEST_TEXT = 500
_SORTS: dict[str, tuple[type, ...]] = {"int": (int,), "float": (int, float), "str": (str,)}


class Value(Struct, frozen=True, kw_only=True):
    """A parameter of a call.

    Attributes:
        name, description, required, default, enum, in_path, format: as of a prompt target's parameter.
        type: `int`, `float`, `bool`, `str`, `list` or `dict`.
        items: the type of a list's items.
        remarks: what could not be said otherwise, for comments.
    """

    name: str
    description: str = ""
    type: str = "str"
    items: str = ""
    required: bool = False
    default: Single | None = None
    enum: tuple[Single, ...] = ()
    in_path: bool = False
    format: str = ""
    remarks: tuple[str, ...] = ()


class Call(Struct, frozen=True, kw_only=True):
    """An operation that can be called.

    Attributes:
        name: unique among the calls.
        description: what it does.
        method: GET, POST, PUT, PATCH or DELETE.
        path: with `{name}` for values, and what must be in the query.
        host: the name of the host that serves it.
        headers: fixed ones; values may name the environment.
        values: its parameters.
        remarks: what could not be said otherwise, for comments.
    """

    name: str
    description: str
    method: str
    path: str
    host: str
    headers: tuple[tuple[str, str], ...] = ()
    values: tuple[Value, ...] = ()
    remarks: tuple[str, ...] = ()


class Host(Struct, frozen=True, kw_only=True):
    """Where calls go.

    Attributes:
        name: what calls name it by.
        address: `host` or `host:port`.
        protocol: `http` or `https`.
        remark: what is doubtful about it.
    """

    name: str
    address: str
    protocol: str
    remark: str = ""


class Offer(Struct, frozen=True, kw_only=True):
    """All that can be called."""

    hosts: tuple[Host, ...]
    calls: tuple[Call, ...]


def single(value: object) -> Single | None:
    """A value as a configuration can hold it, or None: text without marks, a number of usual size, true or false."""
    if isinstance(value, str):
        return value if len(value) <= _LONGEST_TEXT and all(one.isprintable() for one in value) else None
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**63 else None
    return value if isinstance(value, float) and math.isfinite(value) else None


def fits(kind: str, value: object) -> bool:
    """Whether a value is of a parameter's type."""
    if isinstance(value, bool) or kind == "bool":
        return kind == "bool" and isinstance(value, bool)
    return isinstance(value, _SORTS.get(kind, ()))


def kind_of(values: Iterable[object]) -> str:
    """The type of a parameter that may have these values."""
    every = list(values)
    kinds = ("bool", "int", "float")
    return next((one for one in kinds if every and all(fits(one, each) for each in every)), "str")

"""The configuration as its Structs describe themselves: every key with its type, default and sentence.

The sentences are the `Attributes:` sections of the docstrings, so that a key cannot exist without one.

Rule: `json_schema` and `reference` are written from these descriptions and nothing else.
"""

from __future__ import annotations

import inspect as python
import re
from typing import Any

from msgspec import NODEFAULT, Struct, inspect, to_builtins

from archflow_schema.config import Config

_ATTRIBUTE = re.compile(r"    ([a-z_][a-z0-9_]*): (.*)")


class Key(Struct, frozen=True, kw_only=True):
    """One key of a section.

    Attributes:
        name: as it is written.
        text: what it means.
        type: msgspec's description of what may stand there.
        required: whether it must be there.
        default: what it is when it is not there, as YAML's builtins; None if nothing is.
    """

    name: str
    text: str
    type: Any
    required: bool
    default: Any


class Section(Struct, frozen=True, kw_only=True):
    """A mapping with its own keys: one Struct.

    Attributes:
        name: of the Struct.
        text: what it is.
        keys: its keys, in order.
        rest: whether it takes other keys too, which a plugin defines.
        tag: the key that tells it from its siblings, and its value.
        named_by: the field that is not a key of its own: the section's key in the mapping around it.
    """

    name: str
    text: str
    keys: tuple[Key, ...]
    rest: bool
    tag: tuple[str, str] | None
    named_by: str


def sections() -> dict[type, Section]:
    """Every section that the root leads to, the root first, each before those that only it leads to."""
    root = inspect.type_info(Config)
    found: dict[type, Section] = {}
    waiting = [(root, "")]
    while waiting:
        described, named_by = waiting.pop(0)
        if isinstance(described, inspect.StructType) and described.cls not in found:
            found[described.cls] = _section(described, named_by)
            waiting[:0] = [
                (inner, str(form(field.type).get("key", "")))
                for field in described.fields
                if "value" not in form(field.type)
                for inner in structs(field.type)
            ]
    return found


def form(described: inspect.Type) -> dict[str, Any]:
    """How a value may be written, when that is more than its YAML type."""
    return described.extra or {} if isinstance(described, inspect.Metadata) else {}


def bare(described: inspect.Type) -> inspect.Type:
    """A type without its form."""
    return described.type if isinstance(described, inspect.Metadata) else described


def structs(described: inspect.Type) -> list[inspect.StructType]:
    """The Structs that a type leads to."""
    match described:
        case inspect.Metadata():
            return structs(described.type)
        case inspect.StructType():
            return [described]
        case inspect.UnionType():
            return [one for inner in described.types for one in structs(inner)]
        case inspect.VarTupleType():
            return structs(described.item_type)
        case _:
            return []


def _section(described: inspect.StructType, named_by: str) -> Section:
    summary, attributes = read(described.cls)
    tag = (str(described.tag_field), str(described.tag)) if described.tag_field else None
    keys = [
        Key(
            name=field.encode_name,
            text=attributes[field.name],
            type=field.type,
            required=field.required,
            default=None if field.default is NODEFAULT else _builtin(field.default),
        )
        for field in described.fields
        if field.name != named_by
    ]
    return Section(
        name=described.cls.__name__,
        text=summary,
        keys=tuple(keys),
        rest=bool(getattr(described.cls, "rest", False)),
        tag=tag,
        named_by=named_by,
    )


def _builtin(value: object) -> Any:
    """A default as it would be written; an empty one is none."""
    if isinstance(value, Struct):
        return None
    return to_builtins(value) if value not in ("", ()) else None


def read(cls: type) -> tuple[str, dict[str, str]]:
    """A Struct's docstring: what it is, and a sentence for each field.

    Raises:
        ValueError: a field has no sentence, or a sentence has no field.
    """
    summary, found = attributes(cls)
    fields = set(cls.__struct_fields__)  # type: ignore[attr-defined]
    if fields != set(found):
        raise ValueError(f"{cls.__name__}: described {sorted(found)}, has {sorted(fields)}")
    return summary, found


def attributes(cls: type) -> tuple[str, dict[str, str]]:
    """A class's docstring: what it is, and the sentences of its `Attributes:` section."""
    text = python.cleandoc(cls.__doc__ or "")
    summary, _, rest = text.partition("\nAttributes:\n")
    found: dict[str, str] = {}
    name = ""
    for line in rest.splitlines():
        match = _ATTRIBUTE.fullmatch(line)
        if match:
            name = match[1]
            found[name] = match[2]
        elif name and line.strip():
            found[name] += " " + line.strip()
    return " ".join(summary.split()), found


def cell(words: str) -> str:
    """Words as they stand in a cell of a Markdown table."""
    return words.replace("|", "\\|").replace("\n", " ")

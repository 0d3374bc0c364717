"""The reference of arch_config.yaml in Markdown: the generated part of schema/README.md.

Rule: written from `describe`; a key that is not typed there is not here.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec import inspect

from archflow_compiler.reference import describe
from archflow_compiler.reference.describe import Key, Section, cell, sections, structs
from archflow_schema.config import Config

BEGIN = "<!-- begin: written by `archc schema --reference`; change the docstrings instead -->"
END = "<!-- end -->"


def markdown() -> str:
    """The reference."""
    return "\n".join(line for cls, section in sections().items() for line in _section(cls, section)) + "\n"


def replaced(readme: str, text: str, begin: str = BEGIN, end: str = END) -> str:
    """A README with what stands between two marks written anew.

    Raises:
        ValueError: it has no such part.
    """
    before, found, rest = readme.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"the marks {begin} and {end} are missing")
    return f"{before}{begin}\n\n{text}\n{end}{after}"


def _section(cls: type, section: Section) -> Iterator[str]:
    yield f"### {'The whole file' if cls is Config else section.name}"
    yield ""
    yield section.text + (" Other keys are the plugin's." if section.rest else "")
    yield ""
    yield "| key | value | default | meaning |"
    yield "|---|---|---|---|"
    if section.tag is not None:
        yield f"| `{section.tag[0]}` | `{section.tag[1]}` | required | what it is |"
    for key in section.keys:
        yield f"| `{key.name}` | {_value(key.type)} | {_default(key)} | {cell(key.text)} |"
    yield ""


def _default(key: Key) -> str:
    if key.required:
        return "required"
    if key.default is None:
        return ""
    value = key.default
    if isinstance(value, float) and value == int(value):
        value = int(value)
    return f"`{msgspec.json.encode(value).decode() if not isinstance(value, str) else value}`"


def _value(described: inspect.Type) -> str:
    form = describe.form(described)
    described = describe.bare(described)
    linked = " or ".join(f"[{one.cls.__name__}](#{one.cls.__name__.lower()})" for one in structs(described))
    match form.get("form"):
        case "duration":
            return "time"
        case "size":
            return "size"
        case "name":
            return "literal text"
        case "url":
            return "URL"
        case "pairs":
            return "mapping"
        case "keyed":
            return "mapping of name to version" if "value" in form else f"mapping of name to {linked}"
        case "one-or-more":
            return (
                f"{_value(described.item_type)}, or a list"
                if isinstance(described, inspect.VarTupleType)
                else ""
            )
        case _:
            return _plain(described, linked)


def _plain(described: inspect.Type, linked: str) -> str:
    match described:
        case inspect.VarTupleType():
            return f"list of {linked or _value(described.item_type)}"
        case inspect.LiteralType():
            return " \\| ".join(f"`{value}`" for value in described.values)
        case inspect.UnionType():
            types = [one for one in described.types if not isinstance(one, inspect.NoneType)]
            return linked or (_value(types[0]) if len(types) == 1 else "any single value")
        case inspect.BoolType():
            return "`true` \\| `false`"
        case inspect.IntType():
            return "whole number" + _bounds(described)
        case inspect.FloatType():
            return "number" + _bounds(described)
        case inspect.StrType():
            return "text"
        case _:
            return linked


def _bounds(described: inspect.IntType | inspect.FloatType) -> str:
    if described.ge is not None and described.le is not None:
        return f", {described.ge} to {described.le}"
    return f", at least {described.ge}" if described.ge is not None else ""

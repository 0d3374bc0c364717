"""The JSON Schema of arch_config.yaml, for editors: completion, hovers and checks while one types.

It describes the newest form and, marked as deprecated, the older ones that `passes.migrate` understands at the top.

Rule: written from `describe`; a key that is not typed there is not here.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import inspect

from archflow_compiler.reference import describe
from archflow_compiler.reference.describe import Key, Section, sections
from archflow_schema.config import Config
from archflow_schema.config.forms import DURATION_UNITS, SIZE_UNITS

_NUMBER = r"[0-9]+(\.[0-9]+)?"


def schema() -> dict[str, Any]:
    """The whole schema."""
    found = sections()
    definitions = {section.name: _object(section) for cls, section in found.items() if cls is not Config}
    root = _object(found[Config])
    root["properties"] |= _older()
    root["required"] = ["version"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "arch_config.yaml",
        **root,
        "$defs": definitions,
    }


def text() -> str:
    """The schema as it is kept in schema/arch_config.schema.json."""
    return msgspec.json.format(msgspec.json.encode(schema()), indent=2).decode() + "\n"


def _object(section: Section) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    required = [key.name for key in section.keys if key.required]
    if section.tag is not None:
        properties[section.tag[0]] = {"const": section.tag[1]}
        required.insert(0, section.tag[0])
    for key in section.keys:
        properties[key.name] = _property(key)
    made: dict[str, Any] = {"type": "object", "description": section.text, "properties": properties}
    if required:
        made["required"] = required
    return {**made, "additionalProperties": section.rest}


def _property(key: Key) -> dict[str, Any]:
    made = {**_type(key.type), "description": key.text}
    if key.default is not None:
        made["default"] = key.default
    return made


def _type(described: inspect.Type) -> dict[str, Any]:
    form = describe.form(described)
    described = describe.bare(described)
    match form.get("form"):
        case "duration":
            return _quantity("number", DURATION_UNITS)
        case "size":
            return _quantity("integer", SIZE_UNITS)
        case "pairs" if isinstance(described, inspect.VarTupleType):
            pair = described.item_type
            value = pair.item_types[1] if isinstance(pair, inspect.TupleType) else inspect.StrType()
            return {"type": "object", "additionalProperties": _type(value)}
        case "keyed" if isinstance(described, inspect.VarTupleType):
            return _keyed(described, form)
        case "one-or-more" if isinstance(described, inspect.VarTupleType):
            item = _type(described.item_type)
            return {"oneOf": [item, {"type": "array", "items": item, "minItems": 1}]}
        case _:
            return _plain(described)


def _quantity(number: str, units: dict[str, Any]) -> dict[str, Any]:
    """A number, or a number with a unit."""
    return {
        "oneOf": [
            {"type": number, "exclusiveMinimum": 0},
            {"type": "string", "pattern": rf"^(\s*{_NUMBER}\s*({'|'.join(units)}))+\s*$"},
        ]
    }


def _keyed(described: inspect.VarTupleType, form: dict[str, Any]) -> dict[str, Any]:
    """A mapping whose keys become a field of each item."""
    item = described.item_type
    if "value" in form or not isinstance(item, inspect.StructType):
        return {"type": "object", "additionalProperties": {"type": "string"}}
    made: dict[str, Any] = {
        "type": "object",
        "additionalProperties": {"$ref": f"#/$defs/{item.cls.__name__}"},
    }
    inner = describe.bare(next(field for field in item.fields if field.name == form["key"]).type)
    if isinstance(inner, inspect.StrType) and inner.pattern:
        made["propertyNames"] = {"pattern": inner.pattern}
    return made


def _plain(described: inspect.Type) -> dict[str, Any]:
    match described:
        case inspect.StructType():
            return {"$ref": f"#/$defs/{described.cls.__name__}"}
        case inspect.VarTupleType():
            made: dict[str, Any] = {"type": "array", "items": _type(described.item_type)}
            return made | ({"minItems": described.min_length} if described.min_length else {})
        case inspect.UnionType():
            types = [_type(one) for one in described.types if not isinstance(one, inspect.NoneType)]
            return types[0] if len(types) == 1 else {"anyOf": types}
        case inspect.LiteralType():
            return {"enum": [*described.values, *_numbers(described)]}
        case inspect.BoolType():
            return {"type": "boolean"}
        case inspect.IntType():
            return {"type": "integer", **_bounds(described)}
        case inspect.FloatType():
            return {"type": "number", **_bounds(described)}
        case inspect.StrType():
            made = {"type": "string"}
            if described.min_length:
                made["minLength"] = described.min_length
            if described.pattern:
                made["pattern"] = described.pattern
            return made
        case _:
            raise TypeError(f"no JSON Schema for {described}")


def _numbers(described: inspect.LiteralType) -> list[float]:
    """The values that read as numbers when they stand without quotes, such as `http_version: 1.1`."""
    return [float(value) for value in described.values if isinstance(value, str) and value[:1].isdigit()]


def _bounds(described: inspect.IntType | inspect.FloatType) -> dict[str, Any]:
    bounds = {
        "minimum": described.ge,
        "maximum": described.le,
        "exclusiveMinimum": described.gt,
        "exclusiveMaximum": described.lt,
    }
    return {name: value for name, value in bounds.items() if value is not None}


def _older() -> dict[str, Any]:
    """The older top-level forms."""
    return {
        "llm_providers": {
            "type": "array",
            "items": {"type": "object"},
            "deprecated": True,
            "description": "the older name of model_providers.",
        },
        "listener": {
            "type": "object",
            "deprecated": True,
            "description": "an older form: a listener of type prompt.",
        },
        "listeners": {
            "description": "where clients connect.",
            "oneOf": [
                {"type": "array", "items": {"$ref": "#/$defs/Listener"}},
                {
                    "type": "object",
                    "deprecated": True,
                    "description": "an older form.",
                    "properties": {
                        name: {"type": "object"} for name in ("egress_traffic", "ingress_traffic")
                    },
                    "additionalProperties": False,
                },
            ],
        },
    }

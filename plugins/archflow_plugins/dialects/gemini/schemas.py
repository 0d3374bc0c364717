"""Google's subset of OpenAPI's schemas -> JSON Schema, which is what every other dialect speaks.

Types are in capitals there, `nullable` stands beside them, and whole numbers may come as texts.

Rule: what is not known is kept as it is.
Rule: depth is bounded by DEPTH; below it a schema is kept as it is.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from archflow_plugins.dialects.json_body import encode

DEPTH = 64
_ONE = frozenset({"items", "additionalProperties", "not"})
_SEVERAL = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_NAMED = frozenset({"properties", "defs", "$defs"})
_NUMBERS = frozenset({"minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"})
_LEFT_OUT = frozenset({"nullable", "propertyOrdering"})
_RENAMED = {
    "defs": "$defs",
    "ref": "$ref",
    "additional_properties": "additionalProperties",
    "any_of": "anyOf",
    "max_items": "maxItems",
    "min_items": "minItems",
    "max_length": "maxLength",
    "min_length": "minLength",
    "max_properties": "maxProperties",
    "min_properties": "minProperties",
    "prefix_items": "prefixItems",
    "property_ordering": "propertyOrdering",
}
"""As Google's own client spells them."""


def json_schema(raw: Raw) -> Raw:
    """The same schema in JSON Schema's words. Raises what msgspec raises for what is no JSON object."""
    return Raw(encode(_converted(msgspec.json.decode(raw, type=dict[str, object]), DEPTH)))


def _converted(schema: object, depth: int) -> object:
    if not isinstance(schema, dict) or depth == 0:
        return schema
    found: dict[str, object] = {}
    for name, value in schema.items():
        known = _RENAMED.get(str(name), str(name))
        if known in _LEFT_OUT:
            continue
        if known == "type" and isinstance(value, str):
            found[known] = value.lower()
        elif known in _ONE:
            found[known] = _converted(value, depth - 1)
        elif known in _SEVERAL and isinstance(value, list):
            found[known] = [_converted(one, depth - 1) for one in value]
        elif known in _NAMED and isinstance(value, dict):
            found[known] = {key: _converted(one, depth - 1) for key, one in value.items()}
        elif known in _NUMBERS and isinstance(value, str) and value.isdecimal() and len(value) < 16:
            found[known] = int(value)
        else:
            found[known] = value
    if schema.get("nullable") is True and isinstance(found.get("type"), str):
        found["type"] = [found["type"], "null"]
        values = found.get("enum")
        if isinstance(values, list) and None not in values:
            found["enum"] = [*values, None]
    return found

"""JSON Schemas in the subset that Claude's constrained answers and strict tools take, which refuse any other.

Objects must say that they hold nothing else, and limits of numbers, texts and lists have no place: as in Anthropic's
own client, they become words of the description, which the model reads.

Source: Anthropic's "Structured outputs" (JSON Schema limitations) and its Python client 2.14, 2026-11.

Rule: an object whose further properties have a schema stays as it is: closing it would ask for another answer.
Rule: depth is bounded by DEPTH; below it a schema is kept as it is.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from archflow_plugins.dialects.json_body import BAD_JSON, encode

DEPTH = 64
_LIMITS = frozenset({
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "maxItems",
    "uniqueItems", "minProperties", "maxProperties",
})  # fmt: skip
_FORMATS = frozenset({
    "date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid",
})  # fmt: skip
_ONE = frozenset({"items", "additionalProperties", "not"})
_SEVERAL = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_NAMED = frozenset({"properties", "$defs", "definitions"})


def closed(schema: Raw) -> Raw:
    """The same schema in that subset; what is no JSON object stays as it is."""
    try:
        said = msgspec.json.decode(schema, type=dict[str, object])
    except BAD_JSON:
        return schema
    return Raw(encode(_closed(said, DEPTH)))


def _closed(schema: object, depth: int) -> object:
    if not isinstance(schema, dict) or depth == 0:
        return schema
    found: dict[str, object] = {}
    limits: list[str] = []
    for name, value in schema.items():
        if _is_limit(name, value):
            limits.append(f"{name}: {encode(value).decode()}")
        elif name in _ONE:
            found[name] = _closed(value, depth - 1)
        elif name in _SEVERAL and isinstance(value, list):
            found["anyOf" if name == "oneOf" else name] = [_closed(one, depth - 1) for one in value]
        elif name in _NAMED and isinstance(value, dict):
            found[name] = {key: _closed(one, depth - 1) for key, one in value.items()}
        else:
            found[name] = value
    kind = schema.get("type")
    if kind == "object" or (isinstance(kind, list) and "object" in kind) or "properties" in schema:
        further = schema.get("additionalProperties")
        if not isinstance(further, dict) or not further:
            found["additionalProperties"] = False
    if limits:
        words = "{" + ", ".join(limits) + "}"
        said = schema.get("description")
        found["description"] = f"{said}\n\n{words}" if isinstance(said, str) and said else words
    return found


def _is_limit(name: str, value: object) -> bool:
    if name == "minItems":
        return value not in (0, 1)
    if name == "format":
        return isinstance(value, str) and value not in _FORMATS
    return name in _LIMITS

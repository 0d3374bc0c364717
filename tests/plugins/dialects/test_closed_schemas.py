"""Schemas as Claude's constrained answers take them, beside what Anthropic's own client makes of the same."""

import pytest
from anthropic import transform_schema
from msgspec import Raw, json

from archflow_plugins.dialects.closed_schemas import DEPTH, closed


def made(schema):
    return json.decode(closed(Raw(json.encode(schema))))


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
        {"type": "object", "properties": {}, "additionalProperties": True},
        {
            "type": "object",
            "properties": {
                "n": {"type": "integer", "minimum": 1, "maximum": 5, "description": "a number"},
                "s": {"type": "string", "minLength": 1, "format": "uuid"},
                "f": {"type": "string", "format": "int32"},
                "l": {"type": "array", "items": {"type": "object", "properties": {}}, "minItems": 2},
                "m": {"type": "array", "items": {"type": "null"}, "minItems": 1},
                "u": {"oneOf": [{"type": "number"}, {"$ref": "#/$defs/X"}]},
            },
            "$defs": {"X": {"type": "object", "properties": {"maximum": {"type": "string"}}}},
            "additionalProperties": False,
        },
    ],
)
def test_as_anthropics_own_client(schema):
    assert _worded(made(schema)) == _worded(transform_schema(schema))
    assert made(made(schema)) == made(schema)


def _worded(schema):
    """A schema with its limits as they are told, whatever quotes stand around texts."""
    return json.decode(json.encode(schema).replace(b'\\"', b""))


def test_objects_that_are_not_called_so_are_closed_too():
    assert made({"properties": {"a": {}}}) == {"properties": {"a": {}}, "additionalProperties": False}
    assert made({"type": ["object", "null"]}) == {"type": ["object", "null"], "additionalProperties": False}


def test_a_map_is_not_closed():
    schema = {"type": "object", "additionalProperties": {"type": "integer"}}
    assert made(schema) == schema


@pytest.mark.parametrize("raw", [b"true", b"[]", b"{", b'"x"'])
def test_what_is_no_schema_stays(raw):
    assert bytes(closed(Raw(raw))) == raw


def test_depth_is_bounded():
    schema = {"type": "object"}
    for _ in range(DEPTH + 5):
        schema = {"items": schema}
    assert made(schema) == schema

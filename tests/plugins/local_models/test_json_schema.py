"""Schemas become grammars: what each keyword lets through, and what is refused."""

import pytest
from msgspec import json

from archflow_plugins.local_models.json_schema import BadSchema, compile_schema

INTEGER = {"type": "integer"}


@pytest.mark.parametrize(
    ("schema", "fits", "does_not"),
    [
        ({"type": "integer", "minimum": 3, "maximum": 12}, ["3", "12"], ["2", "13", "3.0", '"3"']),
        ({"type": "number", "exclusiveMinimum": 0}, ["0.1", "7"], ["0", "-1", "1e3"]),
        ({"type": "integer", "multipleOf": 5}, ["0", "15", "-5"], ["7"]),
        ({"type": "string", "maxLength": 2}, ['""', '"é\\n"'], ['"abc"']),
        ({"type": "string", "minLength": 2}, ['"ab"'], ['"a"']),
        ({"pattern": "^[a-z]+$"}, ['"ab"'], ['"A"', '""']),
        ({"type": "string", "format": "date"}, ['"2026-11-22"'], ['"2026-13-01"', '"soon"']),
        ({"type": "string", "format": "made-up"}, ['"anything"'], []),
        ({"type": ["string", "null"]}, ['"a"', "null"], ["1"]),
        ({"type": "string", "nullable": True}, ['"a"', "null"], ["1"]),
        ({"enum": ["a", 1, None, {"b": [2]}]}, ['"a"', "1", "null", '{"b":[2]}'], ['"b"']),
        ({"enum": ["a", 1], "type": "string"}, ['"a"'], ["1"]),
        ({"const": {"x": 1}}, ['{"x":1}'], ["{}"]),
        ({"anyOf": [INTEGER, {"type": "boolean"}]}, ["1", "true"], ["null"]),
        ({"oneOf": [INTEGER, {"type": "string"}]}, ["1", '"a"'], ["null"]),
        ({"allOf": [INTEGER]}, ["1"], ['"a"']),
        ({"type": "array", "items": INTEGER, "minItems": 1, "maxItems": 2}, ["[1]", "[1, 2]"], ["[]", "[1,2,3]"]),
        ({"prefixItems": [INTEGER, {"type": "null"}], "minItems": 3, "items": {"const": 0}}, ["[1,null,0]"], ["[1]"]),
        ({"type": "object", "properties": {"a": INTEGER}, "required": ["a"]}, ['{"a":1}', '{"a": 1}'], ["{}"]),
        ({"properties": {"a": INTEGER, "b": INTEGER}}, ["{}", '{"b":1}', '{"a":1,"b":2}'], ['{"b":1,"a":2}']),
        ({"required": ["x"]}, ['{"x":null}'], ["{}"]),
        ({"type": "object", "additionalProperties": INTEGER}, ["{}", '{"q":1}'], ['{"q":"a"}']),
        ({"type": "object", "properties": {}, "additionalProperties": False}, ["{}"], ['{"a":1}']),
        ({"type": "object", "properties": {"a": False, "b": INTEGER}}, ['{"b":1}'], ['{"a":1}']),
        ({"$ref": "#/$defs/a~1b", "$defs": {"a/b": INTEGER}}, ["1"], ["null"]),
        ({}, ["1", '"a"', "[{}]", '{"a":[null]}'], ["", "a"]),
        (True, ["1"], []),
        ({"title": "T", "description": "D", "default": 3, "type": "null"}, ["null"], ["3"]),
        ({"type": "integer", "anyOf": [{**INTEGER, "maximum": 1}, {**INTEGER, "minimum": 9}]}, ["0"], ["5"]),
    ],
)  # fmt: skip
def test_keywords(schema, fits, does_not):
    grammar = compile_schema(schema)
    for text in fits:
        json.decode(text)
        assert grammar.accepts(text.encode()), text
    for text in does_not:
        assert not grammar.accepts(text.encode()), text


def test_recursive_schemas():
    schema = {
        "$defs": {
            "node": {
                "properties": {"v": INTEGER, "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}},
                "required": ["v", "next"],
            }
        },
        "$ref": "#/$defs/node",
    }  # fmt: skip
    assert compile_schema(schema).accepts(b'{"v":1,"next":{"v":2,"next":null}}')


def test_tagged_unions_exclude_each_other():
    def branch(tag, value):
        properties = {"kind": {"const": tag}, "v": {"type": value}}
        return {"type": "object", "properties": properties, "required": ["kind", "v"]}

    grammar = compile_schema({"oneOf": [branch("a", "integer"), branch("b", "string")]})
    assert grammar.accepts(b'{"kind":"b","v":"x"}')
    assert not grammar.accepts(b'{"kind":"a","v":"x"}')


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({"type": "object", "minProperties": 1}, "#/minProperties is not taken here"),
        ({"type": "array", "uniqueItems": True}, "#/uniqueItems is not taken here"),
        ({"not": {}}, "#/not is not taken here"),
        ({"type": "string", "minimum": 1}, "#/minimum cannot stand beside"),
        ({"anyOf": [INTEGER], "minimum": 1}, "#/minimum cannot stand beside"),
        ({"oneOf": [INTEGER, {"type": "number"}]}, "two could fit at once"),
        ({"allOf": [INTEGER, {"minimum": 1}]}, "several branches"),
        ({"$ref": "https://example.com"}, "leads out of the schema"),
        ({"$ref": "#/$defs/x"}, "is not there"),
        ({"type": "date"}, "must be one or several of"),
        ({"type": []}, "must be one or several of"),
        ({"properties": {"a": {"type": "string", "pattern": "(?=x)"}}}, "#/properties/a/pattern cannot be held to"),
        ({"type": "string", "pattern": "a", "minLength": 2}, "above its shortest text"),
        ({"type": "string", "pattern": "abc", "maxLength": 2}, "no text of at most 2"),
        ({"type": "string", "minLength": 3, "maxLength": 2}, "at least 3 and at most 2"),
        ({"type": "integer", "minimum": 3, "maximum": 2}, "no value fits"),
        ({"type": "number", "multipleOf": 0.1}, "must be a whole number"),
        ({"type": "integer", "multipleOf": 0}, "must be above 0"),
        ({"enum": []}, "must be a list that is not empty"),
        ({"enum": [1], "type": "string"}, "no value of the type"),
        ({"minItems": -1}, "whole number from 0"),
        ({"minItems": 10**9}, "at most 10000"),
        ({"minimum": "3"}, "must be a number"),
        ({"properties": []}, "must be an object"),
        ({"required": "a"}, "must be a list of names"),
        ({"minimum": 1, "minLength": 1}, "say its `type`"),
        ({"items": [1]}, "no schema"),
        (False, "no value fits"),
        ({"$ref": "#"}, "contain itself"),
    ],
)  # fmt: skip
def test_what_cannot_be_held_is_refused_with_its_place(schema, why):
    with pytest.raises(BadSchema, match=why):
        compile_schema(schema)


def test_depth_is_refused():
    schema = INTEGER
    for _ in range(3000):
        schema = {"type": "array", "items": schema}
    with pytest.raises(BadSchema, match="nested too deeply"):
        compile_schema(schema)

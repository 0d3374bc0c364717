"""The guard of forms: what is valid, what is not, and which schemas can be used."""

import msgspec
import pytest
import trio

from archflow_plugins.guards.json_schema import AT_ONCE, JsonSchemaConfig, JsonSchemaGuard
from archflow_plugins.testing import compile_context, conversation, run_context
from archflow_schema.diagnostic import Report

CITY = {
    "type": "object",
    "properties": {"city": {"type": "string", "pattern": "^[A-Z]"}, "people": {"$ref": "#/$defs/count"}},
    "required": ["city"],
    "additionalProperties": False,
    "$defs": {"count": {"type": "integer", "minimum": 0}},
}


def allowed(text, schema=None):
    async def judge():
        compiled = JsonSchemaGuard.compile(JsonSchemaConfig(schema=schema), compile_context())
        guard = JsonSchemaGuard(compiled, run_context())
        screen = guard.screens(conversation)("text")
        told = await screen.feed(text, end=True)
        return isinstance(told, tuple)

    return trio.run(judge)


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ('{"city": "Rome", "people": 3}', True),
        (' {"people": 0, "city": "Rome"}\n', True),
        ('{"city": "rome"}', False),
        ('{"people": 3}', False),
        ('{"city": "Rome", "more": 1}', False),
        ('{"city": "Rome", "people": -1}', False),
        ('```json\n{"city": "Rome"}\n```', False),
        ('{"city": "Rome"', False),
        ("", False),
        ("[" * 100_000, False),
        ('"\ud800"', False),
    ],
)
def test_what_is_valid(text, valid):
    assert allowed(text, CITY) == valid


def test_any_json_where_there_is_no_schema_and_in_a_thread_where_it_is_long():
    assert allowed("[1, 2]")
    assert not allowed("Rome")
    assert allowed('"' + "a" * AT_ONCE + '"')


def test_nothing_but_what_is_said_is_judged():
    guard = JsonSchemaGuard(JsonSchemaGuard.compile(JsonSchemaConfig(), compile_context()), run_context())
    screens = guard.screens(conversation)
    assert screens("arguments") is screens("reasoning") is None


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "objekt"},
        {"$ref": "http://127.0.0.1:9/other.json"},
        {"pattern": "(a"},
        {"$ref": "#/$defs/no"},
    ],
)
def test_what_is_no_schema_is_a_mistake(schema):
    report = Report()
    JsonSchemaGuard.compile(
        msgspec.convert({"schema": schema}, JsonSchemaConfig), compile_context(report=report)
    )
    assert [one.code for one in report] == ["bad-schema"]

"""Drafts: what the golden files do not show."""

import pytest
from msgspec import json

from archflow_compiler.drafting.drafts import draft_bytes, draft_file
from archflow_compiler.drafting.offer import MOST_CALLS, MOST_VALUES
from archflow_compiler.driver import compile_bytes
from archflow_compiler.source import MAX_BYTES
from archflow_schema.graph import Call, Place


def document(**more):
    return {"openapi": "3.1.0", "servers": [{"url": "https://h"}], **more}


def drafted(found, name="api.json"):
    """The prompt targets of a draft, as archc reads them."""
    made = draft_bytes(name, found if isinstance(found, bytes) else json.encode(found))
    assert made.text, list(made.report)
    outcome = compile_bytes("arch_config.yaml", made.text.encode())
    assert not outcome.report.failed, list(outcome.report)
    return made, outcome.unit.config


def test_a_file_that_is_not_there(tmp_path):
    [found] = draft_file(tmp_path / "none.json").report
    assert (found.code, found.severity) == ("unreadable-file", "error")


def test_a_file_that_is_too_large():
    [found] = draft_bytes("a.json", b" " * (MAX_BYTES + 1)).report
    assert found.code == "file-too-large"
    [found] = draft_bytes("a.py", b"#" * 2_000_000).report
    assert found.code == "file-too-large"


def test_only_so_many_operations_are_drafted():
    paths = {f"/a{number}": {"get": {"summary": f"Get {number}"}} for number in range(MOST_CALLS + 5)}
    made = draft_bytes("a.json", json.encode(document(paths=paths)))
    assert made.calls == MOST_CALLS
    assert "too-many-operations" in {one.code for one in made.report}


def test_only_so_many_parameters_and_places():
    many = [{"name": f"q{number}", "in": "query"} for number in range(1000)]
    places = "".join(f"/{{p{number}}}" for number in range(1000))
    made, config = drafted(
        document(
            paths={"/a": {"get": {"summary": "a", "parameters": many}}, places: {"get": {"summary": "b"}}}
        )
    )
    [target] = config.prompt_targets
    assert len(target.parameters) == MOST_VALUES
    assert "it takes more parameters" in made.text
    assert "its path has too many places" in "".join(one.summary for one in made.report)


def test_two_servers_are_two_endpoints():
    get = {"summary": "a", "servers": [{"url": "http://other:81/v2"}]}
    _, config = drafted(document(paths={"/a": {"get": get}, "/b": {"get": {"summary": "b"}}}))
    assert [(one.protocol, one.endpoint) for one in config.endpoints] == [
        ("http", ("other:81",)),
        ("https", ("h",)),
    ]
    assert [one.endpoint.path for one in config.prompt_targets] == ["/v2/a", "/b"]


def test_a_dollar_sign_in_a_path_is_no_variable():
    made, _ = drafted(document(paths={"/patients/$everything": {"get": {"summary": "Get all"}}}))
    graph = compile_bytes("arch_config.yaml", made.text.encode()).graph
    assert "everything" not in graph.environment
    [target] = next(node for node in graph.nodes if isinstance(node, Call)).targets
    assert target.path == (Place("/patients/$everything"),)


def test_credentials_are_names_of_variables():
    schemes = {
        "Key Auth": {"type": "apiKey", "in": "header", "name": "X-Key"},
        "basic": {"type": "http", "scheme": "basic"},
        "login": {"type": "oauth2"},
        "host": {"type": "apiKey", "in": "header", "name": "Host"},
    }

    def secured(*names):
        return {"get": {"summary": names[0], "security": [{name: [] for name in names}]}}

    paths = {
        f"/{number}": secured(*names)
        for number, names in enumerate([("Key Auth", "basic"), ("login",), ("host",)])
    }
    paths["/open"] = {"get": {"summary": "open", "security": [{"login": []}, {}]}}
    made, config = drafted(document(paths=paths, components={"securitySchemes": schemes}))
    assert [dict(one.endpoint.http_headers) for one in config.prompt_targets] == [
        {"X-Key": "$KEY_AUTH", "Authorization": "Basic $BASIC"},
        {"Authorization": "Bearer $LOGIN"},
        {},
        {},
    ]
    assert 'the credential "host" of GET /2 is left out' in made.text


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "integer", "default": 3}, ("int", 3, ())),
        ({"type": "integer", "default": "x"}, ("int", None, ())),
        ({"type": ["null", "boolean"]}, ("bool", None, ())),
        ({"anyOf": [{"type": "null"}, {"type": "number"}]}, ("float", None, ())),
        ({"enum": [1, 2, None]}, ("int", None, (1, 2))),
        ({"oneOf": [{"const": "a"}, {"enum": ["b", "c"]}]}, ("str", None, ("a", "b", "c"))),
        ({"enum": ["a\nb", 2**70, "c"], "default": "d"}, ("str", None, ("c",))),
        ({"allOf": [{"type": "string"}, {"default": "yes"}]}, ("str", "yes", ())),
        ({}, ("str", None, ())),
        (True, ("str", None, ())),
        ({"properties": {"a": {}}}, ("dict", None, ())),
    ],
)
def test_schemas(schema, expected):
    get = {"summary": "a", "parameters": [{"name": "q", "in": "query", "schema": schema}]}
    _, config = drafted(document(paths={"/a": {"get": get}}))
    [[parameter]] = [one.parameters for one in config.prompt_targets]
    assert (parameter.type, parameter.default, parameter.enum) == expected


def test_flask_and_fastapi_are_told_apart_without_their_applications():
    source = (
        b"from flask import request\nfrom .web import app\n@app.get('/a/<int:n>')\ndef a(n):\n    'Tell a.'\n"
    )
    _, config = drafted(source, "a.py")
    [target] = config.prompt_targets
    assert target.endpoint.path == "/a/{n}"
    assert [(one.name, one.type, one.in_path) for one in target.parameters] == [("n", "int", True)]


def test_classes_that_are_made_of_themselves_end():
    source = (
        b"from fastapi import FastAPI\nfrom pydantic import BaseModel\napp = FastAPI()\n"
        b"class A(B): x: int\nclass B(A, BaseModel): y: 'A'\n@app.post('/a')\ndef a(item: A):\n    'Make a.'\n"
    )
    _, config = drafted(source, "a.py")
    assert [one.name for one in config.prompt_targets[0].parameters] == ["y", "x"]


def test_the_same_source_gives_the_same_draft():
    paths = {f"/{{a}}/{number}": {"get": {"summary": "a"}} for number in range(5)}
    data = json.encode(document(paths=paths))
    assert draft_bytes("a.json", data) is not draft_bytes("a.json", data)
    assert draft_bytes("a.json", data).text == draft_bytes("a.json", data).text

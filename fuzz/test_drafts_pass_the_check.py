"""Invariant: whatever a document or a module holds, a draft of it passes the check, or it is said why there is none.

Three ways in: bytes from nowhere, documents of OpenAPI with odd names, references and schemas, and a good module with
something broken. Nothing raises, and every finding has a place in the text or none.
"""

from functools import cache

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from msgspec.json import encode

from archflow_compiler.decode import Decoder
from archflow_compiler.drafting.drafts import Drafted, draft_bytes
from archflow_compiler.passes import defaults, models, prompts, references
from archflow_compiler.render import github, json, text
from archflow_compiler.source import Source, parse
from archflow_compiler.tree import Places
from archflow_compiler.unit import Unit
from archflow_plugins.registry import Registry
from archflow_schema.config import Config
from archflow_schema.diagnostic import Report

STEADY = settings(
    derandomize=True, deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow]
)

REGISTRY = Registry.load()


def holds(name: str, data: bytes) -> Drafted:
    found = draft_bytes(name, data)
    assert bool(found.text) is not found.report.failed
    for render in (
        lambda one: text(one.report, one.source),
        lambda one: github(one.report),
        lambda one: json(one.report),
    ):
        render(found).encode()
    if found.text:
        report = Report()
        check(found.text, report)
        assert not report.failed, f"{text(report, Source('x', found.text))}\n{found.text}"
    return found


def check(drafted: str, report: Report) -> None:
    """The passes that know prompt targets: all that a compile asks before it embeds anything."""
    tree = parse(Source("arch_config.yaml", drafted), report)
    if tree is None:
        return
    places = Places(tree)
    config = Decoder(report, places).struct(tree, Config)
    if config is not None:
        unit = Unit(config, places, report)
        unit.config = defaults.fill(unit)
        names = models.resolve(unit, REGISTRY)
        prompts.check(unit)
        references.check(unit, names)


@STEADY
@given(st.sampled_from(["a.json", "a.yaml", "a.py"]), st.binary(max_size=120))
@example("a.json", b"{")
@example("a.py", b"\0")
def test_any_bytes(name, data):
    holds(name, data)


@STEADY
@given(st.text(alphabet='{}[]:,"\\u d8 0aE+-.1tfn\n\t', max_size=60))
@example('{"a": "\\ud800"}')
@example("[" * 100)
@example('{"a": [1,]}')
@example("1e999")
def test_the_characters_of_json(said):
    holds("a.json", ("{" + said).encode("utf-8", "replace"))


ODD = [
    *[
        "id",
        "pet-id",
        "$top",
        "${HOME}",
        "a{b",
        "}",
        "\u00fc",
        "#",
        "true",
        "null",
        "007",
        "a:b",
        "'",
        "filter[x]",
        "a?b",
    ],
    *[
        "<b>c</b>",
        "../..",
        "%2e",
        "~",
        "[",
        "&",
        "*a",
        "!b",
        "",
        "a b",
        "a\nb",
        "x" * 300,
        "a: b",
        "- a",
        "\u2028",
        '"',
    ],
]
WORD = st.sampled_from(ODD)
LEAF = st.one_of(
    WORD,
    st.integers(-(2**70), 2**70),
    st.booleans(),
    st.none(),
    st.floats(allow_nan=False, allow_infinity=False),
)
REFERENCE = st.sampled_from(
    ["#/components/schemas/A", "#/components/schemas/B", "#/nowhere", "other.json#/a", "#", "#/paths/~1/get"]
)
SCHEMA = st.recursive(
    st.one_of(
        st.fixed_dictionaries({"$ref": REFERENCE}),
        st.fixed_dictionaries(
            {},
            optional={
                "type": st.one_of(
                    st.sampled_from(
                        ["string", "integer", "number", "boolean", "array", "object", "null", "odd"]
                    ),
                    st.just(["string", "null"]),
                    LEAF,
                ),
                "enum": st.lists(LEAF, max_size=3),
                "default": st.one_of(LEAF, st.just([])),
                "format": st.one_of(WORD, st.just("int32")),
                "description": WORD,
                "const": LEAF,
            },
        ),
        LEAF,
    ),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "properties": st.dictionaries(WORD, inner, max_size=3),
            "items": inner,
            "allOf": st.lists(inner, max_size=2),
            "anyOf": st.lists(inner, max_size=2),
            "required": st.lists(WORD, max_size=2),
        },
    ),
    max_leaves=6,
)
PARAMETER = st.one_of(
    st.fixed_dictionaries(
        {"name": WORD, "in": st.sampled_from(["path", "query", "header", "odd"])},
        optional={"schema": SCHEMA, "required": st.booleans(), "description": WORD, "style": WORD},
    ),
    st.fixed_dictionaries({"$ref": REFERENCE}),
)
OPERATION = st.one_of(
    st.fixed_dictionaries(
        {},
        optional={
            "operationId": WORD,
            "summary": WORD,
            "description": WORD,
            "parameters": st.lists(PARAMETER, max_size=4),
            "requestBody": st.fixed_dictionaries(
                {
                    "content": st.dictionaries(
                        st.sampled_from(["application/json", "text/plain", ""]),
                        st.fixed_dictionaries({"schema": SCHEMA}),
                        max_size=2,
                    )
                }
            ),
            "security": st.sampled_from([[], [{}], [{"a": []}], [{"b": [], "": []}], 3]),
            "servers": st.lists(
                st.fixed_dictionaries(
                    {
                        "url": st.sampled_from(
                            [
                                "https://h/a",
                                "http://h:0",
                                "/x",
                                "{a}",
                                "ftp://h",
                                "http://[",
                                "http://h:99999",
                                "https://ü.example",
                            ]
                        )
                    }
                ),
                max_size=1,
            ),
        },
    ),
    LEAF,
)
PATH = st.builds(
    "/".join,
    st.lists(
        st.one_of(WORD, st.sampled_from(["{id}", "{pet-id}", "{a b}", "{}", "{$x}", "{id"])), max_size=3
    ),
)
METHOD = st.sampled_from(["get", "get", "post", "post", "delete", "put", "head", "parameters", "x-a"])
DOCUMENT = st.fixed_dictionaries(
    {
        "openapi": st.sampled_from(["3.0.0", "3.1.0"]),
        "paths": st.dictionaries(
            PATH, st.dictionaries(METHOD, OPERATION, min_size=1, max_size=3), min_size=1, max_size=3
        ),
    },
    optional={
        "components": st.fixed_dictionaries(
            {"schemas": st.fixed_dictionaries({"A": SCHEMA, "B": SCHEMA})},
            optional={
                "securitySchemes": st.just(
                    {
                        "a": {"type": "apiKey", "in": "header", "name": "Host"},
                        "b": {"type": "http", "scheme": "basic"},
                        "": {"type": "oauth2"},
                    }
                )
            },
        )
    },
)


@STEADY
@given(DOCUMENT)
def test_documents_with_odd_things_in_them(document):
    found = holds("api.json", encode(document))
    assert holds("api.json", encode(document)).text == found.text


@cache
def lines() -> tuple[str, ...]:
    return tuple(MODULE.splitlines(keepends=True))


MODULE = '''
from typing import Annotated, Literal, Optional, Union
from fastapi import FastAPI, APIRouter, Query
from flask import Flask, request
from pydantic import BaseModel, Field

app = FastAPI()
router = APIRouter(prefix="/r")
web = Flask(__name__)

class Base(BaseModel):
    a: int = 3
class Item(Base):
    b: Optional[str] = Field(None, description="$HOME")
    c: "list[Item]" = []

@app.get("/a/{x:path}/{y}", summary="Tell {a}")
def one(x: str, q: Annotated[int, Query(alias="Q-q")] = 3, l: Literal["a", "no"] = "a"): ...
@router.post("")
def two(item: Item, more: Union[int, None] = None):
    """Make.

    Args:
        more: how many: or none
    """
@web.route("/w/<int:n>/<path:rest>", methods=["GET", "PUT"])
def three(n, rest):
    data = request.get_json()
    return data["k"], data.get("m", -1), request.args.get("p", type=int), request.form["f"]
app.include_router(router, prefix="/v1")
'''
SPOILS = [
    *["x", "3", "None", "[]", "{}", '"$A"', "*", ":", "@", "a.b.c", "-", "...", "1e999", "Item"],
    *("", "lambda: 0", "'\\ud800'", "9" * 5000, "(" * 50),
]


@STEADY
@given(
    st.lists(
        st.tuples(
            st.integers(0, len(MODULE.splitlines()) - 1),
            st.sampled_from(["drop", "double", "value", "word"]),
            st.sampled_from(SPOILS),
        ),
        min_size=0,
        max_size=3,
    )
)
def test_a_good_module_with_something_broken(changes):
    source = list(lines())
    for at, how, spoil in changes:
        line = source[at]
        before, equals, _ = line.partition("=")
        source[at] = {
            "drop": "",
            "double": line + line,
            "value": f"{before}{equals}{spoil}\n",
            "word": line.replace("int", spoil, 1),
        }[how]
    holds("app.py", "".join(source).encode("utf-8", "replace"))

"""Invariant: whatever a schema asks and whatever a model would say, constrained text is valid, within its tokens.

Schemas are made at random from all keywords that are taken; the model is random numbers. The judge is jsonschema.
"""

import contextlib

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from msgspec import json

from archflow_plugins.local_models import constrain
from archflow_plugins.local_models.generate import Generation
from archflow_plugins.local_models.json_schema import BadSchema
from archflow_plugins.local_models.sample import Sampling
from archflow_schema.errors import ClientProtocolError
from local_world import chat, words

NAMES = st.sampled_from(["a", "b", "long name", 'qu"ote', "é"])
TREE = {
    "type": "object",
    "properties": {"v": {"type": "integer"}, "next": {"anyOf": [{"$ref": "#/$defs/tree"}, {"type": "null"}]}},
    "required": ["v", "next"],
    "additionalProperties": False,
}
PATTERNS = [
    "^[a-z]{2,5}$",
    r"^\d{3}-\d{4}$",
    "^(foo|ba[rz])+$",
    "^[^a-z]{1,3}$",
    r"^\S+ \S+$",
    '^[äöü€]{1,3}"\\\\?$',
    "^.*$",
]


def limits(low: str, high: str, values: st.SearchStrategy) -> st.SearchStrategy:
    """Two bounds, either of which may be missing; the upper one is not below the other."""
    return st.tuples(values, values, st.booleans(), st.booleans()).map(
        lambda one: ({low: min(one[:2])} if one[2] else {}) | ({high: max(one[:2])} if one[3] else {})
    )


COUNTS = st.integers(0, 4)
PLAIN = st.one_of(
    limits("minimum", "maximum", st.integers(-500, 500)).map(lambda one: {"type": "integer", **one}),
    limits("minimum", "maximum", st.integers(-500, 500).map(lambda n: n / 8)).map(
        lambda one: {"type": "number", **one}
    ),
    limits("exclusiveMinimum", "maximum", st.integers(-9, 9)).map(lambda one: {"type": "number", **one}),
    st.sampled_from([2, 3, 7]).map(lambda step: {"type": "integer", "multipleOf": step, "minimum": 5}),
    limits("minLength", "maxLength", COUNTS).map(lambda one: {"type": "string", **one}),
    st.sampled_from(PATTERNS).map(lambda one: {"type": "string", "pattern": one}),
    st.sampled_from(["date", "uuid", "ipv4", "date-time"]).map(lambda one: {"type": "string", "format": one}),
    st.sampled_from(
        [{"type": "boolean"}, {"type": "null"}, {"type": ["string", "integer"]}, {"const": {"q": [1]}}, {}]
    ),
    st.lists(st.sampled_from(["x", "xy", 1, -3.5, None, True, "é"]), min_size=1, max_size=4).map(
        lambda one: {"enum": one}
    ),
    st.just({"$ref": "#/$defs/tree"}),
)


def objects(inner: st.SearchStrategy) -> st.SearchStrategy:
    members = st.dictionaries(NAMES, inner, max_size=3)
    return st.tuples(members, st.sets(NAMES), st.booleans()).map(
        lambda one: {
            "type": "object", "properties": one[0], "required": [name for name in one[0] if name in one[1]],
            **({"additionalProperties": False} if one[2] else {}),
        }
    )  # fmt: skip


def nested(inner: st.SearchStrategy) -> st.SearchStrategy:
    bounds = limits("minItems", "maxItems", COUNTS)
    return st.one_of(
        objects(inner),
        st.tuples(inner, bounds).map(lambda one: {"type": "array", "items": one[0], **one[1]}),
        st.lists(inner, min_size=1, max_size=2).map(
            lambda one: {"type": "array", "prefixItems": one, "minItems": len(one)}
        ),
        st.lists(inner, min_size=1, max_size=3).map(lambda one: {"anyOf": one}),
        inner.map(lambda one: {"type": "object", "additionalProperties": one}),
    )


SCHEMAS = st.recursive(PLAIN, nested, max_leaves=6).map(lambda one: {"$defs": {"tree": TREE}, "anyOf": [one]})


def generate(
    schema: object, numbers: np.random.Generator, most: int, sampling: dict[str, float]
) -> Generation | None:
    """Let random numbers speak; None where the schema or the limit is refused."""
    try:
        rule = constrain.json_schema(schema, words())
        generation = Generation(chat(), [1], Sampling(max_tokens=most, **sampling), lambda _: None, rule)
    except (BadSchema, ClientProtocolError):
        return None
    while not generation.reason:
        logits = numbers.standard_normal(len(words())).astype(np.float32) * 3
        generation.hear(int(np.argmax(logits)), logits)
    return generation


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    SCHEMAS, st.integers(0, 2**32), st.integers(1, 60), st.sampled_from([{}, {"temperature": 1.0, "seed": 3}])
)
def test_constrained_text_is_valid(schema, seed, most, sampling):
    generation = generate(schema, np.random.default_rng(seed), most, sampling)
    if generation is None:
        return
    assert len(generation.tokens) <= most
    text = words().text(generation.tokens)
    Draft202012Validator(schema).validate(json.decode(text))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=5), st.integers(0, 2**32))
def test_a_choice_is_one_of_its_texts(texts, seed):
    texts = [one for one in texts if one.isprintable()] or ["only"]
    rule = constrain.choices(texts, words())
    generation = Generation(chat(), [1], Sampling(max_tokens=60), lambda _: None, rule)
    numbers = np.random.default_rng(seed)
    while not generation.reason:
        logits = numbers.standard_normal(len(words())).astype(np.float32)
        generation.hear(int(np.argmax(logits)), logits)
    assert words().text(generation.tokens) in texts


WORDS = [
    "type",
    "properties",
    "required",
    "items",
    "enum",
    "$ref",
    "anyOf",
    "pattern",
    "minimum",
    "minLength",
]
VALUES = st.none() | st.booleans() | st.integers() | st.text()
ANYTHING = st.recursive(
    VALUES, lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(WORDS), inner), max_leaves=12
)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(ANYTHING)
def test_any_json_is_a_schema_or_refused(schema):
    with contextlib.suppress(BadSchema):
        constrain.json_schema(schema, words())

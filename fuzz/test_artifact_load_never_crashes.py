"""Invariant: bytes from a stranger either load into a sound graph or raise an ArtifactError, nothing else.

A body with a right digest is tried too: whoever can write the file can write the digest.
"""

import hashlib
import struct

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from archflow_compiler.driver import compile_bytes
from archflow_schema.artifact import FORMAT, MAGIC, dump, load
from archflow_schema.errors import ArtifactError
from archflow_schema.graph import problems

STEADY = settings(derandomize=True, deadline=None, max_examples=150)

YAML = b"version: v0.4.0\nlisteners: [{name: a, type: model}]\nmodel_providers: [{model: openai/x, access_key: $K}]\n"
GOOD = compile_bytes("x.yaml", YAML).data


def holds(data: bytes) -> None:
    try:
        graph = load(data)
    except ArtifactError:
        return
    assert problems(graph) == ()
    assert load(dump(graph)) == graph


def sealed(body: bytes) -> bytes:
    return struct.pack(">8sHH32s", MAGIC, FORMAT, 0, hashlib.sha256(body).digest()) + body


@STEADY
@given(st.binary(max_size=100))
def test_any_bytes(data):
    holds(data)
    holds(MAGIC + data)
    holds(sealed(data))


@STEADY
@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=5))
def test_changed_bytes(changes):
    data = bytearray(GOOD)
    for at, byte in changes:
        data[at] = byte
    holds(bytes(data))
    holds(sealed(bytes(data[44:])))


@STEADY
@given(st.integers(0, len(GOOD)))
def test_cut_short(length):
    holds(GOOD[:length])
    holds(sealed(GOOD[44 : max(44, length)]))


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.binary(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=20,
)


@STEADY
@given(st.lists(VALUES, max_size=10))
def test_any_msgpack(value):
    holds(sealed(msgspec.msgpack.encode(value)))


@STEADY
@given(st.data())
def test_a_graph_with_a_value_replaced(data):
    body = msgspec.msgpack.decode(GOOD[44:])
    place = body
    while True:
        at = data.draw(st.integers(0, len(place) - 1))
        if isinstance(place[at], list) and place[at] and data.draw(st.booleans()):
            place = place[at]
            continue
        place[at] = data.draw(VALUES)
        break
    holds(sealed(msgspec.msgpack.encode(body)))

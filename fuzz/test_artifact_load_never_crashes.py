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
from archflow_schema.graph import Blob, problems

STEADY = settings(derandomize=True, deadline=None, max_examples=150)

YAML = b"version: v0.4.0\nlisteners: [{name: a, type: model}]\nmodel_providers: [{model: openai/x, access_key: $K}]\n"
GOOD = compile_bytes("x.yaml", YAML).data
BLOBS = (Blob("a", memoryview(b"12345")), Blob("b"), Blob("c", memoryview(bytes(70))))
FILES = (GOOD, dump(msgspec.structs.replace(load(GOOD), blobs=BLOBS)))


def holds(data: bytes) -> None:
    try:
        graph = load(data)
    except ArtifactError:
        return
    assert problems(graph) == ()
    assert load(dump(graph)) == graph


def sealed(body: bytes, flags: int = 0) -> bytes:
    return struct.pack(">8sHH32s", MAGIC, FORMAT, flags, hashlib.sha256(body).digest()) + body


@STEADY
@given(st.binary(max_size=100))
def test_any_bytes(data):
    holds(data)
    holds(MAGIC + data)
    holds(sealed(data))


CHANGES = st.lists(
    st.tuples(st.integers(0, min(map(len, FILES)) - 1), st.integers(0, 255)), min_size=1, max_size=5
)


@STEADY
@given(st.sampled_from(FILES), CHANGES)
def test_changed_bytes(file, changes):
    data = bytearray(file)
    for at, byte in changes:
        data[at] = byte
    holds(bytes(data))
    for flags in (0, 1):
        holds(sealed(bytes(data[44:]), flags))


@STEADY
@given(st.sampled_from(FILES), st.integers(0, max(map(len, FILES))))
def test_cut_short(file, length):
    holds(file[:length])
    for flags in (0, 1):
        holds(sealed(file[44 : max(44, length)], flags))


@STEADY
@given(
    st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 300), min_size=1, max_size=4), st.binary(max_size=200)
)
def test_any_lengths(lengths, rest):
    """The lengths of the graph and of its blobs may be any numbers."""
    (size,) = struct.unpack_from(">Q", FILES[1], 44)
    graph = FILES[1][52 : 52 + size]
    holds(sealed(struct.pack(">Q", lengths[0]) + graph + rest, 1))
    holds(sealed(struct.pack(">Q", size) + graph + struct.pack(f">{len(lengths)}Q", *lengths) + rest, 1))


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

import hashlib
import struct

import msgspec
import pytest

from archflow_schema.artifact import ALIGNED, FORMAT, MAGIC, digest, dump, dump_secrets, load, secrets_name
from archflow_schema.errors import DigestMismatch, FormatMismatch, MalformedGraph, NotAnArtifact
from archflow_schema.graph import END, Blob, Edge, Endpoint, Graph, Listener, Reply, Upstream, Use
from archflow_schema.text import Env

GRAPH = Graph(
    source="x.yaml",
    listeners=(Listener("l", "model", "a", 1, 1.0, (Endpoint("/p", "d", 0),)),),
    nodes=(Reply("sorry", 502, "failed"),),
    upstreams=(),
)


def packed(body, number=FORMAT, flags=0):
    return struct.pack(">8sHH32s", MAGIC, number, flags, hashlib.sha256(body).digest()) + body


def test_a_graph_comes_back_as_it_went():
    data = dump(GRAPH)
    assert load(data) == GRAPH
    assert dump(load(data)) == data
    assert digest(data) == data[12:44].hex()


@pytest.mark.parametrize("data", [b"", b"ARCH", b"x" * 100, dump(GRAPH)[:43]])
def test_what_is_no_artifact(data):
    with pytest.raises(NotAnArtifact):
        load(data)


def test_another_format():
    with pytest.raises(FormatMismatch, match=r"format 99 .*, this archflow reads format"):
        load(packed(dump(GRAPH)[44:], number=99))
    with pytest.raises(FormatMismatch, match="flags 2"):
        load(packed(dump(GRAPH)[44:], flags=2))


BLOBS = tuple(Blob(str(size), memoryview(bytes(range(size)))) for size in (100, 0, 64, 7))


def test_blobs_lie_behind_the_graph_aligned_and_are_not_copied():
    graph = msgspec.structs.replace(GRAPH, blobs=BLOBS)
    data = dump(graph)
    again = load(data)
    assert again == graph
    assert dump(again) == data
    for blob in again.blobs:
        assert blob.data.obj is data
        assert blob.data.readonly
        if blob.data:
            assert data.index(bytes(blob.data)) % ALIGNED == 0
    assert load(memoryview(data)) == graph


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body[:-1],
        lambda body: body + b"\0",
        lambda body: b"\xff" * 8 + body[8:],
        lambda body: body[:7],
    ],
)
def test_blobs_that_do_not_lie_where_they_should(change):
    body = dump(msgspec.structs.replace(GRAPH, blobs=BLOBS))[44:]
    with pytest.raises(MalformedGraph, match="does not hold a graph"):
        load(packed(change(body), flags=1))


def test_blobs_within_the_graph_are_refused():
    body = msgspec.msgpack.encode(msgspec.structs.replace(GRAPH, blobs=BLOBS))
    with pytest.raises(MalformedGraph, match="keeps blobs where none belong"):
        load(packed(body))


@pytest.mark.parametrize("at", [44, 60, -1])
def test_a_changed_byte_is_noticed(at):
    data = bytearray(dump(GRAPH))
    data[at] ^= 1
    with pytest.raises(DigestMismatch):
        load(bytes(data))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        msgspec.msgpack.encode({"source": "x"}),
        msgspec.msgpack.encode(["x", [], [["unknown", "n"]], []]),
        b"\x91" * 5000 + b"\x90",
    ],
)
def test_a_body_that_is_no_graph(body):
    with pytest.raises(MalformedGraph):
        load(packed(body))


@pytest.mark.parametrize(
    "graph",
    [
        msgspec.structs.replace(GRAPH, nodes=()),
        msgspec.structs.replace(GRAPH, nodes=(Reply("r", 1, edges=(Edge("x", END),)),)),
        msgspec.structs.replace(GRAPH, upstreams=(Upstream("u", "p", Use("k"), (Env("HIDDEN"),)),)),
    ],
)
def test_a_graph_that_does_not_hold_together(graph):
    with pytest.raises(MalformedGraph, match="does not hold together"):
        load(dump(graph))


def test_the_side_file_lies_beside_the_graph():
    assert secrets_name("graph.bin") == "graph.secrets"
    assert secrets_name("a.b/graph") == "a.b/graph.secrets"
    assert secrets_name("a/b.c.bin") == "a/b.c.secrets"


def test_the_side_file_is_json_in_a_fixed_order():
    assert dump_secrets({"b": "ü", "a": "1"}) == b'{\n  "a": "1",\n  "b": "\xc3\xbc"\n}\n'

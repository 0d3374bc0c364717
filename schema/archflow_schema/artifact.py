"""graph.bin: the routing graph as bytes.

::

    offset  size  what
    0       8     magic  b"ARCHFLOW"
    8       2     format number, big-endian
    10      2     flags: 0, or 1 where blobs lie behind the graph
    12      32    sha256 of everything after it
    44      -     the Graph as msgpack (arrays, see graph.py)

With flag 1 the rest is instead, all numbers big-endian::

    44      8     the length of the graph
    52      -     the Graph as msgpack, its blobs without their data
            8     for each blob, the length of its data
            -     the data of each blob, from the next multiple of 64 on; zeros between

So a file that is mapped into memory has its blobs there too, aligned, and several processes share them.

graph.secrets lies beside it: a JSON object, entry -> key, of the keys that stood literally in the configuration.

Rule: no pickle, ever. Bytes from a stranger either load into a sound Graph or raise an ArtifactError.
Invariant: `dump(load(data)) == data`, and the same graph always gives the same bytes.
"""

from __future__ import annotations

import hashlib
import struct
from typing import TypeAlias

import msgspec
from msgspec import structs

from archflow_schema.errors import DigestMismatch, FormatMismatch, MalformedGraph, NotAnArtifact
from archflow_schema.graph import Blob, Graph, problems

MAGIC = b"ARCHFLOW"
FORMAT = 1
MAX_SIZE = 1 << 30
ALIGNED = 64
"""Blobs begin at multiples of this, so that numbers in them can be read where they lie."""
_HEAD = struct.Struct(">8sHH32s")
_LENGTH = struct.Struct(">Q")
_BLOBS = 1

Data: TypeAlias = "bytes | memoryview"
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Graph).decode


def dump(graph: Graph) -> bytes:
    """The bytes of a graph.bin."""
    body, flags = (_with_blobs(graph), _BLOBS) if graph.blobs else (_encode(graph), 0)
    return _HEAD.pack(MAGIC, FORMAT, flags, hashlib.sha256(body).digest()) + body


def _with_blobs(graph: Graph) -> bytes:
    bare = _encode(structs.replace(graph, blobs=tuple(Blob(one.digest) for one in graph.blobs)))
    body = bytearray(_LENGTH.pack(len(bare)) + bare)
    for blob in graph.blobs:
        body += _LENGTH.pack(len(blob.data))
    for blob in graph.blobs:
        body += bytes(-(_HEAD.size + len(body)) % ALIGNED)
        body += blob.data
    return bytes(body)


def digest(data: Data) -> str:
    """The digest that a graph.bin carries, as hex: the name of this very graph.

    Raises:
        NotAnArtifact: the bytes are too short or begin with another magic.
    """
    return _head(data)[2].hex()


def load(data: Data) -> Graph:
    """Read a graph.bin.

    Args:
        data: the whole file. Its blobs are views of it rather than copies, so it lives as long as they do.

    Raises:
        NotAnArtifact: it is something else, or cut short.
        FormatMismatch: it was written in another format.
        DigestMismatch: its bytes changed after it was written.
        MalformedGraph: its graph does not hold together.
    """
    number, flags, expected = _head(data)
    if number != FORMAT or flags not in {0, _BLOBS}:
        raise FormatMismatch(
            f"this graph.bin has format {number} (flags {flags}), this archflow reads format {FORMAT}",
            fix="compile it again with the archc of the same installation",
        )
    body = memoryview(data)[_HEAD.size :]
    if hashlib.sha256(body).digest() != expected:
        raise DigestMismatch(
            "the content of this graph.bin is not what archc wrote: it was changed or cut short"
        )
    try:
        graph = _read_blobs(body) if flags else _decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError, ValueError, struct.error) as error:
        raise MalformedGraph(f"this graph.bin does not hold a graph: {error}") from error
    if graph.blobs and not flags:
        raise MalformedGraph("this graph.bin keeps blobs where none belong", fix="compile it again")
    found = problems(graph)
    if found:
        raise MalformedGraph("this graph.bin does not hold together: " + "; ".join(found[:5]))
    return graph


def _read_blobs(body: memoryview) -> Graph:
    (length,) = _LENGTH.unpack_from(body)
    at = _LENGTH.size + length
    if at > len(body):
        raise ValueError("the graph is cut short")
    graph = _decode(body[_LENGTH.size : at])
    lengths = [_LENGTH.unpack_from(body, at + number * _LENGTH.size)[0] for number in range(len(graph.blobs))]
    at += len(lengths) * _LENGTH.size
    blobs: list[Blob] = []
    for blob, size in zip(graph.blobs, lengths, strict=True):
        start = at + -(_HEAD.size + at) % ALIGNED
        if blob.data or start + size > len(body) or any(body[at:start]):
            raise ValueError("its blobs do not lie where they should")
        blobs.append(Blob(blob.digest, body[start : start + size].toreadonly()))
        at = start + size
    if at != len(body) or not blobs:
        raise ValueError("its blobs do not end where it ends")
    return structs.replace(graph, blobs=tuple(blobs))


def secrets_name(graph: str) -> str:
    """Where the side file of a graph lies: `graph.secrets` beside `graph.bin`."""
    folder, slash, name = graph.rpartition("/")
    stem, dot, _ = name.rpartition(".")
    return f"{folder}{slash}{stem if dot and stem else name}.secrets"


def dump_secrets(secrets: dict[str, str]) -> bytes:
    """The bytes of a side file."""
    return msgspec.json.format(msgspec.json.encode(secrets, order="sorted"), indent=2) + b"\n"


def _head(data: Data) -> tuple[int, int, bytes]:
    if len(data) < _HEAD.size or data[: len(MAGIC)] != MAGIC:
        raise NotAnArtifact("this is not a graph.bin", fix="make one with `archc compile`")
    _, number, flags, expected = _HEAD.unpack_from(data)
    return number, flags, expected

"""graph.bin: the routing graph as bytes.

::

    offset  size  what
    0       8     magic  b"ARCHFLOW"
    8       2     format number, big-endian
    10      2     flags, 0
    12      32    sha256 of everything after it
    44      -     the Graph as msgpack (arrays, see graph.py)

graph.secrets lies beside it: a JSON object, entry -> key, of the keys that stood literally in the configuration.

Rule: no pickle, ever. Bytes from a stranger either load into a sound Graph or raise an ArtifactError.
Invariant: `dump(load(data)) == data`, and the same graph always gives the same bytes.
"""

from __future__ import annotations

import hashlib
import struct

import msgspec

from archflow_schema.errors import DigestMismatch, FormatMismatch, MalformedGraph, NotAnArtifact
from archflow_schema.graph import Graph, problems

MAGIC = b"ARCHFLOW"
FORMAT = 1
MAX_SIZE = 1 << 30
_HEAD = struct.Struct(">8sHH32s")
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Graph).decode


def dump(graph: Graph) -> bytes:
    """The bytes of a graph.bin."""
    body = _encode(graph)
    return _HEAD.pack(MAGIC, FORMAT, 0, hashlib.sha256(body).digest()) + body


def digest(data: bytes) -> str:
    """The digest that a graph.bin carries, as hex: the name of this very graph.

    Raises:
        NotAnArtifact: the bytes are too short or begin with another magic.
    """
    return _head(data)[2].hex()


def load(data: bytes) -> Graph:
    """Read a graph.bin.

    Args:
        data: the whole file.

    Raises:
        NotAnArtifact: it is something else, or cut short.
        FormatMismatch: it was written in another format.
        DigestMismatch: its bytes changed after it was written.
        MalformedGraph: its graph does not hold together.
    """
    number, flags, expected = _head(data)
    if number != FORMAT or flags:
        raise FormatMismatch(
            f"this graph.bin has format {number} (flags {flags}), this archflow reads format {FORMAT}: "
            "compile it again with the archc of the same installation"
        )
    body = data[_HEAD.size :]
    if hashlib.sha256(body).digest() != expected:
        raise DigestMismatch(
            "the content of this graph.bin is not what archc wrote: it was changed or cut short"
        )
    try:
        graph = _decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise MalformedGraph(f"this graph.bin does not hold a graph: {error}") from error
    found = problems(graph)
    if found:
        raise MalformedGraph("this graph.bin does not hold together: " + "; ".join(found[:5]))
    return graph


def secrets_name(graph: str) -> str:
    """Where the side file of a graph lies: `graph.secrets` beside `graph.bin`."""
    folder, slash, name = graph.rpartition("/")
    stem, dot, _ = name.rpartition(".")
    return f"{folder}{slash}{stem if dot and stem else name}.secrets"


def dump_secrets(secrets: dict[str, str]) -> bytes:
    """The bytes of a side file."""
    return msgspec.json.format(msgspec.json.encode(secrets, order="sorted"), indent=2) + b"\n"


def _head(data: bytes) -> tuple[int, int, bytes]:
    if len(data) < _HEAD.size or not data.startswith(MAGIC):
        raise NotAnArtifact("this is not a graph.bin: make one with `archc compile`")
    _, number, flags, expected = _HEAD.unpack_from(data)
    return number, flags, expected

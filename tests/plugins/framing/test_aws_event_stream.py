"""Amazon's binary event stream: botocore's own reader agrees, and nothing broken gets through."""

import struct
import uuid
from zlib import crc32

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given, settings
from hypothesis import strategies as st

from archflow_plugins.framing.aws_event_stream import Frame, Splitter, encode, encode_headers
from archflow_schema.errors import UpstreamProtocolError

EVENT = encode_headers({":event-type": "ping", ":content-type": "application/json", ":message-type": "event"})
NAMES = st.text(min_size=1, max_size=20)
VALUES = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.text(max_size=40),
    st.binary(max_size=40),
    st.uuids(),
)


def whole(data: bytes, **options) -> list[Frame]:
    splitter = Splitter(**options)
    frames = splitter.feed(data)
    splitter.end()
    return frames


def byte_by_byte(data: bytes) -> list[Frame]:
    splitter = Splitter()
    frames = [frame for at in range(len(data)) for frame in splitter.feed(data[at : at + 1])]
    splitter.end()
    return frames


def handmade(
    headers: bytes, payload: bytes = b"", *, length: int | None = None, size: int | None = None
) -> bytes:
    total = 16 + len(headers) + len(payload) if length is None else length
    prelude = struct.pack("!II", total, len(headers) if size is None else size)
    data = prelude + struct.pack("!I", crc32(prelude)) + headers + payload
    return data + struct.pack("!I", crc32(data))


@settings(max_examples=200)
@given(st.dictionaries(NAMES, VALUES, max_size=5), st.binary(max_size=200))
def test_botocore_reads_what_we_write(values, payload):
    data = encode(encode_headers(values), payload)
    buffer = EventStreamBuffer()
    buffer.add_data(data)
    (message,) = list(buffer)
    seen = {
        name: uuid.UUID(bytes=v) if isinstance(values[name], uuid.UUID) else v
        for name, v in message.headers.items()
    }
    assert seen == values
    assert message.payload == payload
    (frame,) = whole(data)
    assert dict(frame.headers.values) == values
    assert frame.payload == payload


@settings(max_examples=100)
@given(st.lists(st.binary(max_size=60), max_size=6), st.lists(st.integers(1, 50), max_size=20))
def test_portions_do_not_matter(payloads, cuts):
    data = b"".join(encode(EVENT, payload) for payload in payloads)
    splitter, frames, rest = Splitter(), [], data
    for cut in cuts:
        frames += splitter.feed(rest[:cut])
        rest = rest[cut:]
    frames += splitter.feed(rest)
    splitter.end()
    assert frames == whole(data) == byte_by_byte(data)
    assert [frame.payload for frame in frames] == payloads


@pytest.mark.parametrize(
    ("kind", "raw", "value"),
    [
        (0, b"", True),
        (1, b"", False),
        (2, b"\xff", -1),
        (3, b"\xff\xfe", -2),
        (4, b"\x00\x00\x00\x05", 5),
        (5, b"\x00" * 7 + b"\x06", 6),
        (6, b"\x00\x02ab", b"ab"),
        (7, b"\x00\x02\xc3\xa9", "é"),
        (8, b"\x00" * 7 + b"\x07", 7),
        (9, bytes(range(16)), uuid.UUID(bytes=bytes(range(16)))),
    ],
)
def test_every_type_of_header(kind, raw, value):
    (frame,) = whole(handmade(b"\x01n" + bytes([kind]) + raw))
    assert frame.headers.values == (("n", value),)
    assert type(frame.headers.values[0][1]) is type(value)


def test_what_a_frame_is():
    for kind, name in (("event", ":event-type"), ("exception", ":exception-type"), ("error", ":error-code")):
        block = encode_headers({name: "x", ":message-type": kind, ":error-message": "why"})
        (frame,) = whole(encode(block, b""))
        assert (frame.headers.message_type, frame.headers.name) == (kind, "x")
        assert frame.headers.text(":error-message") == "why"
        assert frame.headers.text("absent") == ""


GOOD = encode(EVENT, b'{"a":1}')


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (GOOD[:-1] + bytes([GOOD[-1] ^ 1]), "checksum of an event-stream frame is wrong"),
        (GOOD[:20] + bytes([GOOD[20] ^ 1]) + GOOD[21:], "checksum of an event-stream frame is wrong"),
        (GOOD[:3] + bytes([GOOD[3] ^ 1]) + GOOD[4:], "checksum of an event-stream frame's lengths is wrong"),
        (b"HTTP/1.1 500 Internal Server Error", "lengths is wrong"),
        (handmade(b"", length=15), "shorter than its own headers"),
        (handmade(b"", size=1), "shorter than its own headers"),
        (handmade(b"\x01n\x0a"), "unknown type 10"),
        (handmade(b"\x09n"), "cannot be read"),
        (handmade(b"\x01n"), "cannot be read"),
        (handmade(b"\x01n\x07\x00\x09ab"), "cannot be read"),
        (handmade(b"\x01n\x07\x00"), "cannot be read"),
        (handmade(b"\x01n\x05\x00"), "cannot be read"),
        (handmade(b"\x01n\x07\x00\x01\xff"), "cannot be read"),
        (handmade(b"\x01\xff\x00"), "cannot be read"),
        (handmade(b"\x01n\x00\x01n\x01"), "header twice"),
        (GOOD[:-1], "ends in the middle of a frame"),
        (GOOD + GOOD[:5], "ends in the middle of a frame"),
    ],
)
def test_what_is_broken_raises(data, why):
    for read in (whole, byte_by_byte):
        with pytest.raises(UpstreamProtocolError, match=why):
            read(data)


def test_a_frame_that_is_too_large_raises_before_it_is_kept():
    splitter = Splitter(max_frame=100)
    with pytest.raises(UpstreamProtocolError, match="larger than 100 bytes"):
        splitter.feed(handmade(b"", b"x" * 200)[:12])
    assert len(whole(encode(EVENT, b"x") * 50, max_frame=100)) == 50


def test_botocore_refuses_the_same_broken_frames():
    """The oracle is not more lenient than we are, where both look."""
    for data in (GOOD[:-1] + b"\x00", GOOD[:3] + b"\x01" + GOOD[4:]):
        buffer = EventStreamBuffer()
        buffer.add_data(data)
        with pytest.raises(Exception, match="Checksum mismatch"):
            list(buffer)

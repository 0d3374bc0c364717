"""Invariant: bytes of an event stream are frames or an UpstreamProtocolError, however they were portioned; frames come
back as they went.

Whole, byte by byte and in random portions; streams with a flipped bit, cut short, and of plain noise.
"""

from hypothesis import given, settings
from hypothesis import strategies as st

from archflow_plugins.framing.aws_event_stream import Frame, Splitter, encode, encode_headers
from archflow_schema.errors import UpstreamProtocolError

VALUES = (
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.text(max_size=12)
    | st.binary(max_size=12)
    | st.uuids()
)
HEADERS = st.dictionaries(
    st.sampled_from([":event-type", ":exception-type", ":error-code", ":message-type", ":content-type", "x"]),
    VALUES,
    max_size=4,
)
FRAMES = st.lists(st.tuples(HEADERS, st.binary(max_size=60)), max_size=5)
CUTS = st.lists(st.integers(1, 40), max_size=30)


def read(chunks: list[bytes]) -> list[Frame] | str:
    splitter = Splitter(max_frame=400)
    frames: list[Frame] = []
    try:
        for chunk in chunks:
            frames += splitter.feed(chunk)
        splitter.end()
    except UpstreamProtocolError:
        return "no frames"
    return frames


def portions(data: bytes, cuts: list[int]) -> list[bytes]:
    found = []
    for cut in cuts:
        found.append(data[:cut])
        data = data[cut:]
    return [*found, data]


@settings(max_examples=300)
@given(frames=FRAMES, flip=st.none() | st.integers(0, 5000), end=st.none() | st.integers(0, 500), cuts=CUTS)
def test_streams(frames, flip, end, cuts):
    data = b"".join(encode(encode_headers(headers), payload) for headers, payload in frames)
    broken = bytearray(data[:end])
    if flip is not None and broken:
        broken[flip // 8 % len(broken)] ^= 1 << flip % 8
    for stream in (data, bytes(broken)):
        whole = read([stream])
        assert read([stream[at : at + 1] for at in range(len(stream))]) == whole
        assert read(portions(stream, cuts)) == whole
    found = read([data])
    assert not isinstance(found, str)
    assert [(dict(frame.headers.values), frame.payload) for frame in found] == frames
    if flip is not None and broken:
        assert read([bytes(broken)]) == "no frames"


@settings(max_examples=200)
@given(st.binary(max_size=60))
def test_noise(data):
    assert read([data[at : at + 1] for at in range(len(data))]) == read([data])

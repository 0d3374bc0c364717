"""Server-sent events, by the rules of the HTML standard."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archflow_plugins.framing.sse import Event, Splitter, encode
from archflow_schema.errors import UpstreamProtocolError


def whole(data: bytes, **options) -> list[Event]:
    return Splitter(**options).feed(data)


def byte_by_byte(data: bytes, **options) -> list[Event]:
    splitter = Splitter(**options)
    return [event for at in range(len(data)) for event in splitter.feed(data[at : at + 1])]


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: a\n\n", [Event(data=b"a")]),
        (b"data:a\r\n\r\n", [Event(data=b"a")]),
        (b"data:  a\r\r", [Event(data=b" a")]),
        (b"data: a\ndata: b\n\n", [Event(data=b"a\nb")]),
        (b"data\ndata\n\n", [Event(data=b"\n")]),
        (b"data:\n\n", [Event(data=b"")]),
        (b"\xef\xbb\xbfdata: a\n\n", [Event(data=b"a")]),
        (b"data: a\n\n\xef\xbb\xbfdata: b\n\n", [Event(data=b"a")]),
        (b": ping\n\ndata: a\n\n", [Event(data=b"a")]),
        (b"event: x\n\ndata: a\n\n", [Event(data=b"a")]),
        (b"event: x\ndata: a\n\ndata: b\n\n", [Event(event="x", data=b"a"), Event(data=b"b")]),
        (b"id: 1\ndata: a\n\ndata: b\n\n", [Event(id="1", data=b"a"), Event(id="1", data=b"b")]),
        (b"id: 1\nid: \x002\ndata: a\n\n", [Event(id="1", data=b"a")]),
        (b"retry: 10\nunknown: x\ndata: a\n\n", [Event(data=b"a")]),
        (b"data: a: b\n\n", [Event(data=b"a: b")]),
        (b"data: a\n", []),
        (b"\n\n\n", []),
    ],
)
def test_the_standard(stream, events):
    assert whole(stream) == events
    assert byte_by_byte(stream) == events


LINES = st.sampled_from(
    [b"data: a", b"data", b"event: x", b"id: 7", b":c", b"", b"\xef\xbb\xbf", b"x: y", b"data: \xff"]
)


@settings(max_examples=200)
@given(st.lists(st.tuples(LINES, st.sampled_from([b"\n", b"\r", b"\r\n"]))), st.integers(1, 7))
def test_portions_do_not_matter(lines, size):
    data = b"".join(line + end for line, end in lines)
    splitter = Splitter()
    portioned = [event for at in range(0, len(data), size) for event in splitter.feed(data[at : at + size])]
    assert portioned == whole(data)


@pytest.mark.parametrize(
    "stream", [b"data: " + b"x" * 100, b": " + b"x" * 100 + b"\n", b"data: xxxxx\n" * 20]
)
def test_an_event_that_is_too_large_is_refused(stream):
    with pytest.raises(UpstreamProtocolError, match="larger than 60 bytes"):
        whole(stream, max_event=60)
    with pytest.raises(UpstreamProtocolError):
        byte_by_byte(stream, max_event=60)


def test_many_small_events_are_not_one_large_one():
    assert len(whole(b"data: xxxxx\n\n" * 1000, max_event=60)) == 1000


def test_encode_is_read_back():
    assert whole(encode(b'{"a":1}', "message_start")) == [Event(event="message_start", data=b'{"a":1}')]
    assert encode(b"x") == b"data: x\n\n"

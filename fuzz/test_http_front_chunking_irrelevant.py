"""Invariant: whatever a client sends, in whatever pieces, the front answers the same, and goes on or closes the same.

What is answered is HTTP: over HTTP/1.1 an independent parser (h11) reads it all, over HTTP/2 another h2 connection.
No exception leaves the front, and none is hidden by the parser that calls it back.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest import mock

import h2.config
import h2.connection
import h2.exceptions
import h11
import trio
from hyperframe.frame import Frame, GoAwayFrame
from hypothesis import example, given
from hypothesis import strategies as st

from archflow_engine import trace
from archflow_engine.bind import bind
from archflow_engine.front.http1 import Http1
from archflow_engine.front.http2 import Http2
from archflow_engine.hub import Hub
from archflow_engine.metrics import Metrics
from archflow_engine.plan import ListenerPlan
from archflow_schema.graph import Limits
from graphs import model_graph, provider
from playbook import program, registry

LIMITS = Limits(head=400, headers=10, body=200)
REFUSALS = {400, 413, 431, 505}
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Wire:
    """A channel in memory."""

    def __init__(self) -> None:
        self.written = bytearray()
        self.closed = False
        self.paused = False
        self.unsent = 0
        self.full = 1 << 20
        self.owner: object = None

    def write(self, data: bytes) -> None:
        assert not self.closed, f"written after the end: {data!r}"
        self.written += data

    def release(self) -> None:
        pass  # what is written is read at once

    def finish(self) -> None:
        self.closed = True

    close = reset = finish

    def pause(self, *, heed_end: bool = False) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False


def _listener() -> ListenerPlan:
    """A listener that answers everything by itself: its one model's upstream is never asked for."""
    graph = model_graph(
        [provider("nobody", "http://127.0.0.1:9", registry=registry())], registry=registry(), limits=LIMITS
    )
    hub = Hub(_raise)

    async def bound() -> ListenerPlan:
        plan = await bind(program(graph), registry(), hub, Metrics(), offload=_never, log=_never)
        return next(iter(plan.listeners.values()))

    listener = trio.run(bound)
    hub.close()
    return listener


def _raise(error: BaseException) -> None:
    raise error


def _never(*_: object, **__: object) -> Any:
    raise AssertionError("nothing waits or logs here")


class Front:
    """As much of a Front as a connection asks for."""

    limits = LIMITS
    listener: ListenerPlan | None = None

    def __init__(self) -> None:
        if Front.listener is None:
            Front.listener = _listener()
        self.plan = Front.listener
        self.hub = SimpleNamespace(timed=set())
        self.connections = 1

    def too_large(self, what: str) -> str:
        return f"too large: {what}"

    def left(self, _: object) -> None:
        self.connections -= 1


@contextmanager
def the_same_ids() -> Iterator[None]:
    with mock.patch.object(trace, "new_ids", return_value=("1", "1", "1")):
        yield


def answered(protocol: type[Http1 | Http2], pieces: list[bytes]) -> tuple[bytes, bool]:
    """What a connection writes for what it reads, and whether it closes."""
    front, wire = Front(), Wire()
    with the_same_ids():
        connection = protocol(front, wire, "127.0.0.1:1")  # type: ignore[arg-type]
        if isinstance(connection, Http2):
            connection.open()
        for piece in pieces:
            if not wire.closed:
                connection.received(piece)
    assert not wire.paused, "it waits for an exchange, and there is none"
    assert front.connections == (0 if wire.closed else 1)
    assert (not front.hub.timed) == wire.closed, "its deadline outlives it, or it has none"
    assert front.plan is not None
    assert front.plan.plan.live == 0
    return bytes(wire.written), wire.closed


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted({place % (len(data) + 1) for place in places}), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


def bytewise(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


# HTTP/1.1.


def post(body: bytes, *lines: bytes) -> bytes:
    head = [b"POST /v1/chat/completions HTTP/1.1", b"Host: a", b"Content-Length: %d" % len(body), *lines]
    return b"\r\n".join([*head, b"", body])


CHUNKED = b"POST /v1/messages HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
REQUESTS = [
    b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
    b"HEAD /v1/models HTTP/1.1\r\nHost: a\r\n\r\n",
    b"OPTIONS /v1/models HTTP/1.1\r\nHost: a\r\nOrigin: b\r\n\r\n",
    b"GET http://a/nowhere?x HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /healthz HTTP/1.0\r\n\r\n",
    b"GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    post(b'{"model":"nobody"}'),
    post(b'{"model":"nobody"}', b"Expect: 100-continue"),
    post(b'{"model":"nobody"}', b"Connection: Upgrade", b"Upgrade: h2c"),
    post(b"x" * 201),
    post(b"{}", b"X: " + b"y" * 400),
    post(b"{}", *[b"X: y"] * 10),
    CHUNKED + b'12\r\n{"model":"nobody"}\r\n0\r\n\r\n',
    CHUNKED + b"3;a=b\r\n{}\n\r\n0\r\nX: y\r\n\r\n",
    CHUNKED + b"FF\r\n" + b"x" * 255 + b"\r\n0\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n",
    b"HEAD /healthz HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 400 + b"\r\n\r\n",
    b"\r\n",
]
NOISE = [
    b"\0",
    b"\n",
    b"\r",
    b"\r\n",
    b" ",
    b":",
    b"x",
    b"\xff",
    b"0",
    b"Transfer-Encoding: chunked\r\n",
    b"Host: b\r\n",
]


@st.composite
def conversations(draw: st.DrawFn) -> bytes:
    """Requests one after the other, some of them spoilt."""
    data = b"".join(draw(st.lists(st.sampled_from(REQUESTS), min_size=1, max_size=4)))
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(data)))
        gone = draw(st.integers(0, 3))
        data = data[:at] + draw(st.sampled_from([b"", *NOISE])) + data[at + gone :]
    return data


@given(conversations(), st.lists(st.integers(0, 5000), max_size=5))
@example(b"".join(REQUESTS[:4]), [])
@example(REQUESTS[6] * 30, [1, 200])
@example(REQUESTS[9] + REQUESTS[8], [])  # a refusal, and behind it an offer to upgrade
def test_http1(data: bytes, places: list[int]) -> None:
    whole, closed = answered(Http1, [data])
    assert (whole, closed) == answered(Http1, [data])
    replies = read_by_h11(whole)
    for pieces in (bytewise(data), cut(data, places)):
        again, also_closed = answered(Http1, pieces)
        assert read_by_h11(again) == replies
        assert also_closed == closed


def read_by_h11(written: bytes) -> list[tuple[int, bytes]]:
    """Status and bytes of each reply; every byte belongs to one of them.

    Which fault the last refusal names depends on which the parser told first, and whether a client had to wait for
    100 Continue on what came together: neither is compared.
    """
    assert b"callback" not in written, "an exception of ours was taken for the client's mistake"
    written = written.replace(CONTINUE, b"")
    found = []
    while written:
        method = "HEAD" if _is_reply_to_head(written) else "GET"
        parser = h11.Connection(h11.CLIENT)
        parser.send(h11.Request(method=method, target="/", headers=[("host", "a")]))
        parser.send(h11.EndOfMessage())
        parser.receive_data(written)
        event = parser.next_event()
        assert isinstance(event, h11.Response), event
        status = event.status_code
        assert status in {200, 204, 400, 404, 405, 408, 413, 415, 431, 505}
        while not isinstance(event, h11.EndOfMessage):
            event = parser.next_event()
            assert isinstance(event, h11.Data | h11.EndOfMessage), event
        rest = parser.trailing_data[0]
        found.append((status, written[: len(written) - len(rest)]))
        written = rest
    if found and found[-1][0] in REFUSALS and b"connection: close" in found[-1][1]:
        found[-1] = (400, b"refused")
    return found


def _is_reply_to_head(replies: bytes) -> bool:
    """Whether the first reply has a length and no body: the next begins right behind its head."""
    head, _, rest = replies.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head)
    return bool(length and int(length[1]) and (not rest or rest.startswith(b"HTTP/1.1 ")))


# HTTP/2.


class Asker:
    """Writes requests as HTTP/2 frames."""

    def __init__(self) -> None:
        self.h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=True, validate_outbound_headers=False)
        )
        self.h2.initiate_connection()
        self.number = -1

    def do(self, action: str) -> None:
        if action == "ping":
            self.h2.ping(b"12345678")
            return
        if action == "window":
            self.h2.increment_flow_control_window(1000)
            return
        self.number += 2
        head = [(":method", "POST"), (":scheme", "http"), (":authority", "a"), (":path", "/v1/embeddings")]
        match action:
            case "get":
                head[0], head[3] = (":method", "GET"), (":path", "/v1/models")
                self.h2.send_headers(self.number, head, end_stream=True)
            case "post":
                self.h2.send_headers(self.number, head)
                self.h2.send_data(self.number, b'{"model":', end_stream=False)
                self.h2.send_data(self.number, b'"nobody"}', end_stream=True)
            case "large":
                self.h2.send_headers(self.number, head)
                self.h2.send_data(self.number, b"x" * 300, end_stream=True)
            case "long":
                self.h2.send_headers(self.number, [*head, ("x", "y" * 500)], end_stream=True)
            case "half":
                self.h2.send_headers(self.number, head)
            case _:
                self.h2.send_headers(self.number, head)
                self.h2.reset_stream(self.number)


ACTIONS = st.sampled_from(["get", "post", "large", "long", "half", "reset", "ping", "window"])


def by_stream(frames: bytes) -> dict[int, list[bytes]]:
    """Frames of each stream; those of the connection (acknowledgements, pings) may come sooner or later."""
    found: dict[int, list[bytes]] = {}
    while frames:
        frame, length = Frame.parse_frame_header(memoryview(frames[:9]))
        if frame.stream_id:
            found.setdefault(frame.stream_id, []).append(frames[: 9 + length])
        frames = frames[9 + length :]
    return found


@given(st.lists(ACTIONS, max_size=6), st.lists(st.integers(0, 5000), max_size=5))
def test_http2(actions: list[str], places: list[int]) -> None:
    asker = Asker()
    for action in actions:
        asker.do(action)
    data = asker.h2.data_to_send()
    whole, closed = answered(Http2, [data])
    for pieces in (bytewise(data), cut(data, places)):
        again, also_closed = answered(Http2, pieces)
        assert by_stream(again) == by_stream(whole)
        assert not closed
        assert not also_closed
    asker.h2.receive_data(whole)


@given(
    st.lists(ACTIONS, max_size=6),
    st.lists(st.tuples(st.integers(0, 3000), st.binary(min_size=1, max_size=3)), min_size=1, max_size=3),
    st.lists(st.integers(0, 5000), max_size=5),
)
def test_spoilt_http2(actions: list[str], spoils: list[tuple[int, bytes]], places: list[int]) -> None:
    """An error ends the connection, and what came with it may go unanswered; but it always says goodbye."""
    asker = Asker()
    for action in actions:
        asker.do(action)
    data = asker.h2.data_to_send()
    for at, noise in spoils:
        place = 24 + at % (len(data) - 23)  # behind the preface, by which the front knew what it is
        data = data[:place] + noise + data[place + len(noise) :]
    for pieces in ([data], bytewise(data), cut(data, places)):
        replies, closed = answered(Http2, pieces)
        goodbyes = [frame for frame in _types(replies) if frame == GoAwayFrame.type]
        assert len(goodbyes) == closed


def _types(frames: bytes) -> Iterator[int | None]:
    while frames:
        frame, length = Frame.parse_frame_header(memoryview(frames[:9]))
        yield frame.type
        frames = frames[9 + length :]

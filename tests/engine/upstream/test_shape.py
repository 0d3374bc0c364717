"""Replies read by their shape: what is read is what the parser reads, and all that is odd is left to the parser."""

from __future__ import annotations

import pytest

from archflow_engine.upstream import shape as shapes
from archflow_engine.upstream.shape import Shape
from peers import reply
from playbook import playing

HEAD = (
    b"HTTP/1.1 200 OK\r\nDate: Tue, 01 Dec 2026 10:00:00 GMT\r\nContent-Type: Application/JSON\r\n"
    b"Content-Length: %b\r\nConnection: keep-alive\r\nX-Request-Id: %b\r\nset-cookie: a=%b\r\nx-rest:\r\n\r\n"
)


def learnt(head: bytes = HEAD % (b"2", b"req_1", b"b")) -> Shape:
    shape = Shape.learn(head + b"{}")
    assert shape is not None
    return shape


def test_values_may_differ() -> None:
    read = learnt().read(HEAD.replace(b"01 Dec", b"24 Dec") % (b"4", b"req_22", b"c; path=/") + b"null")
    assert read is not None
    head, body = read
    assert (head.status, head.length, body) == (200, 4, b"null")
    assert (head.content_type, head.content_encoding, head.request_id) == (b"application/json", b"", True)
    assert head.raw.startswith(b"Date: Tue, 24 Dec")
    assert head.headers == [
        (b"date", b"Tue, 24 Dec 2026 10:00:00 GMT"),
        (b"content-type", b"Application/JSON"),
        (b"x-request-id", b"req_22"),
        (b"x-rest", b""),
    ]
    assert head.raw == b""
    head.headers.append((b"more", b""))
    assert len(head.headers) == 5


PLAIN = HEAD % (b"2", b"req_1", b"b")


@pytest.mark.parametrize(
    "data",
    [
        PLAIN + b"{",
        PLAIN + b"{}H",
        PLAIN[:-2],
        b"",
        b"\r\n" + PLAIN + b"{}",
        PLAIN.replace(b"200 OK", b"200 Ok") + b"{}",
        PLAIN.replace(b"200 OK", b"201 OK") + b"{}",
        PLAIN.replace(b"1.1", b"1.0") + b"{}",
        PLAIN.replace(b"JSON", b"YAML") + b"{}",
        PLAIN.replace(b"keep-alive", b"close") + b"{}",
        PLAIN.replace(b": 2", b": +2") + b"{}",
        PLAIN.replace(b": 2", b": 2, 2") + b"{}",
        PLAIN.replace(b": 2", b": 0x2") + b"{}",
        PLAIN.replace(b": 2", b": " + b"0" * 20 + b"2") + b"{}",
        PLAIN.replace(b"req_1", b"req\0") + b"{}",
        PLAIN.replace(b"req_1", b"req\n") + b"{}",
        PLAIN.replace(b"req_1", b"req\r") + b"{}",
        PLAIN.replace(b"req_1", b"req\x7f") + b"{}",
        PLAIN.replace(b"req_1", b"req_1 ") + b"{}",
        PLAIN.replace(b"req_1", b"req\r\n folded") + b"{}",
        PLAIN.replace(b"req_1", b"req\r\ncontent-length: 2") + b"{}",
        PLAIN.replace(b"req_1", b"req\r\ntransfer-encoding: chunked") + b"{}",
    ],
)
def test_what_is_not_certain_is_left_to_the_parser(data: bytes) -> None:
    assert learnt().read(data) is None


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nupgrade: h2c\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nfolded: a\r\n b\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * shapes.LONGEST + b"\r\ncontent-length: 0\r\n\r\n",
    ],
)
def test_odd_replies_have_no_shape(data: bytes) -> None:
    assert Shape.learn(data) is None


@pytest.mark.trio
async def test_replies_of_a_known_shape_come_through_as_others_do() -> None:
    async with playing() as play:
        play.upstream.script = lambda asked: reply(
            asked.body, headers=(f"x-mark: {asked.header('x-mark')}", "content-type: application/json")
        )
        client = await play.client()
        seen = []
        for number in range(4):
            answer = await client.talks({"model": "m", "n": number}, headers=(f"x-mark: {number}",))
            assert (answer.status, answer.json["n"], answer.header("x-mark")) == (200, number, str(number))
            assert answer.header("x-arch-request-id") == answer.header("x-request-id")
            seen.append([name for name, _ in answer.headers])
        assert len(play.plan.pools[0].shapes) == 1  # type: ignore[union-attr]
        assert all(sorted(names) == sorted(seen[0]) for names in seen)
        http2 = await play.h2()
        again = await http2.talks({"model": "m", "n": 9}, headers=[(b"x-mark", b"9")])
        assert (again.status, again.header("x-mark")) == (200, "9")


@pytest.mark.trio
async def test_no_more_shapes_than_some_are_learnt() -> None:
    async with playing() as play:
        turn = iter(range(100))
        play.upstream.script = lambda asked: reply(asked.body, headers=(f"x-{next(turn)}: a",))
        client = await play.client()
        for number in range(shapes.SHAPES + 3):
            assert (await client.talks()).header(f"x-{number}") == "a"
        assert len(play.plan.pools[0].shapes) == shapes.SHAPES  # type: ignore[union-attr]

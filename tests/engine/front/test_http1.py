"""The HTTP/1.1 front: what clients may send, what is refused, and that bytes are never read in two ways."""

from __future__ import annotations

import socket
from contextlib import suppress

import pytest
import trio
import trio.testing

from archflow_engine.front import serve
from archflow_engine.front.http1 import LESSONS, Http1
from archflow_schema.graph import Limits
from peers import CHAT, Asked, Upstream, reply, request
from playbook import Play, playing

pytestmark = pytest.mark.trio
ANTHROPIC = "/v1/messages"


def echo(asked: Asked) -> bytes:
    """Answer with the request's body."""
    return reply(asked.body)


def the_connection(play: Play) -> Http1:
    """The gateway's side of the only connection."""
    (connection,) = play.gateway._fronts["127.0.0.1", 0]._connections
    assert isinstance(connection, Http1)
    return connection


async def test_a_connection_serves_many_requests() -> None:
    async with playing() as play:
        play.upstream.script = echo
        client = await play.client()
        for number in range(5):
            answer = await client.talks({"model": "m", "number": number})
            assert answer.json == {"model": "m-upstream", "number": number}
            assert answer.header("connection") is None


async def test_pipelined_requests_are_answered_in_order() -> None:
    async with playing() as play:
        play.upstream.script = echo
        client = await play.client()
        await client.send(b"".join(request({"model": "m", "number": number}) for number in range(200)))
        for number in range(200):
            assert (await client.reply()).json["number"] == number
        assert len(play.upstream.connections) == 1


async def test_a_deep_pipeline_of_local_answers_does_not_recurse() -> None:
    async with playing() as play:
        client = await play.client()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.send, request(method="GET", path="/healthz") * 5000)
            for _ in range(5000):
                assert (await client.reply()).status == 200


async def test_a_client_that_pipelines_without_end_is_no_longer_read() -> None:
    async with playing() as play:
        client = await play.client(buffer=4096)
        flood = request({"model": "m", "padding": "x" * 4000}) * 50
        with trio.move_on_after(0.3) as scope:
            while True:
                await client.stream.send_all(flood)
        assert scope.cancelled_caught
        connection = the_connection(play)
        assert len(connection._queue) < 50
        client.reset()
        assert (await play.record()).error == "client_gone"


@pytest.mark.parametrize("together", [1, 500], ids=["one by one", "many at once"])
async def test_a_client_that_reads_no_reply_is_no_longer_read(
    together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "FULL", 50_000)
    async with playing() as play:
        client = await play.client(buffer=4096)
        flood = request(method="GET", path="/v1/models") * together
        with trio.move_on_after(0.5) as scope:
            while True:
                await client.stream.send_all(flood)
        assert scope.cancelled_caught
        assert the_connection(play)._channel.unsent < 60_000
        client.reset()
        await play.settled(lambda: not play.gateway._fronts["127.0.0.1", 0].connections)


async def test_a_client_that_reads_late_gets_all_its_replies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "FULL", 20_000)
    async with playing() as play:
        client = await play.client(buffer=4096)
        asks = request(method="GET", path="/v1/models")
        await client.send(asks)
        await client.reply()
        channel = the_connection(play)._channel
        channel.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.send, asks * 2000)
            await play.settled(lambda: channel.unsent > 20_000)
            for _ in range(2000):
                assert (await client.reply()).status == 200


async def test_a_client_that_leaves_is_noticed_behind_what_it_pipelined() -> None:
    async with playing() as play:
        client = await play.client()
        await client.send(request({"model": "m"}) * 20)
        asked = await play.upstream.asked()
        connection = the_connection(play)
        await play.settled(lambda: connection._channel.paused)
        await client.leave()
        await asked.connection.left()
        assert [record.error for record in play.records] == ["client_gone"]


async def test_what_was_pipelined_behind_the_pause_is_served_when_there_is_room() -> None:
    async with playing() as play:
        play.upstream.script = echo
        client = await play.client()
        sent = [request({"model": "m", "number": number, "padding": "x" * 3000}) for number in range(300)]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.send, b"".join(sent))
            for number in range(300):
                assert (await client.reply()).json["number"] == number


async def test_reading_byte_by_byte_gives_the_same() -> None:
    async with playing() as play:
        play.upstream.script = echo
        client = await play.client()
        sent = request({"model": "m", "text": "hé"}, headers=("X-Thing: a", "Accept: */*"))
        for at in range(len(sent)):
            await client.send(sent[at : at + 1])
        assert (await client.reply()).json == {"model": "m-upstream", "text": "hé"}


async def test_a_chunked_request_is_forwarded_with_a_length() -> None:
    async with playing() as play:
        client = await play.client()
        body = b'{"model":"m","x":1}'
        await client.send(
            request(headers=("Transfer-Encoding: chunked",))
            + b"5;name=value\r\n%b\r\n" % body[:5]
            + b"%X\r\n%b\r\n0\r\nX-Trailer: 1\r\n\r\n" % (len(body) - 5, body[5:])
        )
        asked = await play.upstream.asked()
        assert asked.json == {"model": "m-upstream", "x": 1}
        assert asked.header("transfer-encoding") is None
        assert asked.header("x-trailer") is None
        await asked.reply()
        assert (await client.reply()).status == 200
        assert (await client.talks(method="GET", path="/healthz")).status == 200


async def test_expect_100_continue_is_answered_before_the_body() -> None:
    async with playing() as play:
        play.upstream.script = echo
        client = await play.client()
        whole = request({"model": "m"}, headers=("Expect: 100-continue",))
        head, end, body = whole.partition(b"\r\n\r\n")
        await client.send(head + end)
        assert await client._read() == b"HTTP/1.1 100 Continue\r\n\r\n"
        await client.send(body)
        answer = await client.reply()
        assert answer.status == 200
        assert answer.interim == []


async def test_expect_waits_for_the_replies_of_the_requests_before_it() -> None:
    async with playing() as play:
        client = await play.client()
        whole = request({"model": "m"}, headers=("Expect: 100-continue",))
        head, end, body = whole.partition(b"\r\n\r\n")
        await client.send(request({"model": "m"}) + head + end)
        asked = await play.upstream.asked()
        await asked.reply({"first": True})
        assert (await client.reply()).json == {"first": True}
        if not client._left:
            client._left = await client._read()
        assert client._left == b"HTTP/1.1 100 Continue\r\n\r\n"
        client._left = b""
        await client.send(body)
        await (await play.upstream.asked()).reply({"second": True})
        assert (await client.reply()).json == {"second": True}


async def test_expect_is_not_answered_for_a_body_that_is_too_large() -> None:
    async with playing(limits=Limits(body=100)) as play:
        client = await play.client()
        await client.send(request(headers=("Expect: 100-continue", "Content-Length: 101")))
        answer = await client.reply()
        assert (answer.status, answer.interim) == (413, [])
        assert await client.ended() == b""
        await play.record()


@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_http_10_closes_unless_it_asks_to_stay(version: str) -> None:
    async with playing() as play:
        play.upstream.script = echo
        client = await play.client()
        stays = await client.talks(version=version, headers=("Connection: keep-alive",))
        assert stays.status == 200
        assert stays.header("connection") == ("keep-alive" if version == "1.0" else None)
        leaves = await client.talks(version=version, headers=("Connection: close",))
        assert leaves.header("connection") == "close"
        assert await client.ended() == b""


async def test_http_10_closes_by_default_and_gets_no_chunks() -> None:
    async with playing() as play:
        client = await play.client()
        await client.ask(version="1.0")
        asked = await play.upstream.asked()
        await asked.stream(b"data: 1\n\n")
        answer = await client.begins()
        assert answer.header("transfer-encoding") is None
        assert answer.header("connection") == "close"
        await client.reads(b"data: 1\n\n")
        await asked.more(b"data: 2\n\n")
        await asked.end()
        assert (await client.rest(answer)).body == b"data: 2\n\n"


async def test_http_10_needs_no_host() -> None:
    async with playing() as play:
        client = await play.client()
        await client.send(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert (await client.reply()).status == 200
        assert await client.ended() == b""


@pytest.mark.parametrize(("path", "status"), [("/healthz", 200), ("/v1/models", 200), ("/nowhere", 404)])
async def test_head_gets_the_head_of_get(path: str, status: int) -> None:
    async with playing() as play:
        client = await play.client()
        full = await client.talks(method="GET", path=path)
        head = await client.talks(method="HEAD", path=path)
        assert (head.status, head.body) == (status, b"")
        assert head.header("content-type") == full.header("content-type")
        if status == 200:
            assert head.header("content-length") == full.header("content-length")
        assert (await client.talks(method="GET", path="/healthz")).status == 200


@pytest.mark.parametrize("target", [f"http://gateway.test{CHAT}", f"HTTPS://other:1234{CHAT}"])
async def test_an_absolute_target_means_its_path(target: str) -> None:
    async with playing() as play:
        play.upstream.script = echo
        client = await play.client()
        assert (await client.talks(path=target)).status == 200
        assert (await play.record()).path == CHAT


async def test_an_absolute_target_without_a_path() -> None:
    async with playing() as play:
        client = await play.client()
        assert (await client.talks(path="http://gateway.test", method="GET")).status == 200
        assert (await play.record()).path == "/"


async def test_options_asterisk_is_not_a_path() -> None:
    async with playing() as play:
        client = await play.client()
        assert (await client.talks(path="*", method="OPTIONS")).status == 404


async def test_an_offer_to_upgrade_is_ignored() -> None:
    async with playing() as play:
        play.upstream.script = echo
        client = await play.client()
        offer = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__")
        answer = await client.talks({"model": "m", "x": 1}, headers=offer)
        assert (answer.status, answer.json) == (200, {"model": "m-upstream", "x": 1})
        assert answer.header("connection") is None
        assert (await client.talks({"model": "m", "x": 2}, headers=offer)).json["x"] == 2


async def test_an_offer_to_upgrade_with_chunks_that_waits_to_be_told() -> None:
    async with playing() as play:
        play.upstream.script = echo
        client = await play.client()
        offer = ("Connection: Upgrade", "Upgrade: h2c", "Expect: 100-continue", "Transfer-Encoding: chunked")
        await client.send(request(headers=offer))
        client._left = await client._read()
        await client.send(b'b\r\n{"model":"m\r\n')
        await client.send(b'2\r\n"}\r\n0\r\n\r\n')
        answer = await client.reply()
        assert (answer.interim, answer.json) == ([100], {"model": "m-upstream"})


async def test_an_offer_to_upgrade_without_a_body() -> None:
    async with playing() as play:
        client = await play.client()
        offer = ("Connection: Upgrade", "Upgrade: websocket")
        for _ in range(2):
            assert (await client.talks(method="GET", path="/healthz", headers=offer)).status == 200


async def test_a_refused_request_with_an_offer_to_upgrade() -> None:
    async with playing(limits=Limits(body=10)) as play:
        client = await play.client()
        offer = ("Connection: Upgrade", "Upgrade: h2c")
        assert (await client.talks(b"x" * 11, headers=offer)).status == 413
        assert await client.ended() == b""


async def test_connect_is_refused() -> None:
    async with playing() as play:
        client = await play.client()
        await client.send(b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n\x16\x03\x01")
        assert (await client.reply()).status == 404
        assert await client.ended() == b""


# Limits.


async def answer_and_end(play: Play, sent: bytes) -> tuple[int, str, str]:
    """Send, and read an error; then the connection must end."""
    client = await play.client()
    await client.send(sent)
    answer = await client.reply()
    assert answer.header("connection") == "close"
    assert await client.ended() == b""
    record = await play.record()
    assert (record.status, record.error) == (answer.status, answer.code)
    return answer.status, answer.code, answer.message


async def test_a_head_that_is_too_large() -> None:
    async with playing(limits=Limits(head=1000)) as play:
        status, code, message = await answer_and_end(play, request({}, headers=("X: " + "y" * 1000,)))
        assert (status, code) == (431, "headers_too_large")
        assert "more than 1000 bytes of request line and headers" in message
        assert "`limits.head`" in message


async def test_a_target_that_is_too_large() -> None:
    async with playing(limits=Limits(head=1000)) as play:
        status, code, _ = await answer_and_end(play, request({}, path=CHAT + "?" + "y" * 1000))
        assert (status, code) == (431, "headers_too_large")


async def test_a_header_that_never_ends() -> None:
    async with playing(limits=Limits(head=1000)) as play:
        client = await play.client()
        await client.send(b"POST / HTTP/1.1\r\nX: ")
        await client.send(b"y" * 100_000)
        answer = await client.reply()
        assert (answer.status, answer.code) == (431, "headers_too_large")
        assert await client.ended() == b""


async def test_a_small_head_behind_a_large_body_is_fine() -> None:
    async with playing(limits=Limits(head=300)) as play:
        play.upstream.script = echo
        client = await play.client()
        second = request({"model": "m"})
        await client.send(request({"model": "m", "padding": "x" * 5000}) + second[:20])
        assert (await client.reply()).status == 200
        await client.send(second[20:])
        assert (await client.reply()).status == 200


async def test_too_many_headers() -> None:
    async with playing(limits=Limits(headers=20)) as play:
        lines = tuple(f"X-{number}: 1" for number in range(20))
        status, code, message = await answer_and_end(play, request({}, headers=lines))
        assert (status, code) == (431, "too_many_headers")
        assert "more than 20 headers" in message


async def test_a_body_that_says_it_is_too_large() -> None:
    async with playing(limits=Limits(body=1000)) as play:
        status, code, message = await answer_and_end(play, request(headers=("Content-Length: 1001",)))
        assert (status, code) == (413, "body_too_large")
        assert "more than 1000 bytes of body, the limit of listener egress-127.0.0.1" in message


@pytest.mark.parametrize(
    "codings",
    [("Transfer-Encoding: gzip, chunked",), ("Transfer-Encoding: gzip", "Transfer-Encoding: chunked")],
    ids=["a list", "two headers"],
)
async def test_a_body_in_a_coding_that_is_not_understood(codings: tuple[str, ...]) -> None:
    async with playing() as play:
        sent = request(headers=codings) + b"2\r\n{}\r\n0\r\n\r\n"
        status, code, message = await answer_and_end(play, sent)
        assert (status, code) == (501, "unsupported_encoding")
        assert "besides chunked" in message
        assert play.upstream.connections == []


async def test_the_one_coding_that_is_understood_may_be_written_in_capitals() -> None:
    async with playing() as play:
        client = await play.client()
        await client.send(
            request(headers=("Transfer-Encoding:  Chunked ",)) + b'd\r\n{"model":"m"}\r\n0\r\n\r\n'
        )
        await (await play.upstream.asked()).reply({"fine": True})
        assert (await client.reply()).status == 200


async def test_a_chunked_body_that_becomes_too_large() -> None:
    async with playing(limits=Limits(body=1000)) as play:
        sent = request(headers=("Transfer-Encoding: chunked",)) + b"1F4\r\n" + b"x" * 500 + b"\r\n"
        status, code, _ = await answer_and_end(play, sent + b"1F5\r\n" + b"x" * 501 + b"\r\n")
        assert (status, code) == (413, "body_too_large")


async def test_a_body_of_exactly_the_limit() -> None:
    async with playing(limits=Limits(body=1000)) as play:
        play.upstream.script = echo
        client = await play.client()
        body = b'{"model":"m","x":"' + b"y" * 980 + b'"}'
        assert len(body) == 1000
        assert (await client.talks(body)).status == 200


async def test_a_body_in_tiny_chunks_is_kept_in_one_piece() -> None:
    async with playing() as play:
        play.upstream.script = lambda asked: reply({"length": len(asked.body)})
        client = await play.client()
        body = b'{"model":"m","x":"' + b"y" * 200_000 + b'"}'
        await client.send(request(headers=("Transfer-Encoding: chunked",)))
        pieces = [b"2\r\n%b\r\n" % body[at : at + 2] for at in range(0, len(body), 2)]
        assert len(body) % 2 == 0
        await client.send(b"".join(pieces))
        connection = the_connection(play)
        await play.settled(lambda: connection._size == len(body))
        assert connection._reading is not None
        assert connection._reading.body == body
        await client.send(b"0\r\n\r\n")
        assert (await client.reply()).json == {"length": len(body) + len("-upstream")}


async def test_a_sender_that_is_too_slow() -> None:
    async with playing(limits=Limits(receive=0.1)) as play:
        status, code, message = await answer_and_end(
            play, b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\n"
        )
        assert (status, code) == (408, "request_timeout")
        assert "not complete within 0.1 s" in message
        assert "`limits.receive`" in message


async def test_a_body_that_stops_half_way() -> None:
    async with playing(limits=Limits(receive=0.1)) as play:
        status, code, _ = await answer_and_end(play, request(headers=("Content-Length: 10",)) + b"12345")
        assert (status, code) == (408, "request_timeout")
        assert play.upstream.connections == []


async def test_a_client_that_says_nothing_is_sent_away() -> None:
    async with playing(limits=Limits(receive=0.1)) as play:
        client = await play.client()
        assert await client.ended() == b""
        assert play.records == []


async def test_an_idle_connection_is_closed() -> None:
    async with playing(limits=Limits(idle=0.1)) as play:
        client = await play.client()
        assert (await client.talks(method="GET", path="/healthz")).status == 200
        assert await client.ended() == b""


async def test_a_slow_reply_is_not_idleness() -> None:
    async with playing(limits=Limits(idle=0.1, receive=0.1)) as play:
        client = await play.client()
        await client.ask()
        asked = await play.upstream.asked()
        await trio.sleep(0.3)  # longer than both limits
        await asked.reply({"late": True})
        assert (await client.reply()).json == {"late": True}


async def test_connections_above_the_limit_are_turned_away() -> None:
    async with playing(limits=Limits(connections=2)) as play:
        first, second = await play.client(), await play.client()
        for client in (first, second):
            assert (await client.talks(method="GET", path="/healthz")).status == 200
        third = await play.client()
        answer = await third.reply()
        assert (answer.status, answer.code) == (503, "too_many_connections")
        assert "`limits.connections`" in answer.message
        assert answer.header("retry-after") == "1"
        await first.leave()
        await play.settled(lambda: play.gateway._fronts["127.0.0.1", 0].connections < 2)
        again = await play.client()
        assert (await again.talks(method="GET", path="/healthz")).status == 200


# Requests that can be read in two ways, and other malformed input.

CL = "Content-Length: 5"
MALFORMED = {
    "length and chunks": request(headers=(CL, "Transfer-Encoding: chunked")) + b"0\r\n\r\n",
    "chunks and length": request(headers=("Transfer-Encoding: chunked", CL)) + b"0\r\n\r\n",
    "two lengths": request(headers=(CL, "Content-Length: 6")) + b"hello",
    "two equal lengths": request(headers=(CL, CL)) + b"hello",
    "a list of lengths": request(headers=("Content-Length: 5, 5",)) + b"hello",
    "a signed length": request(headers=("Content-Length: +5",)) + b"hello",
    "a negative length": request(headers=("Content-Length: -5",)) + b"hello",
    "a hexadecimal length": request(headers=("Content-Length: 0x5",)) + b"hello",
    "an empty length": request(headers=("Content-Length:",)) + b"hello",
    "a length with a space": request(headers=("Content-Length: 5 5",)) + b"hello",
    "an endless length": request(headers=("Content-Length: 99999999999999999999",)),
    "an unknown coding": request(headers=("Transfer-Encoding: identity",)) + b"0\r\n\r\n",
    "chunks not last": request(headers=("Transfer-Encoding: chunked, gzip",)) + b"0\r\n\r\n",
    "chunked twice": request(headers=("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"))
    + b"0\r\n\r\n",
    "an obscured coding": request(headers=("Transfer-Encoding: xchunked",)) + b"0\r\n\r\n",
    "a coding after a vertical tab": request(headers=("Transfer-Encoding: \x0bchunked",)) + b"0\r\n\r\n",
    "a space before the colon": request(headers=("Content-Length : 5",)) + b"hello",
    "a tab before the colon": request(headers=("Transfer-Encoding\t: chunked",)) + b"0\r\n\r\n",
    "chunks in HTTP/1.0": request(
        version="1.0", headers=("Connection: keep-alive", "Transfer-Encoding: chunked")
    )
    + b"0\r\n\r\n",
    "a folded header": request(headers=("X-A: b", " c")),
    "a folded coding": request(headers=("Transfer-Encoding:", " chunked")) + b"0\r\n\r\n",
    "a header without a colon": request(headers=("Nonsense",)),
    "a header without a name": request(headers=(": value",)),
    "a space in a name": request(headers=("X A: b",)),
    "a NUL in a value": request(headers=("X-A: a\0b",)),
    "a NUL in a name": request(headers=("X\0A: b",)),
    "a CR in a value": request(headers=("X-A: a\rContent-Length: 5",)),
    "lines that end in LF": b"POST /v1/chat/completions HTTP/1.1\nHost: a\nContent-Length: 2\n\n{}",
    "a head that ends in LF": b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\n{}",
    "no host": b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}",
    "two hosts": request({}, headers=("Host: other",)),
    "no version": b"POST /v1/chat/completions\r\nHost: a\r\n\r\n",
    "an odd version": b"POST /v1/chat/completions HTTP/1.x\r\nHost: a\r\n\r\n",
    "another protocol": b"SSH-2.0-OpenSSH_9.7\r\n",
    "TLS on a plain port": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "a space in the target": b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
    "a control in the target": b"GET /a\x01b HTTP/1.1\r\nHost: a\r\n\r\n",
    "an unknown method": b"GETT /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
    "a bad chunk size": request(headers=("Transfer-Encoding: chunked",)) + b"5x\r\nhello\r\n0\r\n\r\n",
    "a negative chunk size": request(headers=("Transfer-Encoding: chunked",)) + b"-1\r\nhello\r\n0\r\n\r\n",
    "an endless chunk size": request(headers=("Transfer-Encoding: chunked",)) + b"F" * 17 + b"\r\n",
    "a chunk longer than its size": request(headers=("Transfer-Encoding: chunked",))
    + b"5\r\nhelloworld\r\n0\r\n\r\n",
    "a chunk that ends in LF": request(headers=("Transfer-Encoding: chunked",)) + b"5\nhello\n0\n\n",
    "a half of the preface": b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
}


EXPECTED = {
    "no version": (505, "version_not_supported"),  # that is HTTP/0.9
}


@pytest.mark.parametrize("name", MALFORMED)
@pytest.mark.parametrize("bytewise", [False, True], ids=["whole", "bytewise"])
async def test_malformed_requests_are_refused_and_the_connection_closed(name: str, bytewise: bool) -> None:
    smuggled = request(method="GET", path="/healthz")
    async with playing() as play:
        client = await play.client()
        sent = MALFORMED[name] + smuggled
        if bytewise:
            with suppress(trio.BrokenResourceError):
                for at in range(len(sent)):
                    await client.stream.send_all(sent[at : at + 1])
        else:
            await client.send(sent)
        answer = await client.reply()
        assert (answer.status, answer.code) == EXPECTED.get(name, (400, "malformed_request"))
        assert answer.header("connection") == "close"
        assert await client.ended() == b""
        assert [record.status for record in play.records] == [answer.status]
        assert play.upstream.connections == []


async def test_an_error_speaks_the_clients_dialect() -> None:
    async with playing(limits=Limits(body=10)) as play:
        for path, shape in ((CHAT, {"error"}), (ANTHROPIC, {"type", "error", "request_id"})):
            client = await play.client()
            answer = await client.talks(b"x" * 11, path=path)
            assert answer.status == 413
            assert set(answer.json) <= shape
            assert answer.json["error"]["message"].startswith("the request has more than 10 bytes")
            assert answer.header("x-request-id")
            if path == ANTHROPIC:
                assert answer.json["type"] == "error"


async def test_requests_before_a_malformed_one_are_served() -> None:
    async with playing() as play:
        client = await play.client()
        await client.send(request({"model": "m"}) + b"nonsense\r\n\r\n")
        await (await play.upstream.asked()).reply({"fine": True})
        assert (await client.reply()).json == {"fine": True}
        assert (await client.reply()).status == 400
        assert await client.ended() == b""


async def test_bytes_behind_the_last_request_are_dropped() -> None:
    async with playing() as play:
        client = await play.client()
        await client.send(
            request(method="GET", path="/healthz", headers=("Connection: close",)) + b"\0nonsense"
        )
        assert (await client.reply()).status == 200
        assert await client.ended() == b""
        assert len(play.records) == 1


async def test_empty_lines_before_a_request_are_skipped() -> None:
    async with playing() as play:
        client = await play.client()
        await client.send(b"\r\n\r\n" + request(method="GET", path="/healthz"))
        assert (await client.reply()).status == 200


async def test_a_client_that_leaves_in_mid_request_leaves_no_record() -> None:
    async with playing() as play:
        client = await play.client()
        await client.send(request(headers=("Content-Length: 10",)) + b"12345")
        await play.settled(lambda: any(getattr(one, "_size", 0) for one in play.deadlines()))
        await client.leave()
        await play.settled(lambda: not play.deadlines())
        assert play.records == []


HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: g\r\nContent-Length: %b\r\nX-Mark: %b\r\n\r\n"


def chat(number: int, padding: int = 0) -> bytes:
    """A body of its own length."""
    return b'{"model": "m", "number": %d, "padding": "%b"}' % (number, b"x" * padding)


def mark(asked: Asked) -> bytes:
    """Answer with the request's body and its mark."""
    return reply(asked.body, headers=(f"x-mark: {asked.header('x-mark')}",))


async def test_a_head_that_repeats_the_last_one_is_not_read_anew() -> None:
    async with playing() as play:
        play.upstream.script = mark
        client = await play.client()
        for number, padding in enumerate((0, 7, 0, 3000, 1)):
            body = chat(number, padding)
            await client.send(HEAD % (b"%d" % len(body), b"same") + body)
            answer = await client.reply()
            assert (answer.json["number"], answer.header("x-mark")) == (number, "same")
        assert the_connection(play)._lessons == LESSONS - 1


async def test_a_head_that_differs_is_read_and_then_remembered() -> None:
    async with playing() as play:
        play.upstream.script = mark
        client = await play.client()
        for number in range(LESSONS + 3):
            body = chat(number)
            await client.send(HEAD % (b"%d" % len(body), b"mark-%d" % number) + body)
            answer = await client.reply()
            assert (answer.json["number"], answer.header("x-mark")) == (number, f"mark-{number}")
        assert the_connection(play)._lessons == 0


@pytest.mark.parametrize("pieces", [1, 2, 3, 7])
async def test_a_repeated_head_in_pieces_or_with_more_behind_it(pieces: int) -> None:
    async with playing() as play:
        play.upstream.script = echo
        client = await play.client()
        sent = b"".join(HEAD % (b"%d" % len(chat(n)), b"same") + chat(n) for n in range(3))
        await client.send(HEAD % (b"%d" % len(chat(9)), b"same") + chat(9))
        assert (await client.reply()).json["number"] == 9
        size = len(sent) // pieces + 1
        for start in range(0, len(sent), size):
            await client.send(sent[start : start + size])
            await trio.testing.wait_all_tasks_blocked(0.005)
        for number in range(3):
            assert (await client.reply()).json["number"] == number


@pytest.mark.parametrize("length", [b"+45", b"-1", b"4 5", b"45, 45", b"", b"0x10", b"\xb2", b"9" * 30])
async def test_a_repeated_head_around_what_is_no_length_is_refused(length: bytes) -> None:
    async with playing() as play:
        play.upstream.script = echo
        client = await play.client()
        await client.send(HEAD % (b"%d" % len(chat(0)), b"same") + chat(0))
        assert (await client.reply()).status == 200
        await client.send(HEAD % (length, b"same") + chat(0))
        assert (await client.reply()).status in {400, 413}
        assert await client.ended() == b""


async def test_a_repeated_head_with_a_body_above_the_limit_is_refused() -> None:
    async with playing(limits=Limits(body=100)) as play:
        play.upstream.script = echo
        client = await play.client()
        await client.send(HEAD % (b"%d" % len(chat(0)), b"same") + chat(0))
        assert (await client.reply()).status == 200
        await client.send(HEAD % (b"%d" % len(chat(0, 100)), b"same") + chat(0, 100))
        assert (await client.reply()).status == 413


async def test_a_repeated_head_goes_to_each_upstream_as_it_should() -> None:
    asked: list[Asked] = []

    def keep(one: Asked) -> bytes:
        asked.append(one)
        return mark(one)

    async with playing(Upstream(), Upstream(), models={"m": 0, "n": 1}) as play:
        for upstream in play.upstreams:
            upstream.script = keep
        client = await play.client()
        for model, upstream in zip(
            "mnnmmn", [play.upstreams["mn".index(one)] for one in "mnnmmn"], strict=True
        ):
            body = b'{"model": "%s"}' % model.encode()
            await client.send(HEAD % (b"%d" % len(body), b"same") + body)
            answer = await client.reply()
            assert (answer.json["model"], answer.header("x-mark")) == (f"{model}-upstream", "same")
            assert asked[-1].header("host") == f"127.0.0.1:{upstream.port}"
        assert len({one.header("traceparent") for one in asked}) == 6


async def test_a_repeated_head_with_an_unusable_id_gets_a_new_one_each_time() -> None:
    async with playing() as play:
        play.upstream.script = mark
        client = await play.client()
        head = HEAD.replace(b"X-Mark: ", b"X-Request-Id: not an id\r\nX-Mark: ")
        for _ in range(3):
            await client.send(head % (b"%d" % len(chat(0)), b"same") + chat(0))
            await client.reply()
        ids = {(await play.record()).request_id for _ in range(3)}
        assert len(ids) == 3
        assert all(len(one) == 36 for one in ids)

"""HTTP/2 upstreams: one connection for many calls, windows, resets, and upstreams that go away."""

from __future__ import annotations

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.settings
import pytest

from archflow_engine.upstream import http2
from archflow_engine.upstream.call import Call, CallHead, ReplyHead
from archflow_schema.errors import UpstreamError
from peers import Upstream
from peers_h2 import H2Asked, H2Upstream
from playbook import KEY, Play, ca_file, playing, server_tls

pytestmark = pytest.mark.trio
TWO = {"http": "2"}
EVENT = b'data: {"id":"1"}\n\n'
LARGE = 4 << 20
CODES = h2.errors.ErrorCodes


async def warm(play: Play) -> None:
    """Make one exchange, so that the connection stands."""
    client = await play.client()
    await client.ask()
    await (await play.h2_upstream.h2_asked()).reply()
    assert (await client.reply()).status == 200
    await play.record()


async def test_a_request_and_its_reply() -> None:
    async with playing(H2Upstream(), upstream=TWO) as play:
        client = await play.client()
        await client.ask({"model": "m", "x": 1}, headers=("X-Custom: a", "Connection: X-Hop", "X-Hop: 1"))
        asked = await play.h2_upstream.h2_asked()
        assert asked.headers[:4] == [
            (b":method", b"POST"),
            (b":scheme", b"http"),
            (b":authority", f"127.0.0.1:{play.upstream.port}".encode()),
            (b":path", b"/v1/chat/completions"),
        ]
        assert asked.json == {"model": "m-upstream", "x": 1}
        assert asked.header("authorization") == f"Bearer {KEY}"
        assert asked.header("x-custom") == "a"
        assert asked.header("content-length") == str(len(asked.body))
        assert {name for name, _ in asked.headers} & {b"host", b"connection", b"x-hop"} == set()
        await asked.reply({"id": "1"}, headers=[(b"content-type", b"application/json"), (b"x-a", b"b")])
        answer = await client.reply()
        assert (answer.status, answer.json, answer.header("x-a")) == (200, {"id": "1"}, "b")
        record = await play.record()
        assert record.attempts[0].address == f"127.0.0.1:{play.upstream.port}"
        assert not record.attempts[0].reused


async def test_many_calls_share_one_connection() -> None:
    async with playing(H2Upstream(), upstream=TWO) as play:
        clients = [await play.client() for _ in range(20)]
        for number, client in enumerate(clients):
            await client.ask({"model": "m", "number": number})
        asked = [await play.h2_upstream.h2_asked() for _ in clients]
        for one in reversed(asked):
            await one.reply({"number": one.json["number"]})
        for number, client in enumerate(clients):
            assert (await client.reply()).json == {"number": number}
        assert len(play.h2_upstream.h2_connections) == 1


async def test_calls_that_wait_for_a_name_share_one_connection() -> None:
    async with playing(H2Upstream(), upstream=TWO) as play:
        await play.swap(urls=[f"http://localhost:{play.upstream.port}"])
        clients = [await play.client() for _ in range(5)]
        for client in clients:
            await client.ask()
        for _ in clients:
            await (await play.h2_upstream.h2_asked()).reply()
        for client in clients:
            assert (await client.reply()).status == 200
        assert len(play.h2_upstream.h2_connections) == 1


async def test_a_stream_is_relayed_as_it_comes() -> None:
    async with playing(H2Upstream(), upstream=TWO) as play:
        client = await play.client()
        await client.ask({"model": "m", "stream": True})
        asked = await play.h2_upstream.h2_asked()
        await asked.stream(EVENT)
        answer = await client.begins()
        await client.reads(EVENT)
        for number in range(10):
            event = b"data: %d\n\n" % number
            await asked.more(event)
            await client.reads(event)
        await asked.more(b"data: [DONE]\n\n", end=True)
        assert (await client.rest(answer)).body == b"data: [DONE]\n\n"
        assert not answer.cut


async def test_http2_on_both_sides() -> None:
    async with playing(H2Upstream(), upstream=TWO) as play:
        client = await play.h2()
        asking = [await client.ask({"model": "m", "number": number}) for number in range(10)]
        for _ in asking:
            asked = await play.h2_upstream.h2_asked()
            await asked.reply({"number": asked.json["number"]})
        for number, one in enumerate(asking):
            assert (await client.whole(one)).json == {"number": number}
        assert len(play.h2_upstream.h2_connections) == 1


@pytest.mark.parametrize("status", [204, 304])
async def test_a_reply_without_a_body(status: int) -> None:
    async with playing(H2Upstream(), upstream=TWO) as play:
        client = await play.client()
        await client.ask()
        await (await play.h2_upstream.h2_asked()).reply(b"", status=status)
        assert (await client.reply()).status == status
        await client.ask()
        await (await play.h2_upstream.h2_asked()).reply(b"smuggled", status=status)
        answer = await client.reply()
        assert (answer.status, answer.body) == (status, b"")
        assert (await client.talks(method="GET", path="/healthz")).status == 200


async def test_interim_replies_and_trailers_are_skipped() -> None:
    async with playing(H2Upstream(), upstream=TWO) as play:
        client = await play.client()
        await client.ask()
        asked = await play.h2_upstream.h2_asked()
        peer = asked.connection
        peer.h2.send_headers(asked.number, [(b":status", b"103"), (b"link", b"x")])
        await asked.reply({"id": "1"}, end=False)
        peer.h2.send_headers(asked.number, [(b"x-trailer", b"1")], end_stream=True)
        await peer.flush()
        answer = await client.reply()
        assert (answer.json, answer.interim) == ({"id": "1"}, [])


# Leaving.


async def test_a_client_that_leaves_resets_its_stream_ten_times_of_ten() -> None:
    async with playing(H2Upstream(), upstream=TWO) as play:
        for number in range(10):
            client = await play.client()
            await client.ask({"model": "m", "stream": True})
            asked = await play.h2_upstream.h2_asked()
            if number % 2:
                await asked.stream(EVENT)
                await client.begins()
            await client.leave()
            assert await asked.was_reset() == CODES.CANCEL
            assert (await play.record()).error == "client_gone"
        assert len(play.h2_upstream.h2_connections) == 1
        await warm(play)


async def test_a_timeout_resets_its_stream_only() -> None:
    async with playing(H2Upstream(), upstream={**TWO, "between_chunks": 0.2}) as play:
        first, second = await play.client(), await play.client()
        await first.ask({"model": "m", "stream": True})
        asked = await play.h2_upstream.h2_asked()
        await asked.stream(EVENT)
        await second.ask()
        other = await play.h2_upstream.h2_asked()
        answer = await first.begins()
        assert b"silent for 0.2 s" in (await first.rest(answer)).body
        assert await asked.was_reset() == CODES.CANCEL
        await other.reply({"fine": True})
        assert (await second.reply()).json == {"fine": True}


@pytest.mark.parametrize(("silent", "connections"), [(0.1, 2), (10.0, 1)])
async def test_a_connection_that_says_nothing_at_all_gets_no_more_calls(
    silent: float, connections: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http2, "SILENT", silent)
    async with playing(H2Upstream(), upstream={**TWO, "first_byte": 0.2}) as play:
        await warm(play)
        client = await play.client()
        await client.ask()
        await play.h2_upstream.h2_asked()
        assert (await client.reply()).status == 504
        await client.ask()
        await (await play.h2_upstream.h2_asked()).reply({"fine": True})
        assert (await client.reply()).json == {"fine": True}
        assert len(play.h2_upstream.h2_connections) == connections


async def test_a_client_that_leaves_while_others_wait_for_the_connection() -> None:
    upstream = H2Upstream()
    async with playing(upstream, upstream=TWO) as play:
        clients = [await play.client() for _ in range(3)]
        for client in clients:
            await client.ask()
        await clients[0].leave()
        asked: list[H2Asked] = []
        while len(asked) < 2:
            one = await upstream.h2_asked()
            if one.reset is None:
                asked.append(one)
                await one.reply({"fine": True})
        for client in clients[1:]:
            assert (await client.reply()).status in {200, 502} - {502}


# The upstream goes away.


async def test_going_away_finishes_what_is_in_flight_and_sends_the_rest_elsewhere() -> None:
    async with playing(H2Upstream(), upstream=TWO) as play:
        clients = [await play.client() for _ in range(3)]
        for number, client in enumerate(clients):
            await client.ask({"model": "m", "number": number})
        asked = {one.json["number"]: one for one in [await play.h2_upstream.h2_asked() for _ in clients]}
        first = min(asked.values(), key=lambda one: one.number)
        await first.connection.go_away(first.number)
        again = [await play.h2_upstream.h2_asked() for _ in range(2)]
        assert {one.connection for one in again} == {play.h2_upstream.h2_connections[1]}
        for one in (first, *again):
            await one.reply({"number": one.json["number"]})
        for number, client in enumerate(clients):
            assert (await client.reply()).json == {"number": number}
        await first.connection.closed()
        await warm(play)
        assert len(play.h2_upstream.h2_connections) == 2


async def test_going_away_with_nothing_in_flight() -> None:
    async with playing(H2Upstream(), upstream=TWO) as play:
        await warm(play)
        connection = play.h2_upstream.h2_connections[0]
        await connection.go_away(1)
        await connection.closed()
        await warm(play)
        assert len(play.h2_upstream.h2_connections) == 2


async def test_a_refused_stream_goes_out_once_more() -> None:
    async with playing(H2Upstream(), upstream=TWO) as play:
        client = await play.client()
        await client.ask({"model": "m", "x": 1})
        await (await play.h2_upstream.h2_asked()).refuse(CODES.REFUSED_STREAM)
        again = await play.h2_upstream.h2_asked()
        assert again.json["x"] == 1
        await again.reply({"fine": True})
        assert (await client.reply()).json == {"fine": True}
        await client.ask()
        for _ in range(2):
            await (await play.h2_upstream.h2_asked()).refuse(CODES.REFUSED_STREAM)
        answer = await client.reply()
        assert (answer.status, answer.code) == (502, "upstream_refused")


async def test_a_reset_before_the_reply_is_a_bad_gateway() -> None:
    async with playing(H2Upstream(), upstream=TWO) as play:
        client = await play.client()
        await client.ask()
        await (await play.h2_upstream.h2_asked()).refuse(CODES.INTERNAL_ERROR)
        answer = await client.reply()
        assert (answer.status, answer.code) == (502, "upstream_failed")
        assert "reset the stream" in answer.message


async def test_a_reset_in_mid_stream_ends_it_with_an_error_event() -> None:
    async with playing(H2Upstream(), upstream=TWO) as play:
        client = await play.client()
        await client.ask({"model": "m", "stream": True})
        asked = await play.h2_upstream.h2_asked()
        await asked.stream(EVENT)
        answer = await client.begins()
        await client.reads(EVENT)
        await asked.refuse(CODES.INTERNAL_ERROR)
        assert b'"code":"upstream_failed"' in (await client.rest(answer)).body


async def test_a_connection_that_dies_on_its_first_call_is_a_bad_gateway() -> None:
    async with playing(H2Upstream(), upstream=TWO) as play:
        client = await play.client()
        await client.ask()
        await (await play.h2_upstream.h2_asked()).connection.leave()
        assert (await client.reply()).status == 502


async def test_a_connection_that_died_while_it_rested_is_replaced() -> None:
    async with playing(H2Upstream(), upstream=TWO) as play:
        await warm(play)
        client = await play.client()
        await client.ask()
        asked = await play.h2_upstream.h2_asked()
        peer = asked.connection
        # What the gateway acknowledges is not heard of any more: the connection dies without a word.
        await peer.leave()
        again = await play.h2_upstream.h2_asked()
        assert again.body == asked.body
        await again.reply({"fresh": True})
        assert (await client.reply()).json == {"fresh": True}


GARBAGE = {
    "HTTP/1.1": b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n" * 3,
    "a long frame": b"\xff\xff\xff\0\0\0\0\0\1" + b"x" * 100,
    "data on an idle stream": b"\0\0\1\0\0\0\0\0\x63x",
    "a push": b"\0\0\4\5\4\0\0\0\1\0\0\0\2",
}


@pytest.mark.parametrize("name", GARBAGE)
async def test_an_upstream_that_does_not_speak_http2(name: str) -> None:
    async with playing(H2Upstream(), upstream=TWO) as play:
        client = await play.client()
        await client.ask()
        asked = await play.h2_upstream.h2_asked()
        await asked.connection.raw(GARBAGE[name])
        answer = await client.reply()
        assert (answer.status, answer.code) == (502, "upstream_failed")
        assert "does not speak HTTP/2" in answer.message
        await asked.connection.closed()


@pytest.mark.parametrize("status", [b"abc", b"", b"99", b"-200"])
async def test_a_reply_without_a_usable_status(status: bytes) -> None:
    async with playing(H2Upstream(), upstream=TWO) as play:
        client = await play.client()
        await client.ask()
        asked = await play.h2_upstream.h2_asked()
        asked.connection.h2.send_headers(asked.number, [(b":status", status)])
        await asked.connection.flush()
        assert (await client.reply()).status == 502
        await warm(play)


@pytest.mark.parametrize("value", [b"a\r\nx-injected: 1", b"a\0b"])
async def test_a_header_that_would_split_the_reply(value: bytes) -> None:
    async with playing(H2Upstream(), upstream=TWO) as play:
        client = await play.client()
        await client.ask()
        asked = await play.h2_upstream.h2_asked()
        await asked.reply({}, headers=[(b"x-a", value)])
        answer = await client.reply()
        assert answer.status == 502
        assert answer.header("x-injected") is None


# Windows.


async def test_a_large_request_flows_through_small_windows() -> None:
    async with playing(H2Upstream(initial_window_size=10_000), upstream=TWO) as play:
        await warm(play)  # until then the gateway cannot know how small they are
        client = await play.client()
        body = b'{"model":"m","x":"' + b"y" * LARGE + b'"}'
        await client.ask(body)
        asked = await play.h2_upstream.h2_asked()
        assert len(asked.body) == len(body) + len("-upstream")
        await asked.reply()
        assert (await client.reply()).status == 200


async def test_a_large_reply_flows() -> None:
    async with playing(H2Upstream(), upstream=TWO) as play:
        client = await play.client()
        await client.ask()
        asked = await play.h2_upstream.h2_asked()
        play.nursery.start_soon(asked.reply, b"x" * LARGE)
        assert (await client.reply()).body == b"x" * LARGE


async def test_a_slow_client_shuts_its_streams_window_and_nobody_elses() -> None:
    async with playing(H2Upstream(), upstream=TWO) as play:
        slow, other = await play.client(buffer=4096), await play.client()
        await slow.ask()
        asked = await play.h2_upstream.h2_asked()
        play.nursery.start_soon(asked.reply, b"x" * (2 * LARGE))
        (connection,) = play.h2_upstream.h2_connections
        await play.settled(
            lambda: (
                asked.number in connection.h2.streams
                and connection.h2.local_flow_control_window(asked.number) == 0
            )
        )
        await other.ask()
        second = await play.h2_upstream.h2_asked()
        play.nursery.start_soon(second.reply, b"y" * LARGE)
        assert len((await other.reply()).body) == LARGE
        assert len((await slow.reply()).body) == 2 * LARGE


async def test_a_reply_before_the_whole_request_was_sent() -> None:
    async with playing(H2Upstream(initial_window_size=1000), upstream=TWO) as play:
        upstream = play.h2_upstream
        client = await play.client()
        connecting = await play.client()
        await connecting.ask()
        await (await upstream.h2_asked()).reply()
        await connecting.reply()
        (connection,) = upstream.h2_connections
        connection.acknowledge = False
        await client.ask(b'{"model":"m","x":"' + b"y" * 100_000 + b'"}')
        await connection.notice.until(lambda: len(connection.requests) == 2)
        asked = connection.requests[3]
        await asked.reply({"error": "too large"}, status=413)
        assert (await client.reply()).status == 413
        assert await asked.was_reset() == CODES.NO_ERROR


async def test_an_upstream_that_takes_few_streams_gets_more_connections() -> None:
    async with playing(H2Upstream(max_concurrent_streams=2), upstream=TWO) as play:
        await warm(play)
        clients = [await play.client() for _ in range(5)]
        for client in clients:
            await client.ask()
        for _ in clients:
            await (await play.h2_upstream.h2_asked()).reply()
        for client in clients:
            assert (await client.reply()).status == 200
        for connection in play.h2_upstream.h2_connections:
            assert connection.h2.open_inbound_streams <= 2


class Wire:
    """A channel and a pool in one, for what is hard to bring about with sockets."""

    def __init__(self) -> None:
        self.written = b""
        self.closed = False

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    finish = close

    class origin:  # noqa: N801
        scheme = "http"

    def gone(self, _: object) -> None:
        """Nothing to keep."""

    full = gone

    def admit(self) -> None:
        """Nobody waits."""


class Sink:
    """Counts what it hears."""

    def __init__(self) -> None:
        self.heard = 0
        self.over = False

    def sent(self, address: str, *, reused: bool) -> None:
        """On its way."""

    def reply(self, head: ReplyHead | None, data: bytes, end: bool) -> None:
        self.heard += len(data)
        self.over = end

    def failed(self, error: UpstreamError) -> None:
        raise error


async def test_any_number_of_slow_clients_leaves_the_connections_window_open() -> None:
    wire = Wire()
    upstream = http2.Http2Upstream(wire, wire, "a")  # type: ignore[arg-type]
    server = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
    server.initiate_connection()
    upstream.open()

    def exchange() -> None:
        written, wire.written = wire.written, b""
        server.receive_data(written)
        data = server.data_to_send()
        if data:
            upstream.received(data)

    exchange()
    exchange()
    slow: list[tuple[Call, Sink]] = []
    for number in range(1, 61, 2):
        sink = Sink()
        call = Call(CallHead.of(b"/", b"a", []), "", b"", sink)
        assert upstream.begin(call)
        upstream.pause(call)
        exchange()
        server.send_headers(number, [(":status", "200")])
        while room := min(server.local_flow_control_window(number), 16_384):
            server.send_data(number, b"x" * room)
        exchange()
        exchange()
        assert sink.heard == http2.WINDOW
        slow.append((call, sink))
    assert server.outbound_flow_control_window > http2.WINDOW
    for number, (call, sink) in enumerate(slow):
        upstream.resume(call)
        exchange()
        assert server.local_flow_control_window(2 * number + 1) == http2.WINDOW
        server.end_stream(2 * number + 1)
        exchange()
        exchange()
        assert sink.over


# TLS.


async def test_alpn_agrees_on_http2() -> None:
    upstream = H2Upstream(server_tls("localhost", "h2", "http/1.1"))
    async with playing(upstream, upstream={**TWO, "ca": ca_file()}) as play:
        client = await play.client()
        await client.ask()
        asked = await upstream.h2_asked()
        assert (b":scheme", b"https") in asked.headers
        await asked.reply({"secure": True})
        assert (await client.reply()).json == {"secure": True}


@pytest.mark.parametrize("protocols", [("http/1.1",), ()])
async def test_alpn_falls_back_to_http11(protocols: tuple[str, ...]) -> None:
    upstream = Upstream(server_tls("localhost", *protocols))
    async with playing(upstream, upstream={**TWO, "ca": ca_file()}) as play:
        clients = [await play.client() for _ in range(3)]
        for client in clients:
            await client.ask()
        asked = [await upstream.asked() for _ in clients]  # none of them waits for another's reply
        for one in asked:
            await one.reply({"fine": True})
        for client in clients:
            assert (await client.reply()).json == {"fine": True}


@pytest.mark.parametrize(
    ("name", "trusted", "reason"),
    [("localhost", False, "not trusted"), ("other.test", True, "hostname mismatch")],
)
async def test_an_upstream_that_cannot_be_trusted(name: str, trusted: bool, reason: str) -> None:
    upstream = H2Upstream(server_tls(name, "h2"))
    async with playing(upstream, upstream={**TWO, **({"ca": ca_file()} if trusted else {})}) as play:
        clients = [await play.client() for _ in range(2)]
        for client in clients:
            await client.ask()
        for client in clients:
            answer = await client.reply()
            assert (answer.status, answer.code) == (502, "upstream_refused")
            assert reason in answer.message.lower()


async def test_an_upstream_that_refuses_fails_all_that_wait() -> None:
    async with playing(H2Upstream(), upstream=TWO) as play:
        play.upstream.close()
        clients = [await play.client() for _ in range(3)]
        for client in clients:
            await client.ask()
        for client in clients:
            assert (await client.reply()).status == 502

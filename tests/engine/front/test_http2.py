"""The HTTP/2 front: streams, windows, resets, limits, and what is not HTTP/2."""

from __future__ import annotations

from contextlib import suppress

import h2.errors
import h2.exceptions
import h2.settings
import hpack
import pytest
import trio
import trio.testing
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    HeadersFrame,
    PingFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from archflow_engine.front import http2 as front
from archflow_engine.front import serve
from archflow_engine.front.http2 import Http2, Http2Stream
from archflow_schema.graph import Limits
from peers import CHAT, connect, reply, reset
from peers_h2 import H2Client, H2Reply
from playbook import Play, certificate, client_tls, playing

pytestmark = pytest.mark.trio
EVENT = b'data: {"id":"1"}\n\n'
LARGE = 4 << 20
CODES = h2.errors.ErrorCodes


async def test_prior_knowledge() -> None:
    async with playing() as play:
        client = await play.h2()
        asking = await client.ask({"model": "m"}, headers=[(b"x-custom", b"a"), (b"user-agent", b"me")])
        asked = await play.upstream.asked()
        assert (asked.header("x-custom"), asked.json["model"]) == ("a", "m-upstream")
        await asked.reply({"id": "1"})
        answer = await client.whole(asking)
        assert (answer.status, answer.json, answer.over) == (200, {"id": "1"}, True)
        assert answer.header("content-length") == str(len(answer.body))
        record = await play.record()
        assert (record.protocol, record.authority, record.user_agent) == ("HTTP/2", "gateway.test", "me")


async def test_the_preface_may_come_byte_by_byte() -> None:
    async with playing() as play:
        client = H2Client(await connect(play.address()), play.nursery)
        client.h2.initiate_connection()
        for byte in client.h2.data_to_send():
            await client.raw(bytes([byte]))
        play.nursery.start_soon(client.read)
        assert (await client.talks(method=b"GET", path=b"/healthz")).status == 200
        await client.leave()


@pytest.mark.parametrize("protocols", [("h2",), ("h2", "http/1.1"), ("http/1.1",), ()])
async def test_alpn(protocols: tuple[str, ...]) -> None:
    async with playing(tls=certificate()) as play:
        play.upstream.script = lambda _: reply()
        if "h2" in protocols:
            client = await play.h2(tls=client_tls(*protocols))
            assert isinstance(client.stream, trio.SSLStream)
            assert client.stream.selected_alpn_protocol() == "h2"
            assert (await client.talks()).status == 200
        else:
            plain = await play.client(tls=client_tls(*protocols))
            assert isinstance(plain.stream, trio.SSLStream)
            assert plain.stream.selected_alpn_protocol() == (protocols[0] if protocols else None)
            assert (await plain.talks()).status == 200


async def test_many_streams_at_once_in_any_order() -> None:
    async with playing() as play:
        client = await play.h2()
        asking = [await client.ask({"model": "m", "number": number}) for number in range(50)]
        asked = [await play.upstream.asked() for _ in asking]
        for one in reversed(asked):
            await one.reply({"number": one.json["number"]})
        for number, answer in enumerate(asking):
            assert (await client.whole(answer)).json == {"number": number}


async def test_a_stream_is_relayed_as_it_comes() -> None:
    async with playing() as play:
        client = await play.h2()
        asking = await client.ask({"model": "m", "stream": True})
        asked = await play.upstream.asked()
        await asked.stream(EVENT)
        await client.reads(asking, EVENT)
        assert asking.header("content-type") == "text/event-stream"
        assert asking.header("transfer-encoding") is None
        for number in range(10):
            event = b"data: %d\n\n" % number
            await asked.more(event)
            await client.reads(asking, event)
        assert not asking.over
        await asked.end()
        assert (await client.whole(asking)).over


@pytest.mark.parametrize(("method", "path", "status"), [
    (b"GET", b"/v1/models", 200), (b"HEAD", b"/v1/models", 200), (b"OPTIONS", b"/v1/models", 204),
    (b"GET", b"/nowhere", 404), (b"GET", CHAT.encode(), 405),
])  # fmt: skip
async def test_what_no_node_serves(method: bytes, path: bytes, status: int) -> None:
    async with playing() as play:
        client = await play.h2()
        answer = await client.talks(method=method, path=path)
        assert (answer.status, answer.over) == (status, True)
        assert bool(answer.body) == (method == b"GET")


async def test_connect_is_refused() -> None:
    async with playing() as play:
        client = await play.h2()
        number = client.h2.get_next_available_stream_id()
        answer = client.replies[number] = H2Reply(number=number)
        client.h2.send_headers(number, [(b":method", b"CONNECT"), (b":authority", b"x:1")], end_stream=True)
        await client.flush()
        await client.whole(answer)
        assert answer.status == 404 or answer.reset is not None or client.gone


async def test_trailers_of_a_request_are_ignored() -> None:
    async with playing() as play:
        play.upstream.script = lambda asked: reply(asked.body)
        client = await play.h2()
        asking = await client.ask({"model": "m"}, end=False)
        client.h2.send_headers(asking.number, [(b"x-trailer", b"1")], end_stream=True)
        await client.flush()
        assert (await client.whole(asking)).json == {"model": "m-upstream"}


async def test_a_reply_without_a_body() -> None:
    async with playing() as play:
        play.upstream.script = lambda _: b"HTTP/1.1 204 X\r\n\r\n"
        answer = await (await play.h2()).talks()
        assert (answer.status, answer.body, answer.over) == (204, b"", True)


# Windows.


async def test_a_tiny_window_of_the_client() -> None:
    async with playing() as play:
        client = await play.h2(initial_window_size=10)
        play.upstream.script = lambda _: reply(b"x" * 1000)
        answers = [await client.ask() for _ in range(3)]
        for answer in answers:
            assert (await client.whole(answer)).body == b"x" * 1000
            assert max(len(part) for part in answer.parts) <= 10


async def test_a_window_that_stays_shut_stops_the_upstream_of_its_stream_only() -> None:
    async with playing() as play:
        client = await play.h2(initial_window_size=1000)
        client.acknowledge = False
        shut = await client.ask()
        asked = await play.upstream.asked()
        play.nursery.start_soon(asked.reply, b"x" * LARGE)
        await play.settled(lambda: any(one.paused for one in play.gateway.hub._channels.values()))
        assert len(shut.body) == 1000
        other = await client.ask()
        await (await play.upstream.asked()).reply(b"y" * 1000)
        assert (await client.whole(other)).body == b"y" * 1000
        client.acknowledge = True
        client.h2.increment_flow_control_window(LARGE, shut.number)
        client.h2.increment_flow_control_window(LARGE)
        await client.flush()
        assert len((await client.whole(shut)).body) == LARGE


async def test_a_window_that_is_widened_by_settings() -> None:
    async with playing() as play:
        client = await play.h2(initial_window_size=0)
        play.upstream.script = lambda _: reply(b"x" * 1000)
        asking = await client.ask()
        await client.begins(asking)
        assert asking.body == b""
        client.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 5000})
        await client.flush()
        assert (await client.whole(asking)).body == b"x" * 1000


@pytest.mark.parametrize("what", ["windows", "settings"])
async def test_what_one_read_says_of_all_streams_is_looked_at_once(
    what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0
    drained = Http2Stream.drained

    def counted(stream: Http2Stream) -> None:
        nonlocal looks
        looks += 1
        drained(stream)

    async with playing() as play:
        client = await play.h2(initial_window_size=0)
        play.upstream.script = lambda _: reply(b"x" * 1000)
        answers = [await client.ask() for _ in range(20)]
        for answer in answers:
            await client.begins(answer)
        monkeypatch.setattr(Http2Stream, "drained", counted)
        window, settings = WindowUpdateFrame(0, window_increment=1), SettingsFrame(0)
        await client.raw({"windows": window, "settings": settings}[what].serialize() * 1000)
        assert (await client.talks(method=b"GET", path=b"/healthz")).status == 200
        assert looks < 20 * 100
        client.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 5000})
        await client.flush()
        for answer in answers:
            assert (await client.whole(answer)).body == b"x" * 1000


async def test_a_large_request_flows_in() -> None:
    async with playing() as play:
        play.upstream.script = lambda asked: reply({"length": len(asked.body)})
        client = await play.h2()
        body = b'{"model":"m","x":"' + b"y" * LARGE + b'"}'
        assert (await client.talks(body)).json == {"length": len(body) + len("-upstream")}


async def test_a_client_that_never_takes_its_reply_is_let_go() -> None:
    async with playing(limits=Limits(receive=0.1, idle=0.1)) as play:
        client = await play.h2(initial_window_size=10)
        client.acknowledge = False
        play.upstream.script = lambda _: reply(b"x" * 1000)
        asking = await client.ask()
        await client.whole(asking)
        assert (asking.status, asking.body, asking.reset) == (200, b"x" * 10, CODES.CANCEL)
        assert [record.status for record in play.records] == [200]
        await client.closed()  # and then the connection is idle


# Leaving.


async def test_a_reset_cancels_its_upstream_and_nobody_elses() -> None:
    async with playing() as play:
        client = await play.h2()
        first, second = await client.ask(), await client.ask()
        asked = [await play.upstream.asked(), await play.upstream.asked()]
        await client.reset(first)
        await asked[0].connection.left()
        record = await play.record()
        assert (record.status, record.error) == (499, "client_gone")
        await asked[1].reply({"fine": True})
        assert (await client.whole(second)).json == {"fine": True}


async def test_a_reset_in_mid_stream() -> None:
    async with playing() as play:
        client = await play.h2()
        asking = await client.ask({"model": "m", "stream": True})
        asked = await play.upstream.asked()
        await asked.stream(EVENT)
        await client.reads(asking, EVENT)
        await client.reset(asking)
        await asked.connection.left()
        assert (await play.record()).error == "client_gone"
        assert (await client.talks(method=b"GET", path=b"/healthz")).status == 200


async def test_a_reset_in_mid_request_leaves_the_connection_as_it_was() -> None:
    async with playing(limits=Limits(idle=0.2, receive=5)) as play:
        client = await play.h2()
        asking = await client.ask(b'{"mod', end=False)
        await client.reset(asking)
        assert (await client.talks(method=b"GET", path=b"/healthz")).status == 200
        again = await client.ask(b'{"mod', end=False)
        await client.reset(again)
        await client.closed()  # idle: nothing waits for the half request any more
        assert len(play.records) == 1


@pytest.mark.parametrize("kindly", [True, False], ids=["close", "reset"])
async def test_a_connection_that_ends_cancels_every_upstream(kindly: bool) -> None:
    async with playing() as play:
        client = await play.h2()
        for _ in range(5):
            await client.ask()
        asked = [await play.upstream.asked() for _ in range(5)]
        if kindly:
            await client.leave()
        else:
            reset(client.stream)
        for one in asked:
            await one.connection.left()
        assert [(await play.record()).error for _ in asked] == ["client_gone"] * 5


async def test_a_client_that_goes_away_gets_what_it_asked_for() -> None:
    async with playing() as play:
        client = await play.h2()
        asking = await client.ask()
        asked = await play.upstream.asked()
        await client.raw(b"\0\0\x08\x07\0\0\0\0\0" + b"\0" * 8)  # GOAWAY, last stream 0, no error
        await asked.reply({"fine": True})
        assert (await client.whole(asking)).json == {"fine": True}
        await client.closed()


async def test_draining_says_goodbye_and_finishes_its_streams() -> None:
    async with playing() as play:
        client, idle = await play.h2(), await play.h2()
        assert (await idle.talks(method=b"GET", path=b"/healthz")).status == 200
        asking = await client.ask({"model": "m", "stream": True})
        asked = await play.upstream.asked()
        await asked.stream(EVENT)
        await client.reads(asking, EVENT)
        play.nursery.start_soon(play.gateway.drain, 5)
        await idle.closed()
        assert idle.going_away is not None
        await client.notice.until(lambda: client.going_away)
        assert client.going_away is not None
        assert (client.going_away.last_stream_id, client.going_away.error_code) == (asking.number, 0)
        await asked.more(EVENT)
        await client.reads(asking, EVENT + EVENT)
        await asked.end()
        assert (await client.whole(asking)).over
        await client.closed()


async def test_streams_after_the_goodbye_are_refused() -> None:
    async with playing() as play:
        client = await play.h2()
        asking = await client.ask()
        asked = await play.upstream.asked()
        # A request that is on its way while the goodbye is on its own.
        number = client.h2.get_next_available_stream_id()
        head = [
            (b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"a"), (b":path", b"/healthz"),
        ]  # fmt: skip
        client.h2.send_headers(number, head, end_stream=True)
        late = client.h2.data_to_send()
        play.nursery.start_soon(play.gateway.drain, 5)
        await client.notice.until(lambda: client.going_away)
        refused = client.replies[number] = H2Reply(number=number)
        await client.raw(late)
        await client.notice.until(lambda: client.gone or refused.reset is not None)
        await asked.reply({"fine": True})
        await client.whole(asking)
        assert refused.status == 0


async def test_rapid_resets_are_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "RESETS", 20)
    async with playing() as play:
        client = await play.h2()
        with suppress(trio.BrokenResourceError, h2.exceptions.ProtocolError):
            for _ in range(200):
                await client.reset(await client.ask())
        await client.closed()
        assert client.going_away is not None
        assert client.going_away.error_code == CODES.ENHANCE_YOUR_CALM


def _lists(first: int, encoder: hpack.Encoder) -> bytes:
    """A hundred requests for the list of models, by a client whose windows are open wide."""
    head = dict([*HEAD, (b":method", b"GET"), (b":path", b"/v1/models")]).items()
    return b"".join(
        HeadersFrame(number, data=encoder.encode(head), flags=["END_HEADERS", "END_STREAM"]).serialize()
        for number in range(first, first + 200, 2)
    )


@pytest.mark.parametrize("what", ["pings", "settings", "requests"])
async def test_a_client_that_reads_nothing_is_no_longer_read(
    what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "FULL", 50_000)
    async with playing() as play:
        client = await play.client(buffer=4096)
        await client.send(
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
            + SettingsFrame(0, settings={4: 2**31 - 1}).serialize()
            + WindowUpdateFrame(0, window_increment=2**30).serialize()
        )
        encoder = hpack.Encoder()
        first = 1
        with trio.move_on_after(0.5) as scope:
            while True:
                flood = {
                    "pings": PingFrame(0, b"12345678").serialize() * 1000,
                    "settings": SettingsFrame(0).serialize() * 1000,
                    "requests": _lists(first, encoder),
                }
                await client.stream.send_all(flood[what])
                first += 200
        assert scope.cancelled_caught
        (connection,) = play.gateway._fronts["127.0.0.1", 0]._connections
        assert isinstance(connection, Http2)
        assert connection._channel.unsent < 300_000  # what one read more may bring
        client.reset()
        await play.settled(lambda: not play.gateway._fronts["127.0.0.1", 0].connections)


async def test_an_idle_connection_is_closed() -> None:
    async with playing(limits=Limits(idle=0.1)) as play:
        client = await play.h2()
        assert (await client.talks(method=b"GET", path=b"/healthz")).status == 200
        await client.closed()
        assert client.going_away is not None
        assert client.going_away.error_code == 0


# Limits.


async def refused(play: Play, status: int, code: str, **request: object) -> None:
    """Ask for what is refused; the connection lives on."""
    client = await play.h2()
    answer = await client.talks(**request)  # type: ignore[arg-type]
    assert (answer.status, answer.code) == (status, code)
    record = await play.record()
    assert (record.status, record.error) == (status, code)
    assert (await client.talks(method=b"GET", path=b"/healthz")).status == 200


async def test_a_head_that_is_too_large() -> None:
    async with playing(limits=Limits(head=1000)) as play:
        await refused(play, 431, "headers_too_large", headers=[(b"x", b"y" * 1000)])


async def test_a_path_that_is_too_large() -> None:
    async with playing(limits=Limits(head=1000)) as play:
        await refused(play, 431, "headers_too_large", path=CHAT.encode() + b"?" + b"y" * 1000)


async def test_too_many_headers() -> None:
    async with playing(limits=Limits(headers=20)) as play:
        await refused(play, 431, "too_many_headers", headers=[(b"x-%d" % n, b"1") for n in range(20)])


async def test_a_body_that_is_too_large() -> None:
    async with playing(limits=Limits(body=1000)) as play:
        await refused(play, 413, "body_too_large", body=b"x" * 1001)


async def test_a_body_that_says_it_is_too_large() -> None:
    async with playing(limits=Limits(body=1000)) as play:
        client = await play.h2()
        asking = await client.ask(b"", headers=[(b"content-length", b"1001")], end=False)
        answer = await client.whole(asking)
        assert (answer.status, answer.code) == (413, "body_too_large")
        assert answer.reset in {None, CODES.NO_ERROR}


async def test_a_body_that_goes_on_after_it_was_refused() -> None:
    async with playing(limits=Limits(body=1000)) as play:
        client = await play.h2()
        asking = await client.ask(b"x" * 1001, end=False)
        assert (await client.whole(asking)).status == 413
        await client.raw(DataFrame(asking.number, data=b"x" * 100).serialize())
        assert (await client.talks(method=b"GET", path=b"/healthz")).status == 200


async def test_a_body_in_tiny_frames_is_kept_in_one_piece() -> None:
    async with playing() as play:
        client = await play.h2()
        body = b'{"model":"m","x":"' + b"y" * 5000 + b'"}'
        asking = await client.ask(b"", end=False)
        frames = b"".join(
            DataFrame(asking.number, data=body[at : at + 1]).serialize() for at in range(len(body))
        )
        await client.raw(frames)

        def streams() -> list[front.Http2Stream]:
            connections = play.gateway._fronts["127.0.0.1", 0]._connections
            return [stream for one in connections for stream in getattr(one, "_streams", {}).values()]

        await play.settled(lambda: [stream._size for stream in streams()] == [len(body)])
        assert [stream._body for stream in streams()] == [body]
        await client.raw(DataFrame(asking.number, flags=["END_STREAM"]).serialize())
        await (await play.upstream.asked()).reply()
        assert (await client.whole(asking)).status == 200


async def test_a_sender_that_is_too_slow() -> None:
    async with playing(limits=Limits(receive=0.1)) as play:
        client = await play.h2()
        asking = await client.ask(b'{"model', end=False)
        other = await client.ask({"model": "m"})
        answer = await client.whole(asking)
        assert (answer.status, answer.code) == (408, "request_timeout")
        assert "`limits.receive`" in answer.message
        await (await play.upstream.asked()).reply({"fine": True})
        assert (await client.whole(other)).json == {"fine": True}


async def test_a_client_that_asks_nothing_is_sent_away() -> None:
    async with playing(limits=Limits(receive=0.1)) as play:
        client = await play.h2()
        await client.closed()
        assert client.going_away is not None
        assert play.records == []


async def test_a_slow_reply_is_not_a_slow_request() -> None:
    async with playing(limits=Limits(receive=0.1, idle=0.1)) as play:
        client = await play.h2()
        asking = await client.ask()
        asked = await play.upstream.asked()
        await trio.sleep(0.3)  # longer than both limits
        await asked.reply({"late": True})
        assert (await client.whole(asking)).json == {"late": True}


# What is not HTTP/2, or not a request.

HEAD = [(b":method", b"POST"), (b":scheme", b"http"), (b":authority", b"a"), (b":path", CHAT.encode())]
BAD_HEADS = {
    "no path": HEAD[:3],
    "an upper-case name": [*HEAD, (b"X-A", b"b")],
    "a connection header": [*HEAD, (b"connection", b"close")],
    "a transfer coding": [*HEAD, (b"transfer-encoding", b"chunked")],
    "a line break in a value": [*HEAD, (b"x-a", b"b\r\nx-injected: 1")],
    "a NUL in a value": [*HEAD, (b"x-a", b"b\0c")],
    "a line break in a name": [*HEAD, (b"x-a\r\nx-injected", b"1")],
    "a colon in a name": [*HEAD, (b"x-a: b\r\nx", b"1")],
    "a space in a name": [*HEAD, (b"x a", b"1")],
    "an empty name": [*HEAD, (b"", b"1")],
    "a line break in the path": [*HEAD[:3], (b":path", CHAT.encode() + b"?x HTTP/1.1\r\nx-injected: 1")],
    "a space in the path": [*HEAD[:3], (b":path", CHAT.encode() + b"?x HTTP/1.1")],
    "two paths": [*HEAD, (b":path", b"/other")],
    "an unknown pseudo-header": [*HEAD, (b":x", b"1")],
    "a pseudo-header behind a header": [HEAD[0], HEAD[1], HEAD[2], (b"x", b"1"), HEAD[3]],
    "two lengths": [*HEAD, (b"content-length", b"2"), (b"content-length", b"3")],
    "a length that is none": [*HEAD, (b"content-length", b"two")],
    "a length of another body": [*HEAD, (b"content-length", b"100")],
}


@pytest.mark.parametrize("name", BAD_HEADS)
async def test_a_head_that_could_be_read_in_two_ways_goes_nowhere(name: str) -> None:
    async with playing() as play:
        client = await play.h2()
        number = client.h2.get_next_available_stream_id()
        answer = client.replies[number] = H2Reply(number=number)
        block = client.h2.encoder.encode(BAD_HEADS[name])
        await client.raw(
            HeadersFrame(number, data=block, flags=["END_HEADERS"]).serialize()
            + DataFrame(number, data=b'{"model":"m"}', flags=["END_STREAM"]).serialize()
        )
        await client.whole(answer)
        assert answer.status == 400 or answer.reset or client.gone
        assert play.upstream.connections == []


def _frame(frame: Frame) -> bytes:
    return frame.serialize()


BAD_FRAMES = {
    "data on an idle stream": _frame(DataFrame(99, data=b"x")),
    "data on stream 0": b"\0\0\1\0\0\0\0\0\0x",
    "headers on an even stream": _frame(HeadersFrame(2, data=b"\x82", flags=["END_HEADERS"])),
    "a continuation of nothing": _frame(ContinuationFrame(1, data=b"\x82", flags=["END_HEADERS"])),
    "a window that overflows": _frame(WindowUpdateFrame(0, window_increment=2**31 - 1)) * 2,
    "a window of nothing": b"\0\0\4\x08\0\0\0\0\0\0\0\0\0",
    "a short ping": b"\0\0\3\x06\0\0\0\0\0abc",
    "a frame that is too long": b"\xff\xff\xff\0\0\0\0\0\1" + b"x" * 100,
    "headers that are no HPACK": _frame(
        HeadersFrame(1, data=b"\xff\xff\xff\xff\xff\xff", flags=["END_HEADERS"])
    ),
    "settings of a bad length": b"\0\0\5\x04\0\0\0\0\0abcde",
    "an impossible setting": b"\0\0\6\x04\0\0\0\0\0\0\5\0\0\0\0",
    "priority of itself": b"\0\0\5\x02\0\0\0\0\1\0\0\0\1\0",
    "nonsense": b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 10,
}


@pytest.mark.parametrize("name", BAD_FRAMES)
@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
async def test_malformed_frames_end_the_connection_with_a_reason(name: str, busy: bool) -> None:
    async with playing() as play:
        client = await play.h2()
        assert (await client.talks(method=b"GET", path=b"/nowhere")).status == 404
        if busy:
            await client.ask()
            asked = await play.upstream.asked()
        await client.raw(BAD_FRAMES[name])
        await client.closed()
        assert client.going_away is not None
        assert client.going_away.error_code != 0
        if busy:
            await asked.connection.left()


async def test_pings_are_answered_and_unknown_frames_ignored() -> None:
    async with playing() as play:
        client = await play.h2()
        await client.raw(b"\0\0\3\x77\0\0\0\0\0abc" + PingFrame(0, b"12345678").serialize())
        assert (await client.talks(method=b"GET", path=b"/healthz")).status == 200


async def test_an_upstream_that_dies_in_mid_body_resets_the_stream() -> None:
    async with playing() as play:
        client = await play.h2()
        asking = await client.ask()
        asked = await play.upstream.asked()
        await asked.connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhello")
        await client.reads(asking, b"hello")
        await asked.connection.close()
        await client.whole(asking)
        assert (asking.over, asking.reset) == (False, CODES.INTERNAL_ERROR)
        assert (await client.talks(method=b"GET", path=b"/healthz")).status == 200


async def test_an_upstream_that_dies_in_mid_stream_ends_it_with_an_error_event() -> None:
    async with playing() as play:
        client = await play.h2()
        asking = await client.ask({"model": "m", "stream": True})
        asked = await play.upstream.asked()
        await asked.stream(EVENT)
        await client.reads(asking, EVENT)
        await asked.connection.close()
        await client.whole(asking)
        assert asking.over
        assert b'"code":"upstream_failed"' in asking.body


async def test_errors_speak_the_clients_dialect() -> None:
    async with playing() as play:
        client = await play.h2()
        answer = await client.talks({"model": "nobody"}, path=b"/v1/messages")
        assert (answer.status, answer.json["type"]) == (404, "error")


async def test_nothing_is_left_of_a_client_that_says_only_the_preface() -> None:
    async with playing(limits=Limits(idle=0.1)) as play:
        client = await play.h2()
        await client.closed()
        await trio.testing.wait_all_tasks_blocked()
        assert play.records == []

"""What goes wrong between a client and its upstream: who leaves, is slow, dies, and what the other side sees."""

from __future__ import annotations

import socket

import pytest
import trio
import trio.testing

from archflow_plugins import ALLOW, Verdict
from archflow_schema.conversation import Conversation
from archflow_schema.graph import Use
from peers import STREAM, Asked, Client, Reply, Upstream, chunk, reply, unreachable
from playbook import QUOTAS, RED, WORDS, Play, ca_file, certificate, client_tls, playing, server_tls

pytestmark = pytest.mark.trio
LARGE = 8 << 20
EVENT = b'data: {"id":"1"}\n\n'


async def streaming(play: Play, client: Client, **upstream: object) -> tuple[Asked, Reply]:
    """A stream that has begun: the client has its first event."""
    await client.ask({"model": "m", "stream": True})
    asked = await play.upstream.asked()
    await asked.stream(EVENT)
    answer = await client.begins()
    await client.reads(EVENT)
    return asked, answer


# The client leaves.


@pytest.mark.parametrize("kindly", [True, False], ids=["close", "reset"])
async def test_a_client_that_leaves_before_the_reply(kindly: bool) -> None:
    async with playing() as play:
        for _ in range(3):
            client = await play.client()
            await client.ask()
            asked = await play.upstream.asked()
            if kindly:
                await client.leave()
            else:
                client.reset()
            await asked.connection.left()
            record = await play.record()
            assert (record.status, record.error) == (499, "client_gone")
            assert record.attempts[0].outcome == "cancelled"


@pytest.mark.parametrize("kindly", [True, False], ids=["close", "reset"])
async def test_a_client_that_leaves_in_mid_stream(kindly: bool) -> None:
    async with playing() as play:
        client = await play.client()
        asked, _ = await streaming(play, client)
        if kindly:
            await client.leave()
        else:
            client.reset()
        await asked.connection.left()
        record = await play.record()
        assert (record.status, record.error) == (200, "client_gone")
        assert record.attempts[0].outcome == "streaming"
        assert 'archflow_errors_total{listener="egress-127.0.0.1",error="client_gone"} 1' in play.metrics


async def test_a_client_that_leaves_while_its_upstream_is_dialled() -> None:
    with unreachable() as port:
        async with playing(urls=[f"http://127.0.0.1:{port}"]) as play:
            client = await play.client()
            await client.ask()
            await play.settled(lambda: play.plan.pools[0]._dials)
            await client.leave()
            record = await play.record()
            assert (record.status, record.error) == (499, "client_gone")
            assert not play.plan.pools[0]._dials


async def test_a_client_that_leaves_while_a_name_is_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, answer = trio.Event(), trio.Event()

    async def slow(*_: object, **__: object) -> list[object]:
        asked.set()
        await answer.wait()
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 9))]

    async with playing(urls=["http://upstream.test:80"]) as play:
        monkeypatch.setattr(trio.socket, "getaddrinfo", slow)
        client = await play.client()
        await client.ask()
        await asked.wait()
        await client.leave()
        assert (await play.record()).error == "client_gone"
        answer.set()
        await trio.testing.wait_all_tasks_blocked()
        assert not play.plan.pools[0]._dials


async def test_a_waiting_guard_is_cancelled_when_its_client_leaves() -> None:
    cancelled, judging = trio.Event(), trio.Event()

    async def judge(_: Conversation) -> Verdict:
        judging.set()
        try:
            await trio.sleep_forever()
        finally:
            cancelled.set()
        raise AssertionError("it was cancelled")

    async with playing(guards=(Use("guard.play_waiting"),)) as play:
        play.scene.judge_waiting = judge
        client = await play.client()
        await client.ask(WORDS)
        await judging.wait()
        await client.leave()
        with trio.fail_after(5):
            await cancelled.wait()
        assert (await play.record()).error == "client_gone"
        assert play.upstream.connections == []


async def test_a_guard_that_will_not_be_cancelled_sends_nothing_upstream() -> None:
    judging, judged = trio.Event(), trio.Event()

    async def judge(conversation: Conversation) -> Verdict:
        judging.set()
        with trio.CancelScope(shield=True):
            await judged.wait()
        return ALLOW

    async with playing(guards=(Use("guard.play_waiting"),)) as play:
        play.scene.judge_waiting = judge
        client = await play.client()
        await client.ask(WORDS)
        await judging.wait()
        await client.leave()
        assert (await play.record()).error == "client_gone"
        judged.set()
        await trio.testing.wait_all_tasks_blocked()
        assert play.upstream.connections == []
        assert len(play.records) == 1


async def test_what_a_client_that_left_was_charged_stays_charged() -> None:
    async with playing(quotas=QUOTAS) as play:
        client = await play.client()
        words = {"model": "m", "messages": [{"role": "user", "content": "x" * 320}]}
        await client.ask(words, headers=RED)
        asked = await play.upstream.asked()
        await client.leave()
        await asked.connection.left()
        again = await play.client()
        assert (await again.talks(words, headers=RED)).status == 429


# Somebody is slow.


async def test_a_slow_client_stops_its_upstream_and_gets_everything() -> None:
    async with playing() as play:
        client = await play.client(buffer=4096)
        await client.ask()
        asked = await play.upstream.asked()
        sent = 0

        async def pour() -> None:
            nonlocal sent
            await asked.connection.stream.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % LARGE)
            for _ in range(LARGE // 65_536):
                await asked.connection.stream.send_all(b"x" * 65_536)
                sent += 65_536

        play.nursery.start_soon(pour)
        await play.settled(lambda: any(one.paused for one in play.gateway.hub._channels.values()))
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert sent < LARGE - (1 << 20)
        assert max(one.unsent for one in play.gateway.hub._channels.values()) < 512 << 10
        answer = await client.reply()
        assert (len(answer.body), answer.cut) == (LARGE, False)
        assert (await play.record()).bytes_sent == LARGE


async def test_a_slow_client_is_not_a_silent_upstream() -> None:
    async with playing(upstream={"between_chunks": 0.1}) as play:
        client = await play.client(buffer=4096)
        await client.ask()
        asked = await play.upstream.asked()
        play.nursery.start_soon(asked.reply, b"x" * LARGE)
        answer = await client.begins()
        await play.settled(lambda: any(one.paused for one in play.gateway.hub._channels.values()))
        await trio.sleep(0.3)  # longer than the upstream may be silent
        assert (len((await client.rest(answer)).body), answer.cut) == (LARGE, False)
        assert (await play.record()).error == ""


async def test_a_stream_to_a_slow_client_is_complete() -> None:
    async with playing() as play:
        client = await play.client(buffer=4096)
        await client.ask({"model": "m", "stream": True})
        asked = await play.upstream.asked()
        events = [b'data: {"number":%d,"x":"%b"}\n\n' % (number, b"y" * 4000) for number in range(500)]

        async def pour() -> None:
            await asked.connection.stream.send_all(STREAM)
            for event in events:
                await asked.connection.stream.send_all(chunk(event))
            await asked.connection.stream.send_all(b"0\r\n\r\n")

        play.nursery.start_soon(pour)
        await play.settled(lambda: any(one.paused for one in play.gateway.hub._channels.values()))
        assert (await client.reply()).body == b"".join(events)


async def test_a_large_request_to_a_slow_upstream_arrives_whole() -> None:
    async with playing() as play:
        play.upstream.gate = trio.Event()
        client = await play.client()
        await client.send(b"")
        body = b'{"model":"m","x":"' + b"y" * LARGE + b'"}'
        await client.ask(body)
        await play.settled(lambda: any(one.unsent > 1 << 20 for one in play.gateway.hub._channels.values()))
        play.upstream.gate.set()
        asked = await play.upstream.asked()
        assert len(asked.body) == len(body) + len("-upstream")
        await asked.reply()
        assert (await client.reply()).status == 200
        assert (await play.record()).bytes_received == len(body)


async def test_a_reply_before_the_whole_request_was_sent() -> None:
    async with playing() as play:
        play.upstream.gate = trio.Event()
        client = await play.client()
        await client.ask(b'{"model":"m","x":"' + b"y" * LARGE + b'"}')
        connection = await play.upstream.connection()
        await connection.send(reply({"error": "too large"}, status=413))
        answer = await client.reply()
        assert (answer.status, answer.json) == (413, {"error": "too large"})
        play.upstream.gate.set()
        await connection.left()  # it cannot be used again, with half a request in it


async def test_the_last_bytes_reach_a_slow_client_though_its_connection_closes() -> None:
    async with playing() as play:
        play.upstream.script = lambda _: reply(b"x" * 200_000)
        client = await play.client(buffer=4096)
        await client.ask(headers=("Connection: close",))
        await play.record()
        assert (await client.reply()).body == b"x" * 200_000


# The upstream fails.


async def test_an_upstream_that_refuses() -> None:
    async with playing() as play:
        play.upstream.close()
        client = await play.client()
        answer = await client.talks()
        assert (answer.status, answer.code) == (502, "upstream_refused")
        assert "connection refused" in answer.message
        record = await play.record()
        assert (record.status, record.error) == (502, "upstream_refused")
        assert [attempt.outcome for attempt in record.attempts] == ["refused"]
        assert 'archflow_upstream_attempts_total{upstream="provider-0",outcome="refused"} 1' in play.metrics
        assert (await client.talks(method="GET", path="/healthz")).status == 200


async def test_an_upstream_that_dies_before_its_first_reply() -> None:
    async with playing() as play:
        client = await play.client()
        await client.ask()
        asked = await play.upstream.asked()
        await asked.connection.close()
        answer = await client.reply()
        assert (answer.status, answer.code) == (502, "upstream_failed")
        assert "closed the connection before it replied" in answer.message
        assert len(play.upstream.connections) == 1


@pytest.mark.parametrize("kindly", [True, False], ids=["close", "reset"])
async def test_a_request_on_a_connection_that_died_goes_out_once_more(kindly: bool) -> None:
    async with playing() as play:
        client = await play.client()
        await client.ask()
        await (await play.upstream.asked()).reply()
        await client.reply()
        await client.ask()
        asked = await play.upstream.asked()  # on the kept connection, which dies without a word
        if kindly:
            await asked.connection.close()
        else:
            asked.connection.reset()
        again = await play.upstream.asked()
        assert again.connection is not asked.connection
        assert again.body == asked.body
        await again.reply({"fresh": True})
        assert (await client.reply()).json == {"fresh": True}
        await play.record()
        record = await play.record()
        assert (record.status, len(record.attempts), record.attempts[0].reused) == (200, 1, False)


async def test_a_request_goes_out_again_only_once() -> None:
    async with playing() as play:
        client = await play.client()
        await client.ask()
        await (await play.upstream.asked()).reply()
        await client.reply()
        await client.ask()
        for _ in range(2):
            await (await play.upstream.asked()).connection.close()
        assert (await client.reply()).status == 502
        assert play.upstream.unanswered == 0


async def test_a_request_that_was_answered_in_part_is_not_sent_again() -> None:
    async with playing() as play:
        client = await play.client()
        await client.ask()
        await (await play.upstream.asked()).reply()
        await client.reply()
        await client.ask()
        asked = await play.upstream.asked()
        await asked.connection.send(b"HTTP/1.1 2")
        await asked.connection.close()
        assert (await client.reply()).status == 502
        assert play.upstream.unanswered == 0


async def test_connections_that_closed_while_idle_are_not_used() -> None:
    async with playing() as play:
        client = await play.client()
        for number in range(3):
            await client.ask()
            asked = await play.upstream.asked()
            await asked.reply({"number": number})
            assert (await client.reply()).json == {"number": number}
            await asked.connection.close()
            await play.settled(lambda: play.plan.pools[0].connections == (0, 0))
        assert len(play.upstream.connections) == 3


async def test_an_upstream_that_dies_in_mid_stream_ends_it_with_an_error_event() -> None:
    async with playing() as play:
        client = await play.client()
        asked, answer = await streaming(play, client)
        await asked.connection.close()
        await client.rest(answer)
        assert not answer.cut
        assert answer.body.startswith(b'data: {"error":{"message":"127.0.0.1:')
        assert b'"code":"upstream_failed"' in answer.body
        record = await play.record()
        assert (record.status, record.error) == (200, "upstream_failed")
        assert "in the middle of its reply" in record.detail
        assert record.attempts[0].outcome == "failed"
        assert (await client.talks(method="GET", path="/healthz")).status == 200


async def test_an_error_event_does_not_run_into_half_an_event() -> None:
    async with playing() as play:
        client = await play.client()
        asked, answer = await streaming(play, client)
        await asked.more(b'data: {"half')
        await client.reads(b'data: {"half')
        await asked.connection.close()
        assert (await client.rest(answer)).body.startswith(b'\n\ndata: {"error"')


async def test_a_stream_with_a_length_is_cut_not_lengthened() -> None:
    async with playing() as play:
        client = await play.client()
        await client.ask({"model": "m", "stream": True})
        asked = await play.upstream.asked()
        await asked.connection.send(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 10000\r\n\r\n" + EVENT
        )
        answer = await client.begins()
        await client.reads(EVENT)
        await asked.connection.close()
        assert ((await client.rest(answer)).body, answer.cut) == (b"", True)


@pytest.mark.parametrize("framing", [b"content-length: 100", b"transfer-encoding: chunked"])
async def test_a_reply_cut_short_is_never_made_to_look_whole(framing: bytes) -> None:
    async with playing() as play:
        client = await play.client()
        await client.ask()
        asked = await play.upstream.asked()
        await asked.connection.send(b"HTTP/1.1 200 OK\r\n%b\r\n\r\n" % framing + b"5\r\nhello\r\n")
        answer = await client.begins()
        assert await client.more()
        await asked.connection.close()
        await client.rest(answer)
        assert answer.cut
        assert (await play.record()).error == "upstream_failed"


async def test_a_reply_cut_short_is_not_made_whole_by_http_10() -> None:
    async with playing() as play:
        client = await play.client()
        await client.ask(version="1.0")
        asked = await play.upstream.asked()
        await asked.connection.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n")
        await client.begins()
        assert await client.more() == b"hello"
        await asked.connection.close()
        with pytest.raises(trio.BrokenResourceError):  # a reset, as there is no other way to tell
            await client.stream.receive_some()


GARBAGE = {
    "no HTTP": b"SSH-2.0-OpenSSH_9.7\r\n",
    "a bad status": b"HTTP/1.1 abc OK\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}",
    "length and chunks": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "a NUL": b"HTTP/1.1 200 OK\r\nx: a\0b\r\n\r\n",
    "another protocol": b"HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
    "an endless head": b"HTTP/1.1 200 OK\r\n" + b"x: %b\r\n" % (b"y" * 1000) * 400,
}


@pytest.mark.parametrize("name", GARBAGE)
async def test_an_unusable_reply_is_a_bad_gateway(name: str) -> None:
    async with playing() as play:
        client = await play.client()
        await client.ask()
        asked = await play.upstream.asked()
        play.nursery.start_soon(_send_anyway, asked, GARBAGE[name])
        answer = await client.reply()
        assert (answer.status, answer.code) == (502, "upstream_failed")
        assert "sent an unusable reply" in answer.message
        await asked.connection.left()
        assert play.plan.pools[0].connections == (0, 0)


async def _send_anyway(asked: Asked, data: bytes) -> None:
    try:
        await asked.connection.stream.send_all(data)
    except trio.BrokenResourceError:
        return


async def test_garbage_in_mid_body_cuts_the_reply() -> None:
    async with playing() as play:
        client = await play.client()
        await client.ask()
        asked = await play.upstream.asked()
        await asked.connection.send(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nnonsense\r\n"
        )
        answer = await client.reply()
        assert answer.cut or answer.status == 502
        await asked.connection.left()


async def test_more_than_the_reply_is_not_anybodys_reply() -> None:
    async with playing() as play:
        client = await play.client()
        await client.ask()
        asked = await play.upstream.asked()
        await asked.connection.send(reply({"mine": True}) + reply({"smuggled": True}))
        assert (await client.reply()).json == {"mine": True}
        await asked.connection.left()
        await client.ask()
        again = await play.upstream.asked()
        await again.reply({"mine": 2})
        assert (await client.reply()).json == {"mine": 2}


async def test_a_late_second_reply_is_not_anybodys_reply() -> None:
    async with playing() as play:
        client = await play.client()
        await client.ask()
        asked = await play.upstream.asked()
        await asked.reply({"mine": True})
        assert (await client.reply()).json == {"mine": True}
        await asked.reply({"smuggled": True})
        await asked.connection.left()
        await client.ask()
        await (await play.upstream.asked()).reply({"mine": 2})
        assert (await client.reply()).json == {"mine": 2}


# Timeouts.


async def test_a_connection_that_takes_too_long() -> None:
    with unreachable() as port:
        async with playing(urls=[f"http://127.0.0.1:{port}"], upstream={"connect": 0.1}) as play:
            client = await play.client()
            answer = await client.talks()
            assert (answer.status, answer.code) == (504, "upstream_timeout")
            assert "within 0.1 s" in answer.message
            assert (await play.record()).attempts[0].outcome == "timeout"


async def test_a_first_byte_that_takes_too_long() -> None:
    async with playing(upstream={"first_byte": 0.1}) as play:
        client = await play.client()
        answer = await client.talks()
        assert (answer.status, answer.code) == (504, "upstream_timeout")
        assert "sent nothing for 0.1 s" in answer.message
        await (await play.upstream.asked()).connection.left()
        assert (await client.talks(method="GET", path="/healthz")).status == 200


async def test_a_stream_that_falls_silent() -> None:
    async with playing(upstream={"between_chunks": 0.1}) as play:
        client = await play.client()
        asked, answer = await streaming(play, client)
        await client.rest(answer)
        assert not answer.cut
        assert b'"code":"upstream_timeout"' in answer.body
        assert b"silent for 0.1 s" in answer.body
        await asked.connection.left()
        record = await play.record()
        assert (record.status, record.error) == (200, "upstream_timeout")
        assert record.attempts[0].outcome == "timeout"


async def test_a_body_that_falls_silent() -> None:
    async with playing(upstream={"between_chunks": 0.1}) as play:
        client = await play.client()
        await client.ask()
        asked = await play.upstream.asked()
        await asked.connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhello")
        assert (await client.reply()).cut
        await asked.connection.left()


async def test_a_stream_that_keeps_talking_does_not_time_out() -> None:
    async with playing(upstream={"between_chunks": 0.25, "first_byte": 0.25}) as play:
        client = await play.client()
        asked, answer = await streaming(play, client)
        for _ in range(8):
            await trio.sleep(0.05)  # together longer than the longest silence
            await asked.more(EVENT)
        await asked.end()
        assert (await client.rest(answer)).body == EVENT * 8


@pytest.mark.parametrize("begun", [False, True], ids=["before", "within"])
async def test_a_request_that_takes_too_long_as_a_whole(begun: bool) -> None:
    async with playing(timeout=0.2) as play:
        client = await play.client()
        if begun:
            asked, answer = await streaming(play, client)
            await client.rest(answer)
            assert b"longer than the listener's timeout of 0.2 s" in answer.body
        else:
            answer = await client.talks()
            assert (answer.status, answer.code) == (504, "upstream_timeout")
            asked = await play.upstream.asked()
        await asked.connection.left()


async def test_a_guard_that_takes_too_long() -> None:
    async with playing(timeout=0.1, guards=(Use("guard.play_waiting"),)) as play:

        async def judge(_: Conversation) -> Verdict:
            await trio.sleep_forever()
            raise AssertionError("it was cancelled")

        play.scene.judge_waiting = judge
        answer = await (await play.client()).talks(WORDS)
        assert (answer.status, answer.code) == (504, "request_timeout")


# TLS.


async def test_a_large_exchange_over_tls_on_both_sides() -> None:
    upstream = Upstream(server_tls())
    async with playing(upstream, upstream={"ca": ca_file()}, tls=certificate()) as play:
        upstream.script = lambda asked: reply(asked.body)
        client = await play.client(tls=client_tls("http/1.1"))
        body = b'{"model":"m","x":"' + b"y" * LARGE + b'"}'
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.ask, body)
            answer = await client.reply()
        assert len(answer.body) == len(body) + len("-upstream")
        assert (await client.talks()).status == 200
        assert len(upstream.connections) == 1


async def test_a_slow_client_over_tls_stops_its_upstream() -> None:
    async with playing(tls=certificate()) as play:
        client = await play.client(tls=client_tls(), buffer=4096)
        await client.ask()
        asked = await play.upstream.asked()
        play.nursery.start_soon(asked.reply, b"x" * LARGE)
        await play.settled(lambda: any(one.paused for one in play.gateway.hub._channels.values()))
        assert max(one.unsent for one in play.gateway.hub._channels.values()) < 512 << 10
        assert len((await client.reply()).body) == LARGE


@pytest.mark.parametrize(
    ("name", "trusted", "reason"),
    [("localhost", False, "not trusted"), ("other.test", True, "not trusted: hostname mismatch")],
)
async def test_an_upstream_that_cannot_be_trusted(name: str, trusted: bool, reason: str) -> None:
    upstream = Upstream(server_tls(name))
    async with playing(upstream, upstream={"ca": ca_file()} if trusted else {}) as play:
        answer = await (await play.client()).talks()
        assert (answer.status, answer.code) == (502, "upstream_refused")
        assert reason in answer.message.lower()
        assert upstream.unanswered == 0


async def test_an_upstream_without_tls_where_tls_is_expected() -> None:
    async with playing() as play:
        await play.swap(urls=[f"https://localhost:{play.upstream.port}"])
        play.upstream.gate = trio.Event()
        client = await play.client()
        await client.ask()
        connection = await play.upstream.connection()
        await connection.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        answer = await client.reply()
        assert (answer.status, answer.code) == (502, "upstream_refused")
        assert "no TLS connection" in answer.message
        play.upstream.gate.set()


async def test_an_upstream_that_never_shakes_hands() -> None:
    async with playing(upstream={"connect": 0.1}) as play:
        play.upstream.gate = trio.Event()
        await play.swap(urls=[f"https://localhost:{play.upstream.port}"], upstream={"connect": 0.1})
        answer = await (await play.client()).talks()
        assert (answer.status, answer.code) == (504, "upstream_timeout")
        play.upstream.gate.set()

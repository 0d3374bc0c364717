"""A worker: swapping graphs while requests run, draining, and what stays behind."""

from __future__ import annotations

import re
import socket

import msgspec
import pytest
import trio
import trio.testing

from archflow_engine.gateway import Gateway
from archflow_schema.errors import ArchflowError
from archflow_schema.graph import Tls, Use
from peers import Upstream, reply, request
from playbook import WORDS, certificate, client_tls, folder, playing, program

pytestmark = pytest.mark.trio
EVENT = b'data: {"id":"1"}\n\n'


def connects(address: tuple[str, int]) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(address) == 0


# Swapping.


async def test_a_running_exchange_finishes_on_the_graph_it_began_on() -> None:
    async with playing(Upstream(), Upstream(), models={"m": 0}) as play:
        client = await play.client()
        await client.ask({"model": "m", "stream": True})
        asked = await play.upstream.asked()
        await asked.stream(EVENT)
        answer = await client.begins()
        old = play.plan
        await play.swap(models={"m": 1})
        await client.reads(EVENT)
        assert play.scene.closed == 0
        await asked.more(EVENT)
        await client.reads(EVENT)
        assert not old.idle.is_set()
        await asked.end()
        await client.rest(answer)
        await asked.connection.left()  # the old plan's pool is closed after its last exchange
        await play.settled(lambda: play.scene.closed == 1)
        await client.ask()  # the same connection of the client meets the new graph
        await (await play.upstreams[1].asked()).reply({"new": True})
        assert (await client.reply()).json == {"new": True}
        assert 'archflow_graph_swaps_total{result="accepted"} 2' in play.metrics


async def test_an_idle_graph_is_closed_at_once() -> None:
    async with playing() as play:
        play.upstream.script = lambda _: reply()
        client = await play.client()
        await client.talks()
        connection = await play.upstream.connection()
        await play.swap()
        await connection.left()
        await play.settled(lambda: play.scene.closed == 1)
        assert len(play.gateway._plans) == 1
        assert (await client.talks()).status == 200


async def test_a_graph_that_cannot_be_bound_changes_nothing() -> None:
    async with playing() as play:
        play.upstream.script = lambda _: reply()
        good = play.graph()
        timed = set(play.gateway.hub.timed)
        bad = {
            "a port that is none": msgspec.structs.replace(good.upstreams[0], url=("http://host:99999",)),
            "no host": msgspec.structs.replace(good.upstreams[0], url=("http://",)),
            "another scheme": msgspec.structs.replace(good.upstreams[0], url=("ftp://host",)),
            "no such bundle": msgspec.structs.replace(
                good.upstreams[0], url=("https://host",), ca="/nonexistent/ca.pem"
            ),
            "an unreadable kind": msgspec.structs.replace(
                good.upstreams[0], use=Use(good.upstreams[0].use.kind, b"\x91\x01")
            ),
            "a kind of another family": msgspec.structs.replace(good.upstreams[0], use=Use("guard.play")),
            "a host that is none": msgspec.structs.replace(good.upstreams[0], host=("a b",)),
        }
        for why, upstream in bad.items():
            first = msgspec.structs.replace(good.upstreams[0], url=("http://other.test",))
            second = msgspec.structs.replace(good, upstreams=(first, upstream))
            with pytest.raises(ArchflowError) as refused:
                await play.gateway.swap(program(second))
            assert str(refused.value), why
            assert set(play.gateway.hub.timed) == timed, why
        assert (await (await play.client()).talks()).status == 200
        assert 'archflow_graph_swaps_total{result="refused"} 7' in play.metrics


async def test_a_graph_whose_address_is_taken_changes_nothing() -> None:
    with socket.create_server(("127.0.0.2", 0)) as taken:
        async with playing() as play:
            port = taken.getsockname()[1]
            timed = set(play.gateway.hub.timed)
            with pytest.raises(
                ArchflowError, match=rf"cannot listen on 127.0.0.2:{port}: address already in use"
            ):
                await play.swap(addresses=("127.0.0.3", "127.0.0.2"), port=port)
            assert not connects(("127.0.0.3", port))
            assert set(play.gateway.hub.timed) == timed
            assert play.scene.closed == 1
            play.upstream.script = lambda _: reply()
            assert (await (await play.client()).talks()).status == 200


@pytest.mark.parametrize("broken", ["certificate", "private_key"])
async def test_a_graph_whose_certificate_cannot_be_read_changes_nothing(broken: str) -> None:
    empty = folder() / "empty.pem"
    empty.write_text("")
    tls = msgspec.structs.replace(certificate(), **{broken: str(empty)})
    async with playing() as play:
        for addresses in (("127.0.0.1",), ("127.0.0.1", "127.0.0.2")):
            with pytest.raises(ArchflowError, match=f"TLS: {re.escape(str(empty))} holds no "):
                await play.swap(tls=tls, addresses=addresses)
        play.upstream.script = lambda _: reply()
        assert (await (await play.client()).talks()).status == 200


async def test_a_first_graph_that_cannot_be_run_ends_the_worker() -> None:
    async with playing() as play:
        graph = play.graph(tls=Tls("/nonexistent", "/nonexistent"))
        gateway = Gateway(lambda *_, **__: None, policy="any")
        with pytest.raises(
            ArchflowError, match="TLS: the certificate /nonexistent cannot be read: no such file"
        ):
            await gateway.run(program(graph))


async def test_listeners_come_and_go() -> None:
    async with playing() as play:
        play.upstream.script = lambda _: reply()
        first = play.address("127.0.0.1")
        client = await play.client()
        await client.talks()
        await play.swap(addresses=("127.0.0.1", "127.0.0.2"))
        assert play.address("127.0.0.1") == first
        second = await play.client("127.0.0.2")
        assert (await second.talks()).status == 200
        assert (await client.talks()).status == 200
        await play.swap(addresses=("127.0.0.2",))
        assert await client.ended() == b""  # an idle connection of a listener that is gone
        await play.settled(lambda: not connects(first))
        assert (await second.talks()).status == 200


async def test_a_listener_may_come_back_at_once() -> None:
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
        other.bind(("127.0.0.2", port))
    async with playing(addresses=("127.0.0.1", "127.0.0.2"), port=port) as play:
        play.upstream.script = lambda _: reply()
        for _ in range(3):
            await play.swap(addresses=("127.0.0.1",))
            await play.swap(addresses=("127.0.0.1", "127.0.0.2"))
        assert (await (await play.client("127.0.0.2")).talks()).status == 200


async def test_requests_on_a_listener_that_is_gone_are_finished() -> None:
    async with playing(addresses=("127.0.0.1", "127.0.0.2")) as play:
        client = await play.client("127.0.0.2")
        await client.ask()
        asked = await play.upstream.asked()
        await play.swap(addresses=("127.0.0.1",))
        drained = trio.Event()

        async def drain() -> None:
            await play.gateway.drain(5)
            drained.set()

        play.nursery.start_soon(drain)
        await trio.testing.wait_all_tasks_blocked()
        assert not drained.is_set()
        await asked.reply({"late": True})
        answer = await client.reply()
        assert (answer.json, answer.header("connection")) == ({"late": True}, "close")
        with trio.fail_after(5):
            await drained.wait()


async def test_tls_comes_and_goes() -> None:
    async with playing() as play:
        play.upstream.script = lambda _: reply()
        plain = await play.client()
        await plain.talks()
        await play.swap(tls=certificate())
        secure = await play.client(tls=client_tls())
        assert (await secure.talks()).status == 200
        assert (await plain.talks()).status == 200  # a connection that stands keeps its form
        await play.swap(tls=None)
        assert (await (await play.client()).talks()).status == 200
        assert (await secure.talks()).status == 200


# Draining.


async def test_draining_finishes_streams_and_accepts_no_more() -> None:
    async with playing() as play:
        address = play.address()
        idle, busy = await play.client(), await play.client()
        await idle.talks(method="GET", path="/healthz")
        await busy.ask({"model": "m", "stream": True})
        asked = await play.upstream.asked()
        await asked.stream(EVENT)
        answer = await busy.begins()
        drained = trio.Event()

        async def drain() -> None:
            await play.gateway.drain(5)
            drained.set()

        play.nursery.start_soon(drain)
        assert await idle.ended() == b""
        await play.settled(lambda: not connects(address))
        assert not drained.is_set()
        await asked.more(EVENT)
        await busy.reads(EVENT + EVENT)
        await asked.end()
        assert not (await busy.rest(answer)).cut
        assert await busy.ended() == b""
        with trio.fail_after(5):
            await drained.wait()
        assert play.gateway.draining


async def test_a_request_that_is_half_here_is_served_while_draining() -> None:
    async with playing() as play:
        client = await play.client()
        whole = request({"model": "m"})
        await client.send(whole[:-3])
        await play.settled(lambda: any(getattr(one, "_size", 0) for one in play.deadlines()))
        play.nursery.start_soon(play.gateway.drain, 5)
        await trio.testing.wait_all_tasks_blocked()
        await client.send(whole[-3:])
        await (await play.upstream.asked()).reply({"fine": True})
        answer = await client.reply()
        assert (answer.json, answer.header("connection")) == ({"fine": True}, "close")


async def test_what_takes_too_long_to_drain_is_told_so() -> None:
    async with playing() as play:
        streaming, whole, waiting = await play.client(), await play.client(), await play.client()
        await streaming.ask({"model": "m", "stream": True})
        asked = await play.upstream.asked()
        await asked.stream(EVENT)
        stream = await streaming.begins()
        await whole.ask()
        other = await play.upstream.asked()
        await other.connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{")
        half = await whole.begins()
        await waiting.ask()
        await play.upstream.asked()
        await play.gateway.drain(0.1)

        told = await streaming.rest(stream)
        assert not told.cut
        assert told.body.startswith(EVENT)
        assert b'"code":"shutting_down"' in told.body.removeprefix(EVENT)
        assert (await whole.rest(half)).cut
        refused = await waiting.reply()
        assert (refused.status, refused.code) == (503, "shutting_down")
        await asked.connection.left()
        line = await play.logged("drain_timed_out")
        assert line["requests_cut"] == 3
        await play.settled(lambda: len(play.records) == 3)
        assert {record.error for record in play.records} == {"shutting_down"}


async def test_an_http2_stream_that_takes_too_long_to_drain_is_told_so() -> None:
    async with playing() as play:
        client = await play.h2()
        asking = await client.ask({"model": "m", "stream": True})
        asked = await play.upstream.asked()
        await asked.stream(EVENT)
        await play.gateway.drain(0.1)
        told = await client.whole(asking)
        assert told.body.startswith(EVENT)
        assert b'"code":"shutting_down"' in told.body.removeprefix(EVENT)


async def test_draining_lets_a_slow_client_take_its_last_reply() -> None:
    async with playing() as play:
        client = await play.client(buffer=4096)
        await client.ask()
        asked = await play.upstream.asked()
        play.nursery.start_soon(play.gateway.drain, 5)
        await asked.reply(b"x" * 230_000)
        await play.record()
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert len((await client.reply()).body) == 230_000


async def test_draining_with_nobody_there() -> None:
    async with playing() as play:
        await play.client()
        with trio.fail_after(2):
            await play.gateway.drain(30)


# What a worker says.


async def test_it_logs_where_it_serves() -> None:
    async with playing() as play:
        line = await play.logged("serving")
        assert line["listeners"] == [f"egress-127.0.0.1 on 127.0.0.1:{play.address()[1]}"]
        assert line["source"] == "test.yaml"
        assert len(line["digest"]) == 12


async def test_a_bug_in_one_exchange_costs_nobody_else_anything() -> None:
    async with playing() as play:
        play.upstream.script = lambda _: reply()
        other = await play.client()
        await other.talks()
        plan = play.plan
        (listener,) = plan.listeners.values()
        dialect, name, _ = listener.endpoints["/v1/embeddings"]
        listener.endpoints["/v1/embeddings"] = (dialect, name, object())  # type: ignore[assignment]
        client = await play.client()
        answer = await client.talks(path="/v1/embeddings")
        assert (answer.status, answer.code) == (500, "internal_error")
        await play.record()
        assert (await play.record()).request_id in answer.message
        assert (await other.talks()).status == 200
        assert (await client.talks()).status == 200
        assert "archflow_internal_errors_total 1" in play.metrics
        play.trouble = 1


async def test_a_dialect_that_raises_is_an_internal_error() -> None:
    async with playing() as play:
        plan = play.plan
        (listener,) = plan.listeners.values()
        dialect = listener.endpoints["/v1/embeddings"][0]

        def fail(_: bytes) -> object:
            raise ZeroDivisionError

        dialect.decode_head = fail  # type: ignore[method-assign, assignment]
        client = await play.client()
        answer = await client.talks(path="/v1/embeddings")
        assert (answer.status, answer.code) == (500, "internal_error")
        assert (await client.talks(method="GET", path="/healthz")).status == 200
        play.trouble = 1


async def test_a_request_that_waits_keeps_the_gauge_up() -> None:
    async with playing() as play:
        client = await play.client()
        await client.ask(WORDS)
        asked = await play.upstream.asked()
        assert "archflow_requests_in_flight 1" in play.metrics
        assert 'archflow_client_connections{listener="egress-127.0.0.1"} 1' in play.metrics
        origin = f"127.0.0.1:{play.upstream.port}"
        assert f'archflow_upstream_connections{{origin="{origin}",state="open"}} 1' in play.metrics
        assert f'archflow_upstream_connections{{origin="{origin}",state="idle"}} 0' in play.metrics
        await asked.reply()
        await client.reply()
        assert "archflow_requests_in_flight 0" in play.metrics
        assert f'archflow_upstream_connections{{origin="{origin}",state="idle"}} 1' in play.metrics

"""Connections to an upstream: dialled, kept, resolved by name."""

from __future__ import annotations

import select
import socket
from contextlib import closing

import pytest
import trio

from archflow_engine.hub import Channel
from archflow_engine.upstream import address
from archflow_engine.upstream import pool as pools
from archflow_engine.upstream.address import Resolver
from archflow_engine.upstream.call import Call, CallHead, ReplyHead
from archflow_engine.upstream.pool import Origin, Pool
from archflow_schema.errors import UpstreamError, UpstreamRefused
from peers import reply, unreachable
from playbook import playing

pytestmark = pytest.mark.trio


class StillHub:
    """A hub that stands still: the test tells its channels what the kernel reports."""

    def __init__(self) -> None:
        self.timed: set[object] = set()
        self.channels: list[Channel] = []
        self.looked_at: list[tuple[Channel, int]] = []
        self.holding = False

    def join(self, channel: Channel) -> None:
        self.channels.append(channel)

    adopt = join

    def leave(self, _: Channel) -> None:
        """Nothing is watched."""

    def again(self, channel: Channel, mask: int) -> None:
        self.looked_at.append((channel, mask))


class Sink:
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.status = 0

    def sent(self, address: str, *, reused: bool) -> None:
        """On its way."""

    def reply(self, head: ReplyHead | None, data: bytes, end: bool) -> None:
        if head is not None:
            self.status = head.status

    def failed(self, error: UpstreamError) -> None:
        raise error


async def test_an_upstream_that_speaks_before_it_is_asked_is_heard() -> None:
    """The event that tells of a connection also told of its first bytes; there will be no other."""
    hub, sink = StillHub(), Sink()
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        origin = Origin("http", "127.0.0.1", listener.getsockname()[1], "1.1", "", 5.0)
        pool = Pool(hub, origin, 1)  # type: ignore[arg-type]
        pool.send(Call(CallHead.of(b"/", b"a", []), "", b"", sink))
        (connecting,) = hub.channels
        accepted, _ = listener.accept()
        with closing(accepted):
            accepted.sendall(b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n")
            poll = select.poll()
            poll.register(connecting.sock, select.POLLIN)
            assert poll.poll(5000)
            connecting.ready(select.EPOLLIN | select.EPOLLOUT)
            for channel, mask in hub.looked_at:
                channel.ready(mask)
            assert sink.status == 503
        pool.close()


async def test_every_address_of_a_name_is_tried() -> None:
    async with playing() as play:
        play.upstream.script = lambda _: reply()
        await play.swap(urls=[f"http://localhost:{play.upstream.port}"])
        plan = play.plan
        resolver = plan.pools[0]._resolver
        resolver._known = [
            (socket.AF_INET, ("127.0.0.9", play.upstream.port)),
            (socket.AF_INET, ("127.0.0.1", play.upstream.port)),
        ]
        resolver._asked = float("inf")
        for _ in range(4):  # whichever comes first
            client = await play.client()
            assert (await client.talks(headers=("Connection: close",))).status == 200
            play.upstream.connections[-1].reset()
            await play.settled(lambda: plan.pools[0].connections == (0, 0))


async def test_an_address_that_says_nothing_does_not_use_up_the_time_of_the_next() -> None:
    with unreachable("127.0.0.9") as deaf:
        async with playing() as play:
            play.upstream.script = lambda _: reply()
            await play.swap(urls=[f"http://localhost:{play.upstream.port}"], upstream={"connect": 0.6})
            resolver = play.plan.pools[0]._resolver
            resolver._known = [
                (socket.AF_INET, ("127.0.0.1", play.upstream.port)),
                (socket.AF_INET, ("127.0.0.9", deaf)),
            ]
            resolver._asked = float("inf")
            client = await play.client()
            assert (await client.talks()).status == 200
            assert (await play.record()).attempts[0].address == f"127.0.0.1:{play.upstream.port}"
            resolver._known = [(socket.AF_INET, ("127.0.0.9", deaf))] * 2
            play.plan.pools[0]._idle.pop().channel.close()
            play.plan.pools[0]._open.clear()
            answer = await client.talks()
            assert (answer.status, "within 0.6 s" in answer.message) == (504, True)


async def test_connections_above_what_is_kept_are_closed() -> None:
    async with playing(upstream={"pool": 2}) as play:
        clients = [await play.client() for _ in range(5)]
        for client in clients:
            await client.ask()
        for _ in clients:
            await (await play.upstream.asked()).reply()
        for client in clients:
            await client.reply()
        plan = play.plan
        await play.settled(lambda: plan.pools[0].connections == (2, 2))
        left: list[object] = []  # which ones it is depends on whose replies came last
        async with trio.open_nursery() as nursery:

            async def leaves(connection: object) -> None:
                await connection.left()  # type: ignore[attr-defined]
                left.append(connection)
                if len(left) == 3:
                    nursery.cancel_scope.cancel()

            for connection in play.upstream.connections:
                nursery.start_soon(leaves, connection)
        assert len(left) == 3


async def test_connections_that_rested_long_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    async with playing() as play:
        play.upstream.script = lambda _: reply()
        assert (await (await play.client()).talks()).status == 200
        plan = play.plan
        monkeypatch.setattr(pools, "IDLE", -1.0)
        plan.pools[0].deadline = 0.0
        await (await play.upstream.connection()).left()
        assert plan.pools[0].connections == (0, 0)


# Names.


@pytest.mark.parametrize(("host", "family"), [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)])
async def test_an_address_needs_no_resolving(host: str, family: int) -> None:
    assert Resolver(host, 80).known() == [(family, (host, 80))]


async def test_a_name_is_resolved_and_remembered() -> None:
    resolver = Resolver("localhost", 80)
    assert resolver.known() is None
    found = await resolver.resolve()
    assert (socket.AF_INET, ("127.0.0.1", 80)) in found
    assert len(found) == len(set(found))
    assert sorted(resolver.known() or []) == sorted(found)


async def test_several_addresses_are_used_in_turn() -> None:
    resolver = Resolver("127.0.0.1", 80)
    one, two, three = [(socket.AF_INET, (f"127.0.0.{number}", 80)) for number in (1, 2, 3)]
    resolver._known = [one, two, three]
    firsts = [(resolver.known() or [])[0] for _ in range(3)]
    assert set(firsts) == {one, two, three}
    assert set(resolver.known() or []) == {one, two, three}


@pytest.mark.parametrize("host", ["nowhere.invalid", "a..b", "x" * 64 + ".test", "\u0130.test", "a\0b"])
async def test_a_name_that_cannot_be_resolved_is_a_refusal(host: str) -> None:
    with pytest.raises(UpstreamRefused, match="cannot be resolved"):
        await Resolver(host, 80).resolve()


@pytest.mark.parametrize("error", [OSError("no resolver"), RuntimeError("can't start new thread")])
async def test_a_hiccup_of_the_resolver_stops_no_traffic(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolver = Resolver("localhost", 80)
    found = await resolver.resolve()
    monkeypatch.setattr(address, "FRESH", -1.0)
    assert resolver.known() is None

    async def fail(*_: object, **__: object) -> list[object]:
        raise error

    monkeypatch.setattr(trio.socket, "getaddrinfo", fail)
    assert await resolver.resolve() == found


async def test_a_name_that_cannot_be_resolved_is_a_bad_gateway() -> None:
    async with playing(urls=["http://a..b:80"]) as play:
        client = await play.client()
        answer = await client.talks()
        assert (answer.status, answer.code) == (502, "upstream_refused")
        assert "the host a..b cannot be resolved" in answer.message
        assert (await client.talks(method="GET", path="/healthz")).status == 200


async def test_many_requests_resolve_a_name_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = 0
    go = trio.Event()
    async with playing() as play:
        port = play.upstream.port
        play.upstream.script = lambda _: reply()
        await play.swap(urls=[f"http://upstream.test:{port}"])

        async def slow(*_: object, **__: object) -> list[object]:
            nonlocal asked
            asked += 1
            await go.wait()
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

        monkeypatch.setattr(trio.socket, "getaddrinfo", slow)
        clients = [await play.client() for _ in range(5)]
        for client in clients:
            await client.ask()
        plan = play.plan
        await play.settled(lambda: plan.live == 5)
        go.set()
        for client in clients:
            assert (await client.reply()).status == 200
        assert asked == 1

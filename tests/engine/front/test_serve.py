"""Listening addresses, and connections whose protocol is not known yet."""

from __future__ import annotations

import socket
import ssl

import pytest
import trio
import trio.testing

from archflow_engine.front.serve import open_sockets
from archflow_schema.errors import ArchflowError
from archflow_schema.graph import Limits
from peers import request
from playbook import certificate, client_tls, playing

pytestmark = pytest.mark.trio


async def test_port_0_is_a_free_one_and_is_told() -> None:
    async with playing(addresses=("127.0.0.1", "127.0.0.2", "::1")) as play:
        for address in ("127.0.0.1", "127.0.0.2"):
            client = await play.client(address)
            assert (await client.talks(method="GET", path="/healthz")).status == 200
        name, port = play.address("::1")
        assert name == "::1"
        stream = await trio.open_tcp_stream("::1", port)
        await stream.send_all(request(method="GET", path="/healthz"))
        assert (await stream.receive_some()).startswith(b"HTTP/1.1 200 ")
        await stream.aclose()


async def test_several_workers_may_share_an_address() -> None:
    first = open_sockets("127.0.0.1", 0, shared=True).insecure_sockets[0]
    port = first.getsockname()[1]
    second = open_sockets("127.0.0.1", port, shared=True).insecure_sockets[0]
    with pytest.raises(ArchflowError, match=f"cannot listen on 127.0.0.1:{port}: address already in use"):
        open_sockets("127.0.0.1", port, shared=False)
    first.close()
    second.close()


@pytest.mark.parametrize("address", ["192.0.2.1", "nowhere.invalid", "not an address"])
async def test_an_address_that_cannot_be_had_says_why(address: str) -> None:
    with pytest.raises(ArchflowError, match=f"cannot listen on {address}:0: "):
        open_sockets(address, 0, shared=False)


async def test_plain_text_on_a_tls_port_ends_the_connection() -> None:
    async with playing(tls=certificate()) as play:
        client = await play.client()
        await client.send(request(method="GET", path="/healthz"))
        assert b"HTTP/1.1 200" not in await client.ended()
        assert play.records == []
        secure = await play.client(tls=client_tls())
        assert (await secure.talks(method="GET", path="/healthz")).status == 200


async def test_a_client_above_the_limit_hears_no_plain_text_where_tls_is_spoken() -> None:
    async with playing(tls=certificate(), limits=Limits(connections=1)) as play:
        first = await play.client(tls=client_tls())
        assert (await first.talks(method="GET", path="/healthz")).status == 200
        assert await (await play.client()).ended() == b""


async def test_a_handshake_that_stops_half_way_is_given_up() -> None:
    async with playing(tls=certificate(), limits=Limits(receive=0.1)) as play:
        client = await play.client()
        await client.send(b"\x16\x03\x01\x02\x00\x01")
        assert await client.ended() == b""


async def test_tls_12_is_spoken_too() -> None:
    context = client_tls()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with playing(tls=certificate()) as play:
        secure = await play.client(tls=context)
        assert isinstance(secure.stream, trio.SSLStream)
        assert secure.stream.version() == "TLSv1.2"
        assert (await secure.talks(method="GET", path="/healthz")).status == 200


@pytest.mark.parametrize("kindly", [True, False])
async def test_a_client_that_leaves_before_it_says_anything(kindly: bool) -> None:
    async with playing() as play:
        for _ in range(5):
            client = await play.client()
            if kindly:
                await client.leave()
            else:
                client.reset()
        assert play.records == []


async def test_a_half_of_the_preface_is_a_newcomer_until_it_is_too_slow() -> None:
    async with playing(limits=Limits(receive=0.1)) as play:
        client = await play.client()
        await client.send(b"PRI * HTTP/2.0\r\n\r\nSM")
        assert await client.ended() == b""
        assert play.records == []


async def test_a_method_that_begins_like_the_preface_is_no_preface() -> None:
    async with playing() as play:
        client = await play.client()
        sent = request(b"{}", method="PROPFIND", path="/healthz")
        await client.send(sent[:2])
        await trio.testing.wait_all_tasks_blocked(0.005)
        await client.send(sent[2:])
        assert (await client.reply()).status == 405


async def test_a_stopped_listener_hands_nothing_over() -> None:
    async with playing() as play:
        front = play.gateway._fronts["127.0.0.1", 0]
        front.stop()
        ours, theirs = socket.socketpair()
        front.accept(ours, "late")
        assert theirs.recv(1) == b""
        theirs.close()
        assert front.connections == 0

"""Calls that somebody waits for: whole replies, and every way in which there is none."""

from __future__ import annotations

import gzip

import pytest
import trio

from archflow_engine.upstream.fetch import Fetched, fetch
from archflow_schema.errors import UpstreamProtocolError, UpstreamRefused, UpstreamTimeout
from peers import PATIENCE, Asked, reply
from playbook import Play, playing

pytestmark = pytest.mark.trio


async def ask(play: Play, *, method: bytes = b"POST", **more: object) -> Fetched:
    keywords: dict[str, object] = {"timeout": PATIENCE, **more}
    return await fetch(
        play.plan.pools[0],
        target=b"/weather?city=Bern",
        authority=b"api.test",
        headers=[(b"x-one", b"1")],
        method=method,
        **keywords,  # type: ignore[arg-type]
    )


async def test_a_whole_reply() -> None:
    async with playing() as play:
        heard: list[Asked] = []

        def answer(asked: Asked) -> bytes:
            heard.append(asked)
            return reply(b'{"degrees":4}', headers=("x-two: 2",))

        play.upstream.script = answer
        found = await ask(play, body=b"{}")
        (asked,) = heard
        assert (asked.method, asked.target) == ("POST", "/weather?city=Bern")
        assert (asked.header("x-one"), asked.header("host"), asked.body) == ("1", "api.test", b"{}")
        assert (found.status, found.body) == (200, b'{"degrees":4}')
        assert (b"x-two", b"2") in found.headers


async def test_a_get_says_nothing_of_a_body() -> None:
    async with playing() as play:
        heard: list[Asked] = []

        def answer(asked: Asked) -> bytes:
            heard.append(asked)
            return reply()

        play.upstream.script = answer
        await ask(play, method=b"GET")
        (asked,) = heard
        assert asked.method == "GET"
        assert asked.header("content-length") is None


async def test_a_compressed_reply_is_unpacked() -> None:
    packed = gzip.compress(b"x" * 5000)
    async with playing() as play:
        play.upstream.script = lambda _: reply(packed, status=404, headers=("content-encoding: gzip",))
        found = await ask(play)
        assert (found.status, found.body) == (404, b"x" * 5000)


async def test_a_reply_that_is_too_large_and_one_that_swells() -> None:
    packed = gzip.compress(b"x" * 5_000_000)
    async with playing() as play:
        play.upstream.script = lambda _: reply(b"x" * 2000)
        with pytest.raises(UpstreamProtocolError, match="larger than 1000 bytes"):
            await ask(play, at_most=1000)
        play.upstream.script = lambda _: reply(packed, headers=("content-encoding: gzip",))
        with pytest.raises(UpstreamProtocolError, match="when unpacked"):
            await ask(play, at_most=100_000)


async def test_one_that_is_damaged_and_one_in_an_unknown_coding() -> None:
    async with playing() as play:
        play.upstream.script = lambda _: reply(b"\x1f\x8bnonsense", headers=("content-encoding: gzip",))
        with pytest.raises(UpstreamProtocolError, match="cannot be decompressed"):
            await ask(play)
        play.upstream.script = lambda _: reply(b"x", headers=("content-encoding: br",))
        with pytest.raises(UpstreamProtocolError, match="'br'"):
            await ask(play)


async def test_an_upstream_that_says_nothing() -> None:
    async with playing() as play:
        with pytest.raises(UpstreamTimeout, match=r"did not answer within 0\.05 s"):
            await ask(play, timeout=0.049999)
        asked = await play.upstream.asked()
        await asked.connection.left()


async def test_an_upstream_that_leaves() -> None:
    async with playing() as play, trio.open_nursery() as nursery:

        async def leave() -> None:
            (await play.upstream.asked()).connection.reset()

        nursery.start_soon(leave)
        with pytest.raises(UpstreamProtocolError, match="before it replied"):
            await ask(play)


async def test_nobody_there() -> None:
    async with playing(urls=["http://127.0.0.1:9"]) as play:
        with pytest.raises(UpstreamRefused):
            await ask(play)


async def test_who_waits_is_cancelled() -> None:
    async with playing() as play, trio.open_nursery() as nursery:
        nursery.start_soon(ask, play)
        asked = await play.upstream.asked()
        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            await asked.connection.left()

"""Upstreams whose key expires: who waits for another one, and what a client hears when there is none."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from peers import Upstream
from playbook import Play, playing
from service_accounts import account

pytestmark = pytest.mark.trio
ASKED = {"contents": [{"parts": [{"text": "hi"}]}]}
PATH = "/v1beta/models/m:generateContent"
TARGET = "/v1/projects/my-project/locations/global/publishers/google/models/m-upstream:generateContent"


@asynccontextmanager
async def standing() -> AsyncIterator[tuple[Play, Upstream]]:
    """A play whose upstream takes tokens of a service account, and where those come from."""
    async with trio.open_nursery() as nursery:
        tokens = Upstream()
        await tokens.open(nursery)
        key = account(f"{tokens.url}/token")
        async with playing(upstream={"vendor": "vertex_ai", "access_key": key}) as play:
            yield play, tokens
            await tokens.leave()
        nursery.cancel_scope.cancel()


async def test_the_first_request_gets_a_token_and_the_next_ones_use_it() -> None:
    async with standing() as (play, tokens):
        client = await play.client()
        await client.ask(ASKED, path=PATH)
        wanted = await tokens.asked()
        assert (wanted.method, wanted.target) == ("POST", "/token")
        assert wanted.header("content-type") == "application/x-www-form-urlencoded"
        assert wanted.body.startswith(
            b"grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion="
        )
        await wanted.reply({"access_token": "t1", "expires_in": 3599, "token_type": "Bearer"})
        for _ in range(2):
            asked = await play.upstream.asked()
            assert (asked.target, asked.header("authorization")) == (TARGET, "Bearer t1")
            await asked.reply({"candidates": []})
            assert (await client.reply()).json == {"candidates": []}
            if _ == 0:
                await client.ask(ASKED, path=PATH)
        assert not tokens.unanswered
        first, second = await play.record(), await play.record()
        assert (first.status, second.status) == (200, 200)
        assert len(second.attempts) == 1


async def test_without_a_token_the_client_hears_why() -> None:
    async with standing() as (play, tokens):
        client = await play.client()
        await client.ask(ASKED, path=PATH)
        await (await tokens.asked()).reply({"error": "invalid_grant"}, status=400)
        reply = await client.reply()
        assert reply.status == 502
        assert "invalid_grant" in reply.json["error"]["message"]
        assert (await play.record()).error == "upstream_failed"


async def test_a_client_that_leaves_meanwhile_leaves_nothing_behind() -> None:
    async with standing() as (play, tokens):
        client = await play.client()
        await client.ask(ASKED, path=PATH)
        wanted = await tokens.asked()
        await client.leave()
        await wanted.connection.left()
        assert (await play.record()).error == "client_gone"

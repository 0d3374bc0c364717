"""Sessions that stay with a model: pinned, moved within a budget, kept in a store, there after a restart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from archflow_plugins.contexts import encode_compiled
from archflow_plugins.stores.memory import MemoryConfig
from archflow_plugins.stores.sqlite import SqliteCompiled
from archflow_schema.graph import Budget, Sessions, Use
from peers import CHAT, Client
from routed import Three, chooses, said

pytestmark = pytest.mark.trio
MEMORY = Use("store.memory", encode_compiled(MemoryConfig()))
PRICES = (("coder", 1.0, 0.1), ("writer", 2.0, 0.2), ("plain", 0.01, 0.001))
ROUTES = {"code": ("coder",), "story": ("writer",), "chat": ("plain",)}
LONG = "word " * 4000


def keeping(store: Use = MEMORY, *, tenant: str = "", budget: Budget | None = None) -> dict[str, Any]:
    return {"sessions": Sessions(store, 600, tenant, budget)}


async def model(client: Client, session: str = "s", *more: str, words: str = "hello") -> str | None:
    """Which model a session gets."""
    headers = (f"x-model-affinity: {session}", *more)
    answer = await client.talks(said("none", words), headers=headers)
    assert answer.status == 200
    return answer.header("x-arch-model")


async def test_a_session_stays_with_its_model() -> None:
    async with Three(choosing=keeping(), routes=ROUTES) as play:
        asked = chooses(play, "code")
        client = await play.client()
        assert await model(client) == "coder"
        asked = chooses(play, "story")
        answer = await client.talks(said(), headers=("x-model-affinity: s",))
        assert (answer.header("x-arch-model"), asked) == ("coder", [])
        assert (answer.header("x-arch-route"), answer.header("x-arch-route-reason")) == ("code", "session")
        assert await model(client, "another") == "writer"
        assert (await client.talks(said())).header("x-arch-model") == "writer"
        await play.record()
        record = await play.record()
        assert (record.decisions[0].pinned, record.reason) == (True, "session")


async def test_a_session_without_a_preference_is_with_nobody() -> None:
    async with Three(choosing=keeping(), routes=ROUTES) as play:
        chooses(play, "")
        client = await play.client()
        assert await model(client) == "plain"
        chooses(play, "story")
        assert await model(client) == "writer"


async def test_tenants_are_kept_apart() -> None:
    async with Three(choosing=keeping(tenant="x-tenant"), routes=ROUTES) as play:
        client = await play.client()
        chooses(play, "code")
        assert await model(client, "s", "X-Tenant: a") == "coder"
        chooses(play, "story")
        assert await model(client, "s", "X-Tenant: b") == "writer"
        assert await model(client, "s", "X-Tenant: a") == "coder"
        assert await model(client, "s") == "writer"


async def test_a_session_is_told_where_it_would_go() -> None:
    async with Three(choosing=keeping(), routes=ROUTES) as play:
        client = await play.client()
        chooses(play, "code")
        await model(client)
        answer = await client.talks(said(), path=f"/routing{CHAT}", headers=("x-model-affinity: s",))
        told = answer.json
        assert (told["models"], told["session_id"], told["pinned"]) == (["coder"], "s", True)


async def test_a_model_that_is_gone_is_chosen_anew() -> None:
    async with Three(choosing=keeping(), routes=ROUTES) as play:
        client = await play.client()
        chooses(play, "code")
        await model(client)
        own = [{"name": "own", "description": "x", "models": ["plain"]}]
        chooses(play, "own")
        answer = await client.talks(said(routing_preferences=own), headers=("x-model-affinity: s",))
        assert answer.header("x-arch-model") == "plain"


async def test_a_store_that_fails_costs_a_preference_nothing() -> None:
    async with Three(choosing=keeping(Use("store.play_broken")), routes=ROUTES) as play:
        chooses(play, "code")
        assert await model(await play.client()) == "coder"
        play.trouble = 2


async def test_a_far_store_is_waited_for() -> None:
    async with Three(choosing=keeping(Use("store.play_far")), routes=ROUTES) as play:
        client = await play.client()
        chooses(play, "code")
        await model(client)
        chooses(play, "story")
        assert await model(client) == "coder"


def budget(percent: float = 0.0, **more: Any) -> dict[str, Any]:
    return keeping(budget=Budget(percent, prices=PRICES, **more))


async def test_a_move_that_costs_more_than_the_budget_is_not_made() -> None:
    async with Three(choosing=budget(counterfactual=True), routes=ROUTES) as play:
        client = await play.client()
        chooses(play, "code", confidence=1.0)
        assert await model(client, words=LONG) == "coder"
        asked = chooses(play, "story", confidence=1.0)
        assert await model(client, words=LONG) == "coder"
        assert len(asked) == 1
        await play.record()
        (decision,) = (await play.record()).decisions
        assert (decision.option, decision.reason, decision.kept_from) == ("code", "session", "writer")
        assert (decision.pinned, decision.switched) == (True, False)


async def test_a_move_that_saves_is_free() -> None:
    async with Three(choosing=budget(), routes=ROUTES) as play:
        client = await play.client()
        chooses(play, "code", confidence=1.0)
        await model(client)
        chooses(play, "chat", confidence=1.0)
        assert await model(client) == "plain"
        await play.record()
        (decision,) = (await play.record()).decisions
        assert (decision.pinned, decision.switched, decision.reason) == (False, True, "similar")


async def test_the_budget_grows_while_a_session_stays() -> None:
    async with Three(choosing=budget(100.0), routes=ROUTES) as play:
        client = await play.client()
        chooses(play, "code", confidence=1.0)
        await model(client, words=LONG)
        seen = []
        chooses(play, "story", confidence=1.0)
        while "writer" not in seen:
            seen.append(await model(client, words=LONG))
        # Each turn earns a tenth of the price of a token, and the move costs 1.9 times that price.
        assert seen == ["coder"] * 18 + ["writer"]


async def test_the_client_may_set_the_budget_and_nonsense_sets_nothing() -> None:
    async with Three(choosing=budget(0.0), routes={"code": ("coder",), "story": ("writer",)}) as play:
        client = await play.client()
        chooses(play, "code", confidence=1.0)
        await model(client, "s", words=LONG)
        for _ in range(30):
            await model(client, "s", words=LONG)
        chooses(play, "story", confidence=1.0)
        assert await model(client, "s", "x-arch-max-switch-spend-pct: lots", words=LONG) == "coder"
        assert await model(client, "s", "x-arch-max-switch-spend-pct: 100", words=LONG) == "writer"


async def test_a_move_needs_a_router_that_is_sure() -> None:
    async with Three(choosing=budget(confidence=0.6), routes=ROUTES) as play:
        client = await play.client()
        chooses(play, "code", confidence=1.0)
        await model(client)
        chooses(play, "chat", confidence=0.59)
        assert await model(client) == "coder"
        chooses(play, "chat", confidence=0.6)
        assert await model(client) == "plain"


async def test_a_router_that_finds_nothing_moves_no_session() -> None:
    async with Three(choosing=budget(), routes=ROUTES) as play:
        client = await play.client()
        chooses(play, "code", confidence=1.0)
        await model(client)
        chooses(play, "")
        answer = await client.talks(said(), headers=("x-model-affinity: s",))
        assert (answer.header("x-arch-model"), answer.header("x-arch-route-reason")) == ("coder", "unclear")


async def test_a_session_is_there_after_a_restart(tmp_path: Path) -> None:
    store = Use("store.sqlite", encode_compiled(SqliteCompiled((str(tmp_path / "sessions.db"),), 0)))
    for option, pinned in (("code", False), ("story", True)):
        async with Three(choosing=keeping(store), routes=ROUTES) as play:
            chooses(play, option)
            assert await model(await play.client()) == "coder"
            assert (await play.record()).decisions[0].pinned is pinned
    assert b"secret-session" not in (tmp_path / "sessions.db").read_bytes()

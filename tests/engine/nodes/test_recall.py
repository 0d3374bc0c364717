"""Going on from earlier replies: looked up, kept before their end is told, told about, forgotten."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
import trio

from archflow_plugins import ALLOW, Verdict
from archflow_plugins.framing import sse
from archflow_plugins.stores.memory import MemoryConfig
from archflow_schema.conversation import Conversation
from archflow_schema.graph import Use
from peers import Asked, Client, Reply
from playbook import Play, playing

pytestmark = pytest.mark.trio
PATH = "/v1/responses"
NEAR = Use("store.memory", msgspec.msgpack.encode(MemoryConfig()))
FAR = Use("store.play_far", msgspec.msgpack.encode(MemoryConfig()))
CHAT_ONLY = {"vendor": "deepseek"}


@asynccontextmanager
async def keeping(use: Use = NEAR, **more: Any) -> AsyncIterator[Play]:
    """A gateway that keeps what it translates, before an upstream that speaks chat only unless told otherwise."""
    async with playing(recall=use, **{"upstream": CHAT_ONLY, **more}) as play:
        yield play


stores = pytest.mark.parametrize("use", [NEAR, FAR], ids=["near", "far"])


def chat(text: str) -> dict[str, Any]:
    """A whole chat completion."""
    message = {"role": "assistant", "content": text}
    return {"id": "c", "model": "up", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}


def chunk(text: str | None, reason: str | None = None) -> bytes:
    """One chunk of a streamed one."""
    delta = {} if text is None else {"content": text}
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return sse.encode(msgspec.json.encode({"id": "c", "model": "up", "choices": [choice]}))


async def turn(play: Play, client: Client, text: str, answer: str, **more: Any) -> tuple[Asked, Reply]:
    """One turn that is answered whole."""
    await client.ask({"model": "m", "input": text, **more}, path=PATH)
    asked = await play.upstream.asked()
    await asked.reply(chat(answer))
    reply = await client.reply()
    assert reply.status == 200, reply.body
    return asked, reply


def said(asked: Asked) -> list[tuple[str, str]]:
    """Who said what, as the upstream was told."""
    return [(message["role"], message["content"]) for message in asked.json["messages"]]


@stores
async def test_a_conversation_of_three_turns(use: Use) -> None:
    async with keeping(use) as play:
        client = await play.client()
        _, first = await turn(play, client, "one", "uno", instructions="be brief")
        _, second = await turn(play, client, "two", "due", previous_response_id=first.json["id"])
        assert second.json["previous_response_id"] == first.json["id"]
        asked, third = await turn(play, client, "three", "tre", previous_response_id=second.json["id"])
        assert said(asked) == [
            ("user", "one"),
            ("assistant", "uno"),
            ("user", "two"),
            ("assistant", "due"),
            ("user", "three"),
        ]
        assert third.json["output"][0]["content"][0]["text"] == "tre"


@stores
async def test_a_streamed_reply_is_kept_when_its_end_is_told(use: Use) -> None:
    async with keeping(use) as play:
        client = await play.client()
        await client.ask({"model": "m", "input": "one", "stream": True}, path=PATH)
        asked = await play.upstream.asked()
        await asked.stream(chunk("u"), chunk("no"))
        answer = await client.begins()
        seen = await client.reads(b"\n\n")
        await asked.more(chunk(None, "stop") + b"data: [DONE]\n\n")
        await asked.end()
        body = seen + (await client.rest(answer)).body
        events = [msgspec.json.decode(event.data) for event in sse.Splitter().feed(body)]
        assert events[-1]["type"] == "response.completed"
        asked, _ = await turn(play, client, "two", "due", previous_response_id=events[-1]["response"]["id"])
        assert said(asked) == [("user", "one"), ("assistant", "uno"), ("user", "two")]


async def test_the_end_waits_for_the_store_and_nothing_else_does() -> None:
    async with keeping(FAR) as play:
        client = await play.client()
        gate = trio.Event()
        play.scene.store = gate.wait
        await client.ask({"model": "m", "input": "one", "stream": True}, path=PATH)
        asked = await play.upstream.asked()
        await asked.stream(chunk("uno"))
        answer = await client.begins()
        assert b"uno" in await client.reads(b"\n\n")
        await asked.more(chunk(None, "stop") + b"data: [DONE]\n\n")
        await asked.end()
        other = await play.client()
        health = await other.talks(b"", method="GET", path="/healthz")
        assert health.status == 200
        assert [record.path for record in play.records] == ["/healthz"]
        gate.set()
        rest = await client.rest(answer)
        assert b"response.completed" in rest.body
        assert not rest.cut


async def test_a_client_that_leaves_while_its_reply_is_kept() -> None:
    async with keeping(FAR) as play:
        client = await play.client()
        gate = trio.Event()
        play.scene.store = gate.wait
        await client.ask({"model": "m", "input": "one"}, path=PATH)
        asked = await play.upstream.asked()
        await asked.reply(chat("uno"))
        await play.settled(lambda: gate.statistics().tasks_waiting)
        await client.leave()
        record = await play.record()
        assert record.error == "client_gone"
        gate.set()


@stores
async def test_what_nobody_knows(use: Use) -> None:
    async with keeping(use) as play:
        client = await play.client()
        reply = await client.talks({"model": "m", "input": "hi", "previous_response_id": "resp_9"}, path=PATH)
        assert (reply.status, reply.code) == (404, "previous_response_not_found")
        assert reply.json["error"]["param"] == "previous_response_id"
        assert play.upstream.unanswered == 0
        assert (await play.record()).error == "not_found"


async def test_what_the_client_does_not_want_kept() -> None:
    async with keeping() as play:
        client = await play.client()
        _, first = await turn(play, client, "one", "uno", store=False)
        assert first.json["store"] is False
        told = await client.talks(method="GET", path=f"{PATH}/{first.json['id']}")
        assert told.status == 404


async def test_a_failed_reply_is_not_kept() -> None:
    async with keeping() as play:
        client = await play.client()
        await client.ask({"model": "m", "input": "one"}, path=PATH)
        await (await play.upstream.asked()).reply({"error": {"message": "no"}}, status=500)
        assert (await client.reply()).status == 500
        assert not next(kind for kind in play.plan.kinds if kind.kind == "store.memory").size  # type: ignore[attr-defined]


@stores
async def test_telling_and_forgetting(use: Use) -> None:
    async with keeping(use) as play:
        client = await play.client()
        _, first = await turn(play, client, "one", "uno")
        where = f"{PATH}/{first.json['id']}"
        told = await client.talks(method="GET", path=where)
        assert (told.status, told.json) == (200, first.json)
        items = await client.talks(method="GET", path=f"{where}/input_items?order=asc&limit=5")
        assert items.json["data"][0]["content"] == [{"type": "input_text", "text": "one"}]
        forgotten = await client.talks(method="DELETE", path=where)
        assert forgotten.json == {"id": first.json["id"], "object": "response", "deleted": True}
        for method, path in (("GET", where), ("DELETE", where), ("GET", f"{where}/input_items")):
            reply = await client.talks(method=method, path=path)
            assert reply.status == 404
            assert first.json["id"] in reply.message
        reply = await client.talks(
            {"model": "m", "input": "two", "previous_response_id": first.json["id"]}, path=PATH
        )
        assert reply.code == "previous_response_not_found"


async def test_paths_that_there_are_not() -> None:
    async with keeping() as play:
        client = await play.client()
        assert (await client.talks({"model": "m"}, path=f"{PATH}/compact")).status == 404
        assert (await client.talks(method="GET", path=f"{PATH}/")).status == 404
        assert (await client.talks(method="PUT", path=f"{PATH}/resp_1")).status == 404
        assert (await client.talks(method="GET", path=PATH)).status == 405
        preflight = await client.talks(method="OPTIONS", path=f"{PATH}/resp_1")
        assert (preflight.status, preflight.header("access-control-allow-origin")) == (204, "*")


async def test_an_upstream_that_knows_better() -> None:
    async with keeping(upstream={}) as play:
        client = await play.client()
        body = {"model": "m", "input": "hi", "previous_response_id": "resp_theirs"}
        await client.ask(body, path=PATH)
        asked = await play.upstream.asked()
        assert (asked.target, asked.json) == (PATH, {**body, "model": "m-upstream"})
        await asked.reply({"id": "resp_theirs2", "status": "completed", "output": []})
        reply = await client.reply()
        assert reply.json["id"] == "resp_theirs2"
        assert (await client.talks(method="GET", path=f"{PATH}/resp_theirs2")).status == 404


async def test_memory_is_a_plans_own() -> None:
    async with keeping() as play:
        client = await play.client()
        _, first = await turn(play, client, "one", "uno")
        where = f"{PATH}/{first.json['id']}"
        assert (await client.talks(method="GET", path=where)).status == 200
        await play.swap()
        assert (await (await play.client()).talks(method="GET", path=where)).status == 404


async def test_guards_see_the_whole_conversation() -> None:
    async with keeping(guards=(Use("guard.play"),)) as play:
        client = await play.client()
        _, first = await turn(play, client, "one", "uno")
        seen: list[Conversation] = []

        def judge(conversation: Conversation) -> Verdict:
            seen.append(conversation)
            return ALLOW

        play.scene.judge = judge
        await turn(play, client, "two", "due", previous_response_id=first.json["id"])
        assert [message.text for message in seen[0].messages] == ["one", "uno", "two"]


async def broken() -> None:
    """A store that is down."""
    raise OSError("the store is down")


async def test_a_store_that_is_down() -> None:
    async with keeping(FAR) as play:
        client = await play.client()
        play.trouble = 3
        play.scene.store = broken
        await turn(play, client, "one", "uno")
        reply = await client.talks({"model": "m", "input": "hi", "previous_response_id": "resp_1"}, path=PATH)
        assert (reply.status, reply.code) == (503, "state_unavailable")
        reply = await client.talks(method="GET", path=f"{PATH}/resp_1")
        assert (reply.status, reply.code) == (503, "state_unavailable")


async def test_a_conversation_that_is_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archflow_plugins.dialects.openai_responses.state.CHAIN_AT_MOST", 2)
    async with keeping() as play:
        client = await play.client()
        last = None
        for _ in range(3):
            _, reply = await turn(play, client, "hi", "ho", previous_response_id=last)
            last = reply.json["id"]
        reply = await client.talks({"model": "m", "input": "hi", "previous_response_id": last}, path=PATH)
        assert (reply.status, reply.code) == (400, "invalid_request")

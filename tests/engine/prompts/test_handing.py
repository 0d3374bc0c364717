"""Prompt targets that hand the conversation over: to an agent, and to an orchestrator as Arch does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from peers import Upstream, reply
from playbook import playing
from promptbook import WEATHER, Prompts, graph, text

pytestmark = pytest.mark.trio
EVENT = b'data: {"id":"1"}\n\n'
SALES = {"name": "sales", "description": "sells things"}
REPAIRS = {"name": "repairs", "description": "repairs, and refunds"}
ANSWER = {"id": "1", "choices": [{"index": 0, "message": text("sold", "assistant")}]}


@asynccontextmanager
async def orchestrated(*targets: dict[str, Any], **more: Any) -> AsyncIterator[Prompts]:
    """A gateway whose only endpoint is an orchestrator with agents behind it."""
    async with playing(Upstream(), Upstream()) as play:
        overrides = {"use_agent_orchestrator": True, **more.pop("overrides", {})}
        await play.swap(graph(play.upstreams, *(targets or (SALES, REPAIRS)), overrides=overrides, **more))
        play.upstreams[1].script = lambda _: reply(ANSWER)
        yield Prompts(play, await play.client())


async def test_the_orchestrator_is_told_which_agent_is_asked() -> None:
    async with orchestrated(system_prompt="be kind") as play:
        play.matches("repairs")
        answer = await play.ask("it is broken", temperature=0.5, headers=("Authorization: Bearer mine",))
        assert answer.json == ANSWER
        assert (answer.header("x-arch-agent"), answer.header("x-arch-prompt-target")) == (
            "repairs",
            "repairs",
        )
        asked = play.api.requests[0]
        assert (asked.target, asked.header("authorization")) == ("/v1/chat/completions", None)
        assert asked.json == {
            "model": "none",
            "messages": [text("be kind", "system"), text("it is broken")],
            "temperature": 0.5,
            "metadata": {"use_agent_orchestrator": "true", "agent-name": "repairs"},
        }
        record = await play.play.record()
        assert asked.header("traceparent") == f"00-{record.trace_id}-{record.attempts[0].span_id}-00"
        assert (record.provider, record.attempts[0].upstream) == ("agent", "repairs")
        assert not play.model.requests


async def test_what_the_client_says_in_its_metadata_stays_but_cannot_name_the_agent() -> None:
    async with orchestrated(overrides={"optimize_context_window": True}) as play:
        play.matches("sales")
        await play.ask("a lamp", metadata={"mine": "1", "agent-name": "admin", "x-arch-state": "{}"})
        assert play.api.requests[0].json["metadata"] == {
            "mine": "1",
            "agent-name": "sales",
            "use_agent_orchestrator": "true",
            "optimize_context_window": "true",
        }


@pytest.mark.parametrize("metadata", [7, "x", []])
async def test_metadata_that_is_no_object_is_the_clients_mistake(metadata: object) -> None:
    async with orchestrated() as play:
        play.matches("sales")
        assert (await play.ask("a lamp", metadata=metadata)).status == 400
        assert not play.api.requests


async def test_without_a_match_it_is_asked_and_told_of_no_agent() -> None:
    async with orchestrated() as play:
        play.matches()
        assert (await play.ask("hello")).json == ANSWER
        assert play.api.requests[0].json == {"model": "none", "messages": [text("hello")]}
        assert (await play.ask([text("only", "assistant")])).json == ANSWER


async def test_the_default_one_takes_what_matches_no_other() -> None:
    async with orchestrated(SALES, {**REPAIRS, "default": True}) as play:
        play.matches()
        await play.ask("hello")
        assert play.api.requests[0].json["metadata"]["agent-name"] == "repairs"


async def test_its_stream_is_relayed_as_it_comes() -> None:
    async with orchestrated() as play:
        play.matches("sales")
        play.api.script = None
        await play.send("a lamp", stream=True)
        asked = await play.api.asked()
        assert asked.json["stream"] is True
        await asked.stream(EVENT)
        answer = await play.client.begins()
        await asked.end()
        whole = await play.client.rest(answer)
        assert (whole.header("content-type"), whole.body) == ("text/event-stream", EVENT)


async def test_a_dialect_without_place_for_it_is_told_all_the_same() -> None:
    async with orchestrated() as play:
        play.matches("sales")
        body = {"model": "m", "max_tokens": 9, "messages": [text("a lamp")], "metadata": {"user_id": "u"}}
        await play.client.ask(body, path="/v1/messages")
        await play.reply()
        asked = play.api.requests[0]
        told = {"use_agent_orchestrator": "true", "agent-name": "sales", "user_id": "u"}
        assert (asked.target, asked.json) == ("/v1/messages", {**body, "metadata": told})


async def test_one_that_is_down_is_told_of_as_arch_does() -> None:
    async with orchestrated() as play:
        play.matches("sales")
        await play.api.leave()
        answer = await play.ask("a lamp")
        assert (answer.status, answer.json["error"]["type"]) == (500, "AgentFilterChainError")


async def test_an_agent_that_is_named_with_a_path_is_called_there() -> None:
    async with playing(Upstream(), Upstream(), Upstream()) as play:
        agent = play.upstreams[2]
        agents = [{"id": "shop", "url": f"{agent.url}/shop"}]
        target = {**WEATHER, "endpoint": {"name": "shop", "path": "/lamps/{city}"}}
        await play.swap(graph(play.upstreams[:2], target, agents=agents))
        agent.script = lambda _: reply(b"two left")
        book = Prompts(play, await play.client())
        book.matches("weather", city="Bergen")
        await book.send("lamps in Bergen?")
        assert (await book.told())["messages"] == [text("lamps in Bergen?\ncontext: two left")]
        await book.reply()
        assert agent.requests[0].target == "/lamps/Bergen?units=metric"


async def test_no_model_is_needed() -> None:
    async with orchestrated(model_providers=[]) as play:
        play.matches("sales")
        assert (await play.ask("a lamp")).json == ANSWER


async def test_a_target_may_be_an_agent_beside_one_that_is_called() -> None:
    async with playing(Upstream(), Upstream(), Upstream()) as play:
        agent = play.upstreams[2]
        target = {**SALES, "endpoint": {"name": "shop"}, "system_prompt": "be brief"}
        agents = [{"id": "shop", "url": f"{agent.url}/shop"}]
        await play.swap(graph(play.upstreams[:2], WEATHER, target, agents=agents, system_prompt="be kind"))
        agent.script = lambda _: reply(ANSWER)
        book = Prompts(play, await play.client())
        book.matches("weather", city="Bergen")
        await book.send("weather in Bergen?")
        await book.answered(b"rain")
        await book.told()
        state = (await book.reply()).json["metadata"]["x-arch-state"]
        book.matches("sales")
        turns = [text("weather in Bergen?"), text("It rains", "assistant"), text("an umbrella")]
        answer = await book.ask(turns, metadata={"x-arch-state": state}, top_p=0.5)
        assert (answer.json, answer.header("x-arch-agent")) == (ANSWER, "shop")
        assert agent.requests[0].target == "/shop/v1/chat/completions"
        assert agent.requests[0].json == {
            "model": "none",
            "messages": [text("be brief", "system"), text("weather in Bergen?\ncontext: rain"), *turns[1:]],
            "top_p": 0.5,
        }

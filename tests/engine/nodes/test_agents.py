"""Agents: who is chosen, what is handed on, and what a client hears when an agent fails."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from archflow_engine.metrics import render
from peers import STREAM, Upstream, chunk, reply
from playbook import Play, compiled, playing

pytestmark = pytest.mark.trio
EVENT = b'data: {"id":"1"}\n\n'
ASKED = {"model": "any", "messages": [{"role": "user", "content": "a room in Rome"}], "temperature": 0.5}
ANSWER = {"id": "1", "choices": [{"index": 0, "message": {"role": "assistant", "content": "done"}}]}
LISTENER = """
version: v0.4.0
agents:
  - {{id: flights, url: "{flights}"}}
  - {{id: hotels, url: "{hotels}/api/"}}
listeners:
  - name: travel
    type: agent
    port: 8001
    router: {router}
    agents:
      - {{id: flights, description: finds and books flights}}
      - {{id: hotels, description: finds hotels{default}}}
model_providers:
  - {{model: openai/router, base_url: "{model}", access_key: $UPSTREAM_KEY}}
"""
ONE = """
version: v0.4.0
agents: [{{id: flights, url: "{url}"}}]
listeners: [{{name: travel, type: agent, port: 8001, agents: [{{id: flights}}]}}]
"""


@asynccontextmanager
async def travelling(*, default: bool = False, router: str = "openai/router") -> AsyncIterator[Play]:
    """A play with the agents `flights` and `hotels`, and a model that chooses."""
    async with playing(Upstream(), Upstream(), Upstream()) as play:
        flights, hotels, model = (upstream.url for upstream in play.upstreams)
        text = LISTENER.format(
            flights=flights,
            hotels=hotels,
            model=model,
            router=router,
            default=", default: true" if default else "",
        )
        await play.swap(compiled(text))
        yield play


def says(route: str) -> bytes:
    """A router model's answer."""
    return reply({
        "id": "r", "object": "chat.completion", "created": 1, "model": "router",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": route}}],
    })  # fmt: skip


async def test_one_agent_gets_every_request_as_it_came() -> None:
    async with playing() as play:
        await play.swap(compiled(ONE.format(url=play.upstream.url)))
        play.upstream.script = lambda _: reply(ANSWER)
        client = await play.client()
        answer = await client.talks(
            b'{"messages" : [], "unheard_of": 1}',
            path="/v1/chat/completions?a=1",
            headers=("Authorization: Bearer mine", "X-Team: red", "X-Request-ID: r-1"),
        )
        assert (answer.status, answer.json) == (200, ANSWER)
        assert answer.header("x-arch-agent") == "flights"
        asked = play.upstream.requests[0]
        assert (asked.target, asked.body) == (
            "/v1/chat/completions?a=1",
            b'{"messages" : [], "unheard_of": 1}',
        )
        assert (asked.header("authorization"), asked.header("x-team")) == (None, "red")
        assert asked.header("x-request-id") == "r-1"
        record = await play.record()
        assert asked.header("traceparent") == f"00-{record.trace_id}-{record.attempts[0].span_id}-00"
        assert (record.provider, record.attempts[0].upstream, record.status) == ("agent", "flights", 200)


async def test_what_clients_name_a_model_is_in_the_record_and_in_no_metric() -> None:
    async with playing() as play:
        await play.swap(compiled(ONE.format(url=play.upstream.url)))
        client = await play.client()
        for number in range(3):
            await client.ask({**ASKED, "model": f"strange-{number}"})
            await (await play.upstream.asked()).reply(ANSWER)
            await client.reply()
            record = await play.record()
            assert (record.model_asked, record.model_sent, record.model) == (f"strange-{number}",) * 2 + ("",)
        assert "strange" not in render(play.gateway.snapshot())


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/v1/responses"])
async def test_an_agent_is_asked_in_the_clients_own_dialect(path: str) -> None:
    async with playing() as play:
        await play.swap(compiled(ONE.format(url=f"{play.upstream.url}/base")))
        play.upstream.script = lambda _: reply({"any": "thing"})
        assert (await (await play.client()).talks({"model": "x"}, path=path)).json == {"any": "thing"}
        assert play.upstream.requests[0].target == f"/base{path}"


async def test_a_url_may_hold_the_whole_path_already() -> None:
    async with playing() as play:
        await play.swap(compiled(ONE.format(url=f"{play.upstream.url}/v1/chat/completions")))
        play.upstream.script = lambda _: reply(ANSWER)
        assert (await (await play.client()).talks(ASKED)).status == 200
        assert play.upstream.requests[0].target == "/v1/chat/completions"


async def test_a_stream_is_relayed_as_it_comes() -> None:
    async with playing() as play:
        await play.swap(compiled(ONE.format(url=play.upstream.url)))
        client = await play.client()
        await client.ask({**ASKED, "stream": True})
        asked = await play.upstream.asked()
        await asked.stream(EVENT)
        answer = await client.begins()
        await client.reads(EVENT)
        await asked.more(EVENT)
        await asked.end()
        assert (await client.rest(answer)).body.endswith(EVENT)


async def test_a_client_that_leaves_ends_the_agents_work() -> None:
    async with playing() as play:
        await play.swap(compiled(ONE.format(url=play.upstream.url)))
        client = await play.client()
        await client.ask(ASKED)
        asked = await play.upstream.asked()
        await client.leave()
        await asked.connection.left()
        record = await play.record()
        assert (record.error, record.attempts[0].outcome) == ("client_gone", "cancelled")


async def test_the_router_chooses_by_description() -> None:
    async with travelling() as play:
        flights, hotels, model = play.upstreams
        hotels.script = lambda _: reply(ANSWER)
        model.script = lambda _: says('{"route": "hotels"}')
        answer = await (await play.client()).talks(ASKED)
        assert (answer.json, answer.header("x-arch-agent")) == (ANSWER, "hotels")
        assert answer.header("x-arch-route-reason") == "language_model"
        assert b"finds hotels" in model.requests[0].body
        assert hotels.requests[0].target == "/api/v1/chat/completions"
        assert hotels.requests[0].json == ASKED
        record = await play.record()
        assert [(one.option, one.reason) for one in record.decisions] == [("hotels", "language_model")]
        assert [one.upstream for one in record.attempts] == ["openai/router", "hotels"]
        assert not flights.requests


@pytest.mark.parametrize(("default", "chosen"), [(False, "flights"), (True, "hotels")])
async def test_none_goes_to_the_default_agent_else_to_the_first(default: bool, chosen: str) -> None:
    async with travelling(default=default) as play:
        *agents, model = play.upstreams
        model.script = lambda _: says('{"route": "other"}')
        for agent in agents:
            agent.script = lambda _: reply(ANSWER)
        assert (await (await play.client()).talks(ASKED)).header("x-arch-agent") == chosen


async def test_a_router_that_fails_has_chosen_nobody() -> None:
    async with travelling(default=True) as play:
        play.outages = 1
        flights, hotels, model = play.upstreams
        model.script = lambda _: reply({"error": {"message": "no"}}, status=500)
        hotels.script = lambda _: reply(ANSWER)
        answer = await (await play.client()).talks(ASKED)
        assert (answer.header("x-arch-agent"), answer.header("x-arch-route-reason")) == ("hotels", "failed")
        assert (await play.record()).decisions[0].option == ""
        assert not flights.requests


async def test_what_no_router_can_read_is_the_clients_mistake() -> None:
    async with travelling() as play:
        assert (await (await play.client()).talks({"messages": 1})).status == 400


async def test_an_agent_that_refuses_or_hangs_up() -> None:
    async with playing() as play:
        await play.swap(compiled(ONE.format(url="http://127.0.0.1:1")))
        answer = await (await play.client()).talks(ASKED)
        error = answer.json["error"]
        assert (answer.status, error["type"]) == (500, "AgentFilterChainError")
        assert error["error_chain"] == [error["message"]]
        assert "127.0.0.1:1" in error["message"]
        record = await play.record()
        assert (record.error, record.attempts[0].outcome) == ("agent_failed", "refused")
        assert record.request_id in error["debug_info"]


async def test_an_agents_own_error_is_relayed() -> None:
    async with playing() as play:
        await play.swap(compiled(ONE.format(url=play.upstream.url)))
        play.upstream.script = lambda _: reply({"detail": "no"}, status=422)
        answer = await (await play.client()).talks(ASKED)
        assert (answer.status, answer.json) == (422, {"detail": "no"})


async def test_a_stream_that_is_cut_says_so() -> None:
    async with playing() as play:
        await play.swap(compiled(ONE.format(url=play.upstream.url)))
        client = await play.client()
        await client.ask({**ASKED, "stream": True})
        asked = await play.upstream.asked()
        await asked.connection.send(STREAM + chunk(EVENT))
        answer = await client.begins()
        await asked.connection.close()
        assert b"upstream_failed" in (await client.rest(answer)).body


async def test_an_agent_that_is_not_there() -> None:
    async with playing() as play:
        await play.swap(
            compiled(
                ONE.format(url=play.upstream.url).replace("agents: [{id: flights}]}", "agents: [{id: gone}]}")
            )
        )
        answer = await (await play.client()).talks(ASKED)
        assert (answer.status, answer.message) == (500, "Agent 'gone' not found in agent map")

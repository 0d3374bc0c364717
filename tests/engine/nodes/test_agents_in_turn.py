"""Several agents answer one request: who hears what, whose answer the client gets, and what ends it early."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from archflow_plugins.kinds import Choice
from peers import Asked, Upstream, reply
from playbook import Play, compiled, playing

pytestmark = pytest.mark.trio
USER = {"role": "user", "content": "a flight and a room"}
ASKED = {"model": "m", "messages": [{"role": "system", "content": "be kind"}, USER], "unheard_of": [1.50]}
TRAVEL = """
version: v0.4.0
agents: [{{id: flights, url: "{0}"}}, {{id: hotels, url: "{1}"}}]
filters: [{{id: masks, url: "{2}", type: http}}]
listeners:
  - name: travel
    type: agent
    port: 8001
    router: static
    agents:
      - {{id: flights, description: finds flights, input_filters: [masks]}}
      - {{id: hotels, description: finds hotels}}
"""


def says(text: str) -> dict[str, object]:
    """A whole answer."""
    message = {"role": "assistant", "content": text}
    return {"id": "1", "created": 1, "model": "x", "choices": [{"index": 0, "message": message}]}


def hidden(asked: Asked) -> bytes:
    """What the filter makes of a request."""
    return reply(asked.body.replace(b"flight", b"******"))


@asynccontextmanager
async def travelling(*also: str) -> AsyncIterator[tuple[Play, Upstream, Upstream, Upstream]]:
    """A play whose matcher chooses `flights` and others: the play, the agents, the filter of the first."""
    async with playing(Upstream(), Upstream(), Upstream()) as play:
        flights, hotels, masks = play.upstreams
        text = TRAVEL.format(*(one.url for one in play.upstreams))
        await play.swap(compiled(text, matcher="matcher.play"))
        play.scene.match = lambda _: Choice(option="flights", reason="ranked", confidence=0.9, also=also)
        flights.script = lambda _: reply(says("SK 1 at nine"))
        hotels.script = lambda _: reply(says("room 7"))
        masks.script = hidden
        yield play, flights, hotels, masks


async def test_the_next_one_knows_what_the_first_one_said() -> None:
    async with travelling("hotels", "flights", "nobody") as (play, flights, hotels, masks):
        answer = await (await play.client()).talks(ASKED)
        assert answer.json == says("room 7")
        agents = [value for name, value in answer.headers if name == b"x-arch-agent"]
        assert agents == [b"flights", b"hotels"]
        assert len(masks.requests) == len(flights.requests) == 1
        assert "a ****** and a room" in str(flights.requests[0].json)
        sent = hotels.requests[0].json
        said = {"role": "assistant", "content": "SK 1 at nine", "name": "flights"}
        assert sent["messages"] == [ASKED["messages"][0], said, USER]  # type: ignore[index]
        assert sent["unheard_of"] == [1.50]
        record = await play.record()
        assert [one.upstream for one in record.attempts][1:] == ["flights", "hotels"]
        assert [one.outcome for one in record.attempts] == ["answered", "answered", "streaming"]
        assert record.attempts[1].span_id in str(flights.requests[0].header("traceparent"))


async def test_only_the_last_one_streams() -> None:
    async with travelling("hotels") as (play, flights, hotels, _):
        hotels.script = None
        client = await play.client()
        await client.ask({**ASKED, "stream": True})
        asked = await hotels.asked()
        assert asked.json["stream"] is True
        assert not flights.requests[0].json.get("stream")
        await asked.stream(b'data: {"id":"1"}\n\n')
        answer = await client.begins()
        await asked.end()
        assert (await client.rest(answer)).body == b'data: {"id":"1"}\n\n'


async def test_another_dialect_has_its_own_words_for_the_answers() -> None:
    async with travelling("hotels") as (play, flights, hotels, masks):
        masks.script = lambda asked: reply(asked.body)
        whole = {"id": "1", "type": "message", "role": "assistant", "model": "x", "stop_reason": "end_turn"}
        flights.script = lambda _: reply({**whole, "content": [{"type": "text", "text": "SK 1 at nine"}]})
        body = {"model": "m", "max_tokens": 9, "messages": [USER]}
        assert (await (await play.client()).talks(body, path="/v1/messages")).status == 200
        sent = hotels.requests[0].json
        assert [one["role"] for one in sent["messages"]] == ["assistant", "user"]
        assert "SK 1 at nine" in str(sent["messages"][0])
        assert sent["max_tokens"] == 9


async def test_what_tools_answered_stays_behind_their_calls() -> None:
    async with travelling("hotels") as (play, flights, hotels, masks):
        masks.script = lambda asked: reply(asked.body)
        whole = {"id": "1", "type": "message", "role": "assistant", "model": "x", "stop_reason": "end_turn"}
        flights.script = lambda _: reply({**whole, "content": [{"type": "text", "text": "SK 1 at nine"}]})
        call = {"type": "tool_use", "id": "c", "name": "f", "input": {}}
        result = {"type": "tool_result", "tool_use_id": "c", "content": "sunny"}
        turns = [USER, {"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
        body = {"model": "m", "max_tokens": 9, "messages": turns}
        assert (await (await play.client()).talks(body, path="/v1/messages")).status == 200
        sent = hotels.requests[0].json["messages"]
        assert [one["role"] for one in sent] == ["assistant", "user", "assistant", "user"]
        assert "SK 1 at nine" in str(sent[0])


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (reply(b"down", status=503), "the agent 'flights' answered with status 503"),
        (reply(b"{"), ""),
        (reply(says("")), "No content in response from agent 'flights'"),
    ],
)
async def test_one_that_fails_ends_it(said: bytes, words: str) -> None:
    async with travelling("hotels") as (play, flights, hotels, _):
        flights.script = lambda _: said
        answer = await (await play.client()).talks(ASKED)
        assert (answer.status, answer.json["error"]["type"]) == (500, "AgentFilterChainError")
        assert words in answer.message
        assert not hotels.requests
        assert (await play.record()).error == "agent_failed"


async def test_a_filter_that_refuses_ends_it() -> None:
    async with travelling("hotels") as (play, flights, hotels, masks):
        masks.script = lambda _: reply(b"no", status=403)
        assert (await (await play.client()).talks(ASKED)).status == 403
        assert not flights.requests
        assert not hotels.requests


async def test_a_client_that_leaves_ends_the_first_ones_work() -> None:
    async with travelling("hotels") as (play, flights, hotels, _):
        flights.script = None
        client = await play.client()
        await client.ask(ASKED)
        asked = await flights.asked()
        await client.leave()
        await asked.connection.left()
        assert (await play.record()).error == "client_gone"
        assert not hotels.requests

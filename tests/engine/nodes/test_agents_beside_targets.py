"""One listener for agents, prompt targets and models: who gets what, alone and in turn, behind guards and filters."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from archflow_plugins import Verdict
from archflow_plugins.kinds import Choice
from peers import Asked, Upstream, reply
from playbook import ADDRESS, playing
from promptbook import WEATHER, Prompts, graph, text

pytestmark = pytest.mark.trio
JOKES = {"name": "jokes", "description": "tells jokes", "system_prompt": "be funny"}
BOOKING = {
    "name": "booking",
    "description": "books",
    "endpoint": {"name": "flights"},
    "system_prompt": "be quick",
}
BOTH = {"name": "both", "description": "calls too", "endpoint": {"name": "api", "path": "/both"}}


def says(words: str) -> dict[str, Any]:
    """A whole answer of an agent."""
    return {
        "id": "1",
        "created": 1,
        "model": "x",
        "choices": [{"index": 0, "message": text(words, "assistant")}],
    }


class Desk(Prompts):
    """A play of a listener of type agent; `flights` is an agent."""

    @property
    def flights(self) -> Upstream:
        return self.play.upstreams[2]

    def chooses(self, *names: str) -> None:
        """From now on these are selected, in this order."""
        self.play.scene.match = lambda _: Choice(
            option=names[0] if names else "", also=names[1:], reason="ranked", confidence=0.9
        )


@asynccontextmanager
async def desk(*agents: dict[str, Any], **more: Any) -> AsyncIterator[Desk]:
    """A gateway whose listener selects among `agents`: by default a target that is called, an agent and a model."""
    async with playing(Upstream(), Upstream(), Upstream()) as play:
        listed = agents or (
            {"id": "weather"},
            {"id": "flights", "description": "finds flights"},
            {"id": "openai/m", "description": "knows the rest", "default": True},
        )
        listener = {"name": f"egress-{ADDRESS}", "type": "agent", "address": ADDRESS, "port": 8001}
        more.setdefault("agents", [{"id": "flights", "url": play.upstreams[2].url}])
        made = graph(
            play.upstreams[:2],
            WEATHER,
            JOKES,
            BOOKING,
            BOTH,
            listeners=[{**listener, "router": "matcher.play", "agents": listed, **more.pop("listener", {})}],
            **more,
        )
        await play.swap(made)
        yield Desk(play, await play.client())


async def test_a_target_is_filled_and_called_and_a_model_tells_of_it() -> None:
    async with desk() as play:
        play.matches("weather", city="Bergen")
        play.chooses("weather")
        await play.send("how is the weather in Bergen?", temperature=0.5)
        assert (await play.answered(b"rain")).target == "/weather/Bergen?units=metric"
        sent = await play.told()
        assert sent["messages"] == [text("how is the weather in Bergen?\ncontext: rain")]
        assert sent["temperature"] == 0.5
        answer = await play.reply()
        assert answer.json["choices"][0]["message"]["content"] == "It rains"
        assert "weather" in answer.json["metadata"]["x-arch-state"]
        assert answer.header("x-arch-prompt-target") == "weather"
        assert answer.header("x-arch-agent") is None
        record = await play.play.record()
        assert [(one.option, one.reason) for one in record.decisions] == [("weather", "ranked")]


async def test_an_agent_gets_the_request_as_it_came() -> None:
    async with desk() as play:
        play.chooses("flights")
        play.flights.script = lambda _: reply(says("SK 1"))
        answer = await play.ask("a flight", unheard_of=[1.50])
        assert (answer.json, answer.header("x-arch-agent")) == (says("SK 1"), "flights")
        assert play.flights.requests[0].body.endswith(b'"unheard_of":[1.5]}')
        assert play.flights.requests[0].json == {
            "model": "none",
            "messages": [text("a flight")],
            "unheard_of": [1.5],
        }


@pytest.mark.parametrize("chosen", ["openai/m", ""])
async def test_a_model_answers_whatever_the_request_names_and_what_fits_nothing(chosen: str) -> None:
    async with desk() as play:
        play.chooses(*([chosen] if chosen else []))
        await play.send("hello")
        assert (await play.told())["model"] == "m"
        assert (await play.reply()).status == 200
        assert (await play.play.record()).model == "openai/m"


async def test_what_was_called_is_known_in_the_next_turn_and_never_told_as_it_stands() -> None:
    async with desk() as play:
        play.matches("weather", city="Bergen")
        play.chooses("weather")
        await play.send("weather in Bergen?")
        await play.answered(b"rain")
        await play.told()
        first = (await play.reply()).json
        turns = [text("weather in Bergen?"), text("It rains", "assistant"), text("then a flight away")]
        play.chooses("flights")
        play.flights.script = lambda _: reply(says("SK 1"))
        state = {"x-arch-state": first["metadata"]["x-arch-state"], "mine": "stays"}
        await play.ask(turns, metadata=state)
        sent = play.flights.requests[0].json
        assert sent["messages"] == [text("weather in Bergen?\ncontext: rain"), *turns[1:]]
        assert sent["metadata"] == {"mine": "stays"}


async def test_agents_answer_first_and_what_they_said_is_in_the_call_and_the_answer() -> None:
    async with desk() as play:
        play.matches("weather", city="Rome")
        play.chooses("weather", "flights")
        play.flights.script = lambda _: reply(says("SK 1 to Rome"))
        await play.send("a flight to Rome, and the weather there")
        await play.answered(b"sun")
        assert "SK 1 to Rome" in [part.text for part in play.filled[0][0].messages]
        said = {"role": "assistant", "content": "SK 1 to Rome", "name": "flights"}
        sent = await play.told()
        assert sent["messages"] == [said, text("a flight to Rome, and the weather there\ncontext: sun")]
        assert (await play.reply()).header("x-arch-agent") == "flights"


async def test_a_model_comes_after_the_agents() -> None:
    async with desk() as play:
        play.chooses("openai/m", "flights", "nobody")
        play.flights.script = lambda _: reply(says("SK 1"))
        await play.send("a flight, and a poem")
        sent = await play.told()
        assert [one["content"] for one in sent["messages"]] == ["SK 1", "a flight, and a poem"]
        await play.reply()


async def test_several_targets_are_one_prompt() -> None:
    async with desk({"id": "weather"}, {"id": "both"}, {"id": "flights", "description": "finds"}) as play:
        play.matches("weather", city="Rome")
        play.chooses("weather", "both")
        await play.send("weather, and both")
        await play.answered(b"sun")
        assert play.filled[0][1] == ("weather", "both")
        await play.told()
        await play.reply()


async def test_a_target_may_hand_over_or_only_be_told_of() -> None:
    async with desk({"id": "booking"}, {"id": "jokes"}) as play:
        play.chooses("booking")
        play.flights.script = lambda _: reply(says("SK 1"))
        answer = await play.ask("book it", top_p=0.5)
        assert (answer.json, answer.header("x-arch-prompt-target")) == (says("SK 1"), "booking")
        assert play.flights.requests[0].json == {
            "model": "none",
            "messages": [text("be quick", "system"), text("book it")],
            "top_p": 0.5,
        }
        play.chooses("jokes")
        await play.send("a joke")
        assert (await play.told())["messages"] == [text("be funny", "system"), text("a joke")]
        await play.reply()


async def test_what_fits_no_target_is_a_models_where_nobody_else_is() -> None:
    async with desk({"id": "weather"}, system_prompt="be kind") as play:
        play.chooses()
        await play.send("hello")
        assert (await play.told())["messages"] == [text("be kind", "system"), text("hello")]
        await play.reply()


async def test_what_a_filter_changed_is_what_is_filled_and_what_the_agent_gets() -> None:
    def hides(asked: Asked) -> bytes:
        return reply(asked.body.replace(b"4111", b"****"))

    async with playing(Upstream()) as masks:
        masks.upstream.script = hides
        filters = [{"id": "masks", "url": masks.upstream.url, "type": "http"}]
        names = ({"id": "weather"}, {"id": "flights", "description": "finds flights"})
        async with desk(*({**one, "input_filters": ["masks"]} for one in names), filters=filters) as play:
            play.matches("weather", city="Rome")
            play.chooses("weather", "flights")
            play.flights.script = lambda _: reply(says("SK 1"))
            turns = [text("weather?"), text("sun", "assistant"), text("a flight with 4111")]
            state = '{"messages":"[{\\"role\\":\\"tool\\",\\"content\\":\\"4111\\"}]"}'
            await play.send(turns, metadata={"x-arch-state": state})
            await play.answered(b"sun")
            await play.told()
            await play.reply()
            assert play.flights.requests[0].json["messages"][-1] == text("a flight with ****")
            assert "4111" not in play.filled[0][0].last_user_text


async def test_a_client_of_another_dialect_is_served_by_all_of_them() -> None:
    async with desk() as play:
        play.matches("weather", city="Bergen")
        play.chooses("weather")
        body = {"model": "m", "max_tokens": 9, "messages": [text("weather in Bergen?")]}
        await play.client.ask(body, path="/v1/messages")
        await play.answered(b"rain")
        await play.told()
        assert (await play.reply()).json["content"][0]["text"] == "It rains"
        play.chooses("flights")
        play.flights.script = lambda _: reply({"any": "thing"})
        await play.client.ask(body, path="/v1/messages")
        assert (await play.reply()).json == {"any": "thing"}
        assert play.flights.requests[0].json == body


async def test_a_client_of_responses_goes_on_from_a_reply_of_ours() -> None:
    names = ({"id": "groq/m", "description": "knows"}, {"id": "flights", "description": "finds flights"})
    async with desk(*names, provider={"model": "groq/m"}) as play:
        play.chooses("groq/m")
        await play.client.ask({"model": "m", "input": "hello"}, path="/v1/responses")
        await play.told()
        first = (await play.reply()).json["id"]
        play.chooses("flights")
        play.flights.script = lambda _: reply({"any": "thing"})
        more = {"model": "m", "input": "a flight", "previous_response_id": first}
        await play.client.ask(more, path="/v1/responses")
        await play.reply()
        sent = str(play.flights.requests[0].json["input"])
        assert [words in sent for words in ("hello", "It rains", "a flight")] == [True] * 3


async def test_a_guard_stands_before_all_of_them() -> None:
    guards = [{"kind": "play"}]
    async with desk(listener={"guards": guards}) as play:
        play.play.scene.judge = lambda _: Verdict(allow=False, message="no")
        play.chooses("flights")
        answer = await play.ask("a flight")
        assert (answer.status, answer.message) == (400, "no")
        assert not play.flights.requests
        assert not play.api.requests
        assert not play.model.requests

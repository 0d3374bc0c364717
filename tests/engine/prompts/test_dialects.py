"""Conversations that go on as other ones than came, to upstreams of the client's own dialect and of others."""

from __future__ import annotations

from typing import Any

import pytest

from archflow_engine.prompts import state
from archflow_schema.slots import Question
from playbook import RED
from promptbook import ANSWER, WEATHER, prompts, text

pytestmark = pytest.mark.trio

CLAUDE: dict[str, Any] = {"model": "anthropic/m"}
SAYS: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-x",
    "content": [{"type": "text", "text": "It rains"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 9, "output_tokens": 2},
}


async def test_a_rewritten_request_of_the_upstreams_own_dialect_keeps_every_other_field() -> None:
    async with prompts(WEATHER, provider=CLAUDE, system_prompt="be kind") as play:
        play.matches("weather", city="Bergen")
        await play.send(
            "how is it?",
            path="/v1/messages?beta=true",
            headers=("anthropic-beta: tools-2026",),
            max_tokens=50,
            container="c_1",
            thinking={"type": "disabled"},
            system=[{"type": "text", "text": "be brief", "cache_control": {"type": "ephemeral"}}],
        )
        await play.answered(b"rain")
        asked = await play.model.asked()
        assert asked.target == "/v1/messages?beta=true"
        assert asked.header("anthropic-beta") == "tools-2026"
        told = asked.json
        assert (told["container"], told["thinking"], told["max_tokens"], told["model"]) == (
            "c_1",
            {"type": "disabled"},
            50,
            "m",
        )
        assert [one["text"] for one in told["system"]] == ["be kind", "be brief"]
        assert "how is it?\ncontext: rain" in str(told["messages"]).replace("\\n", "\n")
        assert len(told["messages"]) == 1
        await asked.reply(SAYS)
        assert (await play.reply()).json == SAYS


async def test_a_client_of_chat_before_an_upstream_of_another_dialect() -> None:
    async with prompts(WEATHER, provider=CLAUDE) as play:
        play.matches("weather", city="Bergen")
        await play.send("how is it?", odd=1)
        await play.answered(b"rain")
        asked = await play.model.asked()
        assert asked.target == "/v1/messages"
        await asked.reply(SAYS)
        answer = await play.reply()
        assert answer.header("x-arch-dropped") == "odd"
        assert answer.json["choices"][0]["message"]["content"] == "It rains"
        assert state.STATE in answer.json["metadata"]


async def test_an_error_of_the_model_keeps_its_status_and_form() -> None:
    async with prompts(WEATHER) as play:
        play.matches("weather", city="Bergen")
        for stream in (False, True):
            await play.send("how is it?", stream=stream)
            await play.answered(b"rain")
            asked = await play.model.asked()
            await asked.reply({"error": {"message": "too many", "code": "rate_limit"}}, status=429)
            answer = await play.reply()
            assert (answer.status, answer.message) == (429, "too many")


async def test_a_question_of_ours_is_kept_for_a_client_that_goes_on_from_it() -> None:
    async with prompts(WEATHER) as play:
        play.matches("weather", calls=Question("In which city?", ("city",)))
        await play.client.ask({"model": "m", "input": "how is it?"}, path="/v1/responses")
        asked = (await play.reply()).json
        assert asked["output"][0]["content"][0]["text"] == "In which city?"
        again = {"model": "m", "input": "Bergen", "previous_response_id": asked["id"]}
        await play.client.ask(again, path="/v1/responses")
        assert (await play.reply()).status == 200
        said = [(one.role, one.text) for one in play.seen[-1].messages]
        assert said == [("user", "how is it?"), ("assistant", "In which city?"), ("user", "Bergen")]


async def test_a_router_after_the_call_chooses_for_what_the_model_is_asked() -> None:
    preferences = [{"name": "code", "description": "writes code", "models": ["openai/m"]}]
    routing = {"router": {"kind": "static", "option": "code"}}
    async with prompts(WEATHER, routing_preferences=preferences, routing=routing) as play:
        play.matches("weather", city="Bergen")
        own = [{"name": "talk", "description": "talks", "models": ["openai/m"]}]
        await play.send("how is it?", routing_preferences=own, metadata={"x-arch-state": "[]", "team": "red"})
        await play.answered(b"rain")
        told = await play.told()
        assert told["messages"] == [text("how is it?\ncontext: rain")]
        assert told["metadata"] == {"team": "red"}
        assert "routing_preferences" not in told
        assert (await play.reply()).status == 200


async def test_a_rate_limit_counts_what_the_model_is_asked() -> None:
    limits = [
        {
            "model": "m",
            "selector": {"key": "x-team", "value": "red"},
            "limit": {"tokens": 100, "unit": "minute"},
        }
    ]
    async with prompts(WEATHER, ratelimits=limits) as play:
        play.matches("weather", city="Bergen")
        for size, status in ((200, 200), (4000, 429)):
            await play.send("how is it?", headers=RED)
            await play.answered(b"x" * size)
            if status == 200:
                await play.told()
            assert (await play.reply()).status == status


async def test_a_model_that_never_streams_is_asked_as_it_can_be() -> None:
    async with prompts(WEATHER, system_prompt="be kind") as play:
        play.matches()
        await play.send("hello", stream=True, stream_options={"include_usage": True})
        asked = await play.model.asked()
        assert asked.json["stream_options"] == {"include_usage": True}
        await asked.reply(ANSWER)
        await play.reply()

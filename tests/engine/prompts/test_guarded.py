"""Guards of answers at a prompt listener: what services say to clients is judged as what models say."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import json

from archflow_plugins.framing import sse
from promptbook import WEATHER, prompts

pytestmark = pytest.mark.trio
DONE = b"data: [DONE]\n\n"
VERBATIM: dict[str, Any] = {**WEATHER, "auto_llm_dispatch_on_response": False}
GUARDS: dict[str, Any] = {
    "prompt_guards": {
        "output_guards": [{"kind": "regex", "deny_words": ["secret"], "message": "not that, secret or not"}]
    }
}
SAYS: dict[str, Any] = {
    "prompt_guards": {"output_guards": [{**GUARDS["prompt_guards"]["output_guards"][0], "status": 200}]}
}


async def test_a_models_answer_is_judged() -> None:
    async with prompts(WEATHER, **GUARDS) as play:
        play.matches("weather", city="Bergen")
        await play.send("how is it in Bergen?")
        await play.answered(b"rain")
        await play.told()
        assert (await play.reply()).json["choices"][0]["message"]["content"] == "It rains"
        assert ("output guard regex", "allow") in (await play.play.record()).guards


async def test_a_services_answer_that_is_the_reply_is_judged() -> None:
    async with prompts(VERBATIM, **GUARDS) as play:
        play.matches("weather", city="Bergen")
        await play.send("how is it in Bergen?")
        await play.answered(b'{"rain":"yes"}')
        answer = await play.reply()
        assert (answer.status, b"rain" in answer.body) == (200, True)
        await play.send("how is it in Bergen?")
        await play.answered(b'{"rain":"a Secret"}')
        answer = await play.reply()
        assert (answer.status, answer.code, answer.message) == (
            400,
            "guard_denied",
            "not that, secret or not",
        )
        assert answer.header("x-arch-guard") == '"regex";score=1.000'


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_the_guards_own_words_are_not_judged(stream: bool) -> None:
    async with prompts(VERBATIM, **SAYS) as play:
        play.matches("weather", city="Bergen")
        await play.send("how is it in Bergen?", stream=stream)
        await play.answered(b"a secret rain")
        answer = await play.reply()
        assert answer.status == 200
        assert b"not that, secret or not" in answer.body
        assert b"secret rain" not in answer.body


async def test_bytes_that_are_no_text_are_judged_as_far_as_they_are_and_keep_their_form() -> None:
    async with prompts(VERBATIM, **GUARDS) as play:
        play.matches("weather", city="Bergen")
        await play.send("how is it in Bergen?")
        await play.answered(b'{"rain": "\xff\xfe"}')
        assert b"\xff\xfe" in (await play.reply()).body


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_what_was_called_for_an_answer_that_is_denied_is_not_told_either(stream: bool) -> None:
    async with prompts(WEATHER, **SAYS) as play:
        play.matches("weather", city="Bergen")
        await play.send("how is it in Bergen?", stream=stream)
        await play.answered(b"a wet rain")
        asked = await play.model.asked()
        field, end = ("delta", None) if stream else ("message", "stop")
        choice = {"index": 0, field: {"role": "assistant", "content": "a secret"}, "finish_reason": end}
        said = json.encode({"id": "c", "model": "x", "choices": [choice]})
        if stream:
            await asked.reply(sse.encode(said) + DONE, headers=("content-type: text/event-stream",))
        else:
            await asked.reply(said)
        answer = await play.reply()
        assert b"not that" in answer.body
        assert b"wet" not in answer.body

"""Prompts through the gateway: what is matched, called and asked, and what a client is told of it."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import json

from archflow_plugins.framing import sse
from archflow_schema.slots import Filled, Question
from peers import Reply
from promptbook import ANSWER, WEATHER, call, prompts, text

pytestmark = pytest.mark.trio


def events(answer: Reply) -> list[dict[str, Any]]:
    """The data of a reply's events, without the last."""
    found = [event.data for event in sse.Splitter().feed(answer.body)]
    return [json.decode(one) for one in found if one != b"[DONE]"]


async def test_a_prompt_becomes_a_call_and_its_answer_context() -> None:
    async with prompts(WEATHER, system_prompt="be kind") as play:
        play.matches("weather", city="Bergen", days=2)
        await play.send(
            [
                text("be brief", "system"),
                text("hello"),
                text("hi", "assistant"),
                text("how is it in Bergen?"),
            ],
            temperature=0.3,
            tools=[{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}],
            max_completion_tokens=50,
            odd={"of": ["a", "vendor"]},
        )
        asked = await play.answered({"rain": True})
        assert (asked.method, asked.target, asked.body) == ("GET", "/weather/Bergen?days=2&units=metric", b"")
        told = await play.told()
        assert told == {
            "model": "m",
            "messages": [
                text("be kind", "system"),
                text("be brief", "system"),
                text("hello"),
                text("hi", "assistant"),
                text('how is it in Bergen?\ncontext: {"rain":true}'),
            ],
            "temperature": 0.3,
            "tools": [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}],
            "max_completion_tokens": 50,
            "odd": {"of": ["a", "vendor"]},
        }
        answer = await play.reply()
        assert answer.status == 200
        assert answer.json["choices"] == [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "It rains", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ]
        assert answer.header("x-arch-prompt-target") == "weather"
        record = await play.play.record()
        assert [(one.upstream, one.outcome, one.status) for one in record.attempts] == [
            ("api", "answered", 200),
            ("openai/m", "streaming", 200),
        ]
        assert [(one.option, one.reason) for one in record.decisions] == [("weather", "ranked")]
        assert record.usage is not None
        assert record.usage.output_tokens == 2


async def test_the_reply_tells_what_was_called_as_arch_does() -> None:
    async with prompts(WEATHER) as play:
        play.matches("weather", city="Bergen")
        await play.send("how is it in Bergen?")
        await play.answered(b"rain")
        await play.told()
        metadata = (await play.reply()).json["metadata"]
        state = json.decode(json.decode(metadata["x-arch-state"])["messages"])
        assert [one["role"] for one in state] == ["assistant", "tool"]
        assert state[0] == json.decode(metadata["x-arch-tool-call-message"])
        assert state[1] == json.decode(metadata["x-arch-api-response-message"])
        called = {"name": "weather", "arguments": {"city": "Bergen", "units": "metric"}}
        assert state[0]["tool_calls"][0]["function"] == called
        assert json.decode(state[0]["content"]) == {"tool_calls": [called]}
        assert json.decode(json.decode(metadata["x-arch-fc-model-response"])) == {"tool_calls": [called]}
        assert state[1]["content"] == "rain"
        assert state[1]["tool_call_id"] == state[0]["tool_calls"][0]["id"]
        assert {one["model"] for one in state} == {"Arch-Function"}


async def test_a_stream_begins_with_what_was_called() -> None:
    async with prompts(WEATHER) as play:
        play.matches("weather", city="Bergen")
        await play.send("how is it in Bergen?", stream=True)
        await play.answered(b"rain")
        asked = await play.model.asked()
        assert asked.json["stream"] is True
        chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-x"}
        deltas: list[tuple[dict[str, str], str | None]] = [
            ({"role": "assistant", "content": ""}, None),
            ({"content": "It "}, None),
            ({"content": "rains"}, "stop"),
        ]
        await asked.stream(
            *(
                sse.encode(json.encode({**chunk, "choices": [{"index": 0, "delta": d, "finish_reason": f}]}))
                for d, f in deltas
            ),
            b"data: [DONE]\n\n",
        )
        await asked.end()
        answer = await play.reply()
        assert answer.header("content-type") == "text/event-stream"
        found = events(answer)
        assert [(one["model"], one["choices"][0]["delta"].get("role")) for one in found[:3]] == [
            ("Arch-Function", "assistant"),
            ("Arch-Function", "tool"),
            ("gpt-x", "assistant"),
        ]
        assert json.decode(found[0]["choices"][0]["delta"]["content"])["tool_calls"][0]["name"] == "weather"
        assert found[1]["choices"][0]["delta"]["content"] == "rain"
        assert "".join(one["choices"][0]["delta"].get("content", "") for one in found[3:]) == "It rains"
        assert answer.body.endswith(b"data: [DONE]\n\n")


async def test_without_state_the_models_reply_is_relayed_as_it_came() -> None:
    async with prompts(WEATHER, prompting={"state": "none"}) as play:
        play.matches("weather", city="Bergen")
        await play.send("how is it in Bergen?", headers=("x-stainless-lang: python",))
        await play.answered(b"rain")
        asked = await play.model.asked()
        assert asked.header("x-stainless-lang") == "python"
        await asked.reply(ANSWER)
        assert (await play.reply()).json == ANSWER


async def test_a_prompt_that_matches_nothing_gets_the_system_prompt() -> None:
    async with prompts(WEATHER, system_prompt="be kind") as play:
        play.matches()
        await play.send("who are you?", temperature=0.3)
        told = await play.told()
        assert told["messages"] == [text("be kind", "system"), text("who are you?")]
        assert told["temperature"] == 0.3
        answer = await play.reply()
        assert answer.json == ANSWER
        assert answer.header("x-arch-prompt-target") is None


async def test_a_prompt_that_matches_nothing_and_has_no_system_prompt_goes_on_as_it_came() -> None:
    async with prompts(WEATHER) as play:
        play.matches()
        await play.client.ask(b'{ "messages": [{"content":"hi", "role":"user"}], "odd": 1.0 }')
        asked = await play.model.asked()
        assert b'"messages":[{"content":"hi", "role":"user"}],"odd":1.0' in asked.body
        await asked.reply(ANSWER)
        assert (await play.reply()).json == ANSWER


async def test_a_target_without_an_endpoint_is_a_system_prompt() -> None:
    joke = {"name": "joke", "description": "tells jokes", "system_prompt": "be funny"}
    plain = {"name": "plain", "description": "says it plainly"}
    async with prompts(joke, plain, system_prompt="be kind") as play:
        for target, prompt in (("joke", "be funny"), ("plain", "be kind")):
            play.matches(target)
            await play.send("tell me one")
            assert (await play.told())["messages"] == [text(prompt, "system"), text("tell me one")]
            assert (await play.reply()).status == 200
        assert play.filled == []


async def test_the_targets_own_system_prompt_comes_before_the_global_one() -> None:
    async with prompts({**WEATHER, "system_prompt": "be a sailor"}, system_prompt="be kind") as play:
        play.matches("weather", city="Bergen")
        await play.send("how is it?")
        await play.answered(b"rain")
        assert (await play.told())["messages"][0] == text("be a sailor", "system")
        await play.reply()


async def test_what_is_missing_is_asked_for() -> None:
    async with prompts(WEATHER) as play:
        play.matches("weather", calls=Question("In which city?", ("city",), "weather"))
        answer = await play.ask("how is the weather?")
        assert answer.status == 200
        assert answer.json["choices"][0]["message"]["content"] == "In which city?"
        assert answer.json["model"] == "Arch-Function"
        said = json.decode(json.decode(answer.json["metadata"]["x-arch-fc-model-response"]))
        assert said == {"required_functions": ["weather"], "clarification": "In which city?"}
        streamed = events(await play.ask("how is the weather?", stream=True))
        assert [one["choices"][0]["delta"].get("role") for one in streamed[:2]] == ["assistant", None]
        assert streamed[1]["choices"][0]["delta"]["content"] == "In which city?"
        assert {one["model"] for one in streamed} == {"Arch-Function"}
        assert play.api.unanswered == play.model.unanswered == 0


async def test_the_reply_names_the_target_that_was_filled_where_another_matched_best() -> None:
    forecast = {**WEATHER, "name": "forecast", "endpoint": {"name": "api", "path": "/forecast/{city}"}}
    async with prompts(WEATHER, forecast) as play:
        play.matches("weather", "forecast", calls=Filled((call("forecast", city="Voss"),)))
        await play.send("and Voss?")
        await play.answered(b"rain")
        await play.told()
        assert (await play.reply()).header("x-arch-prompt-target") == "forecast"
        play.matches("weather", "forecast", calls=Question("In which city?", ("city",), "forecast"))
        assert (await play.ask("and there?")).header("x-arch-prompt-target") == "forecast"


async def test_a_conversation_that_asks_for_nothing_after_all_is_a_miss() -> None:
    async with prompts(WEATHER, system_prompt="be kind") as play:
        play.matches("weather", calls=Filled(()))
        await play.send("I love the weather")
        assert (await play.told())["messages"][0] == text("be kind", "system")
        await play.reply()


VERBATIM = {**WEATHER, "auto_llm_dispatch_on_response": False}


async def test_an_answer_can_be_the_reply_as_it_is() -> None:
    async with prompts(VERBATIM) as play:
        play.matches("weather", city="Bergen")
        await play.send("how is it?")
        await play.answered(b"<p>rain</p>", headers=("content-type: text/html",))
        answer = await play.reply()
        assert (answer.status, answer.body, answer.header("content-type")) == (
            200,
            b"<p>rain</p>",
            "text/html",
        )
        await play.send("how is it?", stream=True)
        await play.answered(b"<p>rain</p>")
        streamed = events(await play.reply())
        deltas = [one["choices"][0]["delta"] for one in streamed]
        assert deltas[:2] == [{"role": "assistant", "content": ""}, {"content": "<p>rain</p>"}]
        assert streamed[0]["model"] == "Arch-Function"
        assert play.model.unanswered == 0


async def test_several_calls_are_made_at_once() -> None:
    async with prompts(WEATHER, system_prompt="be kind") as play:
        play.matches("weather", calls=Filled((call("weather", city="Bergen"), call("weather", city="Oslo"))))
        await play.send("how is it in Bergen and Oslo?")
        both = sorted([await play.api.asked(), await play.api.asked()], key=lambda one: one.target)
        for one in reversed(both):
            await one.reply(one.target.encode())
        told = await play.told()
        assert told["messages"][-1]["content"] == (
            "how is it in Bergen and Oslo?\ncontext: /weather/Bergen?units=metric"
            "\ncontext: /weather/Oslo?units=metric"
        )
        state = json.decode((await play.reply()).json["metadata"]["x-arch-state"])
        assert [one["role"] for one in json.decode(state["messages"])] == ["assistant", "tool", "tool"]


async def test_several_answers_that_are_the_reply_are_a_list_if_all_of_them_are_json() -> None:
    async with prompts(VERBATIM) as play:
        play.matches("weather", calls=Filled((call("weather", city="Bergen"), call("weather", city="Oslo"))))
        for bodies, expected in (((b"1", b"[2]"), b"[1,[2]]"), ((b"1", b"two"), b"1\ntwo")):
            await play.send("how is it in Bergen and Oslo?")
            both = sorted([await play.api.asked(), await play.api.asked()], key=lambda one: one.target)
            for one, body in zip(both, bodies, strict=True):
                await one.reply(body)
            assert (await play.reply()).body == expected


async def test_the_first_of_several_calls_that_failed_is_the_error() -> None:
    async with prompts(WEATHER) as play:
        play.matches("weather", calls=Filled((call("weather", city="Bergen"), call("weather", city="Oslo"))))
        await play.send("how is it in Bergen and Oslo?")
        both = sorted([await play.api.asked(), await play.api.asked()], key=lambda one: one.target)
        await both[1].reply(b"no", status=404)
        await both[0].reply(b"{}")
        answer = await play.reply()
        assert (answer.status, "path=/weather/Oslo" in answer.message) == (404, True)


async def test_calls_that_need_each_other_are_filled_again_after_each() -> None:
    forecast = {**WEATHER, "name": "forecast", "endpoint": {"name": "api", "path": "/forecast/{city}"}}
    async with prompts(WEATHER, forecast) as play:
        first = Filled((call("weather", city="Bergen"), call("forecast", city="?")), ordered=True)
        play.matches("weather", "forecast", calls=first)
        rest = [Filled((call("forecast", city="Voss"),), ordered=True)]
        fill = play.play.scene.fill

        async def again(conversation: Any, targets: tuple[str, ...]) -> Any:
            told = await fill(conversation, targets)
            return told if len(play.filled) == 1 else rest.pop()

        play.play.scene.fill = again
        await play.send("how is it, and how will it be where it is dry?")
        assert (await play.answered(b"dry in Voss")).target == "/weather/Bergen?units=metric"
        assert (await play.answered(b"sun")).target == "/forecast/Voss?units=metric"
        assert (await play.told())["messages"][-1]["content"].endswith("\ncontext: dry in Voss\ncontext: sun")
        await play.reply()
        conversation, targets = play.filled[1]
        assert targets == ("forecast",)
        assert [one.role for one in conversation.messages] == ["user", "assistant", "tool"]
        assert conversation.messages[-1].text == "dry in Voss"


async def test_a_prompt_makes_so_many_calls_and_no_more() -> None:
    async with prompts(WEATHER, prompting={"max_steps": 2}) as play:
        for ordered in (False, True):
            filled = Filled(tuple(call("weather", city=f"c{n}") for n in range(5)), ordered=ordered)
            play.matches("weather", calls=filled)
            await play.send("everywhere")
            for _ in range(2):
                await play.answered(b"x")
            said = (await play.told())["messages"][-1]["content"]
            count = 5 if ordered else 3  # asked again after each answer, the filler wants all five
            left = f"Not called, because one request may make 2 calls: {', '.join(['weather'] * count)}."
            assert said == f"everywhere\ncontext: x\ncontext: x\ncontext: {left}"
            await play.reply()
            told = f"{count} more calls were not made: one prompt may make 2 (max_steps)"
            assert (await play.play.record()).detail == told
            assert play.api.unanswered == 0


@pytest.mark.parametrize(
    "messages",
    [
        [text("be brief", "system")],
        [text("hello"), text("hi", "assistant")],
        [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x.test/a.png"}}]}],
        [
            text("look"),
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
                ],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "a river"},
        ],
    ],
    ids=["no user", "an assistant's turn", "only an image", "a tool of the client's"],
)
async def test_what_is_no_words_of_a_user_goes_on_as_it_came(messages: list[dict[str, Any]]) -> None:
    async with prompts(WEATHER) as play:
        play.matches("weather", city="Bergen")
        await play.send(messages)
        assert (await play.told())["messages"] == messages
        assert (await play.reply()).status == 200
        assert play.seen == []


@pytest.mark.parametrize("content", ["", "  ", None])
async def test_a_user_who_says_nothing(content: str | None) -> None:
    async with prompts(WEATHER) as play:
        answer = await play.ask([{"role": "user", "content": content}])
        assert (answer.status, answer.message) == (500, "No content in the last user prompt")


async def test_embeddings_at_a_prompt_listener_are_no_prompts() -> None:
    async with prompts(WEATHER, system_prompt="be kind") as play:
        play.matches("weather", city="Bergen")
        await play.client.ask({"model": "none", "input": "hello"}, path="/v1/embeddings")
        asked = await play.model.asked()
        assert (asked.target, asked.json["input"]) == ("/v1/embeddings", "hello")
        await asked.reply({"data": []})
        assert (await play.reply()).status == 200


async def test_a_body_that_is_no_request_is_told_why() -> None:
    async with prompts(WEATHER) as play:
        await play.client.ask(b'{"messages": [{"role": "king", "content": "x"}]}')
        answer = await play.reply()
        assert answer.status == 400
        assert "messages[0]" in answer.message


async def test_a_client_of_another_dialect_has_prompt_targets_too() -> None:
    async with prompts(WEATHER, system_prompt="be kind") as play:
        play.matches("weather", city="Bergen")
        await play.send("how is it in Bergen?", path="/v1/messages", max_tokens=50)
        await play.answered(b"rain")
        told = await play.told()
        assert told["messages"] == [
            text("be kind", "system"),
            text("how is it in Bergen?\ncontext: rain"),
        ]
        answer = await play.reply()
        assert answer.json["content"] == [{"type": "text", "text": "It rains"}]
        assert "metadata" not in answer.json
        play.matches("weather", calls=Question("Where?", ("city",)))
        answer = await play.ask("how is it?", path="/v1/messages", max_tokens=50)
        assert answer.json["content"] == [{"type": "text", "text": "Where?"}]

"""What earlier turns called, in later turns: carried by the client, kept here, or not at all."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import json

from archflow_engine.prompts import state
from archflow_engine.prompts.prompt import Made
from archflow_schema.conversation import Conversation, Message, TextPart, ToolCallPart, ToolResultPart
from peers import Reply
from promptbook import WEATHER, Prompts, prompts, text

MADE = Made(id="call_1", target="weather", arguments=state.Raw(b'{"city":"Bergen"}'), answer='{"rain":true}')
FIRST = text("how is it in Bergen?")
FOLLOWING = [FIRST, text("It rains", "assistant"), text("and in Oslo?")]


async def first_turn(play: Prompts, **more: Any) -> Reply:
    """The first turn of a conversation."""
    play.matches("weather", city="Bergen")
    await play.send([FIRST], **more)
    await play.answered(b"rain")
    await play.told()
    return await play.reply()


async def second_turn(play: Prompts, messages: list[dict[str, Any]], **more: Any) -> list[dict[str, Any]]:
    """The second turn, which matches nothing; what the model was asked."""
    play.matches()
    await play.send(messages, **more)
    told = await play.told()
    assert (await play.reply()).status == 200
    assert all(not name.startswith("x-arch-") for name in told.get("metadata", {}))
    messages_told: list[dict[str, Any]] = told["messages"]
    return messages_told


def roles(conversation: Conversation) -> list[str]:
    return [message.role for message in conversation.messages]


WITH_CONTEXT = [
    text("how is it in Bergen?\ncontext: rain"),
    text("It rains", "assistant"),
    text("and in Oslo?"),
]


@pytest.mark.trio
async def test_a_client_of_archs_puts_the_messages_into_its_history() -> None:
    async with prompts(WEATHER) as play:
        answer = await first_turn(play)
        kept = json.decode(json.decode(answer.json["metadata"]["x-arch-state"])["messages"])
        grown = [FIRST, *kept, text("It rains", "assistant"), text("and in Oslo?")]
        assert await second_turn(play, grown) == WITH_CONTEXT
        assert roles(play.seen[-1]) == ["user", "assistant", "tool", "assistant", "user"]


@pytest.mark.trio
async def test_a_client_that_kept_the_streams_first_messages_as_text() -> None:
    async with prompts(WEATHER) as play:
        called = '```json\n{"tool_calls": [{"name": "weather", "arguments": {"city": "Bergen"}}]}\n```'
        grown = [FIRST, text(called, "assistant"), text("rain", "tool"), *FOLLOWING[1:]]
        play.matches()
        await play.send(grown, max_completion_tokens=50, odd=1)
        told = await play.told()
        assert told == {"model": "m", "messages": WITH_CONTEXT, "max_completion_tokens": 50, "odd": 1}
        assert (await play.reply()).status == 200


@pytest.mark.trio
@pytest.mark.parametrize("form", ["text", "object", "list", "list of objects"])
async def test_a_client_may_send_the_metadata_back(form: str) -> None:
    async with prompts(WEATHER) as play:
        metadata = (await first_turn(play)).json["metadata"]
        told = json.decode(metadata["x-arch-state"])
        forms: dict[str, Any] = {
            "text": metadata["x-arch-state"],
            "object": told,
            "list": json.encode(json.decode(told["messages"])).decode(),
            "list of objects": json.encode([told]).decode(),
        }
        metadata |= {"x-arch-state": forms[form], "team": "red"}
        assert await second_turn(play, FOLLOWING, metadata=metadata) == WITH_CONTEXT
        assert roles(play.seen[-1]) == ["user", "assistant", "tool", "assistant", "user"]


@pytest.mark.trio
@pytest.mark.parametrize(
    "value",
    [
        "{",
        "[1]",
        '{"messages": 3}',
        '{"messages": "x"}',
        '[{"role": 7}]',
        "[" * 100_000,
        '"\\ud800"',
        "x" * 2_000_000,
        '{"messages": []}',
    ],
)
async def test_state_that_is_not_understood_is_passed_over(value: str) -> None:
    async with prompts(WEATHER) as play:
        assert await second_turn(play, FOLLOWING, metadata={"x-arch-state": value}) == FOLLOWING


@pytest.mark.trio
async def test_what_endpoints_answered_earlier_can_be_left_out() -> None:
    async with prompts(WEATHER, overrides={"optimize_context_window": True}) as play:
        metadata = (await first_turn(play)).json["metadata"]
        assert await second_turn(play, FOLLOWING, metadata=metadata) == FOLLOWING
        assert roles(play.seen[-1]) == ["user", "assistant", "tool", "assistant", "user"]


@pytest.mark.trio
async def test_a_tool_of_the_clients_own_keeps_its_messages() -> None:
    async with prompts(WEATHER) as play:
        called = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
        own = [
            text("look"),
            {"role": "assistant", "content": None, "tool_calls": [called]},
            {"role": "tool", "tool_call_id": "c1", "content": "a river"},
            text("a river", "assistant"),
            text("and now?"),
        ]
        assert await second_turn(play, own) == own


SERVER = {"state": "server"}
ID = ("x-arch-conversation-id: c1",)


@pytest.mark.trio
@pytest.mark.parametrize("store", ["memory", "play_far"])
async def test_state_can_be_kept_here(store: str) -> None:
    async with prompts(WEATHER, prompting={**SERVER, "state_store": {"kind": store}}) as play:
        answer = await first_turn(play, headers=ID)
        assert "metadata" not in answer.json
        assert await second_turn(play, FOLLOWING, headers=ID) == WITH_CONTEXT
        assert roles(play.seen[-1]) == ["user", "assistant", "tool", "assistant", "user"]
        named = {"metadata": {"x-arch-conversation-id": "c1"}}
        assert await second_turn(play, FOLLOWING, **named) == WITH_CONTEXT
        for other in (("x-arch-conversation-id: c2",), (*ID, "authorization: Bearer other"), ()):
            assert await second_turn(play, FOLLOWING, headers=other) == FOLLOWING


@pytest.mark.trio
async def test_a_turn_that_was_asked_otherwise_is_forgotten() -> None:
    async with prompts(WEATHER, prompting=SERVER) as play:
        await first_turn(play, headers=ID)
        play.matches("weather", city="Oslo")
        await play.send(FOLLOWING, headers=ID)
        await play.answered(b"snow")
        assert (await play.told())["messages"] == [
            *WITH_CONTEXT[:2],
            text("and in Oslo?\ncontext: snow"),
        ]
        await play.reply()
        await first_turn(play, headers=ID)
        third = [*FOLLOWING, text("It snows", "assistant"), text("and then?")]
        assert await second_turn(play, third, headers=ID) == [*WITH_CONTEXT, *third[3:]]


@pytest.mark.trio
async def test_a_store_that_fails_costs_context_only() -> None:
    async with prompts(WEATHER, prompting={**SERVER, "state_store": {"kind": "play_far"}}) as play:

        async def broken() -> None:
            raise OSError("gone")

        play.play.scene.store = broken
        await first_turn(play, headers=ID)
        assert await second_turn(play, FOLLOWING, headers=ID) == FOLLOWING
        play.play.trouble = 4


def test_a_store_keeps_so_much_and_no_more() -> None:
    data: bytes | None = None
    for number in range(1, 100):
        data = state.for_store(state.of_store(data), number, [MADE])
    turns = state.of_store(data)
    assert [turn.number for turn in turns] == list(range(68, 100))
    large = Made(id="c", target="t", arguments=state.Raw(b"{}"), answer="x" * 100_000)
    data = b""
    for number in range(1, 10):
        data = state.for_store(state.of_store(data), number, [large])
    assert [turn.number for turn in state.of_store(data)] == [8, 9]
    assert state.of_store(b"\xc1") == ()
    assert state.of_turns([state.Turn(1, b"{"), state.Turn(2, b"[1]")]) == {}


def test_what_is_written_is_read_again() -> None:
    turns = state.of_turns(state.of_store(state.for_store((), 1, [MADE])))
    assert turns == {
        1: (
            Message(role="assistant", parts=(ToolCallPart("call_1", "weather", '{"city":"Bergen"}'),)),
            Message(role="tool", parts=(ToolResultPart("call_1", (TextPart('{"rain":true}'),)),)),
        )
    }
    assert [message.role for message in state.turn([MADE])] == ["assistant", "tool"]


def test_arguments_are_read_as_json_and_as_text() -> None:
    for arguments in (b'{"a":1}', b'"{\\"a\\":1}"'):
        raw = b'{"role":"assistant","tool_calls":[{"function":{"name":"x","arguments":%b}}]}' % arguments
        (message,) = state.read([state.Raw(raw)])
        (part,) = message.parts
        assert isinstance(part, ToolCallPart)
        assert part.arguments == '{"a":1}'
    assert Conversation().user_turns == []

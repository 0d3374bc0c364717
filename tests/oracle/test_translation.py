"""Official clients, unchanged, before upstreams of other dialects: whole, streamed, with tools, errors, refusals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from msgspec import json

from oracle import upstreams
from oracle.conftest import Side
from process.harness import PATIENCE
from process.upstream import Answer

pytestmark = pytest.mark.process

OPENAI, CLAUDE = "openai/gpt-4o", "anthropic/claude-sonnet-4"
TOOLS = {"weather": lambda _: {"city": "Bern", "days": 3}}
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city"],
}
HELLO: Any = [{"role": "user", "content": "Hello there"}]
CHAT_TOOLS: Any = [
    {"type": "function", "function": {"name": "weather", "description": "d", "parameters": SCHEMA}}
]
MESSAGES_TOOLS: Any = [{"name": "weather", "description": "d", "input_schema": SCHEMA}]
RESPONSES_TOOLS: Any = [
    {"type": "function", "name": "weather", "description": "d", "parameters": SCHEMA, "strict": False}
]


@pytest.fixture
def chat(side: Side) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{side.url}/v1", api_key="-", max_retries=0, timeout=PATIENCE) as client:
        yield client


@pytest.fixture
def claude(side: Side) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=side.url, api_key="-", max_retries=0, timeout=PATIENCE) as client:
        yield client


# Chat before Messages.


def test_chat_before_messages(side: Side, chat: openai.OpenAI) -> None:
    side.upstream.script = upstreams.messages({}, "Good day")
    reply = chat.chat.completions.create(model=CLAUDE, messages=HELLO, temperature=0.5, stop="END", seed=3)
    assert reply.choices[0].message.content == "Good day"
    assert reply.choices[0].finish_reason == "stop"
    assert reply.usage is not None
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (12, 5)
    sent = side.upstream.last
    assert sent.path == "/v1/messages"
    assert sent.headers["anthropic-version"] == "2023-06-01"
    assert sent.json["stop_sequences"] == ["END"]


def test_chat_streams_a_tool_call_of_messages_and_brings_its_answer(side: Side, chat: openai.OpenAI) -> None:
    side.upstream.script = upstreams.messages(TOOLS, "It rains.")
    with chat.chat.completions.stream(model=CLAUDE, messages=HELLO, tools=CHAT_TOOLS) as stream:
        for _ in stream:
            pass
        final = stream.get_final_completion()
    call = final.choices[0].message.tool_calls[0]  # type: ignore[index]
    assert call.function.name == "weather"
    assert json.decode(call.function.arguments) == {"city": "Bern", "days": 3}
    assert final.choices[0].finish_reason == "tool_calls"
    history: Any = [
        *HELLO,
        final.choices[0].message.to_dict(),
        {"role": "tool", "tool_call_id": call.id, "content": "rain"},
    ]
    reply = chat.chat.completions.create(model=CLAUDE, messages=history, tools=CHAT_TOOLS)
    assert reply.choices[0].message.content == "It rains."
    assert side.upstream.last.json["messages"][-1]["content"][0]["type"] == "tool_result"


def test_a_schema_for_the_answer_reaches_messages(side: Side, chat: openai.OpenAI) -> None:
    side.upstream.script = upstreams.messages({}, '{"city": "Bern"}')
    form: Any = {"type": "json_schema", "json_schema": {"name": "place", "schema": SCHEMA, "strict": True}}
    reply = chat.chat.completions.create(model=CLAUDE, messages=HELLO, response_format=form)
    assert json.decode(reply.choices[0].message.content or "") == {"city": "Bern"}
    assert "city" in side.upstream.last.body.decode()


def test_thoughts_come_beside_the_answer_and_go_back_signed(side: Side, chat: openai.OpenAI) -> None:
    side.upstream.script = upstreams.messages(TOOLS, "It rains.")
    first = chat.chat.completions.create(
        model=CLAUDE, messages=HELLO, tools=CHAT_TOOLS, reasoning_effort="high"
    )
    message = first.choices[0].message
    assert message.model_extra is not None
    assert message.model_extra["reasoning_content"] == "Hm."
    assert not message.content
    call = message.tool_calls[0]  # type: ignore[index]
    history: Any = [*HELLO, message.to_dict(), {"role": "tool", "tool_call_id": call.id, "content": "rain"}]
    chat.chat.completions.create(model=CLAUDE, messages=history, tools=CHAT_TOOLS, reasoning_effort="high")
    thought = side.upstream.last.json["messages"][1]["content"][0]
    assert (thought["type"], thought["thinking"], thought["signature"]) == ("thinking", "Hm.", "c2lnbmVk")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (429, openai.RateLimitError),
        (529, openai.InternalServerError),
    ],
)
def test_errors_of_messages_are_typed_for_chat(
    side: Side, chat: openai.OpenAI, status: int, kind: type[openai.APIStatusError]
) -> None:
    told = {"type": "error", "error": {"type": "some_error", "message": "not today"}}
    side.upstream.script = lambda _: Answer(status=status, body=json.encode(told))
    with pytest.raises(kind) as error:
        chat.chat.completions.create(model=CLAUDE, messages=HELLO)
    assert "not today" in error.value.message


def test_what_messages_cannot_do_is_a_bad_request(side: Side, chat: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="'n' cannot be asked"):
        chat.chat.completions.create(model=CLAUDE, messages=HELLO, n=2)
    assert side.upstream.received == []


# Messages before chat.


def test_messages_before_chat(side: Side, claude: anthropic.Anthropic) -> None:
    side.upstream.script = upstreams.chat({}, "Good day")
    reply = claude.messages.create(
        model=OPENAI,
        max_tokens=50,
        messages=HELLO,
        system="Be brief.",
        metadata={"user_id": "u"},
        stop_sequences=["END"],
    )
    assert reply.content[0].type == "text"
    assert reply.content[0].text == "Good day"
    assert (reply.stop_reason, reply.usage.input_tokens) == ("end_turn", 12)
    sent = side.upstream.last.json
    assert side.upstream.last.path == "/v1/chat/completions"
    assert sent["messages"][0] == {"role": "system", "content": "Be brief."}
    assert sent["max_completion_tokens"] == 50
    assert sent["stop"] == ["END"]


def test_messages_streams_a_tool_call_of_chat_and_brings_its_answer(
    side: Side, claude: anthropic.Anthropic
) -> None:
    side.upstream.script = upstreams.chat(TOOLS, "It rains.")
    with claude.messages.stream(model=OPENAI, max_tokens=50, messages=HELLO, tools=MESSAGES_TOOLS) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_message()
    assert kinds.count("message_stop") == 1
    call = final.content[-1]
    assert call.type == "tool_use"
    assert call.input == {"city": "Bern", "days": 3}
    assert (final.stop_reason, final.usage.output_tokens) == ("tool_use", 5)
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "rain"}
    history: Any = [
        *HELLO,
        {"role": "assistant", "content": final.to_dict()["content"]},
        {"role": "user", "content": [result]},
    ]
    reply = claude.messages.create(model=OPENAI, max_tokens=50, messages=history, tools=MESSAGES_TOOLS)
    assert reply.content[0].type == "text"
    assert reply.content[0].text == "It rains."
    assert side.upstream.last.json["messages"][-1] == {
        "role": "tool",
        "tool_call_id": call.id,
        "content": "rain",
    }


def test_tokens_are_counted_where_the_upstream_cannot(side: Side, claude: anthropic.Anthropic) -> None:
    short = claude.messages.count_tokens(model=OPENAI, messages=HELLO).input_tokens
    longer = claude.messages.count_tokens(
        model=OPENAI, messages=HELLO, system="x" * 4000, tools=MESSAGES_TOOLS
    )
    assert 0 < short < 20
    assert longer.input_tokens > 900
    assert side.upstream.received == []


def test_tokens_are_counted_by_an_upstream_that_can(side: Side, claude: anthropic.Anthropic) -> None:
    side.upstream.script = upstreams.messages({})
    assert claude.messages.count_tokens(model=CLAUDE, messages=HELLO).input_tokens == 42


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, anthropic.BadRequestError),
        (401, anthropic.AuthenticationError),
        (429, anthropic.RateLimitError),
        (500, anthropic.InternalServerError),
    ],
)
def test_errors_of_chat_are_typed_for_messages(
    side: Side, claude: anthropic.Anthropic, status: int, kind: type[anthropic.APIStatusError]
) -> None:
    told = {"error": {"message": "not today", "type": "some_error", "param": None, "code": "because"}}
    side.upstream.script = lambda _: Answer(status=status, body=json.encode(told))
    with pytest.raises(kind, match="not today"):
        claude.messages.create(model=OPENAI, max_tokens=5, messages=HELLO)


def test_models_are_listed_for_either_client(claude: anthropic.Anthropic, chat: openai.OpenAI) -> None:
    theirs = {one.id for one in claude.models.list()}
    assert "mistral/limited" in theirs
    assert theirs == {one.id for one in chat.models.list()}
    assert claude.models.retrieve("mistral/limited").type == "model"
    assert chat.models.retrieve("mistral/limited").object == "model"
    with pytest.raises(anthropic.NotFoundError) as error:
        claude.models.retrieve("nobody")
    assert error.value.body == {
        "type": "error",
        "error": {"type": "not_found_error", "message": "the model 'nobody' does not exist"},
        "request_id": error.value.body["request_id"],  # type: ignore[index]
    }


# Responses before both.


@pytest.mark.parametrize(
    ("model", "script"), [(CLAUDE, upstreams.messages), ("mistral/limited", upstreams.chat)]
)
def test_responses_stream_a_tool_call_and_bring_its_answer(
    side: Side, chat: openai.OpenAI, model: str, script: Any
) -> None:
    side.upstream.script = script(TOOLS, "It rains.")
    with chat.responses.stream(
        model=model, input="Hello there", tools=RESPONSES_TOOLS, store=False
    ) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"
    assert "response.function_call_arguments.delta" in kinds
    call = final.output[-1]
    assert call.type == "function_call"
    assert json.decode(call.arguments) == {"city": "Bern", "days": 3}
    items: Any = [
        {"role": "user", "content": "Hello there"},
        *[item.to_dict() for item in final.output],
        {"type": "function_call_output", "call_id": call.call_id, "output": "rain"},
    ]
    reply = chat.responses.create(model=model, input=items, tools=RESPONSES_TOOLS, store=False)
    assert reply.output_text == "It rains."
    assert reply.usage is not None
    assert reply.usage.input_tokens == 12


def test_responses_to_a_vendor_that_speaks_them_are_relayed(side: Side, chat: openai.OpenAI) -> None:
    told = {
        "id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "gpt-4o", "error": None,
        "incomplete_details": None, "instructions": None, "metadata": {}, "parallel_tool_calls": True, "tools": [],
        "tool_choice": "auto", "temperature": 1.0, "top_p": 1.0,
        "output": [{"id": "m1", "type": "message", "role": "assistant", "status": "completed",
                    "content": [{"type": "output_text", "text": "relayed", "annotations": []}]}],
    }  # fmt: skip
    side.upstream.script = lambda _: Answer(body=json.encode(told))
    reply = chat.responses.create(model=OPENAI, input="x", extra_body={"new_field": [1]})
    assert reply.output_text == "relayed"
    assert side.upstream.last.path == "/v1/responses"
    assert side.upstream.last.json["new_field"] == [1]

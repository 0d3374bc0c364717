"""Google's official client, unchanged, through a running archrun: to an upstream of its own dialect and to another one;
and OpenAI's client before an upstream that speaks Google's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest
from google import genai
from google.genai import errors, types
from msgspec import json

from oracle.conftest import Side
from process.harness import KEY, PATIENCE
from process.upstream import Answer, Received

pytestmark = pytest.mark.process

USAGE = {"promptTokenCount": 7, "candidatesTokenCount": 3, "thoughtsTokenCount": 5, "totalTokenCount": 15}
WEATHER = types.Tool(
    function_declarations=[
        types.FunctionDeclaration(
            name="weather",
            description="The weather of a town.",
            parameters=types.Schema(
                type=types.Type.OBJECT, properties={"town": types.Schema(type=types.Type.STRING)}
            ),
        )
    ]
)


def chunk(*parts: dict[str, Any], reason: str = "") -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": list(parts), "role": "model"}, "index": 0}
    if reason:
        candidate["finishReason"] = reason
    names = {"modelVersion": "gemini-3-flash", "responseId": "r1"}
    return {"candidates": [candidate], "usageMetadata": USAGE, **names}


THOUGHT = {"text": "I look.", "thought": True}
CALL = {"functionCall": {"name": "weather", "args": {"town": "Bonn"}}, "thoughtSignature": "c2lnbmVk"}


def google(request: Received) -> Answer:
    """As Google answers: a thought and a text, or a call when there are tools, or what a tool answered."""
    asked = request.json
    last = asked["contents"][-1]["parts"][-1]
    if "functionResponse" in last:
        parts: list[dict[str, Any]] = [{"text": f"It is {last['functionResponse']['response']['output']}."}]
    elif "tools" in asked:
        parts = [THOUGHT, CALL]
    else:
        parts = [THOUGHT, {"text": "Hello "}, {"text": "there."}]
    if ":streamGenerateContent" not in request.path:
        return Answer(body=json.encode(chunk(*parts, reason="STOP")))
    chunks = [*(chunk(part) for part in parts), chunk({"text": ""}, reason="STOP")]
    if "alt=sse" not in request.path:
        return Answer(body=json.encode(chunks))
    events = tuple(b"data: " + json.encode(one) + b"\r\n\r\n" for one in chunks)
    return Answer(events=events, headers=(("content-type", "text/event-stream"),))


@pytest.fixture
def client(side: Side) -> Iterator[genai.Client]:
    options = types.HttpOptions(base_url=side.url, timeout=int(PATIENCE * 1000))
    client = genai.Client(api_key="of-the-client", http_options=options)
    yield client
    client.close()


@pytest.fixture
def chat(side: Side) -> Iterator[openai.OpenAI]:
    side.upstream.script = google
    with openai.OpenAI(
        base_url=f"{side.url}/v1", api_key="of-the-client", max_retries=0, timeout=PATIENCE
    ) as client:
        yield client


# Its own dialect on both sides.


def test_bytes_are_relayed(side: Side, client: genai.Client) -> None:
    side.upstream.script = google
    reply = client.models.generate_content(model="gemini/gemini-3-flash", contents="hi")
    assert reply.text == "Hello there."
    assert reply.response_id == "r1"
    last = side.upstream.last
    assert last.path == "/v1beta/models/gemini-3-flash:generateContent"
    assert last.headers["x-goog-api-key"] == KEY
    pieces = list(client.models.generate_content_stream(model="gemini/gemini-3-flash", contents="hi"))
    assert "".join(one.text or "" for one in pieces) == "Hello there."
    assert side.upstream.last.path == "/v1beta/models/gemini-3-flash:streamGenerateContent?alt=sse"


# Its client before another upstream.


def test_a_reply_of_another_dialect(side: Side, client: genai.Client) -> None:
    config = types.GenerateContentConfig(
        system_instruction="Be brief.", max_output_tokens=99, temperature=0.5
    )
    reply = client.models.generate_content(model="openai/gpt-4o", contents="Hello there", config=config)
    assert reply.text == "gpt-4o heard: Hello there"
    assert reply.candidates is not None
    assert reply.candidates[0].finish_reason is types.FinishReason.STOP
    assert reply.usage_metadata is not None
    assert (reply.usage_metadata.prompt_token_count, reply.usage_metadata.candidates_token_count) == (4, 4)
    sent = side.upstream.last
    assert sent.path == "/v1/chat/completions"
    assert sent.headers["authorization"] == f"Bearer {KEY}"
    assert "of-the-client" not in str(sent)
    assert sent.json["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello there"},
    ]


def test_a_stream_of_another_dialect(client: genai.Client) -> None:
    pieces = list(client.models.generate_content_stream(model="openai/gpt-4o", contents="Hello there"))
    assert "".join(one.text or "" for one in pieces) == "gpt-4o heard: Hello there"
    assert len(pieces) > 3
    last = pieces[-1]
    assert last.candidates is not None
    assert last.candidates[0].finish_reason is types.FinishReason.STOP
    assert last.usage_metadata is not None
    assert last.usage_metadata.total_token_count == 6


def test_errors_are_its_own(client: genai.Client) -> None:
    with pytest.raises(errors.ServerError) as refused:
        client.models.generate_content(model="groq/unreachable", contents="hi")
    assert (refused.value.code, refused.value.status) == (502, "UNAVAILABLE")
    with pytest.raises(errors.ClientError) as unknown:
        client.models.generate_content(model="nobody/knows", contents="hi")
    assert (unknown.value.code, unknown.value.status) == (404, "NOT_FOUND")
    config = types.GenerateContentConfig(cached_content="cachedContents/1")
    with pytest.raises(errors.ClientError) as missed:
        client.models.generate_content(model="openai/gpt-4o", contents="hi", config=config)
    assert missed.value.code == 400
    assert "cachedContent" in str(missed.value.message)


def test_it_lists_models(client: genai.Client) -> None:
    names = [model.name for model in client.models.list()]
    assert "models/mistral/limited" in names


# OpenAI's client before Google.

SAID: Any = [{"role": "user", "content": "hi"}]
CHAT_WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a town.",
        "parameters": {"type": "object", "properties": {"town": {"type": "string"}}},
    },
}


def test_chat_of_gemini_passes_through(side: Side, chat: openai.OpenAI) -> None:
    side.upstream.script = lambda _: Answer(body=b'{"id":"1","object":"chat.completion","choices":[]}')
    assert chat.chat.completions.create(model="gemini/gemini-3-flash", messages=SAID).id == "1"
    assert side.upstream.last.path == "/v1beta/openai/chat/completions"
    assert side.upstream.last.headers["authorization"] == f"Bearer {KEY}"


def test_chat_of_vertex_is_translated(side: Side, chat: openai.OpenAI) -> None:
    reply = chat.chat.completions.create(model="vertex_ai/gemini-3-flash", messages=SAID, max_tokens=9)
    assert (reply.choices[0].message.content, reply.choices[0].finish_reason) == ("Hello there.", "stop")
    assert reply.usage is not None
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens, reply.usage.total_tokens) == (7, 8, 15)
    last = side.upstream.last
    assert last.path == "/v1/publishers/google/models/gemini-3-flash:generateContent"
    assert last.headers["x-goog-api-key"] == KEY
    assert "authorization" not in last.headers
    assert last.json == {
        "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
        "generationConfig": {"maxOutputTokens": 9},
    }


def test_a_chat_with_tools_streams_and_its_signature_comes_back(side: Side, chat: openai.OpenAI) -> None:
    model = "vertex_ai/gemini-3-flash"
    options: Any = {"model": model, "tools": [CHAT_WEATHER], "stream": True}
    chunks = list(
        chat.chat.completions.create(messages=SAID, stream_options={"include_usage": True}, **options)
    )
    assert side.upstream.last.path.endswith(":streamGenerateContent?alt=sse")
    calls = [call for chunk in chunks for choice in chunk.choices for call in choice.delta.tool_calls or ()]
    assert "".join(call.function.arguments or "" for call in calls if call.function) == '{"town":"Bonn"}'
    reasons = [one.finish_reason for chunk in chunks for one in chunk.choices if one.finish_reason]
    assert reasons == ["tool_calls"]
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 8
    called: Any = {"id": calls[0].id, "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    turns = [
        *SAID,
        {"role": "assistant", "content": None, "tool_calls": [called]},
        {"role": "tool", "tool_call_id": calls[0].id, "content": "sunny"},
    ]
    text = "".join(
        choice.delta.content or ""
        for chunk in chat.chat.completions.create(messages=turns, **options)
        for choice in chunk.choices
    )
    assert text == "It is sunny."


def test_responses_of_gemini_are_translated(side: Side, chat: openai.OpenAI) -> None:
    reply = chat.responses.create(model="gemini/gemini-3-flash", input="hi", reasoning={"effort": "low"})
    assert reply.output_text == "Hello there."
    last = side.upstream.last
    assert last.path == "/v1beta/models/gemini-3-flash:generateContent"
    assert last.json["generationConfig"]["thinkingConfig"]["thinkingLevel"] == "LOW"
    with chat.responses.stream(model="gemini/gemini-3-flash", input="hi") as stream:
        text = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        assert text == stream.get_final_response().output_text == "Hello there."


def test_errors_of_google_are_openais(side: Side, chat: openai.OpenAI) -> None:
    body = b'{"error":{"code":429,"message":"slow down","status":"RESOURCE_EXHAUSTED"}}'
    side.upstream.script = lambda _: Answer(status=429, body=body)
    with pytest.raises(openai.RateLimitError, match="slow down") as caught:
        chat.chat.completions.create(model="vertex_ai/gemini-3-flash", messages=SAID)
    assert caught.value.code == "RESOURCE_EXHAUSTED"


# Google's client and its history.


def test_a_conversation_in_googles_client_with_another_model(side: Side, client: genai.Client) -> None:
    """A chat with automatic history: what was answered, thoughts and calls included, goes back as it came."""
    side.upstream.script = google
    history = client.chats.create(
        model="gemini/gemini-3-flash",
        config=types.GenerateContentConfig(
            tools=[WEATHER],
            automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
            thinking_config=types.ThinkingConfig(include_thoughts=True),
        ),
    )
    first = history.send_message("How is it in Bonn?")
    assert first.function_calls is not None
    assert first.function_calls[0].args == {"town": "Bonn"}
    second = history.send_message(
        types.Part.from_function_response(name="weather", response={"output": "sunny"})
    )
    assert second.text == "It is sunny."
    sent = side.upstream.last.json["contents"][1]["parts"]
    assert [part.get("thoughtSignature") for part in sent] == [None, "c2lnbmVk"]

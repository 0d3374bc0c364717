"""Official clients before a gateway whose guards mask what they ask, and judge what they are answered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from google import genai
from google.genai import types
from msgspec import json

from oracle import upstreams
from oracle.conftest import Side
from process.harness import PATIENCE, Gateway, compiled, free_port
from process.upstream import ScriptedUpstream

pytestmark = pytest.mark.process

CONFIG = """\
version: v0.4.0
listeners:
  - name: guarded
    type: model
    address: 127.0.0.1
    port: {port}
    timeout: 60s
    guards: [{{kind: pii, action: mask, restore: true}}]
    output_guards: [{{kind: regex, deny_words: [project falcon], message: not that}}]
model_providers:
  - {{model: openai/gpt-4o, base_url: "http://127.0.0.1:{upstream}", access_key: $TEST_KEY}}
  - {{model: anthropic/claude-sonnet-4, base_url: "http://127.0.0.1:{upstream}", access_key: $TEST_KEY}}
"""
OPENAI, CLAUDE = "openai/gpt-4o", "anthropic/claude-sonnet-4"
ASKED: Any = [{"role": "user", "content": "I am jo@example.com"}]
SAID, BACK = "Write to <EMAIL_1> then.", "Write to jo@example.com then."
DENIED = "Well, it is called Project  FALCON, they say."
TOOLS: Any = [
    {
        "type": "function",
        "function": {"name": "send", "description": "d", "parameters": {"type": "object", "properties": {}}},
    }
]
SCRIPTS = {OPENAI: upstreams.chat, CLAUDE: upstreams.messages}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Side]:
    folder = tmp_path_factory.mktemp("guards")
    port = free_port()
    with ScriptedUpstream() as upstream:
        config = folder / "arch_config.yaml"
        config.write_text(CONFIG.format(port=port, upstream=upstream.port))
        with Gateway(compiled(config), port) as gateway:
            yield Side(gateway, upstream, 0, folder)


@pytest.fixture
def chat(guarded: Side) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{guarded.url}/v1", api_key="-", max_retries=0, timeout=PATIENCE) as client:
        yield client


@pytest.fixture
def claude(guarded: Side) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=guarded.url, api_key="-", max_retries=0, timeout=PATIENCE) as client:
        yield client


@pytest.mark.parametrize("model", SCRIPTS)
def test_chat(guarded: Side, chat: openai.OpenAI, model: str) -> None:
    guarded.upstream.script = SCRIPTS[model]({}, SAID)
    reply = chat.chat.completions.create(model=model, messages=ASKED)
    assert reply.choices[0].message.content == BACK
    assert b"jo@example.com" not in guarded.upstream.last.body
    with chat.chat.completions.stream(model=model, messages=ASKED) as stream:
        for _ in stream:
            pass
        final = stream.get_final_completion()
    assert final.choices[0].message.content == BACK
    assert b"<EMAIL_1>" in guarded.upstream.last.body


@pytest.mark.parametrize("model", SCRIPTS)
def test_chat_calls(guarded: Side, chat: openai.OpenAI, model: str) -> None:
    guarded.upstream.script = SCRIPTS[model]({"send": lambda _: {"to": "<EMAIL_1>"}})
    with chat.chat.completions.stream(model=model, messages=ASKED, tools=TOOLS) as stream:
        for _ in stream:
            pass
        final = stream.get_final_completion()
    call = final.choices[0].message.tool_calls[0]  # type: ignore[index]
    assert json.decode(call.function.arguments) == {"to": "jo@example.com"}
    assert final.choices[0].finish_reason == "tool_calls"


@pytest.mark.parametrize("model", SCRIPTS)
def test_chat_is_denied(guarded: Side, chat: openai.OpenAI, model: str) -> None:
    guarded.upstream.script = SCRIPTS[model]({}, DENIED)
    with pytest.raises(openai.BadRequestError, match="not that") as raised:
        chat.chat.completions.create(model=model, messages=ASKED)
    assert raised.value.code == "guard_denied"
    assert raised.value.response.headers["x-arch-guard"] == '"regex";score=1.000'
    told, reason = "", None
    try:
        for chunk in chat.chat.completions.create(model=model, messages=ASKED, stream=True):
            for choice in chunk.choices:
                told += choice.delta.content or ""
                reason = choice.finish_reason or reason
    except openai.BadRequestError:
        return  # all of it came at once, so nothing had left
    assert "falcon" not in told.lower()
    assert (told.endswith("not that"), reason) == (True, "content_filter")


def test_responses(guarded: Side, chat: openai.OpenAI) -> None:
    guarded.upstream.script = upstreams.messages({}, SAID)
    asked: Any = {"model": CLAUDE, "input": "I am jo@example.com", "instructions": "help jo@example.com"}
    reply = chat.responses.create(**asked)
    assert reply.output_text == BACK
    assert reply.instructions == "help jo@example.com"
    assert b"jo@example.com" not in guarded.upstream.last.body
    later = chat.responses.create(model=CLAUDE, input="and now?", previous_response_id=reply.id)
    assert later.output_text == BACK
    assert b"jo@example.com" not in guarded.upstream.last.body
    with chat.responses.stream(**asked) as stream:
        for _ in stream:
            pass
        assert stream.get_final_response().output_text == BACK
    guarded.upstream.script = upstreams.messages({}, DENIED)
    with pytest.raises(openai.BadRequestError, match="not that"):
        chat.responses.create(**asked)


@pytest.mark.parametrize("model", SCRIPTS)
def test_messages(guarded: Side, claude: anthropic.Anthropic, model: str) -> None:
    guarded.upstream.script = SCRIPTS[model]({}, SAID)
    with claude.messages.stream(
        model=model, max_tokens=50, messages=ASKED, system="for jo@example.com"
    ) as stream:
        assert "".join(stream.text_stream) == BACK
        assert stream.get_final_message().stop_reason == "end_turn"
    assert b"jo@example.com" not in guarded.upstream.last.body
    guarded.upstream.script = SCRIPTS[model]({}, DENIED)
    with pytest.raises(anthropic.BadRequestError, match="not that"):
        claude.messages.create(model=model, max_tokens=50, messages=ASKED)


def test_gemini(guarded: Side) -> None:
    options = types.HttpOptions(base_url=guarded.url, timeout=int(PATIENCE * 1000))
    client = genai.Client(api_key="-", http_options=options)
    guarded.upstream.script = upstreams.chat({}, SAID)
    told = client.models.generate_content_stream(model="gpt-4o", contents="I am jo@example.com")
    assert "".join(chunk.text or "" for chunk in told) == BACK
    assert b"jo@example.com" not in guarded.upstream.last.body
    guarded.upstream.script = upstreams.chat({}, DENIED)
    with pytest.raises(genai.errors.ClientError, match="not that"):
        client.models.generate_content(model="gpt-4o", contents="hello")

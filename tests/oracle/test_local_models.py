"""The official openai client, unchanged, asks models that live in the gateway's own process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from msgspec import json

from local_world import cache
from process.harness import PATIENCE, Gateway, archc, eventually, free_port

pytestmark = pytest.mark.process

CONFIG = """\
version: v0.3.0
listeners:
  - {{type: model, name: egress, address: 127.0.0.1, port: {port}, timeout: 60s}}
model_providers:
  - {{model: local/tiny-chat, default: true}}
  - {{model: local/tiny-embed}}
"""
CHAT = "local/tiny-chat"
HELLO: Any = [{"role": "user", "content": "Hello there"}]
SCHEMA: Any = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "maxLength": 10},
        "days": {"type": "integer", "minimum": 1, "maximum": 9},
    },
    "required": ["city", "days"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("local")
    port = free_port()
    config = folder / "arch_config.yaml"
    config.write_text(CONFIG.format(port=port))
    before = os.environ.get("ARCHFLOW_CACHE")
    os.environ["ARCHFLOW_CACHE"] = str(cache().folder)
    try:
        graph = config.with_name("graph.bin")
        done = archc("compile", config, "-o", graph)
        assert done.returncode == 0, done.stdout + done.stderr
        with Gateway(graph, port) as running:
            yield running
    finally:
        if before is None:
            del os.environ["ARCHFLOW_CACHE"]
        else:
            os.environ["ARCHFLOW_CACHE"] = before


@pytest.fixture
def client(gateway: Gateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        base_url=f"{gateway.url}/v1", api_key="nobody-needs-it", max_retries=0, timeout=PATIENCE
    ) as client:
        yield client


def test_a_completion(client: openai.OpenAI) -> None:
    reply = client.chat.completions.create(model=CHAT, messages=HELLO, max_tokens=6)
    assert reply.choices[0].finish_reason in {"stop", "length"}
    assert reply.usage is not None
    assert reply.usage.completion_tokens <= 6
    assert reply._request_id


def test_the_default_model_needs_no_name(gateway: Gateway) -> None:
    assert gateway.chat(model="", max_tokens=2).status_code == 200


def test_a_stream(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(model=CHAT, messages=HELLO, max_tokens=6)
    chunks = list(
        client.chat.completions.create(
            model=CHAT, messages=HELLO, max_tokens=6, stream=True, stream_options={"include_usage": True}
        )
    )
    text = "".join(one.choices[0].delta.content or "" for one in chunks if one.choices)
    assert text == whole.choices[0].message.content
    assert chunks[-1].usage == whole.usage


def test_structured_output(client: openai.OpenAI) -> None:
    for seed in range(4):
        reply = client.chat.completions.create(
            model=CHAT, messages=HELLO, temperature=1.2, seed=seed, max_tokens=60,
            response_format={"type": "json_schema", "json_schema": {"name": "trip", "schema": SCHEMA, "strict": True}},
        )  # fmt: skip
        value = json.decode(reply.choices[0].message.content or "")
        assert len(value["city"]) <= 10
        assert 1 <= value["days"] <= 9


WEATHER: Any = {
    "type": "function",
    "function": {"name": "get_weather", "description": "The weather of a city", "parameters": SCHEMA},
}
TIME: Any = {"type": "function", "function": {"name": "get_time"}}


def test_a_tool_must_be_called(client: openai.OpenAI) -> None:
    for choice, names in (("required", {"get_weather", "get_time"}), ("named", {"get_weather"})):
        named: Any = {"type": "function", "function": {"name": "get_weather"}}
        reply = client.chat.completions.create(
            model=CHAT, messages=HELLO, tools=[WEATHER, TIME], max_tokens=200, temperature=1.5, seed=1,
            tool_choice=named if choice == "named" else "required",
        )  # fmt: skip
        calls = reply.choices[0].message.tool_calls or []
        assert calls
        for call in calls:
            assert call.type == "function"
            assert call.function.name in names
            value = json.decode(call.function.arguments)
            assert value == {} if call.function.name == "get_time" else 1 <= value["days"] <= 9


def test_calls_are_streamed(client: openai.OpenAI) -> None:
    arguments = ""
    with client.chat.completions.stream(
        model=CHAT, messages=HELLO, tools=[WEATHER], tool_choice="required", parallel_tool_calls=False, max_tokens=90
    ) as stream:  # fmt: skip
        for event in stream:
            if event.type == "tool_calls.function.arguments.delta":
                arguments += event.arguments_delta
        final = stream.get_final_completion().choices[0]
    assert final.finish_reason == "tool_calls"
    assert final.message.tool_calls is not None
    assert final.message.tool_calls[0].function.arguments == arguments
    assert 1 <= json.decode(arguments)["days"] <= 9


def test_what_a_tool_answered_is_taken(client: openai.OpenAI) -> None:
    call = {"id": "a", "type": "function", "function": {"name": "get_time", "arguments": "{}"}}
    history: Any = [
        *HELLO,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "a", "content": "noon"},
    ]
    for choice in ("auto", "none"):
        reply = client.chat.completions.create(
            model=CHAT, messages=history, tools=[TIME], tool_choice=choice, max_tokens=4
        )  # fmt: skip
        assert reply.choices[0].message.tool_calls is None


def test_several_answers(client: openai.OpenAI) -> None:
    reply = client.chat.completions.create(
        model=CHAT, messages=HELLO, n=3, max_tokens=8, temperature=1.5, seed=2
    )
    assert [one.index for one in reply.choices] == [0, 1, 2]
    assert len({one.message.content for one in reply.choices}) > 1


def test_logprobs(client: openai.OpenAI) -> None:
    reply = client.chat.completions.create(
        model=CHAT, messages=HELLO, max_tokens=4, logprobs=True, top_logprobs=3
    )
    scores = reply.choices[0].logprobs
    assert scores is not None
    assert all(len(one.top_logprobs) == 3 for one in scores.content or ())


def test_embeddings(client: openai.OpenAI) -> None:
    reply = client.embeddings.create(model="local/tiny-embed", input=["hello", "world"])  # asks for base64
    plain = client.embeddings.create(
        model="local/tiny-embed", input=["hello", "world"], encoding_format="float"
    )
    for packed, one in zip(reply.data, plain.data, strict=True):
        assert packed.embedding == pytest.approx(one.embedding, abs=1e-6)
        assert sum(value * value for value in one.embedding) == pytest.approx(1, abs=1e-4)


def test_anthropics_client_is_told_which_sequence_stopped_it(gateway: Gateway) -> None:
    with anthropic.Anthropic(base_url=gateway.url, api_key="-", max_retries=0, timeout=PATIENCE) as client:
        asked: Any = {"model": CHAT, "messages": HELLO, "max_tokens": 40}
        said: Any = client.messages.create(**asked).content[0]
        stop = next(one for one in said.text[1:] if not one.isspace())
        reply = client.messages.create(**asked, stop_sequences=["never there", stop])
        with client.messages.stream(**asked, stop_sequences=["never there", stop]) as stream:
            streamed = stream.get_final_message()
    ended: list[Any] = [reply, streamed]
    for one in ended:
        assert (one.stop_reason, one.stop_sequence) == ("stop_sequence", stop)
        assert (
            "".join(part.text for part in one.content if part.type == "text") == said.text.partition(stop)[0]
        )


def test_anthropics_client_counts_what_a_message_costs(gateway: Gateway) -> None:
    tools: Any = [{"name": "get_weather", "description": "The weather of a city", "input_schema": SCHEMA}]
    with anthropic.Anthropic(base_url=gateway.url, api_key="-", max_retries=0, timeout=PATIENCE) as client:
        for asked in ({}, {"system": "Be brief"}, {"tools": tools}):
            more: Any = asked
            counted = client.messages.count_tokens(model=CHAT, messages=HELLO, **more).input_tokens
            reply = client.messages.create(model=CHAT, messages=HELLO, max_tokens=1, **more)
            assert counted == reply.usage.input_tokens


def test_mistakes_raise_the_clients_own_exceptions(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="`n` must be from 1 to 8"):
        client.chat.completions.create(model=CHAT, messages=HELLO, n=9)
    with pytest.raises(openai.BadRequestError, match="cannot be asked in openai_embeddings"):
        client.embeddings.create(model=CHAT, input="hello")
    with pytest.raises(openai.BadRequestError, match="speaks openai_embeddings; ask it at /v1/embeddings"):
        client.chat.completions.create(model="local/tiny-embed", messages=HELLO)
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="local/tiny-chta", messages=HELLO)


def test_who_leaves_ends_the_generation(gateway: Gateway, client: openai.OpenAI) -> None:
    long: Any = {
        "type": "json_schema",
        "json_schema": {"name": "x", "schema": {"type": "string", "minLength": 300}},
    }
    with client.chat.completions.create(
        model=CHAT, messages=HELLO, response_format=long, stream=True
    ) as stream:
        next(iter(stream))
    open_calls = f'archflow_upstream_connections{{origin="{CHAT}",state="open"}} 0'
    eventually(lambda: open_calls in gateway.ask_admin("/metrics").text, "the generation ends")


def test_models_are_listed(client: openai.OpenAI) -> None:
    assert [one.id for one in client.models.list()] == [CHAT, "local/tiny-embed"]


def test_what_they_cost_is_in_the_metrics(gateway: Gateway, client: openai.OpenAI) -> None:
    for _ in range(2):
        client.embeddings.create(model="local/tiny-embed", input="as often as you like")
    text = gateway.ask_admin("/metrics").text
    for family in ('bytes{model="tiny-chat",of="weights"} ', 'bytes{model="tiny-embed",of="vectors"} ',
                   'waiting{model="tiny-chat"} 0', 'lookups_total{model="tiny-embed",result="hit"} '):  # fmt: skip
        assert f"archflow_local_model_{family}" in text


def test_tokens_of_a_stream_are_logged_though_nobody_asked(gateway: Gateway, client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(model=CHAT, messages=HELLO, max_tokens=5)
    with client.chat.completions.create(model=CHAT, messages=HELLO, max_tokens=5, stream=True) as stream:
        assert all(one.choices for one in stream)
    assert whole.usage
    told = f'"input_tokens":{whole.usage.prompt_tokens},"output_tokens":{whole.usage.completion_tokens},'
    eventually(lambda: gateway.stdout.count(told) >= 2, "both are logged", lambda: gateway.output)


def test_it_says_what_it_opened(gateway: Gateway) -> None:
    assert '"event":"local_model_ready"' in gateway.stderr


def test_a_model_that_changed_is_refused_by_name(gateway: Gateway, tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "cache"
    shutil.copytree(cache().folder, folder)
    weights = next(folder.glob("models/tiny-embed--*/model.bin"))
    data = bytearray(weights.read_bytes())
    data[len(data) // 2] ^= 1
    weights.write_bytes(bytes(data))
    graph = tmp_path / "graph.bin"
    graph.write_bytes((gateway._folder / "graph.bin").read_bytes())
    second = Gateway(graph, free_port(), environment={"ARCHFLOW_CACHE": str(folder)}).start()
    assert second.wait() == 1
    assert "tiny-embed" in second.stderr
    assert "Traceback" not in second.stderr

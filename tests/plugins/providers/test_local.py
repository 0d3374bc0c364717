"""The local provider: what compiles, what is answered in the clients' dialects, what is refused and how."""

import base64
import re
from contextlib import asynccontextmanager

import jsonschema
import numpy as np
import pytest
import trio
from msgspec import json

from archflow_plugins.dialects.openai_chat import OpenAIChat
from archflow_plugins.kinds import Empty, ProviderConfig
from archflow_plugins.local_models import chat_template, constrain, host, tool_calls
from archflow_plugins.local_models.chat_template import Turn
from archflow_plugins.local_models.embed import Embedder
from archflow_plugins.local_models.generate import LanguageModel
from archflow_plugins.local_models.tokens import Vocabulary
from archflow_plugins.providers import local
from archflow_plugins.providers.local import Compiled, Local
from archflow_plugins.providers.local_chat import ChatRequest, ChatWriter
from archflow_plugins.testing import compile_context, run_context
from archflow_schema.diagnostic import Report
from archflow_schema.errors import ArchflowError
from local_world import CONTEXT, cache, chat, model

HI = [{"role": "user", "content": "hello"}]
DAYS = {
    "type": "object",
    "properties": {
        "days": {"type": "integer", "minimum": 1, "maximum": 9},
        "note": {"type": "string", "maxLength": 8},
    },
    "required": ["days"],
    "additionalProperties": False,
}


def tool(name, parameters=None):
    return {
        "type": "function",
        "function": {"name": name, **({"parameters": parameters} if parameters else {})},
    }


F = tool("f", DAYS)
COUNTING = "anthropic_count_tokens"
SAME = {"name": "f", "input_schema": DAYS}


@pytest.fixture(autouse=True)
def models(monkeypatch):
    monkeypatch.setenv("ARCHFLOW_CACHE", str(cache().folder))


def compiled(name, **fields):
    report = Report()
    config = ProviderConfig(name=f"local/{name}", vendor="local", model_id=name, **fields)
    return Local.compile(config, compile_context("test", report)), {one.code: one for one in report}


class Written:
    """Keeps what a provider replies."""

    def __init__(self):
        self.status, self.type, self.headers, self.length, self.parts = 0, "", {}, None, []

    def head(self, status, content_type, *, length=None, headers=()):
        self.status, self.type, self.length, self.headers = status, content_type, length, dict(headers)

    async def send(self, data):
        await trio.lowlevel.checkpoint()
        self.parts.append(data)

    @property
    def body(self):
        return b"".join(self.parts)

    @property
    def value(self):
        return json.decode(self.body)

    @property
    def events(self):
        data = [one.removeprefix(b"data: ") for one in self.body.split(b"\n\n") if one]
        assert data.pop() == b"[DONE]"
        return [json.decode(one) for one in data]


@asynccontextmanager
async def opened(name):
    compiled_model, _ = compiled(name)
    provider = await Local.open(compiled_model, run_context())
    try:
        with trio.fail_after(30):
            yield provider
    finally:
        await provider.close()


async def ask(provider, dialect="openai_chat", **fields):
    reply = Written()
    body = {"model": "m", **({"messages": HI} if dialect == "openai_chat" else {}), **fields}
    await provider.answer(dialect, "m", json.encode(body), reply)
    return reply


def test_compiling_records_role_and_digest():
    found, problems = compiled("tiny-chat")
    assert found == Compiled(model="tiny-chat", role="language_model", digest=model("tiny-chat").digest)
    assert not problems
    assert Local.dialects(found) == ("openai_chat", "anthropic_count_tokens")
    assert Local.dialects(compiled("tiny-embed")[0]) == ("openai_embeddings",)


@pytest.mark.parametrize(
    ("name", "code", "says", "fix"),
    [
        ("", "wildcard-local", "a wildcard does not say which", "name each one"),
        (
            "tiny-chta",
            "unknown-local-model",
            'there is no local model "tiny-chta"',
            'did you mean "tiny-chat"',
        ),
    ],
)
def test_models_that_cannot_be_named(name, code, says, fix):
    found, problems = compiled(name)
    assert problems[code].summary.startswith(says)
    assert problems[code].fix.startswith(fix)
    assert problems[code].severity == "error"
    assert Local.dialects(found)


def test_settings_without_a_use_are_told():
    _, problems = compiled("tiny-chat", access_key="$KEY")
    assert "access_key is not used" in problems["unused-setting"].summary


@pytest.mark.trio
async def test_another_model_than_was_compiled_is_refused():
    with pytest.raises(ArchflowError, match="tiny-chat"):
        await Local.open(Compiled(model="tiny-chat", digest="0" * 64), run_context())


@pytest.mark.trio
async def test_a_whole_answer():
    async with opened("tiny-chat") as provider:
        reply = await ask(provider, max_tokens=5)
        assert (reply.status, reply.type) == (200, "application/json")
        assert reply.length == len(reply.body)
        value = reply.value
        assert value["object"] == "chat.completion"
        choice = value["choices"][0]
        assert choice["finish_reason"] in {"stop", "length"}
        assert choice["logprobs"] is None
        usage = value["usage"]
        assert usage["completion_tokens"] <= 5
        assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


@pytest.mark.trio
async def test_a_stream_says_the_same():
    async with opened("tiny-chat") as provider:
        whole = (await ask(provider, max_tokens=6, logprobs=True, top_logprobs=2)).value["choices"][0]
        reply = await ask(
            provider,
            max_tokens=6,
            logprobs=True,
            top_logprobs=2,
            stream=True,
            stream_options={"include_usage": True},
        )
        assert reply.type == "text/event-stream"
        *chunks, usage = reply.events
        assert usage["choices"] == []
        assert usage["usage"]["completion_tokens"] <= 6
        assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
        assert (
            "".join(one["choices"][0]["delta"].get("content", "") for one in chunks)
            == whole["message"]["content"]
        )
        scores = [s for one in chunks for s in (one["choices"][0]["logprobs"] or {"content": []})["content"]]
        assert [one["token"] for one in scores] == [one["token"] for one in whole["logprobs"]["content"]]
        assert all(len(one["top_logprobs"]) == 2 and one["logprob"] <= 0 for one in scores)
        assert all(one["usage"] is None for one in chunks)
        reasons = [one["choices"][0]["finish_reason"] for one in chunks]
        assert reasons[-1] == whole["finish_reason"]
        assert set(reasons[:-1]) == {None}


@pytest.mark.trio
async def test_what_a_stream_cost_is_told_once_whether_asked_for_or_not():
    async with opened("tiny-chat") as provider:
        whole = (await ask(provider, max_tokens=6, n=2)).value["usage"]
        chunks = (await ask(provider, max_tokens=6, n=2, stream=True)).events
        assert [one["usage"] for one in chunks if "usage" in one] == [whole]
        assert chunks[-1]["choices"][0]["finish_reason"]


@pytest.mark.trio
@pytest.mark.parametrize("stream", [False, True])
async def test_json_by_schema(stream):
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer", "minimum": 5, "maximum": 7}},
        "required": ["n"],
    }
    asked = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema, "strict": True}}
    async with opened("tiny-chat") as provider:
        reply = await ask(provider, response_format=asked, max_tokens=20, stream=stream)
        if stream:
            text = "".join(one["choices"][0]["delta"].get("content", "") for one in reply.events)
        else:
            text = reply.value["choices"][0]["message"]["content"]
        assert json.decode(text)["n"] in {5, 6, 7}


@pytest.mark.trio
async def test_json_objects():
    async with opened("tiny-chat") as provider:
        reply = await ask(
            provider, response_format={"type": "json_object"}, max_tokens=30, temperature=1, seed=2
        )
        assert isinstance(json.decode(reply.value["choices"][0]["message"]["content"]), dict)


@pytest.mark.trio
@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"messages": []}, "at least one message"),
        ({"messages": 3}, "messages"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}]},
            "takes? text only",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "x"}}]}]},
            "takes? text only",
        ),
        ({"messages": [{"role": "user", "content": "x" * 2 * CONTEXT}]}, "shorten it"),
        ({"n": 0}, "`n` must be from 1 to 8"),
        ({"n": 9}, "`n` must be from 1 to 8"),
        ({"max_tokens": 0}, "`max_tokens` must be 1 or more"),
        ({"temperature": 2.1}, "`temperature` must be from 0 to 2"),
        ({"temperature": "hot"}, "cannot be read"),
        ({"top_p": -1}, "`top_p`"),
        ({"stop": [""]}, "`stop`"),
        ({"stop": ["x"] * 17}, "at most 16"),
        ({"stop": "x", "response_format": {"type": "json_object"}}, "would cut the JSON"),
        ({"top_logprobs": 2}, "needs `logprobs: true`"),
        ({"logprobs": True, "top_logprobs": 21}, "from 0 to 20"),
        ({"presence_penalty": 1.0}, "`presence_penalty` is not taken"),
        ({"logit_bias": {"1": 5}}, "`logit_bias` is not taken"),
        ({"modalities": ["audio"]}, "answer in text"),
        ({"tools": [{"type": "web_search"}]}, "`tools` must all be of type function"),
        ({"tools": [{"type": "custom", "custom": {"name": "c"}}]}, "`tools` must all be of type function"),
        ({"tools": [F, F]}, r"`tools\[1\]\.function\.name` is empty or was there before"),
        ({"tools": [tool("f")] * 129}, "at most 128"),
        (
            {"tools": [F, tool("g", {"not": {}})]},
            r"`tools\[1\]\.function\.parameters` cannot be held to: #/not",
        ),
        ({"tools": [tool("f", {"type": "string"})]}, "a schema of an object"),
        ({"tools": [tool("f", {"x": "y" * 70_000})]}, "shorten it"),
        ({"tools": [F], "tool_choice": "always"}, "`tool_choice` must be none, auto or required"),
        (
            {"tools": [F], "tool_choice": {"type": "function", "function": {"name": "g"}}},
            "is not among `tools`",
        ),
        ({"tools": [F], "tool_choice": {"type": "allowed_tools"}}, "must be none, auto or required"),
        ({"tool_choice": "required"}, "needs `tools` to choose from"),
        ({"tools": [F], "response_format": {"type": "json_object"}}, "leaves open which is meant"),
        ({"tools": [F], "tool_choice": "required", "max_tokens": 2}, "has room in 2 tokens: allow"),
        ({"functions": []}, "`functions` is not taken"),
        ({"response_format": {"type": "xml"}}, "text, json_object, or json_schema"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": {"not": {}}}}},
            "#/not is not taken",
        ),
        (
            {
                "response_format": {"type": "json_schema", "json_schema": {"schema": {"const": "long"}}},
                "max_tokens": 2,
            },
            "has room in 2 tokens: allow 6",
        ),
    ],
)
async def test_what_is_refused_is_named(fields, says):
    async with opened("tiny-chat") as provider:
        reply = await ask(provider, **fields)
        assert reply.status == 400
        error = reply.value["error"]
        assert error["type"] == "invalid_request_error"
        assert re.search(says, error["message"]), error["message"]


def is_valid(call, tools):
    parameters = {one["function"]["name"]: one["function"].get("parameters") for one in tools}
    value = json.decode(call["function"]["arguments"])
    schema = parameters[call["function"]["name"]]
    if schema is None:
        assert value == {}
    else:
        jsonschema.validate(value, schema)
    return True


@pytest.mark.trio
async def test_tools_that_may_not_be_used_do_no_harm():
    async with opened("tiny-chat") as provider:
        reply = await ask(provider, tools=[F], tool_choice="none", max_tokens=2)
        assert "tool_calls" not in reply.value["choices"][0]["message"]
        without = await ask(provider, max_tokens=2)
        assert reply.value["usage"] == without.value["usage"]


@pytest.mark.trio
@pytest.mark.parametrize("seed", range(4))
async def test_a_call_that_must_be_is_valid(seed):
    tools = [F, tool("g")]
    async with opened("tiny-chat") as provider:
        reply = await ask(
            provider, tools=tools, tool_choice="required", max_tokens=120, temperature=1.5, seed=seed
        )
        choice = reply.value["choices"][0]
        assert choice["message"]["content"] is None
        calls = choice["message"]["tool_calls"]
        assert 1 <= len(calls) <= 8
        assert len({one["id"] for one in calls}) == len(calls)
        assert all(one["type"] == "function" and is_valid(one, tools) for one in calls)
        assert choice["finish_reason"] in {"tool_calls", "length"}


@pytest.mark.trio
async def test_a_call_that_is_named_is_the_only_one():
    async with opened("tiny-chat") as provider:
        named = {"type": "function", "function": {"name": "f"}}
        reply = await ask(provider, tools=[tool("g"), F], tool_choice=named, max_tokens=80)
        choice = reply.value["choices"][0]
        assert [one["function"]["name"] for one in choice["message"]["tool_calls"]] == ["f"]
        assert is_valid(choice["message"]["tool_calls"][0], [F])
        assert choice["finish_reason"] == "tool_calls"


@pytest.mark.trio
async def test_a_choice_among_some_of_the_tools():
    allowed = {"mode": "required", "tools": [{"type": "function", "function": {"name": "g"}}]}
    async with opened("tiny-chat") as provider:
        reply = await ask(
            provider, tools=[F, tool("g")], tool_choice={"type": "allowed_tools", "allowed_tools": allowed},
            parallel_tool_calls=False, max_tokens=80,
        )  # fmt: skip
        calls = reply.value["choices"][0]["message"]["tool_calls"]
        assert [one["function"] for one in calls] == [{"name": "g", "arguments": "{}"}]


@pytest.mark.trio
async def test_one_call_at_a_time():
    async with opened("tiny-chat") as provider:
        for seed in range(4):
            reply = await ask(
                provider, tools=[F], tool_choice="required", parallel_tool_calls=False, max_tokens=120, seed=seed,
                temperature=1.5,
            )  # fmt: skip
            assert len(reply.value["choices"][0]["message"]["tool_calls"]) == 1


@pytest.mark.trio
async def test_calls_as_a_stream():
    async with opened("tiny-chat") as provider:
        fields = {"tools": [F], "tool_choice": "required", "max_tokens": 90, "temperature": 1.5, "seed": 3}
        whole = (await ask(provider, **fields)).value["choices"][0]
        reply = await ask(provider, **fields, stream=True)
        calls = {}
        for event in reply.events:
            for delta in event["choices"][0]["delta"].get("tool_calls", ()):
                call = calls.setdefault(delta["index"], {"function": {"arguments": ""}})
                if "id" in delta:
                    assert "id" not in call
                    call |= {"id": delta["id"], "type": delta["type"]}
                    call["function"]["name"] = delta["function"]["name"]
                call["function"]["arguments"] += delta["function"]["arguments"]
        assert [calls[one]["function"] for one in sorted(calls)] == [
            one["function"] for one in whole["message"]["tool_calls"]
        ]
        assert reply.events[-1]["choices"][0]["finish_reason"] == whole["finish_reason"]


@pytest.mark.trio
async def test_words_or_a_call():
    """Random weights call nothing by themselves: what matters is that words come as words."""
    async with opened("tiny-chat") as provider:
        reply = await ask(provider, tools=[F], max_tokens=4)
        message = reply.value["choices"][0]["message"]
        assert "tool_calls" not in message
        assert reply.value["usage"]["prompt_tokens"] > (await ask(provider)).value["usage"]["prompt_tokens"]


@pytest.mark.trio
async def test_calls_and_their_answers_are_told_as_the_model_was_trained():
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"days": 2}'}}
    history = [
        *HI,
        {"role": "assistant", "content": None, "tool_calls": [call, call], "reasoning_content": "hm"},
        {"role": "tool", "tool_call_id": "1", "content": "rain"},
        {"role": "tool", "tool_call_id": "1", "content": [{"type": "text", "text": "sun"}]},
    ]
    body = json.encode({"model": "m", "messages": history, "tools": [F]})
    asked = ChatRequest(OpenAIChat(Empty(), run_context()), body)
    generation = asked.makes()[0](chat(), lambda _: None)
    text = "".join(chat().words.names[one] if not chat().words.bytes[one] else chat().words.bytes[one].decode()
                   for one in generation.prompt)  # fmt: skip
    assert '<tools>\n{"type": "function", "function": {"name": "f", "description": "", "parameters":' in text
    assert (
        '<|im_start|>assistant\n<tool_call>\n{"name": "f", "arguments": {"days": 2}}\n</tool_call>\n'
        '<tool_call>\n{"name": "f", "arguments": {"days": 2}}\n</tool_call><|im_end|>\n'
        "<|im_start|>user\n<tool_response>\nrain\n</tool_response>\n<tool_response>\nsun\n</tool_response>"
        "<|im_end|>\n<|im_start|>assistant\n"
    ) in text


@pytest.mark.trio
@pytest.mark.parametrize("stream", [False, True])
async def test_several_answers(stream):
    fields = {"temperature": 1.5, "seed": 7, "max_tokens": 8}
    async with opened("tiny-chat") as provider:
        reply = await ask(provider, n=3, **fields, stream=stream, stream_options={"include_usage": True})
        alone = [(await ask(provider, **fields | {"seed": 7 + number})).value for number in range(3)]
        if stream:
            texts, reasons = ["", "", ""], [None] * 3
            for event in reply.events:
                for choice in event["choices"]:
                    texts[choice["index"]] += choice["delta"].get("content", "")
                    reasons[choice["index"]] = choice["finish_reason"] or reasons[choice["index"]]
            usage = reply.events[-1]["usage"]
        else:
            texts = [one["message"]["content"] for one in reply.value["choices"]]
            reasons = [one["finish_reason"] for one in reply.value["choices"]]
            usage = reply.value["usage"]
        assert texts == [one["choices"][0]["message"]["content"] for one in alone]
        assert reasons == [one["choices"][0]["finish_reason"] for one in alone]
        assert usage["completion_tokens"] == sum(one["usage"]["completion_tokens"] for one in alone)
        assert usage["prompt_tokens"] == alone[0]["usage"]["prompt_tokens"]


@pytest.mark.trio
async def test_embeddings_as_floats_and_packed():
    async with opened("tiny-embed") as provider:
        texts = ["hello world", "", "unbelievable"]
        reply = await ask(provider, "openai_embeddings", input=texts)
        floats = [one["embedding"] for one in reply.value["data"]]
        packed = (await ask(provider, "openai_embeddings", input=texts, encoding_format="base64")).value[
            "data"
        ]
        for one, data in zip(floats, packed, strict=True):
            again = np.frombuffer(base64.b64decode(data["embedding"]), dtype="<f4")
            assert again == pytest.approx(one, abs=1e-6)
            assert np.linalg.norm(again) == pytest.approx(1, abs=1e-5)
        assert [one["index"] for one in reply.value["data"]] == [0, 1, 2]
        assert reply.value["usage"] == {"prompt_tokens": 11, "total_tokens": 11}
        single = await ask(provider, "openai_embeddings", input="hello world")
        assert single.value["data"][0]["embedding"] == pytest.approx(floats[0], abs=1e-6)


@pytest.mark.trio
@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({}, "cannot be read"),
        ({"input": []}, "from 1 to 2048"),
        ({"input": [1, 2]}, "tokens of other models"),
        ({"input": "hello " * 600}, r"`input\[0\]` has 602 tokens, and m takes"),
        ({"input": "a", "encoding_format": "hex"}, "float or base64"),
        ({"input": "a", "dimensions": 3}, "vectors of m have 64"),
    ],
)
async def test_embeddings_that_are_refused(fields, says):
    async with opened("tiny-embed") as provider:
        reply = await ask(provider, "openai_embeddings", **fields)
        assert reply.status == 400
        assert re.search(says, reply.value["error"]["message"])


@pytest.mark.trio
@pytest.mark.parametrize("form", ["float", "base64"])
async def test_a_large_reply_leaves_in_parts(monkeypatch, form):
    monkeypatch.setattr(local, "PART", 4096)
    async with opened("tiny-embed") as provider:
        reply = await ask(
            provider, "openai_embeddings", input=[f"text {n}" for n in range(70)], encoding_format=form
        )
        assert len(reply.parts) > 5
        assert max(map(len, reply.parts)) < 4096 + 2048
        assert reply.length == len(reply.body)
        assert [one["index"] for one in reply.value["data"]] == list(range(70))


@pytest.mark.trio
@pytest.mark.parametrize(
    ("name", "dialect"), [("tiny-chat", "openai_chat"), ("tiny-embed", "openai_embeddings")]
)
async def test_a_request_that_no_model_here_could_take_is_not_read(monkeypatch, name, dialect):
    monkeypatch.setattr(local, "BODY_AT_MOST", 100)
    async with opened(name) as provider:
        reply = await ask(provider, dialect, input="x" * 100)
        assert reply.status == 413
        assert "local models read 100: split it" in reply.value["error"]["message"]


@pytest.mark.trio
async def test_the_event_loop_computes_nothing(monkeypatch):
    """Whatever reads texts, runs a model or writes much, runs in threads."""
    seen = set()

    def watched(of, name):
        real = getattr(of, name)

        def call(*args, **fields):
            seen.add((of.__name__, name, trio.lowlevel.in_trio_run()))
            return real(*args, **fields)

        monkeypatch.setattr(of, name, call)

    for of, name in (
        (Embedder, "read"), (Embedder, "run"), (LanguageModel, "prompt"), (LanguageModel, "run"),
        (LanguageModel, "counts"),
        (Vocabulary, "encode"), (tool_calls, "calls"), (constrain, "json_schema"), (ChatWriter, "whole"),
        (local, "_write_vectors"),
    ):  # fmt: skip
        watched(of, name)
    monkeypatch.setattr(local, "NUMBERS_AT_ONCE", 64)
    schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": DAYS}}
    async with opened("tiny-chat") as chats, opened("tiny-embed") as embeds:
        await ask(embeds, "openai_embeddings", input=["hello", "world"])
        await ask(chats, max_tokens=4, logprobs=True)
        await ask(chats, response_format=schema, max_tokens=60)
        await ask(chats, tools=[F], tool_choice="required", max_tokens=90, stream=True)
        await ask(chats, COUNTING, messages=HI)
    assert len(seen) == 10
    assert not [one for one in seen if one[-1]]


@pytest.mark.trio
async def test_the_models_own_dimension_may_be_asked_for():
    async with opened("tiny-embed") as provider:
        assert (await ask(provider, "openai_embeddings", input="a", dimensions=64)).status == 200


@pytest.mark.trio
async def test_a_dialect_of_the_other_role():
    async with opened("tiny-embed") as provider:
        assert (await ask(provider)).value["error"]["code"] == "unsupported_dialect"


@pytest.mark.trio
@pytest.mark.parametrize(
    ("counted", "asked"),
    [
        ({"messages": HI}, {"messages": HI}),
        (
            {"messages": HI, "system": "Be brief"},
            {"messages": [{"role": "system", "content": "Be brief"}, *HI]},
        ),
        ({"messages": HI, "tools": [SAME]}, {"messages": HI, "tools": [F]}),
        (
            {"messages": HI, "tools": [SAME], "tool_choice": {"type": "any"}},
            {"messages": HI, "tools": [F], "tool_choice": "required", "max_tokens": 90},
        ),
        (
            {"messages": HI, "tools": [SAME], "tool_choice": {"type": "none"}},
            {"messages": HI, "tools": [F], "tool_choice": "none"},
        ),
        (
            {"messages": [*HI, {"role": "assistant", "content": "So"}]},
            {"messages": [*HI, {"role": "assistant", "content": "So"}]},
        ),
    ],
    ids=["plain", "system", "tools", "a call is written", "no tools", "continued"],
)
async def test_a_request_of_messages_is_counted_as_it_would_be_read(counted, asked):
    async with opened("tiny-chat") as provider:
        reply = await ask(provider, COUNTING, **counted)
        assert (reply.status, reply.type) == (200, "application/json")
        read = (await ask(provider, **{"max_tokens": 1, **asked})).value["usage"]["prompt_tokens"]
        assert reply.value == {"input_tokens": read}


@pytest.mark.trio
async def test_what_is_too_long_to_be_answered_is_counted():
    async with opened("tiny-chat") as provider:
        messages = [{"role": "user", "content": "word " * 100_000}]
        assert (await ask(provider, COUNTING, messages=messages)).value["input_tokens"] > 50 * CONTEXT
        assert (await ask(provider, messages=messages)).status == 400


@pytest.mark.trio
async def test_what_many_tools_answered_is_put_together_once(monkeypatch):
    calls = [
        {"id": f"c{n}", "type": "function", "function": {"name": "f", "arguments": "{}"}} for n in range(300)
    ]
    answers = [{"role": "tool", "tool_call_id": one["id"], "content": "an answer"} for one in calls]
    made = []

    def turn(role, text):
        made.append((role, text.count("an answer")))
        return Turn(role, text)

    async with opened("tiny-chat") as provider:
        monkeypatch.setattr(chat_template, "Turn", turn)
        reply = await ask(provider, messages=[*HI, {"role": "assistant", "tool_calls": calls}, *answers])
        assert reply.status == 400  # it is longer than the model takes
    assert [answered for role, answered in made if role == "tool"] == [300]


@pytest.mark.trio
async def test_what_would_not_be_answered_is_not_counted():
    bad = {"type": "object", "properties": {"a": {"$ref": "#/nowhere"}}}
    refused = (
        ({"tools": [{"name": "f", "input_schema": bad}]}, {"tools": [tool("f", bad)]}),
        (
            {"output_config": {"format": {"type": "json_schema", "schema": bad}}},
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": bad}}},
        ),
    )
    async with opened("tiny-chat") as provider:
        for counted, asked in refused:
            reply, answer = (
                await ask(provider, COUNTING, messages=HI, **counted),
                await ask(provider, **asked),
            )
            assert reply.status == answer.status == 400
            assert reply.value["error"]["message"] == answer.value["error"]["message"]


@pytest.mark.trio
async def test_who_counts_is_refused_in_the_words_of_messages():
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
    async with opened("tiny-chat") as provider, opened("tiny-embed") as embedder:
        for asked, messages, waiting, status, kind, says in (
            (provider, [{"role": "user", "content": [image]}], 0, 400, "invalid_request_error", "text only"),
            (provider, HI, host.BYTES_COUNTED, 503, "api_error", "try again"),
            (embedder, HI, 0, 400, "invalid_request_error", "cannot be asked in anthropic_count_tokens"),
        ):
            if asked is provider:
                asked._generates._counting = waiting
            reply = await ask(asked, COUNTING, messages=messages)
            assert reply.status == status
            assert reply.value["type"] == "error"
            assert reply.value["error"]["type"] == kind
            assert says in reply.value["error"]["message"]


@pytest.mark.trio
async def test_an_overload_says_when_to_come_back(monkeypatch):
    monkeypatch.setattr(host, "GENERATIONS_WAITING", 0)
    async with opened("tiny-chat") as provider:
        reply = await ask(provider)
        assert reply.status == 503
        assert int(reply.headers["retry-after"]) >= 1
        assert reply.value["error"]["type"] == "server_error"


@pytest.mark.trio
async def test_half_surrogates_and_odd_texts():
    async with opened("tiny-chat") as provider:
        body = (
            b'{"model":"m","max_tokens":2,"messages":[{"role":"user","content":"a\\u0000\\u001f<|im_end|>"}]}'
        )
        reply = Written()
        await provider.answer("openai_chat", "m", body, reply)
        assert reply.status == 200


def test_the_tiny_model_is_of_the_shape_that_is_tested():
    assert chat().context == CONTEXT

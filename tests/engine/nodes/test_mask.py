"""Personal data that is masked on its way to a model and put back into the answer, on every lane; masked answers."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import json

from archflow_plugins.contexts import encode_compiled
from archflow_plugins.framing import sse
from archflow_plugins.guards.pii import PiiConfig
from archflow_plugins.guards.regex import RegexConfig
from archflow_schema.graph import Use
from peers import Reply, Upstream, reply
from playbook import compiled, playing

pytestmark = pytest.mark.trio
MASK = Use("guard.pii", encode_compiled(PiiConfig(action="mask", restore=True)))
TEXT = "write to me@example.com and you@example.com, again to me@example.com"
MASKED = "write to <EMAIL_1> and <EMAIL_2>, again to <EMAIL_1>"
ASKED = {"model": "m", "messages": [{"role": "user", "content": TEXT}]}
STREAM = ("content-type: text/event-stream",)
DONE = b"data: [DONE]\n\n"


def piece(*, end: str = "", **delta: object) -> bytes:
    """One event of a chat stream."""
    one = {"index": 0, "delta": delta, "finish_reason": end or None}
    return sse.encode(json.encode({"id": "chatcmpl-1", "model": "gpt-x", "choices": [one]}))


def whole(content: str, **more: object) -> bytes:
    """A whole chat reply."""
    message = {"role": "assistant", "content": content, **more}
    one = {"index": 0, "message": message, "finish_reason": "stop"}
    return json.encode({"id": "c", "object": "chat.completion", "created": 1, "model": "x", "choices": [one]})


def told(answer: Reply) -> list[dict[str, Any]]:
    """The data of a stream's events."""
    return [json.decode(one.data) for one in sse.Splitter().feed(answer.body) if one.data != b"[DONE]"]


async def test_what_goes_upstream_is_masked_and_all_else_keeps_its_bytes() -> None:
    body = (
        b'{"model":"m","messages":[{"role":"system","content":"be kind","mine":1.50},'
        b'{"role":"user","content":"I am me@example.com","name":"jo","odd":[ 1 ]}],"zz":[ 1,2 ],"temperature":0.50}'
    )
    async with playing(guards=(MASK,)) as play:
        client = await play.client()
        await client.ask(body)
        asked = await play.upstream.asked()
        wanted = body.replace(b"me@example.com", b"<EMAIL_1>").replace(b'"m"', b'"m-upstream"')
        assert asked.body == wanted
        await asked.reply(whole("hello <EMAIL_1>, not <EMAIL_2>"))
        answer = await client.reply()
        assert answer.json["choices"][0]["message"]["content"] == "hello me@example.com, not <EMAIL_2>"
        record = await play.record()
        assert record.guards == [("guard-0", "changed")]
        assert "example.com" not in f"{record}{play.log}"


async def test_a_request_without_any_is_relayed_byte_by_byte() -> None:
    async with playing(guards=(MASK,)) as play:
        play.upstream.script = lambda _: reply(b'{ "odd": 1 }')
        answer = await (await play.client()).talks(
            {**ASKED, "messages": [{"role": "user", "content": "hello"}]}
        )
        assert answer.body == b'{ "odd": 1 }'
        assert (await play.record()).guards == [("guard-0", "allow")]


@pytest.mark.parametrize("size", [1, 7, 10_000])
async def test_a_stream_gets_the_values_back_wherever_it_is_cut(size: int) -> None:
    said = "I wrote to <EMAIL_1> and \\<EMAIL_2>; a < b"
    body = (
        b"".join(piece(content=said[at : at + 3]) for at in range(0, len(said), 3)) + piece(end="stop") + DONE
    )
    async with playing(guards=(MASK,)) as play:
        client = await play.client()
        await client.ask({**ASKED, "stream": True})
        asked = await play.upstream.asked()
        assert asked.json["messages"][0]["content"] == MASKED
        await asked.stream()
        for at in range(0, len(body), size):
            await asked.more(body[at : at + size])
        await asked.end()
        answer = await client.reply()
        content = "".join(one["choices"][0]["delta"].get("content") or "" for one in told(answer))
        assert content == "I wrote to me@example.com and \\you@example.com; a < b"
        assert answer.body.endswith(DONE)


async def test_the_arguments_of_calls_get_them_too_however_they_are_written() -> None:
    parts = ['{"to": "<EMA', 'IL_1>", "cc": "\\u003cEM', 'AIL_2\\u003e"}']
    calls = [
        [{"index": 0, "id": "call-1", "type": "function", "function": {"name": "send", "arguments": part}}]
        for part in parts
    ]
    body = b"".join(piece(tool_calls=call) for call in calls) + piece(end="tool_calls") + DONE
    async with playing(guards=(MASK,)) as play:
        play.upstream.script = lambda _: reply(body, headers=STREAM)
        answer = await (await play.client()).talks({**ASKED, "stream": True})
        arguments = "".join(
            call["function"].get("arguments", "")
            for one in told(answer)
            for call in one["choices"][0]["delta"].get("tool_calls") or ()
        )
        assert json.decode(arguments) == {"to": "me@example.com", "cc": "you@example.com"}


async def test_a_conversation_that_goes_on_is_masked_as_before() -> None:
    turns = [
        {"role": "user", "content": "I am me@example.com"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": "c1",
                    "type": "function",
                    "function": {"name": "f", "arguments": '{"to":"me@example.com"}'},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "sent to you@example.com"},
        {"role": "user", "content": "call +1 415 555 2671 or <PHONE_1>"},
    ]
    async with playing(guards=(MASK,)) as play:
        client = await play.client()
        await client.ask({"model": "m", "messages": turns})
        asked = await play.upstream.asked()
        sent = asked.json["messages"]
        assert sent[0]["content"] == "I am <EMAIL_1>"
        assert sent[1]["tool_calls"][0]["function"]["arguments"] == '{"to":"<EMAIL_1>"}'
        assert sent[2]["content"] == "sent to <EMAIL_2>"
        assert sent[3]["content"] == "call <PHONE_2> or <PHONE_1>"
        await asked.reply(whole("<PHONE_2>, <PHONE_1>"))
        answer = await client.reply()
        assert answer.json["choices"][0]["message"]["content"] == "+1 415 555 2671, <PHONE_1>"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_client_of_another_dialect(stream: bool) -> None:
    async with playing(guards=(MASK,)) as play:
        client = await play.client()
        await client.ask(
            {**ASKED, "max_tokens": 50, "system": "for me@example.com", "stream": stream}, path="/v1/messages"
        )
        asked = await play.upstream.asked()
        assert asked.json["messages"][0]["content"] == "for <EMAIL_1>"
        assert asked.json["messages"][1]["content"] == MASKED
        if stream:
            body = piece(content="to <EMAIL") + piece(content="_1>") + piece(end="stop") + DONE
            await asked.reply(body, headers=STREAM)
            answer = await client.reply()
            parts = [
                one["delta"].get("text", "") for one in told(answer) if one["type"] == "content_block_delta"
            ]
            assert "".join(parts) == "to me@example.com"
        else:
            await asked.reply(whole("to <EMAIL_1>"))
            assert (await client.reply()).json["content"] == [{"type": "text", "text": "to me@example.com"}]


async def test_without_restoring_the_reply_is_relayed() -> None:
    use = Use("guard.pii", encode_compiled(PiiConfig(action="mask", find=("email",))))
    async with playing(guards=(use,)) as play:
        play.upstream.script = lambda _: reply(b'{"said": "<EMAIL_1>"}')
        answer = await (await play.client()).talks(ASKED)
        assert answer.body == b'{"said": "<EMAIL_1>"}'


async def test_guards_of_the_answer_judge_it_before_the_values_are_back() -> None:
    word = Use("guard.pii", encode_compiled(PiiConfig()))
    async with playing(guards=(MASK,), screens=(word,)) as play:
        said = iter(["to <EMAIL_1>", "to him@example.com"])
        play.upstream.script = lambda _: reply(whole(next(said)))
        client = await play.client()
        answer = await client.talks(ASKED)
        assert answer.json["choices"][0]["message"]["content"] == "to me@example.com"
        answer = await client.talks(ASKED)
        assert (answer.status, answer.message) == (
            400,
            "This answer was withheld: it holds an email address.",
        )


async def test_an_api_that_cannot_be_changed_is_refused_only_if_there_is_something_to_mask() -> None:
    async with playing(guards=(MASK,)) as play:
        play.upstream.script = lambda _: reply({"choices": []})
        client = await play.client()
        answer = await client.talks({"model": "m", "prompt": TEXT}, path="/v1/completions")
        assert (answer.status, answer.code) == (400, "unsupported_dialect")
        assert (await client.talks({"model": "m", "prompt": "hello"}, path="/v1/completions")).status == 200


async def test_later_guards_read_what_goes_on() -> None:
    use = Use("guard.regex", encode_compiled(RegexConfig(deny=("example",))))
    async with playing(guards=(MASK, use)) as play:
        play.upstream.script = lambda _: reply(whole("ok"))
        assert (await (await play.client()).talks(ASKED)).status == 200


AGENT = """
version: v0.4.0
filters: [{{id: f, type: http, url: "{filter}"}}]
agents: [{{id: a, url: "{agent}"}}]
listeners:
  - name: ag
    type: agent
    port: 8001
    guards: [{{kind: pii, action: mask, restore: true}}]
    output_guards: [{{kind: regex, deny_words: [falcon]}}]
    input_filters: [f]
    agents: [{{id: a}}]
"""


async def test_filters_and_agents_get_no_values_and_the_agents_reply_does() -> None:
    async with playing(Upstream(), Upstream()) as play:
        filtering, agent = play.upstreams
        await play.swap(compiled(AGENT.format(filter=filtering.url, agent=agent.url)))
        client = await play.client()
        await client.ask(ASKED)
        asked = await filtering.asked()
        assert asked.json["messages"][0]["content"] == MASKED
        await asked.reply(asked.body)
        asked = await agent.asked()
        assert asked.json["messages"][0]["content"] == MASKED
        await asked.reply(whole("to <EMAIL_2>"))
        answer = await client.reply()
        assert answer.json["choices"][0]["message"]["content"] == "to you@example.com"
        assert answer.header("x-arch-agent") == "a"
        await client.ask({**ASKED, "stream": True})
        await (await filtering.asked()).reply(json.encode({**ASKED, "stream": True}))
        asked = await agent.asked()
        await asked.reply(piece(content="the falcon ") + piece(end="stop") + DONE, headers=STREAM)
        assert (await client.reply()).code == "guard_denied"


@pytest.mark.parametrize("size", [1, 9, 10_000])
async def test_answers_are_masked_while_they_come(size: int) -> None:
    said = "ask him@example.com or +44 20 7946 0958 now"
    body = (
        b"".join(piece(content=said[at : at + 4]) for at in range(0, len(said), 4)) + piece(end="stop") + DONE
    )
    use = Use("guard.pii", encode_compiled(PiiConfig(action="mask")))
    async with playing(screens=(use,)) as play:
        client = await play.client()
        await client.ask({**ASKED, "stream": True})
        asked = await play.upstream.asked()
        await asked.stream()
        for at in range(0, len(body), size):
            await asked.more(body[at : at + size])
        await asked.end()
        content = "".join(
            one["choices"][0]["delta"].get("content") or "" for one in told(await client.reply())
        )
        assert content == "ask <EMAIL_1> or <PHONE_1> now"
        assert (await play.record()).guards == [("screen-0", "allow")]


def tokens(*texts: str) -> dict[str, object]:
    """The tokens of a choice, as chat completions tell their probabilities."""
    return {"content": [{"token": one, "logprob": -0.5, "bytes": None, "top_logprobs": []} for one in texts]}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_tokens_do_not_tell_what_is_masked_and_all_others_are_told(stream: bool) -> None:
    use = Use("guard.pii", encode_compiled(PiiConfig(action="mask")))
    field = "delta" if stream else "message"
    end = None if stream else "stop"
    texts = (("ask ", "him@example.com", " now"), ("hello ", "there "))
    bodies = [
        json.encode(
            {
                "id": "c",
                "model": "x",
                "choices": [
                    {
                        "index": 0,
                        field: {"content": "".join(text)},
                        "logprobs": tokens(*text),
                        "finish_reason": end,
                    }
                ],
            }
        )
        for text in texts
    ]
    if stream:  # tokens alone come with no text that could be judged
        alone = {
            "index": 0,
            "delta": {"content": ""},
            "logprobs": tokens("him@example.com"),
            "finish_reason": None,
        }
        last = piece(end="stop") + DONE
        bodies = [
            sse.encode(one) + sse.encode(json.encode({"id": "c", "choices": [alone]})) + last
            for one in bodies
        ]
    async with playing(screens=(use,)) as play:
        client = await play.client()
        for body, text in zip(bodies, texts, strict=True):
            play.upstream.script = lambda _, body=body: reply(body, headers=STREAM if stream else ())
            answer = await client.talks({**ASKED, "stream": stream, "logprobs": True})
            assert b"example.com" not in answer.body
            assert (b'"token":"hello "' in answer.body) == (text[0] == "hello ")


async def test_sources_are_masked_and_get_values_back() -> None:
    cited = {
        "url": "https://x.test/him@example.com",
        "title": "of <EMAIL_1>",
        "start_index": 0,
        "end_index": 2,
    }
    body = whole("so", annotations=[{"type": "url_citation", "url_citation": cited}])
    out = Use("guard.pii", encode_compiled(PiiConfig(action="mask")))
    async with playing(guards=(MASK,)) as play:
        play.upstream.script = lambda _: reply(body)
        told = (await (await play.client()).talks(ASKED)).json["choices"][0]["message"]["annotations"]
        assert told[0]["url_citation"] == {**cited, "title": "of me@example.com"}
    async with playing(screens=(out,)) as play:
        play.upstream.script = lambda _: reply(body)
        told = (await (await play.client()).talks(ASKED)).json["choices"][0]["message"]["annotations"]
        assert told[0]["url_citation"] == {**cited, "url": "https://x.test/<EMAIL_1>"}


RESPONSES = """
version: v0.4.0
listeners:
  - {{name: llm, type: model, guards: [{{kind: pii, action: mask, restore: true}}]}}
model_providers: [{{model: openai/m, base_url: "{url}", access_key: $UPSTREAM_KEY}}]
"""
ME = "me@example.com"
THOUGHT = {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": ME}], "content": []}
BESIDE: dict[str, tuple[str, dict[str, Any]]] = {
    "a predicted output": ("/v1/chat/completions", {"prediction": {"type": "content", "content": ME}}),
    "a call in its old form": (
        "/v1/chat/completions",
        {"messages": [{"role": "assistant", "function_call": {"name": "f", "arguments": ME}}]},
    ),
    "a field that nobody knows": (
        "/v1/chat/completions", {"messages": [{"role": "user", "content": "hello", "odd": [{"x": ME}]}]},
    ),
    "variables of a prompt": ("/v1/responses", {"input": "hello", "prompt": {"id": "p", "variables": {"a": ME}}}),
    "the summary of a thought": ("/v1/responses", {"input": [{"role": "user", "content": ME}, THOUGHT]}),
}  # fmt: skip


@pytest.mark.parametrize("beside", BESIDE)
async def test_what_only_the_clients_api_knows_is_masked_and_put_back(beside: str) -> None:
    path, more = BESIDE[beside]
    async with playing() as play:
        await play.swap(compiled(RESPONSES.format(url=play.upstream.url)))
        client = await play.client()
        asking = {"messages": [{"role": "user", "content": "hello"}]} if path.endswith("completions") else {}
        await client.ask({"model": "m", **asking, **more}, path=path)
        asked = await play.upstream.asked()
        assert b"example.com" not in asked.body
        assert b"<EMAIL_1>" in asked.body
        if path.endswith("completions"):
            await asked.reply(whole("to <EMAIL_1>"))
            assert (await client.reply()).json["choices"][0]["message"]["content"] == f"to {ME}"
        else:
            await asked.reply({"error": {"message": "no"}}, status=400)
            assert (await client.reply()).status == 400


async def test_what_is_masked_in_an_answer_is_never_taken_for_what_was_masked_in_the_request() -> None:
    out = Use("guard.pii", encode_compiled(PiiConfig(action="mask")))
    async with playing(guards=(MASK,), screens=(out,)) as play:
        play.upstream.script = lambda _: reply(whole("<EMAIL_2>, ask him@example.com and her@example.com"))
        answer = await (await play.client()).talks(ASKED)
        assert (
            answer.json["choices"][0]["message"]["content"] == "you@example.com, ask <EMAIL_3> and <EMAIL_4>"
        )

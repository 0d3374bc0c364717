"""Filters of replies: what they get of whole replies and of streams, what the client hears, and what ends it early."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
import trio

from archflow_engine import sieve
from archflow_plugins.filters import asking
from peers import Asked, Client, Upstream, reply, request
from playbook import ADDRESS, Play, compiled, playing
from promptbook import WEATHER, Prompts, graph

pytestmark = pytest.mark.trio
ASKED = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
USAGE = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
ANSWER = {
    "id": "1", "object": "chat.completion", "created": 1, "model": "x", "unheard_of": 1.50, "usage": USAGE,
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "a secret"}, "finish_reason": "stop"}],
}  # fmt: skip
MODELS = """
version: v0.4.0
filters: [{{id: f, url: "{f}", type: {kind}, {tool}}}, {{id: g, url: "{g}", type: http}}]
listeners: [{{name: llm, type: model, output_filters: [{names}]}}]
model_providers: [{{model: {model}, base_url: "{url}", access_key: $UPSTREAM_KEY}}]
"""
AGENT = """
version: v0.4.0
agents: [{{id: a, url: "{url}"}}]
filters: [{{id: f, url: "{f}", type: http}}]
listeners: [{{name: l, type: agent, port: 8001, output_filters: [f], agents: [{{id: a}}]}}]
"""


def event(text: str, **more: Any) -> bytes:
    """One event of a streamed answer."""
    delta = {"id": "1", "choices": [{"index": 0, "delta": {"content": text}}], **more}
    return b"data: " + msgspec.json.encode(delta) + b"\n\n"


STOP = b'data: {"id":"1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"


def hides(asked: Asked) -> bytes:
    """What a filter makes of a reply."""
    return reply(asked.body.replace(b"secret", b"******"))


class Sifted:
    """A play with a filter before which replies pass, `f`, and another, `g`."""

    def __init__(self, play: Play, client: Client) -> None:
        self.play = play
        self.client = client
        self.f, self.g, self.model = play.upstreams

    async def streams(self, *parts: bytes, body: dict[str, Any] | None = None, **more: Any) -> Asked:
        """Ask for a stream, of which the model sends these parts."""
        self.model.script = None
        await self.client.ask(body or {**ASKED, "stream": True}, **more)
        asked = await self.model.asked()
        await asked.stream(*parts)
        return asked


@asynccontextmanager
async def sifted(
    *, kind: str = "http", names: str = "f", model: str = "openai/m", f: str = ""
) -> AsyncIterator[Sifted]:
    async with playing(Upstream(), Upstream(), Upstream()) as play:
        tool = "tool: t" if kind == "mcp" else ""
        urls = {"f": f or play.upstreams[0].url, "g": play.upstreams[1].url, "url": play.upstreams[2].url}
        await play.swap(compiled(MODELS.format(kind=kind, tool=tool, names=names, model=model, **urls)))
        play.upstreams[0].script = hides
        play.upstreams[2].script = lambda _: reply(ANSWER)
        yield Sifted(play, await play.client())


# Whole replies.


async def test_a_whole_reply_goes_on_as_the_filter_gives_it() -> None:
    async with sifted() as play:
        answer = await play.client.talks(ASKED, headers=("X-Request-ID: r-1", "Accept-Encoding: gzip"))
        assert answer.json["choices"][0]["message"]["content"] == "a ******"
        assert answer.json["unheard_of"] == 1.50
        asked = play.f.requests[0]
        assert (asked.method, asked.target, asked.json) == ("POST", "/v1/chat/completions", ANSWER)
        assert (asked.header("content-type"), asked.header("x-request-id")) == ("application/json", "r-1")
        assert play.model.requests[0].header("accept-encoding") == "identity"
        record = await play.play.record()
        assert (record.status, record.usage.output_tokens, record.finish_reason) == (200, 2, "stop")  # type: ignore[union-attr]
        assert record.bytes_sent == len(answer.body)
        assert next(one.upstream for one in record.attempts) == "openai/m"


async def test_filters_follow_each_other() -> None:
    async with sifted(names="f, g") as play:
        play.g.script = lambda asked: reply(asked.body.replace(b"******", b"nothing"))
        assert (await play.client.talks(ASKED)).json["choices"][0]["message"]["content"] == "a nothing"


async def test_the_record_knows_what_was_said_whatever_the_filter_makes_of_it() -> None:
    async with sifted() as play:
        play.f.script = lambda _: reply(b"not JSON")
        answer = await play.client.talks(ASKED)
        assert (answer.status, answer.body) == (200, b"not JSON")
        assert (await play.play.record()).usage.output_tokens == 2  # type: ignore[union-attr]


async def test_a_reply_that_is_compressed_all_the_same_is_unpacked() -> None:
    async with sifted() as play:
        packed = gzip.compress(msgspec.json.encode(ANSWER))
        play.model.script = lambda _: reply(packed, headers=("content-encoding: gzip", "etag: x"))
        answer = await play.client.talks(ASKED)
        assert answer.json["choices"][0]["message"]["content"] == "a ******"
        assert (answer.header("content-encoding"), answer.header("etag")) == (None, None)


@pytest.mark.parametrize("path", ["/v1/embeddings", "/v1/completions"])
async def test_what_is_no_conversation_passes_too(path: str) -> None:
    async with sifted() as play:
        play.model.script = lambda _: reply(b'{"a": "secret"}')
        assert (
            await play.client.talks({"model": "m", "input": "x", "prompt": "x"}, path=path)
        ).body == b'{"a": "******"}'
        assert play.f.requests[0].target == path


async def test_a_translated_reply_passes_in_the_clients_dialect() -> None:
    async with sifted() as play:
        body = {"model": "m", "max_tokens": 5, "messages": ASKED["messages"]}
        answer = await play.client.talks(body, path="/v1/messages")
        assert answer.json["content"][0]["text"] == "a ******"
        assert play.f.requests[0].json["content"][0]["text"] == "a secret"
        assert play.f.requests[0].target == "/v1/messages"
        assert (await play.play.record()).usage.output_tokens == 2  # type: ignore[union-attr]


async def test_an_error_passes_as_it_came() -> None:
    async with sifted() as play:
        play.model.script = lambda _: reply(b'{"error": {"message": "secret"}}', status=429)
        answer = await play.client.talks(ASKED)
        assert (answer.status, answer.body) == (429, b'{"error": {"message": "secret"}}')
        assert not play.f.requests


@pytest.mark.parametrize(
    ("status", "heard", "error"), [(422, 422, "ClientError"), (503, 500, "FilterChainError")]
)
async def test_a_filter_that_refuses(status: int, heard: int, error: str) -> None:
    async with sifted() as play:
        play.f.script = lambda _: reply(b"not that", status=status)
        answer = await play.client.talks(ASKED)
        assert (answer.status, answer.json) == (
            heard,
            {"error": error, "agent": "f", "status": status, "agent_response": "not that"},
        )
        record = await play.play.record()
        assert (record.error, record.status) == ("filter_refused", heard)
        assert (record.attempts[0].status, record.attempts[0].outcome) == (200, "streaming")


async def test_a_filter_that_fails() -> None:
    async with sifted(f="http://127.0.0.1:1") as play:
        answer = await play.client.talks(ASKED)
        assert (answer.status, answer.json["error"]["type"]) == (500, "AgentFilterChainError")
        assert "the filter 'f' failed: " in answer.message
        assert b"secret" not in answer.body
        assert (await play.play.record()).error == "filter_failed"


async def test_a_reply_that_is_too_large_to_be_held_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sieve, "HELD_AT_MOST", 100)
    async with sifted() as play:
        answer = await play.client.talks(ASKED)
        assert (answer.status, answer.code) == (502, "upstream_failed")
        assert not play.f.requests


async def test_an_agents_reply_passes_them() -> None:
    async with playing(Upstream(), Upstream()) as play:
        f, agent = play.upstreams
        f.script, agent.script = hides, lambda _: reply(ANSWER)
        await play.swap(compiled(AGENT.format(f=f.url, url=agent.url)))
        answer = await (await play.client()).talks(ASKED)
        assert answer.json["choices"][0]["message"]["content"] == "a ******"
        assert agent.requests[0].header("accept-encoding") == "identity"


async def test_what_is_kept_is_told_as_the_reply_was() -> None:
    async with sifted(model="groq/m") as play:
        answer = await play.client.talks({"model": "m", "input": "hello"}, path="/v1/responses")
        assert "******" in str(answer.json["output"])
        name = answer.json["id"]
        await play.client.send(request(b"", path=f"/v1/responses/{name}", method="GET"))
        told = await play.client.reply(method="GET")
        assert "a ******" in str(told.json["output"])
        assert "secret" not in str(told.json)
        play.f.script = lambda _: reply(b"not that", status=422)
        await play.client.send(request(b"", path=f"/v1/responses/{name}", method="GET"))
        assert (await play.client.reply(method="GET")).status == 422


@pytest.mark.parametrize("stream", [False, True])
async def test_what_a_service_says_in_the_models_place_passes_too(stream: bool) -> None:
    async with playing(Upstream(), Upstream(), Upstream()) as play:
        target = {**WEATHER, "auto_llm_dispatch_on_response": False}
        filters = [{"id": "f", "url": play.upstreams[2].url, "type": "http"}]
        listener = {"name": f"egress-{ADDRESS}", "type": "prompt", "address": ADDRESS, "port": 10000}
        listeners = [{**listener, "output_filters": ["f"]}]
        await play.swap(graph(play.upstreams[:2], target, filters=filters, listeners=listeners))
        play.upstreams[2].script = hides
        book = Prompts(play, await play.client())
        book.matches("weather", city="Bergen")
        await book.send("weather in Bergen?", stream=stream)
        await book.answered(b"a secret")
        answer = await book.reply()
        assert b"a ******" in answer.body
        assert b"secret" not in answer.body
        play.upstreams[2].script = lambda _: reply(b"not that", status=422)
        await book.send("weather in Bergen?", stream=stream)
        await book.answered(b"a secret")
        assert (await book.reply()).status == 422


# Streams.


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/v1/responses"])
async def test_a_translated_stream_whose_end_is_refused_ends_with_an_error(path: str) -> None:
    ends = (b"[DONE]", b"message_stop", b"response.completed")
    async with sifted(model="groq/m") as play:
        play.f.script = lambda asked: reply(
            asked.body, status=422 if any(end in asked.body for end in ends) else 200
        )
        body = {**ASKED, "stream": True, "max_tokens": 9, "input": "hello"}
        asked = await play.streams(event("so"), body=body, path=path)
        begun = await play.client.begins()
        await asked.more(STOP + DONE)
        await asked.end()
        answer = await play.client.rest(begun)
        assert b"the filter 'f' answered with status 422" in answer.body.rpartition(b"data: ")[2]


async def test_events_go_on_as_they_come() -> None:
    async with sifted() as play:
        asked = await play.streams(event("a secret"))
        answer = await play.client.begins()
        await play.client.reads(event("a ******"))
        assert answer.header("content-type") == "text/event-stream"
        await asked.more(event(" and") + event(" secret", usage=USAGE) + DONE)
        await asked.end()
        whole = await play.client.rest(answer)
        assert whole.body.endswith(event(" and") + event(" ******", usage=USAGE) + DONE)
        assert next(one.body for one in play.f.requests) == event("a secret")
        assert {one.header("content-type") for one in play.f.requests} == {"text/event-stream"}
        record = await play.play.record()
        assert (record.status, record.usage.output_tokens) == (200, 2)  # type: ignore[union-attr]


async def test_a_filter_gets_whole_events_wherever_the_reads_end() -> None:
    async with sifted() as play:
        said = event("a secret") + event("bc") + DONE
        asked = await play.streams()
        for at in range(0, len(said), 5):
            await asked.more(said[at : at + 5])
            await trio.sleep(0.001)
        await asked.end()
        assert (await play.client.reply()).body == said.replace(b"secret", b"******")
        assert b"".join(one.body for one in play.f.requests) == said
        assert all(one.body.endswith(b"\n\n") for one in play.f.requests)


async def test_what_comes_while_a_filter_thinks_waits_in_its_place() -> None:
    async with sifted() as play:
        play.f.script = None
        asked = await play.streams(event("one"))
        thinks = await play.f.asked()
        play.f.script = hides
        await asked.more(event("a secret"))
        await asked.more(event("three"))
        await asked.end()
        await thinks.reply(event("first"))
        assert (await play.client.reply()).body == event("first") + event("a ******") + event("three")
        assert play.f.requests[0].body == event("one")
        assert b"".join(one.body for one in play.f.requests[1:]) == event("a secret") + event("three")


async def test_what_a_filter_leaves_out_is_left_out() -> None:
    async with sifted() as play:
        play.f.script = lambda asked: reply(b"" if b"secret" in asked.body else asked.body)
        asked = await play.streams(event("a secret"))
        await play.play.settled(lambda: bool(play.f.requests))
        await asked.more(event("told"))
        await asked.end()
        assert (await play.client.reply()).body == event("told")


async def test_a_translated_stream_passes_in_the_clients_dialect() -> None:
    async with sifted() as play:
        body = {"model": "m", "max_tokens": 5, "messages": ASKED["messages"], "stream": True}
        asked = await play.streams(event("a secret"), STOP, DONE, body=body, path="/v1/messages")
        await asked.end()
        answer = await play.client.reply()
        assert b"content_block_delta" in answer.body
        assert b"******" in answer.body
        assert b"secret" not in answer.body
        assert answer.body.endswith(b"\n\n")


async def test_one_that_refuses_at_once_is_answered_as_any_other() -> None:
    async with sifted() as play:
        play.f.script = lambda _: reply(b"not that", status=422)
        asked = await play.streams(event("a secret"))
        answer = await play.client.reply()
        assert (answer.status, answer.json["agent_response"]) == (422, "not that")
        await asked.connection.left()


async def test_one_that_refuses_later_ends_the_stream_by_an_error_event() -> None:
    async with sifted() as play:
        asked = await play.streams(event("fine"))
        answer = await play.client.begins()
        await play.client.reads(event("fine"))
        play.f.script = lambda _: reply(b"not that", status=422)
        await asked.more(event("a secret"))
        whole = await play.client.rest(answer)
        assert b"secret" not in whole.body
        assert b"the filter 'f' answered with status 422" in whole.body
        await asked.connection.left()
        assert (await play.play.record()).error == "filter_refused"


async def test_an_upstream_that_breaks_off_is_told_of_behind_what_was_filtered() -> None:
    async with sifted() as play:
        play.f.script = None
        asked = await play.streams(event("a secret"))
        thinks = await play.f.asked()
        await asked.connection.close()
        await thinks.reply(event("mild"))
        whole = await play.client.reply()
        assert whole.body.startswith(event("mild"))
        assert b"error" in whole.body[len(event("mild")) :]
        assert (await play.play.record()).error == "upstream_failed"


async def test_a_client_that_leaves_ends_the_filters_work_and_the_models() -> None:
    async with sifted() as play:
        play.f.script = None
        asked = await play.streams(event("a secret"))
        thinks = await play.f.asked()
        await play.client.leave()
        await thinks.connection.left()
        await asked.connection.left()
        assert (await play.play.record()).error == "client_gone"


async def test_a_binary_stream_passes_in_whole_frames() -> None:
    async with sifted() as play:
        body = {"messages": [{"role": "user", "content": [{"text": "hello"}]}]}
        play.f.script = lambda asked: reply(asked.body)
        asked = await play.streams(event("a secret"), STOP, DONE, body=body, path="/model/m/converse-stream")
        await asked.end()
        answer = await play.client.reply()
        assert answer.header("content-type") == "application/vnd.amazon.eventstream"
        assert b"".join(one.body for one in play.f.requests) == answer.body


# Tools of an MCP server.


async def test_a_tool_changes_replies_and_streams() -> None:
    heard: list[Any] = []

    def serve(asked: Asked) -> bytes:
        said = asked.json
        if "id" not in said:
            return reply(b"", status=202)
        result: dict[str, Any] = {}
        if said["method"] == "tools/call":
            arguments = said["params"]["arguments"]
            heard.append(arguments)
            body = arguments["body"]
            text = body if isinstance(body, str) else msgspec.json.encode(body).decode()
            result = {"content": [{"type": "text", "text": text.replace("secret", "******")}]}
        return reply({"jsonrpc": "2.0", "id": said["id"], "result": result})

    async with sifted(kind="mcp") as play:
        play.f.script = serve
        answer = await play.client.talks(ASKED)
        assert answer.json["choices"][0]["message"]["content"] == "a ******"
        assert heard == [{"body": ANSWER, "path": "/v1/chat/completions"}]
        asked = await play.streams(event("a secret") + DONE)
        await asked.end()
        assert (await play.client.reply()).body == event("a ******") + DONE
        assert heard[1]["body"] == (event("a secret") + DONE).decode()


async def test_a_filter_is_asked_again_if_nobody_listened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "PAUSE", 0.0)
    async with sifted(f="http://127.0.0.1:1") as play:
        await play.client.talks(ASKED)
        attempts = (await play.play.record()).attempts
        assert [one.outcome for one in attempts] == ["streaming", *["refused"] * 3]

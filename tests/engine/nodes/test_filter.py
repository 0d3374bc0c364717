"""Filters before models and agents: what they get, what goes on, and what a client hears when they refuse or fail."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec
import pytest

from peers import Asked, Upstream, reply, request
from playbook import Play, compiled, playing

pytestmark = pytest.mark.trio
ASKED = {"model": "m", "messages": [{"role": "user", "content": "secret"}], "unheard_of": {"a": 1.50}}
ANSWER = {"id": "1", "choices": [{"index": 0, "message": {"role": "assistant", "content": "done"}}]}
NEW = [{"role": "system", "content": "be kind"}, {"role": "user", "content": "changed"}]
MODELS = """
version: v0.4.0
{filters}
listeners: [{{name: llm, type: model, input_filters: [{names}]}}]
model_providers: [{{model: openai/m, base_url: "{model}", access_key: $UPSTREAM_KEY}}]
"""
AGENTS = """
version: v0.4.0
agents: [{{id: a, url: "{model}"}}, {{id: rewriter, url: "{first}"}}]
filters: [{{id: second, url: "{second}", type: http}}]
listeners:
  - {{name: l, type: agent, port: 8001, input_filters: [rewriter], agents: [{{id: a, input_filters: [second]}}]}}
"""
Script = Callable[[Asked], bytes]


@asynccontextmanager
async def filtered(kind: str, *, url: str = "") -> AsyncIterator[tuple[Play, Upstream, Upstream]]:
    """A play with a model listener behind one filter: the play, the filter, the model."""
    async with playing(Upstream(), Upstream()) as play:
        outside, model = play.upstreams
        model.script = lambda _: reply(ANSWER)
        where = url or outside.url
        filters = (
            f'agents: [{{id: f, url: "{where}"}}]'
            if kind == "messages"
            else f'filters: [{{id: f, url: "{where}", type: {kind}{", tool: t" if kind == "mcp" else ""}}}]'
        )
        await play.swap(compiled(MODELS.format(filters=filters, names="f", model=model.url)))
        yield play, outside, model


def completion(content: object) -> bytes:
    """A chat completion that says so."""
    text = content if isinstance(content, str) else msgspec.json.encode(content).decode()
    message = {"role": "assistant", "content": text}
    return reply({"id": "1", "created": 1, "model": "x", "choices": [{"index": 0, "message": message}]})


# The body as it is, over HTTP.


async def test_a_reference_that_a_filter_puts_in_is_looked_for_all_the_same() -> None:
    async with filtered("http") as (play, outside, model):
        graph = MODELS.replace("openai/m", "anthropic/m").format(
            filters=f'filters: [{{id: f, url: "{outside.url}", type: http}}]', names="f", model=model.url
        )
        await play.swap(compiled(graph))
        outside.script = lambda asked: reply({**asked.json, "previous_response_id": "resp_9"})
        answer = await (await play.client()).talks({"model": "m", "input": "hi"}, path="/v1/responses")
        assert (answer.status, answer.code) == (404, "previous_response_not_found")


async def test_an_http_filter_gets_the_body_and_gives_the_one_that_goes_on() -> None:
    async with filtered("http") as (play, outside, model):
        outside.script = lambda asked: reply(asked.body.replace(b"secret", b"******"))
        answer = await (await play.client()).talks(ASKED, headers=("X-Request-ID: r-1",))
        assert (answer.status, answer.json) == (200, ANSWER)
        asked = outside.requests[0]
        assert (asked.method, asked.target, asked.json) == ("POST", "/v1/chat/completions", ASKED)
        assert asked.header("x-request-id") == "r-1"
        assert model.requests[0].json == {**ASKED, "messages": [{"role": "user", "content": "******"}]}
        record = await play.record()
        assert [one.outcome for one in record.attempts] == ["answered", "streaming"]
        assert record.attempts[0].span_id in str(asked.header("traceparent"))


async def test_a_reply_tells_the_client_what_it_sent_and_nothing_of_what_a_filter_made_of_it() -> None:
    async with playing(Upstream(), Upstream()) as play:
        outside, model = play.upstreams
        outside.script = lambda asked: reply({**asked.json, "instructions": "a context", "input": "changed"})
        model.script = lambda _: completion("done")
        groq = MODELS.replace("openai/m", "groq/m")
        filters = f'filters: [{{id: f, url: "{outside.url}", type: http}}]'
        await play.swap(compiled(groq.format(filters=filters, names="f", model=model.url)))
        client = await play.client()
        answer = await client.talks({"model": "m", "input": "hello", "store": True}, path="/v1/responses")
        assert [one["content"] for one in model.requests[0].json["messages"]] == ["a context", "changed"]
        assert (answer.status, answer.json["instructions"]) == (200, None)
        kept = f"/v1/responses/{answer.json['id']}/input_items"
        await client.send(request(b"", path=kept, method="GET"))
        told = (await client.reply(method="GET")).json["data"]
        assert [one["content"][0]["text"] for one in told] == ["hello"]


async def test_it_sees_the_clients_own_dialect_and_path() -> None:
    async with filtered("http") as (play, outside, model):
        outside.script = lambda asked: reply(asked.body)
        body = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}
        await (await play.client()).talks(body, path="/v1/messages")
        assert (outside.requests[0].target, outside.requests[0].json) == ("/v1/messages", body)
        assert model.requests[0].target == "/v1/chat/completions"


@pytest.mark.parametrize(
    ("status", "heard", "error"),
    [(422, 422, "ClientError"), (503, 500, "FilterChainError"), (302, 500, "FilterChainError")],
)
async def test_a_filter_that_refuses(status: int, heard: int, error: str) -> None:
    async with filtered("http") as (play, outside, model):
        outside.script = lambda _: reply(b"not that", status=status)
        answer = await (await play.client()).talks(ASKED)
        assert (answer.status, answer.json) == (
            heard,
            {"error": error, "agent": "f", "status": status, "agent_response": "not that"},
        )
        assert not model.requests
        record = await play.record()
        assert (record.error, record.status) == ("filter_refused", heard)


@pytest.mark.parametrize("said", [b"", b"[]", b"{", b'{"model": 1}', b"\xff"])
async def test_what_is_no_request_does_not_go_on(said: bytes) -> None:
    async with filtered("http") as (play, outside, model):
        outside.script = lambda _: reply(said)
        answer = await (await play.client()).talks(ASKED)
        assert (answer.status, answer.json["error"]["type"]) == (500, "AgentFilterChainError")
        assert not model.requests
        assert (await play.record()).error == "filter_failed"


async def test_a_filter_that_nobody_serves_is_tried_again_and_then_fails() -> None:
    async with filtered("http", url="http://127.0.0.1:1") as (play, _, model):
        answer = await (await play.client()).talks(ASKED)
        assert answer.status == 500
        assert "the filter 'f' failed: " in answer.message
        assert not model.requests
        assert [one.outcome for one in (await play.record()).attempts] == ["refused"] * 3


async def test_a_client_that_leaves_ends_the_filters_work() -> None:
    async with filtered("http") as (play, outside, model):
        client = await play.client()
        await client.ask(ASKED)
        asked = await outside.asked()
        await client.leave()
        await asked.connection.left()
        assert (await play.record()).error == "client_gone"
        assert not model.requests


# Arrays of messages, as Arch's filter chain has them.


async def test_an_agent_rewrites_the_history() -> None:
    async with filtered("messages") as (play, outside, model):
        outside.script = lambda _: completion(NEW)
        await (await play.client()).talks({**ASKED, "stream": True})
        assert outside.requests[0].target == "/v1/chat/completions"
        assert outside.requests[0].json == {**ASKED, "stream": False}
        assert model.requests[0].json == {**ASKED, "stream": True, "messages": NEW}


async def test_it_rewrites_the_history_of_another_dialect_and_nothing_else() -> None:
    async with filtered("messages") as (play, outside, model):
        outside.script = lambda _: completion(NEW)
        body = {
            "model": "m", "max_tokens": 5, "top_k": 3, "metadata": {"user_id": "u"},
            "messages": [{"role": "user", "content": "hi"}],
        }  # fmt: skip
        await (await play.client()).talks(body, path="/v1/messages")
        assert [one["role"] for one in outside.requests[0].json["messages"]] == ["user"]
        sent = model.requests[0].json
        assert [one["role"] for one in sent["messages"]] == ["system", "user"]
        assert "changed" in str(sent["messages"][1])


async def test_what_holds_no_conversation_has_no_history_to_rewrite() -> None:
    async with filtered("messages") as (play, outside, model):
        answer = await (await play.client()).talks({"model": "m", "input": "x"}, path="/v1/embeddings")
        assert answer.status == 400
        assert "takes conversations" in answer.message
        assert not outside.requests
        assert not model.requests


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("", "No content in response from agent 'f'"),
        ("hello", "not a JSON array of messages"),
        ("[]", "holds no messages"),
        ('[{"content": "x"}]', "holds no messages with roles"),
    ],
)
async def test_an_agent_that_gives_no_history(said: str, words: str) -> None:
    async with filtered("messages") as (play, outside, model):
        outside.script = lambda _: completion(said)
        answer = await (await play.client()).talks(ASKED)
        assert answer.status == 500
        assert words in answer.message
        assert not model.requests


async def test_filters_of_a_listener_come_before_those_of_an_agent() -> None:
    async with playing(Upstream(), Upstream(), Upstream()) as play:
        first, second, agent = play.upstreams
        first.script = lambda _: completion(NEW)
        second.script = lambda asked: reply(asked.body.replace(b"changed", b"twice"))
        agent.script = lambda _: reply(ANSWER)
        text = AGENTS.format(model=agent.url, first=first.url, second=second.url)
        await play.swap(compiled(text))
        assert (await (await play.client()).talks(ASKED)).json == ANSWER
        assert second.requests[0].json == {**ASKED, "messages": NEW}
        assert agent.requests[0].json == {**ASKED, "messages": [NEW[0], {"role": "user", "content": "twice"}]}


# Tools of an MCP server.


class Server:
    """An MCP server as a script: what it answers a tool's call with, and whether as a stream of events."""

    def __init__(self, result: object, *, events: bool = False) -> None:
        self.result = result
        self.events = events
        self.sessions: set[str] = set()
        self.heard: list[str] = []

    def __call__(self, asked: Asked) -> bytes:
        said = asked.json
        self.heard.append(said["method"])
        session = asked.header("mcp-session-id")
        if said["method"] == "initialize":
            assert said["params"]["protocolVersion"] == "2024-11-05"
            self.sessions.add(f"s{len(self.heard)}")
            return self.answer(said, {}, f"Mcp-Session-Id: s{len(self.heard)}")
        if session not in self.sessions:
            return reply(b"no such session", status=404)
        if said["method"] == "notifications/initialized":
            return reply(b"", status=202)
        return self.answer(said, self.result(said["params"]) if callable(self.result) else self.result)

    def answer(self, said: dict[str, object], result: object, *headers: str) -> bytes:
        """The answer to a request."""
        body = msgspec.json.encode({"jsonrpc": "2.0", "id": said["id"], "result": result})
        if not self.events:
            return reply(body, headers=headers)
        note = b'event: message\ndata: {"jsonrpc":"2.0","method":"notifications/progress"}\n\n'
        return reply(
            note + b"event: message\ndata: " + body + b"\n\n",
            headers=("content-type: text/event-stream", *headers),
        )


def changed(params: dict[str, dict[str, object]]) -> object:
    """A tool's result: the request with other messages."""
    assert params["name"] == "t"
    assert params["arguments"]["path"] == "/v1/chat/completions"
    body = params["arguments"]["body"]
    assert isinstance(body, dict)
    return {"content": [{"type": "text", "text": msgspec.json.encode({**body, "messages": NEW}).decode()}]}


def structured(params: dict[str, dict[str, object]]) -> object:
    """The same as structured content."""
    body = params["arguments"]["body"]
    assert isinstance(body, dict)
    return {"content": [], "structuredContent": {"result": {**body, "messages": NEW}}}


@pytest.mark.parametrize("events", [False, True], ids=["json", "events"])
@pytest.mark.parametrize("result", [changed, structured])
async def test_a_tool_changes_requests(result: object, events: bool) -> None:
    async with filtered("mcp") as (play, outside, model):
        server = outside.script = Server(result, events=events)
        client = await play.client()
        for _ in range(2):
            assert (await client.talks(ASKED)).json == ANSWER
        assert server.heard == ["initialize", "notifications/initialized", "tools/call", "tools/call"]
        assert {one.target for one in outside.requests} == {"/mcp"}
        assert outside.requests[0].header("accept") == "application/json, text/event-stream"
        assert [one.json["messages"] for one in model.requests] == [NEW, NEW]


async def test_a_session_that_ended_is_begun_anew() -> None:
    async with filtered("mcp") as (play, outside, _):
        server = outside.script = Server(changed)
        client = await play.client()
        await client.talks(ASKED)
        server.sessions.clear()
        server.heard.clear()
        assert (await client.talks(ASKED)).json == ANSWER
        assert server.heard == ["tools/call", "initialize", "notifications/initialized", "tools/call"]


async def test_a_tool_that_refuses() -> None:
    async with filtered("mcp") as (play, outside, model):
        outside.script = Server({"isError": True, "content": [{"type": "text", "text": "not that"}]})
        answer = await (await play.client()).talks(ASKED)
        assert (answer.status, answer.json) == (
            400,
            {"error": "ClientError", "agent": "f", "status": 400, "agent_response": "not that"},
        )
        assert not model.requests


@pytest.mark.parametrize("result", [None, 1, {"content": 1}, {}, {"content": [{"type": "image"}]}])
async def test_a_tool_that_gives_nothing_usable(result: object) -> None:
    async with filtered("mcp") as (play, outside, model):
        outside.script = Server(result)
        assert (await (await play.client()).talks(ASKED)).status == 500
        assert not model.requests


@pytest.mark.parametrize(
    "said", [b"", b"{", b"[]", b'{"id": 99, "result": {}}', b'{"id": 1, "error": {"message": "no"}}']
)
async def test_a_server_that_speaks_no_mcp(said: bytes) -> None:
    async with filtered("mcp") as (play, outside, model):
        outside.script = lambda _: reply(said)
        answer = await (await play.client()).talks(ASKED)
        assert (answer.status, answer.json["error"]["type"]) == (500, "AgentFilterChainError")
        assert not model.requests

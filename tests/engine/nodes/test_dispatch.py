"""What goes to an upstream besides the body: the client's query without its key, and what only we ask for."""

from __future__ import annotations

import msgspec
import pytest

from archflow_engine.nodes.dispatch import _Prepared
from archflow_plugins.framing.sse import Splitter
from archflow_plugins.kinds import UpstreamRequest
from playbook import playing

ASKED = {"contents": [{"parts": [{"text": "hi"}]}]}
MODELS = "/v1beta/models/m"
SENT = "/v1beta/models/m-upstream"


@pytest.mark.trio
@pytest.mark.parametrize(
    ("path", "target"),
    [
        (f"{MODELS}:streamGenerateContent?alt=sse", f"{SENT}:streamGenerateContent?alt=sse"),
        (f"{MODELS}:streamGenerateContent", f"{SENT}:streamGenerateContent"),
        ("/v1/models/m:generateContent", f"{SENT}:generateContent"),
        ("/v1/models/m:streamGenerateContent?alt=sse", f"{SENT}:streamGenerateContent?alt=sse"),
        (f"{MODELS}:generateContent?key=canary", f"{SENT}:generateContent"),
        (
            f"{MODELS}:generateContent?key=canary&prettyPrint=false",
            f"{SENT}:generateContent?prettyPrint=false",
        ),
        (f"{MODELS}:generateContent?access_token=canary&a=key=1", f"{SENT}:generateContent?a=key=1"),
    ],
)
async def test_a_client_says_what_it_wants_and_keeps_its_key(path: str, target: str) -> None:
    async with playing(upstream={"vendor": "gemini"}) as play:
        client = await play.client()
        await client.ask(ASKED, path=path, headers=("x-goog-api-key: canary",))
        asked = await play.upstream.asked()
        assert asked.target == target
        assert asked.json == ASKED
        assert asked.header("x-goog-api-key") == "sk-upstream-canary-0123456789"
        await asked.reply()
        assert (await client.reply()).status == 200


@pytest.mark.trio
@pytest.mark.parametrize(
    ("path", "headers"),
    [
        (f"{MODELS}:generateContent?key=can%61ry", ()),
        (f"{MODELS}:generateContent", ("x-goog-api-key: canary",)),
        (f"{MODELS}:generateContent", ("authorization: Bearer canary",)),
    ],
)
async def test_a_key_that_is_passed_through_goes_in_the_upstreams_form(
    path: str, headers: tuple[str, ...]
) -> None:
    passed = {"vendor": "gemini", "access_key": "", "passthrough_auth": True}
    async with playing(upstream=passed) as play:
        client = await play.client()
        await client.ask(ASKED, path=path, headers=headers)
        asked = await play.upstream.asked()
        assert asked.target == f"{SENT}:generateContent"
        assert asked.header("x-goog-api-key") == "canary"
        assert asked.header("authorization") is None
        await asked.reply()
        assert (await client.reply()).status == 200


@pytest.mark.parametrize(
    ("path", "ours", "target"),
    [("/p", True, b"/p?alt=sse"), ("/p?a=b", True, b"/p?a=b&alt=sse"), ("/p", False, b"/p")],
)
def test_what_only_we_ask_for(path: str, ours: bool, target: bytes) -> None:
    prepared = _Prepared(UpstreamRequest(path, (), "alt=sse"), ours=ours)
    assert prepared.target == target


@pytest.mark.trio
@pytest.mark.parametrize("query", ["?alt=sse", ""])
async def test_a_stream_is_framed_as_the_client_asked(query: str) -> None:
    async with playing() as play:
        client = await play.client()
        await client.ask(ASKED, path=f"{MODELS}:streamGenerateContent{query}")
        asked = await play.upstream.asked()
        assert asked.target == "/v1/chat/completions"
        assert asked.json["stream"] is True
        delta = b'data: {"id":"1","choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'
        stop = (
            b'data: {"id":"1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
        )
        await asked.stream(delta)
        reply = await client.begins()
        assert reply.header("content-type") == ("text/event-stream" if query else "application/json")
        await asked.more(stop)
        await asked.end()
        body = (await client.rest(reply)).body
        if query:
            chunks = [msgspec.json.decode(one.data) for one in Splitter().feed(body)]
        else:
            chunks = msgspec.json.decode(body)
        assert [one["candidates"][0]["content"]["parts"][0]["text"] for one in chunks] == ["a", ""]
        assert chunks[-1]["candidates"][0]["finishReason"] == "STOP"


@pytest.mark.trio
@pytest.mark.parametrize(
    ("path", "headers", "field"),
    [
        ("/v1/models", (), "data"),
        ("/v1/models", ("x-goog-api-client: google-genai-sdk/3",), "models"),
        ("/v1beta/models", (), "models"),
    ],
)
async def test_models_are_listed_as_the_client_expects(
    path: str, headers: tuple[str, ...], field: str
) -> None:
    async with playing() as play:
        client = await play.client()
        assert list((await client.talks(method="GET", path=path, headers=headers)).json)[-1] == field

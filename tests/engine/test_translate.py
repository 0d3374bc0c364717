"""A client of one dialect before an upstream of another: what each of them hears, and what happens when one fails."""

from __future__ import annotations

import gzip
from typing import Any

import pytest
import trio
from msgspec import json

from archflow_engine.exchange import relayed
from archflow_plugins.framing import sse
from peers import STREAM, Reply, chunk, reply
from playbook import playing

pytestmark = pytest.mark.trio

MESSAGES = "/v1/messages"
SAID = {"model": "m", "max_tokens": 50, "messages": [{"role": "user", "content": "hello"}]}
CHAT = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-x",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "Good day"}, "finish_reason": "stop"}
    ],
    "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11},
}


def piece(*, end: bool = False, **delta: object) -> bytes:
    """One event of a chat stream."""
    choice = {"index": 0, "delta": delta, "finish_reason": "stop" if end else None}
    return sse.encode(json.encode({"id": "chatcmpl-1", "model": "gpt-x", "choices": [choice]}))


USAGE = sse.encode(json.encode({"id": "chatcmpl-1", "choices": [], "usage": ANSWER["usage"]}))
DONE = b"data: [DONE]\n\n"


def events(answer: Reply) -> list[dict[str, Any]]:
    """The data of a reply's events."""
    return [json.decode(event.data) for event in sse.Splitter().feed(answer.body)]


async def test_a_whole_reply_in_the_clients_words() -> None:
    async with playing() as play:
        client = await play.client()
        await client.ask(SAID, path=MESSAGES, headers=("anthropic-version: 2023-06-01", "x-team: red"))
        asked = await play.upstream.asked()
        assert asked.target == "/v1/chat/completions"
        assert asked.json["messages"] == [{"role": "user", "content": "hello"}]
        assert asked.json["model"] == "m-upstream"
        assert asked.header("anthropic-version") is None
        assert asked.header("accept-encoding") == "identity"
        assert asked.header("x-team") == "red"
        await asked.reply(ANSWER, headers=("x-ratelimit-remaining: 5", "etag: w"))
        answer = await client.reply()
        assert answer.status == 200
        assert answer.json["type"] == "message"
        assert answer.json["content"] == [{"type": "text", "text": "Good day"}]
        assert answer.json["usage"]["input_tokens"] == 9
        assert answer.header("content-type") == "application/json"
        assert answer.header("x-ratelimit-remaining") == "5"
        assert answer.header("etag") is None
        record = await play.record()
        assert (record.status, record.finish_reason, record.response_model) == (200, "stop", "gpt-x")
        assert record.usage is not None
        assert (record.usage.input_tokens, record.usage.output_tokens) == (9, 2)


async def test_a_stream_event_by_event() -> None:
    async with playing() as play:
        client = await play.client()
        await client.ask({**SAID, "stream": True}, path=MESSAGES)
        asked = await play.upstream.asked()
        assert asked.json["stream_options"] == {"include_usage": True}
        await asked.stream(piece(role="assistant", content=""))
        answer = await client.begins()
        assert answer.header("content-type") is not None
        first = await client.more()
        assert first is not None
        assert b"message_start" in first
        await asked.more(piece(content="Good "))
        second = await client.more()
        assert second is not None
        assert b'"Good "' in second
        await asked.more(piece(content="day") + piece(end=True) + USAGE + DONE)
        await asked.end()
        await client.rest(answer)
        kinds = [one["type"] for one in events(Reply(200, [], first + second + answer.body))]
        assert kinds[0] == "message_start"
        assert kinds[-1] == "message_stop"
        assert kinds.count("message_stop") == 1
        record = await play.record()
        assert record.usage is not None
        assert record.usage.output_tokens == 2


async def test_where_the_upstreams_portions_end_makes_no_difference() -> None:
    body = piece(role="assistant", content="") + piece(content="Grüß Gott") + piece(end=True) + USAGE + DONE
    seen = set()
    for size in (1, 7, len(body)):
        async with playing() as play:
            client = await play.client()
            await client.ask({**SAID, "stream": True}, path=MESSAGES, headers=("x-request-id: same",))
            asked = await play.upstream.asked()
            await asked.stream()
            for at in range(0, len(body), size):
                await asked.more(body[at : at + size])
            await asked.end()
            seen.add((await client.reply()).body)
    assert len(seen) == 1


async def test_a_client_that_wants_it_whole_before_an_upstream_that_streams_all_the_same() -> None:
    async with playing() as play:
        client = await play.client()
        await client.ask(SAID, path=MESSAGES)
        asked = await play.upstream.asked()
        await asked.stream(
            piece(role="assistant", content="Good "), piece(content="day"), piece(end=True), USAGE, DONE
        )
        await asked.end()
        answer = await client.reply()
        assert answer.json["content"] == [{"type": "text", "text": "Good day"}]
        assert answer.header("content-length") == str(len(answer.body))


async def test_a_client_that_streams_before_an_upstream_that_does_not() -> None:
    async with playing() as play:
        client = await play.client()
        await client.ask({**SAID, "stream": True}, path=MESSAGES)
        asked = await play.upstream.asked()
        await asked.reply(ANSWER)
        answer = await client.reply()
        told = events(answer)
        assert told[0]["type"] == "message_start"
        assert told[-1]["type"] == "message_stop"
        assert (
            "".join(one["delta"].get("text", "") for one in told if one["type"] == "content_block_delta")
            == "Good day"
        )


async def test_what_was_said_in_the_same_read_as_a_failure_is_told_before_it() -> None:
    async with playing() as play:
        client = await play.client()
        await client.ask({**SAID, "stream": True}, path=MESSAGES)
        asked = await play.upstream.asked()
        await asked.stream(piece(content="Good"))
        answer = await client.begins()
        first = await client.more()
        assert first is not None
        await asked.connection.send(chunk(piece(content=" day")) + chunk(b""))
        await client.rest(answer)
        found = events(Reply(200, [], first + answer.body))
        assert [one["delta"]["text"] for one in found if "delta" in one] == ["Good", " day"]
        assert found[-1]["type"] == "error"


async def test_a_compressed_reply_is_read_all_the_same() -> None:
    async with playing() as play:
        client = await play.client()
        await client.ask(SAID, path=MESSAGES)
        asked = await play.upstream.asked()
        await asked.reply(gzip.compress(json.encode(ANSWER)), headers=("content-encoding: gzip",))
        answer = await client.reply()
        assert answer.header("content-encoding") is None
        assert answer.json["content"][0]["text"] == "Good day"


async def test_what_is_left_out_is_named_in_the_clients_words() -> None:
    async with playing(upstream={"vendor": "anthropic"}) as play:
        client = await play.client()
        await client.ask({**CHAT, "seed": 7, "unheard_of": {"x": 1}, "temperature": 0.5})
        asked = await play.upstream.asked()
        assert asked.target == "/v1/messages"
        assert "seed" not in asked.json
        await asked.reply(
            {
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "model": "c",
                "stop_reason": "end_turn",
                "content": [{"type": "text", "text": "ok"}],
                "usage": {"input_tokens": 1, "output_tokens": 1},
            }
        )
        answer = await client.reply()
        assert answer.status == 200, answer.body
        dropped = answer.header("x-arch-dropped")
        assert dropped is not None
        assert set(dropped.split(", ")) == {"unheard_of", "seed"}


async def test_what_only_the_upstream_refuses_is_left_out_and_named_too() -> None:
    async with playing(upstream={"vendor": "mistral"}) as play:
        client = await play.client()
        labels = {"metadata": {"user_id": "u", "team": "red"}, "service_tier": "auto", "stream": True}
        await client.ask({**SAID, **labels, "top_k": 3}, path=MESSAGES)
        asked = await play.upstream.asked()
        assert set(asked.json) == {"model", "messages", "max_tokens", "stream"}
        await asked.stream(piece(content="Hi", end=True) + USAGE + DONE)
        await asked.end()
        answer = await client.reply()
        dropped = answer.header("x-arch-dropped")
        assert dropped is not None
        assert set(dropped.split(", ")) == {"metadata.user_id", "metadata", "service_tier", "top_k"}
        assert events(answer)[-2]["usage"]["output_tokens"] == 2


async def test_what_would_be_missed_is_refused_and_the_upstream_is_not_called() -> None:
    async with playing(upstream={"vendor": "anthropic"}) as play:
        client = await play.client()
        answer = await client.talks({**CHAT, "n": 3})
        assert answer.status == 400
        assert answer.code == "unsupported_parameter"
        assert "'n' cannot be asked of the model 'm-upstream'" in answer.message
        assert play.upstream.connections == []


@pytest.mark.parametrize("status", [400, 401, 429, 500, 529])
async def test_an_error_of_the_upstream_in_the_clients_form(status: int) -> None:
    async with playing() as play:
        client = await play.client()
        await client.ask(SAID, path=MESSAGES)
        asked = await play.upstream.asked()
        told = {"error": {"message": "not today", "type": "some_error", "code": "because"}}
        await asked.reply(told, status=status, headers=("retry-after: 7",))
        answer = await client.reply()
        assert answer.status == status
        assert answer.json["type"] == "error"
        assert answer.json["error"]["message"] == "not today"
        assert answer.header("retry-after") == "7"
        assert (await play.record()).error == f"upstream_{status}"


async def test_an_error_that_is_no_json() -> None:
    async with playing() as play:
        client = await play.client()
        await client.ask(SAID, path=MESSAGES)
        asked = await play.upstream.asked()
        await asked.reply(b"<html>busy</html>", status=503, headers=("content-type: text/html",))
        answer = await client.reply()
        assert answer.status == 503
        assert answer.json["type"] == "error"


async def test_a_reply_that_cannot_be_read_is_a_failure_of_the_upstream() -> None:
    async with playing() as play:
        for body in (b"", b"{", b"[]", b"\xff" * 100):
            client = await play.client()
            await client.ask(SAID, path=MESSAGES)
            asked = await play.upstream.asked()
            await asked.reply(body)
            answer = await client.reply()
            assert answer.status == 502, body
            assert answer.json["type"] == "error"
            assert (await play.record()).error == "upstream_failed"


async def test_a_stream_that_breaks_gets_the_clients_error_event() -> None:
    async with playing() as play:
        client = await play.client()
        await client.ask({**SAID, "stream": True}, path=MESSAGES)
        asked = await play.upstream.asked()
        await asked.stream(piece(role="assistant", content="Good "))
        answer = await client.begins()
        asked.connection.reset()
        await client.rest(answer)
        told = events(answer)
        assert told[-1]["type"] == "error"
        assert [one["type"] for one in told].count("error") == 1
        assert "message_stop" not in {one["type"] for one in told}
        assert (await play.record()).error == "upstream_failed"


async def test_an_error_event_of_the_upstream_in_mid_stream() -> None:
    async with playing() as play:
        client = await play.client()
        await client.ask({**SAID, "stream": True}, path=MESSAGES)
        asked = await play.upstream.asked()
        await asked.stream(
            piece(role="assistant", content="Good "),
            sse.encode(json.encode({"error": {"message": "out of breath", "type": "server_error"}})),
        )
        answer = await client.reply()
        told = events(answer)
        assert told[-1]["type"] == "error"
        assert "out of breath" in told[-1]["error"]["message"]
        record = await play.record()
        assert (record.status, record.error) == (200, "upstream_failed")


async def test_an_error_event_before_anything_was_said_is_a_failure() -> None:
    async with playing() as play:
        client = await play.client()
        await client.ask({**SAID, "stream": True}, path=MESSAGES)
        asked = await play.upstream.asked()
        await asked.stream(
            sse.encode(json.encode({"error": {"message": "out of breath", "type": "server_error"}}))
        )
        answer = await client.reply()
        assert answer.status == 502
        assert "out of breath" in answer.json["error"]["message"]


async def test_an_upstream_that_leaves_after_its_last_word_is_forgiven() -> None:
    async with playing() as play:
        client = await play.client()
        await client.ask({**SAID, "stream": True}, path=MESSAGES)
        asked = await play.upstream.asked()
        await asked.stream(piece(role="assistant", content="Good"), piece(end=True), USAGE, DONE)
        answer = await client.begins()
        asked.connection.reset()
        await client.rest(answer)
        assert events(answer)[-1]["type"] == "message_stop"
        assert (await play.record()).error == ""


async def test_a_client_that_leaves_ends_the_upstreams_work() -> None:
    async with playing() as play:
        client = await play.client()
        await client.ask({**SAID, "stream": True}, path=MESSAGES)
        asked = await play.upstream.asked()
        await asked.stream(piece(role="assistant", content="Good "))
        await client.begins()
        await client.leave()
        await asked.connection.left()
        assert (await play.record()).error == "client_gone"


async def test_a_silent_stream_is_kept_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relayed, "PULSE", 0.1)
    async with playing() as play:
        client = await play.client()
        await client.ask({**SAID, "stream": True}, path=MESSAGES)
        asked = await play.upstream.asked()
        await asked.stream(piece(role="assistant", content="Good "))
        await client.begins()
        seen = b""
        while seen.count(b"event: ping") < 2:
            seen += await client.more() or b""
        await asked.more(piece(content="day") + piece(end=True) + DONE)
        await asked.end()


async def test_a_relayed_stream_is_kept_alive_between_its_events_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(relayed, "PULSE", 0.1)
    async with playing() as play:
        client = await play.client()
        await client.ask({**CHAT, "stream": True})
        asked = await play.upstream.asked()
        await asked.stream(piece(content="Good "))
        answer = await client.begins()
        seen = b""
        while b": ping" not in seen:
            seen += await client.more() or b""
        half = piece(content="day")
        await asked.more(half[:20])
        await client.reads(half[:20])
        await trio.sleep(0.3)
        await asked.more(half[20:] + DONE)
        await asked.end()
        await client.rest(answer)
        assert half[20:] in answer.body
        assert b": ping" not in answer.body.partition(half[20:])[0]


async def test_models_are_listed_as_the_client_expects() -> None:
    async with playing(upstream={"vendor": "anthropic"}) as play:
        client = await play.client()
        plain = await client.talks(path="/v1/models", method="GET")
        assert plain.json["object"] == "list"
        theirs = await client.talks(
            path="/v1/models", method="GET", headers=("anthropic-version: 2023-06-01",)
        )
        assert theirs.json["data"][0]["type"] == "model"
        one = await client.talks(
            path="/v1/models/m", method="GET", headers=("anthropic-version: 2023-06-01",)
        )
        assert (one.json["id"], one.json["type"]) == ("m", "model")


async def test_some_clients_ask_first_whether_we_live() -> None:
    async with playing() as play:
        client = await play.client()
        assert (await client.talks(path="/", method="HEAD")).status == 200


async def test_groqs_client_puts_openai_before_its_paths() -> None:
    async with playing() as play:
        play.upstream.script = lambda _: reply(ANSWER)
        client = await play.client()
        assert (await client.talks(path="/openai/v1/chat/completions")).status == 200


async def test_a_flood_of_output_waits_for_a_slow_client() -> None:
    async with playing() as play:
        client = await play.client(buffer=4096)
        await client.ask({**SAID, "stream": True}, path=MESSAGES)
        asked = await play.upstream.asked()
        await asked.connection.send(STREAM + chunk(piece(role="assistant", content="")))
        big = piece(content="x" * 60_000)

        async def flood() -> None:
            for _ in range(200):
                await asked.more(big)
            await asked.more(piece(end=True) + USAGE + DONE)
            await asked.end()

        play.nursery.start_soon(flood)
        await play.settled(lambda: any(one._held for one in play.gateway.hub.timed if hasattr(one, "_held")))
        answer = await client.reply()
        assert answer.body.count(b"x" * 60_000) == 200
        assert events(answer)[-1]["type"] == "message_stop"

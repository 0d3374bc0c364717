"""Streams that are frames rather than lines, relayed between a client and an upstream that both speak them."""

from __future__ import annotations

import pytest

from archflow_engine.exchange import relayed
from archflow_plugins.framing.aws_event_stream import Splitter, encode, encode_headers
from archflow_schema.events import Usage
from peers import Asked, Client, Reply, chunk
from playbook import Play, playing

pytestmark = pytest.mark.trio
UPSTREAM = {"vendor": "amazon_bedrock"}
PATH = "/model/m/converse-stream"
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/vnd.amazon.eventstream\r\ntransfer-encoding: chunked\r\n\r\n"


def frame(name: str, payload: bytes) -> bytes:
    return encode(encode_headers({":event-type": name, ":message-type": "event"}), payload)


DELTA = frame("contentBlockDelta", b'{"contentBlockIndex":0,"delta":{"text":"a\\n\\n"}}')
METADATA = frame("metadata", b'{"usage":{"inputTokens":3,"outputTokens":2,"totalTokens":5}}')
STOP = frame("messageStop", b'{"stopReason":"end_turn"}')


async def streaming(play: Play, client: Client, *headers: str) -> tuple[Asked, Reply]:
    """A stream that has begun: the client has its first frame."""
    await client.ask({"messages": []}, path=PATH, headers=headers)
    asked = await play.upstream.asked()
    await asked.connection.send(HEAD + chunk(DELTA))
    answer = await client.begins()
    await client.reads(DELTA)
    return asked, answer


def names(body: bytes) -> list[str]:
    return [one.headers.name for one in Splitter().feed(body)]


async def test_what_a_stream_tells_is_recorded() -> None:
    async with playing(upstream=UPSTREAM) as play:
        client = await play.client()
        asked, answer = await streaming(play, client)
        await asked.more(STOP + METADATA[:20])
        await asked.more(METADATA[20:])
        await asked.end()
        assert (await client.rest(answer)).body == STOP + METADATA
        record = await play.record()
        assert record.usage == Usage(input_tokens=3, output_tokens=2)
        assert record.finish_reason == "end_turn"


async def test_a_client_s_credentials_stay_here() -> None:
    async with playing(upstream=UPSTREAM) as play:
        client = await play.client()
        asked, answer = await streaming(
            play,
            client,
            "X-Amz-Security-Token: clients-own",
            "Authorization: AWS4-HMAC-SHA256 clients-own",
            "X-Amz-Date: 1",
        )
        assert asked.target == "/model/m-upstream/converse-stream"
        assert b"clients-own" not in b"".join(value for _, value in asked.headers)
        assert asked.header("x-amz-date") is None
        await asked.end()
        await client.rest(answer)


async def test_an_upstream_that_dies_between_frames_ends_the_stream_with_an_error_frame() -> None:
    async with playing(upstream=UPSTREAM) as play:
        client = await play.client()
        asked, answer = await streaming(play, client)
        await asked.connection.close()
        await client.rest(answer)
        assert not answer.cut
        assert names(answer.body) == ["modelStreamErrorException"]
        assert (await play.record()).error == "upstream_failed"


@pytest.mark.parametrize("half", [DELTA[:7], DELTA[:50], b"\n\n"])
async def test_half_a_frame_is_followed_by_nothing(half: bytes) -> None:
    async with playing(upstream=UPSTREAM) as play:
        client = await play.client()
        asked, answer = await streaming(play, client)
        await asked.more(half)
        await client.reads(half)
        await asked.connection.close()
        await client.rest(answer)
        assert answer.cut
        assert answer.body == b""


async def test_a_silent_stream_is_kept_alive_between_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relayed, "PULSE", 0.1)
    async with playing(upstream=UPSTREAM) as play:
        client = await play.client()
        asked, answer = await streaming(play, client)
        ping = await client.more()
        assert ping is not None
        assert names(ping) == ["ping"]
        await asked.end()
        await client.rest(answer)

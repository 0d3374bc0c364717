"""HTTP/2 by prior knowledge and by ALPN, asked by httpx (on the h2 library) and by the vendors' clients over it."""

from __future__ import annotations

import ssl

import httpx
import openai
import pytest
import trio

from oracle.conftest import Side
from process.harness import PATIENCE
from process.upstream import gated

pytestmark = pytest.mark.process


def asked(text: str, *, stream: bool = False) -> dict[str, object]:
    return {"model": "openai/gpt-4o", "messages": [{"role": "user", "content": text}], "stream": stream}


def prior_knowledge() -> httpx.Client:
    """A client that speaks HTTP/2 and nothing else."""
    return httpx.Client(http1=False, http2=True, timeout=PATIENCE)


def test_a_plain_completion_by_prior_knowledge(side: Side) -> None:
    with prior_knowledge() as client:
        reply = client.post(f"{side.url}/v1/chat/completions", json=asked("hello"))
    assert reply.http_version == "HTTP/2"
    assert reply.json()["choices"][0]["message"]["content"] == "gpt-4o heard: hello"


def test_a_stream_goes_event_by_event(side: Side) -> None:
    side.upstream.script = gated
    side.upstream.step()
    lines = []
    with (
        prior_knowledge() as client,
        client.stream("POST", f"{side.url}/v1/chat/completions", json=asked("hello", stream=True)) as reply,
    ):
        assert reply.http_version == "HTTP/2"
        for line in reply.iter_lines():
            if line:
                lines.append(line)
                side.upstream.step()
    assert lines[-1] == "data: [DONE]"
    assert len(lines) == 6


@pytest.mark.trio
async def test_many_requests_at_once_on_one_connection(side: Side) -> None:
    texts = [f"number {i}" for i in range(40)]
    heard: dict[str, str] = {}

    async def ask(client: httpx.AsyncClient, text: str) -> None:
        reply = await client.post(f"{side.url}/v1/chat/completions", json=asked(text))
        heard[text] = reply.json()["choices"][0]["message"]["content"]

    async with (
        httpx.AsyncClient(http1=False, http2=True, timeout=PATIENCE) as client,
        trio.open_nursery() as nursery,
    ):
        for text in texts:
            nursery.start_soon(ask, client, text)
    assert heard == {text: f"gpt-4o heard: {text}" for text in texts}


def test_alpn_chooses_http2_over_tls(side: Side) -> None:
    trust = ssl.create_default_context(cafile=str(side.ca))
    with httpx.Client(http2=True, verify=trust, timeout=PATIENCE) as client:
        reply = client.post(f"{side.tls_url}/v1/chat/completions", json=asked("hello"))
    assert reply.http_version == "HTTP/2"
    assert reply.json()["choices"][0]["message"]["content"] == "gpt-4o heard: hello"


def test_http_1_is_still_served_over_tls(side: Side) -> None:
    trust = ssl.create_default_context(cafile=str(side.ca))
    with httpx.Client(verify=trust, timeout=PATIENCE) as client:
        reply = client.post(f"{side.tls_url}/v1/chat/completions", json=asked("hello"))
    assert reply.http_version == "HTTP/1.1"
    assert reply.json()["choices"][0]["message"]["content"] == "gpt-4o heard: hello"


def test_the_openai_client_over_http2_and_tls(side: Side) -> None:
    trust = ssl.create_default_context(cafile=str(side.ca))
    with (
        openai.DefaultHttpxClient(http2=True, verify=trust, timeout=PATIENCE) as http,
        openai.OpenAI(base_url=f"{side.tls_url}/v1", api_key="of-the-client", http_client=http) as client,
    ):
        stream = client.chat.completions.create(
            model="openai/gpt-4o", messages=[{"role": "user", "content": "hello"}], stream=True
        )
        assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "gpt-4o heard: hello"


def test_an_unknown_model_over_http2(side: Side) -> None:
    with prior_knowledge() as client:
        reply = client.post(f"{side.url}/v1/chat/completions", json={**asked("hello"), "model": "no/body"})
    assert reply.status_code == 404
    assert reply.json()["error"]["code"] == "model_not_found"


def test_a_client_that_leaves_is_seen_by_the_upstream(side: Side) -> None:
    side.upstream.script = gated
    side.upstream.step()
    with prior_knowledge() as client:
        with client.stream("POST", f"{side.url}/v1/chat/completions", json=asked("hi", stream=True)) as reply:
            next(reply.iter_lines())
        client.close()
        assert side.upstream.last.closed.wait(PATIENCE), "the upstream was left alone"

"""SIGTERM: no new requests, running ones and streams finish, exit 0."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from pathlib import Path

import httpx
import pytest

from process.harness import (
    PATIENCE,
    Gateway,
    children,
    compiled,
    eventually,
    free_port,
    lives,
    model_config,
    refuses,
    streaming,
)
from process.upstream import ScriptedUpstream, gated

pytestmark = pytest.mark.process


def gateway_for(folder: Path, upstream: ScriptedUpstream, *options: str) -> Gateway:
    port = free_port()
    config = folder / "arch_config.yaml"
    config.write_text(model_config(port, upstream.port))
    return Gateway(compiled(config), port, *options)


def test_a_stream_finishes_and_new_connections_are_refused(
    tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    upstream.script = gated
    upstream.step()
    with gateway_for(tmp_path, upstream, "--drain", str(PATIENCE)) as gateway, streaming(gateway) as lines:
        next(lines)
        gateway.signal(signal.SIGTERM)
        eventually(lambda: refuses(gateway.port), "the listener is closed", lambda: gateway.output)
        assert gateway.process.poll() is None, "it ended with a stream under way"
        upstream.step(100)
        assert list(lines)[-1] == "[DONE]"
        assert gateway.wait() == 0


def test_a_whole_reply_under_way_is_delivered(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    upstream.script = gated
    body = b'{"model":"gpt-4o","messages":[{"role":"user","content":"hello"}]}'
    with (
        gateway_for(tmp_path, upstream, "--drain", str(PATIENCE)) as gateway,
        socket.create_connection(("127.0.0.1", gateway.port), PATIENCE) as client,
    ):
        client.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\n")
        client.sendall(b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
        eventually(lambda: upstream.received, "the upstream is asked", lambda: gateway.output)
        gateway.signal(signal.SIGTERM)
        eventually(lambda: refuses(gateway.port), "the listener is closed", lambda: gateway.output)
        upstream.step()
        reply = b"".join(iter(lambda: client.recv(65536), b""))
        assert reply.startswith(b"HTTP/1.1 200 ")
        assert b"gpt-4o heard: hello" in reply
        assert gateway.wait() == 0


def test_an_idle_connection_does_not_hold_it_up(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    with gateway_for(tmp_path, upstream, "--drain", "3600") as gateway, httpx.Client() as client:
        asked = client.get(f"{gateway.url}/v1/models", timeout=PATIENCE)
        assert asked.status_code == 200
        gateway.signal(signal.SIGTERM)
        assert gateway.wait() == 0


def test_the_drain_has_an_end(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    upstream.script = gated
    upstream.step()
    with gateway_for(tmp_path, upstream, "--drain", "0.2") as gateway:
        with streaming(gateway) as lines:
            next(lines)
            gateway.signal(signal.SIGTERM)
            assert "shutting_down" in list(lines)[-1]
        gateway.wait()
    assert upstream.last.closed.wait(PATIENCE), "the upstream was left alone"


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_second_signal_ends_it_at_once(tmp_path: Path, upstream: ScriptedUpstream, workers: str) -> None:
    upstream.script = gated
    upstream.step()
    with gateway_for(tmp_path, upstream, "--drain", "3600", "--workers", workers) as gateway:
        under = children(gateway.process.pid)
        with streaming(gateway) as lines:
            next(lines)
            gateway.signal(signal.SIGINT)
            eventually(lambda: refuses(gateway.port), "the listener is closed", lambda: gateway.output)
            gateway.signal(signal.SIGINT)
            assert gateway.wait() == 1
            eventually(lambda: not any(map(lives, under)), "its workers are gone", lambda: gateway.output)
        assert "Exception" not in gateway.stderr
    assert upstream.last.closed.wait(PATIENCE), "the upstream was left alone"


def test_a_worker_heeds_a_second_signal_too(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    upstream.script = gated
    upstream.step()
    with gateway_for(tmp_path, upstream, "--drain", "3600", "--workers", "2") as gateway:
        under = children(gateway.process.pid)
        with streaming(gateway) as lines:
            next(lines)

            def told_again() -> bool:
                left = [pid for pid in under if lives(pid)]
                for pid in left:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGTERM)
                return not left

            eventually(told_again, "the worker with the stream ends", lambda: gateway.output)
            with pytest.raises(httpx.RemoteProtocolError):
                list(lines)


def test_not_ready_while_it_drains(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    upstream.script = gated
    upstream.step()
    with gateway_for(tmp_path, upstream, "--drain", str(PATIENCE)) as gateway, streaming(gateway) as lines:
        next(lines)
        gateway.signal(signal.SIGTERM)
        eventually(
            lambda: gateway.ask_admin("/readyz").status_code == 503,
            "/readyz says 503",
            lambda: gateway.output,
        )
        assert gateway.ask_admin("/healthz").status_code == 200
        upstream.step(100)
        assert list(lines)[-1] == "[DONE]"
        assert gateway.wait() == 0

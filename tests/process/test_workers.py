"""Several workers under one supervisor: they share the port, and a dead one is replaced."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import httpx
import pytest

from process.harness import (
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


def two_workers(folder: Path, upstream: ScriptedUpstream) -> Gateway:
    port = free_port()
    config = folder / "arch_config.yaml"
    config.write_text(model_config(port, upstream.port))
    return Gateway(compiled(config), port, "--workers", "2")


def workers(gateway: Gateway) -> set[int]:
    """The processes under the supervisor."""
    return set(children(gateway.process.pid))


def asks(gateway: Gateway) -> bool:
    """Whether a request on a new connection is answered; a connection to a worker that just died is not."""
    try:
        return gateway.chat().status_code == 200
    except httpx.TransportError:
        return False


def test_a_killed_worker_is_replaced(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    with two_workers(tmp_path, upstream) as gateway:
        eventually(lambda: len(workers(gateway)) >= 2, "two workers run", lambda: gateway.output)
        before = workers(gateway)
        victim = min(before)
        os.kill(victim, signal.SIGKILL)
        eventually(
            lambda: len(workers(gateway)) == len(before) and victim not in workers(gateway),
            "another worker takes its place",
            lambda: gateway.output,
        )
        eventually(
            lambda: all(asks(gateway) for _ in range(10)), "every request is answered", lambda: gateway.output
        )
        assert str(victim) in gateway.stderr, "the death was not reported"


def counted(gateway: Gateway) -> float:
    """The requests that all workers together answered with 200."""
    metrics = gateway.ask_admin("/metrics").text.splitlines()
    return sum(
        float(line.rpartition(" ")[2])
        for line in metrics
        if line.startswith("archflow_requests_total{") and 'status="200"' in line
    )


def test_what_a_dead_worker_counted_stays_counted(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    with two_workers(tmp_path, upstream) as gateway:
        for _ in range(8):
            assert gateway.chat().status_code == 200
        assert counted(gateway) == 8
        for victim in workers(gateway):
            os.kill(victim, signal.SIGKILL)
        eventually(
            lambda: gateway.stderr.count("worker_serving") == 4, "both are replaced", lambda: gateway.output
        )
        assert counted(gateway) == 8
        eventually(lambda: asks(gateway), "requests are answered", lambda: gateway.output)
        assert counted(gateway) == 9


def test_every_worker_drains(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    upstream.script = gated
    upstream.step()
    with two_workers(tmp_path, upstream) as gateway:
        with (
            streaming(gateway) as first,
            streaming(gateway) as second,
            streaming(gateway) as third,
            streaming(gateway) as fourth,
        ):
            for lines in (first, second, third, fourth):
                next(lines)
            gateway.signal(signal.SIGTERM)
            eventually(lambda: refuses(gateway.port), "the listener is closed", lambda: gateway.output)
            upstream.step(100)
            for lines in (first, second, third, fourth):
                assert list(lines)[-1] == "[DONE]"
        assert gateway.wait() == 0
        assert not workers(gateway)


def test_the_supervisor_takes_its_workers_with_it(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    with two_workers(tmp_path, upstream) as gateway:
        eventually(lambda: len(workers(gateway)) >= 2, "two workers run", lambda: gateway.output)
        orphans = workers(gateway)
        gateway.signal(signal.SIGKILL)
        gateway.wait()
        eventually(
            lambda: not any(lives(pid) for pid in orphans),
            "no worker outlives its supervisor",
            lambda: gateway.output,
        )

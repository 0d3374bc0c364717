"""The admin endpoint: what it answers, asked as an ASGI server asks."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from archflow_engine.admin import Admin
from archflow_engine.bind import describe
from archflow_engine.metrics import TROUBLE, Metrics, Snapshot
from playbook import KEY, playing

pytestmark = pytest.mark.trio


class Asked:
    """An Admin, and how it answers."""

    def __init__(self, why_not: str = "", graph: dict[str, Any] | None = None) -> None:
        counted = Metrics()
        counted.count(TROUBLE, ())

        async def snapshot() -> Snapshot:
            return counted.snapshot(())

        self.admin = Admin(snapshot=snapshot, graph=lambda: graph or {}, ready=lambda: why_not)

    async def get(self, path: str, method: str = "GET") -> tuple[int, str, bytes]:
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await self.admin({"type": "http", "method": method, "path": path}, receive, send)
        start, body = sent
        headers = dict(start["headers"])
        if method != "HEAD":
            assert int(headers[b"content-length"]) == len(body["body"])
        return start["status"], headers[b"content-type"].decode(), body["body"]


async def test_health_and_readiness() -> None:
    assert await Asked().get("/healthz") == (200, "text/plain", b"ok\n")
    assert await Asked().get("/readyz") == (200, "text/plain", b"ready\n")
    assert await Asked("draining").get("/readyz") == (503, "text/plain", b"draining\n")
    assert await Asked("draining").get("/healthz") == (200, "text/plain", b"ok\n")


async def test_metrics_are_text_for_prometheus() -> None:
    status, kind, body = await Asked().get("/metrics")
    assert (status, kind) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert b"archflow_internal_errors_total 1" in body


async def test_head_other_methods_and_other_paths() -> None:
    assert await Asked().get("/healthz", "HEAD") == (200, "text/plain", b"")
    assert (await Asked().get("/healthz", "POST"))[0] == 405
    status, _, body = await Asked().get("/")
    assert status == 404
    assert b"/healthz, /readyz, /metrics and /graph" in body


async def test_the_running_graph_without_its_secrets() -> None:
    async with playing(aliases={"short": "m"}) as play:
        plan = play.plan
        status, kind, body = await Asked(graph=describe(plan.graph, plan.digest)).get("/graph")
        assert (status, kind) == (200, "application/json")
        told = msgspec.json.decode(body)
        assert told["digest"] == plan.digest
        assert told["listeners"][0]["name"] == "egress-127.0.0.1"
        assert told["upstreams"][0]["provider"] == "openai"
        routes = {node["name"]: node["edges"] for node in told["nodes"]}
        assert routes["dispatch m"]["streaming"] == "end"
        assert routes["route"]["model:m"] == "dispatch m"
        assert KEY.encode() not in body

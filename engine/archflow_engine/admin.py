"""The admin endpoint: health, readiness, metrics and the running graph, as a small ASGI application under hypercorn.

It stands on an address of its own, on loopback unless told otherwise, and shows no content and no secret.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, cast

import hypercorn.trio.run
import msgspec
import trio
from hypercorn.config import Config, Sockets

from archflow_engine.metrics import CONTENT_TYPE, Snapshot, render

if TYPE_CHECKING:
    from hypercorn.typing import AppWrapper

Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]


class Admin:
    """Answers `GET /healthz`, `/readyz`, `/metrics` and `/graph`.

    Args:
        snapshot: the numbers of all workers.
        graph: the running graph as plain values.
        ready: an empty string, or why traffic should not come.
    """

    def __init__(
        self,
        *,
        snapshot: Callable[[], Awaitable[Snapshot]],
        graph: Callable[[], dict[str, Any]],
        ready: Callable[[], str],
    ) -> None:
        self._snapshot = snapshot
        self._graph = graph
        self._ready = ready

    async def serve(self, sockets: Sockets) -> None:
        """Serve until cancelled. Blocks. Resources: closes the sockets."""
        config = Config()
        config.accesslog = config.errorlog = None
        config.graceful_timeout = 0.5
        await hypercorn.trio.run.worker_serve(
            cast("AppWrapper", self),  # called as one, without the WSGI half
            config,
            sockets=sockets,
            shutdown_trigger=trio.sleep_forever,
        )

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send, *_: object) -> None:
        """One ASGI scope: the lifespan, or a request."""
        if scope["type"] == "lifespan":
            while True:
                message = await receive()
                await send({"type": f"{message['type']}.complete"})
                if message["type"] == "lifespan.shutdown":
                    return
        if scope["type"] == "http":
            status, content_type, body = await self._answer(scope["method"], scope["path"])
            headers = [(b"content-type", content_type.encode()), (b"content-length", b"%d" % len(body))]
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def _answer(self, method: str, path: str) -> tuple[int, str, bytes]:
        if method not in {"GET", "HEAD"}:
            return 405, "text/plain", b"only GET\n"
        match path:
            case "/healthz":
                return 200, "text/plain", b"ok\n"
            case "/readyz":
                reason = self._ready()
                return (
                    (503, "text/plain", f"{reason}\n".encode()) if reason else (200, "text/plain", b"ready\n")
                )
            case "/metrics":
                return 200, CONTENT_TYPE, render(await self._snapshot()).encode()
            case "/graph":
                body = msgspec.json.format(msgspec.json.encode(self._graph()), indent=2)
                return 200, "application/json", body + b"\n"
            case _:
                return 404, "text/plain", b"the admin endpoint has /healthz, /readyz, /metrics and /graph\n"

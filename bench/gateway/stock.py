"""What one writes without a hub: stock hypercorn on trio, and httpx for the way to the upstream.

    python stock.py echo|proxy PORT UPSTREAM_PORT

`echo` answers a canned completion and calls nobody: the least that stock hypercorn can cost. `proxy` relays.
"""

from __future__ import annotations

import sys
from typing import Any

import httpx
import trio
from hypercorn.config import Config
from hypercorn.trio import serve

ANSWER = b'{"object":"chat.completion","choices":[{"message":{"role":"assistant","content":"%s"}}]}' % (
    b"x" * 380
)
HOP_BY_HOP = {b"connection", b"host", b"keep-alive", b"transfer-encoding"}


async def read(receive: Any) -> bytes:
    """The whole body of a request."""
    body, more = b"", True
    while more:
        event = await receive()
        body += event["body"]
        more = event.get("more_body", False)
    return body


async def lifespan(receive: Any, send: Any) -> None:
    """Nothing to set up: say so twice."""
    for phase in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{phase}.complete"})


async def echo(receive: Any, send: Any) -> None:
    """Answer at once."""
    await read(receive)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(ANSWER)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": ANSWER})


async def proxy(scope: Any, receive: Any, send: Any, client: httpx.AsyncClient) -> None:
    """Relay a request and its reply."""
    body = await read(receive)
    headers = [(name, value) for name, value in scope["headers"] if name not in HOP_BY_HOP]
    async with client.stream("POST", scope["path"], content=body, headers=headers) as reply:
        kept = [(name, value) for name, value in reply.headers.raw if name.lower() not in HOP_BY_HOP]
        await send({"type": "http.response.start", "status": reply.status_code, "headers": kept})
        async for chunk in reply.aiter_raw():
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body"})


async def run(mode: str, port: int, upstream: int) -> None:
    """Serve until killed."""
    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.keep_alive_timeout = 3600
    config.keep_alive_max_requests = 10**9
    config.loglevel = "WARNING"
    limits = httpx.Limits(max_connections=1000, max_keepalive_connections=1000)
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{upstream}", limits=limits, timeout=60
    ) as client:

        async def app(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "lifespan":
                await lifespan(receive, send)
            elif mode == "echo":
                await echo(receive, send)
            else:
                await proxy(scope, receive, send, client)

        await serve(app, config, mode="asgi")


if __name__ == "__main__":
    trio.run(run, sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))

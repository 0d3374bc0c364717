"""A whole exchange without a kernel: the real connections, nodes, kinds and pool, on sockets that only remember.

What is left is what archflow itself computes for a request: `bench/gateway` minus this is the system calls, the trio
loop and the memory of others.

Rule: nothing of the engine is imitated but the socket; everything else is bound from a graph as `archrun` binds it.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

import trio

from archflow_engine import load
from archflow_engine.bind import bind
from archflow_engine.front.http1 import Http1
from archflow_engine.front.serve import Front
from archflow_engine.hub import Channel, Hub
from archflow_engine.metrics import Metrics
from archflow_engine.plan import Plan
from archflow_engine.upstream.http1 import Http1Upstream
from archflow_plugins.registry import Registry
from archflow_schema import artifact

Work = Callable[[], object]


class Memory:
    """A socket that takes everything and keeps the last of it."""

    def __init__(self, number: int) -> None:
        self._number = number
        self.last = b""

    def fileno(self) -> int:
        """A number of its own."""
        return self._number

    def recv(self, _: int) -> bytes:
        """Nobody asks: what comes is handed to the owner."""
        raise BlockingIOError

    def send(self, data: bytes) -> int:
        """Take all of it."""
        self.last = data
        return len(data)

    def close(self) -> None:
        """Nothing to close."""


class Pair:
    """A client's connection and one kept connection to its upstream."""

    def __init__(self, graph: bytes, environment: dict[str, str]) -> None:
        self.hub = Hub(self._trouble)
        self.plan = trio.run(self._bind, graph, environment)
        front = Front.__new__(Front)  # a listener without its sockets
        front.hub, front.plan, front._connections = self.hub, next(iter(self.plan.listeners.values())), set()
        self.client = Memory(-1)
        channel = self._channel(self.client)
        self.downstream = channel.owner = Http1(front, channel, "127.0.0.1")
        self.server = Memory(-2)
        pool = self.plan.pools[0]
        channel = self._channel(self.server)
        self.upstream = channel.owner = Http1Upstream(pool, channel, "127.0.0.1:1")
        pool.rest(self.upstream)

    def _channel(self, memory: Memory) -> Channel:
        return Channel(self.hub, cast("socket.socket", memory), cast("Any", None))

    async def _bind(self, graph: bytes, environment: dict[str, str]) -> Plan:
        async def offload(work: Callable[[], object]) -> object:
            return await trio.to_thread.run_sync(work)

        loaded = load.Program(artifact.load(graph), artifact.digest(graph), environment, {})
        binding: Awaitable[Plan] = bind(
            loaded, Registry.load(), self.hub, Metrics(), offload=offload, log=lambda *_, **__: None
        )
        return await binding

    @staticmethod
    def _trouble(error: BaseException) -> None:
        raise error


def head(body: bytes, first: bytes, *lines: bytes) -> bytes:
    """An HTTP/1.1 message with a body."""
    return b"\r\n".join([first, *lines, b"content-length: %d" % len(body), b"", body])


@contextmanager
def exchange(graph: bytes, environment: dict[str, str], request: bytes, reply: bytes) -> Iterator[Work]:
    """A request comes in one read, goes out; its reply comes in one read, goes back."""
    pair = Pair(graph, environment)
    asked = head(
        request, b"POST /v1/chat/completions HTTP/1.1", b"host: gateway", b"content-type: application/json"
    )
    answered = head(reply, b"HTTP/1.1 200 OK", b"content-type: application/json", b"x-request-id: req_1")

    def once() -> None:
        pair.downstream.received(asked)
        pair.upstream.received(answered)

    once()
    if reply not in pair.client.last:
        raise AssertionError(f"the exchange went wrong: {pair.client.last!r}")
    yield once


@contextmanager
def chunk(graph: bytes, environment: dict[str, str], request: bytes, event: bytes) -> Iterator[Work]:
    """One event of a stream comes in and goes out."""
    pair = Pair(graph, environment)
    body = request.replace(b'"temperature"', b'"stream": true, "temperature"')
    pair.downstream.received(head(body, b"POST /v1/chat/completions HTTP/1.1", b"host: gateway"))
    pair.upstream.received(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    relay = partial(pair.upstream.received, b"%x\r\n%b\r\n" % (len(event), event))
    relay()
    if event not in pair.client.last:
        raise AssertionError(f"the stream went wrong: {pair.client.last!r}")
    yield relay

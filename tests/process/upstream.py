"""An upstream inside the test process: it answers by a script, remembers the requests, goes step by step.

    with ScriptedUpstream() as upstream:
        upstream.script = lambda request: Answer(events=EVENTS, gated=True)
        ...                        # the client has asked
        upstream.step()            # one event goes out; the next waits
        upstream.received[0].closed.wait(PATIENCE)

Without a script of its own it answers as examples/upstream.py does.
"""

from __future__ import annotations

import contextlib
import importlib.util
import select
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import ModuleType, TracebackType
from typing import Any, Self

import msgspec

from process.harness import ROOT


def _load_example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("example_upstream", ROOT / "examples" / "upstream.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


example = _load_example()


@dataclass(frozen=True)
class Received:
    """One request as it arrived. `closed` is set when the gateway leaves before the answer is complete."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    closed: threading.Event = field(default_factory=threading.Event)

    @property
    def json(self) -> dict[str, Any]:
        """The body as JSON."""
        return msgspec.json.decode(self.body, type=dict[str, Any])


@dataclass(frozen=True)
class Answer:
    """What to answer: `body`, or `events` as a chunked stream. Each step lets one gated piece go."""

    status: int = 200
    body: bytes = b""
    events: tuple[bytes, ...] = ()
    headers: tuple[tuple[str, str], ...] = (("content-type", "application/json"),)
    gated: bool = False


Script = Callable[[Received], Answer]


def as_example(request: Received) -> Answer:
    """The answer of examples/upstream.py, without its pauses."""
    reply = example.answer(request.method, request.path, request.body)
    kind = "text/event-stream" if reply.events else "application/json"
    headers = tuple((name.decode(), value.decode()) for name, value in reply.headers)
    return Answer(
        reply.status,
        reply.body,
        reply.events,
        (("content-type", kind), ("x-request-id", "req_upstream"), *headers),
    )


def gated(request: Received) -> Answer:
    """As the example, one event (or whole reply) for each step."""
    answer = as_example(request)
    return Answer(answer.status, answer.body, answer.events, answer.headers, gated=True)


class ScriptedUpstream:
    """Listens on a free port of the loopback interface, a thread for each connection.

    Attributes:
        port: where it listens.
        script: what it answers.
        received: every request so far, in order of arrival.
    """

    def __init__(self, script: Script = as_example) -> None:
        self.script = script
        self.received: list[Received] = []
        self._allowed = 0
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        upstream = self

        class Handler(_Handler):
            owner = upstream

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.port = int(self._server.server_address[1])

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def step(self, count: int = 1) -> None:
        """Let every gated answer, also those to come, send so many pieces more."""
        with self._changed:
            self._allowed += count
            self._changed.notify_all()

    def reset(self) -> None:
        """Forget the requests, the script and the steps."""
        self.script = as_example
        self.received.clear()
        self._allowed = 0

    @property
    def last(self) -> Received:
        """The newest request."""
        return self.received[-1]

    def passes(self, piece: int, received: Received, connection: socket.socket) -> bool:
        """Wait until a piece (from 0) may go; False if the gateway closed the connection meanwhile. Blocks."""
        with self._changed:
            while piece >= self._allowed:
                if self._stopping.is_set() or _is_closed(connection):
                    received.closed.set()
                    return False
                self._changed.wait(0.01)
        return True


class _Handler(BaseHTTPRequestHandler):
    """Reads a request, asks the script, writes the answer."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    owner: ScriptedUpstream

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        received = Received(self.command, self.path, headers, body)
        self.owner.received.append(received)
        answer = self.owner.script(received)
        with contextlib.suppress(ConnectionError):
            if answer.events:
                self._stream(received, answer)
            elif not answer.gated or self.owner.passes(0, received, self.connection):
                self._head(answer, ("content-length", str(len(answer.body))))
                self.wfile.write(answer.body)
            else:
                self.close_connection = True

    def _head(self, answer: Answer, framing: tuple[str, str]) -> None:
        self.send_response(answer.status)
        for name, value in (*answer.headers, framing):
            self.send_header(name, value)
        self.end_headers()

    def _stream(self, received: Received, answer: Answer) -> None:
        self._head(answer, ("transfer-encoding", "chunked"))
        for piece, event in enumerate(answer.events):
            if answer.gated and not self.owner.passes(piece, received, self.connection):
                self.close_connection = True
                return
            self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
        self.wfile.write(b"0\r\n\r\n")


def _is_closed(connection: socket.socket) -> bool:
    readable, _, _ = select.select([connection], [], [], 0)
    try:
        return bool(readable) and connection.recv(1, socket.MSG_PEEK) == b""
    except ConnectionError:
        return True

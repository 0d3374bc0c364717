"""The counting gate: what one proxied request and one streamed chunk may cost, in things that can be counted.

    python bench/gate.py

A real archrun runs under strace, with an instrument in its trio loop. One client on one warm connection sends 500
requests, then takes one stream of 200 chunks, of which the upstream sends each only when the client has the one
before. What happened in between is counted: system calls from the trace, tasks, task steps and nurseries from trio,
calls of our own Python functions from the interpreter.

Rule: nothing here is timed, so a slow or busy machine gives the same answer.
"""

from __future__ import annotations

import argparse
import contextlib
import mmap
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, Self

import msgspec

REQUESTS = 500
CHUNKS = 200
WARM_UP = 20
PATIENCE = 60.0
CELLS = ("task steps", "tasks spawned", "nurseries", "calls of our functions")
"""What the child counts, each as 8 bytes of a shared file."""
COUNTS = f"={len(CELLS)}Q"

LIMITS: dict[str, dict[str, float]] = {
    "request": {
        "system calls": 8,
        "sends to the client": 1,
        "sends to the upstream": 1,
        "epoll_ctl": 0,
        "task steps": 2,
        "tasks spawned": 0,
        "nurseries": 0,
        "calls of our functions": 51,
    },
    "chunk": {
        "system calls": 4,
        "receives from the upstream": 1,
        "sends to the client": 1,
        "epoll_ctl": 0,
        "tasks spawned": 0,
        "nurseries": 0,
        "calls of our functions": 13,
    },
}
"""How many of each are allowed, for each request and for each chunk."""

AMORTISED = 0.05
"""What housekeeping (the sweep of deadlines, the flush of the log) may add to each count: once in twenty."""


class Unusable(Exception):
    """The gate cannot count here; the text says what is missing."""


class Excess(msgspec.Struct, frozen=True):
    """One count above its limit."""

    per: str
    what: str
    limit: float
    counted: float


class Result(msgspec.Struct, frozen=True):
    """What was counted, per request and per chunk."""

    counts: dict[str, dict[str, float]]

    def excesses(self) -> list[Excess]:
        """Every count above its limit."""
        return [
            Excess(per, what, limit, self.counts[per][what])
            for per, limits in LIMITS.items()
            for what, limit in limits.items()
            if self.counts[per][what] > limit + AMORTISED
        ]

    def __str__(self) -> str:
        lines = []
        for per, counts in self.counts.items():
            lines.append(f"{f'per {per}':30}{'limit':>10}{'counted':>10}")
            for what, counted in counts.items():
                limit = LIMITS[per].get(what)
                told = "-" if limit is None else f"{limit:g}"
                mark = "  too many" if limit is not None and counted > limit + AMORTISED else ""
                lines.append(f"  {what:28}{told:>10}{counted:>10.3f}{mark}")
        return "\n".join(lines)


# --- the process under test ---------------------------------------------------------------------------------------


def run_child(cells_file: str, arguments: list[str]) -> None:
    """Be archrun, with what trio and our functions do counted into a shared file: writing memory is no system call."""
    import trio

    with Path(cells_file).open("r+b") as file:
        cells = memoryview(mmap.mmap(file.fileno(), 8 * len(CELLS))).cast("Q")

    class Count(trio.abc.Instrument):
        def before_task_step(self, task: trio.lowlevel.Task) -> None:
            cells[0] += 1

        def task_spawned(self, task: trio.lowlevel.Task) -> None:
            cells[1] += 1

    run, open_nursery = trio.run, trio.open_nursery

    def profile(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and "archflow_" in frame.f_code.co_filename:
            cells[3] += 1

    def counting_run(*positional: Any, instruments: Any = (), **named: Any) -> Any:
        sys.setprofile(profile)
        return run(*positional, instruments=(*instruments, Count()), **named)

    def counting_open_nursery(*positional: Any, **named: Any) -> Any:
        cells[2] += 1
        return open_nursery(*positional, **named)

    for name, counting in (("run", counting_run), ("open_nursery", counting_open_nursery)):
        setattr(trio, name, counting)
    from archflow_engine.cli import main

    sys.argv = ["archrun", *arguments]
    main()


# --- both ends ----------------------------------------------------------------------------------------------------

REPLY_BODY = b'{"id":"1","object":"chat.completion","model":"m","choices":[],"usage":{"prompt_tokens":1}}'
REPLY = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (
    len(REPLY_BODY),
    REPLY_BODY,
)
STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
EVENT = (
    b'data: {"id":"1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"x"}}]}\n\n'
)
DONE = b"data: [DONE]\n\n"


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body."""
    return b"%x\r\n%s\r\n" % (len(data), data)


@dataclass
class Upstream:
    """An upstream in a thread: plain replies at once, the chunks of a stream one by one as they are asked for."""

    gate: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        buffer = b""
        while data := connection.recv(65536):
            buffer += data
            head, end, body = buffer.partition(b"\r\n\r\n")
            length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
            if not end or (length and len(body) < int(length[1])):
                continue
            buffer = b""
            if b'"stream":true' in body:
                self._stream(connection)
            else:
                connection.sendall(REPLY)

    def _stream(self, connection: socket.socket) -> None:
        connection.sendall(STREAM_HEAD + chunk(EVENT))
        for _ in range(CHUNKS - 1):
            self.gate.acquire()
            connection.sendall(chunk(EVENT))
        self.gate.acquire()
        connection.sendall(chunk(DONE) + b"0\r\n\r\n")

    def close(self) -> None:
        """Take no more connections."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def has_events(wanted: int, data: bytes) -> bool:
    """Whether so many events have arrived."""
    return data.count(EVENT) >= wanted


class Client:
    """One warm connection to the gateway."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def chat(self) -> None:
        """One request and its whole reply."""
        self._send(b'{"model":"openai/gate","messages":[{"role":"user","content":"hello"}]}')
        reply = self._receive(lambda data: data.endswith(REPLY_BODY))
        if not reply.startswith(b"HTTP/1.1 200 "):
            raise Unusable(f"the gateway answered {reply[:300]!r}")

    def stream(self, upstream: Upstream) -> None:
        """One stream, in lock-step with its upstream."""
        self._send(b'{"model":"openai/gate","stream":true,"messages":[{"role":"user","content":"hello"}]}')
        reply = b""
        for wanted in range(1, CHUNKS + 1):
            reply = self._receive(partial(has_events, wanted), reply)
            upstream.gate.release()
        self._receive(lambda data: data.endswith(b"0\r\n\r\n"), reply)

    def mark(self, name: str) -> None:
        """Leave a mark in the trace: a request that is refused and shows there by its path."""
        self._socket.sendall(b"GET /mark-%s HTTP/1.1\r\nhost: gate\r\n\r\n" % name.encode())
        head = self._receive(lambda data: b"\r\n\r\n" in data)
        length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
        wanted = head.index(b"\r\n\r\n") + 4 + int(length[1] if length else 0)
        self._receive(lambda data: len(data) >= wanted, head)

    def _send(self, body: bytes) -> None:
        head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: gate\r\ncontent-type: application/json\r\n"
        self._socket.sendall(head + b"content-length: %d\r\n\r\n%s" % (len(body), body))

    def _receive(self, complete: Callable[[bytes], bool], data: bytes = b"") -> bytes:
        while not complete(data):
            more = self._socket.recv(65536)
            if not more:
                raise Unusable(f"the gateway closed the connection after {data[-300:]!r}")
            data += more
        return data


# --- counting -----------------------------------------------------------------------------------------------------

CALL = re.compile(r"^\d+ +(?P<name>\w+)\((?P<arguments>.*)$")
SENDS = {"sendto", "sendmsg", "write", "writev", "send"}
RECEIVES = {"recvfrom", "recvmsg", "read", "recv"}


def between(trace: list[str], name: str) -> list[tuple[str, str]]:
    """The system calls between two marks, as name and arguments: after the reply to the first, before the second."""
    begin = next(i for i, line in enumerate(trace) if f"GET /mark-{name}-begin" in line)
    begin = next(i for i in range(begin, len(trace)) if '"HTTP/1.1 404' in trace[i])
    end = next(i for i, line in enumerate(trace) if f"GET /mark-{name}-end" in line)
    calls = (CALL.match(line) for line in trace[begin + 1 : end])
    return [(call["name"], call["arguments"]) for call in calls if call]


def descriptor(arguments: str) -> str:
    """The first argument."""
    return arguments.partition(",")[0]


def registered(arguments: str) -> str:
    """The descriptor that a call of epoll_ctl is about.

    Those of the connections are what the hub promises to register once. trio's own, which arms the hub again when a
    millisecond went by without an event, are left out: how many there are says how busy the machine is.
    """
    return arguments.split(", ")[2]


def ends(calls: list[tuple[str, str]]) -> tuple[set[str], set[str]]:
    """The descriptors of the client's and the upstream's connections, told by what was sent on them."""
    client = {
        descriptor(arguments) for name, arguments in calls if name in SENDS and '"HTTP/1.1 ' in arguments
    }
    upstream = {
        descriptor(arguments) for name, arguments in calls if name in SENDS and '"POST /' in arguments
    }
    return client, upstream


def count_calls(calls: list[tuple[str, str]], units: int) -> dict[str, float]:
    """What the trace tells, per unit of work."""
    client, upstream = ends(calls)
    if not client or not upstream:
        raise Unusable("the trace shows no request: strace did not see the gateway's sends")

    def on(names: set[str], descriptors: set[str]) -> float:
        return (
            sum(1 for name, arguments in calls if name in names and descriptor(arguments) in descriptors)
            / units
        )

    return {
        "system calls": len(calls) / units,
        "sends to the client": on(SENDS, client),
        "sends to the upstream": on(SENDS, upstream),
        "receives from the client": on(RECEIVES, client),
        "receives from the upstream": on(RECEIVES, upstream),
        "epoll_ctl": sum(
            1
            for name, arguments in calls
            if name == "epoll_ctl" and registered(arguments) in client | upstream
        )
        / units,
    }


# --- the run ------------------------------------------------------------------------------------------------------

CONFIG = """\
version: v0.3.0
listeners:
  - {{type: model, name: egress, address: 127.0.0.1, port: {port}}}
model_providers:
  - model: openai/gate
    base_url: http://127.0.0.1:{upstream}
    access_key: $GATE_KEY
    default: true
access_log: {{format: json, path: {log}}}
"""


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def traced(folder: Path, port: int, upstream: int) -> Iterator[mmap.mmap]:
    """A gateway under strace; yields what its trio loop has counted so far. The trace is complete afterwards."""
    strace = shutil.which("strace")
    if strace is None:
        raise Unusable("strace is not installed: apt-get install strace")
    config, cells = folder / "arch_config.yaml", folder / "cells"
    config.write_text(CONFIG.format(port=port, upstream=upstream, log=folder / "access.log"))
    cells.write_bytes(bytes(8 * len(CELLS)))
    archc = Path(sys.executable).with_name("archc")
    compiled = subprocess.run(
        [archc, "compile", config, "-o", folder / "graph.bin"], capture_output=True, text=True, check=False
    )
    if compiled.returncode:
        raise Unusable(f"archc: {compiled.stdout}{compiled.stderr}")
    tracer = [strace, "-f", "-qq", "-s", "48", "-e", "signal=none", "-o", str(folder / "trace")]
    child = [sys.executable, __file__, "--child", str(cells), str(folder / "graph.bin"), "--admin", "off"]
    environment = {**os.environ, "GATE_KEY": "sk-gate"}
    with (folder / "output.log").open("wb") as log, cells.open("r+b") as file:
        process = subprocess.Popen(
            [*tracer, *child], env=environment, stdout=log, stderr=log, start_new_session=True
        )
        try:
            wait_for(port, process, folder / "output.log")
            with mmap.mmap(file.fileno(), 0) as shared:
                yield shared
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(PATIENCE)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until somebody listens on a port."""
    end = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < end:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        time.sleep(0.02)
    raise Unusable(f"archrun did not start under strace: {log.read_text(errors='replace')[-2000:]}")


def measured(client: Client, cells: mmap.mmap, name: str, work: Callable[[], None]) -> Counter[str]:
    """Do some work between two marks; returns what trio did meanwhile."""
    client.mark(f"{name}-begin")
    before = struct.unpack(COUNTS, cells[:])
    work()
    after = struct.unpack(COUNTS, cells[:])
    client.mark(f"{name}-end")
    return Counter({cell: now - then for cell, then, now in zip(CELLS, before, after, strict=True)})


def count() -> Result:
    """Run the gate.

    Raises:
        Unusable: strace is missing or may not trace, or the gateway does not work at all.
    """
    upstream = Upstream()
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        with traced(folder, port, upstream.port) as cells, Client(port) as client:
            for _ in range(WARM_UP):
                client.chat()

            def requests() -> None:
                for _ in range(REQUESTS):
                    client.chat()

            sequential = measured(client, cells, "request", requests)
            streamed = measured(client, cells, "chunk", lambda: client.stream(upstream))
        upstream.close()
        trace = (folder / "trace").read_text(errors="replace").splitlines()
    counts = {}
    for per, units, told in (("request", REQUESTS, sequential), ("chunk", CHUNKS, streamed)):
        calls = count_calls(between(trace, per), units)
        counts[per] = calls | {cell: told[cell] / units for cell in CELLS}
    return Result(counts)


def main() -> None:
    """Count and print; exit 1 if something is above its limit, 2 if nothing can be counted."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--format", choices=("table", "json"), default="table")
    options = parser.parse_args()
    try:
        result = count()
    except Unusable as reason:
        print(f"the gate cannot count: {reason}", file=sys.stderr)
        sys.exit(2)
    print(msgspec.json.encode(result).decode() if options.format == "json" else result)
    sys.exit(1 if result.excesses() else 0)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        run_child(sys.argv[2], sys.argv[3:])
    else:
        main()

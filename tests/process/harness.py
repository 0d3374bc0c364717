"""Real archc and archrun processes for tests: free ports, captured output, bounded waits.

Rule: nothing waits by sleeping for a guessed time; `eventually` polls for what is awaited and fails with the
output of the process when it does not come.
Rule: a gateway that printed a traceback fails its test, whatever the test was about.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = Path(sysconfig.get_path("scripts"))
PATIENCE = 30.0
"""Seconds until a wait is given up: far above what anything takes, so that only a hang meets it."""

KEY = "sk-canary-7f3c9a"
"""The value of every key in these tests; it must never show in anything the gateway prints."""


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def eventually(holds: Callable[[], object], what: str, explain: Callable[[], str] = str) -> None:
    """Poll until `holds()` is true. Blocks; fails after PATIENCE seconds, saying what never happened."""
    end = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {PATIENCE:.0f} s\n{explain()}")
        time.sleep(0.01)


def refuses(port: int) -> bool:
    """Whether nobody listens on a port any more."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE).close()
    except ConnectionRefusedError:
        return True
    return False


def archc(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run archc to its end."""
    command = [str(SCRIPTS / "archc"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE, cwd=cwd)


def compiled(config: Path) -> Path:
    """The graph.bin of a configuration, beside it; fails with archc's diagnostics if it has errors."""
    graph = config.with_name("graph.bin")
    done = archc("compile", config, "-o", graph)
    assert done.returncode == 0, done.stdout + done.stderr
    return graph


def model_config(port: int, upstream: int, *, models: str = "openai/gpt-4o", extra: str = "") -> str:
    """A configuration with one model listener whose models (separated by spaces) one upstream serves."""
    providers = "".join(
        f"  - model: {model}\n    base_url: http://127.0.0.1:{upstream}\n    access_key: $TEST_KEY\n"
        + ("    default: true\n" if index == 0 else "")
        for index, model in enumerate(models.split())
    )
    return (
        "version: v0.3.0\n"
        f"listeners:\n  - {{type: model, name: egress, address: 127.0.0.1, port: {port}, timeout: 60s}}\n"
        f"model_providers:\n{providers}{extra}"
    )


class Gateway:
    """A running archrun. Use as a context manager: entering waits until it is ready, leaving stops it.

    Attributes:
        port: the listener that clients use.
        admin: the port of /healthz, /readyz, /metrics and /graph.
    """

    def __init__(
        self,
        graph: Path,
        port: int,
        *options: str,
        environment: Mapping[str, str] | None = None,
        wrapper: tuple[str, ...] = (),
    ) -> None:
        self.port = port
        self.admin = free_port()
        self._folder = graph.parent
        self._command = [
            *(wrapper or (str(SCRIPTS / "archrun"),)),
            str(graph),
            "--admin",
            f"127.0.0.1:{self.admin}",
            *options,
        ]
        self._environment = {**os.environ, "TEST_KEY": KEY, **(environment or {})}

    def start(self) -> Self:
        """Start it without waiting for anything."""
        with (self._folder / "stdout.log").open("wb") as out, (self._folder / "stderr.log").open("wb") as err:
            self.process = subprocess.Popen(
                self._command, env=self._environment, stdin=subprocess.DEVNULL, stdout=out, stderr=err
            )
        return self

    def __enter__(self) -> Self:
        self.start()
        try:
            eventually(self._ready_or_ended, "the gateway is ready", lambda: self.output)
            assert self.process.poll() is None, f"ended with status {self.process.returncode}\n{self.output}"
        except BaseException:
            self._kill()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGTERM)
                self.wait()
        finally:
            self._kill()
        if kind is None:
            assert "Traceback" not in self.output, self.output
            assert KEY not in self.output, "a key was printed"

    def wait(self) -> int:
        """Wait for its end; returns its exit status. Fails if it does not end."""
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the gateway did not end\n{self.output}") from None

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    @property
    def stdout(self) -> str:
        """What it printed so far: its access log."""
        return (self._folder / "stdout.log").read_text(errors="replace")

    @property
    def stderr(self) -> str:
        """What it said about itself so far."""
        return (self._folder / "stderr.log").read_text(errors="replace")

    @property
    def output(self) -> str:
        """Everything it printed, for messages of failed tests."""
        return f"--- stderr ---\n{self.stderr}--- stdout ---\n{self.stdout}"

    @property
    def url(self) -> str:
        """Where clients reach it."""
        return f"http://127.0.0.1:{self.port}"

    def ask_admin(self, path: str) -> httpx.Response:
        """GET a path of the admin listener."""
        return httpx.get(f"http://127.0.0.1:{self.admin}{path}", timeout=PATIENCE)

    def chat(self, model: str = "gpt-4o", text: str = "hello", **fields: object) -> httpx.Response:
        """POST a chat completion and read the whole reply."""
        body = {"model": model, "messages": [{"role": "user", "content": text}], **fields}
        return httpx.post(f"{self.url}/v1/chat/completions", json=body, timeout=PATIENCE)

    def said(self, text: str) -> None:
        """Wait until its standard error contains a text."""
        eventually(lambda: text in self.stderr, f"it says {text!r}", lambda: self.output)

    def _ready_or_ended(self) -> bool:
        if self.process.poll() is not None:
            return True
        with contextlib.suppress(httpx.TransportError):
            return self.ask_admin("/readyz").status_code == 200
        return False

    def _kill(self) -> None:
        """End it and its workers, if it still lives."""
        if self.process.poll() is None:
            for pid in [*children(self.process.pid), self.process.pid]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.process.wait()


def children(pid: int) -> list[int]:
    """The living child processes of a process, whichever of its threads started them."""
    listed: list[str] = []
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            listed += file.read_text().split()
    return [int(child) for child in listed if lives(int(child))]


def lives(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def python(*arguments: str) -> tuple[str, ...]:
    """A command line of this very Python."""
    return (sys.executable, *arguments)


@contextlib.contextmanager
def streaming(gateway: Gateway, model: str = "gpt-4o", text: str = "hello") -> Iterator[Iterator[str]]:
    """A streamed chat completion; yields its data lines, without `data: `."""
    body = {"model": model, "messages": [{"role": "user", "content": text}], "stream": True}
    with httpx.stream("POST", f"{gateway.url}/v1/chat/completions", json=body, timeout=PATIENCE) as reply:
        assert reply.status_code == 200, reply.read()
        yield (line.removeprefix("data: ") for line in reply.iter_lines() if line.startswith("data: "))

"""A system under test: a command with all its descendants, on one core, and what it has cost so far.

Rule: figures come from /proc, for the whole process tree; nothing is asked of the system itself.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
START_TIMEOUT = 120.0
STOP_TIMEOUT = 10.0


class Failed(Exception):
    """The system did not start, or did not answer as it should."""


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def cores() -> tuple[set[int], set[int]]:
    """The core of the system under test, and the one (or more) of load driver and upstream."""
    available = sorted(os.sched_getaffinity(0))
    if len(available) < 2:
        raise Failed("one core is not enough: the load driver would compete with what it measures")
    return {available[0]}, set(available[1:])


@contextlib.contextmanager
def on(chosen: set[int]) -> Iterator[None]:
    """Stay on some cores for a while: processes that are started meanwhile inherit it."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, chosen)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@dataclass(frozen=True)
class Command:
    """How a system is started, and how it is spoken to.

    Attributes:
        arguments: the command line.
        environment: variables beside those of this process.
        headers: what each request must carry, as `name: value`.
        path: where requests are posted.
    """

    arguments: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    headers: tuple[str, ...] = ()
    path: str = "/v1/chat/completions"


class System:
    """A running system. Use as a context manager; leaving it ends every process of its tree."""

    def __init__(self, command: Command, port: int, core: set[int], log: Path) -> None:
        self.command = command
        self.port = port
        self._core = core
        self._log = log

    def __enter__(self) -> Self:
        self.began = time.monotonic()
        with self._log.open("wb") as log, on(self._core):
            self._process = subprocess.Popen(
                self.command.arguments,
                env={**os.environ, **self.command.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_TIMEOUT)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def wait_until_ready(self, body: bytes) -> float:
        """Post `body` until the answer is a 200. Blocks.

        Returns:
            Seconds from the start of the process to that answer.

        Raises:
            Failed: the process ended, or gave no good answer in two minutes; the text ends with its log.
        """
        status = 0
        while time.monotonic() - self.began < START_TIMEOUT:
            if self._process.poll() is not None:
                raise Failed(f"it ended with status {self._process.returncode}: {self.log_tail()}")
            status = self._ask(body)
            if status == 200:
                return time.monotonic() - self.began
            time.sleep(0.01)
        raise Failed(
            f"no good answer in {START_TIMEOUT:.0f} s (last status {status or 'none'}): {self.log_tail()}"
        )

    def _ask(self, body: bytes) -> int:
        headers = dict(header.split(": ", 1) for header in self.command.headers)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(
                "POST", self.command.path, body, {"content-type": "application/json", **headers}
            )
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()

    def log_tail(self) -> str:
        """The last line that the system printed: a traceback's reason, without the paths of this machine."""
        lines = self._log.read_text(errors="replace").split("\n")
        return next((line.strip()[-600:] for line in reversed(lines) if line.strip()), "it printed nothing")

    def cpu(self) -> float:
        """Seconds on a core so far, user and system, of the tree and of its children that have ended."""
        return sum(sum(map(int, fields[11:15])) for fields in self._stats()) / TICK

    def memory(self) -> float:
        """Resident MB (10**6 bytes) of the tree."""
        return sum(int(fields[21]) for fields in self._stats()) * PAGE / 1e6

    def _stats(self) -> Iterator[list[str]]:
        """The fields of /proc/PID/stat that follow the command's name (utime is 11, rss 21), for the tree."""
        processes: dict[int, list[str]] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    processes[int(entry.name)] = (entry / "stat").read_text().rpartition(")")[2].split()
        tree, before = {self._process.pid}, 0
        while len(tree) != before:
            before = len(tree)
            tree |= {pid for pid, fields in processes.items() if int(fields[1]) in tree}
        return (processes[pid] for pid in tree if pid in processes)

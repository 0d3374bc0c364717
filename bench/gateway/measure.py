"""The scenarios, and how one peer is taken through all of them.

The figure that counts is CPU microseconds per request (or per streamed chunk): on-core time of the tested
system's process tree, divided by what it completed. It is far steadier than requests per second.

Rule: a peer is started fresh for each round, alone, on its own core; load driver and upstream have another.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
from gateways import Peer
from system import Command, Failed, System, cores, free_port, on
from tools import WORK, NotInstalled, Search, compiled

CHUNKS = 50
PAUSE_US = 10_000
WARM_UP_S = 0.5
SENTENCE = "The quick brown fox jumps over the lazy dog near the river bank. "

Samples = dict[str, float]


@dataclass(frozen=True)
class Scenario:
    """One kind of load. `per` is what the CPU time is divided by: `request` or `chunk`."""

    name: str
    connections: int
    size: int = 1024
    stream: bool = False
    http2: bool = False

    @property
    def per(self) -> int:
        """Units of work in one request."""
        return CHUNKS if self.stream else 1


SCENARIOS = (
    Scenario("c1", 1),
    Scenario("c16", 16),
    Scenario("c64", 64),
    Scenario("32k", 16, size=32_700),
    Scenario("stream", 64, stream=True),
    Scenario("http2", 16, http2=True),
)


class Outcome(msgspec.Struct, frozen=True):
    """What one load driver run told: good replies, and latencies in microseconds (0 where it tells none)."""

    requests: int
    bad: int
    seconds: float
    p50_us: float = 0.0
    p99_us: float = 0.0
    first_p50_us: float = 0.0


def body(size: int, *, stream: bool) -> bytes:
    """A chat request of exactly `size` bytes."""
    head = (
        '{"model": "gpt-4o-mini", "messages": [{"role": "system", "content": "You are a helpful assistant."}'
    )
    head += ', {"role": "user", "content": "'
    tail = '"}], "temperature": 0.7, "max_tokens": 256' + (', "stream": true}' if stream else "}")
    room = size - len(head) - len(tail)
    return (head + (SENTENCE * (room // len(SENTENCE) + 1))[:room] + tail).encode()


def body_file(scenario: Scenario) -> Path:
    """The scenario's request body as a file for the load driver."""
    file = WORK / f"body_{scenario.size}{'_stream' if scenario.stream else ''}.json"
    file.write_bytes(body(scenario.size, stream=scenario.stream))
    return file


@contextlib.contextmanager
def upstream() -> Iterator[int]:
    """The mock upstream, on the load driver's cores; yields its port."""
    port, (_, others) = free_port(), cores()
    arguments = (str(compiled("mock")), str(port), str(CHUNKS), str(PAUSE_US))
    with on(others):
        process = subprocess.Popen(arguments)
    try:
        yield port
    finally:
        process.kill()
        process.wait()


def drive(scenario: Scenario, command: Command, port: int, seconds: float) -> Outcome:
    """Run one load. Blocks for `seconds` and until the last reply is complete.

    Raises:
        Failed: the load driver could not work at all.
        NotInstalled: h2load is missing.
    """
    headers = [argument for header in command.headers for argument in ("-H", header)]
    run = _h2load if scenario.http2 else _load
    return run(scenario, [*headers], command.path, port, seconds)


def _pinned(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    with on(cores()[1]):
        return subprocess.run(arguments, capture_output=True, text=True, check=False)


def _load(scenario: Scenario, headers: list[str], path: str, port: int, seconds: float) -> Outcome:
    options = ["-c", str(scenario.connections), "-t", str(seconds), *(["-s"] if scenario.stream else [])]
    positional = [str(port), path, str(body_file(scenario))]
    done = _pinned([str(compiled("load")), *headers, *options, *positional])
    if not done.stdout:
        raise Failed(done.stderr.strip())
    outcome = msgspec.json.decode(done.stdout, type=Outcome)
    if outcome.bad:
        raise Failed(
            f"{outcome.bad} of {outcome.bad + outcome.requests} replies were bad: {done.stderr.strip()[:300]}"
        )
    return outcome


def _h2load(scenario: Scenario, headers: list[str], path: str, port: int, seconds: float) -> Outcome:
    program = shutil.which("h2load")
    if program is None:
        raise NotInstalled("h2load: it comes with nghttp2")
    streams = ["-c", str(scenario.connections), "-m", "4", "-D", str(max(1, round(seconds)))]
    content = ["-d", str(body_file(scenario)), "-H", "content-type: application/json"]
    done = _pinned([program, *streams, *content, *headers, f"http://127.0.0.1:{port}{path}"])
    counts = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", done.stdout)
    codes = re.search(r"status codes: (\d+) 2xx", done.stdout)
    if counts is None or codes is None:
        raise Failed((done.stderr or done.stdout).strip()[-300:])
    succeeded, failed = int(counts[1]), int(counts[2]) + int(counts[3]) + int(counts[4])
    if failed or succeeded == 0 or int(codes[1]) < succeeded:
        raise Failed(f"{succeeded} good replies ({codes[1]} with status 2xx), {failed} failed over HTTP/2")
    return Outcome(requests=succeeded, bad=0, seconds=seconds)


def direct(port: int, seconds: float) -> Samples:
    """The load driver against the upstream itself: what is not the gateway's."""
    command = Command(())
    samples: Samples = {}
    for scenario in SCENARIOS[:3]:
        outcome = drive(scenario, command, port, seconds)
        samples[f"{scenario.name}.rps"] = outcome.requests / outcome.seconds
        samples[f"{scenario.name}.p50_us"] = outcome.p50_us
    return samples


def round_of(
    peer: Peer, search: Search, upstream_port: int, seconds: float
) -> tuple[Samples, dict[str, str]]:
    """Take a freshly started peer through every scenario.

    Returns:
        The figures by name, and for each scenario that failed the reason.

    Raises:
        NotInstalled, Failed: it cannot be measured at all.
    """
    folder = WORK / peer.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    port, (core, _) = free_port(), cores()
    command = peer.prepare(search, folder, port, upstream_port)
    samples: Samples = {}
    failures: dict[str, str] = {}
    with System(command, port, core, folder / "output.log") as system:
        samples["cold_start_s"] = system.wait_until_ready(body(1024, stream=False))
        samples["idle_mb"] = samples["loaded_mb"] = system.memory()
        with contextlib.suppress(Failed):
            drive(SCENARIOS[1], command, port, seconds)  # a just-in-time compiler warms up
        for scenario in SCENARIOS:
            if (scenario.http2 and not peer.http2) or (scenario.stream and not peer.streams):
                continue
            try:
                if not (scenario.http2 and peer.fragile):
                    drive(scenario, command, port, WARM_UP_S)
                samples |= _sample(scenario, system, seconds)
                samples["loaded_mb"] = max(samples["loaded_mb"], system.memory())
            except (Failed, NotInstalled) as reason:
                failures[scenario.name] = str(reason)
    return samples, failures


def _sample(scenario: Scenario, system: System, seconds: float) -> Samples:
    before = system.cpu()
    outcome = drive(scenario, system.command, system.port, seconds)
    spent = system.cpu() - before
    samples = {f"{scenario.name}.cpu_us": 1e6 * spent / (outcome.requests * scenario.per)}
    if not scenario.http2:
        samples[f"{scenario.name}.p50_us"] = outcome.p50_us
        samples[f"{scenario.name}.rps"] = outcome.requests / outcome.seconds
    return samples

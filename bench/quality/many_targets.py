"""What many prompt targets cost: compiled by `archc`, cold and again, and matched by `archrun`, all as one runs them.

Proves: the time of a whole compile with an empty cache of vectors and with a full one, and that both write the same
bytes; the time of a whole request over HTTP (match, call of an API on this machine, its answer verbatim), one at a
time, for the same prompts before 100 targets and before many; whether what was called is what was asked for.
Does not prove: how well targets of one's own are told apart. Descriptions and prompts are BFCL's; from some 2,000 on,
targets are variants of those before, which nobody can tell apart, so any variant of the right one is right.
CPU is of the whole process, all threads together.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import msgspec
import numpy as np
from choosing_speed import options
from routes import Case, tasks

from archflow_plugins.contexts import Option
from archflow_plugins.local_models.cache import Cache

TASKS = {"BFCL multiple", "BFCL live_multiple"}
FEW, MANY = 100, 10_000
REPEATS = 200
THRESHOLD = 0.05
"""So low that the nearest target is called although its variants are as near."""
SCRIPTS = Path(sysconfig.get_path("scripts"))
PORT, API = 12_480, 12_481
VARIANT = re.compile(r"_\d+$")


class Api(BaseHTTPRequestHandler):
    """Answers a target's path with itself, and a chat with `missed`."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet: what is waited for is the gateway

    def do_GET(self) -> None:
        self._answer(self.path.encode())

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        message = {"role": "assistant", "content": "missed"}
        self._answer(msgspec.json.encode({"choices": [{"index": 0, "message": message}]}))

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def configuration(some: tuple[Option, ...]) -> bytes:
    """Arch's form, as JSON, which is YAML as well."""
    return msgspec.json.encode(
        {
            "version": "v0.4.0",
            "overrides": {"prompt_target_intent_matching_threshold": THRESHOLD},
            "listeners": [{"type": "prompt", "name": "p", "address": "127.0.0.1", "port": PORT}],
            "model_providers": [
                {
                    "model": "local/m",
                    "base_url": f"http://127.0.0.1:{API}",
                    "provider_interface": "openai",
                    "default": True,
                }
            ],
            "endpoints": {"api": {"endpoint": f"127.0.0.1:{API}"}},
            "prompt_targets": [
                {
                    "name": one.name,
                    "description": one.description,
                    "endpoint": {"name": "api", "path": f"/called/{one.name}"},
                    "auto_llm_dispatch_on_response": False,
                }
                for one in some
            ],
        }
    )


def named(count: int) -> tuple[Option, ...]:
    """So many options with names that a prompt target may have, none twice; those that requests ask for come first."""
    found = {_plain(one.name): one for one in reversed(options(count + count // 10))}
    some = [msgspec.structs.replace(one, name=name) for name, one in found.items()]
    wanted = {name for case in cases() for name in case.right}
    return tuple(sorted(some, key=lambda one: one.name not in wanted))[:count]


def cases() -> list[Case]:
    """Requests that exactly one function is right for."""
    found = [case for task in tasks() if task.name in TASKS for case in task.cases if len(case.right) == 1]
    return [msgspec.structs.replace(case, right=frozenset(map(_plain, case.right))) for case in found]


def _plain(name: str) -> str:
    return re.sub(r"\W", "_", name)


def asked(some: tuple[Option, ...], most: int) -> list[tuple[str, frozenset[str]]]:
    """Requests that one of the options is right for, none twice, and its name."""
    known = {one.name for one in some}
    found = {case.turns[-1]: case.right for case in cases() if case.right <= known}
    return list(found.items())[:most]


def compiled(folder: Path, environment: dict[str, str]) -> float:
    """Seconds of an `archc compile`."""
    began = time.perf_counter()
    done = subprocess.run(
        [SCRIPTS / "archc", "compile", "-q"], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return time.perf_counter() - began


@contextlib.contextmanager
def gateway(folder: Path, environment: dict[str, str]) -> Iterator[int]:
    """An `archrun` of the folder's graph that is ready; its process."""
    with (folder / "archrun.log").open("wb") as log, subprocess.Popen(
        [SCRIPTS / "archrun", "graph.bin", "--admin", "off"], cwd=folder, env=environment, stdout=log, stderr=log
    ) as running:  # fmt: skip
        try:
            for _ in range(600):
                with contextlib.suppress(OSError), contextlib.closing(_connection()) as probe:
                    probe.connect()
                    break
                time.sleep(0.1)
            yield running.pid
        finally:
            running.terminate()


def _connection() -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", PORT, timeout=60)


def _cpu(pid: int) -> float:
    """Seconds that a process and its children have computed."""
    total = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rsplit(")", 1)[1].split()
            if pid in {int(stat.parent.name), int(fields[1])}:
                total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def requests(pid: int, said: list[tuple[str, frozenset[str]]]) -> tuple[np.ndarray, float, int, int]:
    """Milliseconds of each request, CPU milliseconds of one, how many called the right target, and another."""
    times, right, wrong = [], 0, 0
    spent = _cpu(pid)
    with contextlib.closing(_connection()) as client:
        for text, names in said:
            body = msgspec.json.encode({"model": "none", "messages": [{"role": "user", "content": text}]})
            began = time.perf_counter()
            client.request("POST", "/v1/chat/completions", body, {"content-type": "application/json"})
            answer = client.getresponse().read().decode()
            times.append(time.perf_counter() - began)
            called = re.search(r"/called/(\w+)", answer)
            if called:
                hit = VARIANT.sub("", called[1]) in {VARIANT.sub("", name) for name in names}
                right, wrong = right + hit, wrong + (not hit)
    return np.array(times) * 1000, (_cpu(pid) - spent) * 1000 / len(said), right, wrong


def table(few: int = FEW, many: int = MANY, repeats: int = REPEATS) -> list[str]:
    """The lines of the table."""
    lines = [
        "| targets | cold s | warm s | vectors | graph MB | p50 ms | p99 ms | CPU ms | right | another | none |",
        "|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    some = named(many)
    said = asked(some[:few], repeats + 10)
    repeats = len(said) - 10
    server = ThreadingHTTPServer(("127.0.0.1", API), Api)
    Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as kept:
        folder = Path(kept)
        cache, home = Cache(folder / "cache"), Cache()
        cache.take(home.ensure(home.find("minilm")))
        environment = {**os.environ, "ARCHFLOW_CACHE": str(cache.folder)}
        for count in (few, many):
            (folder / "arch_config.yaml").write_bytes(configuration(some[:count]))
            for file in cache.folder.glob("vectors.sqlite*"):
                file.unlink()
            cold = compiled(folder, environment)
            before = (folder / "graph.bin").read_bytes()
            warm = compiled(folder, environment)
            assert before == (folder / "graph.bin").read_bytes(), "the cache changed the graph"
            from archflow_plugins.local_models.vectors import Vectors

            vectors = Vectors(cache.folder).kept().vectors
            with gateway(folder, environment) as pid:
                requests(pid, said[:10])
                times, cpu, right, wrong = requests(pid, said[10:])
            middle, high = np.percentile(times, [50, 99])
            lines.append(
                f"| {count:,} | {cold:.1f} | {warm:.1f} | {vectors:,} | {len(before) / 1e6:.0f} | {middle:.1f} | "
                f"{high:.1f} | {cpu:.1f} | {right} | {wrong} | {repeats - right - wrong} |"
            )
    server.shutdown()
    return [*lines, "", f"{repeats} requests each, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"]


if __name__ == "__main__":
    sys.stdout.write("\n".join(table(*map(int, sys.argv[1:]))) + "\n")

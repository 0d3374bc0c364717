"""The side-by-side measurement of bench/gateway: what it sends, what it counts, and how it tells what is missing."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

from process.harness import PATIENCE, ROOT, eventually

pytestmark = pytest.mark.process

GATEWAY = ROOT / "bench" / "gateway"
compiler = shutil.which("cc")


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, ModuleType]]:
    """The modules of bench/gateway, under the names that they import each other by."""
    names = ("tools", "system", "gateways", "report", "measure")
    monkeypatch.syspath_prepend(str(GATEWAY))
    yield {name: importlib.import_module(name) for name in names}
    for name in names:
        del sys.modules[name]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("size", [1024, 32_700])
def test_a_body_has_its_size_and_says_whether_it_streams(
    modules: dict[str, ModuleType], size: int, stream: bool
) -> None:
    body = modules["measure"].body(size, stream=stream)
    assert len(body) == size
    assert msgspec.json.decode(body).get("stream", False) is stream


PARENT_OF_A_BUSY_CHILD = """
import signal, subprocess, sys
subprocess.run([sys.executable, "-c", "import time\\nwhile time.process_time() < 0.3: pass"])
print("done", flush=True)
signal.pause()
"""


def test_the_cpu_of_a_child_that_has_ended_counts(modules: dict[str, ModuleType], tmp_path: Path) -> None:
    system = modules["system"]
    log = tmp_path / "log"
    command = system.Command((sys.executable, "-c", PARENT_OF_A_BUSY_CHILD))
    with system.System(command, 0, os.sched_getaffinity(0), log) as running:
        eventually(lambda: "done" in log.read_text(), "the child has burnt its time", log.read_text)
        assert running.cpu() >= 0.25  # the kernel counts in ticks
        assert running.memory() > 1


def test_the_table_tells_what_is_missing_and_what_fails(modules: dict[str, ModuleType]) -> None:
    report = modules["report"]
    figures = {"c16.cpu_us": 40.0, "c1.p50_us": 100.0}
    measurement = report.Measurement(
        report.Machine("a processor", 2, "6.1", "3.12", 0.1, 0.2),
        rounds=1,
        seconds=1.0,
        direct=report.Row("direct", rounds=[{"c1.p50_us": 15.0}]),
        peers=[
            report.Row("archflow", rounds=[figures, {**figures, "c16.cpu_us": 60.0}]),
            report.Row("envoy", rounds=[{"c16.cpu_us": 100.0}], failures={"stream": "it broke"}),
            report.Row("nginx", missing="nginx: on PATH"),
        ],
    )
    rows = {
        line.split()[0]: line.split() for line in reversed(report.table(measurement).splitlines()) if line
    }
    assert rows["archflow"][1:3] == ["50", "-"]
    assert "85" in rows["archflow"]
    assert "fails" in rows["envoy"]
    assert rows["nginx"][1:] == ["not", "installed"]
    assert "2.00" in report.table(measurement)


@pytest.mark.skipif(compiler is None, reason="there is no C compiler for the mock upstream")
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="a measurement needs two cores")
def test_a_peer_that_is_not_installed_is_a_row(modules: dict[str, ModuleType]) -> None:
    for name in ("mock", "load"):
        modules["tools"].compiled(name)  # now, because a compiler finds its parts by PATH
    done = subprocess.run(
        [sys.executable, str(GATEWAY), "--quick", "--peers", "nginx,envoy", "--format", "json"],
        env={"PATH": "", "CC": str(compiler), "HOME": os.environ.get("HOME", "/")},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    rows = msgspec.json.decode(done.stdout)["peers"]
    assert [row["peer"] for row in rows] == ["nginx", "envoy"]
    assert all(row["missing"].startswith(row["peer"]) for row in rows)


def test_an_unknown_peer_is_named() -> None:
    done = subprocess.run(
        [sys.executable, str(GATEWAY), "--peers", "apache"],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 1
    assert "apache" in done.stderr
    assert "envoy" in done.stderr

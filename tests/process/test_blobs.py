"""What kinds compiled lies in graph.bin once, and in memory once: workers map it."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from process.harness import Gateway, archc, children, eventually, free_port, model_config
from process.upstream import ScriptedUpstream

pytestmark = pytest.mark.process

COUNT, DIMENSION = 6000, 128
PLUGIN = f"""\
import numpy
from msgspec import Struct

from archflow_plugins import Guard, Verdict, hookimpl
from archflow_plugins.local_models.index import Index, build


class Compiled(Struct, frozen=True):
    index: str


class Nearby(Guard):
    kind = "guard.nearby"
    compiled = Compiled

    @classmethod
    def compile(cls, config, ctx):
        vectors = numpy.random.default_rng(0).standard_normal(({COUNT}, {DIMENSION})).astype("f4")
        vectors /= numpy.linalg.norm(vectors, axis=1, keepdims=True)
        return Compiled(ctx.blob(build(vectors)))

    def __init__(self, compiled, ctx):
        super().__init__(compiled, ctx)
        self.index = Index(ctx.view(compiled.index))

    def check_nowait(self, conversation):
        cosines, _ = self.index.search(numpy.eye(1, {DIMENSION}), {COUNT} // 2)
        return Verdict(bool(numpy.isfinite(cosines).all()))


@hookimpl
def archflow_register_guards():
    return [Nearby]
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plugin as it lies on a path, installed as far as metadata tell."""
    folder = tmp_path / "plugins"
    info = folder / "nearby-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "nearby.py").write_text(PLUGIN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: nearby\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[archflow]\nnearby = nearby\n")
    (info / "RECORD").write_text("nearby.py,,\n")
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    )


def mapped(pid: int) -> dict[str, int]:
    """Kilobytes of the graph that a process has in memory, by kind."""
    found: dict[str, int] = {}
    inside = False
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            inside = "/archrun-" in line and ".bin" in line
        elif inside and line.endswith(" kB"):
            name, amount, _ = line.split()
            found[name] = found.get(name, 0) + int(amount)
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.usefixtures("plugin")
def test_workers_share_what_kinds_compiled(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    port = free_port()
    config = tmp_path / "arch_config.yaml"
    text = model_config(port, upstream.port, extra="plugins: {nearby: '>=1'}\n")
    config.write_text(text.replace("timeout: 60s}", "timeout: 60s, guards: [{kind: nearby}]}", 1))
    graph = tmp_path / "graph.bin"
    done = archc("compile", config, "-o", graph)
    assert done.returncode == 0, done.stdout + done.stderr
    size = graph.stat().st_size >> 10
    assert size > COUNT * DIMENSION * 4 >> 10
    with Gateway(graph, port, "--workers", "2") as gateway:
        eventually(lambda: len(children(gateway.process.pid)) >= 2, "two workers run", lambda: gateway.output)
        for _ in range(20):
            assert gateway.chat().status_code == 200, gateway.output
        for pid in children(gateway.process.pid):
            memory = mapped(pid)
            assert memory["Rss:"] > size // 2  # searched where it lies
            assert memory["Private_Dirty:"] == 0
            assert memory["Shared_Clean:"] + memory["Shared_Dirty:"] == memory["Rss:"]

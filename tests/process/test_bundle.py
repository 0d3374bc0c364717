"""A bundle runs where there is no cache and no registry."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from local_world import cache
from process.harness import SCRIPTS, Gateway, archc, free_port

pytestmark = pytest.mark.process

CONFIG = """\
version: v0.3.0
listeners:
  - {{type: model, name: egress, address: 127.0.0.1, port: {port}, timeout: 60s}}
model_providers:
  - {{model: local/tiny-chat, default: true}}
  - {{model: local/tiny-embed}}
"""


def test_it_runs_without_a_cache_and_without_a_registry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    (tmp_path / "arch_config.yaml").write_text(CONFIG.format(port=port))
    monkeypatch.setenv("ARCHFLOW_CACHE", str(cache().folder))
    done = archc("compile", "--bundle", "first", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    monkeypatch.delenv("ARCHFLOW_CACHE")
    moved = (tmp_path / "first").rename(tmp_path / "else where")
    nothing = {
        "HOME": str(tmp_path / "nobody"), "XDG_CACHE_HOME": "", "PIP_INDEX_URL": "http://127.0.0.1:1/simple",
        "PATH": f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}",
    }  # fmt: skip
    alone = ("sh", "-c", 'shift; exec "$0" "$@"', str(moved / "run"))  # it names the graph itself
    with Gateway(moved / "graph.bin", port, environment=nothing, wrapper=alone) as gateway:
        assert gateway.chat(model="local/tiny-chat", max_tokens=3).status_code == 200
    assert not (tmp_path / "nobody").exists()


def test_the_same_graph_elsewhere_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    (tmp_path / "arch_config.yaml").write_text(CONFIG.format(port=port))
    monkeypatch.setenv("ARCHFLOW_CACHE", str(cache().folder))
    assert archc("compile", cwd=tmp_path).returncode == 0
    started = Gateway(
        tmp_path / "graph.bin", port, environment={"ARCHFLOW_CACHE": str(tmp_path / "nothing")}
    ).start()
    assert started.wait() == 1
    assert "there is no local model" in started.stderr
    assert "Traceback" not in started.stderr

"""`archrun agent` with a stand-in for the agent: what it is told, whose gateway it gets, how both end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from process.harness import KEY, SCRIPTS, Gateway, compiled, free_port, model_config, refuses
from process.upstream import ScriptedUpstream

pytestmark = pytest.mark.process

AGENT = f"""#!{sys.executable}
import os, sys, urllib.request
base = os.environ["ANTHROPIC_BASE_URL"]
with urllib.request.urlopen(base + "/v1/models") as reply:
    print("models", reply.status)
print("base", base)
print("model", os.environ.get("ANTHROPIC_MODEL"))
print("arguments", sys.argv[1:])
sys.exit(7)
"""


def start(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `archrun agent` in a folder whose `bin` holds the stand-in."""
    programs = folder / "bin"
    programs.mkdir(exist_ok=True)
    (programs / "claude").write_text(AGENT)
    (programs / "claude").chmod(0o755)
    return subprocess.run(
        [str(SCRIPTS / "archrun"), "agent", *arguments],
        cwd=folder,
        env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "TEST_KEY": KEY},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def graph(folder: Path, port: int, upstream: int) -> Path:
    config = folder / "arch_config.yaml"
    config.write_text(model_config(port, upstream, models="anthropic/opus-x"))
    return compiled(config)


def test_it_gets_a_gateway_of_its_own_that_ends_with_it(tmp_path: Path) -> None:
    port = free_port()
    with ScriptedUpstream() as upstream:
        graph(tmp_path, port, upstream.port)
        done = start(tmp_path, "claude", "graph.bin", "-p", "say hello")
    assert done.returncode == 7, done.stderr
    assert f"base http://127.0.0.1:{port}" in done.stdout
    assert "models 200" in done.stdout
    assert "model anthropic/opus-x" in done.stdout
    assert "arguments ['-p', 'say hello']" in done.stdout
    assert "starting a gateway" in done.stderr
    assert refuses(port)


def test_it_gets_the_gateway_that_runs(tmp_path: Path) -> None:
    port = free_port()
    with ScriptedUpstream() as upstream, Gateway(graph(tmp_path, port, upstream.port), port) as gateway:
        here = start(tmp_path, "claude")
        elsewhere = start(tmp_path, "claude", "--gateway", gateway.url)
        assert not refuses(port)
    for done in (here, elsewhere):
        assert done.returncode == 7, done.stderr
        assert "models 200" in done.stdout
        assert "starting a gateway" not in done.stderr


def test_a_gateway_that_cannot_start_says_why(tmp_path: Path) -> None:
    config = tmp_path / "arch_config.yaml"
    config.write_text(
        model_config(free_port(), 1, models="anthropic/opus-x").replace("TEST_KEY", "NOT_SET_X")
    )
    done = start(tmp_path, "claude", str(compiled(config)))
    assert done.returncode == 1
    assert "NOT_SET_X" in done.stderr
    assert not done.stdout


def test_nobody_answers_there(tmp_path: Path) -> None:
    done = start(tmp_path, "claude", "--gateway", f"http://127.0.0.1:{free_port()}")
    assert done.returncode == 1
    assert "no gateway answers" in done.stderr

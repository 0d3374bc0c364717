"""Claude Code and Codex, unchanged and headless, at work through `archrun agent` on a provider of another dialect."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from oracle import upstreams
from oracle.javascript import FOLDER, needs
from oracle.upstreams import Json
from process.harness import KEY, SCRIPTS, compiled, free_port
from process.upstream import ScriptedUpstream

pytestmark = pytest.mark.process
LONGEST = 120
CONFIG = """\
version: v0.3.0
listeners:
  - {{type: model, name: egress, address: 127.0.0.1, port: {port}}}
model_providers:
  - model: {model}
    base_url: http://127.0.0.1:{upstream}
    access_key: $TEST_KEY
    default: true
model_aliases:
  arch.claude.code.small.fast: {{target: {model}}}
"""


def worked(
    folder: Path, upstream: ScriptedUpstream, model: str, agent: str, *arguments: str
) -> subprocess.CompletedProcess[str]:
    """Let an agent work in a folder, on a gateway of its own before an upstream."""
    config = folder / "arch_config.yaml"
    config.write_text(CONFIG.format(port=free_port(), upstream=upstream.port, model=model))
    graph = compiled(config)
    work, home = folder / "work", folder / "home"
    work.mkdir()
    home.mkdir()
    programs = f"{FOLDER}/node_modules/.bin:{SCRIPTS}:{os.environ['PATH']}"
    kept = {name: os.environ[name] for name in ("LANG", "TERM") if name in os.environ}
    return subprocess.run(
        [str(SCRIPTS / "archrun"), "agent", agent, str(graph), *arguments],
        cwd=work,
        env={
            **kept,
            "PATH": programs,
            "HOME": str(home),
            "TEST_KEY": KEY,
            "IS_SANDBOX": "1",
            "CODEX_HOME": str(home),
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=LONGEST,
    )


@needs("@anthropic-ai/claude-code")
def test_claude_code_edits_a_file_on_a_chat_upstream(tmp_path: Path) -> None:
    path = tmp_path / "work" / "hello.txt"
    write = {"Write": lambda _: {"file_path": str(path), "content": "written by a tool\n"}}
    with ScriptedUpstream(upstreams.chat(write, "The file is written.")) as upstream:
        done = worked(
            tmp_path,
            upstream,
            "mistral/large",
            "claude",
            "-p",
            "Write hello.txt",
            "--dangerously-skip-permissions",
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "The file is written." in done.stdout
        assert path.read_text() == "written by a tool\n"
        asked = [one.json for one in upstream.received if one.json.get("tools")]
    assert len(asked) >= 2
    assert asked[0]["stream"] is True
    assert len(asked[0]["tools"]) > 10
    assert asked[-1]["messages"][-1]["role"] == "tool"


@needs("@openai/codex")
def test_codex_runs_a_command_on_a_messages_upstream(tmp_path: Path) -> None:
    path = tmp_path / "work" / "hello.txt"
    text = f"echo written by a tool > {path}"

    def shell(asked: Json) -> Json:
        tool = next(one for one in asked["tools"] if one["name"] in tools)
        fields = tool["input_schema"]["properties"]
        if "cmd" in fields:
            return {"cmd": text}
        return {"command": ["bash", "-c", text] if fields["command"].get("type") == "array" else text}

    tools = dict.fromkeys(("exec_command", "shell", "shell_command", "local_shell", "container.exec"), shell)
    with ScriptedUpstream(upstreams.messages(tools, "The file is written.")) as upstream:
        done = worked(
            tmp_path, upstream, "anthropic/claude-sonnet-4", "codex",
            "exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", "Write hello.txt",
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert "The file is written." in done.stdout
        assert path.read_text() == "written by a tool\n"
        asked = [one.json for one in upstream.received]
    assert asked[0]["stream"] is True
    assert any(part["type"] == "tool_result" for part in asked[-1]["messages"][-1]["content"])

"""What archrun says before it serves: everything it needs is asked for first, and named."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import httpx
import msgspec
import pytest

from archflow_engine import load
from process.harness import PATIENCE, SCRIPTS, Gateway, compiled, free_port, model_config, refuses
from process.upstream import ScriptedUpstream

pytestmark = pytest.mark.process


def written(folder: Path, text: str) -> Path:
    config = folder / "arch_config.yaml"
    config.write_text(text)
    return config


def archrun(*arguments: str | Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run archrun to its end, which must come."""
    admin = ("--admin", f"127.0.0.1:{free_port()}")
    command = [str(SCRIPTS / "archrun"), *map(str, arguments), *admin]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
        env={"PATH": "", **environment},
    )


def test_missing_variables_are_all_named_before_a_port_is_bound(tmp_path: Path) -> None:
    port = free_port()
    config = written(
        tmp_path,
        model_config(port, 9, models="openai/gpt-4o openai/gpt-5").replace("$TEST_KEY", "$FIRST_KEY", 1),
    )
    graph = compiled(config)
    with socket.create_server(("127.0.0.1", port)):
        done = archrun(graph, environment={})
    assert done.returncode != 0
    assert "FIRST_KEY" in done.stderr
    assert "TEST_KEY" in done.stderr
    assert "in use" not in done.stderr, "it tried the port first"
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("kind", ["graph", "configuration"])
def test_workers_do_not_hide_which_file_lacks_a_variable(tmp_path: Path, kind: str) -> None:
    config = written(tmp_path, model_config(free_port(), 9))
    named = config if kind == "configuration" else compiled(config)
    done = archrun(named, "--workers", "2", environment={})
    assert done.returncode == 1
    assert f"{named} lacks $TEST_KEY" in done.stderr
    assert "archrun-" not in done.stderr, "the private copy was named"


def test_variables_may_stand_in_a_file_beside_the_graph(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    port = free_port()
    graph = compiled(written(tmp_path, model_config(port, upstream.port).replace("$TEST_KEY", "$FILE_KEY")))
    (tmp_path / ".env").write_text("FILE_KEY=from-the-file\n")
    with Gateway(graph, port) as gateway:
        assert gateway.chat().status_code == 200
    assert upstream.last.headers["authorization"] == "Bearer from-the-file"


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    port = free_port()
    graph = compiled(written(tmp_path, model_config(port, 9)))
    with socket.create_server(("127.0.0.1", port)):
        done = archrun(graph, environment={"TEST_KEY": "x"})
    assert done.returncode != 0
    assert str(port) in done.stderr
    assert "in use" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"hello", "graph.bin"), (b"", "graph.bin"), (b"ARCHFLOW" + bytes(100), "format")],
    ids=["not a graph", "empty", "another format"],
)
def test_a_file_that_is_no_graph_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    graph = tmp_path / "graph.bin"
    graph.write_bytes(content)
    done = archrun(graph, environment={})
    assert done.returncode != 0
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = archrun(tmp_path / "nowhere.bin", environment={})
    assert done.returncode != 0
    assert "nowhere.bin" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_configuration_with_mistakes_shows_its_diagnostics(tmp_path: Path) -> None:
    config = written(tmp_path, model_config(free_port(), 9).replace("base_url", "base_ulr"))
    done = archrun(config, environment={"TEST_KEY": "x"})
    assert done.returncode != 0
    assert "arch_config.yaml:6:5" in done.stderr
    assert "base_url" in done.stderr
    assert "Traceback" not in done.stderr


LITERAL = ("access_key: $TEST_KEY", "access_key: sk-literal-0123456789")
"""What to replace by what for a warning of archc: of a literal key."""


def lines(said: str) -> list[dict[str, object]]:
    """A log of JSON lines; fails on a line that is none."""
    return [msgspec.json.decode(line, type=dict[str, object]) for line in said.splitlines()]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_log_of_json_is_json_whatever_archc_finds(
    tmp_path: Path, upstream: ScriptedUpstream, workers: str
) -> None:
    port = free_port()
    config = written(tmp_path, model_config(port, upstream.port).replace(*LITERAL))
    with Gateway(config, port, "--log-format", "json", "--workers", workers) as gateway:
        pass
    (warning,) = (line for line in lines(gateway.stderr) if line["event"] == "configuration")
    assert (warning["level"], warning["code"]) == ("warning", "literal-secret")
    assert (warning["file"], warning["line"]) == (str(config), 7)
    assert "archrun-" not in gateway.stderr, "a temporary path was shown"


def test_a_log_of_json_says_why_nothing_runs(tmp_path: Path) -> None:
    config = written(tmp_path, model_config(free_port(), 9).replace("base_url", "base_ulr"))
    done = archrun(config, "--log-format", "json", environment={"TEST_KEY": "x"})
    assert done.returncode == 1
    *found, last = lines(done.stderr)
    assert {line["event"] for line in found} == {"configuration"}
    assert last["event"] == "cannot_run"
    assert str(last["detail"]).startswith(f"{config}:6:5: unknown key")


def test_what_archc_cannot_do_is_a_line_of_the_log(tmp_path: Path) -> None:
    config = written(tmp_path, model_config(free_port(), 9))
    told: list[tuple[str, str, dict[str, object]]] = []
    with pytest.raises(load.ConfigurationRefused) as refused:
        load.compile_to(
            config, tmp_path / "no", lambda event, level, **more: told.append((event, level, more))
        )
    graph = str(tmp_path / "no" / "graph.bin")
    assert str(refused.value) == f"{graph} cannot be written: no such file or directory"
    said = {"code": "command-failed", "summary": str(refused.value), "file": graph}
    assert told == [("configuration", "error", said)]


def test_people_are_shown_what_archc_shows_and_nothing_of_temporary_files(
    tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    port = free_port()
    config = written(tmp_path, model_config(port, upstream.port).replace(*LITERAL))
    with Gateway(config, port, "--log-format", "console") as gateway:
        pass
    assert gateway.stderr.startswith("warning")
    assert "access_key: " in gateway.stderr
    assert "graph.bin" not in gateway.stderr
    assert "archrun-" not in gateway.stderr


def test_two_listeners_serve_at_once(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    port, second = free_port(), free_port()
    text = model_config(port, upstream.port)
    first_line = next(line for line in text.splitlines() if "type: model" in line)
    ingress = f"  - {{type: prompt, name: ingress, address: 127.0.0.1, port: {second}, timeout: 60s}}"
    graph = compiled(written(tmp_path, text.replace(first_line, f"{first_line}\n{ingress}")))
    with Gateway(graph, port) as gateway:
        body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]}
        for each in (port, second):
            url = f"http://127.0.0.1:{each}"
            assert httpx.get(f"{url}/healthz", timeout=PATIENCE).status_code == 200
            reply = httpx.post(f"{url}/v1/chat/completions", json=body, timeout=PATIENCE)
            assert reply.json()["choices"][0]["message"]["content"] == "gpt-4o heard: hello"
        assert str(port) in gateway.stderr
        assert str(second) in gateway.stderr
    assert refuses(port)
    assert refuses(second)


def test_the_admin_listener_tells_health_metrics_and_graph(
    tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    port = free_port()
    with Gateway(compiled(written(tmp_path, model_config(port, upstream.port))), port) as gateway:
        gateway.chat()
        assert gateway.ask_admin("/healthz").status_code == 200
        assert gateway.ask_admin("/readyz").status_code == 200
        assert gateway.ask_admin("/graph").json()["digest"]
        assert gateway.ask_admin("/nowhere").status_code == 404
        metrics = gateway.ask_admin("/metrics")
        assert metrics.headers["content-type"].startswith("text/plain")
        counted = [line for line in metrics.text.splitlines() if "requests_total{" in line and "200" in line]
        assert counted, metrics.text
        assert all(line.rpartition(" ")[2] == "1" for line in counted), counted


def test_the_access_log_has_one_line_for_each_request(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    port = free_port()
    with Gateway(compiled(written(tmp_path, model_config(port, upstream.port))), port) as gateway:
        for text in ("one", "two", "three"):
            gateway.chat(text=text)
        assert gateway.chat(model="nobody").status_code == 404
    lines = [line for line in gateway.stdout.splitlines() if "/v1/chat/completions" in line]
    assert len(lines) == 4, gateway.stdout
    assert "two" not in gateway.stdout, "content of a conversation was logged"


def test_nan_is_no_number_of_seconds() -> None:
    done = archrun(Path("graph.bin"), "--drain", "nan", environment={})
    assert done.returncode == 2
    assert "Invalid value for '--drain': nan is no number of seconds" in done.stderr

"""Another graph under traffic: running requests finish on the old one, new ones see the new one."""

from __future__ import annotations

import signal
from pathlib import Path

import httpx
import msgspec
import pytest

from process.harness import (
    PATIENCE,
    SCRIPTS,
    Gateway,
    compiled,
    eventually,
    free_port,
    model_config,
    streaming,
)
from process.upstream import ScriptedUpstream, gated

pytestmark = pytest.mark.process

OLD, NEW = "openai/gpt-4o", "openai/gpt-4o openai/gpt-5"


def replace(file: Path, text: str) -> None:
    """Write a file as editors do: whole, by renaming."""
    aside = file.with_suffix(".new")
    aside.write_text(text)
    aside.replace(file)


def models(gateway: Gateway) -> list[str]:
    """What GET /v1/models lists now."""
    listed = httpx.get(f"{gateway.url}/v1/models", timeout=PATIENCE).json()
    return [model["id"] for model in listed["data"]]


def test_sighup_takes_the_new_file_and_lets_the_old_stream_finish(
    tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    port = free_port()
    config = tmp_path / "arch_config.yaml"
    config.write_text(model_config(port, upstream.port, models=OLD))
    with ScriptedUpstream(gated) as other:
        with Gateway(compiled(config), port) as gateway:
            upstream.script = gated
            upstream.step()
            with streaming(gateway) as lines:
                next(lines)
                config.write_text(model_config(port, other.port, models=NEW))
                compiled(config)
                gateway.signal(signal.SIGHUP)
                eventually(lambda: "openai/gpt-5" in models(gateway), "the new graph", lambda: gateway.output)
                other.step()
                assert gateway.chat().json()["choices"][0]["message"]["content"] == "gpt-4o heard: hello"
                assert len(other.received) == 1
                upstream.step(100)
                assert list(lines)[-1] == "[DONE]"
        assert len(upstream.received) == 1


def test_watch_recompiles_what_was_edited(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    port = free_port()
    config = tmp_path / "arch_config.yaml"
    config.write_text(model_config(port, upstream.port, models=OLD))
    upstream.script = gated
    upstream.step()
    with Gateway(config, port, "--watch") as gateway, streaming(gateway) as lines:
        next(lines)
        replace(config, model_config(port, upstream.port, models=NEW))
        eventually(lambda: "openai/gpt-5" in models(gateway), "the new graph", lambda: gateway.output)
        upstream.step(100)
        assert list(lines)[-1] == "[DONE]"


def test_watch_sees_a_new_graph_bin(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    port = free_port()
    config = tmp_path / "arch_config.yaml"
    config.write_text(model_config(port, upstream.port, models=OLD))
    with Gateway(compiled(config), port, "--watch") as gateway:
        config.write_text(model_config(port, upstream.port, models=NEW))
        compiled(config)
        eventually(lambda: "openai/gpt-5" in models(gateway), "the new graph", lambda: gateway.output)


@pytest.mark.parametrize("how", ["watch", "sighup"])
def test_a_broken_file_is_refused_and_the_old_graph_serves(
    tmp_path: Path, upstream: ScriptedUpstream, how: str
) -> None:
    port = free_port()
    config = tmp_path / "arch_config.yaml"
    sound = model_config(port, upstream.port, models=OLD)
    config.write_text(sound)
    with Gateway(config, port, *(["--watch"] if how == "watch" else [])) as gateway:
        digest = gateway.ask_admin("/graph").json()["digest"]
        replace(config, sound.replace("model_providers:", "model_provider:"))
        if how == "sighup":
            gateway.signal(signal.SIGHUP)
        gateway.said("model_provider")
        assert gateway.ask_admin("/graph").json()["digest"] == digest
        assert gateway.chat().status_code == 200
        replace(config, model_config(port, upstream.port, models=NEW))
        if how == "sighup":
            gateway.signal(signal.SIGHUP)
        eventually(lambda: "openai/gpt-5" in models(gateway), "the mended graph", lambda: gateway.output)


def test_a_damaged_graph_bin_is_refused_and_the_old_graph_serves(
    tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    port = free_port()
    config = tmp_path / "arch_config.yaml"
    config.write_text(model_config(port, upstream.port, models=OLD))
    graph = compiled(config)
    with Gateway(graph, port) as gateway:
        graph.write_bytes(graph.read_bytes()[:-1])
        gateway.signal(signal.SIGHUP)
        gateway.said("changed or cut short")
        assert gateway.chat().status_code == 200


def test_the_running_graph_is_told_by_the_admin_listener(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    port = free_port()
    config = tmp_path / "arch_config.yaml"
    config.write_text(model_config(port, upstream.port, models=OLD))
    graph = compiled(config)
    with Gateway(graph, port) as gateway:
        told = gateway.ask_admin("/graph")
        assert told.headers["content-type"].startswith("application/json")
        described = msgspec.json.decode(told.content, type=dict[str, object])
        assert described["digest"] == graph.read_bytes()[12:44].hex()
        assert "archflow" in told.text


@pytest.mark.parametrize("workers", ["1", "2"])
def test_what_the_system_refuses_leaves_the_old_graph_serving(
    tmp_path: Path, upstream: ScriptedUpstream, workers: str
) -> None:
    port = free_port()
    config = tmp_path / "arch_config.yaml"
    config.write_text(model_config(port, upstream.port))
    room = tmp_path / "room"
    room.mkdir()
    with Gateway(config, port, "--workers", workers, environment={"TMPDIR": str(room)}) as gateway:
        aside = room.rename(tmp_path / "elsewhere")  # there is no folder for temporary files
        gateway.signal(signal.SIGHUP)
        gateway.said("graph_refused")
        assert gateway.chat().status_code == 200
        aside.rename(room)
        config.write_text(model_config(port, upstream.port, models=NEW))
        gateway.signal(signal.SIGHUP)
        eventually(lambda: "openai/gpt-5" in models(gateway), "the new graph", lambda: gateway.output)


def test_signals_that_come_together_are_heeded_one_after_the_other(
    tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    port = free_port()
    config = tmp_path / "arch_config.yaml"
    config.write_text(model_config(port, upstream.port))
    with Gateway(config, port, "--workers", "2") as gateway:
        gateway.signal(signal.SIGHUP)
        config.write_text(model_config(port, upstream.port, models=NEW))
        for _ in range(5):
            gateway.signal(signal.SIGHUP)
        eventually(
            lambda: all(gateway.chat(model="gpt-5").status_code == 200 for _ in range(8)),
            "the new graph in both workers",
            lambda: gateway.output,
        )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk here that is always full")
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_log_that_cannot_be_written_costs_nothing_but_the_log(
    tmp_path: Path, upstream: ScriptedUpstream, workers: str
) -> None:
    port = free_port()
    config = tmp_path / "arch_config.yaml"
    config.write_text(model_config(port, upstream.port))
    full = ("sh", "-c", 'exec "$0" "$@" 2>/dev/full', str(SCRIPTS / "archrun"))
    with Gateway(config, port, "--workers", workers, wrapper=full) as gateway:
        config.write_text(model_config(port, upstream.port, models=NEW))
        gateway.signal(signal.SIGHUP)
        eventually(lambda: "openai/gpt-5" in models(gateway), "the new graph", lambda: gateway.output)
        config.write_text("nonsense")
        gateway.signal(signal.SIGHUP)
        assert gateway.chat().status_code == 200
        gateway.signal(signal.SIGTERM)
        assert gateway.wait() == 0

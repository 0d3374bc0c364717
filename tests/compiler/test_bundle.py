"""Bundles: whole or not at all, and what they say of themselves."""

import shutil
import stat

import pytest
from click.testing import CliRunner

from archflow_compiler.cli import main
from local_world import cache

CONFIG = """\
version: v0.4.0
listeners: [{name: a, type: model, tls: {certificate: tls/cert.pem, private_key: tls/key.pem}}]
model_providers:
  - {model: openai/x, access_key: sk-literal}
  - {model: openai/y, access_key: $FROM_OUTSIDE}
  - {model: local/tiny-embed}
"""


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("ARCHFLOW_CACHE", str(cache().folder))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "arch_config.yaml").write_text(CONFIG)


def run(*arguments):
    return CliRunner().invoke(main, ["compile", *arguments])


def test_a_bundle_holds_what_the_graph_needs(tmp_path):
    done = run("--bundle", "out")
    assert done.exit_code == 0, done.output
    assert "took local/tiny-embed: int8" in done.output
    found = {path.name for path in (tmp_path / "out").iterdir()}
    assert found == {"graph.bin", "graph.secrets", "run", "README.md", "cache"}
    (model,) = (tmp_path / "out" / "cache" / "models").iterdir()
    assert model.name.startswith("tiny-embed--int8--")
    assert stat.S_IMODE((tmp_path / "out" / "graph.secrets").stat().st_mode) == 0o600
    assert (tmp_path / "out" / "run").stat().st_mode & 0o111
    readme = (tmp_path / "out" / "README.md").read_text()
    assert "FROM_OUTSIDE" in readme
    assert "tls/cert.pem, tls/key.pem" in readme
    assert "sk-literal" not in readme
    assert str(tmp_path) not in readme


def test_an_earlier_bundle_is_replaced(tmp_path):
    assert run("--bundle", "out").exit_code == 0
    (tmp_path / "out" / "old").write_text("x")
    assert run("--bundle", "out").exit_code == 0
    assert not (tmp_path / "out" / "old").exists()
    (tmp_path / "empty").mkdir()
    assert run("--bundle", "empty").exit_code == 0


def test_somebody_elses_folder_is_left_alone(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("x")
    done = run("--bundle", "out")
    assert done.exit_code == 1
    assert "is there already and is no bundle" in done.output
    assert (tmp_path / "out" / "thesis.txt").read_text() == "x"


def test_what_cannot_be_made_whole_is_not_made(tmp_path, monkeypatch):
    copy = tmp_path / "cache"
    shutil.copytree(cache().folder, copy)
    monkeypatch.setenv("ARCHFLOW_CACHE", str(copy))
    weights = next(copy.glob("models/tiny-embed--*/model.bin"))
    data = bytearray(weights.read_bytes())
    data[100] ^= 1
    weights.write_bytes(bytes(data))
    done = run("--bundle", "out")
    assert done.exit_code == 1
    assert "archc models pull tiny-embed --force" in done.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["arch_config.yaml", "cache"]


@pytest.mark.parametrize(
    "arguments", [("-o", "x", "--bundle", "out"), ("--bundle", "out", "--secrets", "x"), ("--packages",)]
)
def test_options_that_contradict(arguments):
    assert run(*arguments).exit_code == 2


def test_it_tells_which_files_must_be_beside_it(tmp_path):
    (tmp_path / "arch_config.yaml").write_text(
        "version: v0.4.0\noverrides: {upstream_tls_ca_path: ca.pem}\nagents: [{id: far, url: 'https://far'}]\n"
        "listeners: [{name: a, type: agent, port: 8001, agents: [{id: far, description: all, default: true}]}]\n"
    )
    done = run("--bundle", "out")
    assert done.exit_code == 0, done.output
    assert "where it looks for them: ca.pem." in (tmp_path / "out" / "README.md").read_text()

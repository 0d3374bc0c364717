"""graph.bin and the values of its names: environment, `.env`, side file."""

from __future__ import annotations

import mmap
from pathlib import Path

import msgspec
import pytest
from msgspec import structs

import compiling
from archflow_engine import load
from archflow_schema import artifact
from archflow_schema.errors import ArchflowError, NotAnArtifact, SecretsMissing
from archflow_schema.graph import Agent, Blob, Graph, Listener, Tls, Upstream, Use
from archflow_schema.text import Env, Secret

ENV = """\
# a comment
PLAIN=value
export EXPORTED=yes
  SPACED  =  a b
SINGLE='with "quotes" # and a sign'
DOUBLE="it's"
COMMENTED=value # a comment
QUOTED_COMMENTED="value" # a comment
HASH=a#b
EMPTY=
EMPTY_QUOTED=""
EQUALS=a=b=c
UNCLOSED="value
not a line
1BAD=x
"""


def test_a_file_of_assignments(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(ENV, encoding="utf-8")
    assert load.read_env_file(tmp_path / ".env") == {
        "PLAIN": "value",
        "EXPORTED": "yes",
        "SPACED": "a b",
        "SINGLE": 'with "quotes" # and a sign',
        "DOUBLE": "it's",
        "COMMENTED": "value",
        "QUOTED_COMMENTED": "value",
        "HASH": "a#b",
        "EMPTY": "",
        "EMPTY_QUOTED": "",
        "EQUALS": "a=b=c",
        "UNCLOSED": '"value',
    }


def test_line_ends_and_byte_order_marks(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes("\ufeffA=1\r\nB='2'\r\n".encode())
    assert load.read_env_file(tmp_path / ".env") == {"A": "1", "B": "2"}


def test_no_file_is_no_assignments(tmp_path: Path) -> None:
    assert load.read_env_file(tmp_path / ".env") == {}


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"A=\xff")
    with pytest.raises(ArchflowError, match=r"\.env cannot be read"):
        load.read_env_file(tmp_path / ".env")


GRAPH = Graph("a.yaml", (), (), (), environment=("ONE", "TWO"), secrets=("model_providers[0].access_key",))
KEY = "model_providers[0].access_key"


def write(
    folder: Path, graph: Graph = GRAPH, secrets: dict[str, str] | None = None, mode: int = 0o600
) -> Path:
    path = folder / "graph.bin"
    path.write_bytes(artifact.dump(graph))
    if secrets is not None:
        side = folder / "graph.secrets"
        side.write_bytes(msgspec.json.encode(secrets))
        side.chmod(mode)
    return path


def test_values_are_found(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("ONE=from the file\nTWO=from the file\n")
    program = load.load(write(tmp_path, secrets={KEY: "k"}), {"TWO": "from the environment", "OTHER": "x"})
    assert program.lookup(Env("ONE")) == "from the file"
    assert program.lookup(Env("TWO")) == "from the environment"
    assert program.lookup(Secret(KEY)) == "k"
    assert (program.graph, program.digest, program.warnings) == (
        GRAPH,
        artifact.digest(artifact.dump(GRAPH)),
        [],
    )
    with pytest.raises(KeyError):
        program.lookup(Env("OTHER"))  # not declared by the graph, so not given to it


def test_every_missing_name_is_told_at_once(tmp_path: Path) -> None:
    path = write(tmp_path)
    with pytest.raises(SecretsMissing) as missing:
        load.load(path, {})
    assert missing.value.names == ("$ONE", "$TWO", f"graph.secrets:{KEY}")
    assert str(missing.value).startswith(
        f"{path} lacks $ONE, $TWO, graph.secrets:{KEY}: set it in the environment"
    )


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_side_file_that_others_can_read_is_warned_of(tmp_path: Path, mode: int) -> None:
    program = load.load(write(tmp_path, secrets={KEY: "k"}, mode=mode), {"ONE": "1", "TWO": "2"})
    (warning,) = program.warnings
    assert (
        warning == f"{tmp_path}/graph.secrets can be read by others: run `chmod 600 {tmp_path}/graph.secrets`"
    )


def test_a_side_file_that_is_none(tmp_path: Path) -> None:
    path = write(tmp_path, secrets={})
    (tmp_path / "graph.secrets").write_text("[1]")
    with pytest.raises(ArchflowError, match="not a JSON object of strings"):
        load.load(path, {})


def test_a_file_that_is_no_graph(tmp_path: Path) -> None:
    path = tmp_path / "graph.bin"
    path.write_bytes(b"model: x")
    with pytest.raises(NotAnArtifact) as refused:
        load.load(path, {})
    assert str(refused.value).startswith(f"{path}: this is not a graph.bin")


def test_relative_paths_begin_beside_the_graph(tmp_path: Path) -> None:
    listener = Listener("egress", "model", "127.0.0.1", 0, 60.0, (), Tls("tls/cert.pem", "/etc/key.pem"))
    upstream = Upstream("one", "openai", Use("provider.openai"), ("https://one",), ca="ca.pem")
    path = write(tmp_path, Graph("a.yaml", (listener,), (), (upstream, structs.replace(upstream, ca=""))))
    graph = load.load(path, {}).graph
    assert graph.listeners[0].tls == Tls(f"{tmp_path}/tls/cert.pem", "/etc/key.pem")
    assert [one.ca for one in graph.upstreams] == [f"{tmp_path}/ca.pem", ""]


def test_so_do_those_of_agents(tmp_path: Path) -> None:
    compiled = compiling.graph(
        "version: v0.4.0\noverrides: {upstream_tls_ca_path: ca.pem}\nagents: [{id: far, url: 'https://far'}]\n"
        "listeners: [{name: a, type: agent, port: 8001, agents: [{id: far, description: all, default: true}]}]\n"
    )
    graph = load.load(write(tmp_path, compiled), {}).graph
    assert [one.ca for one in graph.nodes if isinstance(one, Agent)] == [f"{tmp_path}/ca.pem"]


def test_a_copy_of_a_graph_stands_for_the_file_that_was_named(tmp_path: Path) -> None:
    named = tmp_path / "deployed" / "graph.bin"
    named.parent.mkdir()
    (named.parent / ".env").write_text("ONE=1")
    listener = Listener("egress", "model", "127.0.0.1", 0, 60.0, (), Tls("cert.pem", "key.pem"))
    copy = write(tmp_path, structs.replace(GRAPH, listeners=(listener,)), secrets={KEY: "k"})
    with pytest.raises(SecretsMissing, match=f"^{named} lacks \\$TWO:"):
        load.load(copy, {}, named)
    (found,) = load.load(copy, {"TWO": "2"}, named).graph.listeners
    assert found.tls == Tls(f"{named.parent}/cert.pem", f"{named.parent}/key.pem")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ArchflowError, match=r"no such file or directory; make one with `archc compile`"):
        load.load(tmp_path / "graph.bin", {})
    with pytest.raises(ArchflowError, match="there is no file"):
        load.load(tmp_path / "config.yaml", {})


@pytest.mark.parametrize(
    ("name", "is_one"), [("a.yaml", True), ("a.YML", True), ("a.bin", False), ("yaml", False)]
)
def test_what_is_compiled_first(name: str, is_one: bool) -> None:
    assert load.is_configuration(Path(name)) is is_one


BLOB = structs.replace(Graph("a.yaml", (), (), ()), blobs=(Blob("one", memoryview(b"data" * 10_000)),))


def test_a_copy_of_ours_is_mapped_and_the_users_own_file_is_not(tmp_path: Path) -> None:
    """Who writes into a file that is mapped ends the process, and the user's file is the user's."""
    path = write(tmp_path, BLOB)
    own = load.load(path, {})
    mapped = load.load(path, {}, tmp_path / "elsewhere.bin")
    assert isinstance(mapped.graph.blobs[0].data.obj, mmap.mmap)
    path.write_bytes(b"")
    assert own.graph == BLOB

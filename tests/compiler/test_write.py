import os
import stat
from pathlib import Path

import msgspec
import pytest

from archflow_compiler.write import OWNER_ONLY, replace, write
from archflow_schema.artifact import MAGIC
from compiling import HEAD, MODEL, compiled

DATA = compiled(HEAD + MODEL).data


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_the_side_file_is_for_its_owner_only(tmp_path):
    target = tmp_path / "graph.bin"
    said = write(DATA, {"b": "2", "a": "1"}, str(target), None)
    assert target.read_bytes().startswith(MAGIC)
    side = tmp_path / "graph.secrets"
    assert mode(side) == 0o600
    assert msgspec.json.decode(side.read_bytes()) == {"a": "1", "b": "2"}
    assert "2 literal key(s)" in said
    assert "sha256" in said


def test_a_side_file_that_others_could_read_is_replaced_by_one_they_cannot(tmp_path):
    side = tmp_path / "graph.secrets"
    side.write_text("{}")
    side.chmod(0o644)
    write(DATA, {"a": "1"}, str(tmp_path / "graph.bin"), None)
    assert mode(side) == 0o600


def test_keys_that_nothing_refers_to_any_more_are_removed(tmp_path):
    write(DATA, {"a": "1"}, str(tmp_path / "graph.bin"), None)
    write(DATA, {}, str(tmp_path / "graph.bin"), None)
    assert [path.name for path in tmp_path.iterdir()] == ["graph.bin"]


def test_a_file_that_is_no_side_file_stays(tmp_path):
    (tmp_path / "graph.secrets").write_text("my notes")
    write(DATA, {}, str(tmp_path / "graph.bin"), None)
    assert (tmp_path / "graph.secrets").read_text() == "my notes"


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    target = tmp_path / "graph.bin"
    target.write_bytes(b"old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        replace(target, b"new", OWNER_ONLY)
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["graph.bin"]


def test_the_graph_follows_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        replace(tmp_path / "graph.bin", b"x", 0o644)
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)
    assert mode(tmp_path / "graph.bin") == 0o640


def test_a_side_file_elsewhere(tmp_path):
    write(DATA, {"a": "1"}, str(tmp_path / "graph.bin"), Path(tmp_path / "keys"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["graph.bin", "keys"]

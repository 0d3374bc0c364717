"""Lines to files and pipes: whole, once, and never by waiting."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from archflow_plugins.tracers import line_file
from archflow_plugins.tracers.line_file import BATCH, HELD_AT_MOST, LineFile
from archflow_schema.errors import ArchflowError


@pytest.fixture
def troubles():
    return []


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "access.log"


def test_lines_are_written_in_batches(path, troubles):
    log = LineFile(str(path), troubles.append)
    for number in range(BATCH - 1):
        log.add([b"%d\n" % number])
    assert path.read_bytes() == b""
    log.add([b"last\n"])
    assert path.read_bytes().count(b"\n") == BATCH
    log.add([b"more\n"])
    log.close()
    assert path.read_bytes().endswith(b"last\nmore\n")
    assert (log.dropped, troubles) == (0, [])


def test_a_file_is_appended_to_and_not_for_everybody_to_read(path, troubles):
    path.write_bytes(b"before\n")
    log = LineFile(str(path), troubles.append)
    log.add([b"after\n"])
    log.close()
    assert path.read_bytes() == b"before\nafter\n"
    path.unlink()
    LineFile(str(path), troubles.append).close()
    assert path.stat().st_mode & 0o007 == 0


@pytest.mark.parametrize("make", [True, False])
def test_a_rotated_file_is_opened_again(path, troubles, make):
    log = LineFile(str(path), troubles.append)
    log.add([b"1\n"])
    log.flush()
    path.rename(path.with_suffix(".1"))
    if make:
        path.touch()
    log.add([b"2\n"])
    log.flush()
    log.close()
    assert path.with_suffix(".1").read_bytes() == b"1\n"
    assert path.read_bytes() == b"2\n"


def test_a_folder_that_is_gone_is_told_once_and_the_old_file_goes_on(tmp_path, troubles):
    folder = tmp_path / "logs"
    folder.mkdir()
    log = LineFile(str(folder / "a.log"), troubles.append)
    folder.rename(tmp_path / "moved")
    log.add([b"1\n"])
    log.flush()
    assert (tmp_path / "moved" / "a.log").read_bytes() == b"1\n"
    assert len(troubles) == 1
    assert "cannot be opened again (No such file or directory)" in troubles[0]
    log.close()


def test_a_file_that_cannot_be_opened(tmp_path, troubles):
    with pytest.raises(
        ArchflowError, match=r"nowhere/a\.log cannot be opened: no such file or directory: make its"
    ):
        LineFile(str(tmp_path / "nowhere" / "a.log"), troubles.append)


@pytest.fixture
def pipe(tmp_path):
    """A named pipe: its path and the reading end."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 4096)
    yield str(path), reader
    os.close(reader)


def drain(reader: int) -> bytes:
    found = b""
    while True:
        try:
            data = os.read(reader, 65536)
        except BlockingIOError:
            return found
        if not data:
            return found
        found += data


def test_a_full_pipe_keeps_lines_for_later(pipe, troubles):
    path, reader = pipe
    log = LineFile(path, troubles.append)
    lines = [b"%03d" % number + b"x" * 100 + b"\n" for number in range(200)]
    for line in lines:
        log.add([line])
    log.flush()
    assert log.pending
    read = b""
    while log.pending:
        read += drain(reader)
        log.flush()
    read += drain(reader)
    assert read == b"".join(lines)
    assert (log.dropped, troubles) == (0, [])
    log.close()


def test_a_reader_that_never_reads_costs_lines_not_time(pipe, troubles):
    path, reader = pipe
    log = LineFile(path, troubles.append)
    count = HELD_AT_MOST + 500
    for _ in range(count):
        log.add([b"x" * 99 + b"\n"])
    assert log.dropped > 0
    assert len(troubles) == 1
    assert "reader that is too slow" in troubles[0]
    log.close()
    assert log.dropped + drain(reader).count(b"\n") == count


def test_a_reader_that_left_is_told_once(pipe, troubles):
    path, reader = pipe
    log = LineFile(path, troubles.append)
    twin = os.dup(reader)
    os.close(twin)
    log.add([b"1\n"])
    log.flush()
    assert drain(reader) == b"1\n"
    other = os.open("/dev/null", os.O_RDONLY)
    os.dup2(other, reader)  # the last reading end is closed
    os.close(other)
    for _ in range(3):
        log.add([b"2\n"])
        log.flush()
    assert log.dropped == 3
    assert len(troubles) == 1
    assert "Broken pipe" in troubles[0]
    log.close()


PROGRAM = """
from archflow_plugins.tracers.line_file import LineFile
log = LineFile("stdout", print)
for number in range(300):
    log.add([b"%d\\n" % number])
log.close()
import os
assert os.get_blocking(1), "others must go on finding stdout blocking"
"""


@pytest.mark.parametrize("kind", ["pipe", "file"])
def test_standard_output(kind, tmp_path):
    expected = "".join(f"{number}\n" for number in range(300))
    if kind == "pipe":
        done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
        assert done.stdout == expected
    else:
        with (tmp_path / "out").open("w+") as file:
            subprocess.run([sys.executable, "-c", PROGRAM], stdout=file, check=True)
        assert (tmp_path / "out").read_text() == expected


def test_portions_of_a_pipe_are_whole_lines_of_at_most_pipe_buf(pipe, troubles, monkeypatch):
    written = []

    def write(_: int, data: bytes) -> int:
        written.append(data)
        return len(data)

    path, _ = pipe
    log = LineFile(path, troubles.append)
    monkeypatch.setattr(line_file.os, "write", write)
    for number in range(BATCH):
        log.add([b"x" * (number * 10) + b"\n"])
    log.add([b"y" * 10_000 + b"\n"])
    log.flush()
    assert all(portion.endswith(b"\n") for portion in written)
    assert [len(portion) <= 4096 for portion in written] == [True] * (len(written) - 1) + [False]
    assert len(written) < 10
    log.close()

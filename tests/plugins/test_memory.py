"""Memory is handed back where the C library keeps it, and asking costs nothing elsewhere."""

import os
import platform
from pathlib import Path

import pytest

from archflow_plugins import memory


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="another library keeps nothing, or is not asked"
)
def test_what_lies_between_what_is_used_is_handed_back():
    blocks = [
        bytes([1]) * 60_000 for _ in range(600)
    ]  # of glibc's heap: too large for Python's, too small for a mapping
    last = blocks[-1]
    blocks.clear()
    before = resident()
    memory.give_back()
    assert before - resident() > 20_000_000
    assert len(last) == 60_000


def test_another_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda _: object())
    memory.give_back()

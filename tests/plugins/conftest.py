"""What the plugin tests share: distributions that are installed for the length of one test."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fake_plugins import write_distribution

Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install a distribution with one module: `install("archflow-x", source, x="archflow_test_x")`."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(name: str, source: str, *, version: str = "1.0", editable: bool = False, **points: str) -> Path:
        return write_distribution(tmp_path, name, source, points, version, editable=editable)

    yield make
    for name in set(sys.modules) - before:
        if name.startswith("archflow_test_"):
            del sys.modules[name]

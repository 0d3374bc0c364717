"""Golden files name what is installed, so plugins that other tests put on the path for themselves must not show."""

import sys

import pytest


@pytest.fixture(autouse=True)
def only_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [place for place in sys.path if "archflow-play-" not in place])

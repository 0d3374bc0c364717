"""Programs that come as packages of npm: where they were installed, for the tests that use them.

`.ci/run` installs them and says so by ARCHFLOW_NODE_MODULES, the folder that holds `node_modules`; without it, and
without npm, what needs them is skipped.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

PACKAGES = ("openai", "@anthropic-ai/sdk", "@anthropic-ai/claude-code", "@openai/codex")
FOLDER = Path(os.environ.get("ARCHFLOW_NODE_MODULES", "") or "/nonexistent")


def needs(package: str) -> pytest.MarkDecorator:
    """Skips a test where a package is not installed."""
    assert package in PACKAGES
    there = shutil.which("node") is not None and (FOLDER / "node_modules" / package).is_dir()
    return pytest.mark.skipif(
        not there,
        reason=f"{package} is not installed: `npm install {package}`, and set ARCHFLOW_NODE_MODULES",
    )


def command(name: str) -> str:
    """A command that a package brought."""
    return str(FOLDER / "node_modules" / ".bin" / name)

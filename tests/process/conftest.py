"""What every process test starts from: a scripted upstream, and a folder with a configuration."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from process.upstream import ScriptedUpstream


@pytest.fixture
def upstream() -> Iterator[ScriptedUpstream]:
    """An upstream that answers as examples/upstream.py does until a test gives it another script."""
    with ScriptedUpstream() as running:
        yield running

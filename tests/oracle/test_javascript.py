"""The official JavaScript clients, unchanged, before upstreams of other dialects: a streamed tool call, its answer."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from msgspec import json

from oracle import upstreams
from oracle.conftest import Side
from oracle.javascript import FOLDER, needs
from process.harness import PATIENCE

pytestmark = pytest.mark.process

TOOLS = {"weather": lambda _: {"city": "Bern", "days": 3}}
CLAUDE, CHAT = "anthropic/claude-sonnet-4", "mistral/limited"


def talked(side: Side, which: str, model: str) -> Any:
    """What the client says it heard."""
    done = subprocess.run(
        ["node", str(Path(__file__).with_name("clients.mjs")), which, side.url, model],
        env={**os.environ, "ARCHFLOW_NODE_MODULES": str(FOLDER)},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE * 3,
    )
    assert done.returncode == 0, done.stderr
    return json.decode(done.stdout)


HEARD = {"call": ["weather", {"city": "Bern", "days": 3}], "text": "It rains."}


@needs("openai")
def test_chat_before_messages(side: Side) -> None:
    side.upstream.script = upstreams.messages(TOOLS, "It rains.")
    assert talked(side, "openai", CLAUDE) == HEARD


@needs("@anthropic-ai/sdk")
def test_messages_before_chat(side: Side) -> None:
    side.upstream.script = upstreams.chat(TOOLS, "It rains.")
    assert talked(side, "anthropic", CHAT) == HEARD


@needs("openai")
@pytest.mark.parametrize(("model", "script"), [(CLAUDE, upstreams.messages), (CHAT, upstreams.chat)])
def test_responses_before_both(side: Side, model: str, script: Any) -> None:
    side.upstream.script = script(TOOLS, "It rains.")
    assert talked(side, "responses", model) == HEARD

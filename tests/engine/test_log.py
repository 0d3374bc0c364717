"""The engine's log: one JSON object a line, and no secret in it, whoever logged it."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import structlog

from archflow_engine import log

CANARY = "sk-canary-0123456789abcdef"


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    yield
    structlog.reset_defaults()


SECRETS: dict[str, dict[str, Any]] = {
    "a bearer": {"detail": f"Authorization: Bearer {CANARY}"},
    "a key in a text": {"detail": f"asked with {CANARY}, in vain"},
    "a key under its name": {"api_key": "anything-at-all-canary"},
    "an authorization": {"authorization": "Basic canary"},
    "a token": {"x-auth-token": "canary", "access_token": "canary"},
    "a cookie": {"cookie": "session=canary"},
    "within a list": {"details": ["fine", f"Bearer {CANARY}"]},
    "within a dict": {"headers": {"x-api-key": "canary", "accept": "fine"}},
    "deep within": {"outer": [{"inner": {"password": "canary"}}]},
    "in bytes": {"detail": f"Bearer {CANARY}".encode()},
    "in a tuple": {"pair": ("Authorization", f"Bearer {CANARY}")},
}


@pytest.mark.parametrize("name", SECRETS)
def test_no_secret_is_logged(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("json", "info")("happened", **SECRETS[name])
    written = capsys.readouterr().err
    assert "canary" not in written
    assert "***" in written
    if "fine" in str(SECRETS[name]):
        assert "fine" in written
    assert msgspec.json.decode(written)["event"] == "happened"


def test_no_secret_is_in_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    error = ValueError(f"cannot ask with Bearer {CANARY}")
    log.configure("json", "info")("internal_error", level="error", exc_info=error)
    line = msgspec.json.decode(capsys.readouterr().err)
    assert "cannot ask with Bearer ***" in line["exception"]
    assert line["level"] == "error"


def test_lines_have_a_time_and_a_level(capsys: pytest.CaptureFixture[str]) -> None:
    say = log.configure("json", "info")
    say("serving", listeners=["a on b"], seconds=1.5)
    say("quiet", level="debug")
    (line,) = capsys.readouterr().err.splitlines()
    told = msgspec.json.decode(line)
    assert (told["level"], told["listeners"], told["seconds"]) == ("info", ["a on b"], 1.5)
    assert told["timestamp"].endswith("Z")


def test_a_console_gets_words(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("console", "info")("serving", api_key=CANARY)
    written = capsys.readouterr().err
    assert "serving" in written
    assert "canary" not in written


@pytest.mark.parametrize("text", ["a key-board", "the monkey", "task-force", "a risk-free keynote", "sk-"])
def test_words_that_only_look_alike_stay(text: str) -> None:
    assert log.redact_text(text) == text


def test_a_line_that_cannot_be_written_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)  # as `archrun 2>&1 | head` does
    with os.fdopen(writer, "w", buffering=1) as unread:
        monkeypatch.setattr(sys, "stderr", unread)
        say = log.configure("json", "info")
        for _ in range(100):
            say("happened", detail="x" * 1000)
        with contextlib.suppress(BrokenPipeError):
            unread.close()

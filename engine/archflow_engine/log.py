"""The engine's own log: structlog, one JSON object a line on stderr (or coloured text on a terminal).

Access lines are a tracer's business and go elsewhere. Redaction is the last processor before the renderer, so that
nothing that looks like a key leaves, whoever logged it.

Rule: what is told of never fails for being told: a line that stderr does not take, for a full disk or a reader that
left, is lost.
"""

from __future__ import annotations

import contextlib
import logging
import re
import sys
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, TextIO, cast

import msgspec
import structlog

_SECRET_NAME = re.compile(
    r"(?i)(authori[sz]ation|api[-_]?key|access[-_]?key|(?:auth|access)[-_]?token|secret|password|cookie)"
)
_SECRET_VALUE = re.compile(r"(?i)\b(bearer\s+)[^\s\"',]{6,}|\b(sk-|key-|gsk_|xai-)[A-Za-z0-9_\-]{6,}")
_MASK = "***"


def redact(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: masks values under secret names and secrets inside strings, however deep."""
    for name, value in event.items():
        event[name] = _redacted(name, value)
    return event


def _redacted(name: str, value: Any) -> Any:
    if isinstance(value, bool | int | float | None):
        return value
    if is_secret(name):
        return _MASK
    if isinstance(value, bytes):
        return redact_text(value.decode("utf-8", "replace"))
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, Mapping):
        return {str(key): _redacted(str(key), one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_redacted("", one) for one in value]
    return value


def is_secret(name: str) -> bool:
    """Whether what has such a name, a header for instance, is a secret."""
    return _SECRET_NAME.search(name) is not None


def redact_text(text: str) -> str:
    """A text with everything that looks like a key masked."""
    return _SECRET_VALUE.sub(lambda found: (found[1] or found[2] or "") + _MASK, text)


class _Stderr:
    """What structlog writes to."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, text: str) -> None:
        """Write, or lose it."""
        with contextlib.suppress(OSError):
            self._file.write(text)

    def flush(self) -> None:
        """Nothing waits after it."""
        with contextlib.suppress(OSError):
            self._file.flush()


def configure(style: str, level: str) -> Callable[..., None]:
    """Set the log up once; returns `log(event, level="info", **fields)`.

    Args:
        style: `json` or `console`.
        level: debug, info, warning or error.
    """
    shared: list[Any] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redact,
    ]
    if style == "json":
        renderer: Any = structlog.processors.JSONRenderer(
            serializer=lambda value, **_: msgspec.json.encode(value, enc_hook=str).decode()
        )
    else:
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", _Stderr(sys.stderr))),
        cache_logger_on_first_use=True,
    )
    logger = structlog.get_logger()

    def log(event: str, level: str = "info", **fields: object) -> None:
        getattr(logger, level)(event, **fields)

    return log

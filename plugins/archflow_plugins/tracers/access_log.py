"""One line per exchange: JSON as structlog writes it, or Arch's line format.

JSON lines have structlog's usual keys (`event`, `level`, `timestamp`) first, so that what reads an application's log
reads this one. Arch's lines are those of Envoy as Arch 0.3 configures them, so that what reads those goes on working.

Rule: a line holds no content, no secret and no query string.
Rule: lines are made many at a time: one after the other they cost less than each behind a request of its own.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from math import floor
from typing import Any, Literal

import msgspec
from msgspec import Struct

from archflow_plugins.contexts import RunContext
from archflow_plugins.kinds import Tracer
from archflow_plugins.record import Record
from archflow_plugins.tracers.line_file import LineFile
from archflow_schema.events import Usage

PATIENCE = 1.0
"""Seconds that closing waits for a slow reader."""
_UNSCORED = -1.0
_encode = msgspec.json.Encoder().encode
_UNTOLD = Usage(input_tokens=-1, output_tokens=-1)
"""What a line has in the place of a usage that nobody told: its own defaults, which are left out."""

FLAGS: dict[str, str] = {
    "client_gone": "DC",
    "upstream_refused": "UF",
    "upstream_timeout": "UT",
    "upstream_failed": "UPE",
    "request_timeout": "UT",
    "malformed_request": "DPE",
    "headers_too_large": "DPE",
    "too_many_headers": "DPE",
    "not_found": "NR",
    "model_not_found": "NR",
    "rate_limit_exceeded": "RL",
}
"""Our word for what went wrong -> Envoy's response flag (Envoy, "Access logging", %RESPONSE_FLAGS%)."""


class AccessLogConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Configuration of the access log.

    Attributes:
        format: `json`, or `arch` for the line format of Arch 0.3.
        path: `stdout`, `stderr` or a file, which is opened again after it was rotated.
    """

    format: Literal["json", "arch"] = "json"
    path: str = "stdout"


class _Own(Struct, omit_defaults=True):
    """What a JSON line says of its own exchange alone; what that does not have is left out."""

    event: str
    level: str
    timestamp: str
    request_id: str
    trace_id: str
    client: str
    status: int
    duration: float
    bytes_received: int
    bytes_sent: int
    ttfb: float = -1.0
    attempts: int = 0
    input_tokens: int = -1
    output_tokens: int = -1
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    tokens_estimated: bool = False
    finish_reason: str = ""
    guards: list[tuple[str, str]] = []
    denied_by: str = ""
    denied_score: float = _UNSCORED
    error: str = ""
    detail: str = ""
    route: str = ""
    route_reason: str = ""
    decision_id: str = ""
    confidence: float = 0.0
    runner_up: str = ""
    deciding: float = -1.0
    pinned: bool = False
    switched: bool = False
    kept_from: str = ""


class _Common(Struct, omit_defaults=True):
    """What it says of many: their clients ask the same again and again. It stands behind."""

    method: str
    path: str
    listener: str = ""
    protocol: str = ""
    model_asked: str = ""
    model: str = ""
    reason: str = ""
    provider: str = ""
    upstream: str = ""
    stream: bool = False
    user_agent: str = ""


class AccessLog(Tracer):
    """Writes a line for each exchange."""

    kind = "tracer.access_log"
    config = AccessLogConfig

    def __init__(self, compiled: Any, ctx: RunContext) -> None:
        super().__init__(compiled, ctx)
        self._render = _json_line if compiled.format == "json" else _arch_line
        self._file = LineFile(
            compiled.path, lambda text: ctx.log("access_log_trouble", level="error", detail=text)
        )

    @property
    def dropped(self) -> int:
        """Lines that could not be written."""
        return self._file.dropped

    def finish(self, record: Record) -> None:
        self._file.add([self._render(record)])

    def finish_all(self, records: Sequence[Record]) -> None:
        self._file.add(map(self._render, records))

    def flush(self) -> None:
        self._file.flush()

    async def close(self) -> None:
        """Write the rest, waiting a moment for a slow reader; not cut short when the engine is cancelled."""
        import trio

        with trio.move_on_after(PATIENCE, shield=True):
            self.flush()
            while self._file.pending:
                await trio.sleep(0.02)
                self._file.flush()
        self._file.close()


_SECOND = 1_000_000_000


class _Clock:
    """Writes times as ISO 8601 in UTC with microseconds; the part up to the second once a second."""

    __slots__ = ("_began", "_text")

    def __init__(self) -> None:
        self._began = -_SECOND
        self._text = ""

    def text(self, nanoseconds: int) -> str:
        rest = nanoseconds - self._began
        if not 0 <= rest < _SECOND:
            rest = nanoseconds % _SECOND
            self._began = nanoseconds - rest
            self._text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(self._began // _SECOND))
        return f"{self._text}.{str(1_000_000 + rest // 1000)[1:]}Z"  # `:06d` takes three times as long


_timestamp = _Clock().text


_common: dict[tuple[str | bool, ...], bytes] = {}
"""The ends of lines that were written lately."""
_COMMON_AT_MOST = 1024
_COMMON_LONGEST = 2048
"""Bytes of an end that is remembered: it holds what strangers say."""


def _json_line(record: Record) -> bytes:
    duration, first_byte, attempts, error = record.duration, record.first_byte, record.attempts, record.error
    usage = record.usage or _UNTOLD
    # All at once and by position: a keyword costs six times as much. Microseconds as round() gives them, at a third of
    # its price.
    own = _Own(
        "request",
        "error" if record.status >= 500 else "warning" if error else "info",
        _timestamp(record.started_ns + floor(duration * 1e9) if duration > 0 else record.started_ns),
        record.request_id,
        record.trace_id,
        record.client,
        record.status,
        floor(duration * 1e6 + 0.5) / 1e6 if duration >= 0 else -1.0,
        record.bytes_received,
        record.bytes_sent,
        floor(first_byte * 1e6 + 0.5) / 1e6 if first_byte >= 0 else -1.0,
        len(attempts),
        usage.input_tokens,
        usage.output_tokens,
        usage.cached_tokens,
        usage.reasoning_tokens,
        usage.estimated,
        record.finish_reason,
    )
    if error or record.guards or record.decisions:
        _more(own, record)
    key = (
        record.method,
        record.path,
        record.listener,
        record.protocol,
        record.model_asked,
        record.model,
        record.reason,
        record.provider,
        attempts[-1].upstream if attempts else "",
        record.stream,
        record.user_agent,
    )
    return _encode(own)[:-1] + (_common.get(key) or _make_common(key))


def _make_common(key: tuple[Any, ...]) -> bytes:
    """The end of a line, its newline included."""
    method, path, *rest = key
    end = b",%b\n" % _encode(_Common(method, path.partition("?")[0], *rest))[1:]
    if len(end) <= _COMMON_LONGEST and "?" not in path:
        if len(_common) >= _COMMON_AT_MOST:
            _common.clear()
        _common[key] = end
    return end


def _more(own: _Own, record: Record) -> None:
    """Say what went wrong, what guards found, and what a router decided and why."""
    own.error = record.error
    own.detail = record.detail if record.error else ""
    own.guards = record.guards
    if record.denied_by:
        own.denied_by = record.denied_by
        own.denied_score = record.denied_score
    if not record.decisions:
        return
    decision = record.decisions[-1]
    own.route = decision.option
    own.route_reason = decision.reason
    own.decision_id = decision.id
    own.confidence = round(decision.confidence, 4)
    own.runner_up = decision.runner_up
    own.deciding = round(decision.seconds, 6)
    own.pinned = decision.pinned
    own.switched = decision.switched
    own.kept_from = decision.kept_from


def _arch_line(record: Record) -> bytes:
    attempt = record.attempts[-1] if record.attempts else None
    reached = attempt is not None and attempt.first_byte >= 0
    started = _timestamp(record.started_ns)[:-4] + "Z"  # milliseconds, as Envoy
    service = f"{(attempt.first_byte - attempt.began) * 1000:.0f}" if attempt is not None and reached else "-"
    fields = (
        record.forwarded_for,
        record.user_agent,
        record.request_id,
        record.authority,
        attempt.address if attempt is not None else "",
        attempt.upstream if attempt is not None else "",
    )
    quoted = " ".join(f'"{_quotable(field) or "-"}"' for field in fields)
    path = _quotable(record.path.partition("?")[0])
    protocol = record.protocol or "-"
    return (
        f'[{started}] "{_quotable(record.method)} {path} {protocol}" {record.status} {FLAGS.get(record.error, "-")} '
        f"{record.bytes_received} {record.bytes_sent} {max(record.duration, 0.0) * 1000:.0f} {service} {quoted}\n"
    ).encode()


def _quotable(text: str) -> str:
    """Text that cannot end its own quotes or its line."""
    if text.isprintable() and '"' not in text and "\\" not in text:
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return "".join(one if one.isprintable() else f"\\x{ord(one):02x}" for one in escaped)

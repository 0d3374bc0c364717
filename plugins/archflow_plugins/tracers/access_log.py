"""One line per exchange: JSON as structlog writes it, or Arch's line format.

JSON lines have structlog's usual keys (`event`, `level`, `timestamp`) first, so that what reads an application's log
reads this one. Arch's lines are those of Envoy as Arch 0.3 configures them, so that what reads those goes on working.

Rule: a line holds no content, no secret and no query string.
Rule: `finish` keeps the record; `flush`, and every 64th, make the lines and the system call. A record is final by then.
"""

from __future__ import annotations

import time
from typing import Any, Literal

import msgspec
from msgspec import Struct

from archflow_plugins.contexts import RunContext
from archflow_plugins.kinds import Tracer
from archflow_plugins.record import Decision, Record
from archflow_plugins.tracers.line_file import BATCH, LineFile
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


class _Line(Struct, omit_defaults=True):
    """A JSON line; what an exchange does not have is left out."""

    event: str
    level: str
    timestamp: str
    request_id: str
    trace_id: str
    client: str
    method: str
    path: str
    status: int
    duration: float
    bytes_received: int
    bytes_sent: int
    listener: str = ""
    protocol: str = ""
    model_asked: str = ""
    model: str = ""
    reason: str = ""
    provider: str = ""
    upstream: str = ""
    stream: bool = False
    attempts: int = 0
    ttfb: float = -1.0
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
    user_agent: str = ""
    route: str = ""
    route_reason: str = ""
    decision_id: str = ""
    confidence: float = 0.0
    runner_up: str = ""
    deciding: float = -1.0
    pinned: bool = False
    switched: bool = False
    kept_from: str = ""


class AccessLog(Tracer):
    """Writes a line for each exchange."""

    kind = "tracer.access_log"
    config = AccessLogConfig

    def __init__(self, compiled: Any, ctx: RunContext) -> None:
        super().__init__(compiled, ctx)
        self._render = _json_line if compiled.format == "json" else _arch_line
        self._records: list[Record] = []
        self._file = LineFile(
            compiled.path, lambda text: ctx.log("access_log_trouble", level="error", detail=text)
        )

    @property
    def dropped(self) -> int:
        """Lines that could not be written."""
        return self._file.dropped

    def finish(self, record: Record) -> None:
        self._records.append(record)
        if len(self._records) >= BATCH:
            self._write()

    def flush(self) -> None:
        self._write()
        self._file.flush()

    def _write(self) -> None:
        """Make the lines of what is over: one after the other they cost less than each behind a request of its own."""
        records, self._records = self._records, []
        for record in records:
            self._file.add(self._render(record))

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
        return f"{self._text}.{rest // 1000:06d}Z"


_timestamp = _Clock().text


def _microseconds(seconds: float) -> float:
    """Seconds in whole microseconds; what `round(seconds, 6)` gives, which goes by way of text, at half its price."""
    return int(seconds * 1e6 + 0.5) / 1e6


def _json_line(record: Record) -> bytes:
    duration, first_byte, attempts, error = record.duration, record.first_byte, record.attempts, record.error
    usage = record.usage or _UNTOLD
    ended = record.started_ns + int(duration * 1e9) if duration > 0 else record.started_ns
    path = record.path
    # All at once and by position: an assignment afterwards costs twenty times as much, a keyword six times.
    line = _Line(
        "request",
        "error" if record.status >= 500 else "warning" if error else "info",
        _timestamp(ended),
        record.request_id,
        record.trace_id,
        record.client,
        record.method,
        path if "?" not in path else path.partition("?")[0],
        record.status,
        _microseconds(duration) if duration >= 0 else -1.0,
        record.bytes_received,
        record.bytes_sent,
        record.listener,
        record.protocol,
        record.model_asked,
        record.model,
        record.reason,
        record.provider,
        attempts[-1].upstream if attempts else "",
        record.stream,
        len(attempts),
        _microseconds(first_byte) if first_byte >= 0 else -1.0,
        usage.input_tokens,
        usage.output_tokens,
        usage.cached_tokens,
        usage.reasoning_tokens,
        usage.estimated,
        record.finish_reason,
        record.guards,
        record.denied_by,
        record.denied_score if record.denied_by else _UNSCORED,
        error,
        record.detail if error else "",
        record.user_agent,
    )
    if record.decisions:
        _decided(line, record.decisions[-1])
    return _encode(line) + b"\n"


def _decided(line: _Line, decision: Decision) -> None:
    """Say what a router decided, and why."""
    line.route = decision.option
    line.route_reason = decision.reason
    line.decision_id = decision.id
    line.confidence = round(decision.confidence, 4)
    line.runner_up = decision.runner_up
    line.deciding = _microseconds(decision.seconds)
    line.pinned = decision.pinned
    line.switched = decision.switched
    line.kept_from = decision.kept_from


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

"""Identifiers of an exchange: request ids and W3C trace context.

Source: https://www.w3.org/TR/trace-context/ (traceparent: version-traceid-parentid-flags).

Ids are cut from blocks of the kernel's random bytes, many at a time: they must be unique, not secret, and one by one
each would cost a system call.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from archflow_plugins.record import Record

_TRACEPARENT = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_PRINTABLE = re.compile(rb"[\x21-\x7e]{1,200}")
_ZERO_TRACE = "0" * 32
_ZERO_SPAN = "0" * 16


_ENDS = tuple(f"{number:02x}" for number in range(64))
"""What tells the ids of one block apart."""
_ids: list[tuple[str, str, str]] = []
_spans: list[str] = []


def new_ids() -> tuple[str, str, str]:
    """A request id (UUID-shaped, as Envoy makes them), a trace id of 32 hex digits and a span id of 16."""
    if not _ids:
        one = os.urandom(24).hex()
        middle, trace, span = f"-{one[:4]}-{one[4:8]}-{one[8:12]}-{one[12:22]}", one[24:40], one[34:48]
        digits = os.urandom(8 * len(_ENDS)).hex(" ", 8).split(" ")
        _ids.extend(
            [(f"{n[:8]}{middle}{end}", trace + n, span + end) for n, end in zip(digits, _ENDS, strict=True)]
        )
    return _ids.pop()


def new_span_id() -> str:
    """16 hex digits."""
    if not _spans:
        start = os.urandom(7).hex()
        _spans.extend([start + end for end in _ENDS])
    return _spans.pop()


def accept_request_id(raw: bytes) -> str:
    """The client's request id if it is printable ASCII of at most 200 characters, else nothing."""
    return raw.decode() if _PRINTABLE.fullmatch(raw) else ""


def lines(record: Record, span_id: str) -> str:
    """What tells an upstream of a request and of a span of ours, as lines of HTTP/1.1."""
    flags = "01" if record.sampled else "00"
    return f"x-request-id: {record.request_id}\r\ntraceparent: 00-{record.trace_id}-{span_id}-{flags}\r\n"


def parse_traceparent(raw: bytes) -> tuple[str, str, bool] | None:
    """Trace id, parent span id and sampled flag; None for what the recommendation says to ignore."""
    found = _TRACEPARENT.fullmatch(raw.strip())
    if found is None:
        return None
    version, trace, parent, flags, more = found.groups()
    if version == b"ff" or (version == b"00" and more):
        return None
    trace_id, parent_id = trace.decode(), parent.decode()
    if trace_id == _ZERO_TRACE or parent_id == _ZERO_SPAN:
        return None
    return trace_id, parent_id, bool(int(flags, 16) & 1)

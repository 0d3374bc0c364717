"""Identifiers of an exchange: request ids and W3C trace context.

Source: https://www.w3.org/TR/trace-context/ (traceparent: version-traceid-parentid-flags).

Ids are made of the kernel's random bytes, a block of many at a time: they must be unique, not secret, and one by one
each would cost a system call. Those of a block have random digits in common; samplers go by the last digits of a trace
id, which are its own.
"""

from __future__ import annotations

import os
import re
from operator import add
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
        block = os.urandom(26).hex()
        trace, span, middle = (
            block[:16],
            block[16:30],
            f"-{block[30:34]}-{block[34:38]}-{block[38:42]}-{block[42:]}",
        )
        requests = map(add, _digits(4), map(middle.__add__, _ENDS))
        _ids.extend(zip(requests, map(trace.__add__, _digits(8)), map(span.__add__, _ENDS), strict=True))
    return _ids.pop()


def new_span_id() -> str:
    """16 hex digits."""
    if not _spans:
        _spans.extend(map(os.urandom(7).hex().__add__, _ENDS))
    return _spans.pop()


def _digits(size: int) -> list[str]:
    """Hex digits of so many random bytes, for each id of a block."""
    return os.urandom(size * len(_ENDS)).hex(" ", size).split(" ")


def accept_request_id(raw: bytes) -> str:
    """The client's request id if it is printable ASCII of at most 200 characters, else nothing."""
    return raw.decode() if _PRINTABLE.fullmatch(raw) else ""


def lines(record: Record, span_id: str, *, told: bool = True) -> str:
    """What tells an upstream of a request and of a span of ours, as lines of HTTP/1.1.

    Where nobody tells a collector of our spans, the caller's own is handed on: what comes after would hang in the air.
    """
    flags = "01" if record.sampled else "00"
    if not told and record.parent_span_id:
        span_id = record.parent_span_id
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

"""Identifiers of an exchange: request ids and W3C trace context.

Source: https://www.w3.org/TR/trace-context/ (traceparent: version-traceid-parentid-flags).

Ids come from a generator that is seeded by the kernel once per process: they must be unique, not secret, and asking
the kernel each time is a system call per request.
"""

from __future__ import annotations

import random
import re

_TRACEPARENT = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_PRINTABLE = re.compile(rb"[\x21-\x7e]{1,200}")
_bits = random.Random().getrandbits  # noqa: S311 - unique, not secret
_ZERO_TRACE = "0" * 32
_ZERO_SPAN = "0" * 16


def new_trace_id() -> str:
    """32 hex digits."""
    return f"{_bits(128):032x}"


def new_span_id() -> str:
    """16 hex digits."""
    return f"{_bits(64):016x}"


def new_ids() -> tuple[str, str, str]:
    """A request id, a trace id and a span id, for the price of one."""
    digits = f"{_bits(320):080x}"
    request = f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:32]}"
    return request, digits[32:64], digits[64:]


def new_request_id() -> str:
    """A UUID-shaped random id, as Envoy makes them."""
    digits = f"{_bits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def accept_request_id(raw: bytes) -> str:
    """The client's request id if it is printable ASCII of at most 200 characters, else a new one."""
    return raw.decode() if _PRINTABLE.fullmatch(raw) else new_request_id()


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

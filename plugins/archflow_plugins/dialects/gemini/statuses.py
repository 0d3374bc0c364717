"""Google's errors: `google.rpc.Status`, as its clients expect it and as its servers send it.

Source: Google's AIP-193 and google.rpc.Code, 2026-11.

Rule: reading one never raises.
"""

from __future__ import annotations

from archflow_plugins.dialects.gemini import wire
from archflow_plugins.dialects.json_body import BAD_JSON, encode
from archflow_plugins.translation import Problem

STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
    529: "UNAVAILABLE",
}
"""HTTP status -> the name that Google gives it."""
_TEXT_AT_MOST = 500


def failure(status: int, code: str, message: str) -> bytes:
    """An error body. Our own code stands where Google puts its reasons."""
    fallback = "INTERNAL" if status >= 500 else "INVALID_ARGUMENT"
    detail = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": code.upper(),
        "domain": "archflow",
    }
    error = {
        "code": status,
        "message": message,
        "status": STATUSES.get(status, fallback),
        "details": [detail],
    }
    return encode({"error": error})


def problem(status: int, body: bytes) -> Problem:
    """What an error body says; one that is not understood gives its text, cut short."""
    try:
        found = wire.decode_failure(body)
    except BAD_JSON:
        found = wire.Failure()
    if isinstance(found, list):
        found = found[0] if found else wire.Failure()
    if found.error is not None and found.error.message:
        return Problem(found.error.message, found.error.status or STATUSES.get(status, ""))
    text = body[: 4 * _TEXT_AT_MOST].decode("utf-8", "replace").strip()[:_TEXT_AT_MOST]
    return Problem(text or f"the upstream answered {status} and said nothing")

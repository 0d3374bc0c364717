"""Frames of ConverseStream that no reply is needed for: the ping, and errors in mid-stream.

Source: botocore's service model of bedrock-runtime, 1.44 (2026-11).
"""

from __future__ import annotations

from archflow_plugins.dialects.json_body import encode
from archflow_plugins.framing.aws_event_stream import encode as frame
from archflow_plugins.framing.aws_event_stream import encode_headers

_JSON = "application/json"
_EXCEPTIONS = {
    "rate_limit_exceeded": "throttlingException",
    "invalid_request": "validationException",
    "overloaded": "serviceUnavailableException",
    "upstream_failed": "modelStreamErrorException",
    "upstream_timeout": "modelStreamErrorException",
}


def headers(kind: str, name: str, value: str) -> bytes:
    """The headers of a frame with JSON in it, encoded."""
    return encode_headers({name: value, ":content-type": _JSON, ":message-type": kind})


def exception(code: str, message: str) -> bytes:
    """An error in mid-stream."""
    name = _EXCEPTIONS.get(code, "internalServerException")
    return frame(headers("exception", ":exception-type", name), encode({"message": message}))


PING = frame(headers("event", ":event-type", "ping"), b"{}")
"""A frame of a type that Amazon's clients do not know, and so pass over."""

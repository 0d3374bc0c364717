"""The words that Messages has for what other dialects call otherwise: tiers, reasons to stop, kinds of errors.

Rule: data only. A word that is in no table here is passed over by whoever reads, and never written.
"""

from __future__ import annotations

from archflow_schema.events import StopReason

NAME = "anthropic_messages"
PING = b'event: ping\ndata: {"type":"ping"}\n\n'
SERVED = "messages[].server_tool_use"
"""The extra that holds what Anthropic's servers did in earlier turns."""
CLAUDE = frozenset({NAME, "bedrock_converse"})
"""The dialects whose upstreams prove a thought in Claude's way, so that each accepts what the other made."""

TIER_OF_WORD = {"standard_only": "default"}
"""`service_tier` of a request -> the word of the others."""
WORD_OF_TIER = {
    "auto": "auto",
    "priority": "auto",
    "scale": "auto",
    "default": "standard_only",
    "standard": "standard_only",
    "standard_only": "standard_only",
    "flex": "standard_only",
}
"""The words of the others -> whether Anthropic may take reserved capacity, which is all that it can be told."""
SERVED_TIER = {"standard": "default", "priority": "priority", "batch": "batch"}
"""`usage.service_tier` of a reply -> the word of the others."""
SERVED_WORD = {tier: word for word, tier in SERVED_TIER.items()}

REASONS: dict[str, StopReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "refusal",
    "pause_turn": "pause",
    "compaction": "pause",
}
"""`stop_reason` -> ours."""
REASON_WORDS: dict[StopReason, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
    "refusal": "refusal",
    "pause": "pause_turn",
    "error": "end_turn",
}

ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
"""Status -> `error.type`; others are `invalid_request_error` below 500 and `api_error` above."""
STREAM_ERROR_TYPES = {
    "timeout": "timeout_error",
    "overloaded": "overloaded_error",
    "rate_limit": "rate_limit_error",
}
"""What a code of ours holds -> `error.type` of the event that tells it; others are `api_error`."""


def error_type(status: int) -> str:
    """The `error.type` of a status."""
    return ERROR_TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")


def stream_error_type(code: str) -> str:
    """The `error.type` of a failure in mid-stream."""
    return next((kind for part, kind in STREAM_ERROR_TYPES.items() if part in code), "api_error")

"""Learning from a reply of the Responses API that goes by: its usage, its end, who answered.

Source: OpenAI's API reference and its Python client 3.57, 2026-11.

Rule: cached and written tokens are part of `input_tokens`, reasoning tokens part of `output_tokens`: as ours.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec
from msgspec import Struct

from archflow_plugins.dialects.json_body import BAD_JSON
from archflow_plugins.dialects.stream_lines import LineTap
from archflow_plugins.kinds import Summary
from archflow_schema.events import StopReason, Usage


class _InputDetails(Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class _OutputDetails(Struct):
    reasoning_tokens: int | None = None


class Told(Struct, frozen=True):
    """The usage of a response."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: _InputDetails | None = None
    output_tokens_details: _OutputDetails | None = None


class Incomplete(Struct, frozen=True):
    """Why a response is not complete."""

    reason: str | None = None


class _Item(Struct):
    type: str | None = None


class _Response(Struct):
    id: str | None = None
    model: str | None = None
    status: str | None = None
    usage: Told | None = None
    incomplete_details: Incomplete | None = None
    output: list[_Item] | None = None


class _Event(Struct):
    response: _Response | None = None


_decode_response = msgspec.json.Decoder(_Response).decode
_decode_event = msgspec.json.Decoder(_Event).decode
CALLS = frozenset({"function_call", "custom_tool_call", "local_shell_call", "tool_search_call"})
"""Items that ask the client to do something."""


def usage_of(told: Told | None) -> Usage | None:
    """Usage as all dialects tell it."""
    if told is None:
        return None
    read, written = told.input_tokens_details, told.output_tokens_details
    return Usage(
        input_tokens=max(0, told.input_tokens or 0),
        output_tokens=max(0, told.output_tokens or 0),
        cached_tokens=max(0, (read and read.cached_tokens) or 0),
        cache_written_tokens=max(0, (read and read.cache_write_tokens) or 0),
        reasoning_tokens=max(0, (written and written.reasoning_tokens) or 0),
    )


def stopped(status: str | None, reason: str | None, *, called: bool) -> StopReason:
    """Why a response ended."""
    if status == "incomplete":
        return "content_filter" if reason == "content_filter" else "length"
    if status in {"failed", "cancelled"}:
        return "error"
    return "tool_calls" if called else "stop"


def summary(body: bytes) -> Summary:
    """What a whole response tells. Never raises."""
    try:
        return _summary(_decode_response(body))
    except BAD_JSON:
        return Summary()


def _summary(response: _Response) -> Summary:
    reason = ""
    if response.status:
        called = any(item.type in CALLS for item in response.output or ())
        details = response.incomplete_details
        reason = stopped(response.status, details.reason if details else None, called=called)
    return Summary(
        usage=usage_of(response.usage),
        finish_reason=reason,
        response_model=response.model or "",
        response_id=response.id or "",
    )


class ResponsesTap(LineTap):
    """Watches a stream: the first event names the response, the last one tells its usage."""

    needles: ClassVar[tuple[bytes, ...]] = (
        b'"response.completed"',
        b'"response.incomplete"',
        b'"response.failed"',
    )
    opening: ClassVar[int] = 1

    def look(self, data: bytes) -> bool:
        try:
            response = _decode_event(data).response
        except BAD_JSON:
            return False
        if response is None:
            return False
        self.response_id = response.id or self.response_id
        self.response_model = response.model or self.response_model
        if response.status not in {None, "in_progress", "queued"}:
            told = _summary(response)
            self.usage = told.usage or self.usage
            self.finish_reason = told.finish_reason
        return True

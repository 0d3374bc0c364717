"""Watching a stream of Messages go by, and a whole reply."""

from __future__ import annotations

from typing import ClassVar

import msgspec
from msgspec import Struct

from archflow_plugins.dialects.anthropic_messages.usage import Counts, larger, usage_of
from archflow_plugins.dialects.json_body import BAD_JSON
from archflow_plugins.dialects.stream_lines import LineTap
from archflow_plugins.kinds import Summary


class _Reply(Struct):
    id: str | None = None
    model: str | None = None
    usage: Counts | None = None
    stop_reason: str | None = None


class _Delta(Struct):
    stop_reason: str | None = None


class _Event(Struct):
    """`message_start` has a message, `message_delta` has a delta and usage."""

    message: _Reply | None = None
    delta: _Delta | None = None
    usage: Counts | None = None


_decode_reply = msgspec.json.Decoder(_Reply).decode
_decode_event = msgspec.json.Decoder(_Event).decode


class AnthropicTap(LineTap):
    """Watches a stream of events. Only `message_start` and `message_delta` hold usage."""

    needles: ClassVar[tuple[bytes, ...]] = (b'"usage"',)
    opening: ClassVar[int] = 1

    def __init__(self) -> None:
        super().__init__()
        self._counts = Counts()

    def look(self, data: bytes) -> bool:
        try:
            event = _decode_event(data)
        except BAD_JSON:
            return False
        if event.message is not None:
            self.response_id = event.message.id or self.response_id
            self.response_model = event.message.model or self.response_model
        if event.delta is not None and event.delta.stop_reason:
            self.finish_reason = event.delta.stop_reason
        for told in (event.message and event.message.usage, event.usage):
            if told:
                self._counts = larger(self._counts, told)
                self.usage = usage_of(self._counts)
        return True


def summarise(body: bytes) -> Summary:
    """What a whole reply tells; nothing if it is not understood."""
    try:
        reply = _decode_reply(body)
    except BAD_JSON:
        return Summary()
    return Summary(
        usage=usage_of(reply.usage) if reply.usage else None,
        finish_reason=reply.stop_reason or "",
        response_model=reply.model or "",
        response_id=reply.id or "",
    )

"""Learning from a reply of Google's that goes by: its usage, its end, who answered.

Rule: output tokens are candidates and thoughts together: Google counts them side by side.
"""

from __future__ import annotations

from typing import ClassVar

from archflow_plugins.dialects.gemini import wire
from archflow_plugins.dialects.json_body import BAD_JSON
from archflow_plugins.dialects.stream_lines import LineTap
from archflow_plugins.kinds import Summary
from archflow_schema.events import Usage


class GeminiTap(LineTap):
    """Watches a stream of chunks; each may tell the counts so far."""

    needles: ClassVar[tuple[bytes, ...]] = (b'"usageMetadata"', b'"finishReason"')
    opening: ClassVar[int] = 1

    def look(self, data: bytes) -> bool:
        try:
            chunk = wire.decode_chunk(data)
        except BAD_JSON:
            return False
        if chunk.usage_metadata is not None:
            self.usage = usage_of(chunk.usage_metadata)
        for candidate in chunk.candidates or ():
            self.finish_reason = candidate.finish_reason or self.finish_reason
        self.response_id = self.response_id or chunk.response_id or ""
        self.response_model = self.response_model or chunk.model_version or ""
        return True


def summarise(body: bytes) -> Summary:
    """What a reply that came whole tells, one object or an array of chunks."""
    try:
        found = wire.decode_chunks(body)
    except BAD_JSON:
        return Summary()
    chunks = [found] if isinstance(found, wire.Chunk) else found
    counts = [chunk.usage_metadata for chunk in chunks if chunk.usage_metadata is not None]
    reasons = [one.finish_reason for chunk in chunks for one in chunk.candidates or () if one.finish_reason]
    return Summary(
        usage=usage_of(counts[-1]) if counts else None,
        finish_reason=reasons[-1] if reasons else "",
        response_model=next((chunk.model_version for chunk in chunks if chunk.model_version), ""),
        response_id=next((chunk.response_id for chunk in chunks if chunk.response_id), ""),
    )


def usage_of(told: wire.UsageMetadata) -> Usage:
    """Usage as all dialects tell it."""
    thoughts = max(0, told.thoughts_token_count or 0)
    return Usage(
        input_tokens=max(0, told.prompt_token_count or 0) + max(0, told.tool_use_prompt_token_count or 0),
        output_tokens=max(0, told.candidates_token_count or 0) + thoughts,
        cached_tokens=max(0, told.cached_content_token_count or 0),
        reasoning_tokens=thoughts,
    )

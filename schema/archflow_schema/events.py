"""A reply without its wire format: the items of a stream, and what a whole reply folds into.

Rule: exactly one Finished ends a reply; nothing follows it.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "error"]


class Usage(Struct, frozen=True, kw_only=True):
    """Tokens of one reply. Cached tokens are part of `input_tokens`, reasoning tokens part of `output_tokens`.

    Attributes:
        input_tokens, output_tokens: what the upstream counted.
        cached_tokens: of the input, read from the provider's prompt cache.
        reasoning_tokens: of the output, spent on reasoning.
        estimated: True when counted by us (bytes / 4) because the upstream told nothing.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: bool = False


class TextDelta(Struct, frozen=True, tag="text"):
    """More text of the answer."""

    text: str


class ReasoningDelta(Struct, frozen=True, tag="reasoning"):
    """More of the model's reasoning; never part of the answer."""

    text: str
    signature: str = ""


class ToolCallDelta(Struct, frozen=True, tag="tool_call", kw_only=True):
    """More of a tool call; `id` and `name` come with its first delta."""

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""


class UsageReported(Struct, frozen=True, tag="usage"):
    """The upstream told its counts."""

    usage: Usage


class Finished(Struct, frozen=True, tag="finished"):
    """The end of the reply."""

    reason: FinishReason
    detail: str = ""


Event = TextDelta | ReasoningDelta | ToolCallDelta | UsageReported | Finished

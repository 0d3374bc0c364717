"""A reply without its wire format: the items of a stream, and what a whole reply is made of.

::

    Started (TextDelta | RefusalDelta | ReasoningDelta | ToolCallDelta | CitationFound | UsageReported | Ping)*
    Stopped (one a choice)  UsageReported?  (Finished | Failed)

Rule: exactly one Finished or Failed ends a reply; nothing follows it.
Rule: `block` counts the content blocks of a choice from 0, in the order in which they began: a text, a thought or a
tool call that belongs together has one number, so that an encoder sees where one ends and the next begins.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from archflow_schema.conversation import Citation

StopReason = Literal["stop", "length", "tool_calls", "content_filter", "refusal", "pause", "error"]


class Usage(Struct, frozen=True):
    """Tokens of one reply. Cached tokens are part of `input_tokens`, reasoning tokens part of `output_tokens`.

    Attributes:
        input_tokens, output_tokens: what the upstream counted.
        cached_tokens: of the input, read from the provider's prompt cache.
        cache_written_tokens: of the input, written to it.
        reasoning_tokens: of the output, spent on reasoning.
        estimated: True when counted by us (bytes / 4) because the upstream told nothing.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cache_written_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: bool = False


class Started(Struct, frozen=True, tag="started", kw_only=True):
    """The reply begins; what is not told is empty. `created` in seconds since 1970."""

    id: str = ""
    model: str = ""
    created: int = 0
    service_tier: str = ""
    fingerprint: str = ""


class TokenLogprob(Struct, frozen=True):
    """One token and its log probability; `top` are the alternatives that were as good or nearly."""

    token: str
    logprob: float
    bytes: tuple[int, ...] | None = None
    top: tuple[TokenLogprob, ...] = ()


class TextDelta(Struct, frozen=True, tag="text"):
    """More text of the answer."""

    text: str
    block: int = 0
    choice: int = 0
    logprobs: tuple[TokenLogprob, ...] = ()


class RefusalDelta(Struct, frozen=True, tag="refusal"):
    """More of the words with which the model refuses."""

    text: str
    block: int = 0
    choice: int = 0


class ReasoningDelta(Struct, frozen=True, tag="reasoning"):
    """More of the model's reasoning; never part of the answer. The fields are those of ReasoningPart."""

    text: str = ""
    block: int = 0
    choice: int = 0
    signature: str = ""
    sealed: str = ""
    id: str = ""
    summary: bool = False
    origin: str = ""


class ToolCallDelta(Struct, frozen=True, tag="tool_call", kw_only=True):
    """More of a tool call; `id` and `name` come with its first delta. `index` counts the calls of a choice from 0."""

    index: int
    block: int = 0
    choice: int = 0
    id: str = ""
    name: str = ""
    arguments: str = ""
    custom: bool = False
    signature: str = ""
    origin: str = ""


class CitationFound(Struct, frozen=True, tag="citation"):
    """The text of `block` rests on this."""

    citation: Citation
    block: int = 0
    choice: int = 0


class UsageReported(Struct, frozen=True, tag="usage"):
    """The upstream told its counts, all of them so far."""

    usage: Usage


class Stopped(Struct, frozen=True, tag="stopped"):
    """One choice is complete. `sequence` is the stop text that ended it, `detail` the upstream's own word for why."""

    reason: StopReason
    choice: int = 0
    sequence: str = ""
    detail: str = ""


class Ping(Struct, frozen=True, tag="ping"):
    """The upstream lives and has nothing to say."""


class Finished(Struct, frozen=True, tag="finished"):
    """The end of the reply."""


class Failed(Struct, frozen=True, tag="failed"):
    """The upstream gave up in the middle of its reply. `code` is ours, `message` is for the client."""

    code: str
    message: str


Event = (
    Started
    | TextDelta
    | RefusalDelta
    | ReasoningDelta
    | ToolCallDelta
    | CitationFound
    | UsageReported
    | Stopped
    | Ping
    | Finished
    | Failed
)

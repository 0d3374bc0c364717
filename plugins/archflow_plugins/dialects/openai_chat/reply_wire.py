"""A reply of chat completions as it stands on the wire, whole or chunk by chunk, with what other vendors add to it.

Rule: what carries the answer is typed; what stands at the fringe is raw, so that an odd form of it costs no answer.
"""

from __future__ import annotations

from msgspec import Raw, Struct

from archflow_plugins.dialects.openai_chat.wire import NULL, ExtraContent
from archflow_plugins.dialects.openai_family import ToldUsage


class SaidFunction(Struct, frozen=True):
    """A function that is called."""

    name: str | None = None
    arguments: str | dict[str, object] | None = None
    """Some vendors send the object itself rather than its text."""


class SaidCustom(Struct, frozen=True):
    """A tool with free text that is called."""

    name: str | None = None
    input: str | None = None


class SaidCall(Struct, frozen=True):
    """A call, or more of one."""

    index: int | None = None
    id: str | None = None
    function: SaidFunction | None = None
    custom: SaidCustom | None = None
    extra_content: ExtraContent | None = None


class Piece(Struct, frozen=True):
    """An item of Mistral's content lists."""

    type: str = "text"
    text: str | None = None
    thinking: Raw = NULL


class Said(Struct, frozen=True):
    """What a choice says: a message, or more of one."""

    content: str | list[Piece] | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    reasoning_details: Raw = NULL
    thinking_blocks: Raw = NULL
    tool_calls: list[SaidCall] | None = None
    function_call: SaidFunction | None = None
    annotations: Raw = NULL


class SaidChoice(Struct, frozen=True):
    """A choice, or more of one."""

    index: int | None = None
    delta: Said | None = None
    message: Said | None = None
    finish_reason: str | None = None
    stop_reason: str | int | None = None
    """vLLM's place for the stop text."""
    native_finish_reason: str | None = None
    """OpenRouter's place for what its upstream said."""
    logprobs: Raw = NULL


class GroqExtension(Struct, frozen=True):
    """What Groq adds to a chunk."""

    usage: Raw = NULL


class Uncounted(Struct, frozen=True):
    """A chunk of a stream, or a whole reply, but for its usage: that may be of another form than expected."""

    id: str | None = None
    created: int | float | None = None
    model: str | None = None
    service_tier: str | None = None
    system_fingerprint: str | None = None
    choices: list[SaidChoice] | None = None
    x_groq: GroqExtension | None = None
    error: Raw = NULL
    object: str | None = None
    citations: Raw = NULL
    """Perplexity's and xAI's place for the addresses that an answer rests on."""


class Chunk(Uncounted, frozen=True):
    """A chunk of a stream, or a whole reply."""

    usage: ToldUsage | None = None


class SaidLogprob(Struct, frozen=True):
    """A token and how likely it was."""

    token: str
    logprob: float
    bytes: tuple[int, ...] | None = None
    top_logprobs: tuple[SaidLogprob, ...] | None = None


class SaidLogprobs(Struct, frozen=True):
    """The tokens of a choice."""

    content: list[SaidLogprob] | None = None


class UrlCitation(Struct, frozen=True):
    """A source with an address."""

    url: str = ""
    title: str | None = None
    content: str | None = None
    start_index: int | None = None
    end_index: int | None = None


class Annotation(Struct, frozen=True):
    """What stands beside a text."""

    url_citation: UrlCitation | None = None

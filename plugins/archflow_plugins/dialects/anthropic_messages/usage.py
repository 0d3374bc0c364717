"""The counts of Messages.

Rule: `input_tokens` of Anthropic leaves out what was read from or written to the prompt cache; ours counts it in.
"""

from __future__ import annotations

from msgspec import Struct

from archflow_schema.events import Usage


class Details(Struct, frozen=True):
    """`output_tokens_details`."""

    thinking_tokens: int | None = None


class Counts(Struct, frozen=True):
    """`usage` of a reply."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    output_tokens_details: Details | None = None
    service_tier: str | None = None


class Told(Struct, frozen=True, omit_defaults=True):
    """`usage` as we write it."""

    input_tokens: int
    output_tokens: int
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    output_tokens_details: Details | None = None
    service_tier: str | None = None


def usage_of(told: Counts) -> Usage:
    """Usage as all dialects tell it."""
    fresh, output = told.input_tokens or 0, told.output_tokens or 0
    cached, written = told.cache_read_input_tokens or 0, told.cache_creation_input_tokens or 0
    details = told.output_tokens_details
    thought = (details and details.thinking_tokens) or 0
    if fresh < 0 or output < 0 or cached < 0 or written < 0 or thought < 0:  # nobody's count
        fresh, output, cached, written, thought = (
            max(0, one) for one in (fresh, output, cached, written, thought)
        )
    return Usage(
        input_tokens=fresh + cached + written,
        output_tokens=output,
        cached_tokens=cached,
        cache_written_tokens=written,
        reasoning_tokens=thought,
    )


def told_of(usage: Usage | None, tier: str | None = None) -> Told:
    """Usage as Anthropic tells it."""
    if usage is None:
        return Told(0, 0, service_tier=tier)
    cached, written = usage.cached_tokens, usage.cache_written_tokens
    fresh = usage.input_tokens - cached - written
    return Told(
        fresh if fresh > 0 else 0,  # noqa: FURB136 - max() costs what all of this does
        usage.output_tokens,
        written,
        cached,
        Details(usage.reasoning_tokens) if usage.reasoning_tokens else None,
        tier,
    )


def larger(one: Counts, other: Counts) -> Counts:
    """The newer of two, count by count."""
    return Counts(
        max(one.input_tokens or 0, other.input_tokens or 0),
        max(one.output_tokens or 0, other.output_tokens or 0),
        max(one.cache_read_input_tokens or 0, other.cache_read_input_tokens or 0),
        max(one.cache_creation_input_tokens or 0, other.cache_creation_input_tokens or 0),
        other.output_tokens_details or one.output_tokens_details,
        other.service_tier or one.service_tier,
    )

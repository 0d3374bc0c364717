"""The words of Converse that the request and the reply share: blocks, names, reasons, thoughts.

Source: botocore's service model of bedrock-runtime, 1.44 (2026-11).
"""

from __future__ import annotations

import binascii
import hashlib
import re
from base64 import b64decode, b64encode

import msgspec
from msgspec import Raw, Struct

from archflow_plugins.dialects.sealed import Proof, unwrap, wrap
from archflow_schema.conversation import Citation, ReasoningPart
from archflow_schema.events import StopReason, Usage

NAME = "bedrock_converse"
CLAUDES = frozenset({NAME, "anthropic_messages"})
"""The dialects whose providers take each other's proofs of thought: both serve Claude."""

STOP_REASONS: dict[str, StopReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    "refusal": "refusal",
    "malformed_model_output": "error",
    "malformed_tool_use": "error",
}
WORDS: dict[StopReason, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "content_filtered",
    "refusal": "content_filtered",
    "pause": "end_turn",
    "error": "malformed_model_output",
}


class ReasoningText(Struct, frozen=True):
    """Thoughts that are shown, and what proves them."""

    text: str = ""
    signature: str | None = None


class ToldText(Struct, frozen=True):
    """A piece of a source's words."""

    text: str | None = None


class Web(Struct, frozen=True):
    """A page that is cited."""

    url: str | None = None


class InDocument(Struct, frozen=True, rename="camel"):
    """A place in one of the request's documents."""

    document_index: int | None = None


class Location(Struct, frozen=True, rename="camel"):
    """Where the cited words stand: one of these."""

    web: Web | None = None
    document_char: InDocument | None = None
    document_page: InDocument | None = None
    document_chunk: InDocument | None = None


class ToldCitation(Struct, frozen=True, rename="camel"):
    """A citation, as far as other dialects understand it."""

    title: str | None = None
    source: str | None = None
    source_content: list[ToldText] | None = None
    location: Location | None = None


class ToldUsage(Struct, frozen=True, rename="camel"):
    """Tokens, as Converse tells them; `input_tokens` leaves out what was read from or written to the prompt cache."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None


_decode_citation = msgspec.json.Decoder(ToldCitation).decode


def citation_of(raw: Raw) -> Citation:
    """A citation, kept whole beside what other dialects understand of it.

    Raises:
        DecodeError: it is none.
    """
    told = _decode_citation(raw)
    place = told.location or Location()
    inside = place.document_char or place.document_page or place.document_chunk
    return Citation(
        url=(place.web and place.web.url) or "",
        title=told.title or "",
        cited="".join(one.text or "" for one in told.source_content or ()),
        document=-1 if inside is None or inside.document_index is None else inside.document_index,
        origin=NAME,
        raw=raw,
    )


def say_citation(citation: Citation) -> object:
    """A citation in Converse's words."""
    if citation.origin == NAME:
        return citation.raw
    said: dict[str, object] = {}
    if citation.title:
        said["title"] = citation.title
    if citation.cited:
        said["sourceContent"] = [{"text": citation.cited}]
    if citation.url:
        said["location"] = {"web": {"url": citation.url}}
    elif citation.document >= 0:
        said["location"] = {"documentChar": {"documentIndex": citation.document}}
    return said


def usage_of(told: ToldUsage) -> Usage:
    """Usage as all dialects tell it."""
    cached, written = max(0, told.cache_read_input_tokens or 0), max(0, told.cache_write_input_tokens or 0)
    return Usage(
        input_tokens=max(0, told.input_tokens or 0) + cached + written,
        output_tokens=max(0, told.output_tokens or 0),
        cached_tokens=cached,
        cache_written_tokens=written,
    )


def say_usage(usage: Usage) -> dict[str, int]:
    """Usage in Converse's words."""
    said = {
        "inputTokens": max(0, usage.input_tokens - usage.cached_tokens - usage.cache_written_tokens),
        "outputTokens": usage.output_tokens,
        "totalTokens": usage.input_tokens + usage.output_tokens,
    }
    if usage.cached_tokens:
        said["cacheReadInputTokens"] = usage.cached_tokens
    if usage.cache_written_tokens:
        said["cacheWriteInputTokens"] = usage.cache_written_tokens
    return said


def thought(text: ReasoningText | None, redacted: str | None) -> ReasoningPart | None:
    """A `reasoningContent` block; a proof that another provider made comes out of its wrapping."""
    if redacted:
        foreign = unwrap(_unblob(redacted))
        if foreign is None:
            return ReasoningPart(sealed=redacted, origin=NAME)
        return _foreign(*foreign, text="")
    if text is None:
        return None
    signature = text.signature or ""
    foreign = unwrap(signature)
    if foreign is None:
        return ReasoningPart(text=text.text, signature=signature, origin=NAME)
    return _foreign(*foreign, text=text.text)


def _foreign(origin: str, proof: Proof, *, text: str) -> ReasoningPart:
    return ReasoningPart(
        text=text or proof.text, signature=proof.signature, sealed=proof.sealed, id=proof.id, origin=origin
    )


def carried_signature(signature: str, item: str, origin: str) -> str:
    """What stands in `signature` for a client, whoever made the proof."""
    if origin in CLAUDES or not (signature or item):
        return signature
    return wrap(origin, Proof(signature=signature, id=item))


def carried_seal(sealed: str, item: str, origin: str) -> str:
    """What stands in `redactedContent` (base64) for a client, whoever sealed the thoughts."""
    if origin in CLAUDES:
        return sealed
    return b64encode(wrap(origin, Proof(sealed=sealed, id=item)).encode("ascii")).decode("ascii")


def _unblob(data: str) -> str:
    try:
        return b64decode(data).decode("ascii")
    except (binascii.Error, ValueError):
        return ""


TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_NOT_IN_ID = re.compile(r"[^a-zA-Z0-9_.:-]")
_ID_AT_MOST = 64


def tool_id(name: str) -> str:
    """A tool call's id as Converse takes it: other characters become `_`, a long one ends in its digest."""
    clean = _NOT_IN_ID.sub("_", name) or "_"
    if len(clean) <= _ID_AT_MOST:
        return clean
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{clean[: _ID_AT_MOST - 17]}_{digest}"

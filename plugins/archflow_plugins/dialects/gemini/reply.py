"""Reads a reply of Google's dialect, whole or as a stream, into events.

A stream is a row of chunks, each shaped like a whole reply; nothing marks the last, and some models say in every chunk
why they stopped. So what ends a choice is told when the body ends.

Rule: a call without an id gets one from the reply's id and its place, so that no two of a conversation are alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Raw, Struct

from archflow_plugins.dialects.gemini import wire
from archflow_plugins.dialects.gemini.media import ORIGIN
from archflow_plugins.dialects.gemini.tap import usage_of
from archflow_plugins.dialects.json_body import BAD_JSON, encode
from archflow_plugins.dialects.whole_body import WholeBody
from archflow_plugins.framing.sse import Splitter
from archflow_schema.conversation import Citation
from archflow_schema.errors import UpstreamProtocolError
from archflow_schema.events import (
    CitationFound,
    Event,
    Failed,
    Finished,
    ReasoningDelta,
    Started,
    Stopped,
    StopReason,
    TextDelta,
    TokenLogprob,
    ToolCallDelta,
    UsageReported,
)

REASONS: dict[str, StopReason] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "LANGUAGE": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    "CONTINUATION": "pause",
}
"""`finishReason` -> reason. The others - MALFORMED_FUNCTION_CALL, OTHER and the like - are the model's failures."""
_UNSPECIFIED = frozenset({"", "FINISH_REASON_UNSPECIFIED"})
_ODD = re.compile(r"[^A-Za-z0-9_-]")


class _Choice(Struct):
    """What is known of one candidate so far.

    Attributes:
        block: number of the newest block; -1 before the first.
        kind: what the newest block is: text, thought, call; empty where the next part begins a new one.
        calls: how many tools were called.
        reason, detail: why it stopped.
        texts: its answer, for citations, which count in it.
        sources: what it rests on.
    """

    block: int = -1
    kind: str = ""
    text_block: int = 0
    calls: int = 0
    reason: str = ""
    detail: str = ""
    texts: list[str] = []
    sources: list[tuple[Citation, int, int]] = []


class ReplyReader:
    """A reader for one reply."""

    def __init__(self, *, stream: bool) -> None:
        self._splitter = Splitter() if stream else None
        self._whole = WholeBody()
        self._choices: dict[int, _Choice] = {}
        self._id = ""
        self._usage: wire.UsageMetadata | None = None
        self._blocked = ""
        self._over = False
        self._began = False
        self._broken: UpstreamProtocolError | None = None

    def feed(self, data: bytes) -> list[Event]:
        if self._splitter is None:
            return self._whole.feed(data)
        if self._broken is not None:
            raise self._broken
        events: list[Event] = []
        for one in self._splitter.feed(data):
            if self._over:
                break
            try:
                chunk = wire.decode_chunk(one.data)
            except BAD_JSON as error:
                self._broken = UpstreamProtocolError(
                    f"a chunk of the upstream's reply is not understood: {error}"
                )
                if not events:
                    raise self._broken from error
                break  # what was said before counts
            self._take(chunk, events)
        return events

    def end(self) -> list[Event]:
        if self._broken is not None:
            raise self._broken
        events: list[Event] = []
        if self._splitter is None:
            try:
                found = wire.decode_chunks(self._whole.body())
            except BAD_JSON as error:
                raise UpstreamProtocolError(f"the upstream's reply is not understood: {error}") from error
            for chunk in [found] if isinstance(found, wire.Chunk) else found:
                if not self._over:
                    self._take(chunk, events)
        if self._over:
            return events
        self._over = True
        events += self._stops()
        if self._usage is not None:
            events.append(UsageReported(usage_of(self._usage)))
        events.append(Finished())
        return events

    def _take(self, chunk: wire.Chunk, events: list[Event]) -> None:
        if chunk.error is not None:
            self._over = True
            words = chunk.error.message or "the upstream gave no reason"
            events.append(Failed((chunk.error.status or "upstream_failed").lower(), words))
            return
        if not self._began:
            self._began = True
            self._id = chunk.response_id or ""
            events.append(
                Started(id=self._id, model=chunk.model_version or "", service_tier=chunk.service_tier or "")
            )
        for candidate in chunk.candidates or ():
            number = max(candidate.index or 0, 0)
            choice = self._choices.get(number)
            if choice is None:
                choice = self._choices[number] = _Choice()
            self._said(candidate, number, choice, events)
        if chunk.usage_metadata is not None:
            self._usage = chunk.usage_metadata
        feedback = chunk.prompt_feedback
        if feedback is not None and feedback.block_reason:
            self._blocked = ": ".join(
                word for word in (feedback.block_reason, feedback.block_reason_message) if word
            )

    def _said(self, candidate: wire.Candidate, number: int, choice: _Choice, events: list[Event]) -> None:
        logprobs = _logprobs(candidate.logprobs_result) if candidate.logprobs_result is not None else ()
        content = candidate.content
        for part in (content.parts if content is not None else None) or ():
            text = part.text
            if text is not None and not part.thought:
                if text or logprobs:
                    if choice.kind != "text":
                        choice.kind = "text"
                        choice.block += 1
                    choice.text_block = choice.block
                    choice.texts.append(text)
                    events.append(TextDelta(text, choice.block, number, logprobs))
                    logprobs = ()
                if part.thought_signature:
                    events.append(_thought("", part.thought_signature, number, choice, kind="proof"))
            elif text is not None:
                events.append(_thought(text, part.thought_signature or "", number, choice, kind="thought"))
            elif part.function_call is not None:
                events.append(self._call(part.function_call, part.thought_signature or "", number, choice))
            elif part.thought_signature:
                events.append(_thought("", part.thought_signature, number, choice, kind="proof"))
        if logprobs:
            events.append(TextDelta("", max(choice.block, 0), number, logprobs))
        if candidate.finish_reason and candidate.finish_reason not in _UNSPECIFIED:
            choice.reason = candidate.finish_reason
            choice.detail = candidate.finish_message or ""
        if candidate.grounding_metadata is not None:
            choice.sources = list(_grounded(candidate.grounding_metadata))
        if candidate.citation_metadata is not None:
            choice.sources += _recited(candidate.citation_metadata)

    def _call(self, call: wire.FunctionCall, signature: str, number: int, choice: _Choice) -> ToolCallDelta:
        index, choice.calls = choice.calls, choice.calls + 1
        choice.kind = ""
        choice.block += 1
        arguments = bytes(call.args).decode("utf-8", "replace")
        return ToolCallDelta(
            index=index,
            block=choice.block,
            choice=number,
            id=call.id or self._made(index, number),
            name=call.name or "",
            arguments="{}" if arguments == "null" else arguments,
            signature=signature,
            origin=ORIGIN if signature else "",
        )

    def _made(self, index: int, number: int) -> str:
        """An id for a call that has none; OpenAI's clients take at most 40 characters."""
        stem = _ODD.sub("_", self._id)[-26:] or "0"
        return f"call_{stem}_{index}" if number == 0 else f"call_{stem}_{number}_{index}"

    def _stops(self) -> Iterator[Event]:
        """What the choices rest on, and why each ended."""
        if not self._choices and self._blocked:
            self._choices[0] = _Choice(reason="SAFETY")
        if not any(choice.reason for choice in self._choices.values()):
            raise UpstreamProtocolError("the upstream's reply ended before it said why")
        for number, choice in self._choices.items():
            if choice.sources:
                yield from _cited(choice, number)
            reason = REASONS.get(choice.reason, "error")
            if reason == "stop" and choice.calls:
                reason = "tool_calls"
            said = (choice.reason, choice.detail) if not self._blocked else (self._blocked,)
            yield Stopped(reason, number, detail=": ".join(word for word in said if word))


def _thought(text: str, signature: str, number: int, choice: _Choice, *, kind: str) -> ReasoningDelta:
    """More of a thought; a proof of its own, as stands behind a text, is a block of its own."""
    if choice.kind != kind or kind == "proof":
        choice.kind = kind
        choice.block += 1
    return ReasoningDelta(
        text=text,
        block=choice.block,
        choice=number,
        signature=signature,
        summary=bool(text),
        origin=ORIGIN,
    )


def _logprobs(result: wire.LogprobsResult) -> tuple[TokenLogprob, ...]:
    tops = result.top_candidates or []
    return tuple(
        TokenLogprob(
            token.token or "",
            token.log_probability or 0.0,
            top=tuple(
                TokenLogprob(one.token or "", one.log_probability or 0.0)
                for one in (tops[at].candidates if at < len(tops) else None) or ()
            ),
        )
        for at, token in enumerate(result.chosen_candidates or ())
    )


def _grounded(metadata: wire.GroundingMetadata) -> Iterator[tuple[Citation, int, int]]:
    """The sources, each with the piece of the answer, in bytes, that rests on it; -1 where none is told."""
    pages = [chunk.web or chunk.retrieved_context or chunk.maps for chunk in metadata.grounding_chunks or ()]
    supports = metadata.grounding_supports or ()
    for support in supports:
        segment = support.segment or wire.Segment()
        for index in support.grounding_chunk_indices or ():
            page = pages[index] if 0 <= index < len(pages) else None
            if page is not None:
                yield _citation(page), segment.start_index or 0, _end(segment.end_index)
    if not supports:
        for page in pages:
            if page is not None:
                yield _citation(page), -1, -1


def _recited(metadata: wire.CitationMetadata) -> list[tuple[Citation, int, int]]:
    found = metadata.citations or metadata.citation_sources or ()
    return [
        (_citation(wire.Web(one.uri, one.title)), one.start_index or 0, _end(one.end_index)) for one in found
    ]


def _citation(page: wire.Web) -> Citation:
    raw = Raw(encode({"web": {"uri": page.uri or "", "title": page.title or ""}}))
    return Citation(url=page.uri or "", title=page.title or "", origin=ORIGIN, raw=raw)


def _end(end: int | None) -> int:
    return -1 if end is None else end


def _cited(choice: _Choice, number: int) -> Iterator[Event]:
    """The citations of a choice, their places counted in characters."""
    text = "".join(choice.texts).encode()
    places = _characters(text, sorted({at for _, *pair in choice.sources for at in pair}))
    for citation, start, end in choice.sources:
        found = Citation(
            url=citation.url,
            title=citation.title,
            start=places[start],
            end=places[end],
            origin=ORIGIN,
            raw=citation.raw,
        )
        yield CitationFound(found, choice.text_block, number)


def _characters(text: bytes, places: list[int]) -> dict[int, int]:
    """Places in bytes, in order -> places in characters, in one pass."""
    found: dict[int, int] = {}
    at = count = 0
    for place in places:
        if place < 0:
            found[place] = -1
            continue
        count += len(text[at:place].decode("utf-8", "replace"))
        at = max(at, min(place, len(text)))
        found[place] = count
    return found

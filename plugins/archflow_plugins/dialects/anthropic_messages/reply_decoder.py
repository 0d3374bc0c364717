"""A reply of Messages -> events: streamed or whole.

What a server of Anthropic's did (`server_tool_use`, its result) is passed over: the text that rests on it follows.

Rule: an event, block or delta of an unknown type is passed over; Anthropic promises to add some.
Rule: a stream's counts are cumulative, so the larger one is the newer one; they are told once, at the end.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Raw, Struct

from archflow_plugins.dialects.anthropic_messages.decode_blocks import citation_of
from archflow_plugins.dialects.anthropic_messages.usage import Counts, larger, usage_of
from archflow_plugins.dialects.anthropic_messages.words import NAME, REASONS, SERVED_TIER
from archflow_plugins.dialects.json_body import BAD_JSON
from archflow_plugins.dialects.whole_body import WholeBody
from archflow_plugins.framing.sse import Splitter
from archflow_plugins.translation import ReplyDecoder
from archflow_schema.errors import UpstreamProtocolError
from archflow_schema.events import (
    CitationFound,
    Event,
    Failed,
    Finished,
    Ping,
    ReasoningDelta,
    Started,
    Stopped,
    TextDelta,
    ToolCallDelta,
    UsageReported,
)

NULL = Raw(b"null")


class _Delta(Struct):
    """Of a block, or of the message."""

    type: str = ""
    text: str | None = None
    partial_json: str | None = None
    thinking: str | None = None
    signature: str | None = None
    citation: Raw = NULL
    stop_reason: str | None = None
    stop_sequence: str | None = None


class _Block(Struct):
    type: str = ""
    text: str | None = None
    citations: list[Raw] | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: Raw = NULL


class _Message(Struct):
    id: str | None = None
    model: str | None = None
    usage: Counts | None = None


class _Error(Struct):
    type: str | None = None
    message: str | None = None


class _Event(Struct):
    type: str = ""
    index: int = -1
    delta: _Delta | None = None
    content_block: Raw = NULL
    message: _Message | None = None
    usage: Counts | None = None
    error: _Error | None = None


class _Whole(_Message):
    """A whole reply, or an error where one was expected, but for what it says."""

    type: str = ""
    stop_reason: str | None = None
    stop_sequence: str | None = None
    error: _Error | None = None


class _Reply(_Whole):
    content: list[_Block] | None = None


class _OddReply(_Whole):
    """One among whose blocks are some of a type that is unknown here, with fields of our names and other types."""

    content: list[Raw] | None = None


class _Type(Struct):
    type: str = ""
    delta: Raw = NULL


_decode_event = msgspec.json.Decoder(_Event).decode
_decode_type = msgspec.json.Decoder(_Type).decode
_decode_reply = msgspec.json.Decoder(_Reply).decode
_decode_odd_reply = msgspec.json.Decoder(_OddReply).decode
_decode_block = msgspec.json.Decoder(_Block).decode
_TYPES = frozenset({
    "content_block_delta", "content_block_start", "content_block_stop", "message_start", "message_delta",
    "message_stop", "error", "ping",
})  # fmt: skip
_DELTAS = frozenset(
    {"text_delta", "input_json_delta", "thinking_delta", "signature_delta", "citations_delta"}
)
_BLOCKS = frozenset({"text", "thinking", "redacted_thinking", "tool_use"})


class _Open:
    """A block that has begun: its number among ours, and if it is a call, which and what it began with."""

    __slots__ = ("began", "block", "call")

    def __init__(self, block: int, call: int, began: Raw) -> None:
        self.block = block
        self.call = call
        self.began: Raw | None = began


class StreamDecoder:
    """Reads a streamed reply."""

    def __init__(self) -> None:
        self._split = Splitter().feed
        self._blocks: dict[int, _Open] = {}
        self._begun = 0
        self._calls = 0
        self._counts: Counts | None = None
        self._stopped = False
        self._over = False

    def feed(self, data: bytes) -> list[Event]:
        found: list[Event] = []
        for framed in self._split(data):
            if self._over:
                break
            try:
                event = _decode_event(framed.data)
                if event.type == "content_block_delta":
                    if event.delta is not None:
                        self._delta(event.delta, event.index, found)
                elif event.type in _TYPES:
                    self._other(event, found)
            except BAD_JSON as error:
                if _known(framed.data):
                    raise UpstreamProtocolError(
                        f"an event of the stream is not understood: {error}"
                    ) from error
        return found

    def end(self) -> list[Event]:
        if self._over:
            return []
        if not self._stopped:
            raise UpstreamProtocolError("the stream ended before its message was complete")
        return self._finish()

    def _delta(self, delta: _Delta, index: int, found: list[Event]) -> None:
        opened = self._blocks.get(index)
        if opened is None:
            return
        match delta.type:
            case "text_delta":
                if delta.text:
                    found.append(TextDelta(delta.text, opened.block))
            case "input_json_delta":
                if delta.partial_json and opened.call >= 0:
                    opened.began = None
                    found.append(
                        ToolCallDelta(index=opened.call, block=opened.block, arguments=delta.partial_json)
                    )
            case "thinking_delta":
                if delta.thinking:
                    found.append(ReasoningDelta(delta.thinking, opened.block, origin=NAME))
            case "signature_delta":
                if delta.signature:
                    found.append(ReasoningDelta("", opened.block, signature=delta.signature, origin=NAME))
            case "citations_delta":
                found += _citations((delta.citation,), opened.block)

    def _other(self, event: _Event, found: list[Event]) -> None:
        match event.type:
            case "content_block_start":
                if _kind(event.content_block) in _BLOCKS:
                    self._begin(_decode_block(event.content_block), event.index, found)
            case "content_block_stop":
                opened = self._blocks.pop(event.index, None)
                if opened is not None and opened.call >= 0 and opened.began is not None:
                    found.append(_all_arguments(opened))
            case "message_start":
                message = event.message or _Message()
                self._count(message.usage)
                found.append(_started(message))
            case "message_delta":
                self._count(event.usage)
                if event.delta is not None and event.delta.stop_reason and not self._stopped:
                    self._stopped = True
                    found.append(_stopped(event.delta.stop_reason, event.delta.stop_sequence))
            case "message_stop":
                found += self._finish()
            case "error":
                self._over = True
                found.append(_failed(event.error))
            case "ping":
                found.append(Ping())

    def _begin(self, block: _Block, index: int, found: list[Event]) -> None:
        call = -1
        if block.type == "tool_use":
            call = self._calls
            self._calls += 1
        opened = self._blocks[index] = _Open(self._begun, call, block.input)
        self._begun += 1
        found += _whole_block(block, opened)

    def _count(self, told: Counts | None) -> None:
        if told is not None:
            self._counts = told if self._counts is None else larger(self._counts, told)

    def _finish(self) -> list[Event]:
        self._over = True
        found: list[Event] = [] if self._stopped else [Stopped("stop")]
        if self._counts is not None:
            found.append(UsageReported(usage_of(self._counts)))
        found.append(Finished())
        return found


class WholeDecoder(WholeBody):
    """Reads a whole reply, once it is there."""

    def end(self) -> list[Event]:
        reply, blocks = _read(self.body())
        if reply.type == "error" or (reply.error is not None and reply.content is None):
            return [_failed(reply.error)]
        if reply.content is None:
            raise UpstreamProtocolError("the reply is not a message: it lacks `content`")
        found: list[Event] = [_started(reply)]
        calls = number = 0
        for block in blocks:
            if block.type not in _BLOCKS:
                continue
            if block.type == "tool_use":
                opened = _Open(number, calls, block.input)
                calls += 1
                found += _whole_block(block, opened)
                found.append(_all_arguments(opened))
            else:
                found += _whole_block(block, _Open(number, -1, NULL))
            number += 1
        found.append(_stopped(reply.stop_reason or "end_turn", reply.stop_sequence))
        if reply.usage is not None:
            found.append(UsageReported(usage_of(reply.usage)))
        found.append(Finished())
        return found


def _read(body: bytes) -> tuple[_Reply | _OddReply, Sequence[_Block]]:
    """A whole reply and its blocks."""
    try:
        try:
            reply = _decode_reply(body)
        except msgspec.ValidationError:
            odd = _decode_odd_reply(body)
            return odd, [_decode_block(raw) for raw in odd.content or () if _kind(raw) in _BLOCKS]
    except BAD_JSON as error:
        raise UpstreamProtocolError(f"the reply is not a message: {error}") from error
    return reply, reply.content or ()


def _whole_block(block: _Block, opened: _Open) -> Sequence[Event]:
    """What a block says when it begins: in a stream mostly nothing, in a whole reply everything but arguments."""
    number = opened.block
    if block.type == "text":
        text = [TextDelta(block.text, number)] if block.text else []
        return [*text, *_citations(block.citations, number)] if block.citations else text
    if block.type == "tool_use":
        return [ToolCallDelta(index=opened.call, block=number, id=block.id or "", name=block.name or "")]
    if block.type == "redacted_thinking":
        return [ReasoningDelta("", number, sealed=block.data or "", origin=NAME)] if block.data else []
    if not block.thinking and not block.signature:
        return []
    return [ReasoningDelta(block.thinking or "", number, signature=block.signature or "", origin=NAME)]


def _all_arguments(opened: _Open) -> ToolCallDelta:
    """The arguments of a call that were not streamed; a call without any has an empty object."""
    began = opened.began or NULL
    arguments = "{}" if bytes(began) == b"null" else bytes(began).decode()
    return ToolCallDelta(index=opened.call, block=opened.block, arguments=arguments)


def _citations(found: Sequence[Raw], block: int) -> list[Event]:
    events: list[Event] = []
    for raw in found:
        try:
            events.append(CitationFound(citation_of(raw), block))
        except BAD_JSON:  # of a form that we do not know: the text stands without it
            continue
    return events


def _started(message: _Message) -> Started:
    tier = (message.usage and message.usage.service_tier) or ""
    return Started(id=message.id or "", model=message.model or "", service_tier=SERVED_TIER.get(tier, tier))


def _stopped(reason: str, sequence: str | None) -> Stopped:
    return Stopped(REASONS.get(reason, "stop"), sequence=sequence or "", detail=reason)


def _failed(error: _Error | None) -> Failed:
    told = error or _Error()
    kind = (told.type or "").removesuffix("_error")
    code = f"upstream_{kind}" if kind and kind != "api" else "upstream_failed"
    return Failed(code, told.message or "the upstream gave up without saying why")


def _known(data: bytes) -> bool:
    """Whether an event that does not fit is one that we must understand; what is no JSON object is."""
    try:
        event = _decode_type(data)
        delta = _decode_type(event.delta).type if event.type == "content_block_delta" else ""
    except BAD_JSON:
        return True
    return delta in _DELTAS if delta else event.type in _TYPES


def _kind(raw: Raw) -> str:
    return _decode_type(raw).type


def reply_decoder(*, stream: bool) -> ReplyDecoder:
    """A reader for one reply."""
    return StreamDecoder() if stream else WholeDecoder()

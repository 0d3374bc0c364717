"""Replies of Converse and ConverseStream, read into events.

Source: botocore's service model of bedrock-runtime, 1.44 (2026-11).

Rule: a block may begin without its `contentBlockStart`, as texts and thoughts do; a tool call without it has no name
and is an error.
Rule: what the model's own vendor ran (server tools and their results) is no call of the client's, and is left out.
Rule: a block's number is its place among the blocks that are told, whatever `contentBlockIndex` says.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from msgspec import Raw, Struct

from archflow_plugins.dialects.bedrock_converse.words import (
    NAME,
    STOP_REASONS,
    ReasoningText,
    ToldUsage,
    citation_of,
    thought,
    usage_of,
)
from archflow_plugins.dialects.json_body import BAD_JSON
from archflow_plugins.dialects.whole_body import WholeBody
from archflow_plugins.framing.aws_event_stream import Frame, Splitter
from archflow_plugins.translation import ReplyDecoder
from archflow_schema.errors import UpstreamProtocolError
from archflow_schema.events import (
    CitationFound,
    Event,
    Failed,
    Finished,
    ReasoningDelta,
    Started,
    Stopped,
    TextDelta,
    ToolCallDelta,
    UsageReported,
)

_LAST = frozenset({Finished, Failed})
_SERVER_TOOL = "server_tool_use"
CODES = {
    "throttlingException": "rate_limit_exceeded",
    "validationException": "invalid_request",
    "serviceUnavailableException": "overloaded",
    "modelStreamErrorException": "upstream_failed",
    "internalServerException": "upstream_failed",
}
"""Bedrock's exceptions in mid-stream -> our codes."""


class _ToolUseStart(Struct, rename="camel"):
    tool_use_id: str
    name: str
    type: str | None = None


class _Start(Struct, rename="camel"):
    tool_use: _ToolUseStart | None = None


class _BlockStart(Struct, rename="camel"):
    start: _Start
    content_block_index: int = 0


class _ToolUseDelta(Struct):
    input: str = ""


class _ReasoningDelta(Struct, rename="camel"):
    text: str | None = None
    signature: str | None = None
    redacted_content: str | None = None


class _Delta(Struct, rename="camel"):
    text: str | None = None
    tool_use: _ToolUseDelta | None = None
    reasoning_content: _ReasoningDelta | None = None
    citation: Raw = Raw(b"")


class _BlockDelta(Struct, rename="camel"):
    delta: _Delta
    content_block_index: int = 0


class _BlockStop(Struct, rename="camel"):
    content_block_index: int = 0


class _StopFields(Struct):
    stop_sequence: str | None = None
    delta: _StopFields | None = None


class _MessageStop(Struct, rename="camel"):
    stop_reason: str = ""
    additional_model_response_fields: Raw = Raw(b"null")


class _Metadata(Struct):
    usage: ToldUsage | None = None


class _Exception(Struct, rename="camel"):
    message: str | None = None
    original_message: str | None = None


class _ToolUse(Struct, rename="camel"):
    tool_use_id: str
    name: str
    input: Raw = Raw(b"{}")
    type: str | None = None


class _Reasoning(Struct, rename="camel"):
    reasoning_text: ReasoningText | None = None
    redacted_content: str | None = None


class _CitedText(Struct):
    text: str | None = None


class _Cited(Struct):
    content: list[_CitedText] | None = None
    citations: list[Raw] | None = None


class _Content(Struct, rename="camel"):
    text: str | None = None
    tool_use: _ToolUse | None = None
    reasoning_content: _Reasoning | None = None
    citations_content: _Cited | None = None


class _Message(Struct):
    content: list[_Content]


class _Output(Struct):
    message: _Message


class _Tier(Struct):
    type: str | None = None


class _Reply(Struct, rename="camel"):
    output: _Output
    stop_reason: str = ""
    usage: ToldUsage | None = None
    service_tier: _Tier | None = None
    additional_model_response_fields: Raw = Raw(b"null")


_decode_block_start = msgspec.json.Decoder(_BlockStart).decode
_decode_block_delta = msgspec.json.Decoder(_BlockDelta).decode
_decode_block_stop = msgspec.json.Decoder(_BlockStop).decode
_decode_message_stop = msgspec.json.Decoder(_MessageStop).decode
_decode_metadata = msgspec.json.Decoder(_Metadata).decode
_decode_exception = msgspec.json.Decoder(_Exception).decode
_decode_stop_fields = msgspec.json.Decoder(_StopFields | None).decode
_decode_reply = msgspec.json.Decoder(_Reply).decode


class StreamDecoder:
    """Reads the frames of one ConverseStream reply."""

    def __init__(self) -> None:
        self._frames = Splitter()
        self._started = False
        self._stopped = False
        self._over = False
        self._numbers: dict[int, int] = {}
        self._calls: dict[int, _Call | None] = {}
        self._counted = 0
        self._readers: dict[str, Callable[[bytes], list[Event]]] = {
            "contentBlockDelta": self._delta,
            "contentBlockStart": self._block_start,
            "contentBlockStop": self._block_stop,
            "messageStart": self._message_start,
            "messageStop": self._message_stop,
            "metadata": self._metadata,
        }

    def feed(self, data: bytes) -> list[Event]:
        """The events that these bytes complete."""
        if self._over:
            return []
        events: list[Event] = []
        for frame in self._frames.feed(data):
            reader = self._readers.get(frame.headers.name)
            try:
                if frame.headers.message_type != "event":
                    events += self._failed(frame)
                elif reader is not None:
                    events += reader(frame.payload)
            except BAD_JSON as error:
                raise UpstreamProtocolError(
                    f"an event {frame.headers.name[:40]!r} of the stream is not understood: {error}"
                ) from error
            if events and type(events[-1]) in _LAST:
                break
        return events

    def end(self) -> list[Event]:
        """The body ended."""
        if self._over:
            return []
        self._frames.end()
        if not self._stopped:
            raise UpstreamProtocolError("the event stream ended before its message was complete")
        self._over = True
        return [Finished()]

    def _message_start(self, _: bytes) -> list[Event]:
        if self._started:
            return []
        self._started = True
        return [Started()]

    def _delta(self, payload: bytes) -> list[Event]:
        told = _decode_block_delta(payload)
        delta, index = told.delta, told.content_block_index
        number = self._numbers.get(index)
        if number is None:
            number = self._number(index)
        if delta.text is not None:
            return self._first(TextDelta(delta.text, number))
        if delta.tool_use is not None:
            return self._call_delta(index, number, delta.tool_use.input)
        if delta.reasoning_content is not None:
            return self._first(_thought_delta(delta.reasoning_content, number))
        if bytes(delta.citation) not in {b"", b"null"}:
            return self._first(CitationFound(citation_of(delta.citation), number))
        return []

    def _number(self, index: int) -> int:
        number = self._numbers[index] = len(self._numbers)
        return number

    def _first(self, event: Event) -> list[Event]:
        """An event, after Started if the upstream did not say that it starts."""
        if self._started:
            return [event]
        self._started = True
        return [Started(), event]

    def _block_start(self, payload: bytes) -> list[Event]:
        told = _decode_block_start(payload)
        use, index = told.start.tool_use, told.content_block_index
        if use is None:
            return []
        if use.type == _SERVER_TOOL:
            self._calls[index] = None
            return []
        number = self._number(index)
        call = self._calls[index] = _Call(self._counted)
        self._counted += 1
        return self._first(ToolCallDelta(index=call.index, block=number, id=use.tool_use_id, name=use.name))

    def _call_delta(self, index: int, number: int, arguments: str) -> list[Event]:
        if index not in self._calls:
            raise UpstreamProtocolError("a tool call of the stream has no contentBlockStart, which names it")
        call = self._calls[index]
        if call is None or not arguments:
            return []
        call.empty = False
        return [ToolCallDelta(index=call.index, block=number, arguments=arguments)]

    def _block_stop(self, payload: bytes) -> list[Event]:
        index = _decode_block_stop(payload).content_block_index
        call = self._calls.get(index)
        if call is None or not call.empty:
            return []
        call.empty = False
        return [ToolCallDelta(index=call.index, block=self._numbers[index], arguments="{}")]

    def _message_stop(self, payload: bytes) -> list[Event]:
        if self._stopped:
            return []
        told = _decode_message_stop(payload)
        self._stopped = True
        return self._first(_stopped(told.stop_reason, told.additional_model_response_fields))

    def _metadata(self, payload: bytes) -> list[Event]:
        told = _decode_metadata(payload)
        events: list[Event] = [UsageReported(usage_of(told.usage))] if told.usage is not None else []
        if self._stopped:  # it is the last one, and the client need not wait for the connection's end
            self._over = True
            events.append(Finished())
        return events

    def _failed(self, frame: Frame) -> list[Event]:
        self._over = True
        name = frame.headers.name
        try:
            told = _decode_exception(frame.payload)
            message = told.original_message or told.message
        except BAD_JSON:
            message = None
        message = (
            message or frame.headers.text(":error-message") or f"Bedrock gave up: {name or 'no reason told'}"
        )
        return [Failed(CODES.get(name, "upstream_failed"), message)]


class _Call:
    """A tool call whose arguments come in; without any, it is `{}`."""

    __slots__ = ("empty", "index")

    def __init__(self, index: int) -> None:
        self.index = index
        self.empty = True


class WholeDecoder(WholeBody):
    """Reads one Converse reply."""

    def end(self) -> list[Event]:
        """Everything."""
        try:
            reply = _decode_reply(self.body())
            return _whole(reply)
        except BAD_JSON as error:
            raise UpstreamProtocolError(f"the reply of Converse is not understood: {error}") from error


def _whole(reply: _Reply) -> list[Event]:
    tier = reply.service_tier
    events: list[Event] = [Started(service_tier=(tier and tier.type) or "")]
    calls = block = 0
    for content in reply.output.message.content:
        use = content.tool_use
        if content.text is not None:
            events.append(TextDelta(content.text, block))
        elif use is not None and use.type != _SERVER_TOOL:
            arguments = bytes(use.input).decode("utf-8")
            events.append(
                ToolCallDelta(
                    index=calls, block=block, id=use.tool_use_id, name=use.name, arguments=arguments
                )
            )
            calls += 1
        elif content.reasoning_content is not None:
            events += _thought(content.reasoning_content, block)
        elif content.citations_content is not None:
            events += _cited(content.citations_content, block)
        else:
            continue
        block += 1
    events.append(_stopped(reply.stop_reason, reply.additional_model_response_fields))
    if reply.usage is not None:
        events.append(UsageReported(usage_of(reply.usage)))
    events.append(Finished())
    return events


def _thought(told: _Reasoning, block: int) -> list[Event]:
    found = thought(told.reasoning_text, told.redacted_content)
    if found is None:
        return []
    return [
        ReasoningDelta(
            text=found.text,
            block=block,
            signature=found.signature,
            sealed=found.sealed,
            id=found.id,
            origin=found.origin,
        )
    ]


def _thought_delta(told: _ReasoningDelta, block: int) -> Event:
    return ReasoningDelta(
        text=told.text or "",
        block=block,
        signature=told.signature or "",
        sealed=told.redacted_content or "",
        origin=NAME,
    )


def _cited(told: _Cited, block: int) -> list[Event]:
    text = "".join(one.text or "" for one in told.content or ())
    return [
        TextDelta(text, block),
        *(CitationFound(citation_of(raw), block) for raw in told.citations or ()),
    ]


def _stopped(reason: str, fields: Raw) -> Stopped:
    try:
        told = _decode_stop_fields(fields)
    except BAD_JSON:  # another model's own fields
        told = None
    inner = (told and told.delta) or told
    sequence = (inner and inner.stop_sequence) or ""
    return Stopped(STOP_REASONS.get(reason, "stop"), sequence=sequence, detail=reason)


def reply_decoder(*, stream: bool) -> ReplyDecoder:
    """A reader for one reply."""
    return StreamDecoder() if stream else WholeDecoder()

"""Replies to a client that speaks Converse, whole, or as the frames of ConverseStream.

Source: botocore's service model of bedrock-runtime, 1.44 (2026-11).

Rule: `contentBlockStart` is sent for tool calls only, as Bedrock does; blocks are closed before the next one begins.
Rule: Converse gives one answer: other choices than the first are not told.
Rule: `metrics.latencyMs` is the time from the upstream's first word to its last.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import msgspec
from msgspec import Raw

from archflow_plugins.dialects.bedrock_converse.frames import exception, headers
from archflow_plugins.dialects.bedrock_converse.words import (
    WORDS,
    carried_seal,
    carried_signature,
    say_citation,
    say_usage,
)
from archflow_plugins.dialects.in_turn import InTurn
from archflow_plugins.dialects.json_body import BAD_JSON, encode
from archflow_plugins.framing import aws_event_stream
from archflow_plugins.framing.aws_event_stream import encode as frame
from archflow_schema.conversation import Citation
from archflow_schema.events import (
    CitationFound,
    Event,
    Failed,
    Finished,
    ReasoningDelta,
    RefusalDelta,
    Started,
    Stopped,
    TextDelta,
    ToolCallDelta,
    Usage,
    UsageReported,
)

_EVENTS = {
    name: headers("event", ":event-type", name)
    for name in (
        "messageStart",
        "contentBlockStart",
        "contentBlockDelta",
        "contentBlockStop",
        "messageStop",
        "metadata",
    )
}
_DELTA = _EVENTS["contentBlockDelta"]
_START = frame(_EVENTS["messageStart"], b'{"role":"assistant"}')


class StreamEncoder:
    """Writes the frames of one reply."""

    content_type = aws_event_stream.CONTENT_TYPE

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self._open = -1
        self._tail = b""
        self._turn = InTurn()
        self._calls: set[int] = set()
        self._usage: Usage | None = None
        self._started = False

    def feed(self, events: Sequence[Event]) -> bytes:
        """The frames that these events make."""
        out: list[bytes] = []
        for event in self._turn.feed(events):
            if getattr(event, "choice", 0):
                continue
            match event:
                case TextDelta() | RefusalDelta():
                    self._say(out, event.block, b'{"delta":{"text":' + encode(event.text))
                case ToolCallDelta():
                    self._call(out, event)
                case ReasoningDelta():
                    self._think(out, event)
                case CitationFound():
                    self._say(
                        out, event.block, b'{"delta":{"citation":' + encode(say_citation(event.citation))
                    )
                case Started():
                    self._start(out)
                case UsageReported():
                    self._usage = event.usage
                case Stopped():
                    self._stop(out, event)
                case Finished():
                    out.append(frame(_EVENTS["metadata"], encode(self._metadata())))
                case Failed():
                    out.append(exception(event.code, event.message))
                case _:
                    pass
        return b"".join(out)

    def _start(self, out: list[bytes]) -> None:
        if not self._started:
            self._started = True
            out.append(_START)

    def _say(self, out: list[bytes], block: int, delta: bytes) -> None:
        """A delta; `delta` is its beginning, up to the value and without what closes it."""
        if block != self._open:
            self._begin(out, block)
        out.append(frame(_DELTA, delta + self._tail))

    def _begin(self, out: list[bytes], block: int) -> None:
        self._start(out)
        self._close(out)
        self._open = block
        self._tail = b'},"contentBlockIndex":%d}' % block

    def _close(self, out: list[bytes]) -> None:
        if self._open >= 0:
            out.append(frame(_EVENTS["contentBlockStop"], b'{"contentBlockIndex":%d}' % self._open))
            self._open = -1

    def _call(self, out: list[bytes], event: ToolCallDelta) -> None:
        if event.index not in self._calls:
            self._calls.add(event.index)
            self._begin(out, event.block)
            start = {"toolUse": {"toolUseId": event.id, "name": event.name}}
            told = {"start": start, "contentBlockIndex": event.block}
            out.append(frame(_EVENTS["contentBlockStart"], encode(told)))
        if event.arguments:
            self._say(out, event.block, b'{"delta":{"toolUse":{"input":' + encode(event.arguments) + b"}")

    def _think(self, out: list[bytes], event: ReasoningDelta) -> None:
        if event.text:
            self._say(out, event.block, _thought(b"text", event.text))
        if event.sealed:
            sealed = carried_seal(event.sealed, event.id, event.origin)
            self._say(out, event.block, _thought(b"redactedContent", sealed))
        elif event.signature or event.id:
            signature = carried_signature(event.signature, event.id, event.origin)
            if signature:
                self._say(out, event.block, _thought(b"signature", signature))

    def _stop(self, out: list[bytes], event: Stopped) -> None:
        self._start(out)
        self._close(out)
        told: dict[str, object] = {"stopReason": stop_reason(event)}
        if event.sequence:
            told["additionalModelResponseFields"] = {"delta": {"stop_sequence": event.sequence}}
        out.append(frame(_EVENTS["messageStop"], encode(told)))

    def _metadata(self) -> dict[str, object]:
        latency = round((self._clock() - self._began) * 1000)
        return {"usage": say_usage(self._usage or Usage()), "metrics": {"latencyMs": latency}}


def _thought(name: bytes, value: str) -> bytes:
    return b'{"delta":{"reasoningContent":{"' + name + b'":' + encode(value) + b"}"


def stop_reason(event: Stopped) -> str:
    """Converse's word for why an answer ended."""
    return "stop_sequence" if event.sequence and event.reason == "stop" else WORDS[event.reason]


class _Block:
    """What came of one block so far."""

    __slots__ = ("call", "citations", "sealed", "signature", "text", "thoughts")

    def __init__(self) -> None:
        self.text: list[str] = []
        self.thoughts: list[str] = []
        self.signature = ""
        self.sealed = ""
        self.citations: list[Citation] = []
        self.call: tuple[str, str] | None = None

    def content(self) -> dict[str, object]:
        """The block as Converse has it."""
        if self.call is not None:
            name, identity = self.call
            return {"toolUse": {"input": _arguments("".join(self.text)), "name": name, "toolUseId": identity}}
        if self.sealed:
            return {"reasoningContent": {"redactedContent": self.sealed}}
        if self.thoughts or self.signature:
            text = {"text": "".join(self.thoughts)}
            text |= {"signature": self.signature} if self.signature else {}
            return {"reasoningContent": {"reasoningText": text}}
        said = {"text": "".join(self.text)}
        if self.citations:
            cited = [say_citation(one) for one in self.citations]
            return {"citationsContent": {"content": [said], "citations": cited}}
        return dict(said)


class WholeEncoder:
    """Writes one reply at its end."""

    content_type = "application/json"

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self._blocks: dict[int, _Block] = {}
        self._usage = Usage()
        self._stopped = Stopped("stop")
        self._tier = ""

    def feed(self, events: Sequence[Event]) -> bytes:
        """Nothing until Finished, then the reply."""
        for event in events:
            if getattr(event, "choice", 0):
                continue
            match event:
                case TextDelta() | RefusalDelta():
                    self._block(event.block).text.append(event.text)
                case ToolCallDelta():
                    block = self._block(event.block)
                    if block.call is None:
                        block.call = (event.name, event.id)
                    block.text.append(event.arguments)
                case ReasoningDelta():
                    self._think(event)
                case CitationFound():
                    self._block(event.block).citations.append(event.citation)
                case Started():
                    self._tier = event.service_tier
                case UsageReported():
                    self._usage = event.usage
                case Stopped():
                    self._stopped = event
                case Finished():
                    return self._reply()
                case Failed():
                    return encode({"__type": "ModelErrorException", "message": event.message})
                case _:
                    pass
        return b""

    def _block(self, number: int) -> _Block:
        block = self._blocks.get(number)
        if block is None:
            block = self._blocks[number] = _Block()
        return block

    def _think(self, event: ReasoningDelta) -> None:
        block = self._block(event.block)
        if event.text:
            block.thoughts.append(event.text)
        if event.sealed:
            block.sealed = carried_seal(event.sealed, event.id, event.origin)
        elif event.signature or event.id:
            block.signature = carried_signature(event.signature, event.id, event.origin) or block.signature

    def _reply(self) -> bytes:
        stopped = self._stopped
        latency = round((self._clock() - self._began) * 1000)
        reply: dict[str, object] = {
            "metrics": {"latencyMs": latency},
            "output": {
                "message": {
                    "content": [block.content() for block in self._blocks.values()],
                    "role": "assistant",
                }
            },
            "stopReason": stop_reason(stopped),
            "usage": say_usage(self._usage),
        }
        if stopped.sequence:
            reply["additionalModelResponseFields"] = {"stop_sequence": stopped.sequence}
        if self._tier in {"priority", "default", "flex", "reserved"}:
            reply["serviceTier"] = {"type": self._tier}
        return encode(reply)


def _arguments(text: str) -> object:
    """The arguments as JSON; those of a call that was cut short as the text that they are."""
    if not text.strip():
        return {}
    try:
        msgspec.json.decode(text)
    except BAD_JSON:
        return text
    return Raw(text.encode())

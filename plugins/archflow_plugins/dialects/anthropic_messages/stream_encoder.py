"""Events -> a streamed reply of Messages.

One block is open at a time, as clients expect: a new one closes the one before. Calls whose arguments come in turns
cannot all be open, so the first is streamed and what belongs to others waits for its end.

Rule: the constant half of an event is made once a block, so that a delta costs one JSON string and one join.
Invariant: every block that starts stops, in order, their indices without a gap; one `message_stop` or `error` ends it.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from archflow_plugins.dialects.anthropic_messages.encode_blocks import RedactedThinking, Text, Thinking
from archflow_plugins.dialects.anthropic_messages.reply_encoder import (
    KEPT_AT_MOST,
    Ending,
    WholeEncoder,
    begun,
    call_id,
    citation,
    failure,
)
from archflow_plugins.dialects.anthropic_messages.reply_thought import ProofGatherer
from archflow_plugins.dialects.anthropic_messages.usage import Told, told_of
from archflow_plugins.dialects.anthropic_messages.words import PING
from archflow_plugins.dialects.call_proofs import thought_before
from archflow_plugins.dialects.json_body import BAD_JSON, decode_fields, encode
from archflow_plugins.framing import sse
from archflow_plugins.kinds import Head
from archflow_plugins.translation import Answering, ReplyEncoder
from archflow_schema.errors import UpstreamProtocolError
from archflow_schema.events import (
    CitationFound,
    Event,
    Failed,
    Finished,
    Ping,
    ReasoningDelta,
    RefusalDelta,
    Started,
    Stopped,
    TextDelta,
    ToolCallDelta,
    UsageReported,
)

_MESSAGE_STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
_DELTA = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":{"type":"%b":'
_START = b'event: content_block_start\ndata: {"type":"content_block_start","index":%d,"content_block":%b}\n\n'
_STOP = b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n'
_END = b"}}\n\n"
_EMPTY_TEXT = encode(Text(""))
_EMPTY_THOUGHT = encode(Thinking("", ""))

Delta = TextDelta | RefusalDelta | ReasoningDelta | ToolCallDelta | CitationFound


class _MessageStart(Struct, frozen=True, tag_field="type", tag="message_start"):
    message: Struct


class _Stop(Struct, frozen=True):
    stop_reason: str
    stop_sequence: str | None


class _MessageDelta(Struct, frozen=True, tag_field="type", tag="message_delta"):
    delta: _Stop
    usage: Told


class _CallStart(Struct, frozen=True, tag_field="type", tag="tool_use"):
    id: str
    name: str
    input: dict[str, str]


class _Open:
    """The block that is open.

    Attributes:
        block: its number among the events'.
        kind: text, thought or call.
        index: its number on the wire; -1 until it is started there.
        prefix: the constant half of its deltas.
        arguments: of a call, as far as they came.
        proof: of a thought.
    """

    __slots__ = ("arguments", "block", "index", "kind", "prefix", "proof")

    def __init__(self, block: int, kind: str) -> None:
        self.block = block
        self.kind = kind
        self.index = -1
        self.prefix = b""
        self.arguments: list[str] = []
        self.proof = ProofGatherer()


_NONE = _Open(-1, "")


class StreamEncoder:
    """Writes a streamed reply."""

    content_type = "text/event-stream"

    def __init__(self, answering: Answering) -> None:
        self._answering = answering
        self._started = False
        self._over = False
        self._index = 0
        self._open = _NONE
        self._calls: set[int] = set()
        self._waiting: list[Delta] = []
        self._size = 0
        self._ending = Ending()

    def feed(self, events: Sequence[Event]) -> bytes:
        out: list[bytes] = []
        for event in events:
            if type(event) is TextDelta:  # nearly all events are text of the open block
                opened = self._open
                if opened.block == event.block and opened.kind == "text":
                    out += (opened.prefix, encode(event.text), _END)
                    continue
            self._event(event, out)
        return b"".join(out)

    def _event(self, event: Event, out: list[bytes]) -> None:
        if self._over:
            return
        match event:
            case TextDelta() | RefusalDelta() | ReasoningDelta() | ToolCallDelta() | CitationFound():
                self._delta(event, out)
            case Started():
                self._start(event, out)
            case UsageReported():
                self._ending.usage = event.usage
            case Stopped():
                self._close_all(out)
                self._ending.stop(event)
            case Ping():
                out.append(PING)
            case Finished():
                self._finish(out)
            case Failed():
                self._over, self._open = True, _NONE
                out.append(sse.encode(failure(event), "error"))

    def _start(self, event: Started, out: list[bytes]) -> None:
        if not self._started:
            self._started = True
            message = _MessageStart(begun(event, self._answering))
            out += (b"event: message_start\ndata: ", encode(message), b"\n\n")

    def _finish(self, out: list[bytes]) -> None:
        self._start(Started(), out)
        self._close_all(out)
        self._over = True
        ending = self._ending
        delta = _MessageDelta(_Stop(ending.reason, ending.sequence), told_of(ending.usage))
        out += (b"event: message_delta\ndata: ", encode(delta), b"\n\n", _MESSAGE_STOP)

    # Blocks.

    def _delta(self, event: Delta, out: list[bytes]) -> None:
        opened = self._open
        if opened.block != event.block and (self._waiting or not self._may_close()):
            self._wait(event)
            return
        match event:
            case TextDelta() | RefusalDelta():
                self._text(event, out)
            case ToolCallDelta():
                self._call(event, out)
            case ReasoningDelta():
                self._thought(event, out)
            case CitationFound():
                told = citation(event.citation)
                if told is not None and opened.kind == "text" and opened.block == event.block:
                    out += (_DELTA % (opened.index, b'citations_delta","citation'), told, _END)

    def _may_close(self) -> bool:
        """Whether nothing more can come of the open block: of a call, once its arguments are a JSON object."""
        if self._open.kind != "call":
            return True
        try:
            decode_fields("".join(self._open.arguments))
        except BAD_JSON:
            return False
        return True

    def _wait(self, event: Delta) -> None:
        self._waiting.append(event)
        if isinstance(event, ToolCallDelta):
            self._keep(event.arguments)
        elif not isinstance(event, CitationFound):
            self._keep(event.text)

    def _keep(self, text: str) -> None:
        self._size += len(text)
        if self._size > KEPT_AT_MOST:
            raise UpstreamProtocolError(
                f"the tool calls of a reply are larger than {KEPT_AT_MOST} characters"
            )

    def _close_all(self, out: list[bytes]) -> None:
        """Close the open block, and then write what waited, block by block."""
        self._close(out)
        waiting: dict[int, list[Delta]] = {}
        for event in self._waiting:
            waiting.setdefault(event.block, []).append(event)
        self._waiting = []
        for events in waiting.values():
            for event in events:
                self._delta(event, out)
            self._close(out)

    def _begin(self, block: int, kind: str, out: list[bytes]) -> _Open:
        self._close(out)
        self._open = _Open(block, kind)
        return self._open

    def _show(self, opened: _Open, content: bytes, field: bytes, out: list[bytes]) -> None:
        """Start a block on the wire."""
        self._start(Started(), out)
        opened.index = self._index
        self._index += 1
        opened.prefix = _DELTA % (opened.index, field)
        out.append(_START % (opened.index, content))

    def _text(self, event: TextDelta | RefusalDelta, out: list[bytes]) -> None:
        opened = self._open
        if opened.block != event.block or opened.kind != "text":
            opened = self._begin(event.block, "text", out)
            self._show(opened, _EMPTY_TEXT, b'text_delta","text', out)
        if event.text:
            out += (opened.prefix, encode(event.text), _END)

    def _call(self, event: ToolCallDelta, out: list[bytes]) -> None:
        opened = self._open
        if opened.block != event.block or opened.kind != "call":
            if event.block in self._calls:  # blanks after its last brace
                return
            self._calls.add(event.block)
            self._ending.called = True
            identity = call_id(event, self._answering)
            proof = thought_before(event, identity)
            if proof is not None:
                self._thought(proof, out)
            opened = self._begin(event.block, "call", out)
            start = encode(_CallStart(identity, event.name, {}))
            self._show(opened, start, b'input_json_delta","partial_json', out)
        if event.arguments:
            opened.arguments.append(event.arguments)
            self._keep(event.arguments)
            out += (opened.prefix, encode(event.arguments), _END)

    def _thought(self, event: ReasoningDelta, out: list[bytes]) -> None:
        opened = self._open
        if opened.block != event.block or opened.kind != "thought":
            opened = self._begin(event.block, "thought", out)
        opened.proof.add(event)
        if event.text:
            if opened.index < 0:
                self._show(opened, _EMPTY_THOUGHT, b'thinking_delta","thinking', out)
            out += (opened.prefix, encode(event.text), _END)

    def _close(self, out: list[bytes]) -> None:
        opened, self._open = self._open, _NONE
        if opened.kind == "thought":
            self._close_thought(opened, out)
        if opened.index >= 0:
            out.append(_STOP % opened.index)

    def _close_thought(self, opened: _Open, out: list[bytes]) -> None:
        """Tell what proves it; one without text is shown only now."""
        signature, data = opened.proof.signature(), opened.proof.data()
        if opened.index < 0 and data:
            self._show(opened, encode(RedactedThinking(data)), b"", out)
        elif signature and (opened.index >= 0 or opened.proof.own):
            if opened.index < 0:
                self._show(opened, _EMPTY_THOUGHT, b"", out)
            out += (_DELTA % (opened.index, b'signature_delta","signature'), encode(signature), _END)


def reply_encoder(head: Head, answering: Answering) -> ReplyEncoder:
    """A writer for one reply, in the form that the client wants it in."""
    return StreamEncoder(answering) if head.stream else WholeEncoder(answering)

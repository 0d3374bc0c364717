"""Events -> a reply of Messages, whole; and what both forms of a reply share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from msgspec import Raw, Struct

from archflow_plugins.dialects.anthropic_messages.encode_blocks import (
    RedactedThinking,
    Text,
    Thinking,
    ToolUse,
)
from archflow_plugins.dialects.anthropic_messages.reply_thought import ProofGatherer
from archflow_plugins.dialects.anthropic_messages.usage import Told, told_of
from archflow_plugins.dialects.anthropic_messages.words import (
    NAME,
    REASON_WORDS,
    SERVED_WORD,
    stream_error_type,
)
from archflow_plugins.dialects.call_proofs import thought_before
from archflow_plugins.dialects.json_body import encode, object_of
from archflow_plugins.translation import Answering
from archflow_schema.conversation import Citation
from archflow_schema.errors import UpstreamProtocolError
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

KEPT_AT_MOST = 32 * 1024 * 1024
"""Characters of a reply that are kept until it is whole."""

Content = Text | Thinking | RedactedThinking | ToolUse


class Message(Struct, frozen=True, kw_only=True):
    """A whole message, or what a stream begins with."""

    id: str
    type: Literal["message"] = "message"
    role: Literal["assistant"] = "assistant"
    model: str
    content: Sequence[Content] = ()
    stop_reason: str | None = None
    stop_sequence: str | None = None
    usage: Told


class Failure(Struct, frozen=True, tag_field="type", tag="error"):
    """An error in place of a reply, or in the middle of one."""

    error: dict[str, str]


class _WebCitation(Struct, frozen=True, tag_field="type", tag="web_search_result_location"):
    cited_text: str
    encrypted_index: str
    title: str | None
    url: str


class Ending:
    """What is told of a reply's end until it is there."""

    __slots__ = ("called", "reason", "sequence", "usage")

    def __init__(self) -> None:
        self.called = False
        self.reason = "end_turn"
        self.sequence: str | None = None
        self.usage: Usage | None = None

    def stop(self, event: Stopped) -> None:
        """Note why it ended. Some upstreams say `stop` after a call, which a client would take for an answer."""
        if event.reason == "stop" and event.sequence:
            self.reason, self.sequence = "stop_sequence", event.sequence
        elif event.reason == "stop" and self.called:
            self.reason = "tool_use"
        else:
            self.reason = REASON_WORDS[event.reason]


def begun(event: Started, answering: Answering) -> Message:
    """The message as it begins."""
    return Message(
        id=message_id(event, answering),
        model=event.model or answering.model,
        usage=told_of(None, SERVED_WORD.get(event.service_tier)),
    )


def message_id(event: Started, answering: Answering) -> str:
    """The id of the message; the upstream's, if it is one of this dialect."""
    return event.id if event.id.startswith("msg_") else f"msg_{answering.request_id}"


def citation(found: Citation) -> Raw | None:
    """A citation in Anthropic's words; None for one that it has none for: a place in a document is another's words."""
    if found.origin == NAME:
        return found.raw
    if not found.url:
        return None
    return Raw(encode(_WebCitation(found.cited, "", found.title or None, found.url)))


def failure(event: Failed) -> bytes:
    """An error as JSON."""
    return encode(Failure({"type": stream_error_type(event.code), "message": event.message}))


def call_id(event: ToolCallDelta, answering: Answering) -> str:
    """The id of a call; the upstream's, if it gave one."""
    return event.id or f"toolu_{answering.request_id}_{event.index}"


class _Gathered(Struct, eq=False):
    """One block of a whole reply. Mutable: it grows while the reply is heard."""

    event: TextDelta | RefusalDelta | ReasoningDelta | ToolCallDelta
    texts: list[str] = []
    citations: list[Raw] = []
    proof: ProofGatherer | None = None


class WholeEncoder:
    """Writes a whole reply."""

    content_type = "application/json"

    def __init__(self, answering: Answering) -> None:
        self._answering = answering
        self._started = Started()
        self._blocks: dict[tuple[int, str], _Gathered] = {}
        self._ending = Ending()
        self._size = 0

    def feed(self, events: Sequence[Event]) -> bytes:
        for event in events:
            if type(event) is TextDelta or type(event) is RefusalDelta:
                self._block(event, "text").texts.append(self._kept(event.text))
            elif type(event) is ToolCallDelta:
                self._ending.called = True
                proof = thought_before(event, call_id(event, self._answering))
                if proof is not None:
                    self._think(proof)
                self._block(event, "call").texts.append(self._kept(event.arguments))
            elif type(event) is ReasoningDelta:
                self._think(event)
            elif type(event) is Started:
                self._started = event
            elif type(event) is Stopped:
                self._ending.stop(event)
            elif type(event) is UsageReported:
                self._ending.usage = event.usage
            elif type(event) is Finished:
                return self._whole()
            elif type(event) is Failed:
                return failure(event)
            elif type(event) is CitationFound:
                self._cite(event)
        return b""

    def _think(self, event: ReasoningDelta) -> None:
        block = self._block(event, "thought")
        block.texts.append(self._kept(event.text))
        if block.proof is None:
            block.proof = ProofGatherer()
        block.proof.add(event)

    def _block(
        self, event: TextDelta | RefusalDelta | ReasoningDelta | ToolCallDelta, kind: str
    ) -> _Gathered:
        key = (event.block, kind)
        found = self._blocks.get(key)
        if found is None:
            found = self._blocks[key] = _Gathered(event)
        return found

    def _kept(self, text: str) -> str:
        self._size += len(text)
        if self._size > KEPT_AT_MOST:
            raise UpstreamProtocolError(f"the reply is larger than {KEPT_AT_MOST} characters")
        return text

    def _cite(self, event: CitationFound) -> None:
        block = self._blocks.get((event.block, "text"))
        told = citation(event.citation)
        if block is not None and told is not None:
            block.citations.append(told)

    def _whole(self) -> bytes:
        started, answering, ending = self._started, self._answering, self._ending
        content = [self._content(kind, block) for (_, kind), block in self._blocks.items()]
        return encode(
            Message(
                id=message_id(started, answering),
                model=started.model or answering.model,
                content=[one for one in content if one is not None],
                stop_reason=ending.reason,
                stop_sequence=ending.sequence,
                usage=told_of(ending.usage, SERVED_WORD.get(started.service_tier)),
            )
        )

    def _content(self, kind: str, block: _Gathered) -> Content | None:
        text = "".join(block.texts)
        if kind == "text":
            return Text(text, None, tuple(block.citations) or None) if text else None
        if kind == "call":
            event = block.event
            assert isinstance(event, ToolCallDelta)  # noqa: S101 - what `call` was gathered from
            return ToolUse(call_id(event, self._answering), event.name, object_of(text, "input"))
        proof = block.proof
        assert proof is not None  # noqa: S101 - set by _think
        signature, data = proof.signature(), proof.data()
        if not text and data:
            return RedactedThinking(data)
        return Thinking(text, signature) if text or (signature and proof.own) else None

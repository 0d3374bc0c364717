"""Writes a reply of Google's dialect from events: one object, or a stream of objects shaped like it.

A stream is server-sent events when the client asked so (`alt=sse`), and else one JSON array that grows.

Rule: a call goes out when it is whole, as its arguments are an object here.
Rule: thoughts are shown only to a client that asked for them; what proves them goes out in any case.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs

import msgspec
from msgspec import Struct

from archflow_plugins.dialects.gemini import wire
from archflow_plugins.dialects.gemini.media import ORIGIN
from archflow_plugins.dialects.gemini.signatures import pack
from archflow_plugins.dialects.gemini.spelling import camel
from archflow_plugins.dialects.gemini.statuses import failure
from archflow_plugins.dialects.in_turn import InTurn
from archflow_plugins.dialects.json_body import BAD_JSON, encode, object_of
from archflow_plugins.dialects.sealed import Proof
from archflow_plugins.kinds import Head
from archflow_plugins.translation import Answering
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
    StopReason,
    TextDelta,
    TokenLogprob,
    ToolCallDelta,
    Usage,
    UsageReported,
)

REASONS: dict[StopReason, str] = {
    "stop": "STOP",
    "length": "MAX_TOKENS",
    "tool_calls": "STOP",
    "content_filter": "SAFETY",
    "refusal": "SAFETY",
    "pause": "STOP",
    "error": "OTHER",
}
"""Reason -> `finishReason`."""


class _Call(Struct):
    """A call that is not whole yet."""

    id: str
    name: str
    block: int
    arguments: list[str]
    signature: str = ""


class _Pieces(Struct):
    """A text of a whole reply, in the pieces that came."""

    pieces: list[str]
    thought: bool


class _Choice(Struct):
    """One candidate being written.

    Attributes:
        call: what is being called.
        proof, proof_origin, proof_block: what proves the thought that is being told, to whom, and which it is.
        thoughts: that thought, where the client does not want to read it.
        reason, detail: why it stopped; empty before that.
        texts: its answer, for citations, which count in it.
        citations: what it rests on.
        parts, logprobs: of a whole reply, all of them.
    """

    call: _Call | None = None
    proof: Proof | None = None
    proof_origin: str = ""
    proof_block: int = -1
    thoughts: list[str] = []
    reason: str = ""
    detail: str = ""
    texts: list[str] = []
    citations: list[Citation] = []
    parts: list[Any] = []
    logprobs: list[TokenLogprob] = []


class ReplyWriter:
    """A writer for one reply."""

    def __init__(self, head: Head, answering: Answering) -> None:
        self._stream = head.stream
        self._sse = parse_qs(answering.query).get("alt") == ["sse"]
        self.content_type = "text/event-stream" if self._stream and self._sse else "application/json"
        self._shows = _shows_thoughts(head)
        self._answering = answering
        self._choices: dict[int, _Choice] = {}
        self._turn = InTurn()
        self._usage: Usage | None = None
        self._tail = b""
        self._id = answering.request_id
        self._model = answering.model
        self._opened = False

    def feed(self, events: Sequence[Event]) -> bytes:
        out: list[bytes] = []
        for event in self._turn.feed(events):
            kind = type(event)
            if kind is TextDelta:
                self._text(event, out)  # type: ignore[arg-type]
            elif kind is ToolCallDelta:
                self._tool(event, out)  # type: ignore[arg-type]
            elif kind is ReasoningDelta:
                self._reasoning(event, out)  # type: ignore[arg-type]
            else:
                self._other(event, out)
        return b"".join(out)

    # Events.

    def _text(self, event: TextDelta, out: list[bytes]) -> None:
        choice = self._choice(event.choice)
        if choice.call is not None or choice.proof is not None:
            self._close(event.choice, choice, out)
        if event.text:
            choice.texts.append(event.text)
        if not self._stream:
            choice.logprobs += event.logprobs
            if event.text:
                _append_text(choice.parts, event.text, thought=False)
        elif event.text or event.logprobs:
            more = b',"logprobsResult":' + encode(_logprobs(event.logprobs)) if event.logprobs else b""
            self._write(event.choice, b'{"text":' + encode(event.text) + b"}", out, more)

    def _tool(self, event: ToolCallDelta, out: list[bytes]) -> None:
        choice = self._choice(event.choice)
        call = choice.call
        if call is None or call.block != event.block:
            self._close(event.choice, choice, out)
            call = choice.call = _Call(event.id, event.name, event.block, [])
        if event.arguments:
            call.arguments.append(
                encode({"input": event.arguments}).decode() if event.custom else event.arguments
            )
        if event.signature:
            foreign = event.origin != ORIGIN
            call.signature = (
                pack(event.origin, Proof(signature=event.signature)) if foreign else event.signature
            )

    def _reasoning(self, event: ReasoningDelta, out: list[bytes]) -> None:
        choice = self._choice(event.choice)
        if choice.call is not None or (choice.proof is not None and choice.proof_block != event.block):
            self._close(event.choice, choice, out)
        if event.origin == ORIGIN:
            if event.signature or (event.text and self._shows):
                thought = {"text": event.text if self._shows else ""}
                part = {**thought, **({"thought": True} if event.summary else {})}
                if event.signature:
                    part["thoughtSignature"] = event.signature
                self._part(event.choice, choice, part, out)
            return
        if event.text and self._shows:
            if self._stream:
                self._write(event.choice, b'{"text":' + encode(event.text) + b',"thought":true}', out)
            else:
                _append_text(choice.parts, event.text, thought=True)
        choice.proof_block = event.block
        choice.proof_origin = event.origin
        before = choice.proof or Proof()
        choice.proof = Proof(
            signature=before.signature + event.signature,
            sealed=before.sealed + event.sealed,
            id=event.id or before.id,
        )
        if event.text and not self._shows:
            choice.thoughts.append(event.text)

    def _other(self, event: Event, out: list[bytes]) -> None:
        match event:
            case Started():
                self._id = event.id or self._id
                self._model = event.model or self._model
                names = {"modelVersion": self._model, "responseId": self._id}
                self._tail = b"," + encode(names)[1:]
            case RefusalDelta():
                self._text(TextDelta(event.text, event.block, event.choice), out)
            case CitationFound():
                self._choice(event.choice).citations.append(event.citation)
            case UsageReported():
                self._usage = event.usage
            case Stopped():
                choice = self._choice(event.choice)
                self._close(event.choice, choice, out)
                choice.reason, choice.detail = REASONS[event.reason], event.detail
            case Finished():
                self._finish(out)
            case Failed():
                self._fail(event, out)
            case _:
                pass

    # Writing.

    def _choice(self, number: int) -> _Choice:
        choice = self._choices.get(number)
        if choice is None:
            choice = self._choices[number] = _Choice()
        return choice

    def _close(self, number: int, choice: _Choice, out: list[bytes]) -> None:
        """Send what was waiting to be whole: a call, or what proves a thought."""
        call, choice.call = choice.call, None
        if call is not None:
            wanted: dict[str, Any] = {
                "name": call.name,
                "args": object_of("".join(call.arguments), "arguments"),
            }
            if call.id:
                wanted["id"] = call.id
            part: dict[str, Any] = {"functionCall": wanted}
            if call.signature:
                part["thoughtSignature"] = call.signature
            self._part(number, choice, part, out)
        proof, choice.proof = choice.proof, None
        thoughts, choice.thoughts = choice.thoughts, []
        if proof is not None and (proof.signature or proof.sealed):
            carried = msgspec.structs.replace(proof, text="".join(thoughts))
            part = {"text": "", "thought": True, "thoughtSignature": pack(choice.proof_origin, carried)}
            self._part(number, choice, part, out)

    def _part(self, number: int, choice: _Choice, part: dict[str, Any], out: list[bytes]) -> None:
        if self._stream:
            self._write(number, encode(part), out)
        else:
            choice.parts.append(part)

    def _write(self, number: int, part: bytes, out: list[bytes], more: bytes = b"") -> None:
        """One chunk with one part of one candidate."""
        head = b'{"candidates":[{"content":{"parts":['
        out.append(
            self._framed(
                b'%b%b],"role":"model"},"index":%d%b}]%b' % (head, part, number, more, self._tail or b"}")
            )
        )

    def _framed(self, data: bytes) -> bytes:
        if self._sse:
            return b"data: " + data + b"\r\n\r\n"
        if self._opened:
            return b",\r\n" + data
        self._opened = True
        return b"[" + data

    def _finish(self, out: list[bytes]) -> None:
        candidates = [self._candidate(number, choice) for number, choice in sorted(self._choices.items())]
        whole: dict[str, Any] = {"candidates": candidates}
        if self._usage is not None:
            whole["usageMetadata"] = _usage(self._usage)
        whole["modelVersion"] = self._model
        whole["responseId"] = self._id
        if not self._stream:
            out.append(encode(whole))
            return
        out.append(self._framed(encode(whole)))
        if not self._sse:
            out.append(b"]")

    def _candidate(self, number: int, choice: _Choice) -> dict[str, Any]:
        """A candidate as the last chunk or a whole reply tells it."""
        parts = [{"text": ""}] if self._stream else [_part(part) for part in choice.parts]
        found: dict[str, Any] = {
            "content": {"parts": parts, "role": "model"},
            "finishReason": choice.reason or "OTHER",
            "index": number,
        }
        if choice.detail and choice.reason not in {"STOP", "MAX_TOKENS"}:
            found["finishMessage"] = choice.detail
        if choice.citations:
            found["groundingMetadata"] = _grounding(choice.citations, "".join(choice.texts))
        if choice.logprobs:
            found["logprobsResult"] = _logprobs(choice.logprobs)
        return found

    def _fail(self, event: Failed, out: list[bytes]) -> None:
        body = failure(504 if "timeout" in event.code else 502, event.code, event.message)
        if not self._stream:
            out.append(body)
            return
        out.append(self._framed(body))
        if not self._sse:
            out.append(b"]")


def _shows_thoughts(head: Head) -> bool:
    """Whether the client asked to read thoughts."""
    raw = head.fields.get("generationConfig") or head.fields.get("generation_config")
    if raw is None:
        return False
    try:
        config = wire.decode_generation(camel({"": raw}, bytes(raw))[""])
    except BAD_JSON:
        return False
    thinking = config and config.thinking_config
    return bool(thinking and thinking.include_thoughts)


def _append_text(parts: list[Any], text: str, *, thought: bool) -> None:
    """Add to the last part if it is of the same kind, or begin one; its pieces are joined when it is written."""
    if parts and isinstance(parts[-1], _Pieces) and parts[-1].thought == thought:
        parts[-1].pieces.append(text)
    else:
        parts.append(_Pieces([text], thought))


def _usage(usage: Usage) -> dict[str, int]:
    found = {
        "promptTokenCount": usage.input_tokens,
        "candidatesTokenCount": max(0, usage.output_tokens - usage.reasoning_tokens),
        "totalTokenCount": usage.input_tokens + usage.output_tokens,
    }
    if usage.cached_tokens:
        found["cachedContentTokenCount"] = usage.cached_tokens
    if usage.reasoning_tokens:
        found["thoughtsTokenCount"] = usage.reasoning_tokens
    return found


def _part(part: Any) -> Any:
    """A part of a whole reply as it goes out."""
    if not isinstance(part, _Pieces):
        return part
    text: dict[str, Any] = {"text": "".join(part.pieces)}
    return {**text, "thought": True} if part.thought else text


def _grounding(citations: list[Citation], text: str) -> dict[str, Any]:
    """Sources and what rests on them; places are counted in bytes here."""
    chunks: dict[tuple[str, str], int] = {}
    supports = []
    places = _bytes(text, sorted({at for one in citations for at in (max(one.start, 0), one.end)}))
    for one in citations:
        index = chunks.setdefault((one.url, one.title), len(chunks))
        if one.end >= 0:
            segment = {"startIndex": places[max(one.start, 0)], "endIndex": places[one.end]}
            supports.append({"segment": segment, "groundingChunkIndices": [index]})
    found: dict[str, Any] = {
        "groundingChunks": [{"web": {"uri": url, "title": title}} for url, title in chunks]
    }
    if supports:
        found["groundingSupports"] = supports
    return found


def _bytes(text: str, places: list[int]) -> dict[int, int]:
    """Places in characters, in order -> places in bytes, in one pass."""
    found: dict[int, int] = {}
    at = count = 0
    for place in places:
        count += len(text[at : max(place, 0)].encode("utf-8", "replace"))
        at = max(at, place)
        found[place] = count
    return found


def _logprobs(tokens: Sequence[TokenLogprob]) -> dict[str, Any]:
    def told(one: TokenLogprob) -> dict[str, Any]:
        return {"token": one.token, "logProbability": one.logprob}

    found: dict[str, Any] = {"chosenCandidates": [told(one) for one in tokens]}
    if any(one.top for one in tokens):
        found["topCandidates"] = [{"candidates": [told(top) for top in one.top]} for one in tokens]
    return found

"""Reading a reply of chat completions, streamed or whole.

Blocks are told apart here: chat completions know only a text, a refusal, thoughts and numbered tool calls beside each
other, and an event says which of them goes on.

Rule: `total_tokens` is the arbiter of usage (see `openai_family`), and the last report counts.
Rule: a choice's end is told at the end of the reply: vendors say more after it, or say it twice.
Rule: a fringe field of another type than expected (annotations, log probabilities, thoughts, usage) is left alone.
Invariant: the events do not depend on how the bytes were portioned.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw, Struct

from archflow_plugins.dialects.json_body import BAD_JSON, encode
from archflow_plugins.dialects.openai_chat import reasoning
from archflow_plugins.dialects.openai_chat.reasoning import Item
from archflow_plugins.dialects.openai_chat.reply_calls import Calls
from archflow_plugins.dialects.openai_chat.reply_wire import (
    Annotation,
    Chunk,
    Piece,
    Said,
    SaidCall,
    SaidChoice,
    SaidLogprob,
    SaidLogprobs,
    Uncounted,
)
from archflow_plugins.dialects.openai_chat.wire import NULL
from archflow_plugins.dialects.openai_family import ToldUsage, problem_of, usage_of
from archflow_plugins.dialects.whole_body import WholeBody
from archflow_plugins.framing import sse
from archflow_plugins.translation import ReplyDecoder
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
    StopReason,
    TextDelta,
    TokenLogprob,
    UsageReported,
)

MAX_CHOICES = 128
"""Choices of a reply, which is as many as OpenAI takes for `n`."""

_TEXT, _REFUSAL = "text", "refusal"
_REASONS: dict[str, StopReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "function_call": "tool_calls",
    "max_tokens": "length",
    "model_length": "length",  # Mistral
    "sensitive": "content_filter",  # Zhipu
    "safety": "content_filter",
    "refusal": "refusal",
    "error": "error",
    "network_error": "error",  # Zhipu
    "insufficient_system_resource": "error",  # DeepSeek
}
_LATEST = 1 << 40
"""A number of seconds that is no time any more."""
_NOTHING = frozenset({b"null", b"[]"})
_PLAIN = frozenset({"stop", "length", "tool_calls", "content_filter"})


_decode_chunk = msgspec.json.Decoder(Chunk).decode
_decode_uncounted = msgspec.json.Decoder(Uncounted).decode
_decode_usage = msgspec.json.Decoder(ToldUsage | None).decode
_decode_logprobs = msgspec.json.Decoder(SaidLogprobs | None).decode
_decode_annotations = msgspec.json.Decoder(list[Raw] | None).decode
_decode_annotation = msgspec.json.Decoder(Annotation).decode
_decode_addresses = msgspec.json.Decoder(list[str] | None).decode


class _State(Struct, eq=False):
    """One choice: which block is open, and what was said about its end. Mutable: it goes along with the reply."""

    choice: int
    calls: Calls
    key: str = ""
    block: int = 0
    next: int = 0
    proof: Item = {}
    text_block: int = 0
    refused: bool = False
    reason: StopReason | None = None
    word: str = ""
    sequence: str = ""

    def open(self, key: str, events: list[Event]) -> int:
        """The number of the block that `key` stands for; a new one if another was open."""
        if key != self.key:
            if self.proof:
                self.close(events)
            self.calls.tell(events)
            self.key = key
            self.block = self.next
            self.next += 1
        return self.block

    def close(self, events: list[Event]) -> None:
        """The open block ends; what proves a thought is known only now."""
        if self.proof:
            events.append(
                ReasoningDelta(
                    block=self.block,
                    choice=self.choice,
                    signature=encode(self.proof).decode(),
                    origin=reasoning.ORIGIN,
                )
            )
            self.proof = {}
        self.key = ""


class _Reader:
    """Turns what the upstream says, chunk by chunk, into events. A whole reply is one chunk that says it all."""

    def __init__(self) -> None:
        self._states: dict[int, _State] = {}
        self._started = False
        self._id = ""
        self._usage: ToldUsage | None = None
        self._citations = NULL

    @property
    def began(self) -> bool:
        """Whether there is a choice."""
        return bool(self._states)

    @property
    def stopped(self) -> bool:
        """Whether a choice said that it is complete."""
        return any(state.reason is not None for state in self._states.values())

    def read(self, data: bytes, events: list[Event], *, whole: bool) -> bool:
        """One chunk; False if nothing comes after it, because it was an error."""
        chunk = _chunk(data)
        if chunk.error is not NULL and bytes(chunk.error) != b"null":
            problem = problem_of(502, data)
            events.append(Failed("upstream_failed", problem.message))
            return False
        if chunk.object == "error":
            events.append(Failed("upstream_failed", problem_of(502, data).message))
            return False
        if not self._started and (chunk.choices or chunk.id):
            self._start(chunk, events)
        for position, choice in enumerate(chunk.choices or ()):
            self._choice(choice, position if whole else 0, events, whole=whole)
        if isinstance(chunk, Chunk) and chunk.usage is not None:
            self._usage = chunk.usage
        elif chunk.x_groq is not None and chunk.x_groq.usage is not NULL:
            self._count(chunk.x_groq.usage)
        if chunk.citations is not NULL:
            self._citations = chunk.citations
        return True

    def finish(self, events: list[Event]) -> None:
        """The reply is complete."""
        if not self._started:
            events.append(Started())
        states = self._states or {0: _State(0, Calls("", 0))}
        for state in states.values():
            if state.proof:
                state.close(events)
            state.calls.tell(events)
        if self._citations is not NULL:
            self._cite_addresses(events)
        events += [_stopped(state) for _, state in sorted(states.items())]
        usage = usage_of(self._usage)
        if usage is not None:
            events.append(UsageReported(usage))
        events.append(Finished())

    def _start(self, chunk: Uncounted, events: list[Event]) -> None:
        self._started = True
        self._id = chunk.id or ""
        created = chunk.created
        events.append(
            Started(
                id=self._id,
                model=chunk.model or "",
                created=int(created) if created is not None and 0 < created < _LATEST else 0,
                service_tier=chunk.service_tier or "",
                fingerprint=chunk.system_fingerprint or "",
            )
        )

    def _choice(self, choice: SaidChoice, position: int, events: list[Event], *, whole: bool) -> None:
        index = position if choice.index is None else choice.index
        state = self._states.get(index)
        if state is None:
            if not 0 <= index < MAX_CHOICES or len(self._states) >= MAX_CHOICES:
                raise UpstreamProtocolError(
                    f"the upstream's reply has a choice that is none of {MAX_CHOICES}"
                )
            state = self._states[index] = _State(index, Calls(self._id, index))
        said = choice.message if whole else choice.delta
        raw = choice.logprobs
        logprobs = _logprobs(raw) if raw is not NULL and bytes(raw) != b"null" else ()
        if said is not None:
            self._say(said, logprobs, state, events)
        if choice.finish_reason:
            state.word = choice.native_finish_reason or choice.finish_reason
            state.reason = _REASONS.get(choice.finish_reason.lower(), "stop")
            if isinstance(choice.stop_reason, str):
                state.sequence = choice.stop_reason

    def _say(
        self, said: Said, logprobs: tuple[TokenLogprob, ...], state: _State, events: list[Event]
    ) -> None:
        if (
            said.reasoning_content
            or said.reasoning
            or said.reasoning_details is not NULL
            or said.thinking_blocks is not NULL
        ):
            self._think(said, state, events)
        content = said.content
        if isinstance(content, list):
            self._pieces(content, logprobs, state, events)
        elif content or logprobs:
            if state.key != _TEXT:
                state.text_block = state.open(_TEXT, events)
            events.append(TextDelta(content or "", state.block, state.choice, logprobs))
        if said.refusal:
            state.refused = True
            events.append(RefusalDelta(said.refusal, state.open(_REFUSAL, events), state.choice))
        if said.tool_calls:
            for call in said.tool_calls:
                state.calls.add(call, state.open, events)
        if said.function_call is not None:
            state.calls.add(SaidCall(index=0, function=said.function_call), state.open, events)
        if said.annotations is not NULL and _says(said.annotations):
            _cite(said.annotations, state, events)

    def _pieces(
        self,
        content: list[Piece],
        logprobs: tuple[TokenLogprob, ...],
        state: _State,
        events: list[Event],
    ) -> None:
        """Mistral's form of content."""
        for piece in content:
            if piece.type == "thinking":
                self._think_item(Raw(b'[{"type":"thinking","thinking":%b}]' % piece.thinking), state, events)
            elif piece.text:
                state.text_block = state.open(_TEXT, events)
                events.append(TextDelta(piece.text, state.block, state.choice, logprobs))
                logprobs = ()

    def _think(self, said: Said, state: _State, events: list[Event]) -> None:
        """Thoughts, from the place that tells most of them."""
        for raw in (said.reasoning_details, said.thinking_blocks):
            if _says(raw) and self._think_item(raw, state, events):
                return
        text = said.reasoning_content or said.reasoning
        if text:
            place = "reasoning_content" if said.reasoning_content else "reasoning"
            block = state.open(place, events)
            state.proof["type"] = place
            events.append(
                ReasoningDelta(text=text, block=block, choice=state.choice, origin=reasoning.ORIGIN)
            )

    def _think_item(self, raw: Raw, state: _State, events: list[Event]) -> bool:
        """Items of thoughts; whether they said any text, or held all that there is."""
        told = False
        for thought in reasoning.thoughts(raw):
            if thought.sealed:
                state.close(events)
                block = state.open(f"sealed {state.next}", events)
                proof = encode(thought.rest).decode()
                events.append(
                    ReasoningDelta(block=block, choice=state.choice, sealed=proof, origin=reasoning.ORIGIN)
                )
                continue
            block = state.open(f"{thought.rest['type']} {thought.rest.get('index', 0)}", events)
            state.proof.update(thought.rest)
            told = True
            if thought.text:
                events.append(
                    ReasoningDelta(
                        text=thought.text,
                        block=block,
                        choice=state.choice,
                        summary=thought.summary,
                        origin=reasoning.ORIGIN,
                    )
                )
        return told

    def _count(self, raw: Raw) -> None:
        try:
            self._usage = _decode_usage(raw) or self._usage
        except BAD_JSON:
            return

    def _cite_addresses(self, events: list[Event]) -> None:
        try:
            addresses = _decode_addresses(self._citations) or ()
        except BAD_JSON:
            return
        state = self._states.get(0)
        block = state.text_block if state else 0
        for url in addresses:
            raw = Raw(encode({"type": "url_citation", "url_citation": {"url": url}}))
            events.append(CitationFound(Citation(url=url, origin=reasoning.ORIGIN, raw=raw), block))


class StreamDecoder:
    """Reads a stream of chunks."""

    def __init__(self) -> None:
        self._splitter = sse.Splitter()
        self._reader = _Reader()
        self._over = False

    def feed(self, data: bytes) -> list[Event]:
        events: list[Event] = []
        if self._over:
            return events
        for event in self._splitter.feed(data):
            if not event.data:
                continue
            if event.data == b"[DONE]":
                self._reader.finish(events)
                self._over = True
                break
            if not self._reader.read(event.data, events, whole=False):
                self._over = True
                break
        return events

    def end(self) -> list[Event]:
        if self._over:
            return []
        try:
            events = self.feed(b"\n\n")  # vendors forget the last blank line
        except UpstreamProtocolError:
            if not self._reader.stopped:
                raise
            events = []
        if not self._over:
            if not self._reader.stopped:
                raise UpstreamProtocolError("the upstream's stream ended before it was complete")
            self._reader.finish(events)
            self._over = True
        return events


class WholeDecoder(WholeBody):
    """Reads a whole reply."""

    def end(self) -> list[Event]:
        events: list[Event] = []
        reader = _Reader()
        if reader.read(self.body(), events, whole=True):
            if not reader.began:
                raise UpstreamProtocolError("the upstream's reply holds no choices")
            reader.finish(events)
        return events


def _chunk(data: bytes) -> Chunk | Uncounted:
    try:
        try:
            return _decode_chunk(data)
        except msgspec.ValidationError:
            return _decode_uncounted(data)
    except BAD_JSON as error:
        raise UpstreamProtocolError(f"the upstream's reply is not understood: {_reason(error)}") from error


def _says(raw: Raw) -> bool:
    """Whether a fringe field is there and holds anything; many vendors send it empty with every chunk."""
    return raw is not NULL and bytes(raw) not in _NOTHING


def _stopped(state: _State) -> Stopped:
    """How a choice ended, as all dialects tell it: the word `stop` also stands for calls and refusals here."""
    reason = state.reason or "stop"
    if reason == "stop" and state.calls.count:
        reason = "tool_calls"
    elif reason == "stop" and state.refused:
        reason = "refusal"
    detail = "" if state.word in _PLAIN else state.word
    return Stopped(reason, state.choice, state.sequence, detail)


def _cite(raw: Raw, state: _State, events: list[Event]) -> None:
    try:
        items = _decode_annotations(raw) or ()
    except BAD_JSON:
        return
    for item in items:
        try:
            found = _decode_annotation(item).url_citation
        except BAD_JSON:
            continue
        if found is None or not found.url:
            continue
        citation = Citation(
            url=found.url,
            title=found.title or "",
            cited=found.content or "",
            start=-1 if found.start_index is None else found.start_index,
            end=-1 if found.end_index is None else found.end_index,
            origin=reasoning.ORIGIN,
            raw=item,
        )
        events.append(CitationFound(citation, state.text_block, state.choice))


def _logprobs(raw: Raw) -> tuple[TokenLogprob, ...]:
    try:
        found = _decode_logprobs(raw)
    except BAD_JSON:
        return ()
    return tuple(_logprob(one) for one in found.content or ()) if found else ()


def _logprob(one: SaidLogprob) -> TokenLogprob:
    return TokenLogprob(
        one.token, one.logprob, one.bytes, tuple(_logprob(other) for other in one.top_logprobs or ())
    )


def _reason(error: Exception) -> str:
    """Why it is not, without a word of what it says."""
    if isinstance(error, msgspec.ValidationError):
        return str(error).partition(" - ")[2] or "an item has another type than it should"
    return "it is not JSON"


def reply_decoder(*, stream: bool) -> ReplyDecoder:
    """A reader for one reply."""
    return StreamDecoder() if stream else WholeDecoder()

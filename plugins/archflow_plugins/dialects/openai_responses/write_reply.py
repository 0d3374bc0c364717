"""Replies of any dialect, written as the Responses API does: a whole response, or its stream of events.

Source: OpenAI's API reference ("Streaming events") and its Python client 3.57, whose accumulator wants every item and
its parts begun, and each ended by an event that repeats it whole; what Codex 0.169 reads, 2026-11.

::

    response.created, response.in_progress
    (response.output_item.added  (its parts: added, deltas, done)*  response.output_item.done)*
    response.completed | response.incomplete | response.failed

Text, refusals and thoughts of other dialects become parts of messages and summaries; a call is written in the form of
its tool. The constant halves of events are made once an item, so that a delta costs one JSON string and one number.

Invariant: `sequence_number` counts the events of a stream from 0 without gaps.
Rule: what is kept of a reply, for the events that repeat it, is bounded by REPLY_AT_MOST.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from archflow_plugins.dialects.call_proofs import thought_before
from archflow_plugins.dialects.json_body import encode
from archflow_plugins.dialects.openai_responses import fields, state
from archflow_plugins.dialects.openai_responses.echo import Echo
from archflow_plugins.dialects.openai_responses.items import ORIGIN
from archflow_plugins.dialects.openai_responses.output import (
    PREFIXES,
    OpenItem,
    OpenPart,
    annotation_of,
    content_of,
    free_text,
    item_id,
    logprob_of,
    new_key,
    place_of,
    written,
)
from archflow_plugins.dialects.openai_responses.tools import Called
from archflow_plugins.dialects.sealed import Proof
from archflow_plugins.kinds import Head, Kept
from archflow_plugins.translation import Answering, ReplyEncoder
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

REPLY_AT_MOST = 32 * 1024 * 1024
"""Characters of a reply that are kept."""


class ReplyWriter:
    """Writes one reply. Its id is ours, and those of its items are made from it, so that `state` finds both again.

    Attributes:
        final: the response, once it is complete.
    """

    def __init__(self, head: Head, answering: Answering) -> None:
        self._head = head
        self._stream = head.stream
        self.content_type = "text/event-stream" if head.stream else "application/json"
        self.final = b""
        self._key = new_key()
        self._echo = Echo(head, answering)
        self._calls: dict[str, Called] | None = None
        self._out: list[bytes] = []
        self._sequence = 0
        self._output: list[Any] = []
        self._items: list[OpenItem] = []
        """The open ones: a message, thoughts, or the calls of one turn."""
        self._closed_calls: set[int] = set()
        self._count = 0
        self._kept = 0
        self._begun = False
        self._over = False
        self._status = "completed"
        self._reason = ""
        self._refused = False
        """Whether words of refusal were told: then these say it, and the reply is complete."""
        self._usage: Usage | None = None

    def feed(self, events: Sequence[Event]) -> bytes:
        """The bytes that these events make."""
        for event in events:
            if self._over:
                break
            if type(event) is TextDelta:
                self._text(event)
            elif type(event) is ToolCallDelta:
                self._call(event)
            elif type(event) is ReasoningDelta:
                self._thought(event)
            elif type(event) is Started:
                self._begin(event)
            elif type(event) is UsageReported:
                self._usage = event.usage
            elif type(event) is Stopped:
                self._stopped(event)
            elif type(event) is Finished:
                self._end(self._status)
            elif type(event) is RefusalDelta:
                self._refusal(event)
            elif type(event) is CitationFound:
                self._cite(event)
            elif type(event) is Failed:
                self._end("failed", event)
            if self._kept > REPLY_AT_MOST:
                self._end(
                    "failed",
                    Failed("upstream_failed", f"the reply is longer than {REPLY_AT_MOST} characters"),
                )
        out, self._out = self._out, []
        return out[0] if len(out) == 1 else b"".join(out)

    # The reply as a whole.

    def _begin(self, started: Started) -> None:
        if self._begun:
            return
        self._begun = True
        self._echo.begin(f"resp_{self._key}", started)
        if self._stream:
            response = self._echo.response("in_progress", [])
            self._event("response.created", b'"response":' + response)
            self._event("response.in_progress", b'"response":' + response)

    def _stopped(self, event: Stopped) -> None:
        if event.choice:
            return
        if event.reason == "length":
            self._status, self._reason = "incomplete", "max_output_tokens"
        elif event.reason == "content_filter" or (event.reason == "refusal" and not self._refused):
            self._status, self._reason = "incomplete", "content_filter"
        elif event.reason == "error":
            self._status = "failed"
        if self._items:
            self._close_all()

    def _end(self, status: str, failed: Failed | None = None) -> None:
        if not self._begun:
            self._begin(Started())
        if status == "failed":
            self._status = "incomplete"  # of what was begun
        if self._items:
            self._close_all()
        self._over = True
        error = None
        if status == "failed":
            told = failed or Failed("server_error", "the model stopped by an error")
            error = {"code": told.code or "server_error", "message": told.message}
        response = self._echo.response(status, self._output, self._usage, self._reason, error)
        if status != "failed":
            self.final = response
        if self._stream:
            self._event(f"response.{status}", b'"response":' + response)
        else:
            self._out.append(response)

    def _event(self, kind: str, fields_: bytes) -> None:
        if not self._stream:
            return
        name = kind.encode("ascii")
        self._out.append(
            b'event: %b\ndata: {"type":"%b","sequence_number":%d,%b}\n\n'
            % (name, name, self._sequence, fields_)
        )
        self._sequence += 1

    def _delta(self, before: bytes, text: str, after: bytes) -> None:
        """A delta: `before` ends before its text, `after` before its number."""
        self._out.append(b"%b%b%b%d}\n\n" % (before, encode(text), after, self._sequence))
        self._sequence += 1

    # Items.

    def _open_item(self, kind: str, prefix: str, block: int) -> OpenItem:
        if not self._begun:
            self._begin(Started())
        index = self._count
        self._count += 1
        item = OpenItem(kind, item_id(prefix, self._key, index), index, block)
        self._items.append(item)
        self._output.append(None)
        return item

    def _added(self, item: OpenItem) -> None:
        self._event(
            "response.output_item.added",
            b'"output_index":%d,"item":%b' % (item.index, encode(written(item, "in_progress"))),
        )

    def _close_all(self) -> None:
        items, self._items = self._items, []
        for item in items:
            self._close(item)

    def _close(self, item: OpenItem) -> None:
        if item.kind == "message":
            self._close_part(item)
        elif item.kind == "reasoning":
            self._close_thought(item)
        else:
            self._close_call(item)
        status = "incomplete" if self._status == "incomplete" else "completed"
        self._output[item.index] = done = written(item, status)
        if self._stream:
            self._event(
                "response.output_item.done", b'"output_index":%d,"item":%b' % (item.index, encode(done))
            )

    # Messages.

    def _text(self, event: TextDelta) -> None:
        if event.choice:
            return
        item = self._items[-1] if self._items else None
        part = item.part if item is not None else None
        if item is None or part is None or part.block != event.block or part.refusal:
            item, part = self._part(event.block, refusal=False)
        text = event.text
        if not text and not event.logprobs:
            return
        part.said.append(text)
        part.size += len(text)
        self._kept += len(text)
        if event.logprobs:
            self._text_with_logprobs(item, part, event)
        elif self._stream:
            self._delta(part.before, text, part.after)

    def _text_with_logprobs(self, item: OpenItem, part: OpenPart, event: TextDelta) -> None:
        told = [logprob_of(one) for one in event.logprobs]
        part.logprobs += told
        if self._stream:
            self._event(
                "response.output_text.delta",
                b'%b,"delta":%b,"logprobs":%b' % (place_of(item, part), encode(event.text), encode(told)),
            )

    def _refusal(self, event: RefusalDelta) -> None:
        if event.choice:
            return
        item = self._items[-1] if self._items else None
        part = item.part if item is not None else None
        if item is None or part is None or part.block != event.block or not part.refusal:
            item, part = self._part(event.block, refusal=True)
        self._refused = True
        part.said.append(event.text)
        self._kept += len(event.text)
        if self._stream:
            self._delta(part.before, event.text, part.after)

    def _part(self, block: int, *, refusal: bool) -> tuple[OpenItem, OpenPart]:
        """A new part, in the message that is open or in a new one."""
        item = self._items[-1] if self._items else None
        if item is None or item.kind != "message":
            if item is not None:
                self._close_all()
            item = self._open_item("message", "msg", block)
            if self._stream:
                self._added(item)
        else:
            self._close_part(item)
        part = item.part = OpenPart(len(item.content), block, refusal)
        if self._stream:
            place = place_of(item, part)
            name = b"response.refusal.delta" if refusal else b"response.output_text.delta"
            part.before = b'event: %b\ndata: {"type":"%b",%b,"delta":' % (name, name, place)
            part.after = b',"sequence_number":' if refusal else b',"logprobs":[],"sequence_number":'
            self._event("response.content_part.added", b'%b,"part":%b' % (place, encode(content_of(part))))
        return item, part

    def _close_part(self, item: OpenItem) -> None:
        part, item.part = item.part, None
        if part is None:
            return
        content = content_of(part)
        item.content.append(content)
        if not self._stream:
            return
        place = place_of(item, part)
        if part.refusal:
            self._event("response.refusal.done", b'%b,"refusal":%b' % (place, encode(content["refusal"])))
        else:
            self._event(
                "response.output_text.done",
                b'%b,"text":%b,"logprobs":%b' % (place, encode(content["text"]), encode(part.logprobs)),
            )
        self._event("response.content_part.done", b'%b,"part":%b' % (place, encode(content)))

    def _cite(self, event: CitationFound) -> None:
        if event.choice:
            return
        item = self._items[-1] if self._items else None
        part = item.part if item is not None else None
        if item is None or part is None or part.block != event.block:
            item, part = self._part(event.block, refusal=False)
        annotation = annotation_of(event.citation, part.size)
        part.annotations.append(annotation)
        if self._stream:
            self._event(
                "response.output_text.annotation.added",
                b'%b,"annotation_index":%d,"annotation":%b'
                % (place_of(item, part), len(part.annotations) - 1, encode(annotation)),
            )

    # Thoughts.

    def _thought(self, event: ReasoningDelta) -> None:
        if event.choice:
            return
        item = self._items[-1] if self._items else None
        if item is None or item.kind != "reasoning" or item.block != event.block:
            self._close_all()
            item = self._open_item("reasoning", "rs", event.block)
            if event.origin == ORIGIN and event.id:
                item.id = event.id
            if self._stream:
                self._added(item)
        proof = item.proof
        if event.signature or event.sealed or event.id:
            item.proof = Proof(
                signature=proof.signature + event.signature,
                sealed=proof.sealed + event.sealed,
                id=event.id or proof.id,
            )
            self._kept += len(event.signature) + len(event.sealed)
        item.origin = event.origin or item.origin
        text = event.text
        if not text:
            return
        if not item.begun:
            item.begun = True
            self._begin_thought(item)
        item.said.append(text)
        self._kept += len(text)
        if self._stream:
            self._delta(item.before, text, item.after)

    def _begin_thought(self, item: OpenItem) -> None:
        name = b"response.reasoning_summary_text.delta"
        place = b'"item_id":%b,"output_index":%d,"summary_index":0' % (encode(item.id), item.index)
        item.before = b'event: %b\ndata: {"type":"%b",%b,"delta":' % (name, name, place)
        item.after = b',"sequence_number":'
        self._event(
            "response.reasoning_summary_part.added", place + b',"part":{"type":"summary_text","text":""}'
        )

    def _close_thought(self, item: OpenItem) -> None:
        if item.begun and self._stream:
            place = b'"item_id":%b,"output_index":%d,"summary_index":0' % (encode(item.id), item.index)
            text = encode("".join(item.said))
            self._event("response.reasoning_summary_text.done", b'%b,"text":%b' % (place, text))
            self._event(
                "response.reasoning_summary_part.done",
                b'%b,"part":{"type":"summary_text","text":%b}' % (place, text),
            )

    # Calls.

    def _call(self, event: ToolCallDelta) -> None:
        if event.choice:
            return
        item = next((one for one in self._items if one.kind == "call" and one.block == event.index), None)
        if item is None:
            if event.index in self._closed_calls:
                return  # it was complete when something else began
            item = self._open_call(event)
        if not event.arguments:
            return
        item.said.append(event.arguments)
        self._kept += len(event.arguments)
        if self._stream and item.before:
            self._delta(item.before, event.arguments, item.after)

    def _open_call(self, event: ToolCallDelta) -> OpenItem:
        call_id = event.id or f"call_{self._key}{self._count:02d}"
        proof = thought_before(event, call_id)
        if proof is not None:
            self._thought(proof)
        if self._items and self._items[-1].kind != "call":
            self._close_all()
        if self._calls is None:
            self._calls = fields.calls(self._head)
        called = self._calls.get(event.name)
        if called is None:
            called = Called("custom" if event.custom else "function", event.name)
        custom = called.form == "custom"
        item = self._open_item("call", PREFIXES[called.form], event.index)
        item.call_id, item.called, item.unwrap = call_id, called, custom and not event.custom
        if called.form == "function" or (custom and event.custom):
            name = b"response.custom_tool_call_input" if custom else b"response.function_call_arguments"
            place = b'"item_id":%b,"output_index":%d' % (encode(item.id), item.index)
            item.before = b'event: %b.delta\ndata: {"type":"%b.delta",%b,"delta":' % (name, name, place)
            item.after = b',"sequence_number":'
        if self._stream:
            self._added(item)
        return item

    def _close_call(self, item: OpenItem) -> None:
        self._closed_calls.add(item.block)
        called = item.called
        said = "".join(item.said)
        if item.unwrap:
            said = free_text(said)
        elif called.form == "function" and not said:
            said = "{}"
        item.said = [said]
        if not self._stream:
            return
        place = b'"item_id":%b,"output_index":%d' % (encode(item.id), item.index)
        if called.form == "custom":
            if item.unwrap and said:
                self._event("response.custom_tool_call_input.delta", b'%b,"delta":%b' % (place, encode(said)))
            self._event("response.custom_tool_call_input.done", b'%b,"input":%b' % (place, encode(said)))
        elif called.form == "function":
            self._event(
                "response.function_call_arguments.done",
                b'%b,"name":%b,"arguments":%b' % (place, encode(called.name), encode(said)),
            )


def keep(head: Head, encoder: ReplyEncoder) -> Kept | None:
    """What to keep of a reply that was written for a request."""
    return state.keep(head, encoder.final) if isinstance(encoder, ReplyWriter) else None

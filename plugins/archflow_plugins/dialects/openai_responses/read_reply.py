"""Replies of the Responses API, whole or streamed, read into events.

Source: OpenAI's API reference ("Streaming events") and its Python client 3.57, 2026-11.

A stream says everything up to three times: in deltas, in the event that ends an item, and in the last event. The first
time counts; the others only where the earlier ones were left out, as some servers do.

Rule: events of unknown types, and items of OpenAI's own tools, are passed over.
Rule: bytes that are not of this dialect raise UpstreamProtocolError, and nothing else.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

from archflow_plugins.dialects.json_body import BAD_JSON
from archflow_plugins.dialects.openai_responses.items import ORIGIN, citation
from archflow_plugins.dialects.openai_responses.watch import Incomplete, Told, stopped, usage_of
from archflow_plugins.dialects.whole_body import WholeBody
from archflow_plugins.framing import sse
from archflow_plugins.translation import ReplyDecoder
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
    TokenLogprob,
    ToolCallDelta,
    UsageReported,
)

ITEMS_AT_MOST = 10_000
"""Items of one response's output."""


class _Top(Struct):
    token: str = ""
    logprob: float = 0.0
    bytes: tuple[int, ...] | None = None


class _Logprob(Struct):
    token: str = ""
    logprob: float = 0.0
    bytes: tuple[int, ...] | None = None
    top_logprobs: list[_Top] | None = None


class _Part(Struct):
    type: str = ""
    text: str | None = None
    refusal: str | None = None
    annotations: list[Raw] | None = None
    logprobs: list[_Logprob] | None = None


class _Item(Struct):
    type: str = ""
    id: str | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    input: str | None = None
    content: list[_Part] | None = None
    summary: list[_Part] | None = None
    encrypted_content: str | None = None


class _Error(Struct):
    code: str | int | None = None
    message: str | None = None
    type: str | None = None


class _Response(Struct):
    id: str | None = None
    model: str | None = None
    created_at: float | None = None
    status: str | None = None
    service_tier: str | None = None
    error: _Error | None = None
    incomplete_details: Incomplete | None = None
    usage: Told | None = None
    output: list[Raw] | None = None


class _Event(Struct):
    """One event of a stream, of any type that matters here."""

    type: str = ""
    delta: str | None = None
    output_index: int = 0
    content_index: int = 0
    item_id: str | None = None
    logprobs: list[_Logprob] | None = None
    item: Raw = Raw(b"null")
    annotation: Raw = Raw(b"null")
    response: Raw = Raw(b"null")
    error: _Error | None = None
    code: str | int | None = None
    message: str | None = None


_CALLS = frozenset({"function_call", "custom_tool_call"})


class _Type(Struct):
    type: str = ""


_decode_event = msgspec.json.Decoder(_Event).decode
_decode_type = msgspec.json.Decoder(_Type).decode
_decode_item = msgspec.json.Decoder(_Item).decode
_decode_response = msgspec.json.Decoder(_Response).decode


class _Open(Struct):
    """An item of the output whose deltas are coming.

    Attributes:
        item: what it was when it began.
        index: of a call, its place among the calls.
        blocks: content index -> block; the item's own block stands at -1.
        said: content indexes of which something came; of thoughts, the kind that came stands in `shown`.
    """

    item: _Item
    index: int
    blocks: dict[int, int]
    said: set[int]
    shown: str = ""
    parts: int = 0
    cited: bool = False


class _Reader:
    """What both forms share: items of the output into events, and the end."""

    def __init__(self) -> None:
        self._blocks = 0
        self._calls = 0
        self._open: dict[int, _Open] = {}
        self._started = False
        self._over = False

    def _start(self, response: _Response) -> list[Event]:
        if self._started:
            return []
        self._started = True
        return [
            Started(
                id=response.id or "",
                model=response.model or "",
                created=int(response.created_at or 0),
                service_tier=response.service_tier or "",
            )
        ]

    def _block(self, opened: _Open, content: int) -> int:
        block = opened.blocks.get(content)
        if block is None:
            block = opened.blocks[content] = self._blocks
            self._blocks += 1
        return block

    def _begin(self, index: int, item: _Item) -> list[Event]:
        """An item of the output begins."""
        if len(self._open) >= ITEMS_AT_MOST:
            raise UpstreamProtocolError(f"the response has more than {ITEMS_AT_MOST} items")
        opened = self._open[index] = _Open(item, self._calls, {}, set())
        if item.type not in _CALLS:
            return []
        self._calls += 1
        return [
            ToolCallDelta(
                index=opened.index,
                block=self._block(opened, -1),
                id=item.call_id or item.id or "",
                name=item.name or "",
                custom=item.type == "custom_tool_call",
            )
        ]

    def _complete(self, index: int, item: _Item) -> list[Event]:
        """An item is complete: what its deltas have not said already."""
        events = [] if index in self._open else self._begin(index, item)
        opened = self._open[index]
        if item.type == "message":
            for place, one in enumerate(item.content or ()):
                events += self._rest_of_part(opened, place, one)
        elif item.type == "reasoning":
            events += self._rest_of_thought(opened, item)
        elif item.type in _CALLS and -1 not in opened.said:
            arguments = item.arguments if item.type == "function_call" else item.input
            if arguments:
                events.append(
                    ToolCallDelta(
                        index=opened.index,
                        block=self._block(opened, -1),
                        arguments=arguments,
                        custom=item.type == "custom_tool_call",
                    )
                )
        opened.said.add(-1)
        return events

    def _rest_of_part(self, opened: _Open, place: int, one: _Part) -> list[Event]:
        if place in opened.said:
            return []
        events: list[Event] = []
        block = self._block(opened, place)
        opened.said.add(place)
        if one.type == "refusal":
            events.append(RefusalDelta(one.refusal or "", block))
        elif one.type == "output_text":
            events.append(TextDelta(one.text or "", block, logprobs=_logprobs(one.logprobs)))
            if not opened.cited:
                events += [CitationFound(citation(raw), block) for raw in one.annotations or ()]
        return events

    def _rest_of_thought(self, opened: _Open, item: _Item) -> list[Event]:
        if -1 in opened.said:
            return []
        text, summary = "", False
        if not opened.shown:
            thoughts = [one.text or "" for one in item.content or ()]
            summary = not any(thoughts)
            text = "\n\n".join([one.text or "" for one in item.summary or ()] if summary else thoughts)
        if not text and not item.encrypted_content and not opened.shown:
            return []
        return [
            ReasoningDelta(
                text=text,
                block=self._block(opened, -1),
                sealed=item.encrypted_content or "",
                id=item.id or "",
                summary=summary and bool(text),
                origin=ORIGIN,
            )
        ]

    def _finish(self, response: _Response) -> list[Event]:
        """The response is over, in whichever way."""
        if self._over:
            return []
        events = self._start(response)
        if response.status in {"failed", "cancelled"}:
            self._over = True
            return [*events, _failed(response.error, response.status)]
        if response.status not in {None, "completed", "incomplete"}:
            raise UpstreamProtocolError(f"the response is {response.status[:40]} and not complete")
        for index, raw in enumerate(response.output or ()):
            if index not in self._open or -1 not in self._open[index].said:
                events += self._complete(index, _item(raw))
        self._over = True
        details = response.incomplete_details
        reason = details.reason if details else None
        usage = usage_of(response.usage)
        events.append(Stopped(stopped(response.status, reason, called=self._calls > 0), detail=reason or ""))
        if usage is not None:
            events.append(UsageReported(usage))
        events.append(Finished())
        return events


class StreamedReply(_Reader):
    """Reads a stream of events."""

    def __init__(self) -> None:
        super().__init__()
        self._splitter = sse.Splitter()

    def feed(self, data: bytes) -> list[Event]:
        events: list[Event] = []
        for one in self._splitter.feed(data):
            if self._over:
                break
            found = self._event(one.data)
            if found and not self._started:  # its beginning was left out
                events += self._start(_Response())
            events += found
        return events

    def end(self) -> list[Event]:
        if not self._over:
            raise UpstreamProtocolError("the stream ended without response.completed")
        return []

    def _event(self, data: bytes) -> list[Event]:
        if data == b"[DONE]":
            return []
        try:
            event = _decode_event(data)
        except BAD_JSON as error:
            return self._odd(data, error)
        match event.type:
            case "response.output_text.delta":
                opened = self._opened(event)
                opened.said.add(event.content_index)
                block = self._block(opened, event.content_index)
                if event.logprobs:
                    return [TextDelta(event.delta or "", block, logprobs=_logprobs(event.logprobs))]
                return [TextDelta(event.delta or "", block)]
            case "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta":
                return self._arguments(event)
            case "response.reasoning_summary_text.delta":
                return self._thought(event, "summary")
            case "response.reasoning_text.delta":
                return self._thought(event, "text")
            case "response.reasoning_summary_part.added":
                return self._thought_part(event)
            case "response.refusal.delta":
                opened = self._opened(event)
                opened.said.add(event.content_index)
                return [RefusalDelta(event.delta or "", self._block(opened, event.content_index))]
            case "response.output_item.added":
                return self._begin(event.output_index, _item(event.item))
            case "response.output_item.done":
                return self._complete(event.output_index, _item(event.item))
            case "response.output_text.annotation.added":
                opened = self._opened(event)
                opened.cited = True
                return [CitationFound(citation(event.annotation), self._block(opened, event.content_index))]
            case "response.created" | "response.in_progress" | "response.queued":
                return self._start(_response(event.response))
            case "response.completed" | "response.incomplete" | "response.failed" | "response.cancelled":
                return self._finish(_closed(event))
            case "error":
                self._over = True
                told = event.error or _Error(event.code, event.message)
                return [_failed(told, "failed")]
            case _:
                return []

    def _odd(self, data: bytes, error: Exception) -> list[Event]:
        """An event that is not of the form of those that matter: an unknown one may be of any form."""
        try:
            kind = _decode_type(data).type
        except BAD_JSON:
            raise UpstreamProtocolError("an event of the stream is not a JSON object with a type") from error
        if kind in _MATTERS:
            raise UpstreamProtocolError(f"the event {kind} is not understood: {error}") from error
        return []

    def _opened(self, event: _Event) -> _Open:
        opened = self._open.get(event.output_index)
        if opened is None:  # its beginning was left out
            opened = self._open[event.output_index] = _Open(_Item(id=event.item_id), self._calls, {}, set())
        return opened

    def _arguments(self, event: _Event) -> list[Event]:
        opened = self._open.get(event.output_index)
        if opened is None:
            raise UpstreamProtocolError("the arguments of a call came before the call")
        opened.said.add(-1)
        return [
            ToolCallDelta(
                index=opened.index,
                block=self._block(opened, -1),
                arguments=event.delta or "",
                custom=opened.item.type == "custom_tool_call",
            )
        ]

    def _thought(self, event: _Event, kind: str) -> list[Event]:
        opened = self._opened(event)
        opened.shown = opened.shown or kind
        if opened.shown != kind:
            return []  # summary and thoughts both came: one of them is enough
        return [
            ReasoningDelta(
                text=event.delta or "",
                block=self._block(opened, -1),
                id=opened.item.id or "",
                summary=kind == "summary",
                origin=ORIGIN,
            )
        ]

    def _thought_part(self, event: _Event) -> list[Event]:
        """Another part of a summary: an empty line between them."""
        opened = self._opened(event)
        opened.parts += 1
        if opened.parts == 1 or opened.shown != "summary":
            return []
        return self._thought(_Event(delta="\n\n", output_index=event.output_index), "summary")


class WholeReply(WholeBody, _Reader):
    """Reads a whole response."""

    def __init__(self) -> None:
        WholeBody.__init__(self)
        _Reader.__init__(self)

    def end(self) -> list[Event]:
        return self._finish(_response(self.body()))


_MATTERS = frozenset({
    "response.output_text.delta", "response.function_call_arguments.delta", "response.custom_tool_call_input.delta",
    "response.reasoning_summary_text.delta", "response.reasoning_text.delta", "response.reasoning_summary_part.added",
    "response.refusal.delta", "response.output_item.added", "response.output_item.done",
    "response.output_text.annotation.added", "response.created", "response.in_progress", "response.queued",
    "response.completed", "response.incomplete", "response.failed", "response.cancelled", "error",
})  # fmt: skip


def _item(raw: Raw) -> _Item:
    """An item of the output; one of a tool of OpenAI's own may be of any form, and has only its type then."""
    try:
        return _decode_item(raw)
    except BAD_JSON as error:
        try:
            kind = _decode_type(raw).type
        except BAD_JSON:
            raise UpstreamProtocolError(f"an item of the output is not understood: {error}") from error
        if kind in {"message", "reasoning", "function_call", "custom_tool_call"}:
            raise UpstreamProtocolError(f"a {kind} of the output is not understood: {error}") from error
        return _Item(type=kind)


def _response(raw: Raw | bytes) -> _Response:
    try:
        return _decode_response(raw)
    except BAD_JSON as error:
        raise UpstreamProtocolError(f"the response is not understood: {error}") from error


def _closed(event: _Event) -> _Response:
    """The response of a last event; its status is the event's if it does not say."""
    response = _response(event.response)
    if response.status is None or response.status == "in_progress":
        response.status = event.type.partition(".")[2]
    return response


def _failed(error: _Error | None, status: str) -> Failed:
    message = (error and error.message) or f"the response {status} without saying why"
    code = (error and (error.code or error.type)) or "upstream_failed"
    return Failed(str(code), message)


def _logprobs(told: list[_Logprob] | None) -> tuple[TokenLogprob, ...]:
    if not told:
        return ()
    return tuple(
        TokenLogprob(
            one.token,
            one.logprob,
            one.bytes,
            tuple(TokenLogprob(top.token, top.logprob, top.bytes) for top in one.top_logprobs or ()),
        )
        for one in told
    )


class _Problem(Struct):
    error: Any = None


def problem_of(body: bytes) -> tuple[str, str] | None:
    """Message and code of an error's body; None if it is none."""
    try:
        said = msgspec.json.decode(body, type=_Problem).error
        error = msgspec.convert(said, _Error) if isinstance(said, dict) else None
    except (*BAD_JSON, msgspec.ValidationError):
        return None
    if error is None:
        return (said, "") if isinstance(said, str) and said else None
    if not error.message:
        return None
    return error.message, str(error.code or error.type or "")


def reply_decoder(*, stream: bool) -> ReplyDecoder:
    """A reader for one reply."""
    return StreamedReply() if stream else WholeReply()

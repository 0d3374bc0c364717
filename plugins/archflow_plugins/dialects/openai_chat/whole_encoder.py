"""Writing a whole reply of chat completions: nothing until it is complete, then everything.

Rule: a call without arguments has `{}` for them, since clients read them as JSON.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Raw

from archflow_plugins.dialects.json_body import encode
from archflow_plugins.dialects.openai_chat.encode import Json
from archflow_plugins.dialects.openai_chat.reply_choice import (
    Choice,
    Wishes,
    extra_of,
    logprobs_form,
    shared_fields,
    usage_form,
)
from archflow_plugins.dialects.openai_family import error_body
from archflow_plugins.kinds import Head
from archflow_plugins.translation import Answering
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


class _Message:
    """What a choice of a whole reply is made of."""

    __slots__ = (
        "annotations",
        "calls",
        "choice",
        "fields",
        "logprobs",
        "refusal",
        "shown",
        "stopped",
        "texts",
    )

    def __init__(self, number: int) -> None:
        self.choice = Choice(number)
        self.texts: list[str] = []
        self.refusal: list[str] = []
        self.shown: list[str] = []
        self.fields: dict[str, list[object]] = {}
        self.calls: dict[int, _Call] = {}
        self.annotations: list[Json] = []
        self.logprobs: list[TokenLogprob] = []
        self.stopped: StopReason = "stop"

    def leave(self, left: Json) -> None:
        """Keep what a thought leaves when it ends."""
        for place, items in left.items():
            assert isinstance(items, list)  # noqa: S101 - as `Choice.close` makes it
            self.fields.setdefault(place, []).extend(items)

    def form(self, *, older: bool) -> Json:
        """The choice as it is written."""
        self.leave(self.choice.close())
        calls = [call.form() for _, call in sorted(self.calls.items())]
        text = "".join(self.texts)
        message: Json = {
            "role": "assistant",
            "content": text if text or not (calls or self.refusal) else None,
            "refusal": "".join(self.refusal) or None,
        }
        if self.annotations:
            message["annotations"] = self.annotations
        if self.shown:
            message["reasoning_content"] = "".join(self.shown)
        message |= self.fields
        if calls and older:
            message["function_call"] = calls[0]["function"]
        elif calls:
            message["tool_calls"] = calls
        return {
            "index": self.choice.number,
            "message": message,
            "logprobs": Raw(logprobs_form(self.logprobs)) if self.logprobs else None,
            "finish_reason": self.choice.word(self.stopped, older=older),
        }


class _Call:
    """A tool call of a whole reply."""

    __slots__ = ("arguments", "custom", "extra", "id", "name")

    def __init__(self) -> None:
        self.id = self.name = ""
        self.arguments: list[str] = []
        self.custom = False
        self.extra: Json = {}

    def add(self, event: ToolCallDelta) -> None:
        self.id = event.id or self.id
        self.name = event.name or self.name
        self.custom = self.custom or event.custom
        self.extra |= extra_of(event)
        if event.arguments:
            self.arguments.append(event.arguments)

    def form(self) -> Json:
        told = "".join(self.arguments)
        if self.custom:
            return {
                "id": self.id,
                "type": "custom",
                "custom": {"name": self.name, "input": told},
                **self.extra,
            }
        function = {"name": self.name, "arguments": told or "{}"}
        return {"id": self.id, "type": "function", "function": function, **self.extra}


class WholeEncoder:
    """Writes the whole reply when it is complete."""

    content_type = "application/json"

    def __init__(self, head: Head, answering: Answering) -> None:
        self._answering = answering
        self._wishes = Wishes(head)
        self._started = Started()
        self._messages: dict[int, _Message] = {}
        self._usage: Usage | None = None
        self._over = False

    def feed(self, events: Sequence[Event]) -> bytes:
        for event in events:
            if self._over:
                break
            if isinstance(event, Finished):
                self._over = True
                return self._whole()
            if isinstance(event, Failed):
                self._over = True
                return error_body("server_error", event.code, event.message)
            self._keep(event)
        return b""

    def _keep(self, event: Event) -> None:
        if isinstance(event, TextDelta):
            message = self._message(event.choice)
            message.leave(message.choice.close())
            message.choice.text(event)
            message.texts.append(event.text)
            message.logprobs += event.logprobs
        elif isinstance(event, ToolCallDelta):
            message = self._message(event.choice)
            message.calls.setdefault(event.index, _Call()).add(event)
        elif isinstance(event, ReasoningDelta):
            if not self._wishes.hidden:
                message = self._message(event.choice)
                text, left = message.choice.think(event)
                message.leave(left)
                if text:
                    message.shown.append(text)
        elif isinstance(event, RefusalDelta):
            message = self._message(event.choice)
            message.choice.refused = True
            message.refusal.append(event.text)
        elif isinstance(event, CitationFound):
            message = self._message(event.choice)
            annotation = message.choice.cite(event.citation)
            if annotation is not None:
                message.annotations.append(annotation)
        elif isinstance(event, Stopped):
            self._message(event.choice).stopped = event.reason
        elif isinstance(event, UsageReported):
            self._usage = event.usage
        elif isinstance(event, Started):
            self._started = event

    def _message(self, number: int) -> _Message:
        found = self._messages.get(number)
        if found is None:
            found = self._messages[number] = _Message(number)
        return found

    def _whole(self) -> bytes:
        self._message(0)
        reply = shared_fields(self._started, self._answering, "chat.completion")
        older = self._wishes.older
        reply["choices"] = [message.form(older=older) for _, message in sorted(self._messages.items())]
        if self._usage is not None:
            reply["usage"] = usage_form(self._usage)
        if self._answering.metadata:
            reply["metadata"] = dict(self._answering.metadata)
        return encode(reply)

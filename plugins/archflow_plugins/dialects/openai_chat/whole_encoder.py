"""Writing a whole reply of chat completions: nothing until it is complete, then everything.

Rule: a call without arguments has `{}` for them, since clients read them as JSON.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Raw, Struct

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


class _Message(Struct, eq=False):
    """What a choice of a whole reply is made of. Mutable: it grows while the reply is heard."""

    choice: Choice
    texts: list[str] = []
    refusal: list[str] = []
    shown: list[str] = []
    fields: dict[str, list[object]] = {}
    calls: dict[int, _Call] = {}
    annotations: list[Json] = []
    logprobs: list[TokenLogprob] = []
    stopped: StopReason = "stop"

    def leave(self, left: Json) -> None:
        """Keep what a thought leaves when it ends."""
        for place, items in left.items():
            assert isinstance(items, list)  # noqa: S101 - as `Choice.close` makes it
            self.fields.setdefault(place, []).extend(items)

    def form(self, *, older: bool) -> Json:
        """The choice as it is written."""
        if self.choice.thought is not None:
            self.leave(self.choice.close())
        calls = [call.form() for _, call in sorted(self.calls.items())] if self.calls else []
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


class _Call(Struct, eq=False):
    """A tool call of a whole reply. Mutable, as its message is."""

    id: str = ""
    name: str = ""
    arguments: list[str] = []
    custom: bool = False
    extra: Json = {}

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
            if type(event) is TextDelta:
                self._text(event)
            elif type(event) is ToolCallDelta:
                self._message(event.choice).calls.setdefault(event.index, _Call()).add(event)
            elif type(event) is Started:
                self._started = event
            elif type(event) is Stopped:
                self._message(event.choice).stopped = event.reason
            elif type(event) is UsageReported:
                self._usage = event.usage
            elif type(event) is Finished:
                self._over = True
                return self._whole()
            elif type(event) is Failed:
                self._over = True
                return error_body("server_error", event.code, event.message)
            else:
                self._rare(event)
        return b""

    def _text(self, event: TextDelta) -> None:
        message = self._message(event.choice)
        choice = message.choice
        if choice.thought is not None:
            message.leave(choice.close())
        choice.text(event)
        message.texts.append(event.text)
        if event.logprobs:
            message.logprobs += event.logprobs

    def _rare(self, event: Event) -> None:
        if isinstance(event, ReasoningDelta):
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

    def _message(self, number: int) -> _Message:
        found = self._messages.get(number)
        if found is None:
            found = self._messages[number] = _Message(Choice(number))
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

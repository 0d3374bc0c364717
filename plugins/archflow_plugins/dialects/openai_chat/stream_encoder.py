"""Writing a streamed reply of chat completions.

Rule: what is the same in every chunk of a reply is made once, when the reply starts.
Rule: a call without arguments has `{}` for them, since clients read them as JSON.
Invariant: after Finished or Failed nothing more is written.
"""

from __future__ import annotations

from collections.abc import Sequence

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
from archflow_plugins.dialects.openai_chat.whole_encoder import WholeEncoder
from archflow_plugins.dialects.openai_family import DONE, error_body
from archflow_plugins.framing import sse
from archflow_plugins.kinds import Head
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


class StreamEncoder:
    """Writes chunks as events come."""

    content_type = "text/event-stream"

    def __init__(self, head: Head, answering: Answering) -> None:
        self._answering = answering
        self._wishes = Wishes(head)
        self._choices: dict[int, Choice] = {}
        self._first = b""
        self._text: list[bytes] = []
        self._last = b',"logprobs":null,"finish_reason":null}]}\n\n'
        self._usage: Usage | None = None
        self._over = False

    def feed(self, events: Sequence[Event]) -> bytes:
        out: list[bytes] = []
        for event in events:
            if self._over:
                break
            kind = type(event)
            if kind is TextDelta:
                self._say(event, out)  # type: ignore[arg-type] # mypy does not narrow by `kind is`
            else:
                self._other(event, out)
        return out[0] if len(out) == 1 else b"".join(out)

    def _say(self, event: TextDelta, out: list[bytes]) -> None:
        choice = self._choices.get(event.choice)
        if choice is None:
            choice = self._begin(event.choice, out)
        if choice.thought is not None:
            self._close(choice, out)
        choice.text(event)
        delta = b'%b%d,"delta":{"content":%b}' % (self._first, event.choice, encode(event.text))
        if event.logprobs:
            out.append(b'%b,"logprobs":%b%b' % (delta, logprobs_form(event.logprobs), self._last[16:]))
        else:
            out.append(delta + self._last)

    def _other(self, event: Event, out: list[bytes]) -> None:
        if isinstance(event, Started):
            self._start(event)
            self._begin(0, out)
        elif isinstance(event, ToolCallDelta):
            self._call(event, out)
        elif isinstance(event, ReasoningDelta):
            if not self._wishes.hidden:
                choice = self._choice(event.choice, out)
                text, left = choice.think(event)
                if left:
                    self._delta(event.choice, left, out)
                if text:
                    self._delta(event.choice, {"reasoning_content": text}, out)
        elif isinstance(event, RefusalDelta):
            choice = self._choice(event.choice, out, closing=True)
            choice.refused = True
            self._delta(event.choice, {"refusal": event.text}, out)
        elif isinstance(event, CitationFound):
            annotation = self._choice(event.choice, out).cite(event.citation)
            if annotation is not None:
                self._delta(event.choice, {"annotations": [annotation]}, out)
        elif isinstance(event, UsageReported):
            self._usage = event.usage
        elif isinstance(event, Stopped):
            self._stop(event, out)
        elif isinstance(event, Finished):
            self._finish(out)
        elif isinstance(event, Failed):
            out.append(sse.encode(error_body("server_error", event.code, event.message)))
            self._over = True

    def _start(self, event: Started) -> None:
        shared = shared_fields(event, self._answering, "chat.completion.chunk")
        self._first = b"data: " + encode(shared)[:-1] + b',"choices":[{"index":'
        if self._wishes.usage:  # then every other chunk says that it has none
            self._last = b',"logprobs":null,"finish_reason":null}],"usage":null}\n\n'

    def _begin(self, number: int, out: list[bytes]) -> Choice:
        if not self._first:
            self._start(Started())
        if not self._choices and self._answering.prelude:
            self._prelude(out)
        found = self._choices.get(number)
        if found is None:
            found = self._choices[number] = Choice(number)
            self._delta(number, {"role": "assistant", "content": ""}, out)
        return found

    def _prelude(self, out: list[bytes]) -> None:
        """What comes before the reply, each message as a chunk of whoever says it."""
        for message in self._answering.prelude:
            started = Started(model=message.model)
            chunk = shared_fields(started, self._answering, "chat.completion.chunk")
            delta = {"role": message.role, "content": message.text}
            chunk["choices"] = [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}]
            out.append(sse.encode(encode(chunk)))

    def _choice(self, number: int, out: list[bytes], *, closing: bool = False) -> Choice:
        choice = self._begin(number, out)
        if closing and choice.thought is not None:
            self._close(choice, out)
        return choice

    def _close(self, choice: Choice, out: list[bytes]) -> None:
        left = choice.close()
        if left:
            self._delta(choice.number, left, out)

    def _delta(self, number: int, delta: Json, out: list[bytes]) -> None:
        out.append(b'%b%d,"delta":%b%b' % (self._first, number, encode(delta), self._last))

    def _call(self, event: ToolCallDelta, out: list[bytes]) -> None:
        choice = self._choice(event.choice, out, closing=True)
        first = bool(event.id or event.name)
        if event.arguments:
            choice.bare.discard(event.index)
        elif first and not event.custom:
            choice.bare.add(event.index)
        if self._wishes.older:
            if event.index == 0:
                named = {"name": event.name} if first else {}
                self._delta(event.choice, {"function_call": {**named, "arguments": event.arguments}}, out)
            return
        signature = extra_of(event)
        if not first and not signature and not event.custom:  # what nearly every delta of a call is
            out.append(
                b'%b%d,"delta":{"tool_calls":[{"index":%d,"function":{"arguments":%b}}]}%b'
                % (self._first, event.choice, event.index, encode(event.arguments), self._last)
            )
            return
        call: Json = {"index": event.index}
        if first:
            call |= {"id": event.id, "type": "custom" if event.custom else "function"}
        called = {"name": event.name} if first else {}
        if event.custom:
            call["custom"] = {**called, "input": event.arguments}
        else:
            call["function"] = {**called, "arguments": event.arguments}
        self._delta(event.choice, {"tool_calls": [call | signature]}, out)

    def _stop(self, event: Stopped, out: list[bytes]) -> None:
        choice = self._choice(event.choice, out, closing=True)
        for index in sorted(choice.bare):
            self._call(ToolCallDelta(index=index, choice=event.choice, arguments="{}"), out)
        word = choice.word(event.reason, older=self._wishes.older)
        end = self._last.replace(b'"finish_reason":null', b'"finish_reason":"%b"' % word.encode())
        out.append(b'%b%d,"delta":{}%b' % (self._first, event.choice, end))

    def _finish(self, out: list[bytes]) -> None:
        self._begin(0, out)
        if self._wishes.usage and self._usage is not None:
            told = encode(usage_form(self._usage))
            out.append(b'%b],"usage":%b}\n\n' % (self._first.removesuffix(b'{"index":'), told))
        out.append(DONE)
        self._over = True


def reply_encoder(head: Head, answering: Answering) -> ReplyEncoder:
    """A writer for one reply, in the form that the client wants it in."""
    return StreamEncoder(head, answering) if head.stream else WholeEncoder(head, answering)

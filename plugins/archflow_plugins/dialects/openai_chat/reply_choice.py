"""What both ways of writing a reply need: what a client wishes, what must be remembered of a choice, and small forms.

Rule: a client that offered `functions` rather than `tools` gets `function_call`, and the first call only.
Rule: a proof of thoughts is written where its thought ends.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from archflow_plugins.dialects.json_body import BAD_JSON, encode
from archflow_plugins.dialects.openai_chat import reasoning
from archflow_plugins.dialects.openai_chat.encode import Json
from archflow_plugins.dialects.openai_family import wants_usage
from archflow_plugins.kinds import Head
from archflow_plugins.translation import Answering
from archflow_schema.conversation import Citation, ReasoningPart
from archflow_schema.events import (
    ReasoningDelta,
    Started,
    StopReason,
    TextDelta,
    TokenLogprob,
    ToolCallDelta,
    Usage,
)

_WORDS: dict[StopReason, str] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "refusal": "content_filter",
    "pause": "stop",
    "error": "error",
}
_ID = "chatcmpl-"


class _Exclude(Struct):
    exclude: bool | None = None


_decode_exclude = msgspec.json.Decoder(_Exclude | None).decode


class Wishes:
    """What a request says about how it wants its reply."""

    __slots__ = ("hidden", "older", "usage")

    def __init__(self, head: Head) -> None:
        self.usage = wants_usage(head)
        self.older = "functions" in head.fields and "tools" not in head.fields
        self.hidden = _hidden(head)


class _Thought:
    """One block of thoughts: its text and what proves it."""

    __slots__ = ("block", "id", "origin", "sealed", "signature", "summary", "texts")

    def __init__(self, block: int) -> None:
        self.block = block
        self.texts: list[str] = []
        self.signature: list[str] = []
        self.sealed: list[str] = []
        self.id = ""
        self.origin = ""
        self.summary = False

    def add(self, event: ReasoningDelta) -> None:
        if event.text:
            self.texts.append(event.text)
        if event.signature:
            self.signature.append(event.signature)
        if event.sealed:
            self.sealed.append(event.sealed)
        self.id = event.id or self.id
        self.origin = event.origin or self.origin
        self.summary = self.summary or event.summary

    def part(self) -> ReasoningPart:
        return ReasoningPart(
            text="".join(self.texts),
            signature="".join(self.signature),
            sealed="".join(self.sealed),
            id=self.id,
            summary=self.summary,
            origin=self.origin,
        )


class Choice(Struct, eq=False):
    """One choice, as far as it must be remembered: how much text, which thought is open, which calls lack arguments.

    Mutable: it grows while the reply is heard.
    """

    number: int
    length: int = 0
    block: int = -1
    began: int = 0
    thought: _Thought | None = None
    thought_before: bool = False
    items: int = 0
    bare: set[int] = set()
    refused: bool = False

    def text(self, event: TextDelta) -> None:
        if event.block != self.block:
            self.block, self.began = event.block, self.length
        self.length += len(event.text)

    def think(self, event: ReasoningDelta) -> tuple[str, Json]:
        """The text to show for a delta, and the fields that the thought before it leaves."""
        left: Json = {}
        text = event.text
        if self.thought is None or self.thought.block != event.block:
            left = self.close()
            self.thought = _Thought(event.block)
        if text and self.thought_before and not self.thought.texts:
            text = f"\n\n{text}"
        self.thought.add(event)
        self.thought_before = self.thought_before or bool(text)
        return text, left

    def close(self) -> Json:
        """The open thought ends: where its proof goes, if it has one."""
        thought, self.thought = self.thought, None
        if thought is None:
            return {}
        part = thought.part()
        if part.origin == reasoning.ORIGIN:
            place, item = reasoning.item_of(part)
            return {place: [item]} if place in {"reasoning_details", "thinking_blocks"} else {}
        found = reasoning.foreign_item(part, self.items)
        if found is None:
            return {}
        self.items += 1
        return {"reasoning_details": [found]}

    def cite(self, citation: Citation) -> Json | None:
        """An annotation; None for a source without an address, which chat completions have no form for."""
        if not citation.url:
            return None
        unsaid = citation.start < 0 or citation.end < 0
        return {
            "type": "url_citation",
            "url_citation": {
                "url": citation.url,
                "title": citation.title,
                "start_index": self.began if unsaid else citation.start,
                "end_index": self.length if unsaid else citation.end,
            },
        }

    def word(self, reason: StopReason, *, older: bool) -> str:
        """The finish reason."""
        if reason == "refusal" and self.refused:
            return "stop"  # the words of refusal tell it
        return "function_call" if older and reason == "tool_calls" else _WORDS[reason]


def usage_form(usage: Usage) -> Json:
    """Usage in this dialect's words."""
    cached: Json = {"cached_tokens": usage.cached_tokens}
    if usage.cache_written_tokens:
        cached["cache_write_tokens"] = usage.cache_written_tokens
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": cached,
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


def shared_fields(started: Started, answering: Answering, kind: str) -> Json:
    """What a reply and each of its chunks begin with."""
    own = started.id.startswith(_ID)
    shared: Json = {
        "id": started.id if own else f"{_ID}{answering.request_id}",
        "object": kind,
        "created": started.created or answering.created,
        "model": started.model or answering.model,
    }
    if started.service_tier:
        shared["service_tier"] = started.service_tier
    if started.fingerprint:
        shared["system_fingerprint"] = started.fingerprint
    return shared


def extra_of(event: ToolCallDelta) -> Json:
    """What carries a call's signature, in the place that Google's clients know."""
    if not event.signature:
        return {}
    carried = reasoning.carried(event.signature, event.origin)
    return {"extra_content": {"google": {"thought_signature": carried}}}


def logprobs_form(found: Sequence[TokenLogprob]) -> bytes:
    content = [{**_logprob(one), "top_logprobs": [_logprob(top) for top in one.top]} for one in found]
    return encode({"content": content, "refusal": None})


def _logprob(one: TokenLogprob) -> Json:
    return {"token": one.token, "logprob": one.logprob, "bytes": one.bytes}


def _hidden(head: Head) -> bool:
    """Whether the client does not want to read thoughts."""
    raw = head.fields.get("reasoning")
    if raw is not None:
        try:
            form = _decode_exclude(raw)
        except BAD_JSON:
            return False
        if form is not None and form.exclude:
            return True
    include = head.fields.get("include_reasoning")
    return include is not None and bytes(include) == b"false"

"""The input of a request, read into messages.

What the assistant said, thought and called stands in items of their own, one after the other; together they are one
message. What has no place outside of this dialect becomes an OpaquePart, unless nothing is lost without it.

Rule: an unknown item or part is kept as it came, never dropped here.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable

import msgspec
from msgspec import Raw, Struct

from archflow_plugins.dialects.openai_responses import wire
from archflow_plugins.dialects.openai_responses.tools import LOCAL_SHELL, TOOL_SEARCH, flat
from archflow_plugins.dialects.sealed import unwrap
from archflow_plugins.kinds import Head
from archflow_schema.conversation import (
    AudioPart,
    CacheMark,
    Citation,
    DocumentPart,
    ImagePart,
    Message,
    OpaquePart,
    Part,
    ReasoningPart,
    RefusalPart,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from archflow_schema.errors import ClientProtocolError

ORIGIN = "openai_responses"
_ROLES: dict[str, Role] = {
    "user": "user",
    "assistant": "assistant",
    "system": "system",
    "developer": "developer",
}
_TEXTS = frozenset({"input_text", "output_text", "text", "summary_text", "reasoning_text"})
_TELLS_NOTHING = frozenset({"web_search_call", "file_search_call", "mcp_list_tools"})
"""Items of OpenAI's own tools whose result is in the answer that follows, so that nobody misses them."""
_LONG_CACHE = "1h"
"""OpenAI keeps a marked prompt for 30 minutes or 12 hours, others for 5 minutes or an hour."""


class Read(Struct):
    """What an input says. Mutable: it grows while the input is read.

    Attributes:
        messages: its turns.
        tools: lists of tools that stand among the items, with their places.
        effort: how hard to think from now on; empty if no item says so.
        behind: items that nobody misses: `input[].web_search_call` and the item.
    """

    messages: list[Message]
    tools: list[tuple[Raw, str]]
    effort: str
    behind: list[tuple[str, Raw]]


class _Annotation(Struct):
    type: str = ""
    url: str | None = None
    title: str | None = None
    filename: str | None = None
    start_index: int | None = None
    end_index: int | None = None


_decode_annotation = msgspec.json.Decoder(_Annotation).decode
_decode_text = msgspec.json.Decoder(str).decode


def read(head: Head) -> Read:
    """The messages of a request's `input`.

    Raises:
        ClientProtocolError: it is not one; the text says where.
    """
    items = wire.items_of(head)
    if isinstance(items, str):
        return Read([Message(role="user", parts=(TextPart(items),))], [], "", [])
    return _Reader(head.fields.get("input", wire.NULL)).read(items)


class _Reader:
    def __init__(self, raw: Raw) -> None:
        self._raw = raw
        self._found = Read([], [], "", [])
        self._turn: list[Part] = []
        """What the assistant has said since somebody else did."""

    def read(self, items: list[wire.Item]) -> Read:
        for index, item in enumerate(items):
            kind = item.type or ("message" if item.role is not None else "item_reference")
            if kind == "message":
                self._message(item, index)
            elif kind in _ASSISTANT:
                self._assistant(kind, item, index)
            elif kind in _RESULTS:
                self._result(kind, item, index)
            else:
                self._other(kind, item, index)
            if kind in _BRINGS_TOOLS:
                self._found.tools.append((item.tools, f"input[{index}].tools"))
        if self._turn:
            self._flush()
        return self._found

    def _flush(self) -> None:
        self._found.messages.append(Message(role="assistant", parts=tuple(self._turn)))
        self._turn = []

    def _message(self, item: wire.Item, index: int) -> None:
        role = _ROLES.get(item.role or "")
        if role is None:
            raise ClientProtocolError(f"`input[{index}]` has a role that is none of {', '.join(_ROLES)}")
        parts = self._content(item.content, index, "content")
        if role == "assistant":
            self._turn += parts
            return
        if self._turn:
            self._flush()
        self._found.messages.append(Message(role=role, parts=tuple(parts)))

    def _assistant(self, kind: str, item: wire.Item, index: int) -> None:
        if kind == "reasoning":
            self._turn.append(_reasoning(item))
        elif kind == "function_call":
            arguments = _string(item.arguments, index)
            self._turn.append(ToolCallPart(_call_id(item, index), _name(item, index), arguments))
        elif kind == "custom_tool_call":
            self._turn.append(
                ToolCallPart(_call_id(item, index), _name(item, index), item.input or "", custom=True)
            )
        elif kind == "local_shell_call":
            action = _without_type(item.action)
            self._turn.append(ToolCallPart(_call_id(item, index), LOCAL_SHELL, action))
        else:
            self._turn.append(
                ToolCallPart(item.call_id or item.id or "", TOOL_SEARCH, _string(item.arguments, index))
            )

    def _result(self, kind: str, item: wire.Item, index: int) -> None:
        if self._turn:
            self._flush()
        if kind == "tool_search_output":
            parts: list[Part] = [TextPart("The tools that were found can be called now.")]
            call = item.call_id or item.id or ""
        else:
            parts = self._content(item.output, index, "output")
            call = _call_id(item, index)
        result = ToolResultPart(call, tuple(parts), custom=kind == "custom_tool_call_output")
        self._found.messages.append(Message(role="tool", parts=(result,)))

    def _other(self, kind: str, item: wire.Item, index: int) -> None:
        if kind == "additional_tools":
            return
        if kind == "configuration_update":
            self._found.effort = (item.reasoning and item.reasoning.effort) or self._found.effort
        elif kind == "agent_message":
            if self._turn:
                self._flush()
            parts = self._content(item.content, index, "content")
            self._found.messages.append(Message(role="user", parts=tuple(parts), name=item.author or ""))
        else:
            raw = wire.decode_raws(self._raw)[index]
            if kind in _TELLS_NOTHING:
                self._found.behind.append((f"input[].{kind}", raw))
            else:
                self._turn.append(OpaquePart(kind, raw))

    def _content(self, content: str | list[wire.Part] | None, index: int, field: str) -> list[Part]:
        if content is None:
            return []
        if isinstance(content, str):
            return [TextPart(content)]
        parts: list[Part] = []
        for place, one in enumerate(content):
            if one.type in _TEXTS:
                cache = _cache(one)
                citations = tuple(_citations(one.annotations)) if one.annotations else ()
                parts.append(TextPart(one.text or "", cache, citations))
            else:
                parts.append(
                    _part(one) or OpaquePart(one.type, wire.raw_part(self._raw, index, field, place))
                )
        return parts


_ASSISTANT = frozenset({
    "reasoning", "function_call", "custom_tool_call", "local_shell_call", "tool_search_call",
})  # fmt: skip
_BRINGS_TOOLS = frozenset({"additional_tools", "tool_search_output"})
_RESULTS = frozenset({
    "function_call_output", "custom_tool_call_output", "local_shell_call_output", "tool_search_output",
})  # fmt: skip


def _part(one: wire.Part) -> Part | None:
    """A part that is no text; None for one that only this dialect knows."""
    if one.type == "input_image" and one.image_url:
        return ImagePart(one.image_url, one.detail or "", _cache(one))
    if one.type == "input_image" and one.file_id:
        return DocumentPart(file_id=one.file_id, media_type="image/*", origin=ORIGIN, cache=_cache(one))
    if one.type == "input_file":
        return _file(one)
    if one.type == "refusal":
        return RefusalPart(one.refusal or "")
    if one.type == "input_audio" and one.input_audio is not None:
        return AudioPart(one.input_audio.data, one.input_audio.format)
    return None


def _file(one: wire.Part) -> Part | None:
    name, cache = one.filename or "", _cache(one)
    if one.file_data:
        url = one.file_data
        if not url.startswith("data:"):
            url = f"data:application/pdf;base64,{url}"
        media_type = url[5:].partition(",")[0].partition(";")[0]
        text = _plain(url) if media_type == "text/plain" else None
        if text is not None:
            return DocumentPart(text=text, media_type=media_type, name=name, cache=cache)
        return DocumentPart(url=url, media_type=media_type, name=name, cache=cache)
    if one.file_url:
        return DocumentPart(url=one.file_url, name=name, cache=cache)
    if one.file_id:
        return DocumentPart(file_id=one.file_id, name=name, origin=ORIGIN, cache=cache)
    return None


def _plain(url: str) -> str | None:
    """The text in a `data:` URL of plain text; None if it holds none that can be read."""
    head, _, data = url.partition(",")
    if not head.endswith(";base64"):
        return None
    try:
        return base64.b64decode(data, validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return None


def _cache(one: wire.Part) -> CacheMark | None:
    if one.prompt_cache_breakpoint is None:
        return None
    return CacheMark(_LONG_CACHE if one.prompt_cache_breakpoint.ttl else "")


def _citations(annotations: Iterable[Raw]) -> Iterable[Citation]:
    return (citation(raw) for raw in annotations)


def citation(raw: Raw) -> Citation:
    """An annotation as a citation; one of another form than expected is only kept as it came."""
    try:
        told = _decode_annotation(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return Citation(origin=ORIGIN, raw=raw)
    return Citation(
        url=told.url or "",
        title=told.title or told.filename or "",
        start=-1 if told.start_index is None else told.start_index,
        end=-1 if told.end_index is None else told.end_index,
        origin=ORIGIN,
        raw=raw,
    )


def _reasoning(item: wire.Item) -> ReasoningPart:
    thoughts = item.content if isinstance(item.content, list) else []
    summary = not any(one.text for one in thoughts)
    shown = "\n\n".join(one.text or "" for one in (item.summary or () if summary else thoughts))
    foreign = unwrap(item.encrypted_content) if item.encrypted_content else None
    if foreign is None:
        return ReasoningPart(
            text=shown,
            sealed=item.encrypted_content or "",
            id=item.id or "",
            summary=summary and bool(shown),
            origin=ORIGIN,
        )
    origin, proof = foreign
    return ReasoningPart(
        text=proof.text or shown,
        signature=proof.signature,
        sealed=proof.sealed,
        id=proof.id,
        origin=origin,
    )


def _call_id(item: wire.Item, index: int) -> str:
    call = item.call_id or item.id
    if not call:
        raise ClientProtocolError(f"`input[{index}]` lacks `call_id`")
    return call


def _name(item: wire.Item, index: int) -> str:
    if not item.name:
        raise ClientProtocolError(f"`input[{index}]` lacks `name`")
    return flat(item.namespace or "", item.name)


def _string(raw: Raw, index: int) -> str:
    """Arguments: a string that holds JSON, or the JSON itself."""
    data = bytes(raw)
    if data[:1] == b'"':
        try:
            return _decode_text(raw)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ClientProtocolError(f"`input[{index}].arguments` is not understood: {error}") from error
    return "" if data == b"null" else data.decode("utf-8", "replace")


def _without_type(action: Raw) -> str:
    """The action of a shell call as the arguments of a function; its type says nothing more."""
    try:
        fields = msgspec.json.decode(action, type=dict[str, Raw])
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return "{}"
    fields.pop("type", None)
    return msgspec.json.encode(fields).decode("utf-8", "replace")

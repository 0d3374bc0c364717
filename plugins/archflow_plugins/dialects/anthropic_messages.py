"""Anthropic Messages: `POST /v1/messages`.

Source: Anthropic's API reference (Messages, Streaming, Errors) and its Python client, 2026-11.

Rule: `input_tokens` of Anthropic leaves out what was read from or written to the prompt cache; ours counts it in.
Rule: a stream's counts are cumulative, so the larger one is the newer one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import msgspec
from msgspec import Raw, Struct

from archflow_plugins.dialects.json_body import BAD_JSON, JsonDialect, decoded, encode, extras, part
from archflow_plugins.dialects.stream_lines import LineTap
from archflow_plugins.framing import sse
from archflow_plugins.kinds import Head, StreamTap, Summary
from archflow_schema.conversation import (
    Conversation,
    ImagePart,
    Message,
    OpaquePart,
    Part,
    Role,
    TextPart,
    Tool,
    ToolCallPart,
    ToolResultPart,
)
from archflow_schema.errors import ClientProtocolError
from archflow_schema.events import Usage

_PLACED = frozenset({"model", "stream", "messages", "system", "tools"})
_ROLES: dict[str, Role] = {"user": "user", "assistant": "assistant", "system": "system"}

_ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


class _Usage(Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None


class _Reply(Struct):
    id: str | None = None
    model: str | None = None
    usage: _Usage | None = None
    stop_reason: str | None = None


class _Delta(Struct):
    stop_reason: str | None = None


class _Event(Struct):
    """`message_start` has a message, `message_delta` has a delta and usage."""

    message: _Reply | None = None
    delta: _Delta | None = None
    usage: _Usage | None = None


class _Message(Struct):
    role: str
    content: str | list[Raw]


class _BlockType(Struct):
    type: str


class _Text(Struct):
    text: str


class _Source(Struct):
    type: str
    url: str = ""
    media_type: str = ""
    data: str = ""


class _Image(Struct):
    source: _Source


class _ToolUse(Struct):
    id: str
    name: str
    input: Raw = Raw(b"{}")


class _ToolResult(Struct):
    tool_use_id: str
    content: str | list[Raw] | None = None
    is_error: bool | None = None


class _Tool(Struct):
    name: str
    type: str | None = None
    description: str | None = None
    input_schema: Raw = Raw(b"null")


_decode_reply = msgspec.json.Decoder(_Reply).decode
_decode_event = msgspec.json.Decoder(_Event).decode
_decode_messages = msgspec.json.Decoder(list[_Message]).decode
_decode_system = msgspec.json.Decoder(str | list[Raw] | None).decode
_decode_tools = msgspec.json.Decoder(list[Raw] | None).decode
_decode_tool = msgspec.json.Decoder(_Tool).decode
_decode_type = msgspec.json.Decoder(_BlockType).decode
_decode_text = msgspec.json.Decoder(_Text).decode
_decode_image = msgspec.json.Decoder(_Image).decode
_decode_tool_use = msgspec.json.Decoder(_ToolUse).decode
_decode_tool_result = msgspec.json.Decoder(_ToolResult).decode


class AnthropicTap(LineTap):
    """Watches a stream of events. Only `message_start` and `message_delta` hold usage."""

    needles: ClassVar[tuple[bytes, ...]] = (b'"usage"',)
    opening: ClassVar[int] = 1

    def __init__(self) -> None:
        super().__init__()
        self._counts = _Usage()

    def look(self, data: bytes) -> bool:
        try:
            event = _decode_event(data)
        except BAD_JSON:
            return False
        if event.message is not None:
            self.response_id = event.message.id or self.response_id
            self.response_model = event.message.model or self.response_model
        if event.delta is not None and event.delta.stop_reason:
            self.finish_reason = event.delta.stop_reason
        for told in (event.message and event.message.usage, event.usage):
            if told:
                self._counts = _larger(self._counts, told)
                self.usage = _usage(self._counts)
        return True


class AnthropicMessages(JsonDialect):
    """Anthropic Messages."""

    kind = "dialect.anthropic_messages"
    path: ClassVar[str] = "/v1/messages"
    operation: ClassVar[str] = "chat"

    def decode(self, head: Head) -> Conversation:
        messages: list[Message] = []
        if "system" in head.fields:
            system = _content(decoded(_decode_system, head, "system"), "`system`")
            if system:
                messages.append(Message(role="system", parts=tuple(system)))
        for index, message in enumerate(decoded(_decode_messages, head, "messages")):
            where = f"`messages[{index}]`"
            role = _ROLES.get(message.role)
            if role is None:
                raise ClientProtocolError(f"{where} has a role that is neither user nor assistant")
            messages.append(Message(role=role, parts=tuple(_content(message.content, where))))
        tools, others = _tools(head)
        rest = extras(head, _PLACED)
        return Conversation(
            model=head.model,
            messages=tuple(messages),
            tools=tools,
            stream=head.stream,
            extras=(*rest, ("tools", Raw(encode(others)))) if others else rest,
        )

    def encode_text(self, head: Head, text: str, *, request_id: str) -> tuple[str, bytes]:
        usage = {"input_tokens": 0, "output_tokens": 0}
        message = {
            "id": f"msg_{request_id}",
            "type": "message",
            "role": "assistant",
            "model": head.model,
            "content": [{"type": "text", "text": text}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": usage,
        }
        if not head.stream:
            return "application/json", encode(message)
        block = {"type": "text", "text": ""}
        end = {"stop_reason": "end_turn", "stop_sequence": None}
        events: tuple[dict[str, object], ...] = (
            {"type": "message_start", "message": {**message, "content": [], "stop_reason": None}},
            {"type": "content_block_start", "index": 0, "content_block": block},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": end, "usage": {"output_tokens": 0}},
            {"type": "message_stop"},
        )
        return "text/event-stream", b"".join(
            sse.encode(encode(event), str(event["type"])) for event in events
        )

    def encode_error(self, status: int, code: str, message: str, *, request_id: str) -> bytes:
        fallback = "api_error" if status >= 500 else "invalid_request_error"
        error = {"type": _ERROR_TYPES.get(status, fallback), "message": message}
        return encode({"type": "error", "error": error, "request_id": request_id})

    def encode_stream_error(self, code: str, message: str) -> bytes:
        kind = "timeout_error" if "timeout" in code else "api_error"
        return sse.encode(encode({"type": "error", "error": {"type": kind, "message": message}}), "error")

    def summarise(self, body: bytes) -> Summary:
        try:
            reply = _decode_reply(body)
        except BAD_JSON:
            return Summary()
        return Summary(
            usage=_usage(reply.usage) if reply.usage else None,
            finish_reason=reply.stop_reason or "",
            response_model=reply.model or "",
            response_id=reply.id or "",
        )

    def tap(self) -> StreamTap:
        return AnthropicTap()


def _usage(told: _Usage) -> Usage:
    cached = max(0, told.cache_read_input_tokens or 0)
    return Usage(
        input_tokens=max(0, told.input_tokens or 0) + cached + max(0, told.cache_creation_input_tokens or 0),
        output_tokens=max(0, told.output_tokens or 0),
        cached_tokens=cached,
    )


def _larger(one: _Usage, other: _Usage) -> _Usage:
    return _Usage(
        max(one.input_tokens or 0, other.input_tokens or 0),
        max(one.output_tokens or 0, other.output_tokens or 0),
        max(one.cache_read_input_tokens or 0, other.cache_read_input_tokens or 0),
        max(one.cache_creation_input_tokens or 0, other.cache_creation_input_tokens or 0),
    )


def _content(content: str | list[Raw] | None, where: str) -> list[Part]:
    if content is None:
        return []
    if isinstance(content, str):
        return [TextPart(content)]
    return [one for index, raw in enumerate(content) for one in _block(raw, f"{where}.content[{index}]")]


def _block(raw: Raw, where: str) -> Iterator[Part]:
    kind = part(_decode_type, raw, where).type
    match kind:
        case "text":
            yield TextPart(part(_decode_text, raw, where).text)
        case "image":
            source = part(_decode_image, raw, where).source
            if source.type == "base64":
                yield ImagePart(f"data:{source.media_type};base64,{source.data}")
            else:
                yield ImagePart(source.url) if source.type == "url" else OpaquePart(kind, raw)
        case "tool_use":
            use = part(_decode_tool_use, raw, where)
            yield ToolCallPart(use.id, use.name, bytes(use.input).decode("utf-8", "replace"))
        case "tool_result":
            result = part(_decode_tool_result, raw, where)
            inner = _content(result.content, where)
            text = "\n".join(one.text for one in inner if isinstance(one, TextPart))
            yield ToolResultPart(result.tool_use_id, (TextPart(text),) if text else (), bool(result.is_error))
            yield from (one for one in inner if not isinstance(one, TextPart))
        case _:
            yield OpaquePart(kind, raw)


def _tools(head: Head) -> tuple[tuple[Tool, ...], list[Raw]]:
    """The client's own tools, and the vendor's built-in ones as they came."""
    if "tools" not in head.fields:
        return (), []
    own: list[Tool] = []
    others: list[Raw] = []
    for index, raw in enumerate(decoded(_decode_tools, head, "tools") or ()):
        tool = part(_decode_tool, raw, f"`tools[{index}]`")
        if bytes(tool.input_schema) == b"null":
            others.append(raw)
        else:
            own.append(Tool(name=tool.name, description=tool.description or "", parameters=tool.input_schema))
    return tuple(own), others

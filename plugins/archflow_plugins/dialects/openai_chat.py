"""OpenAI Chat Completions: `POST /v1/chat/completions`.

Source: OpenAI's API reference, 2026-11; it is also what most other vendors speak.

Rule: parts and tools of types that are unknown here stay as they came (OpaquePart, extras).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import ClassVar

import msgspec
from msgspec import Raw, Struct

from archflow_plugins.dialects.json_body import BAD_JSON, decoded, encode, extras, part
from archflow_plugins.dialects.openai_family import DONE, OpenAIDialect
from archflow_plugins.framing import sse
from archflow_plugins.kinds import Head
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

_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "developer",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}
_PLACED = frozenset({"model", "stream", "messages", "tools"})


class _Function(Struct):
    name: str = ""
    arguments: str = ""


class _ToolCall(Struct):
    id: str | None = None
    type: str | None = "function"
    function: _Function | None = None


class _Message(Struct):
    role: str
    content: str | list[Raw] | None = None
    name: str | None = None
    tool_calls: list[Raw] | None = None
    tool_call_id: str | None = None
    function_call: _Function | None = None


class _ImageUrl(Struct):
    url: str
    detail: str | None = None


class _Part(Struct):
    type: str
    text: str | None = None
    image_url: _ImageUrl | str | None = None
    """Mistral also takes a bare string."""


class _PartType(Struct):
    type: str


class _FunctionTool(Struct):
    name: str
    description: str | None = None
    parameters: Raw = Raw(b"{}")


class _Tool(Struct):
    function: _FunctionTool


class _StreamOptions(Struct):
    include_usage: bool | None = None


_decode_messages = msgspec.json.Decoder(list[_Message]).decode
_decode_tools = msgspec.json.Decoder(list[Raw] | None).decode
_decode_tool = msgspec.json.Decoder(_Tool).decode
_decode_type = msgspec.json.Decoder(_PartType).decode
_decode_part = msgspec.json.Decoder(_Part).decode
_decode_call = msgspec.json.Decoder(_ToolCall).decode
_decode_options = msgspec.json.Decoder(_StreamOptions | None).decode


class OpenAIChat(OpenAIDialect):
    """OpenAI Chat Completions."""

    kind = "dialect.openai_chat"
    path: ClassVar[str] = "/v1/chat/completions"
    other_paths: ClassVar[tuple[str, ...]] = ("/openai/v1/chat/completions",)
    operation: ClassVar[str] = "chat"
    models_path: ClassVar[str] = "/v1/models"

    def encode_models(self, names: Sequence[str]) -> bytes:
        return encode({"object": "list", "data": [_model(name) for name in names]})

    def encode_model(self, name: str) -> bytes:
        return encode(_model(name))

    def decode(self, head: Head) -> Conversation:
        messages = decoded(_decode_messages, head, "messages")
        tools, others = _tools(head)
        rest = extras(head, _PLACED)
        return Conversation(
            model=head.model,
            messages=tuple(
                _message(message, f"`messages[{index}]`") for index, message in enumerate(messages)
            ),
            tools=tools,
            stream=head.stream,
            extras=(*rest, ("tools", Raw(encode(others)))) if others else rest,
        )

    def encode_text(self, head: Head, text: str, *, request_id: str) -> tuple[str, bytes]:
        shared = {"id": f"chatcmpl-{request_id}", "created": int(time.time()), "model": head.model}
        if not head.stream:
            message = {"role": "assistant", "content": text, "refusal": None}
            choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
            return "application/json", encode(
                {**shared, "object": "chat.completion", "choices": [choice], "usage": no_usage()}
            )
        chunk = {**shared, "object": "chat.completion.chunk"}
        deltas: list[tuple[dict[str, str], str | None]] = [
            ({"role": "assistant", "content": ""}, None),
            ({"content": text}, "stop"),
        ]
        chunks = [
            sse.encode(encode({**chunk, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}))
            for delta, reason in deltas
        ]
        if wants_usage(head):
            chunks.append(sse.encode(encode({**chunk, "choices": [], "usage": no_usage()})))
        return "text/event-stream", b"".join(chunks) + DONE


def wants_usage(head: Head) -> bool:
    """Whether the client asked for a usage chunk at the end of its stream."""
    raw = head.fields.get("stream_options")
    if raw is None:
        return False
    try:
        options = _decode_options(raw)
    except BAD_JSON:
        return False
    return bool(options and options.include_usage)


def no_usage() -> dict[str, int]:
    """The usage of an answer that no model gave."""
    return {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}


def _message(message: _Message, where: str) -> Message:
    role = _ROLES.get(message.role)
    if role is None:
        raise ClientProtocolError(f"{where} has a role that is none of {', '.join(_ROLES)}")
    parts = _content(message.content, where)
    if role == "tool":
        texts = "\n".join(one.text for one in parts if isinstance(one, TextPart))
        result = ToolResultPart(
            message.tool_call_id or message.name or "", (TextPart(texts),) if texts else ()
        )
        parts = [result, *(one for one in parts if not isinstance(one, TextPart))]
    parts += [
        _call(raw, f"{where}.tool_calls[{index}]") for index, raw in enumerate(message.tool_calls or ())
    ]
    if message.function_call is not None:
        parts.append(ToolCallPart("", message.function_call.name, message.function_call.arguments))
    return Message(role=role, parts=tuple(parts), name=message.name or "")


def _content(content: str | list[Raw] | None, where: str) -> list[Part]:
    if content is None:
        return []
    if isinstance(content, str):
        return [TextPart(content)]
    return [_part(raw, f"{where}.content[{index}]") for index, raw in enumerate(content)]


def _part(raw: Raw, where: str) -> Part:
    kind = part(_decode_type, raw, where).type
    if kind not in {"text", "image_url"}:
        return OpaquePart(kind, raw)
    found = part(_decode_part, raw, where)
    if kind == "text":
        return TextPart(found.text or "")
    image = found.image_url
    if image is None:
        raise ClientProtocolError(f"{where} lacks `image_url`")
    return ImagePart(image) if isinstance(image, str) else ImagePart(image.url, image.detail or "")


def _call(raw: Raw, where: str) -> Part:
    call = part(_decode_call, raw, where)
    if call.function is None:
        return OpaquePart(call.type or "tool_call", raw)
    return ToolCallPart(call.id or "", call.function.name, call.function.arguments)


def _model(name: str) -> dict[str, str | int]:
    """A model as Arch lists it; when it was made is not known here."""
    return {"id": name, "object": "model", "created": 0, "owned_by": "system"}


def _tools(head: Head) -> tuple[tuple[Tool, ...], list[Raw]]:
    """The function tools, and the others as they came."""
    if "tools" not in head.fields:
        return (), []
    functions: list[Tool] = []
    others: list[Raw] = []
    for index, raw in enumerate(decoded(_decode_tools, head, "tools") or ()):
        where = f"`tools[{index}]`"
        if part(_decode_type, raw, where).type != "function":
            others.append(raw)
            continue
        found = part(_decode_tool, raw, where).function
        functions.append(
            Tool(name=found.name, description=found.description or "", parameters=found.parameters)
        )
    return tuple(functions), others

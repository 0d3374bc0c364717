"""A Converse request, read into a Conversation.

Source: botocore's service model of bedrock-runtime, 1.44 (2026-11).

Rule: a block whose kind is unknown here, or that lies in a customer's own bucket, stays as it came (OpaquePart).
Rule: systemTools stand in extras under `tools`, where every dialect keeps the tools that its provider runs.
Rule: guarded content is content: the guardrail that it is meant for is `guardrailConfig`, which no other dialect has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from archflow_plugins.dialects.bedrock_converse.blobs import MEDIA_TYPES, data_url
from archflow_plugins.dialects.bedrock_converse.settings import decode_settings
from archflow_plugins.dialects.bedrock_converse.words import ReasoningText, citation_of, thought
from archflow_plugins.dialects.json_body import BAD_JSON, decode_fields, decoded, encode, part
from archflow_plugins.kinds import Head
from archflow_schema.conversation import (
    AudioPart,
    CacheMark,
    Conversation,
    DocumentPart,
    ImagePart,
    Message,
    OpaquePart,
    Part,
    Role,
    TextPart,
    Tool,
    ToolCallPart,
    ToolChoice,
    ToolResultPart,
)
from archflow_schema.errors import ClientProtocolError

_ROLES: dict[str, Role] = {"user": "user", "assistant": "assistant", "system": "system"}


class _Text(Struct):
    text: str | None = None


class _Source(Struct):
    bytes: str | None = None
    text: str | None = None
    content: list[_Text] | None = None


class _Blob(Struct):
    format: str
    source: _Source


class _Enabled(Struct):
    enabled: bool = False


class _Document(Struct):
    name: str
    source: _Source
    format: str | None = None
    context: str | None = None
    citations: _Enabled | None = None


class _ToolUse(Struct, rename="camel"):
    tool_use_id: str
    name: str
    input: Raw = Raw(b"{}")


class _ToolResult(Struct, rename="camel"):
    tool_use_id: str
    content: list[Raw] | None = None
    status: str | None = None


class _CachePoint(Struct):
    ttl: str | None = None


class _Reasoning(Struct, rename="camel"):
    reasoning_text: ReasoningText | None = None
    redacted_content: str | None = None


class _Cited(Struct):
    content: list[_Text] | None = None
    citations: list[Raw] | None = None


class _Guarded(Struct):
    text: _Text | None = None
    image: _Blob | None = None


class _Block(Struct, rename="camel"):
    """One block: exactly one of these, or something that is unknown here."""

    text: str | None = None
    tool_use: _ToolUse | None = None
    tool_result: _ToolResult | None = None
    cache_point: _CachePoint | None = None
    image: _Blob | None = None
    document: _Document | None = None
    audio: _Blob | None = None
    reasoning_content: _Reasoning | None = None
    citations_content: _Cited | None = None
    guard_content: _Guarded | None = None
    json: Raw = Raw(b"")


class _Message(Struct):
    role: str
    content: list[Raw]


class _Schema(Struct):
    json: Raw = Raw(b"{}")


class _ToolSpec(Struct, rename="camel"):
    name: str
    description: str | None = None
    input_schema: _Schema | None = None
    strict: bool | None = None


class _Tool(Struct, rename="camel"):
    tool_spec: _ToolSpec | None = None
    cache_point: _CachePoint | None = None


class _Named(Struct):
    name: str = ""


class _Choice(Struct):
    auto: _Named | None = None
    any: _Named | None = None
    tool: _Named | None = None


class _ToolConfig(Struct, rename="camel"):
    tools: list[Raw] | None = None
    tool_choice: _Choice | None = None


_decode_block = msgspec.json.Decoder(_Block).decode
_decode_messages = msgspec.json.Decoder(list[_Message] | None).decode
_decode_system = msgspec.json.Decoder(list[Raw] | None).decode
_decode_tools = msgspec.json.Decoder(_ToolConfig | None).decode
_decode_tool = msgspec.json.Decoder(_Tool).decode


def decode_request(head: Head) -> Conversation:
    """The whole request, dialect-free.

    Raises:
        ClientProtocolError: it is not a request of Converse.
    """
    fields = head.fields
    messages: list[Message] = []
    if "system" in fields:
        system = _blocks(decoded(_decode_system, head, "system") or (), "`system`")
        if system:
            messages.append(Message(role="system", parts=system))
    if "messages" in fields:  # a prompt of Amazon's own store needs none
        for index, message in enumerate(decoded(_decode_messages, head, "messages") or ()):
            where = f"`messages[{index}]`"
            role = _ROLES.get(message.role)
            if role is None:
                raise ClientProtocolError(f"{where} has a role that is none of {', '.join(_ROLES)}")
            messages.append(Message(role=role, parts=_blocks(message.content, where)))
    tools, choice, others = _tools(head)
    settings = decode_settings(head)
    extras = settings.pop("extras")
    if choice is not None:
        settings["tool_choice"] = choice
    if others:
        extras = (*extras, ("tools", Raw(encode(others))))
    return Conversation(
        model=head.model,
        messages=tuple(messages),
        tools=tools,
        stream=head.stream,
        extras=extras,
        **settings,
    )


def _blocks(blocks: Iterable[Raw], where: str) -> tuple[Part, ...]:
    parts: list[Part] = []
    for index, raw in enumerate(blocks):
        place = f"{where}.content[{index}]"
        block = part(_decode_block, raw, place)
        if block.text is not None:
            parts.append(TextPart(block.text))
        elif block.cache_point is not None:
            _mark(parts, CacheMark(block.cache_point.ttl or ""))
        else:
            parts.append(_part(block, raw, place))
    return tuple(parts)


def _mark(parts: list[Part], mark: CacheMark) -> None:
    """Note on the part before a cache point that it is one; nothing before it is nothing to cache."""
    if parts and hasattr(parts[-1], "cache"):
        parts[-1] = replace(parts[-1], cache=mark)


def _part(block: _Block, raw: Raw, where: str) -> Part:
    read = next((read for name, read in _READERS if getattr(block, name) is not None), None)
    found = read(block, where) if read is not None else None
    if found is not None:
        return found
    if bytes(block.json):
        return TextPart(bytes(block.json).decode("utf-8"))
    kinds = [name for name, value in part(decode_fields, raw, where).items() if bytes(value) != b"null"]
    if not kinds:
        raise ClientProtocolError(f"{where} is empty: a block holds one of text, image, toolUse and others")
    return OpaquePart(kinds[0], raw)


def _tool_use(block: _Block, _: str) -> Part:
    use = block.tool_use
    assert use is not None  # noqa: S101 - chosen by _READERS
    return ToolCallPart(use.tool_use_id, use.name, bytes(use.input).decode("utf-8"))


def _tool_result(block: _Block, where: str) -> Part:
    result = block.tool_result
    assert result is not None  # noqa: S101 - chosen by _READERS
    return ToolResultPart(
        result.tool_use_id, _blocks(result.content or (), where), is_error=result.status == "error"
    )


def _image(block: _Block, _: str) -> Part | None:
    return _picture(block.image)


def _picture(blob: _Blob | None) -> Part | None:
    if blob is None or blob.source.bytes is None:
        return None
    media_type = MEDIA_TYPES.get(blob.format, f"image/{blob.format}")
    return ImagePart(data_url(media_type, blob.source.bytes))


def _audio(block: _Block, _: str) -> Part | None:
    blob = block.audio
    return AudioPart(blob.source.bytes, blob.format) if blob and blob.source.bytes is not None else None


def _document(block: _Block, _: str) -> Part | None:
    document = block.document
    assert document is not None  # noqa: S101 - chosen by _READERS
    source = document.source
    media_type = MEDIA_TYPES.get(document.format or "", "")
    text = source.text
    if source.content is not None:
        text = "\n".join(one.text or "" for one in source.content)
    if source.bytes is None and text is None:
        return None
    return DocumentPart(
        url="" if source.bytes is None else data_url(media_type, source.bytes),
        text=text or "",
        media_type=media_type,
        name=document.name,
        context=document.context or "",
        citations=document.citations is not None and document.citations.enabled,
    )


def _reasoning(block: _Block, _: str) -> Part | None:
    told = block.reasoning_content
    assert told is not None  # noqa: S101 - chosen by _READERS
    return thought(told.reasoning_text, told.redacted_content)


def _cited(block: _Block, where: str) -> Part:
    cited = block.citations_content
    assert cited is not None  # noqa: S101 - chosen by _READERS
    text = "".join(one.text or "" for one in cited.content or ())
    try:
        return TextPart(text, citations=tuple(citation_of(raw) for raw in cited.citations or ()))
    except BAD_JSON as error:
        raise ClientProtocolError(f"{where} has a citation that is not understood: {error}") from error


def _guarded(block: _Block, _: str) -> Part | None:
    guarded = block.guard_content
    assert guarded is not None  # noqa: S101 - chosen by _READERS
    if guarded.text is not None:
        return TextPart(guarded.text.text or "")
    return _picture(guarded.image)


_READERS: tuple[tuple[str, Callable[[_Block, str], Part | None]], ...] = (
    ("tool_use", _tool_use),
    ("tool_result", _tool_result),
    ("image", _image),
    ("document", _document),
    ("reasoning_content", _reasoning),
    ("citations_content", _cited),
    ("guard_content", _guarded),
    ("audio", _audio),
)


def _tools(head: Head) -> tuple[tuple[Tool, ...], ToolChoice | None, list[Raw]]:
    """The client's functions, the choice among them, and tools of the model's own vendor as they came."""
    config: Any = decoded(_decode_tools, head, "toolConfig") if "toolConfig" in head.fields else None
    if config is None:
        return (), None, []
    functions: list[Tool] = []
    others: list[Raw] = []
    for index, raw in enumerate(config.tools or ()):
        found = part(_decode_tool, raw, f"`toolConfig.tools[{index}]`")
        if found.tool_spec is not None:
            functions.append(_function(found.tool_spec))
        elif found.cache_point is None:
            others.append(raw)
        elif functions:
            functions[-1] = replace(functions[-1], cache=CacheMark(found.cache_point.ttl or ""))
    return tuple(functions), _choice(config.tool_choice), others


def _function(spec: _ToolSpec) -> Tool:
    schema = spec.input_schema
    return Tool(
        name=spec.name,
        description=spec.description or "",
        parameters=schema.json if schema is not None and bytes(schema.json) != b"null" else Raw(b"{}"),
        strict=spec.strict,
    )


def _choice(choice: _Choice | None) -> ToolChoice | None:
    if choice is None:
        return None
    if choice.tool is not None:
        return ToolChoice("named", choice.tool.name)
    return ToolChoice("required") if choice.any is not None else ToolChoice("auto")

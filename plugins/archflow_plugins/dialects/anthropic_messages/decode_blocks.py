"""Content blocks of a request -> parts of a conversation.

Rule: a block of an unknown type stays as it came (OpaquePart); one of a known type that lacks what it must have is the
client's mistake.
Rule: what Anthropic's own servers did in an earlier turn (searches, code runs) is put aside: the words of the assistant
that rest on it are there without it, and no other provider could read it.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from msgspec import Raw, Struct

from archflow_plugins.dialects.anthropic_messages.words import NAME
from archflow_plugins.dialects.json_body import BAD_JSON, decode_fields
from archflow_plugins.dialects.sealed import unwrap
from archflow_schema.conversation import (
    CacheMark,
    Citation,
    DocumentPart,
    ImagePart,
    OpaquePart,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from archflow_schema.errors import ClientProtocolError

NULL = Raw(b"null")
_SERVED = frozenset({"server_tool_use", "mcp_tool_use", "fallback", "mcp_tool_listing"})


class Cache(Struct):
    """Mutable: only ever read. `cache_control`; its `scope` says nothing that another provider could heed."""

    ttl: str | None = None


class _Block(Struct):
    """Every field of every known type: one decoding finds type and content."""

    type: str
    text: str | None = None
    cache_control: Cache | None = None
    citations: Raw = NULL
    source: Raw = NULL
    id: str | None = None
    name: str | None = None
    input: Raw = NULL
    tool_use_id: str | None = None
    content: Raw = NULL
    is_error: bool | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    title: str | None = None
    context: str | None = None
    tool_name: str | None = None


class _Type(Struct):
    type: str


class _Source(Struct):
    type: str
    url: str = ""
    media_type: str = ""
    data: str = ""
    file_id: str = ""
    content: Raw = NULL


class _Citations(Struct):
    enabled: bool | None = None


class _Cited(Struct):
    url: str | None = None
    source: str | None = None
    title: str | None = None
    document_title: str | None = None
    cited_text: str | None = None
    document_index: int | None = None


_decode_block = msgspec.json.Decoder(_Block).decode
_decode_type = msgspec.json.Decoder(_Type).decode
_decode_source = msgspec.json.Decoder(_Source).decode
_decode_content = msgspec.json.Decoder(str | list[Raw] | None).decode
_decode_string = msgspec.json.Decoder(str | None).decode
_decode_config = msgspec.json.Decoder(_Citations | None).decode
_decode_list = msgspec.json.Decoder(list[Raw] | None).decode
_decode_cited = msgspec.json.Decoder(_Cited).decode


class _Lacks(msgspec.ValidationError):
    """A block without a field that its type must have."""


def content_parts(content: str | list[Raw] | None, where: str, aside: list[Raw]) -> list[Part]:
    """The parts of a message's or a result's content; what a server did goes to `aside`.

    Raises:
        ClientProtocolError: a block is not what its type says; the text says where.
    """
    if content is None:
        return []
    if isinstance(content, str):
        return [TextPart(content)]
    found: list[Part] = []
    for index, raw in enumerate(content):
        try:
            block = _decode_block(raw)
            if block.type == "text":
                found.append(_text(block))
            elif (read := _READERS.get(block.type)) is not None:
                found += read(block)
            elif block.type == "tool_result":
                found.append(_result(block, f"{where}.content[{index}]", aside))
            elif block.type == "image":
                found.append(_image(block, raw))
            elif block.type == "document":
                found += _document(block, raw, where, aside)
            else:
                found += _unknown(block.type, raw, aside)
        except BAD_JSON as error:
            found += _misfit(raw, f"{where}.content[{index}]", error, aside)
    return found


def cache_mark(told: Cache | None) -> CacheMark | None:
    """What `cache_control` says."""
    return None if told is None else CacheMark(told.ttl or "")


def citation_of(raw: Raw) -> Citation:
    """A citation as a reply or a history holds it."""
    cited = _decode_cited(raw)
    return Citation(
        url=cited.url or cited.source or "",
        title=cited.title or cited.document_title or "",
        cited=cited.cited_text or "",
        document=-1 if cited.document_index is None else cited.document_index,
        origin=NAME,
        raw=raw,
    )


def reasoning_part(text: str, signature: str) -> ReasoningPart:
    """A thought; one that another provider had is recognised by the wrapping of its proof."""
    foreign = unwrap(signature)
    if foreign is None:
        return ReasoningPart(text=text, signature=signature, origin=NAME if signature else "")
    origin, proof = foreign
    return ReasoningPart(
        text=text or proof.text, signature=proof.signature, sealed=proof.sealed, id=proof.id, origin=origin
    )


def sealed_part(data: str) -> ReasoningPart:
    """A redacted thought."""
    foreign = unwrap(data)
    if foreign is None:
        return ReasoningPart(sealed=data, origin=NAME)
    origin, proof = foreign
    return ReasoningPart(
        text=proof.text, signature=proof.signature, sealed=proof.sealed, id=proof.id, origin=origin
    )


def _text(block: _Block) -> TextPart:
    if block.text is None:
        raise _Lacks("it lacks `text`")
    if block.citations is NULL and block.cache_control is None:
        return TextPart(block.text)
    cited = tuple(citation_of(raw) for raw in _decode_list(block.citations) or ())
    return TextPart(block.text, cache_mark(block.cache_control), cited)


def _thinking(block: _Block) -> list[Part]:
    return [reasoning_part(block.thinking or "", block.signature or "")]


def _redacted(block: _Block) -> list[Part]:
    return [sealed_part(block.data or "")]


def _tool_use(block: _Block) -> list[Part]:
    if not block.id or not block.name:
        raise _Lacks("it lacks `id` or `name`")
    if block.input is NULL:
        arguments = "{}"
    else:
        decode_fields(block.input)
        arguments = bytes(block.input).decode()
    return [ToolCallPart(block.id, block.name, arguments, cache=cache_mark(block.cache_control))]


def _compaction(block: _Block) -> list[Part]:
    text = _decode_string(block.content)  # the summary that stands for what was before it
    return [TextPart(text, cache_mark(block.cache_control))] if text else []


def _tool_reference(block: _Block) -> list[Part]:
    return [TextPart(f"the tool {block.tool_name or ''} can be called")]


def _search_result(block: _Block) -> list[Part]:
    inner = content_parts(_decode_content(block.content), "`search_result`", [])
    return [
        DocumentPart(
            text="\n".join(part.text for part in inner if isinstance(part, TextPart)),
            name=block.title or "",
            context=_decode_string(block.source) or "",
            citations=_enabled(block),
            cache=cache_mark(block.cache_control),
        )
    ]


_READERS: dict[str, Callable[[_Block], list[Part]]] = {
    "tool_use": _tool_use,
    "thinking": _thinking,
    "redacted_thinking": _redacted,
    "tool_reference": _tool_reference,
    "search_result": _search_result,
    "compaction": _compaction,
}
_KNOWN = frozenset({*_READERS, "text", "image", "document", "tool_result"})


def _result(block: _Block, where: str, aside: list[Raw]) -> ToolResultPart:
    if block.tool_use_id is None:
        raise _Lacks("it lacks `tool_use_id`")
    parts = content_parts(_decode_content(block.content), where, aside)
    return ToolResultPart(
        block.tool_use_id, tuple(parts), bool(block.is_error), cache=cache_mark(block.cache_control)
    )


def _image(block: _Block, raw: Raw) -> Part:
    source = _decode_source(block.source)
    cache = cache_mark(block.cache_control)
    if source.type == "base64":
        return ImagePart(f"data:{source.media_type};base64,{source.data}", cache=cache)
    return ImagePart(source.url, cache=cache) if source.type == "url" else OpaquePart("image", raw)


def _document(block: _Block, raw: Raw, where: str, aside: list[Raw]) -> list[Part]:
    source = _decode_source(block.source)
    images: list[Part] = []
    part = DocumentPart(
        media_type=source.media_type,
        name=block.title or "",
        context=block.context or "",
        citations=_enabled(block),
        cache=cache_mark(block.cache_control),
    )
    match source.type:
        case "base64":
            media = source.media_type or "application/pdf"
            part = msgspec.structs.replace(part, url=f"data:{media};base64,{source.data}", media_type=media)
        case "text":
            part = msgspec.structs.replace(part, text=source.data)
        case "url":
            part = msgspec.structs.replace(part, url=source.url)
        case "file":
            part = msgspec.structs.replace(part, file_id=source.file_id, origin=NAME)
        case "content":
            inner = content_parts(_decode_content(source.content), where, aside)
            texts = "\n".join(one.text for one in inner if isinstance(one, TextPart))
            images = [one for one in inner if not isinstance(one, TextPart)]
            part = msgspec.structs.replace(part, text=texts)
        case _:
            return [OpaquePart("document", raw)]
    return [part, *images]


def _enabled(block: _Block) -> bool:
    told = _decode_config(block.citations)
    return bool(told and told.enabled)


def _unknown(kind: str, raw: Raw, aside: list[Raw]) -> list[Part]:
    if kind in _SERVED or kind.endswith("_tool_result"):
        aside.append(raw)
        return []
    return [OpaquePart(kind, raw)]


def _misfit(raw: Raw, where: str, error: Exception, aside: list[Raw]) -> list[Part]:
    """A block that does not fit: of a type that we do not know, or wrong."""
    try:
        kind = _decode_type(raw).type
    except BAD_JSON as worse:
        raise ClientProtocolError(f"{where} is not understood: {worse}") from worse
    if kind in _KNOWN:
        raise ClientProtocolError(f"{where} is not understood: {error}") from error
    return _unknown(kind, raw, aside)

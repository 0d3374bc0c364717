"""Parts of a conversation -> content blocks of a request.

Rule: what Anthropic would refuse by its own rules (an empty text, an image of another format, broken base64) never
leaves: it is left out where nothing is lost, and is an error in words where something is.
"""

from __future__ import annotations

import base64
import binascii
import re
from urllib.parse import unquote_to_bytes

from msgspec import Raw, Struct

from archflow_plugins.dialects.anthropic_messages.words import CLAUDE, NAME
from archflow_plugins.dialects.json_body import object_of
from archflow_plugins.translation import CannotExpress
from archflow_schema.conversation import (
    CacheMark,
    DocumentPart,
    ImagePart,
    OpaquePart,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from archflow_schema.errors import ClientProtocolError

_IMAGES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_SAME = {"image/jpg": "image/jpeg"}
_TEXTS = re.compile(r"text/.*|application/(?:.+\+)?(?:json|xml|yaml|x-yaml|javascript)")
_TTLS = frozenset({"5m", "1h"})
_BAD_ID = re.compile(r"[^a-zA-Z0-9_-]")


class Cache(Struct, frozen=True, tag_field="type", tag="ephemeral", omit_defaults=True):
    """`cache_control`."""

    ttl: str | None = None


class Text(Struct, frozen=True, tag_field="type", tag="text", omit_defaults=True):
    """A text."""

    text: str
    cache_control: Cache | None = None
    citations: tuple[Raw, ...] | None = None


class _Base64(Struct, frozen=True, tag_field="type", tag="base64"):
    media_type: str
    data: str


class _Url(Struct, frozen=True, tag_field="type", tag="url"):
    url: str


class _PlainText(Struct, frozen=True, tag_field="type", tag="text"):
    data: str
    media_type: str = "text/plain"


class _File(Struct, frozen=True, tag_field="type", tag="file"):
    file_id: str


class _Enabled(Struct, frozen=True):
    enabled: bool = True


class Image(Struct, frozen=True, tag_field="type", tag="image", omit_defaults=True):
    """An image."""

    source: _Base64 | _Url
    cache_control: Cache | None = None


class Document(Struct, frozen=True, tag_field="type", tag="document", omit_defaults=True):
    """A document."""

    source: _Base64 | _Url | _PlainText | _File
    title: str | None = None
    context: str | None = None
    citations: _Enabled | None = None
    cache_control: Cache | None = None


class Thinking(Struct, frozen=True, tag_field="type", tag="thinking"):
    """A thought."""

    thinking: str
    signature: str


class RedactedThinking(Struct, frozen=True, tag_field="type", tag="redacted_thinking"):
    """A thought that nobody may read."""

    data: str


class ToolUse(Struct, frozen=True, tag_field="type", tag="tool_use", omit_defaults=True):
    """A call."""

    id: str
    name: str
    input: Raw
    cache_control: Cache | None = None


class ToolResult(Struct, frozen=True, tag_field="type", tag="tool_result", omit_defaults=True):
    """What a tool answered."""

    tool_use_id: str
    content: list[Text | Image | Document] | None = None
    is_error: bool = False
    cache_control: Cache | None = None


Block = Text | Image | Document | Thinking | RedactedThinking | ToolUse | ToolResult


def cache_control(mark: CacheMark | None) -> Cache | None:
    """A cache mark; how long is said only where Anthropic knows that time."""
    if mark is None:
        return None
    return Cache(mark.ttl if mark.ttl in _TTLS else None)


def text_block(part: TextPart) -> Text | None:
    """A text; None for one that is blank, which Anthropic refuses."""
    text = part.text
    if not text or text.isspace():
        return None
    if part.cache is None and not part.citations:
        return Text(text)
    cited = tuple(one.raw for one in part.citations if one.origin == NAME)
    return Text(text, cache_control(part.cache), cited or None)


def refusal_block(part: RefusalPart) -> Text | None:
    """An earlier refusal, for which there is no block of its own."""
    return text_block(TextPart(part.text))


def media_block(part: Part) -> Image | Document | None:
    """An image or a document; None for a document without any content.

    Raises:
        CannotExpress: it is of a kind that Anthropic does not take.
        ClientProtocolError: its base64 is broken.
    """
    if isinstance(part, ImagePart):
        return Image(_image_source(part.url), cache_control(part.cache))
    if not isinstance(part, DocumentPart):
        raise _inexpressible(part)
    source = _document_source(part)
    if source is None:
        return None
    return Document(
        source,
        part.name or None,
        part.context or None,
        _Enabled() if part.citations else None,
        cache_control(part.cache),
    )


def thought_block(part: ReasoningPart) -> Thinking | RedactedThinking | None:
    """A thought that Claude had; None for one of another model, or without proof."""
    if part.origin not in CLAUDE:
        return None
    if part.sealed:
        return RedactedThinking(part.sealed)
    return Thinking(part.text, part.signature) if part.signature else None


def call_block(part: ToolCallPart, identifier: str) -> ToolUse:
    """A call. Arguments that are not a JSON object stand in one, as Anthropic takes nothing else."""
    return ToolUse(
        safe_id(identifier), part.name, object_of(part.arguments, "input"), cache_control(part.cache)
    )


def result_block(part: ToolResultPart, identifier: str) -> ToolResult:
    """What a tool answered.

    Raises:
        CannotExpress: it holds something that Anthropic does not take.
    """
    content: list[Text | Image | Document] = []
    for one in part.parts:
        block = text_block(one) if type(one) is TextPart else media_block(one)
        if block is not None:
            content.append(block)
    return ToolResult(safe_id(identifier), content or None, part.is_error, cache_control(part.cache))


def safe_id(identifier: str) -> str:
    """A call's id in the characters that Anthropic allows."""
    return _BAD_ID.sub("_", identifier)


def _inexpressible(part: Part) -> CannotExpress:
    if isinstance(part, OpaquePart):
        return CannotExpress("opaque", "Anthropic does not know parts of this type")
    return CannotExpress("audio", "Anthropic takes no sound")


def _image_source(url: str) -> _Base64 | _Url:
    if not url.startswith("data:"):
        return _Url(_web(url, "image.url"))
    media, data = _data(url)
    media = _SAME.get(media, media)
    if media not in _IMAGES:
        raise CannotExpress("image.data", "Anthropic takes images in JPEG, PNG, GIF and WebP only")
    return _Base64(media, data)


def _document_source(part: DocumentPart) -> _Base64 | _Url | _PlainText | _File | None:
    if part.text:
        return _PlainText(part.text)
    if part.file_id:
        if part.origin != NAME:
            raise CannotExpress("document.file_id", "Anthropic cannot read the files of another provider")
        return _File(part.file_id)
    if not part.url:
        return None
    if not part.url.startswith("data:"):
        return _Url(_web(part.url, "document.url"))
    media, data = _data(part.url)
    if media == "application/pdf":
        return _Base64(media, data)
    if _TEXTS.fullmatch(media) is None:
        raise CannotExpress("document.data", "Anthropic takes documents in PDF and plain text only")
    text = base64.b64decode(data).decode("utf-8", "replace")
    return _PlainText(text) if text and not text.isspace() else None


def _web(url: str, feature: str) -> str:
    if url.startswith(("https://", "http://")):
        return url
    raise CannotExpress(feature, "Anthropic fetches by http and https only")


def _data(url: str) -> tuple[str, str]:
    """Media type and base64 of a `data:` URL, as RFC 2397 has it."""
    head, comma, data = url.removeprefix("data:").partition(",")
    media, *parameters = head.lower().split(";")
    if not comma:
        raise ClientProtocolError("a `data:` URL holds no comma, so no data")
    if "base64" not in parameters:
        return media or "text/plain", base64.b64encode(unquote_to_bytes(data)).decode("ascii")
    try:
        binascii.a2b_base64(data, strict_mode=True)
    except ValueError as error:
        raise ClientProtocolError(f"a `data:` URL holds broken base64: {str(error).lower()}") from error
    return media, data

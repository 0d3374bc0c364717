"""Parts of a conversation as Converse's content blocks.

Source: botocore's service model of bedrock-runtime, 1.44, and its notes on `Message` and `DocumentBlock` (2026-11).

Rule: no blank text: Converse refuses it.
Rule: names of documents are unique within a request and made of the few characters that Converse takes.
"""

from __future__ import annotations

import binascii
import re

import msgspec
from msgspec import Raw

from archflow_plugins.dialects.bedrock_converse.blobs import (
    AUDIO,
    DOCUMENTS,
    IMAGES,
    check_base64,
    take_apart,
)
from archflow_plugins.dialects.bedrock_converse.families import Family
from archflow_plugins.dialects.bedrock_converse.words import CLAUDES, NAME, TOOL_NAME, say_citation, tool_id
from archflow_plugins.dialects.json_body import BAD_JSON
from archflow_plugins.translation import CannotExpress
from archflow_schema.conversation import (
    AudioPart,
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

Block = dict[str, object]
_NOT_IN_NAME = re.compile(r"[^a-zA-Z0-9()\[\]-]+")
_NAME_AT_MOST = 190
_TTLS = frozenset({"5m", "1h"})
NO_OUTPUT = "(no output)"
"""What stands for a tool's answer that is empty: Converse wants something there."""
_KINDS_BY_ENDING = {word: media for media, word in DOCUMENTS.items()} | {"htm": "text/html"}


def cache_point(mark: CacheMark) -> Block:
    """The block that ends what is worth caching."""
    point = {"type": "default"}
    if mark.ttl in _TTLS:
        point["ttl"] = mark.ttl
    return {"cachePoint": point}


class PartEncoder:
    """Makes the blocks of one request.

    Attributes:
        dropped: features that were left out, in the order in which that happened.
    """

    def __init__(self, family: Family, *, with_tools: bool) -> None:
        self.dropped: dict[str, None] = {}
        self._family = family
        self._with_tools = with_tools
        self._names: dict[str, int] = {}
        self._calls: dict[str, str] = {}

    def blocks(self, part: Part) -> list[Block]:
        """The blocks of a part, its cache point included; none for what says nothing.

        Raises:
            CannotExpress: it has no place in Converse and would be missed.
            ClientProtocolError: it makes no sense.
        """
        blocks = self._blocks(part)
        mark = getattr(part, "cache", None)
        return [*blocks, *self.cached(mark)] if mark is not None and blocks else blocks

    def cached(self, mark: CacheMark | None, *, on_tool: bool = False) -> list[Block]:
        """The cache point of something; none where the model would refuse it."""
        if mark is None:
            return []
        points = self._family.cache_points
        if points == "nowhere" or (on_tool and points != "everywhere"):
            self.dropped["cache"] = None
            return []
        return [cache_point(mark)]

    def _blocks(self, part: Part) -> list[Block]:
        match part:
            case TextPart():
                return _text(part)
            case ToolCallPart():
                return [self._call(part)]
            case ToolResultPart():
                return self._result(part)
            case ReasoningPart():
                return self._thought(part)
            case ImagePart():
                if part.detail:
                    self.dropped["image.detail"] = None
                return [_image(part)]
            case DocumentPart():
                return [self._document(part)]
            case RefusalPart():
                return _text(TextPart(part.text))
            case AudioPart():
                return [_audio(part)]
            case OpaquePart():
                raise CannotExpress("opaque", f"Converse has no block of the kind {part.kind[:60]!r}")

    def _call(self, part: ToolCallPart) -> Block:
        self._calls[part.id] = part.name
        if not self._with_tools:
            return {"text": f"[call of the tool {part.name}: {part.arguments or '{}'}]"}
        if TOOL_NAME.fullmatch(part.name) is None:
            raise CannotExpress("tool_calls", bad_name(part.name))
        use = {"toolUseId": tool_id(part.id), "name": part.name, "input": _arguments(part)}
        return {"toolUse": use}

    def _result(self, part: ToolResultPart) -> list[Block]:
        if part.id not in self._calls:
            raise ClientProtocolError(
                f"a tool's result has the id {part.id[:80]!r}, and no tool call before it has that id"
            )
        content = [block for inner in part.parts for block in self._blocks(inner)]
        if not self._with_tools:
            how = "failed with" if part.is_error else "answered"
            said = content or [{"text": NO_OUTPUT}]
            return [{"text": f"[the tool {self._calls[part.id]} {how}:]"}, *said]
        result: Block = {"toolUseId": tool_id(part.id), "content": content or [{"text": NO_OUTPUT}]}
        if part.is_error:
            result["status"] = "error"
        point = [block for inner in part.parts for block in self.cached(getattr(inner, "cache", None))][:1]
        return [{"toolResult": result}, *(point if part.cache is None else [])]

    def _thought(self, part: ReasoningPart) -> list[Block]:
        ours = part.origin == NAME or (part.origin in CLAUDES and not part.summary)
        if ours and part.sealed and _is_base64(part.sealed):
            return [{"reasoningContent": {"redactedContent": part.sealed}}]
        if ours and part.text and (part.signature or not self._family.signed):
            text = {"text": part.text}
            if part.signature:
                text["signature"] = part.signature
            return [{"reasoningContent": {"reasoningText": text}}]
        self.dropped["reasoning.history"] = None
        return []

    def _document(self, part: DocumentPart) -> Block:
        document: Block = {}
        if part.text:
            document["source"] = {"text": part.text}
            document["format"] = DOCUMENTS.get(part.media_type, "txt")
        elif part.url.startswith("data:"):
            media_type, data = take_apart(part.url, "a document")
            document["source"] = {"bytes": data}
            document["format"] = _document_format(part, media_type)
        elif part.file_id:
            raise CannotExpress("document.file_id", "Bedrock has no store of files: send the document itself")
        elif not part.url:
            raise ClientProtocolError("a document is empty")
        else:
            raise CannotExpress("document.url", "Converse fetches nothing: send the document itself")
        document["name"] = self._name(part.name)
        if part.context:
            document["context"] = part.context
        if part.citations:
            document["citations"] = {"enabled": True}
        return {"document": document}

    def _name(self, name: str) -> str:
        clean = _NOT_IN_NAME.sub(" ", name).strip()[:_NAME_AT_MOST].strip() or "document"
        while clean in self._names:
            self._names[clean] += 1
            clean = f"{clean} ({self._names[clean]})"
        self._names[clean] = 1
        return clean


def _text(part: TextPart) -> list[Block]:
    if not part.text or part.text.isspace():
        return []
    if part.citations and all(one.origin == NAME for one in part.citations):
        cited = {
            "content": [{"text": part.text}],
            "citations": [say_citation(one) for one in part.citations],
        }
        return [{"citationsContent": cited}]
    return [{"text": part.text}]


def _image(part: ImagePart) -> Block:
    if not part.url.startswith("data:"):
        raise CannotExpress("image.url", "Converse fetches nothing: send the image itself, as a data URL")
    media_type, data = take_apart(part.url, "an image")
    if media_type not in IMAGES:
        raise CannotExpress("image.data", f"Converse takes images as {', '.join(IMAGES.values())}")
    return {"image": {"format": IMAGES[media_type], "source": {"bytes": data}}}


def _audio(part: AudioPart) -> Block:
    if part.format not in AUDIO:
        raise CannotExpress("audio", f"Converse takes sound as {', '.join(sorted(AUDIO))}")
    check_base64(part.data, "a sound")
    return {"audio": {"format": part.format, "source": {"bytes": part.data}}}


def _document_format(part: DocumentPart, media_type: str) -> str:
    """By media type, or by how the name ends."""
    ending = part.name.rpartition(".")[2].lower()
    for found in (media_type, part.media_type, _KINDS_BY_ENDING.get(ending, "")):
        if found in DOCUMENTS:
            return DOCUMENTS[found]
    raise CannotExpress("document.data", f"Converse takes documents as {', '.join(DOCUMENTS.values())}")


def _arguments(part: ToolCallPart) -> object:
    """The arguments as JSON; what is no JSON, as free text or a cut call, becomes a text in an object."""
    if not part.arguments.strip():
        return {}
    if not part.custom:
        try:
            value = msgspec.json.decode(part.arguments)
        except BAD_JSON:
            pass
        else:
            return Raw(part.arguments.encode()) if isinstance(value, dict) else {"input": value}
    return {"input": part.arguments}


def bad_name(name: str) -> str:
    return f"Converse takes names of 1 to 64 letters, digits, `_` and `-`, which {name[:80]!r} is not"


def _is_base64(data: str) -> bool:
    try:
        return bool(binascii.a2b_base64(data, strict_mode=True))
    except (binascii.Error, ValueError):
        return False

"""Counting the tokens of a request of Messages: `POST /v1/messages/count_tokens`.

An upstream that counts is asked, and so is a model in this process. For any other this is an estimate, made from all
that the model would read:

- text of instructions, messages, calls, results, thoughts, tools (name, description, schema), the answer's schema, and
  whatever is unknown here, as it stands in JSON: a token for four bytes of UTF-8, as everywhere in archflow;
- an image: 1,600 tokens, about the most that Anthropic counts for one in its standard resolution;
- a PDF: for each page 1,600 tokens as an image and 1,500 as text, the least that Anthropic names for a page; the pages
  are counted where the file shows them, else it is one page, as is a document by URL or id.

Source: Anthropic's documentation, "Token counting", "Vision" and "PDF support", 2026-11.
"""

from __future__ import annotations

import base64
import re
from typing import ClassVar

from archflow_plugins.dialects.anthropic_messages.dialect import AnthropicMessages
from archflow_plugins.dialects.json_body import encode
from archflow_plugins.kinds import Head
from archflow_schema.conversation import (
    AudioPart,
    Conversation,
    DocumentPart,
    ImagePart,
    OpaquePart,
    Part,
    ReasoningPart,
    ToolCallPart,
    ToolResultPart,
)

IMAGE = 1600
PAGE = 1600 + 1500
_PAGE = re.compile(rb"/Type\s*/Page(?![a-zA-Z])")


class AnthropicCountTokens(AnthropicMessages):
    """The counting of tokens, Anthropic's form."""

    kind = "dialect.anthropic_count_tokens"
    path: ClassVar[str] = "/v1/messages/count_tokens"
    operation: ClassVar[str] = "count_tokens"
    silent: ClassVar[bool] = True
    models_path: ClassVar[str] = ""
    client_header: ClassVar[str] = ""
    translates: ClassVar[bool] = False

    def answer(self, head: Head) -> bytes:
        return encode({"input_tokens": count(self.decode(head))})

    def encode_text(self, head: Head, text: str, *, request_id: str) -> tuple[str, bytes]:
        return "application/json", self.answer(head)

    def estimate(self, head: Head) -> int:
        return 1  # no model reads it


def count(conversation: Conversation) -> int:
    """About how many tokens a model would read."""
    size = 0
    tokens = 0
    for message in conversation.messages:
        for part in message.parts:
            more, fixed = _weigh(part)
            size += more
            tokens += fixed
    for tool in conversation.tools:
        size += len(tool.name) + _bytes(tool.description) + len(bytes(tool.parameters))
    if conversation.output is not None:
        size += len(bytes(conversation.output.schema))
    size += sum(
        len(bytes(raw)) for name, raw in conversation.extras if name.startswith(("tools", "messages"))
    )
    return max(1, tokens + size // 4)


def _weigh(part: Part) -> tuple[int, int]:
    """Bytes of text, and tokens of what is no text."""
    match part:
        case ImagePart():
            return 0, IMAGE
        case DocumentPart():
            return _bytes(part.text) + _bytes(part.name) + _bytes(part.context), _pages(part) * PAGE
        case ToolCallPart():
            return _bytes(part.name) + _bytes(part.arguments), 0
        case ToolResultPart():
            inner = [_weigh(one) for one in part.parts]
            return sum(size for size, _ in inner), sum(tokens for _, tokens in inner)
        case OpaquePart():
            return (0, IMAGE) if part.kind == "image" else (len(bytes(part.raw)), 0)
        case AudioPart():
            return len(part.data), 0
        case ReasoningPart():
            return _bytes(part.text) or len(part.sealed), 0
        case _:
            return _bytes(part.text), 0


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


def _pages(part: DocumentPart) -> int:
    """Pages of a document that is not text."""
    if part.file_id:
        return 1
    if not part.url:
        return 0
    if not part.url.startswith("data:application/pdf"):
        return 1
    try:
        data = base64.b64decode(part.url.partition(",")[2])
    except ValueError:
        return 1
    return max(1, sum(1 for _ in _PAGE.finditer(data)))

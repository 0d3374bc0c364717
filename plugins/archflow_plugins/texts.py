"""Everything in a conversation that is text: read, or changed. Text that came as a `data:` URL (RFC 2397) is text, too.

Invariant: what is changed is what is read, in the same order; besides, only the sources of a text are looked at.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from urllib.parse import unquote

from msgspec import structs

from archflow_schema.conversation import (
    Citation,
    DocumentPart,
    Message,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)

_IS_TEXT = re.compile(r"text/.*|application/(.*[+-])?(json|xml|yaml|javascript|markdown|toml|sql|rtf)")
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def texts_in(message: Message) -> Iterator[str]:
    """Everything in a turn that is text."""
    for part in message.parts:
        yield from texts_of(part)


def texts_of(part: Part) -> Iterator[str]:
    """Everything in a part that is text."""
    match part:
        case TextPart() | RefusalPart() | ReasoningPart():
            yield part.text
        case DocumentPart():
            yield from (part.text or _held(part.url), part.context, part.name)
        case ToolCallPart():
            yield part.arguments
        case ToolResultPart():
            for one in part.parts:
                yield from texts_of(one)
        case _:
            pass


def changed(part: Part, change: Callable[[str], str]) -> Part:
    """A part with all that is text in it changed; what proves a thought stays, and so does what is no text."""
    match part:
        case TextPart():
            sources = tuple(one for one in part.citations if not _changes(one, change))
            return structs.replace(part, text=change(part.text), citations=sources)
        case RefusalPart() | ReasoningPart():
            return structs.replace(part, text=change(part.text))
        case DocumentPart():
            told = _document(part, change)
            return structs.replace(told, context=change(part.context), name=change(part.name))
        case ToolCallPart():
            return structs.replace(part, arguments=change(part.arguments))
        case ToolResultPart():
            return structs.replace(part, parts=tuple(changed(one, change) for one in part.parts))
        case _:
            return part


def _changes(source: Citation, change: Callable[[str], str]) -> bool:
    """Whether a source is not as it would have to be: it stands there in its vendor's form, which nobody can change."""
    return any(change(text) != text for text in (source.title, source.url, source.cited))


def _document(part: DocumentPart, change: Callable[[str], str]) -> DocumentPart:
    held = "" if part.text else _held(part.url)
    new = change(part.text or held)
    if not held:
        return structs.replace(part, text=new)
    if new == held:
        return part
    data = base64.b64encode(new.encode("utf-8", "replace")).decode("ascii")
    return structs.replace(part, url=f"data:{_media_type(part.url) or 'text/plain'};base64,{data}")


def _held(url: str) -> str:
    """The text of a `data:` URL of text; empty for any other, and for what is no text at all."""
    if url[:5].lower() != "data:" or not _IS_TEXT.fullmatch(_media_type(url) or "text/plain"):
        return ""
    head, _, data = url.partition(",")
    if not head.rstrip().lower().endswith(";base64"):
        return unquote(data)
    try:
        data = unquote(data).replace("-", "+").replace("_", "/")  # that alphabet also counts, RFC 4648, 5
        held = base64.b64decode(data + "=" * (-len(data) % 4))
    except (binascii.Error, ValueError):
        return ""
    for encoding in ("utf-16" if held[:2] in _UTF_16 else "utf-8", "latin-1"):
        with suppress(UnicodeDecodeError):
            return held.decode(encoding)
    return ""


def _media_type(url: str) -> str:
    return url[5:].partition(",")[0].partition(";")[0].strip().lower()

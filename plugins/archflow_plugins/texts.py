"""Everything in a conversation that is text: read, or changed.

Invariant: what is changed is what is read, in the same order; besides, only the sources of a text are looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

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
            yield from (part.text, part.context, part.name)
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
            return structs.replace(
                part, text=change(part.text), context=change(part.context), name=change(part.name)
            )
        case ToolCallPart():
            return structs.replace(part, arguments=change(part.arguments))
        case ToolResultPart():
            return structs.replace(part, parts=tuple(changed(one, change) for one in part.parts))
        case _:
            return part


def _changes(source: Citation, change: Callable[[str], str]) -> bool:
    """Whether a source is not as it would have to be: it stands there in its vendor's form, which nobody can change."""
    return any(change(text) != text for text in (source.title, source.url, source.cited))

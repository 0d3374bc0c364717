"""A request without its wire format: what guards, matchers, slot fillers and routers look at.

Every dialect decodes to these values and encodes from them (hub and spoke: M + N codecs, never M x N).

Rule: no field here is named after one vendor; what a dialect cannot place goes into `extras`, untouched.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Raw, Struct

Role = Literal["system", "developer", "user", "assistant", "tool"]


class TextPart(Struct, frozen=True, tag="text"):
    """Plain text of a message."""

    text: str


class ImagePart(Struct, frozen=True, tag="image"):
    """An image, by URL (`data:` included)."""

    url: str
    detail: str = ""


class ToolCallPart(Struct, frozen=True, tag="tool_call"):
    """The assistant asks for a tool. `arguments` is the JSON text as the model wrote it."""

    id: str
    name: str
    arguments: str


class ToolResultPart(Struct, frozen=True, tag="tool_result"):
    """What a tool answered."""

    id: str
    text: str
    is_error: bool = False


class OpaquePart(Struct, frozen=True, tag="opaque"):
    """A part that only its own dialect understands, kept as it came; `kind` is the dialect's own word for it."""

    kind: str
    raw: Raw


Part = TextPart | ImagePart | ToolCallPart | ToolResultPart | OpaquePart


class Message(Struct, frozen=True, kw_only=True):
    """One turn. `name` tells participants of the same role apart."""

    role: Role
    parts: tuple[Part, ...]
    name: str = ""

    @property
    def text(self) -> str:
        """The text parts, joined by newlines; what a tool answered counts as text."""
        return "\n".join(part.text for part in self.parts if isinstance(part, TextPart | ToolResultPart))


class Tool(Struct, frozen=True, kw_only=True):
    """A function that the model may call. `parameters` is its JSON Schema as the client sent it."""

    name: str
    description: str = ""
    parameters: Raw = Raw(b"{}")


class Conversation(Struct, frozen=True, kw_only=True):
    """One request, dialect-free.

    Attributes:
        model: what the client asked for; empty if it named none.
        messages: the turns in order, system and developer messages included.
        tools: the functions offered to the model.
        stream: whether the client wants events.
        extras: the request's other top-level fields, name and JSON value, as they came.
    """

    model: str = ""
    messages: tuple[Message, ...] = ()
    tools: tuple[Tool, ...] = ()
    stream: bool = False
    extras: tuple[tuple[str, Raw], ...] = ()

    @property
    def last_user_text(self) -> str:
        """The text of the newest message of the user; empty if there is none."""
        return next((message.text for message in reversed(self.messages) if message.role == "user"), "")

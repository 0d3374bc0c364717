"""What guards read of a conversation: the words of some of its turns, the newest first.

Rule: nothing is skipped that a model would read as text, also where only the request's own dialect understands it.
Rule: what a tool answered is the tool's, also where a dialect puts it into a turn of the user; each answer is a turn.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Literal

import msgspec

from archflow_plugins.texts import texts_of
from archflow_schema.conversation import Conversation, Message, OpaquePart, Part, TextPart, ToolResultPart

Whose = Literal["system", "user", "assistant", "tool"]
USER: tuple[Whose, ...] = ("user",)
_OF_TOOLS = ("_tool_result", "_call_output", "mcp_call")
"""How the kinds of items end that tell what a tool answered."""
_FILLED_IN = {"prompt": ("variables",), "promptVariables": ()}
"""Where values stand for a prompt that its vendor keeps, by the field of the request: OpenAI's Responses, Converse."""
_NAMES = frozenset(
    {"type", "id", "role", "status", "call_id", "tool_use_id", "media_type", "format", "signature"}
)
"""Fields whose texts name something."""
_BYTES = re.compile(r"[A-Za-z0-9+/=_-]{256,}")
"""A text that is no text: base64."""
_decode = msgspec.json.Decoder().decode


def words(conversation: Conversation, roles: tuple[Whose, ...]) -> Iterator[str]:
    """The text of each turn of these roles that has one; of a turn that tools answered in, the rest first."""
    for message in reversed(conversation.messages):
        for who, text in reversed(said(message)):
            if text and who in roles:
                yield text
    for who, text in beside(conversation):
        if text and who in roles:
            yield text


def apart(conversation: Conversation, roles: tuple[Whose, ...]) -> Iterator[str]:
    """The same in parts that stand for themselves: what a turn says, and each document or answer in it."""
    for message in reversed(conversation.messages):
        parts = [part for part in message.parts if whose(message, part) in roles]
        own = _text(part for part in parts if isinstance(part, TextPart))
        yield from filter(None, (own, *(_text([part]) for part in parts if not isinstance(part, TextPart))))
    yield from (text for who, text in beside(conversation) if text and who in roles)


def said(message: Message) -> list[tuple[Whose, str]]:
    """Everything in a message that is text, its parts on lines of their own: what each tool answered, then the rest.

    A message in which nobody says anything is a turn of its role without words.
    """
    answers, rest = list[tuple[Whose, str]](), list[Part]()
    for part in message.parts:
        if _is_answer(part):
            answers.append(("tool", _text([part])))
        else:
            rest.append(part)
    return [*answers, (_role(message), _text(rest))] if rest or not answers else answers


def beside(conversation: Conversation) -> Iterator[tuple[Whose, str]]:
    """What a request says beside its messages: items without a place there, values for a prompt kept elsewhere."""
    for name, raw in conversation.extras:
        if "[" in name:
            yield "tool", "\n".join(_strings(raw))
        elif name in _FILLED_IN:
            yield "user", "\n".join(_strings(raw, *_FILLED_IN[name]))


def whose(message: Message, part: Part) -> Whose:
    """Whose a part of a message is; `system` is also what dialects call developer."""
    return "tool" if _is_answer(part) else _role(message)


def _is_answer(part: Part) -> bool:
    return isinstance(part, ToolResultPart) or (
        isinstance(part, OpaquePart) and part.kind.endswith(_OF_TOOLS)
    )


def _role(message: Message) -> Whose:
    return "system" if message.role == "developer" else message.role


def _text(parts: Iterable[Part]) -> str:
    return "\n".join(text for part in parts for text in _texts(part) if text)


def _texts(part: Part) -> Iterator[str]:
    if isinstance(part, OpaquePart):
        yield from _strings(part.raw)
    elif isinstance(part, ToolResultPart):
        for one in part.parts:
            yield from _texts(one)
    else:
        yield from texts_of(part)


def _strings(raw: msgspec.Raw, *path: str) -> Iterator[str]:
    """The texts in a JSON value, or in a field of it, in their order, but for names and what stands there for bytes."""
    try:
        value = _decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        yield bytes(raw).decode("utf-8", "replace")
        return
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    stack = [value]
    while stack:
        one = stack.pop()
        if isinstance(one, str):
            if not one.startswith("data:") and not _BYTES.fullmatch(one):
                yield one
        elif isinstance(one, list):
            stack += reversed(one)
        elif isinstance(one, dict):
            stack += reversed([value for name, value in one.items() if name not in _NAMES])

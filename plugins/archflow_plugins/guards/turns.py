"""What guards read of a conversation: the words of some of its turns, the newest first.

Rule: nothing is skipped that a model would read as text.
Rule: what a tool answered is the tool's, also where a dialect puts it into a turn of the user.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from archflow_plugins.texts import texts_of
from archflow_schema.conversation import Conversation, Message, Part, TextPart, ToolResultPart

Whose = Literal["system", "user", "assistant", "tool"]
USER: tuple[Whose, ...] = ("user",)


def words(conversation: Conversation, roles: tuple[Whose, ...]) -> Iterator[str]:
    """The text of each turn of these roles that has one; of a turn that tools answered in, the rest first."""
    for message in reversed(conversation.messages):
        for who, text in reversed(said(message)):
            if text and who in roles:
                yield text


def apart(conversation: Conversation, roles: tuple[Whose, ...]) -> Iterator[str]:
    """The same in parts that stand for themselves: what a turn says, and each document or answer in it."""
    for message in reversed(conversation.messages):
        parts = [part for part in message.parts if whose(message, part) in roles]
        yield _text(part for part in parts if isinstance(part, TextPart))
        for part in parts:
            if not isinstance(part, TextPart):
                yield _text([part])


def said(message: Message) -> list[tuple[Whose, str]]:
    """Everything in a turn that is text, its parts on lines of their own: what tools answered, then the rest.

    A turn in which nobody says anything is one of nothing.
    """
    turns: dict[Whose, list[Part]] = {}
    for part in message.parts:
        turns.setdefault(whose(message, part), []).append(part)
    found = sorted(turns.items(), key=lambda turn: turn[0] != "tool")
    return [(who, _text(parts)) for who, parts in found] or [(_role(message), "")]


def whose(message: Message, part: Part) -> Whose:
    """Whose a part of a turn is; `system` is also what dialects call developer."""
    return "tool" if isinstance(part, ToolResultPart) else _role(message)


def _role(message: Message) -> Whose:
    return "system" if message.role == "developer" else message.role


def _text(parts: Iterable[Part]) -> str:
    return "\n".join(text for part in parts for text in texts_of(part) if text)

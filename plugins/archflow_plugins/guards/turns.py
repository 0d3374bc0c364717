"""What guards read of a conversation: the words of some of its turns, the newest first.

Rule: nothing is skipped that a model would read as text.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from archflow_plugins.texts import texts_of
from archflow_schema.conversation import Conversation, Message

Whose = Literal["system", "user", "assistant", "tool"]
USER: tuple[Whose, ...] = ("user",)


def words(conversation: Conversation, roles: tuple[Whose, ...]) -> Iterator[str]:
    """The text of each turn of these roles that has one."""
    for message in reversed(conversation.messages):
        if whose(message) in roles:
            text = said(message)
            if text:
                yield text


def whose(message: Message) -> Whose:
    """Whose turn it is; `system` is also what dialects call developer."""
    return "system" if message.role == "developer" else message.role


def said(message: Message) -> str:
    """Everything in a turn that is text, its parts on lines of their own."""
    return "\n".join(text for part in message.parts for text in texts_of(part) if text)

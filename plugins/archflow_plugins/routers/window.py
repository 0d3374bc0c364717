"""The part of a conversation that says what it is about: the newest turns of people and models, as much as fits.

Instructions, what tools answered and what is empty is left out, as Arch does it. What does not fit is left out from the
oldest on; a single long turn loses its middle, for what people want stands at its beginning or at its end.
"""

from __future__ import annotations

from msgspec import Struct

from archflow_schema.conversation import Conversation

CHARACTERS_A_TOKEN = 4
CUT = " … "
FRAME = 32
"""Characters that a turn takes besides its text."""
WORTH = 64
"""Characters of an older turn that are worth showing, if it does not fit whole."""
BEGINNING = 0.6
"""How much of a long turn's room its beginning gets."""


class Turn(Struct, frozen=True):
    """One turn: `role` is user or assistant."""

    role: str
    content: str


def window(conversation: Conversation, tokens: int, turns: int = 0) -> list[Turn]:
    """The newest turns within a budget, in order; the newest one always, cut if need be.

    Args:
        conversation: what was said.
        tokens: the budget, counted as a quarter of the characters.
        turns: how many at most; 0 for as many as fit.
    """
    room = max(1, tokens) * CHARACTERS_A_TOKEN
    found: list[Turn] = []
    for message in reversed(conversation.messages):
        if message.role not in {"user", "assistant"}:
            continue
        text = message.own_text.strip()
        if not text:
            continue
        room -= FRAME
        if len(text) > room:
            if found and (message.role != "user" or room < WORTH):
                break
            text = trimmed(text, max(1, room))
        found.append(Turn(message.role, text))
        room -= len(text)
        if room <= 0 or len(found) == turns:
            break
    return found[::-1]


def trimmed(text: str, room: int) -> str:
    """A text without its middle, `room` characters long at most."""
    if len(text) <= room:
        return text
    kept = room - len(CUT)
    if kept < 2:
        return text[: max(0, room)]
    first = max(1, int(kept * BEGINNING))
    return text[:first] + CUT + text[-(kept - first) :]

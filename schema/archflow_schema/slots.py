"""What prompt targets take from a conversation, and what was taken.

Rule: values are JSON texts, so that nothing is lost between who fills them and the service that gets them.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Raw, Struct

SlotType = Literal["int", "float", "bool", "str", "list", "dict"]


class Slot(Struct, frozen=True, array_like=True):
    """A parameter of a target.

    Attributes:
        name: its name.
        description: what it means.
        type: of its value; `items` is that of a list's items.
        required: whether the user is asked for it when nobody said it.
        default: its value as JSON when nobody says; empty if it has none.
        enum: the values that it may have, as JSON.
        format: how it is written, such as `City, State`.
    """

    name: str
    description: str
    type: SlotType
    required: bool = False
    default: bytes = b""
    enum: tuple[bytes, ...] = ()
    format: str = ""
    items: SlotType = "str"

    @property
    def needed(self) -> bool:
        """Whether a call cannot be made before somebody said its value."""
        return self.required and not self.default


class Intent(Struct, frozen=True, array_like=True):
    """A prompt target as those see it who fill its slots."""

    name: str
    description: str
    slots: tuple[Slot, ...] = ()


class FilledCall(Struct, frozen=True):
    """One call that a conversation asks for: the target, and the values that were said, by slot."""

    target: str
    values: tuple[tuple[str, Raw], ...] = ()


class Filled(Struct, frozen=True):
    """Every call that the newest turn asks for, in the order in which they are to be made.

    Attributes:
        ordered: whether a call needs the answer of the one before it: then, after each call, what is left is filled
            anew with that answer in the conversation; else they are made at once.
    """

    calls: tuple[FilledCall, ...]
    ordered: bool = False


class Question(Struct, frozen=True):
    """What to ask the user, in one text, for all that is missing."""

    text: str
    missing: tuple[str, ...]
    target: str = ""

"""What guards say of conversations, and how they judge replies while these come.

A reply has channels: what the model says, what it shows of its thoughts, the arguments of each call, and each source
that it cites. A Screen judges one of them, portion by portion, and says how much of it may leave; the engine holds
the rest.

Rule: what a Screen let go cannot be called back, so it lets go what no further text can make wrong, and nothing else.
Rule: where portions begin and end makes no difference to what is denied.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from msgspec import Struct

from archflow_schema.conversation import Conversation

Side = Literal["input", "output"]
Channel = Literal["text", "reasoning", "arguments", "cited"]
"""What is said, what is thought, with what a tool is called (JSON, unless the tool takes free text), and what a cited
source is and says: its title and its address on a line each, and then its words."""


class Passed(Struct, frozen=True):
    """So many of the characters that are held may leave; `text` goes in their place, unless it is None."""

    length: int
    text: str | None = None


class Screen:
    """Judges one channel of one reply. Keeps what it must know of what came before.

    Implement `feed_nowait`; if some judgements must wait, also `feed`, and give None where it must be called.
    """

    def feed_nowait(self, text: str, *, end: bool) -> Verdict | Sequence[Passed] | None:
        """Judge at once. Quick, well under a millisecond.

        Args:
            text: what comes next; may be empty.
            end: that is all.

        Returns:
            What may leave of all that was fed and not passed yet, in its order; at the end all of it. A Verdict that
            denies ends the reply. None if `feed` must be awaited with the same text.
        """
        return None

    async def feed(self, text: str, *, end: bool) -> Verdict | Sequence[Passed]:
        """As `feed_nowait`. Blocks; cancelled when the client leaves."""
        raise NotImplementedError(f"{type(self).__name__} implements neither feed_nowait nor feed")


Screens = Callable[[Channel], Screen | None]
"""Gives a Screen for a channel of one reply; None if nothing there is of interest."""


class Verdict(Struct, frozen=True):
    """What a guard says.

    Attributes:
        allow: whether it goes on.
        message: for the client when it does not.
        score: 0..1, how sure the guard is.
        becomes: the conversation that goes on instead.
        texts: what becomes of every text of the request that a Conversation has no place for.
        screens: what the reply to it passes, as from `Guard.screens`, such as what puts masked values back; beside
            `texts` only where the request goes on as another one.
    """

    allow: bool
    message: str = ""
    score: float = 0.0
    becomes: Conversation | None = None
    texts: Callable[[str], str] | None = None
    screens: Screens | None = None


ALLOW = Verdict(allow=True)

"""What proves the thought behind a tool call, for clients whose calls have no place for it.

Google's models want it back at the call. Such a client gets it as a thought without words before the call, whose id is
that of the call; who writes a request for that provider puts it back where it stood.

Invariant: what `thought_before` gives, carried through a client, is what `Proofs` finds for the same call.
"""

from __future__ import annotations

from archflow_schema.conversation import ReasoningPart, ToolCallPart
from archflow_schema.events import ReasoningDelta, ToolCallDelta


def thought_before(call: ToolCallDelta, identity: str) -> ReasoningDelta | None:
    """The thought to tell before a call that is called `identity`; None if nothing proves it."""
    if not call.signature:
        return None
    return ReasoningDelta(
        block=call.block, choice=call.choice, signature=call.signature, id=identity, origin=call.origin
    )


class Proofs:
    """The proofs of one provider's calls in a conversation: of the dialect `origin`."""

    __slots__ = ("_found", "_origin")

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self._found: dict[str, str] = {}

    def take(self, thought: ReasoningPart) -> bool:
        """Whether a thought of this provider's is none, but proves the call that follows it."""
        if not thought.id or thought.text or not thought.signature:
            return False
        self._found[thought.id] = thought.signature
        return True

    def of(self, call: ToolCallPart) -> str:
        """What proves a call; empty if nothing does."""
        if call.signature:
            return call.signature if call.origin == self._origin else ""
        return self._found.get(call.id, "")

"""Messages of a conversation -> system blocks and alternating turns.

Rule: every message of the system or the developer goes to the instructions, in order: only the newest models take one
between turns.
Invariant: every result answers a call of the assistant's turn before it; the text says which does not.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from archflow_plugins.dialects.anthropic_messages.encode_blocks import (
    Block,
    Text,
    call_block,
    media_block,
    refusal_block,
    result_block,
    text_block,
    thought_block,
)
from archflow_plugins.translation import CannotExpress
from archflow_schema.conversation import (
    DocumentPart,
    ImagePart,
    Message,
    OpaquePart,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from archflow_schema.errors import ClientProtocolError


class Turn(Struct, frozen=True):
    """One message of the request; never empty."""

    role: str
    content: Sequence[Block]


class _Calls:
    """The calls of one turn that wait for their results."""

    def __init__(self) -> None:
        self._waiting: set[str] = set()
        self._by_name: dict[str, deque[str]] = {}

    def add(self, identifier: str, name: str) -> None:
        self._waiting.add(identifier)
        for key in {name, ""}:
            self._by_name.setdefault(key, deque()).append(identifier)

    def take(self, identifier: str, name: str) -> str | None:
        """The call that a result answers. One without an id answers by name, or else the first that waits."""
        if identifier in self._waiting:
            self._waiting.remove(identifier)
            return identifier
        if identifier and name and identifier != name:
            return None
        queue = self._by_name.get(name or identifier)
        while queue:
            found = queue.popleft()
            if found in self._waiting:
                self._waiting.remove(found)
                return found
        return None


class Turns:
    """What the messages become.

    Attributes:
        system: the instructions.
        turns: the turns, alternating, the last without trailing blanks.
        called: the names of all tools that were called, in order.
    """

    def __init__(self, messages: Sequence[Message], dropped: dict[str, None]) -> None:
        """Read all messages.

        Raises:
            CannotExpress: a part has no place.
            ClientProtocolError: there is no turn at all, or a result has no call.
        """
        self.system: list[Text] = []
        self.turns: list[Turn] = []
        self.called: dict[str, None] = {}
        self._dropped = dropped
        self._role = ""
        self._results: list[Block] = []
        self._content: list[Block] = []
        self._open = _Calls()
        self._calls = 0
        for index, message in enumerate(messages):
            role = message.role
            if message.name:
                dropped["name"] = None
            if role in {"system", "developer"}:
                self._instruct(message)
            elif role == "assistant":
                self._turn("assistant")
                self._say(message)
            else:
                self._turn("user")
                self._hear(message, index)
        self._close()
        if not self.turns:
            raise ClientProtocolError("there is no message of the user or the assistant that says anything")
        self._trim()

    def _turn(self, role: str) -> None:
        if role != self._role:
            self._close()
            self._role = role
            if role == "assistant":
                self._open = _Calls()

    def _close(self) -> None:
        content = self._results + self._content if self._results else self._content
        if content:
            if self.turns and self.turns[-1].role == self._role:  # what stood between said nothing
                content = [*self.turns.pop().content, *content]
            self.turns.append(Turn(self._role, content))
            self._results, self._content = [], []

    def _trim(self) -> None:
        """Anthropic refuses to go on from blanks."""
        last = self.turns[-1]
        if last.role != "assistant":
            return
        block = last.content[-1]
        if isinstance(block, Text):
            trimmed = msgspec.structs.replace(block, text=block.text.rstrip())
            self.turns[-1] = Turn(last.role, [*last.content[:-1], trimmed])

    def _instruct(self, message: Message) -> None:
        for part in message.parts:
            if not isinstance(part, TextPart):
                raise CannotExpress("system", "Anthropic's instructions hold text only")
            block = text_block(part)
            if block is not None:
                self.system.append(block)

    def _say(self, message: Message) -> None:
        for part in message.parts:
            if type(part) is TextPart:
                block: Block | None = text_block(part)
            elif isinstance(part, ToolCallPart):
                self._calls += 1
                identifier = part.id or f"call_{self._calls}"
                self._open.add(identifier, part.name)
                self.called[part.name] = None
                block = call_block(part, identifier)
            elif isinstance(part, ReasoningPart):
                block = thought_block(part)
                if block is None:
                    self._dropped["reasoning.history"] = None
            elif isinstance(part, RefusalPart):
                block = refusal_block(part)
            else:
                raise _not_said(part)
            if block is not None:
                self._content.append(block)

    def _hear(self, message: Message, index: int) -> None:
        for part in message.parts:
            if type(part) is TextPart:
                block: Block | None = text_block(part)
            elif isinstance(part, ToolResultPart):
                self._results.append(result_block(part, self._answered(part, index)))
                self._note(part.parts)
                continue
            elif isinstance(part, ToolCallPart | ReasoningPart | RefusalPart):
                raise ClientProtocolError(
                    f"`messages[{index}]` of the {message.role} holds what only an assistant says"
                )
            else:
                block = media_block(part)
                self._note((part,))
            if block is not None:
                self._content.append(block)

    def _note(self, parts: Sequence[Part]) -> None:
        for part in parts:
            if type(part) is ImagePart and part.detail:
                self._dropped["image.detail"] = None

    def _answered(self, part: ToolResultPart, index: int) -> str:
        identifier = self._open.take(part.id, part.name)
        if identifier is None:
            raise ClientProtocolError(
                f"`messages[{index}]` is the result of a tool call that the assistant's turn before it does not "
                "hold: send the call, or leave out its result"
            )
        return identifier


def _not_said(part: Part) -> CannotExpress:
    why = "an assistant's turn holds no such part at Anthropic"
    if isinstance(part, ImagePart):
        return CannotExpress("image.data" if part.url.startswith("data:") else "image.url", why)
    if isinstance(part, DocumentPart):
        return CannotExpress("document.data" if part.url.startswith("data:") else "document.url", why)
    if isinstance(part, ToolResultPart):
        return CannotExpress("tool_results", why)
    return CannotExpress("opaque" if isinstance(part, OpaquePart) else "audio", why)

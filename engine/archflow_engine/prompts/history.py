"""Conversations with the calls of prompt targets in them: as kinds read them, and as models are asked.

A client, or we, may know from earlier turns what was called and answered. Matchers and slot fillers see that as tool
calls and their results. A model is asked the conversation as it was asked then: without those messages, with each
answer behind the user's words that led to it.

Rule: tool calls and results of the client's own tools are left where they are.
Rule: pure; a conversation in which nothing changes is given back as it is, so that its request can go on as it came.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec
from msgspec import Raw

from archflow_schema.conversation import (
    Conversation,
    Message,
    Part,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)

CONTEXT = "\ncontext: "
"""What stands between a user's words and what an API answered, as Arch has it."""
_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode
_BAD = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)


def restored(
    conversation: Conversation, turns: Mapping[int, tuple[Message, ...]], names: frozenset[str]
) -> Conversation:
    """With the calls of earlier turns put back in.

    Args:
        conversation: what the client sent.
        turns: number of a user's turn, from 1 -> what it led to.
        names: the prompt targets.
    """
    messages = conversation.messages
    found = conversation.user_turns
    new: list[Message] = []
    number = 0
    for index, message in enumerate(messages):
        new.append(message)
        if number < len(found) and index == found[number]:
            number += 1
            following = messages[index + 1] if index + 1 < len(messages) else None
            known = following is not None and is_ours(following, names)
            if number < len(found) and number in turns and not known:
                new += turns[number]
    return conversation if len(new) == len(messages) else _having(conversation, new)


def is_ours(message: Message, names: frozenset[str]) -> bool:
    """Whether the assistant's message is a call of prompt targets, as tool calls or in Arch's words."""
    if message.role != "assistant":
        return False
    calls = [part for part in message.parts if isinstance(part, ToolCallPart)]
    if calls:
        return all(call.name in names for call in calls)
    return _in_archs_words(message.text)


def for_model(
    conversation: Conversation,
    names: frozenset[str],
    *,
    system: str = "",
    context: Iterable[str] = (),
    forget: bool = False,
) -> Conversation:
    """The conversation that a model is asked.

    Args:
        conversation: what was said, with calls of prompt targets in it or without.
        names: the prompt targets.
        system: goes before it; empty for nothing.
        context: what this turn's calls answered.
        forget: leave out what earlier turns' calls answered.
    """
    names -= {tool.name for tool in conversation.tools}
    told = _Told(names, forget=forget)
    for message in conversation.messages:
        told.take(message)
    for answer in context:
        told.add(answer)
    messages = told.done()
    if system:
        messages.insert(0, Message(role="system", parts=(TextPart(system),)))
    if len(messages) == len(conversation.messages) and all(
        new is old for new, old in zip(messages, conversation.messages, strict=True)
    ):
        return conversation
    return _having(conversation, messages)


class _Told:
    """The messages of a conversation as a model is told them, one after the other."""

    def __init__(self, names: frozenset[str], *, forget: bool) -> None:
        self.messages: list[Message] = []
        self._names = names
        self._forget = forget
        self._theirs: set[str] = set()
        self._user = -1
        self._behind: dict[int, list[str]] = {}

    def take(self, message: Message) -> None:
        if message.role == "assistant":
            if not message.parts or is_ours(message, self._names):
                return
            self._theirs |= {part.id for part in message.parts if isinstance(part, ToolCallPart)}
        elif any(isinstance(part, ToolResultPart) for part in message.parts):
            left = self._results(message)
            if not left:
                return
            if len(left) < len(message.parts):
                message = msgspec.structs.replace(message, parts=left)
        elif message.role == "tool":
            return
        if message.role == "user" and message.speaks:
            self._user = len(self.messages)
        self.messages.append(message)

    def add(self, answer: str) -> None:
        """Put what an API answered behind the user's newest words."""
        if self._user >= 0:
            self._behind.setdefault(self._user, []).append(answer)

    def done(self) -> list[Message]:
        """The messages, with everything that was put behind some of them."""
        for index, answers in self._behind.items():
            self.messages[index] = _with_text(self.messages[index], "".join(map(CONTEXT.__add__, answers)))
        return self.messages

    def _results(self, message: Message) -> tuple[Part, ...]:
        """What is left of a message with tools' results: those of the client's own tools, and what is no result."""
        left: list[Part] = []
        for part in message.parts:
            if not isinstance(part, ToolResultPart) or part.id in self._theirs:
                left.append(part)
            elif not self._forget:
                self.add(part.text)
        return tuple(left)


def _with_text(message: Message, more: str) -> Message:
    """A message with more text behind its own."""
    parts = list(message.parts)
    last = max((index for index, part in enumerate(parts) if isinstance(part, TextPart)), default=-1)
    text = parts[last] if parts and last >= 0 else None
    if isinstance(text, TextPart):
        parts[last] = msgspec.structs.replace(text, text=text.text + more)
    else:
        parts.append(TextPart(more))
    return msgspec.structs.replace(message, parts=tuple(parts))


def _having(conversation: Conversation, messages: Sequence[Message]) -> Conversation:
    return msgspec.structs.replace(conversation, messages=tuple(messages))


def _in_archs_words(text: str) -> bool:
    """Whether a text is a call as Arch's function model writes it: JSON with `tool_calls`, in a fence or not."""
    if "tool_calls" not in text:
        return False
    bare = text.strip().removeprefix("```json").removeprefix("```").removesuffix("```").strip()
    if not bare.startswith("{"):
        return False
    try:
        return "tool_calls" in _decode_object(bare)
    except _BAD:
        return False

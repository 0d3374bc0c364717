"""Masks for personal data: a placeholder such as <EMAIL_1> in the place of each value, and the values put back.

The same value has the same placeholder everywhere in one request, and they are counted in the order of the turns: a
conversation that goes on is masked as it was before, so that what a model said of <EMAIL_1> stays true.

Rule: values live as long as one exchange, and are never logged, nor part of an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from msgspec import structs

from archflow_plugins.contexts import RunContext
from archflow_plugins.guards.identifiers import apart
from archflow_plugins.guards.long import Reading
from archflow_plugins.guards.sighting import Sighting
from archflow_plugins.guards.sought import Sought
from archflow_plugins.guards.turns import Whose, whose
from archflow_plugins.texts import changed, texts_in
from archflow_plugins.verdict import Passed, Screen
from archflow_schema.conversation import Conversation, Message

_PLACEHOLDER = re.compile(r"<([A-Z][A-Z_]*_\d{1,9})>")
_WRITTEN = re.compile(r"(?:<|\\u003[cC])([A-Z][A-Z_]*_\d{1,9})(?:>|\\u003[eE])")
"""A placeholder as text and JSON may write it."""
_BEGUN = re.compile(
    r"(?:(?:<|\\u003[cC])(?:[A-Z][A-Z_]*\d{0,9}(?:\\(?:u(?:0(?:03?)?)?)?)?)?|\\(?:u(?:0(?:03?)?)?)?)\Z"
)
"""What may stand at the end of a portion and go on as a placeholder."""
LONGEST = 48
"""More than the characters of the longest placeholder."""


class Masks:
    """The placeholders of one request, or of one reply.

    Attributes:
        values: placeholder -> value.
    """

    def __init__(self, taken: Callable[[], frozenset[str]] = frozenset) -> None:
        """Make it empty; `taken` gives, if there is a first one, the placeholders that stand for something else."""
        self.values: dict[str, str] = {}
        self._known: dict[tuple[str, str], str] = {}
        self._counts: dict[str, int] = {}
        self._taken = taken
        self._others: frozenset[str] = frozenset()

    def of(self, name: str, value: str) -> str:
        """The placeholder of a value."""
        key = (name, value)
        known = self._known.get(key)
        if known is None:
            known = self._next(name)
            if not self._known:
                self._others = self._taken()
            while known in self._others:
                known = self._next(name)
            self._known[key] = known
            self.values[known] = value
        return known

    def _next(self, name: str) -> str:
        count = self._counts[name] = self._counts.get(name, 0) + 1
        return f"<{name.upper()}_{count}>"

    def masked(self, text: str, sought: Sought) -> str:
        """A text with placeholders; itself if there is nothing to mask."""
        parts: list[str] = []
        at = 0
        for one in apart(sought.find(text)):
            parts += [text[at : one.start], self.of(one.name, text[one.start : one.end])]
            at = one.end
        return "".join([*parts, text[at:]]) if parts else text


def mask(
    conversation: Conversation, sought: Sought, roles: tuple[Whose, ...], *, apart: bool
) -> tuple[Conversation, Masks]:
    """A conversation with placeholders in the turns of these roles, and what they stand for; itself without any.

    Args:
        conversation: the request.
        sought: what is masked.
        roles: whose turns.
        apart: use no placeholder that stands in the conversation already, so that it can be told which are ours.
    """
    masks = Masks(lambda: placeholders(conversation)) if apart else Masks()

    def turn(message: Message) -> Message:
        parts = tuple(
            changed(part, lambda text: masks.masked(text, sought)) if whose(message, part) in roles else part
            for part in message.parts
        )
        return structs.replace(message, parts=parts)

    turns = tuple(map(turn, conversation.messages))
    return (structs.replace(conversation, messages=turns) if masks.values else conversation), masks


def placeholders(conversation: Conversation) -> frozenset[str]:
    """All placeholders that stand in a conversation, whoever put them there."""
    return frozenset(
        match[0]
        for message in conversation.messages
        for text in texts_in(message)
        for match in _PLACEHOLDER.finditer(text)
    )


class Masking(Reading):
    """Puts placeholders into what a model says."""

    def __init__(self, ctx: RunContext, at_once: int, sought: Sought, masks: Masks) -> None:
        super().__init__(ctx, at_once)
        self._sighting = Sighting(sought)
        self._masks = masks
        self._held = ""
        self._left = 0

    def judge(self, text: str, *, end: bool) -> Sequence[Passed]:
        held, began = self._held + text, self._left
        passed: list[Passed] = []
        for found in self._sighting.feed(text, end=end):
            self._pass(passed, found.start)
            value = held[found.start - began : found.end - began]
            self._pass(passed, found.end, self._masks.of(found.name, value))
        self._pass(passed, self._sighting.safe)
        self._held = held[self._left - began :]
        return passed

    def _pass(self, passed: list[Passed], until: int, instead: str | None = None) -> None:
        length = until - self._left
        if length:
            passed.append(Passed(length, instead))
            self._left = until


class Restoring(Screen):
    """Puts values back where a model says placeholders, also where these come in pieces, or as JSON may write them."""

    def __init__(self, values: dict[str, str]) -> None:
        self._values = values
        self._held = ""

    def feed_nowait(self, text: str, *, end: bool) -> Sequence[Passed]:
        text = self._held + text
        passed: list[Passed] = []
        at = 0
        for match in _WRITTEN.finditer(text):
            value = self._values.get(f"<{match[1]}>")
            if value is not None:
                if match.start() > at:
                    passed.append(Passed(match.start() - at))
                passed.append(Passed(match.end() - match.start(), value))
                at = match.end()
        begun = None if end else _BEGUN.search(text, max(at, len(text) - LONGEST))
        free = len(text) if begun is None else begun.start()
        if free > at:
            passed.append(Passed(free - at))
        self._held = text[free:]
        return passed

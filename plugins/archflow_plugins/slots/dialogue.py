"""What of a conversation counts for filling slots: the user's turns, the assistant's question, earlier calls.

The newest turn counts most. Turns that answered a question, with the turn that the question was about, are one request;
so is a follow-up such as `and in celsius?` with the request before it. Older turns only give what is required.

Rule: what instructions, tools and assistants say is never a value; what an assistant asked says what a reply is about.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

import msgspec
from msgspec import Struct

from archflow_plugins.slots.extract.dates import dates
from archflow_plugins.slots.turn import LONGEST, Reader
from archflow_plugins.slots.words import words
from archflow_schema.conversation import Conversation, Message, ToolCallPart

TURNS = 12
"""Turns of the user that are looked at."""
CHARACTERS = 8_000
"""Characters of all turns that are looked at."""
REPLY_WORDS = 14
"""Words of the longest turn that can be a mere reply to a question."""
_FOLLOW = re.compile(
    r"\W*(?:and|what about|how about|or|also|make it|make that|change (?:it|that|the)|instead|same (?:for|but|with)"
    r"|the same|now|in|for|with|on|at|actually|no|not|sorry|i mean|i meant|but|then|again"
    r"|ok(?:ay)?,? (?:and|what|how))\b",
    re.IGNORECASE,
)
_CANCELLED = re.compile(
    r"\W*(?:never ?mind|forget (?:it|about it|that)|cancel(?: (?:that|it|this|please))?|stop|no,? thanks?(?: you)?"
    r"|nothing"
    r"|(?:(?:ok(?:ay)?|great|perfect|cool|nice|good|wonderful|excellent|alright)\W+)*(?:many )?"
    r"(?:thank you|thanks|thx|cheers)(?: (?:so|very) much| a lot| again)?(?:\W+that(?:'s| is) (?:all|it|enough|great))?"
    r"|that(?:'s| is) (?:all|enough)(?: for (?:now|today))?|(?:good)?bye)\W*$",
    re.IGNORECASE,
)
_SMALL_TALK = re.compile(
    r"\W*(?:(?:hello|hi|hey)(?: there)?|good (?:morning|afternoon|evening|night)|ok(?:ay)?|great|perfect|cool|nice|good"
    r"|wonderful|excellent|awesome|interesting|i see|got it|alright|all right|wow|haha)"
    r"(?:\W+(?:ok(?:ay)?|great|perfect|cool|nice|good|got it|i see|then|there))*\W*$",
    re.IGNORECASE,
)
"""What asks for nothing, unless it answers a question."""
_TODAY = re.compile(
    r"(?:current|today'?s?)\s+(?:date|day|time)(?:\s+and\s+time)?\s*(?:is|:|=)\s*(.{6,40})|\btoday\s+is\s+(.{6,40})",
    re.IGNORECASE,
)


class Past(Struct, frozen=True, kw_only=True):
    """A turn of the user, as far as it counts.

    Attributes:
        text: what was said.
        asked: what the assistant asked right before; empty if it asked nothing.
        same: whether it belongs to the request of the newest turn.
    """

    text: str
    asked: str = ""
    same: bool = True


class Call(Struct, frozen=True):
    """A call that was made earlier in the conversation, and how many turns of the user came after it."""

    target: str
    values: dict[str, object]
    age: int


class Dialogue(Struct, frozen=True, kw_only=True):
    """What a conversation says.

    Attributes:
        turns: of the user, the newest first.
        calls: that were made, the newest first.
        reader: reads its turns, each once.
        now: the moment that the conversation takes place in.
        cancelled: whether the newest turn takes the request back, or asks for nothing: `thank you`, `hello`.
    """

    turns: tuple[Past, ...]
    calls: tuple[Call, ...] = ()
    reader: Reader
    now: datetime
    cancelled: bool = False


def read(conversation: Conversation, now: datetime, *, day_first: bool = False) -> Dialogue:
    """What a conversation says.

    Args:
        conversation: what was said.
        now: the clock's; instructions that tell today's date are believed instead.
        day_first: whether 03/04/2024 is in April.
    """
    turns: list[Past] = []
    calls: list[Call] = []
    same, room = True, CHARACTERS
    messages = conversation.messages
    for place in range(len(messages) - 1, -1, -1):
        message = messages[place]
        calls += _calls(message, len(turns))
        if message.role != "user" or len(turns) >= TURNS or room <= 0:
            continue
        text = said(message)
        if not text:
            continue
        room -= min(len(text), LONGEST)
        asked = _question(messages[:place])
        turns.append(Past(text=text, asked=asked, same=same))
        # The turn before this one belongs to the same request if this one answered or followed up.
        same = same and (bool(asked) or follows(text))
    then = _now(messages, now, day_first=day_first)
    return Dialogue(
        turns=tuple(turns),
        calls=tuple(calls),
        reader=Reader(then, day_first=day_first),
        now=then,
        cancelled=bool(turns) and (bool(_CANCELLED.match(turns[0].text)) or _small_talk(turns)),
    )


def _small_talk(turns: Sequence[Past]) -> bool:
    """Whether the newest turn says nothing but `great` or `hello` behind a request, and answers no question."""
    return len(turns) > 1 and not turns[0].asked and bool(_SMALL_TALK.match(turns[0].text))


def said(message: Message) -> str:
    """The text of a turn, without what tools answered."""
    return message.own_text.strip()


def follows(text: str) -> bool:
    """Whether a turn is a follow-up: it is short, or begins as one."""
    return len(words(text[:400])) <= REPLY_WORDS and bool(_FOLLOW.match(text) or len(words(text)) <= 3)


def _question(before: Sequence[Message]) -> str:
    """What the assistant asked right before a turn: its last sentence with a question mark, and what led to it."""
    for message in reversed(before):
        if message.role == "assistant":
            text = said(message)
            return text[-1200:] if "?" in text[-600:] else ""
        if message.role == "user":
            return ""
    return ""


def _calls(message: Message, age: int) -> list[Call]:
    found = []
    for part in message.parts:
        if isinstance(part, ToolCallPart) and message.role == "assistant" and len(part.arguments) <= 20_000:
            try:
                values = msgspec.json.decode(part.arguments or "{}", type=dict[str, object])
            except (msgspec.MsgspecError, UnicodeError, RecursionError):
                continue
            found.append(Call(part.name, values, age))
    return found


def _now(messages: Sequence[Message], now: datetime, *, day_first: bool) -> datetime:
    for message in messages:
        if message.role in {"system", "developer"} and (found := _TODAY.search(said(message)[:20_000])):
            told = dates(found[1] or found[2], now, day_first=day_first)
            day = next((one.value for one in told if one.sort in {"date", "moment"}), None)
            if day is not None:
                return now.replace(year=day.year, month=day.month, day=day.day)  # type: ignore[union-attr]
    return now

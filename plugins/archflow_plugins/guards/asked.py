"""How guards outside are asked: with a conversation in the form of chat completions, whatever the client's dialect.

Rule: an answer stands behind the conversation that it answers, as the assistant's turn.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import msgspec
from msgspec import Struct, structs

from archflow_plugins.guards.turns import beside, said
from archflow_plugins.guards.whole import Whole
from archflow_plugins.kinds import Guard
from archflow_plugins.verdict import ALLOW, Screens, Side, Verdict
from archflow_schema.conversation import Conversation, Message, TextPart

PATH = "/v1/chat/completions"
"""Where a client would post it."""
OF_REQUESTS = "This request was denied."
OF_ANSWERS = "This answer was withheld."
LONGEST = 500
"""Characters of a service's words that a client is told."""
_encode = msgspec.json.Encoder().encode


class Refusal(Struct, frozen=True):
    """What somebody outside says against a conversation; nothing if it has no words for it."""

    said: str
    score: float = 1.0


class ServiceGuard(Guard):
    """A guard outside the gateway; its settings have a `message` that stands in the place of its own words."""

    waits: ClassVar[bool] = True
    sides: ClassVar[tuple[Side, ...]] = ("input", "output")

    async def check(self, conversation: Conversation) -> Verdict:
        return await self._judge(conversation, OF_REQUESTS)

    def screens(self, asked: Callable[[], Conversation]) -> Screens:
        async def judge(text: str) -> Verdict:
            return await self._judge(answered(asked(), text), OF_ANSWERS)

        return lambda _: Whole(judge)

    async def refusal(self, body: bytes) -> Refusal | None:
        """What is said against what `body` tells; None if it may go on. Blocks until there is an answer.

        Raises:
            UpstreamError: it could not judge.
        """
        raise NotImplementedError(f"{type(self).__name__} asks nobody")

    async def _judge(self, conversation: Conversation, otherwise: str) -> Verdict:
        refusal = await self.refusal(body(conversation))
        if refusal is None:
            return ALLOW
        message = self.settings.message or short(refusal.said, otherwise)
        return Verdict(allow=False, message=message, score=refusal.score)


def body(conversation: Conversation) -> bytes:
    """`model`, `stream`, and `messages` with the words of each turn; what a tool answered is a turn of its own."""
    return _encode(
        {
            "model": conversation.model,
            "stream": conversation.stream,
            "messages": [
                *({"role": who, "content": text} for who, text in beside(conversation)),
                *(
                    {"role": "tool" if who == "tool" else message.role, "content": text}
                    for message in conversation.messages
                    for who, text in said(message)
                ),
            ],
        }
    )


def answered(conversation: Conversation, text: str) -> Conversation:
    """A conversation with its answer."""
    turn = Message(role="assistant", parts=(TextPart(text),))
    return structs.replace(conversation, messages=(*conversation.messages, turn))


def short(text: str, otherwise: str) -> str:
    """A service's words for a client; others if it has none."""
    text = text.strip()
    return (text if len(text) <= LONGEST else f"{text[:LONGEST]}...") or otherwise

"""What guards outside are asked: a conversation in the form of chat completions, whatever the client's dialect.

Rule: an answer stands behind the conversation that it answers, as the assistant's turn.
"""

from __future__ import annotations

import msgspec
from msgspec import structs

from archflow_plugins.guards.turns import said
from archflow_schema.conversation import Conversation, Message, TextPart

PATH = "/v1/chat/completions"
"""Where a client would post it."""
OF_REQUESTS = "This request was denied."
OF_ANSWERS = "This answer was withheld."
LONGEST = 500
"""Characters of a service's words that a client is told."""
_encode = msgspec.json.Encoder().encode


def body(conversation: Conversation) -> bytes:
    """`model`, `stream`, and `messages` with the words of each turn."""
    return _encode(
        {
            "model": conversation.model,
            "stream": conversation.stream,
            "messages": [
                {"role": message.role, "content": said(message)} for message in conversation.messages
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

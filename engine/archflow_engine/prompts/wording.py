"""What services of the user's own are told, and what they answer, in words: messages, contexts, error texts.

Rule: what a service answered is text to us; bytes that are no UTF-8 lose what cannot be read, and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Raw

from archflow_engine.upstream.fetch import Fetched
from archflow_plugins.kinds import Dialect
from archflow_schema.conversation import Conversation
from archflow_schema.errors import ArchflowError, ClientProtocolError
from archflow_schema.reply import Reply
from archflow_schema.slots import FilledCall

QUOTED = 2000
"""Characters of a service's error that a client is told."""
_decode_fields = msgspec.json.Decoder(dict[str, Raw]).decode
_encode = msgspec.json.Encoder().encode


def text_of(found: Fetched) -> str:
    """A service's answer as text."""
    return found.body.decode("utf-8", "replace")


def application_error(host: str, path: str, status: int, body: str) -> str:
    """What Arch tells a client of a service that failed."""
    cut = body if len(body) <= QUOTED else f"{body[:QUOTED]}... ({len(body)} characters)"
    return f"upstream application error host={host}, path={path}, status={status}, body={cut}"


def messages(dialect: Dialect, conversation: Conversation) -> bytes:
    """A conversation as services get it: `{"messages": [...]}`, in the form of a dialect.

    Raises:
        ClientProtocolError: the dialect has no words for it.
    """
    fields = _decode_fields(dialect.encode(conversation, "").body)
    if "messages" not in fields:
        raise ClientProtocolError("the conversation cannot be told as messages")
    return _encode({"messages": fields["messages"]})


def reply_of(found: Fetched, dialect: Dialect) -> Reply | None:
    """A service's answer as a reply of a dialect; None if it is none."""
    try:
        reply = dialect.read_reply(found.content_type, found.body)
    except ArchflowError:
        return None
    return reply if not reply.failed else None


def reply_text(found: Fetched, dialect: Dialect) -> str:
    """What a service answered, be it a reply of a dialect or plain text; empty for JSON that is no reply."""
    reply = reply_of(found, dialect)
    if reply is not None and reply.text:
        return reply.text
    return "" if "json" in found.content_type else text_of(found).strip()


def not_called(calls: Sequence[FilledCall], most: int) -> tuple[str, ...]:
    """What a model is told of calls that were too many, so that it does not claim them done; nothing if none was."""
    if not calls:
        return ()
    names = ", ".join(call.target for call in calls)
    return (f"Not called, because one request may make {most} calls: {names}.",)


def header(text: str, longest: int) -> bytes:
    """A text as it can stand in a header: in one line, in ASCII, cut."""
    line = " ".join(text.split())
    return line[:longest].encode("ascii", "backslashreplace")

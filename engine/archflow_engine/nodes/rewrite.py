"""A client's request with another conversation in it, in the client's own dialect.

Rule: what the conversation did not change keeps its bytes, and so does what the dialect-free form does not hold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from archflow_plugins.kinds import Head

if TYPE_CHECKING:
    from archflow_engine.exchange import Exchange
    from archflow_schema.conversation import Conversation

_encode = msgspec.json.Encoder().encode


def rewritten(exchange: Exchange, after: Conversation) -> Head:
    """The exchange's request as it is with the conversation `after`.

    Raises:
        CannotExpress, ClientProtocolError: the client's dialect has no words for it.
    """
    dialect, head, before = exchange.dialect, exchange.head, exchange.conversation
    assert dialect is not None and head is not None  # noqa: PT018, S101 - set by begin()
    old = dialect.decode_head(dialect.encode(before, head.model).body).fields
    new = dialect.decode_head(dialect.encode(after, head.model).body).fields
    fields = {name: value for name, value in head.fields.items() if name in new or name not in old}
    fields |= {name: value for name, value in new.items() if bytes(value) != bytes(old.get(name, b""))}
    return Head(head.model, after.stream, fields, _encode(fields))

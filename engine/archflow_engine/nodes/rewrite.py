"""The request of an exchange with another conversation in it, in the client's own dialect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archflow_plugins import rewriting

if TYPE_CHECKING:
    from archflow_engine.exchange import Exchange
    from archflow_plugins.kinds import Head
    from archflow_schema.conversation import Conversation


def rewritten(exchange: Exchange, after: Conversation, model: str = "") -> Head:
    """The exchange's request as it is with the conversation `after`, and for `model` if that is another one.

    Raises:
        ClientProtocolError: the client's dialect has no words for it.
    """
    dialect, head = exchange.dialect, exchange.head
    assert dialect is not None and head is not None  # noqa: PT018, S101 - set by begin()
    return rewriting.rewritten(dialect, head, exchange.original or exchange.conversation, after, model)

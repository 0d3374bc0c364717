"""Answers from here: an error, or a guard's message, in the client's dialect.

Errors of agents and filters have the form that Arch gives them, whatever the dialect.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from archflow_engine.prompts import prompt
from archflow_engine.walk import Runner
from archflow_schema.errors import ClientProtocolError

if TYPE_CHECKING:
    from archflow_engine.exchange import Exchange


class ReplyNode(Runner):
    """Ends the walk with a reply of ours. Without a message, or a status, of its own it tells the exchange's."""

    def __init__(self, name: str, status: int, code: str, message: str, *, chain: bool = False) -> None:
        super().__init__(name)
        self._chain = chain
        self._status = status
        self._code = code
        self._message = message

    def run(self, exchange: Exchange) -> None:
        message = self._message or exchange.error or "the request cannot be served"
        if self._chain:
            exchange.record.error = self._code
            exchange.record.detail = message
            status, body = exchange.fault or (
                self._status,
                chain_error(message, exchange.record.request_id),
            )
            exchange.answer(status, b"application/json", body, exchange.reply_headers)
            return
        asked = exchange.prompt
        if self._code:
            status, detail = (asked.status, asked.detail) if asked is not None else (0, "")
            exchange.refuse(
                self._status or status or 500, self._code, message, exchange.reply_headers, detail=detail
            )
            return
        if asked is not None:
            prompt.say(exchange, message)
            return
        assert exchange.dialect is not None and exchange.head is not None  # noqa: PT018, S101 - set by begin()
        try:
            content_type, body = exchange.dialect.encode_text(
                exchange.head, message, request_id=exchange.record.request_id
            )
        except ClientProtocolError as error:  # a dialect without answers in words
            exchange.refuse(error.status_hint, "invalid_request", str(error), exchange.reply_headers)
            return
        exchange.answer(self._status, content_type.encode(), body, exchange.reply_headers)


def chain_error(message: str, request_id: str) -> bytes:
    """What Arch's clients get when an agent, or a filter before it, fails."""
    return _encode(
        {
            "error": {
                "type": "AgentFilterChainError",
                "message": message,
                "error_chain": [message],
                "debug_info": f"the log has it under {request_id}",
            }
        }
    )


_encode = msgspec.json.Encoder().encode

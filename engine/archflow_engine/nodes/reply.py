"""Answers from here: an error, or a guard's message, in the client's dialect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archflow_engine.walk import Runner

if TYPE_CHECKING:
    from archflow_engine.exchange import Exchange


class ReplyNode(Runner):
    """Ends the walk with a reply of ours. Without a message of its own it tells the exchange's error."""

    def __init__(self, name: str, status: int, code: str, message: str) -> None:
        super().__init__(name)
        self._status = status
        self._code = code
        self._message = message

    def run(self, exchange: Exchange) -> None:
        message = self._message or exchange.error or "the request cannot be served"
        if self._code:
            exchange.refuse(self._status, self._code, message, exchange.reply_headers)
            return
        assert exchange.dialect is not None and exchange.head is not None  # noqa: PT018, S101 - set by begin()
        content_type, body = exchange.dialect.encode_text(
            exchange.head, message, request_id=exchange.record.request_id
        )
        exchange.answer(self._status, content_type.encode(), body, exchange.reply_headers)

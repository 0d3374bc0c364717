"""Lets a filter kind change the request before it goes on, or refuse it.

A filter sees the request in the client's dialect. One that takes another dialect gets it translated; what it changed
then, and nothing else, is put back into the request as the client sent it.

Rule: a filter that fails ends the request; what it should have changed never goes on unchanged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import trio

from archflow_engine.nodes.rewrite import rewritten
from archflow_engine.translate import ask_in
from archflow_engine.walk import Runner
from archflow_plugins.kinds import Dialect, Filter, Head
from archflow_schema.errors import ArchflowError, ClientProtocolError, FilterRefused

if TYPE_CHECKING:
    from archflow_engine.exchange import Exchange

_encode = msgspec.json.Encoder().encode


class FilterNode(Runner):
    """Runs a filter kind over requests."""

    waits = True

    def __init__(self, name: str, who: str, filtering: Filter, dialect: Dialect | None) -> None:
        """Args: `who` is the filter's id, for clients; `dialect` the one that it takes, None for the client's own."""
        super().__init__(name)
        self._who = who
        self._filter = filtering
        self._dialect = dialect

    async def run_waiting(self, exchange: Exchange) -> Runner | None:
        dialect, head = exchange.dialect, exchange.head
        assert dialect is not None and head is not None  # noqa: PT018, S101 - set by begin()
        other = self._dialect if exchange.record.dialect != self._filter.dialect else None
        body = head.body
        if other is not None:  # a request that is none is the client's mistake
            if not dialect.translates:
                raise ClientProtocolError(f"the filter '{self._who}' takes conversations, and this is none")
            body, _ = ask_in(dialect, other, self._filter.dialect, exchange.conversation, head.model)
        try:
            body = await self._filter.request(exchange.request.path, body)
            new = _read(dialect, head, body) if other is None else _back(exchange, other, body)
        except FilterRefused as refused:
            told_refusal(exchange, self._who, refused)
            return self.edges["refused"]
        except trio.Cancelled:
            raise
        except Exception as error:  # noqa: BLE001 - a filter that fails lets nothing pass
            told_failure(exchange, self._who, error)
            return self.edges["failed"]
        exchange.instead(new)
        return self.edges["passed"]


def told_refusal(exchange: Exchange, who: str, refused: FilterRefused) -> None:
    """Tell who answered with what: a client's mistake with the filter's own status, all else with ours."""
    mistaken = 400 <= refused.status < 500
    exchange.error = f"the filter '{who}' answered with status {refused.status}"
    exchange.fault = (
        refused.status if mistaken else 500,
        _encode(
            {
                "error": "ClientError" if mistaken else "FilterChainError",
                "agent": who,
                "status": refused.status,
                "agent_response": refused.said,
            }
        ),
    )


def told_failure(exchange: Exchange, who: str, error: Exception) -> None:
    """Tell which filter failed; what was not meant for people is in the log alone."""
    exchange.error = f"the filter '{who}' failed: {error}"
    if not isinstance(error, ArchflowError):
        exchange.error = f"the filter '{who}' failed"
        exchange.plan.hub.trouble(error)


def _read(dialect: Dialect, head: Head, body: bytes) -> Head:
    """The request that a filter gave, in the client's own dialect."""
    new = dialect.decode_head(body)
    if "{" in dialect.path:  # model and stream stand in the path, which no filter changes
        return Head(head.model, head.stream, new.fields, body)
    return new


def _back(exchange: Exchange, other: Dialect, body: bytes) -> Head:
    """The client's request with the messages that a filter gave in another dialect."""
    messages = other.decode(other.decode_head(body)).messages
    return rewritten(exchange, msgspec.structs.replace(exchange.conversation, messages=messages))

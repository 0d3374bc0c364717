"""Lets clients go on from earlier replies: looks up what requests refer to, keeps what was translated, tells of both.

What is kept, and how a request refers to it, is the dialect's business; where, is the store's. A reference to what is
not known here stays in the request: an upstream of the same dialect may know it, and any other one is never asked.

::

    request -> recollect -> [store] -> request without references -> ... -> translated reply -> [store] -> its end

Rule: the end of a reply goes to the client when the reply is kept, so that whoever heard it can go on from it.
Rule: a reply that cannot be kept is told all the same, and the trouble is logged.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import trio

from archflow_engine.nodes.sift import behind
from archflow_engine.walk import Runner
from archflow_plugins.kinds import Dialect, Kept, Recollection, Store
from archflow_plugins.translation import ReplyEncoder
from archflow_schema.errors import ClientProtocolError

if TYPE_CHECKING:
    from archflow_engine.exchange import Exchange

_JSON = b"application/json"


class RecallNode(Runner):
    """Earlier replies, in a store that answers at once."""

    def __init__(self, name: str, store: Store, seconds: float) -> None:
        super().__init__(name)
        self._store = store
        self._seconds = seconds

    def run(self, exchange: Exchange) -> Runner | None:
        exchange.keeper = self
        memory = _recollect(exchange)
        if memory is not None:
            try:
                while wanted := memory.wants():
                    memory.give(self._store.get_nowait(_key(exchange.record.dialect, wanted)))
            except ClientProtocolError:
                raise
            except Exception as error:  # noqa: BLE001 - a store is a plugin: what it raises is answered
                return self.forgetful(exchange, error)
            _go_on(exchange, memory)
        return self.edges["ready"]

    def forgetful(self, exchange: Exchange, error: Exception) -> Runner | None:
        """The store does not answer."""
        exchange.plan.hub.trouble(error)
        exchange.error = "what the request goes on from cannot be looked up now"
        return self.edges["failed"]

    def keep(self, exchange: Exchange, encoder: ReplyEncoder, then: Callable[[], None]) -> bool:
        """Keep a translated reply whose end the encoder has written.

        Returns:
            Whether `then` is called later, when it is kept; False if it is kept already, or is not to be.
        """
        try:
            kept = _to_keep(exchange, encoder)
            if kept is not None:
                self._store.put_nowait(_key(exchange.record.dialect, kept.id), kept.data, self._seconds)
        except Exception as error:  # noqa: BLE001 - the reply is good all the same
            exchange.plan.hub.trouble(error)
        return False

    def answer(self, exchange: Exchange, dialect: Dialect, name: str, method: str, rest: str) -> bool:
        """Answer a request to a path below the dialect's own; False if it asks for nothing that is kept."""
        wanted = dialect.asks(method, rest)
        if not wanted:
            return False
        exchange.dialect, exchange.record.dialect = dialect, name
        self._look_up(exchange, dialect, method, rest, _key(name, wanted))
        return True

    def _look_up(self, exchange: Exchange, dialect: Dialect, method: str, rest: str, key: str) -> None:
        try:
            data = self._store.get_nowait(key)
            if method == "DELETE" and data is not None:
                self._store.delete_nowait(key)
        except Exception as error:  # noqa: BLE001 - as in run
            _unavailable(exchange, error)
            return
        self._tell(exchange, dialect, method, rest, data)

    def _tell(self, exchange: Exchange, dialect: Dialect, method: str, rest: str, data: bytes | None) -> None:
        """Tell what is kept, which is what the model said: it passes the filters that the reply passed."""
        status, body = dialect.tell(method, rest, exchange.request.query.decode("latin-1"), data)
        if status >= 400:
            exchange.record.error = "not_found" if status == 404 else "invalid_request"
        else:
            exchange.sifts = behind(self)
        exchange.tell(status, _JSON, body)


class WaitingRecallNode(RecallNode):
    """The same, in a store that waits. A request that refers to nothing does not."""

    def run(self, exchange: Exchange) -> Runner | None:
        exchange.keeper = self
        memory = _recollect(exchange)
        return self.edges["ready"] if memory is None else _Looking(self, memory)

    async def look(self, exchange: Exchange, memory: Recollection) -> Runner | None:
        """Look up what the request refers to. Blocks while the store answers."""
        try:
            while wanted := memory.wants():
                memory.give(await self._store.get(_key(exchange.record.dialect, wanted)))
        except (ClientProtocolError, trio.Cancelled):
            raise
        except Exception as error:  # noqa: BLE001 - as in RecallNode.run
            return self.forgetful(exchange, error)
        _go_on(exchange, memory)
        return self.edges["ready"]

    def keep(self, exchange: Exchange, encoder: ReplyEncoder, then: Callable[[], None]) -> bool:
        try:
            kept = _to_keep(exchange, encoder)
        except Exception as error:  # noqa: BLE001 - as in RecallNode.keep
            exchange.plan.hub.trouble(error)
            return False
        if kept is None:
            return False
        exchange.plan.hub.spawn(self._keep, exchange, kept, then)
        return True

    async def _keep(self, exchange: Exchange, kept: Kept, then: Callable[[], None]) -> None:
        try:
            await self._store.put(_key(exchange.record.dialect, kept.id), kept.data, self._seconds)
        except Exception as error:  # noqa: BLE001 - as in RecallNode.keep
            exchange.plan.hub.trouble(error)
        then()

    def _look_up(self, exchange: Exchange, dialect: Dialect, method: str, rest: str, key: str) -> None:
        exchange.plan.hub.spawn(self._look_up_waiting, exchange, dialect, method, rest, key)

    async def _look_up_waiting(
        self, exchange: Exchange, dialect: Dialect, method: str, rest: str, key: str
    ) -> None:
        try:
            data = await self._store.get(key)
            if method == "DELETE" and data is not None:
                await self._store.delete(key)
        except Exception as error:  # noqa: BLE001 - as in run
            _unavailable(exchange, error)
            return
        self._tell(exchange, dialect, method, rest, data)


class _Looking(Runner):
    """The part of a WaitingRecallNode that waits: one for one request."""

    waits = True

    def __init__(self, node: WaitingRecallNode, memory: Recollection) -> None:
        super().__init__(node.name)
        self._node = node
        self._memory = memory

    async def run_waiting(self, exchange: Exchange) -> Runner | None:
        return await self._node.look(exchange, self._memory)


def _key(dialect: str, wanted: str) -> str:
    return f"{dialect}\n{wanted}"


def _recollect(exchange: Exchange) -> Recollection | None:
    dialect, head = exchange.dialect, exchange.head
    assert dialect is not None and head is not None  # noqa: PT018, S101 - set by begin()
    memory = dialect.recollect(head) if dialect.keeps else None
    if memory is None:
        exchange.selfsufficient = head
    return memory


def _go_on(exchange: Exchange, memory: Recollection) -> None:
    """The request is now what the client would have sent if nothing were kept."""
    exchange.said, exchange.head = exchange.head, memory.head()


def _to_keep(exchange: Exchange, encoder: ReplyEncoder) -> Kept | None:
    dialect, head = exchange.dialect, exchange.said or exchange.head
    assert dialect is not None and head is not None  # noqa: PT018, S101 - set by begin()
    return dialect.keep(head, encoder) if dialect.keeps else None


def _unavailable(exchange: Exchange, error: Exception) -> None:
    exchange.plan.hub.trouble(error)
    exchange.refuse(503, "state_unavailable", "what is kept cannot be looked up now")

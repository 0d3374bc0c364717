"""Providers that answer in this process: a pool without connections.

A call runs the provider's `answer` in a task of the hub, under a cancel scope that closes when the client leaves. To
the exchange it is an upstream like any other: a head, bytes as they come, an end; a slow client holds the answer up.

Rule: what a provider raises becomes an UpstreamError here and nowhere else; what is no ArchflowError is trouble too.
"""

from __future__ import annotations

from urllib.parse import quote, unquote

import trio

from archflow_engine.hub import Hub
from archflow_engine.upstream.call import Call, ReplyHead
from archflow_plugins.kinds import Provider, UpstreamRequest
from archflow_schema.errors import ArchflowError, UpstreamError, UpstreamProtocolError


class Asked(Provider):
    """How a provider in this process is asked: the dialect and the model are the path."""

    kind = "provider.asked_in_process"
    in_process = True

    def __init__(self, provider: Provider) -> None:
        super().__init__(provider.settings, provider.ctx)

    def request(self, dialect: str, model: str, *, stream: bool, body: bytes = b"") -> UpstreamRequest:
        return UpstreamRequest(f"/{quote(dialect, safe='')}/{quote(model, safe='')}", ())

    def credentials(self, dialect: str, key: str) -> tuple[tuple[str, str], ...]:
        return ()


class LocalPool:
    """The calls that one provider answers in this process."""

    def __init__(self, hub: Hub, name: str, provider: Provider) -> None:
        self.origin = name
        self._hub = hub
        self._provider = provider
        self._live: set[_Answer] = set()

    @property
    def connections(self) -> tuple[int, int]:
        """How many calls are being answered; none is ever idle."""
        return len(self._live), 0

    def send(self, call: Call) -> None:
        """Answer a call. The sink hears the rest."""
        path = call.head.target.partition(b"?")[0].decode("ascii")
        _, dialect, model = map(unquote, path.split("/", 2))
        answer = _Answer(self, call, self._hub)
        self._live.add(answer)
        call.carrier = answer
        call.sink.sent("in process", reused=False)
        self._hub.spawn(answer.run, self._provider, dialect, model)

    def gone(self, answer: _Answer) -> None:
        """A call is answered, or nobody wants the answer."""
        self._live.discard(answer)

    def close(self) -> None:
        """End what is being answered: the sinks are told nothing."""
        for answer in list(self._live):
            answer.call.cancel()


class _Answer:
    """One answer under way: a Carrier for the call, a Reply for the provider."""

    def __init__(self, pool: LocalPool, call: Call, hub: Hub) -> None:
        self.call = call
        self._pool = pool
        self._hub = hub
        self._scope = trio.CancelScope()
        self._flows = trio.Event()
        self._flows.set()
        self._head: ReplyHead | None = None
        self._began = False
        self._whole = False

    # The exchange's side.

    def cancel(self, call: Call) -> None:
        self._scope.cancel()
        self._pool.gone(self)

    def pause(self, call: Call) -> None:
        self._flows = trio.Event()

    def resume(self, call: Call) -> None:
        self._flows.set()

    # The provider's side.

    def head(
        self,
        status: int,
        content_type: str,
        *,
        length: int | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        head = ReplyHead()
        head.status = status
        head.length = length
        head.add(b"content-type", content_type.encode("latin-1"))
        for name, value in headers:
            head.add(name.encode("ascii"), value.encode("latin-1"))
        self._head = head
        self._began = True

    async def send(self, data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        await self._flows.wait()
        head, self._head = self._head, None
        if head is not None and head.length == len(data):
            self._end(head, data)
        elif data or head is not None:
            self.call.sink.reply(head, data, False)

    async def run(self, provider: Provider, dialect: str, model: str) -> None:
        """Let the provider answer. Blocks until it has, or until nobody wants the answer."""
        error: UpstreamError | None = None
        with self._scope:
            try:
                await provider.answer(dialect, model, self.call.body, self)
                await self._flows.wait()
            except UpstreamError as raised:
                error = raised
            except ArchflowError as raised:
                error = UpstreamProtocolError(str(raised))
            except Exception as raised:  # noqa: BLE001 - a provider's bug ends its answer, not the worker
                self._hub.trouble(raised)
                error = UpstreamProtocolError(f"{self._pool.origin} failed: the log says why")
        self._pool.gone(self)
        if self.call.cancelled or self._whole:
            return
        try:
            if error is None and not self._began:
                error = UpstreamProtocolError(f"{self._pool.origin} said nothing")
            if error is None:
                self._end(self._head, b"")
            else:
                self.call.carrier = None
                self.call.sink.failed(error)
        except Exception as raised:  # noqa: BLE001 - as the hub does for callbacks
            self._hub.trouble(raised)

    def _end(self, head: ReplyHead | None, data: bytes) -> None:
        self._whole = True
        self.call.carrier = None
        self.call.sink.reply(head, data, True)

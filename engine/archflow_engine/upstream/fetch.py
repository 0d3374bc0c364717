"""A call that somebody waits for: the whole reply, or an error. What nodes ask of services while an exchange waits.

Rule: whoever waits is in a task, under a deadline; cancelled, the call is closed at once.
Rule: a reply larger than the limit fails; memory is bounded by it.
"""

from __future__ import annotations

import trio
from msgspec import Struct

from archflow_engine.inflate import ACCEPTED, PLAIN, Inflater
from archflow_engine.upstream.call import Call, CallHead, Headers, ReplyHead
from archflow_engine.upstream.local import LocalPool
from archflow_engine.upstream.pool import Pool
from archflow_schema.errors import UpstreamError, UpstreamProtocolError, UpstreamTimeout

AT_MOST = 16 << 20
"""Bytes of a reply that is read whole, if the caller does not say otherwise."""


class Fetched(Struct, frozen=True):
    """A whole reply; its body is decoded of any content-encoding."""

    status: int
    content_type: str
    headers: Headers
    body: bytes
    address: str = ""


class Waiter:
    """Hears an upstream for a task that waits. A Sink."""

    def __init__(self, at_most: int) -> None:
        self.address = ""
        self._at_most = at_most
        self._done = trio.Event()
        self._head: ReplyHead | None = None
        self._body: list[bytes] = []
        self._size = 0
        self._error: UpstreamError | None = None

    def sent(self, address: str, *, reused: bool) -> None:
        """The request is on its way."""
        self.address = address

    def reply(self, head: ReplyHead | None, data: bytes, end: bool) -> None:
        """More of the reply."""
        if self._done.is_set():
            return
        if head is not None:
            self._head = head
        self._size += len(data)
        if self._size > self._at_most:
            self.failed(
                UpstreamProtocolError(f"the reply of {self.address} is larger than {self._at_most} bytes")
            )
            return
        self._body.append(data)
        if end:
            self._done.set()

    def failed(self, error: UpstreamError) -> None:
        """There will be no (more) reply."""
        error.unsent = not self.address
        self._error = error
        self._done.set()

    async def wait(self) -> Fetched:
        """The reply. Blocks until it is whole.

        Raises:
            UpstreamError: there is none, or it cannot be read.
        """
        await self._done.wait()
        if self._error is not None or self._head is None:
            raise self._error or UpstreamProtocolError(f"{self.address} said nothing")
        head, body = self._head, b"".join(self._body)
        if head.content_encoding not in PLAIN:
            body = self._inflated(body, Inflater(head.content_encoding))
        return Fetched(head.status, head.content_type.decode("latin-1"), head.headers, body, self.address)

    def _inflated(self, body: bytes, inflater: Inflater) -> bytes:
        portions, size = [], 0
        for portion in inflater.feed(body):
            portions.append(portion)
            size += len(portion)
            if size > self._at_most:
                raise UpstreamProtocolError(
                    f"the reply of {self.address} is larger than {self._at_most} bytes when unpacked"
                )
        return b"".join(portions)


async def fetch(
    pool: Pool | LocalPool,
    *,
    target: bytes,
    authority: bytes,
    headers: Headers,
    body: bytes = b"",
    method: bytes = b"POST",
    timeout: float,  # noqa: ASYNC109 - it comes from the graph, and its end is an error of the upstream's
    at_most: int = AT_MOST,
    once: bool = False,
) -> Fetched:
    """Send a request and read the whole reply. Blocks; cancelled, it closes the call.

    Args:
        pool: where to.
        target: path and query.
        authority: the Host.
        headers: lower-case names, complete but for framing.
        body: the whole body.
        method: the HTTP method.
        timeout: seconds for all of it.
        at_most: bytes of the reply.
        once: it must not arrive twice.

    Raises:
        UpstreamRefused, UpstreamTimeout, UpstreamProtocolError: there is no reply, whatever its status would be.
    """
    waiter = Waiter(at_most)
    headers = [*headers, (b"accept-encoding", ACCEPTED)]
    call = Call(CallHead.of(target, authority, headers, method), "", body, waiter, once=once)
    fetched: Fetched | None = None
    try:
        with trio.move_on_after(timeout):
            pool.send(call)
            fetched = await waiter.wait()
    finally:
        if fetched is None:
            call.cancel()
    if fetched is None:
        raise UpstreamTimeout(
            f"{waiter.address or pool.origin} did not answer within {round(timeout, 3):g} s"
        )
    return fetched

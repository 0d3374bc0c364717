"""How an exchange ends: an answer of ours, what it was charged settled, and everybody left alone.

Rule: `finish` runs exactly once, whatever happens; after it nobody hears from this exchange.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import field

from archflow_engine.exchange.asked import Asked
from archflow_engine.hub import monotonic
from archflow_engine.plan import CORS
from archflow_engine.sieve import Sieve
from archflow_engine.upstream.call import Call, Headers
from archflow_plugins.record import Attempt
from archflow_schema.errors import ExchangeError

if TYPE_CHECKING:
    import trio

    from archflow_engine.nodes.limit import LimitNode
    from archflow_engine.translate import Translation
    from archflow_schema.graph import Quota

JSON = b"application/json"


class Answered(Asked):
    """The ends of an exchange. Mutable: it has not ended before it does.

    Attributes:
        over: whether it is finished.
        charges: what is to be settled when it is known what the request cost.
        reply_headers: what nodes tell the client with the reply, whoever's it is.
    """

    over: bool = False
    attempt: Attempt | None = None
    charges: list[tuple[LimitNode, Quota, str, int]] = field(default_factory=list)
    reply_headers: Headers = field(default_factory=list)
    translation: Translation | None = None
    sieve: Sieve | None = None
    _call: Call | None = None
    _started: bool = False
    _scopes: tuple[trio.CancelScope, ...] = ()

    def refuse(
        self, status: int, code: str, message: str, headers: Headers | None = None, *, detail: str = ""
    ) -> None:
        """Answer with an error in the form of the client's dialect.

        Args:
            status: of the reply.
            code: the error in one word.
            message: the error in words.
            headers: of the reply.
            detail: the message without what was said in the conversation, for the record.
        """
        self.record.error = code
        self.record.detail = detail or message
        if self.dialect is not None:
            body = self.dialect.encode_error(status, code, message, request_id=self.record.request_id)
        else:
            body = self.listener.encode_error(status, code, message, request_id=self.record.request_id)
        self.answer(status, JSON, body, headers)

    def answer(self, status: int, content_type: bytes, body: bytes, headers: Headers | None = None) -> None:
        """Answer with a body of ours."""
        if self.over or self._started:
            return
        self._stop()
        head = [(b"content-type", content_type)] if content_type else []
        head.append((b"x-request-id", self.record.request_id.encode()))
        if headers:
            head += headers
        if b"origin" in self.request.fields and headers is not CORS:
            head.append(CORS[0])
        self._started = True
        self.record.status = status
        self.record.bytes_sent = len(body)
        self.record.first_byte = monotonic() - self._began
        self.client.start(status, head, body, True, len(body))
        self.finish()

    def trouble(self, error: ExchangeError | Exception) -> None:
        """A step raised: an error of the client's or ours. Answers if that is still possible."""
        if self.over:
            return
        if isinstance(error, ExchangeError):
            code = "invalid_request" if error.status_hint == 400 else "request_failed"
            self.refuse(error.status_hint, code, str(error))
            return
        self.plan.hub.trouble(error)
        if self._started:
            self._stop()
            self.client.abort()
            self.record.error = "internal_error"
            self.finish()
        else:
            self.refuse(
                500, "internal_error", f"internal error; the log has it under {self.record.request_id}"
            )

    # What is under way for it.

    def enter(self, scope: trio.CancelScope) -> None:
        """A task works for this exchange: it is cancelled when that ends."""
        self._scopes = (*self._scopes, scope)

    def leave(self, scope: trio.CancelScope) -> None:
        """The task has done its work."""
        self._scopes = tuple(one for one in self._scopes if one is not scope)

    def unheard(self) -> None:
        """Hear no more of the upstream."""
        call, self._call = self._call, None
        if call is not None:
            call.cancel()

    def _stop(self) -> None:
        self.unheard()
        for scope in self._scopes:
            scope.cancel()

    # What it was charged.

    def refund(self) -> None:
        """Give back what was charged to a request that is not served."""
        for node, quota, key, cost in self.charges:
            node.settle(self, quota, key, -cost)
        self.charges.clear()

    def _settle_charges(self) -> None:
        """Charge what the reply really cost; a request that no model served costs nothing."""
        usage = self.record.usage
        attempt = self.attempt
        answered = attempt is not None and 0 < attempt.status < 400  # even if the client was not told
        served = self.record.status < 400 or answered or self.record.error == "client_gone"
        if not served:
            self.refund()
        elif usage is not None:
            for node, quota, key, cost in self.charges:
                node.settle(self, quota, key, usage.input_tokens + usage.output_tokens - cost)
        self.charges.clear()

    def finish(self) -> None:
        """The exchange is over. Runs once."""
        if self.over:
            return
        self.over = True
        # Or they would keep each other alive until the next garbage collection.
        self.translation = self.sieve = None
        self.plan.hub.timed.discard(self)
        record = self.record
        record.duration = monotonic() - self._began
        attempt = self.attempt
        if attempt is not None and attempt.ended < 0:
            attempt.ended = record.duration
            if not attempt.outcome:
                attempt.outcome = "cancelled"
        if self.charges:
            self._settle_charges()
        self.plan.finished(record)
        self.client.over()

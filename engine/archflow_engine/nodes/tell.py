"""Tells the error target of what went wrong; what it answers may be the reply.

As Arch's documents have it: the conversation with the error as a message of the system, and headers that say what, why
and where.

Rule: an error target that fails, or has nothing to say, changes nothing: the client gets the error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from archflow_engine.prompts import wording
from archflow_engine.prompts.prompt import readable, say
from archflow_engine.upstream.pooled import PooledService
from archflow_engine.walk import Runner
from archflow_plugins.kinds import Dialect
from archflow_schema.conversation import Message, TextPart
from archflow_schema.errors import ClientProtocolError, UpstreamError

if TYPE_CHECKING:
    from archflow_engine.exchange import Exchange

LONGEST = 1024
"""Characters of an error in a header."""


class TellNode(Runner):
    """Tells one service."""

    waits = True

    def __init__(
        self, name: str, service: PooledService, path: str, kind: str, dialect: Dialect, timeout: float
    ) -> None:
        super().__init__(name)
        self._service = service
        self._path = path.encode("ascii")
        self._kind = kind
        self._dialect = dialect
        self._timeout = timeout

    async def run_waiting(self, exchange: Exchange) -> Runner | None:
        if not readable(exchange):
            return self.edges["silent"]
        prompt = exchange.prompt
        kind = (prompt.failure if prompt is not None else "") or self._kind
        target = prompt.targets[0] if prompt is not None and prompt.targets else ""
        headers = [
            (b"content-type", b"application/json"),
            (b"x-arch-error-type", wording.header(kind, LONGEST)),
            (b"x-arch-error-message", wording.header(exchange.error, LONGEST)),
            (b"x-arch-target-prompt", wording.header(target, LONGEST)),
        ]
        try:
            found = await self._service.call(
                "POST",
                self._path,
                headers,
                self._body(exchange),
                timeout=self._timeout,
                retries=0,
                conversation="",
            )
        except (UpstreamError, ClientProtocolError):
            return self.edges["silent"]
        text = wording.reply_text(found, self._dialect) if 200 <= found.status < 300 else ""
        if not text:
            return self.edges["silent"]
        say(exchange, text)
        return self.edges["replied"]

    def _body(self, exchange: Exchange) -> bytes:
        conversation = exchange.conversation
        error = Message(role="system", parts=(TextPart(exchange.error),))
        told = msgspec.structs.replace(conversation, messages=(*conversation.messages, error))
        return wording.messages(self._dialect, told)

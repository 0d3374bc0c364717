"""Hands the request to an agent: as the client sent it, at the client's path behind the agent's own URL.

Where nodes made another conversation of it, that one is handed on, in the client's dialect. What an agent is told
besides stands in the request's `metadata`. The reply is relayed as a model's is, under the same deadlines; what goes
with the request is the same too.

Rule: a client's credentials and `x-arch-*` headers never reach an agent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Raw

from archflow_engine.ask import attempting, note
from archflow_engine.nodes.dispatch import NOT_FORWARDED, forwarded, with_query, without_keys
from archflow_engine.nodes.rewrite import rewritten
from archflow_engine.translate import Translation
from archflow_engine.upstream.call import CallHead
from archflow_engine.upstream.fetch import fetch
from archflow_engine.walk import Runner
from archflow_plugins.urls import behind
from archflow_schema.errors import ClientProtocolError, UpstreamError, UpstreamProtocolError

if TYPE_CHECKING:
    from archflow_engine.exchange import Exchange
    from archflow_engine.upstream.call import Headers
    from archflow_engine.upstream.pool import Pool

METADATA = "metadata"
_JSON = (b"content-type", b"application/json")
_decode_fields = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_metadata = msgspec.json.Decoder(dict[str, Raw] | None).decode
_encode = msgspec.json.Encoder().encode


class AgentNode(Runner):
    """Sends requests to one agent.

    Attributes:
        provider, upstream: for records and metrics.
        first_byte, between_chunks: timeouts in seconds.
    """

    provider = "agent"

    def __init__(
        self,
        name: str,
        *,
        agent: str,
        pool: Pool,
        authority: str,
        base: str,
        first_byte: float,
        between_chunks: float,
        tells: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(name)
        self.upstream = agent
        self.pool = pool
        self.first_byte = first_byte
        self.between_chunks = between_chunks
        self._authority = authority.encode("ascii")
        self._base = base
        self._tells = {name: Raw(_encode(value)) for name, value in tells}

    def run(self, exchange: Exchange) -> None:
        request, record = exchange.request, exchange.record
        assert exchange.head is not None  # noqa: S101 - set by begin()
        said = exchange.head if exchange.original is None else rewritten(exchange, exchange.conversation)
        body = self._told(said.body)
        record.provider = self.provider
        record.model_sent = exchange.head.model  # what a stranger says names no model of ours, nor a metric
        if exchange.stages is not None:
            assert exchange.dialect is not None  # noqa: S101 - set by begin()
            exchange.translation = Translation(exchange, exchange.dialect, [])
            head = self._head(exchange)
        elif request.call is not None and request.call_for is self:
            head = request.call
        else:
            head = request.call = self._head(exchange)
            request.call_for = self
        self._tell(exchange)
        exchange.dispatch(self, head, body)

    async def ask(self, exchange: Exchange) -> str:
        """Ask for a whole answer that does not go to the client; its text. Blocks.

        Raises:
            UpstreamError: there is no answer, or it is an error's, or it says nothing.
            ClientProtocolError: the client's dialect has no words for the request.
        """
        dialect = exchange.dialect
        assert dialect is not None  # noqa: S101 - set by begin()
        whole = rewritten(exchange, msgspec.structs.replace(exchange.conversation, stream=False))
        body = self._told(whole.body)
        headers = [header for header in self._headers(exchange) if header[0] != b"accept-encoding"]
        self._tell(exchange)
        with attempting(self.upstream, self.provider) as (attempt, traced):
            found = await fetch(
                self.pool,
                target=self._target(exchange),
                authority=self._authority,
                headers=[*headers, *traced],
                body=body,
                timeout=self.first_byte,
            )
            note(attempt, found)
        if not 200 <= found.status < 300:
            raise UpstreamError(f"the agent '{self.upstream}' answered with status {found.status}")
        said = dialect.read_reply(found.content_type, found.body)
        if said.failed or not said.text:
            raise UpstreamProtocolError(f"No content in response from agent '{self.upstream}'")
        return said.text

    def _told(self, body: bytes) -> bytes:
        """A request with what the agent is told in its metadata, beside what the client says there."""
        if not self._tells:
            return body
        fields = _decode_fields(body)
        try:
            said = _decode_metadata(fields.get(METADATA, b"null"))
        except msgspec.DecodeError as error:
            raise ClientProtocolError("metadata: an object is expected") from error
        return _encode({**fields, METADATA: {**(said or {}), **self._tells}})

    def _tell(self, exchange: Exchange) -> None:
        """Name the agent to the client."""
        exchange.reply_headers.append((b"x-arch-agent", self.upstream.encode("ascii", "backslashreplace")))

    def _head(self, exchange: Exchange) -> CallHead:
        """The head of the request, as far as the client's own head and the agent determine it."""
        return CallHead.of(self._target(exchange), self._authority, self._headers(exchange))

    @staticmethod
    def _headers(exchange: Exchange) -> Headers:
        return [_JSON, *forwarded(exchange, NOT_FORWARDED)]

    def _target(self, exchange: Exchange) -> bytes:
        request = exchange.request
        target = behind(self._base, request.path).encode("latin-1")
        query = without_keys(request.query)
        return with_query(target, query) if query else target

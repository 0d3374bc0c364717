"""Sends the request to an upstream: the model's own name spliced in, auth and trace context set, the rest as it came.

An upstream that does not speak the client's dialect gets the request translated into the first one that it speaks.
Path, auth and static headers are prepared once per model and dialect, and what of the client's head goes upstream once
for all requests that repeat that head; a request adds its identifiers and its body.

Rule: a client's credentials and `x-arch-*` headers never reach an upstream, unless the graph passes auth through.
Rule: a translated request carries none of the headers that only the client's dialect knows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote

import msgspec

from archflow_engine.ask import attempting, note
from archflow_engine.inflate import ACCEPTED
from archflow_engine.nodes.rewrite import rewritten
from archflow_engine.translate import Translation, ask_in
from archflow_engine.upstream.call import CallHead, Headers
from archflow_engine.upstream.fetch import fetch
from archflow_engine.walk import Runner
from archflow_plugins.kinds import Dialect, Provider, UpstreamRequest
from archflow_schema.conversation import Conversation
from archflow_schema.errors import ClientProtocolError, UpstreamError

if TYPE_CHECKING:
    from archflow_engine.exchange import Exchange
    from archflow_engine.upstream.local import LocalPool
    from archflow_engine.upstream.pool import Pool
    from archflow_schema.reply import Reply

CREDENTIALS = (b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key")
_KEYS_OF_A_QUERY = (b"key=", b"access_token=")
"""How the parts of a query begin in which some clients send their key."""
NOT_FORWARDED = frozenset({
    # Hop by hop, RFC 9110 section 7.6.1, and framing, which is done anew.
    b"connection", b"keep-alive", b"proxy-connection", b"proxy-authenticate", b"proxy-authorization", b"te",
    b"trailer", b"transfer-encoding", b"upgrade", b"http2-settings", b"host", b"content-length", b"expect",
    # The client's secrets and the client's place in our network.
    *CREDENTIALS, b"cookie", b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto",
    b"x-forwarded-port", b"x-real-ip", b"origin", b"referer",
    # Made anew for each attempt.
    b"x-request-id", b"traceparent", b"accept-encoding", b"content-type",
})  # fmt: skip
_LIBRARY = b"x-stainless-"
"""How the headers begin in which the official clients say what they are; they are no business of another vendor."""
_PREPARED_AT_MOST = 4096


class _Prepared:
    """What does not change between two requests for the same model in the same dialect."""

    __slots__ = ("headers", "skip", "target")

    def __init__(self, request: UpstreamRequest, *, ours: bool) -> None:
        self.target = request.path.encode("ascii")
        if ours and request.query:
            self.target = with_query(self.target, request.query.encode("ascii"))
        self.headers = [(name.encode("ascii"), value.encode("latin-1")) for name, value in request.headers]
        self.headers.append((b"content-type", b"application/json"))
        without = {name.encode("ascii") for name in request.without}
        self.skip = NOT_FORWARDED | without | {name for name, _ in self.headers}


class DispatchNode(Runner):
    """Sends requests for one model to one upstream.

    Attributes:
        provider, upstream: for records and metrics.
        first_byte, between_chunks: timeouts in seconds.
    """

    def __init__(
        self,
        name: str,
        *,
        model_id: str,
        upstream: str,
        provider: str,
        kind: Provider,
        pool: Pool | LocalPool,
        authority: str,
        dialects: dict[str, Dialect],
        first_byte: float,
        between_chunks: float,
        passthrough_auth: bool,
    ) -> None:
        super().__init__(name)
        self.provider = provider
        self.upstream = upstream
        self.pool = pool
        self.first_byte = first_byte
        self.between_chunks = between_chunks
        self._model_id = model_id
        self._kind = kind
        self._authority = authority.encode("ascii")
        self._dialects = dialects
        self._target = next((item for item in dialects.items() if item[1].translates), None)
        self._streams = kind.streams
        self._passthrough_auth = passthrough_auth
        self._prepared: dict[tuple[str, str, bool, bool], _Prepared] = {}

    def run(self, exchange: Exchange) -> Runner | None:
        dialect, head, record = exchange.dialect, exchange.head, exchange.record
        assert dialect is not None and head is not None  # noqa: PT018, S101 - set by begin()
        name = record.dialect
        if (
            name not in self._dialects
            or (self._streams != "asked" and head.stream != (self._streams == "only"))
            or (exchange.prompt is not None and exchange.prompt.original is not None)
            or exchange.stages is not None
        ):
            return self._translated(exchange)
        model = self._model_id or exchange.model_suffix
        return self._send(exchange, name, model, dialect.encode_head(head, model), stream=head.stream)

    def _translated(self, exchange: Exchange) -> Runner | None:
        """Ask in a dialect that the upstream speaks, the client's if it can be, and in the only way that it replies."""
        dialect, head, record = exchange.dialect, exchange.head, exchange.record
        assert dialect is not None and head is not None  # noqa: PT018, S101 - set by begin()
        if self._target is None or not dialect.translates:
            answer = dialect.answer(head)
            if answer is not None:
                exchange.answer(200, b"application/json", answer)
                return None
            exchange.error = self._unsupported(exchange)
            return self.edges["unsupported"]
        same = record.dialect in self._dialects
        if dialect.keeps and not same and head is not exchange.selfsufficient:
            missing = dialect.missing(head)
            if missing is not None:
                status, body = missing
                record.error = "not_found"
                exchange.answer(status, b"application/json", body)
                return None
        name, target = (record.dialect, dialect) if same else self._target
        stream = head.stream if self._streams == "asked" else self._streams == "only"
        model = self._model_id or exchange.model_suffix
        told: Headers = []
        try:
            if same and exchange.original is None and stream == head.stream:
                body = dialect.encode_head(head, model)  # only its reply is read
            elif same:
                body = rewritten(exchange, _asking(exchange, stream=stream), model).body
            else:
                asked = _asking(exchange, stream=stream)
                body, told = ask_in(dialect, target, name, asked, model, self._kind.lacks)
                exchange.reply_headers += told
                body = self._kind.adapt(name, body)
        except ClientProtocolError as error:
            exchange.refuse(400, "unsupported_parameter", str(error))
            return None
        decorated = dialect.decorates and exchange.prompt is not None and exchange.prompt.decorates
        if not same or decorated or exchange.stages is not None or stream != head.stream:
            exchange.translation = Translation(exchange, target, told)
        same = same and stream == head.stream
        return self._send(exchange, name, model, body, stream=stream, same=same)

    def _send(
        self, exchange: Exchange, dialect: str, model: str, body: bytes, *, stream: bool, same: bool = True
    ) -> Runner | None:
        """Send it; `same` if the client could have, so that its own headers and query mean something there."""
        record = exchange.record
        record.model_sent = model
        record.provider = self.provider
        key = (dialect, model, stream, not same)
        prepared = self._prepared.get(key)
        if prepared is None:
            try:
                prepared = self._prepare(key, body)
            except UpstreamError as error:
                exchange.error = str(error)
                return self.edges["failed"]
        request = exchange.request
        if same and exchange.translation is not None:  # a relayed one's, but for how its reply may be encoded
            head = self._head(exchange, dialect, prepared, same=same)
        elif request.call is not None and request.call_for is prepared:
            head = request.call  # the client repeats itself, so what goes upstream does too
        else:
            head = request.call = self._head(exchange, dialect, prepared, same=same)
            request.call_for = prepared
        exchange.dispatch(self, head, body)
        return None

    async def ask(self, conversation: Conversation, suffix: str, timeout: float) -> Reply:  # noqa: ASYNC109
        """Ask for a whole reply on the gateway's own behalf. Blocks.

        Args:
            conversation: what to ask.
            suffix: the model, where this node serves a whole vendor.
            timeout: seconds for all of it.

        Raises:
            UpstreamError: there is no reply, or it is an error's.
            ClientProtocolError: the upstream's dialect has no words for it.
        """
        if self._target is None:
            raise UpstreamError(f"the upstream {self.upstream} holds no conversations")
        name, target = self._target
        model, stream = self._model_id or suffix, self._streams == "only"
        asked = msgspec.structs.replace(conversation, model=model, stream=stream)
        body = self._kind.adapt(name, target.encode(asked, model).body)
        key = (name, model, stream, True)
        prepared = self._prepared.get(key) or self._prepare(key, body)
        with attempting(self.upstream, self.provider) as (attempt, traced):
            found = await fetch(
                self.pool,
                target=prepared.target,
                authority=self._authority,
                headers=[*prepared.headers, *traced],
                body=body,
                timeout=timeout,
            )
            note(attempt, found)
            if found.status >= 400:
                problem = target.decode_error(found.status, found.body)
                raise UpstreamError(f"{self.upstream} answered with status {found.status}: {problem.message}")
            reply = target.read_reply(found.content_type, found.body)
            if reply.failed:
                raise UpstreamError(f"{self.upstream} gave up: {reply.failed}")
        return reply

    def _prepare(self, key: tuple[str, str, bool, bool], body: bytes) -> _Prepared:
        dialect, model, stream, ours = key
        request = self._kind.request(dialect, model, stream=stream, body=body)
        prepared = _Prepared(request, ours=ours)
        if self._kind.static:
            if len(self._prepared) >= _PREPARED_AT_MOST:
                self._prepared.clear()
            self._prepared[key] = prepared
        return prepared

    def _head(self, exchange: Exchange, dialect: str, prepared: _Prepared, *, same: bool) -> CallHead:
        """The head of the request, as far as the client's own head and the upstream determine it."""
        request, target = exchange.request, prepared.target
        query = without_keys(request.query) if same else b""
        if query:
            target = with_query(target, query)
        headers = [*prepared.headers, *forwarded(exchange, prepared.skip, same=same)]
        key = (_client_key(request.fields) or _key_of(request.query)) if self._passthrough_auth else ""
        if key:
            headers += [
                (name.encode("ascii"), value.encode("latin-1"))
                for name, value in self._kind.credentials(dialect, key)
            ]
        return CallHead.of(target, self._authority, headers)

    def _unsupported(self, exchange: Exchange) -> str:
        record = exchange.record
        spoken = ", ".join(sorted(self._dialects)) or "nothing that this gateway can send"
        places = exchange.listener.places(
            lambda dialect, name: (
                name != record.dialect
                and (name in self._dialects or (self._target is not None and dialect.translates))
            )
        )
        return (
            f"the model '{record.model}' cannot be asked in {record.dialect}: its upstream {self.upstream} speaks "
            f"{spoken}" + (f"; ask it at {', '.join(places)}" if places else "")
        )


def _asking(exchange: Exchange, *, stream: bool) -> Conversation:
    """The conversation as the upstream is asked it."""
    conversation = exchange.conversation
    return (
        conversation
        if stream == conversation.stream
        else msgspec.structs.replace(conversation, stream=stream)
    )


def forwarded(exchange: Exchange, skip: frozenset[bytes], *, same: bool = True) -> Headers:
    """The headers of the client that go upstream; `same` if what only its own dialect knows means something there."""
    request, fields = exchange.request, exchange.request.fields
    if b"connection" in fields:
        named = b",".join(value for name, value in request.headers if name == b"connection").lower()
        if named not in {b"keep-alive", b"close"}:
            skip = skip | {token.strip() for token in named.split(b",")}
    if b"tracestate" in fields and request.context is None:
        skip = skip | {b"tracestate"}  # of a trace context that was not understood
    headers = [
        header for header in request.headers if header[0] not in skip and not header[0].startswith(b"x-arch-")
    ]
    if exchange.translation is not None and exchange.dialect is not None:
        own = exchange.dialect.own_headers
        headers = [
            (header, value)
            for header, value in headers
            if header != b"accept"
            and (same or (header.decode("latin-1") not in own and not header.startswith(_LIBRARY)))
        ]
        headers.append((b"accept-encoding", b"identity"))
    elif exchange.sifts is not None:
        headers.append((b"accept-encoding", b"identity"))
    elif b"accept-encoding" in fields:
        asked = fields[b"accept-encoding"]
        headers.append((b"accept-encoding", ACCEPTED if b"gzip" in asked else b"identity"))
    return headers


def _client_key(fields: dict[bytes, bytes]) -> str:
    """The key that a client sent, in whichever form."""
    for name in CREDENTIALS:
        value = fields.get(name, b"").decode("latin-1").strip()
        if value:
            scheme, _, rest = value.partition(" ")
            return rest.strip() if scheme.lower() == "bearer" else value
    return ""


def with_query(target: bytes, query: bytes) -> bytes:
    """A target with more of a query."""
    return target + (b"&" if b"?" in target else b"?") + query


def without_keys(query: bytes) -> bytes:
    """A client's query without its key."""
    if not any(start in query for start in _KEYS_OF_A_QUERY):
        return query
    return b"&".join(part for part in query.split(b"&") if not part.startswith(_KEYS_OF_A_QUERY))


def _key_of(query: bytes) -> str:
    """The key that a client sent in its query."""
    found = (part.partition(b"=")[2] for part in query.split(b"&") if part.startswith(_KEYS_OF_A_QUERY))
    return unquote(next(found, b"").decode("ascii", "replace"))

"""Models in this process: `model: local/smollm2-135m-instruct` chats, `model: local/minilm` embeds. No key, no network.

The compiler fetches and converts the model and records its digest; at run time another model under the same name is
refused. How requests share a model is the host's business (`local_models/host.py`); here they are read and answered in
the clients' dialects, chats with the help of `local_chat`. What a request of Messages would cost is counted by the
model's own tokenizer, on the way that the request itself goes.

Source: OpenAI's API reference, "Create embeddings", 2026-11.

Rule: what a local model cannot do is refused with 400 and named, never ignored.
Rule: quotes nothing of a conversation in an error, because errors are logged.
"""

from __future__ import annotations

import base64
import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar, Self

import msgspec
from msgspec import Raw, Struct

from archflow_plugins.contexts import CompileContext, RunContext
from archflow_plugins.dialects.json_body import BAD_JSON, encode
from archflow_plugins.dialects.openai_chat import OpenAIChat
from archflow_plugins.kinds import Dialect, Empty, Number, Provider, ProviderConfig, Reply
from archflow_plugins.providers.local_chat import ChatRequest, ChatWriter
from archflow_schema.errors import ArchflowError, ClientProtocolError
from archflow_schema.text import Text

if TYPE_CHECKING:
    from archflow_plugins.dialects.anthropic_messages import AnthropicCountTokens
    from archflow_plugins.local_models.embed import Embedded
    from archflow_plugins.local_models.generate import LanguageModel, Piece
    from archflow_plugins.local_models.host import Answers, EmbeddingLane, GenerationLane
    from archflow_plugins.local_models.sources import Progress

_COUNTING = "anthropic_count_tokens"
_DIALECTS = {"language_model": ("openai_chat", _COUNTING), "embedder": ("openai_embeddings",)}
INPUTS_AT_MOST = 2048
BODY_AT_MOST = 4 << 20
"""Bytes of a request: reading more would keep the event loop for milliseconds, and no model here takes so much."""
NUMBERS_AT_ONCE = 2048
"""Numbers that are written in the event loop, which takes a third of a millisecond; more are written in a thread."""
PART = 128 << 10
"""Bytes of a part of a large reply."""
_JSON = "application/json"


class Compiled(Struct, frozen=True, kw_only=True):
    """What the graph keeps of a local model.

    Attributes:
        model: its name in the catalogue or the cache.
        role: `language_model` or `embedder`.
        digest: of the converted model.
    """

    model: str
    role: str = "language_model"
    digest: str = ""


class _Embeddings(Struct):
    input: str | list[Raw]
    encoding_format: str | None = None
    dimensions: int | None = None


_decode_embeddings = msgspec.json.Decoder(_Embeddings).decode


class Local(Provider):
    """A model in this process."""

    kind = "provider.local"
    vendors: ClassVar[tuple[str, ...]] = ("local",)
    compiled: ClassVar[type[Struct] | None] = Compiled
    in_process: ClassVar[bool] = True

    @classmethod
    def compile(cls, config: ProviderConfig, ctx: CompileContext) -> Compiled:
        from archflow_plugins.local_models.cache import Cache
        from archflow_plugins.local_models.errors import UnknownModel

        _refuse_settings(config, ctx)
        if not config.model_id:
            ctx.error(
                "wildcard-local",
                "a wildcard does not say which local model to fetch",
                "model",
                fix="name each one, such as local/smollm2-135m-instruct",
            )
            return Compiled(model="")
        try:
            cache = Cache()
            entry = cache.find(config.model_id)
            if entry.role not in _DIALECTS:
                ctx.error(
                    "no-provider-role",
                    f'the local model "{entry.name}" is for {entry.role.replace("_", " ")}s, not for clients to ask',
                    "model",
                    fix="use a language model or an embedder: `archc models list` shows which are",
                )
                return Compiled(model=entry.name)
            model = cache.ensure(entry, _say(entry.name))
        except UnknownModel as error:
            ctx.error("unknown-local-model", error.what, "model", fix=error.fix)
            return Compiled(model=config.model_id)
        except ArchflowError as error:
            ctx.error("local-model-unusable", f"local/{config.model_id} cannot be used: {error}", "model")
            return Compiled(model=config.model_id)
        ctx.needs(model.recorded)
        return Compiled(model=entry.name, role=entry.role, digest=model.digest)

    @classmethod
    def url(cls, compiled: Compiled) -> Text:
        return ("this process",)

    @classmethod
    def dialects(cls, compiled: Compiled) -> tuple[str, ...]:
        return _DIALECTS.get(compiled.role, ())

    def __init__(self, compiled: Compiled, ctx: RunContext) -> None:
        super().__init__(compiled, ctx)
        self._chat = OpenAIChat(Empty(), ctx)
        self._generates: GenerationLane | None = None
        self._embeds: EmbeddingLane | None = None

    @classmethod
    async def open(cls, compiled: Compiled, ctx: RunContext) -> Self:
        from archflow_plugins.local_models.cache import Cache
        from archflow_plugins.local_models.host import Host

        self = cls(compiled, ctx)
        model = await ctx.offload(lambda: Cache().load(compiled.model, compiled.digest))
        host = await Host.current()
        lane: GenerationLane | EmbeddingLane
        if compiled.role == "embedder":
            lane = self._embeds = await host.embedder(model)
        else:
            lane = self._generates = await host.language_model(model)
        ctx.log(
            "local_model_ready",
            model=compiled.model,
            digest=compiled.digest[:12],
            opened_in_ms=round(lane.load_seconds * 1000),
            megabytes=round(lane.memory / 1e6, 1),
            threads=host.threads,
        )
        return self

    def numbers(self) -> tuple[Number, ...]:
        return tuple(
            one for lane in (self._generates, self._embeds) if lane is not None for one in lane.numbers()
        )

    async def close(self) -> None:
        for lane in (self._generates, self._embeds):
            if lane is not None:
                lane.release()
        self._generates = self._embeds = None

    async def answer(self, dialect: str, model: str, body: bytes, reply: Reply) -> None:
        from archflow_plugins.local_models.host import Overloaded

        voice = self._counts if dialect == _COUNTING else self._chat
        try:
            if len(body) > BODY_AT_MOST:
                says = f"the request has {len(body)} bytes, and local models read {BODY_AT_MOST}: split it"
                await _refuse(voice, reply, 413, "request_too_large", says)
            elif dialect == "openai_embeddings" and self._embeds is not None:
                await self._answer_embeddings(self._embeds, model, body, reply)
            elif dialect == "openai_chat" and self._generates is not None:
                await self._answer_chat(self._generates, model, body, reply)
            elif dialect == _COUNTING and self._generates is not None:
                await self._answer_count(self._generates, model, body, reply)
            else:
                says = f"{model} cannot be asked in {dialect}"
                await _refuse(voice, reply, 400, "unsupported_dialect", says)
        except ClientProtocolError as error:
            await _refuse(voice, reply, 400, "invalid_request", str(error))
        except Overloaded as error:
            after = (("retry-after", f"{max(1, round(error.retry_after))}"),)
            await _refuse(voice, reply, 503, "overloaded", str(error), after)

    # Chat.

    async def _answer_chat(self, lane: GenerationLane, model: str, body: bytes, reply: Reply) -> None:
        asked = ChatRequest(self._chat, body)
        writer = ChatWriter(model, asked, lane.model.words, lane.model.frame.tools)
        with await lane.generate_all(asked.makes()) as answers:
            if asked.stream:
                await self._stream_chat(answers, writer, reply)
                return
            found: list[tuple[int, Piece]] = []
            while pieces := await answers.next():
                found += pieces
            generations = [one.generation for one in answers.streams]
            data = await self.ctx.offload(lambda: writer.whole(found, generations))
        reply.head(200, _JSON, length=len(data))
        await reply.send(data)

    async def _stream_chat(self, answers: Answers, writer: ChatWriter, reply: Reply) -> None:
        reply.head(200, "text/event-stream", headers=(("cache-control", "no-cache"),))
        opening = b"".join(writer.begin(number) for number in range(len(answers.streams)))
        while pieces := await answers.next():
            parts = [opening, *(writer.piece(number, one) for number, one in pieces)]
            opening = b""
            await reply.send(b"".join(parts))
        await reply.send(opening + writer.end([one.generation for one in answers.streams]))

    # Counting.

    @functools.cached_property
    def _counts(self) -> AnthropicCountTokens:
        from archflow_plugins.dialects.anthropic_messages import AnthropicCountTokens

        return AnthropicCountTokens(Empty(), self.ctx)

    async def _answer_count(self, lane: GenerationLane, model: str, body: bytes, reply: Reply) -> None:
        def counts(of: LanguageModel) -> Iterator[int]:
            conversation = self._counts.decode(self._counts.decode_head(body))
            return ChatRequest(self._chat, self._chat.encode(conversation, model).body).counts(of)

        data = encode({"input_tokens": await lane.count(len(body), counts)})
        reply.head(200, _JSON, length=len(data))
        await reply.send(data)

    # Embeddings.

    async def _answer_embeddings(self, lane: EmbeddingLane, model: str, body: bytes, reply: Reply) -> None:
        try:
            asked = _decode_embeddings(body)
            texts = [asked.input] if isinstance(asked.input, str) else [_text(one) for one in asked.input]
        except BAD_JSON as error:
            raise ClientProtocolError(f"the request cannot be read: {error}") from error
        dimension, limit = lane.embedder.dimension, lane.embedder.limit
        if not 1 <= len(texts) <= INPUTS_AT_MOST:
            raise ClientProtocolError(f"`input` must have from 1 to {INPUTS_AT_MOST} texts")
        if asked.encoding_format not in {None, "float", "base64"}:
            raise ClientProtocolError("`encoding_format` must be float or base64")
        if asked.dimensions not in {None, dimension}:
            raise ClientProtocolError(f"`dimensions` cannot be chosen: vectors of {model} have {dimension}")
        found = await lane.embed(texts)
        for index, one in enumerate(found):
            if one.tokens > limit:
                raise ClientProtocolError(
                    f"`input[{index}]` has {one.tokens} tokens, and {model} takes {limit}: split it into parts"
                )

        def write() -> list[bytes]:
            return _write_vectors(model, found, packed=asked.encoding_format == "base64")

        parts = write() if len(found) * dimension <= NUMBERS_AT_ONCE else await self.ctx.offload(write)
        reply.head(200, _JSON, length=sum(map(len, parts)))
        for part in parts:
            await reply.send(part)


async def _refuse(
    voice: Dialect,
    reply: Reply,
    status: int,
    code: str,
    message: str,
    headers: tuple[tuple[str, str], ...] = (),
) -> None:
    """Answer with an error, in the words of the client's dialect."""
    data = voice.encode_error(status, code, message, request_id="")
    reply.head(status, _JSON, length=len(data), headers=headers)
    await reply.send(data)


def _refuse_settings(config: ProviderConfig, ctx: CompileContext) -> None:
    """What other providers are told and a model in this process has no use for."""
    settings = {
        "access_key": config.access_key,
        "headers": config.headers,
        "http_host": config.http_host,
        "passthrough_auth": config.passthrough_auth,
    }
    for name, value in settings.items():
        if value:
            ctx.warning(
                "unused-setting",
                f"{name} is not used: local models run in this process",
                name,
                fix="leave it out",
            )


def _say(name: str) -> Callable[[Progress], None]:
    """Tells whoever compiles what is being fetched, a line for each stage."""
    told: set[str] = set()

    def tell(progress: Progress) -> None:
        if progress.stage not in told:
            told.add(progress.stage)
            size = f" ({progress.total / 1e6:.0f} MB)" if progress.total else ""
            sys.stderr.write(f"local/{name}: {progress.stage}{size}\n")

    return tell


def _text(raw: Raw) -> str:
    data = bytes(raw)
    if data[:1] != b'"':
        raise ClientProtocolError(
            "`input` must be a text or a list of texts: tokens of other models mean nothing here"
        )
    return msgspec.json.decode(data, type=str)


def _write_vectors(model: str, found: Sequence[Embedded], *, packed: bool) -> list[bytes]:
    """The body of an embeddings reply, in parts, so that nobody ever copies all of a large one at once."""
    parts, rows, size = [b'{"object":"list","data":['], list[bytes](), 0
    for index, one in enumerate(found):
        if packed:
            value = b'"' + base64.b64encode(one.vector.astype("<f4").tobytes()) + b'"'
        else:
            value = b"[" + b",".join([b"%.9g" % number for number in one.vector.tolist()]) + b"]"
        rows.append(
            b'%b{"object":"embedding","index":%d,"embedding":%b}' % (b"," if index else b"", index, value)
        )
        size += len(rows[-1])
        if size >= PART:
            parts.append(b"".join(rows))
            rows, size = [], 0
    tokens = sum(one.tokens for one in found)
    usage = encode({"prompt_tokens": tokens, "total_tokens": tokens})
    end = b'],"model":%b,"usage":%b}' % (encode(model), usage)
    if len(parts) == 1:
        return [b"".join([*parts, *rows, end])]
    return [*parts, b"".join([*rows, end])]

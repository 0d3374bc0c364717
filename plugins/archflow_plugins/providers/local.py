"""Models in this process: `model: local/smollm2-135m-instruct` chats, `model: local/minilm` embeds. No key, no network.

The compiler fetches and converts the model and records its digest; at run time another model under the same name is
refused. How requests share a model is the host's business (`local_models/host.py`); here they are read and answered in
the clients' dialects.

Source: OpenAI's API reference, "Create chat completion", "Create embeddings", 2026-11.

Rule: what a local model cannot do is refused with 400 and named, never ignored.
Rule: quotes nothing of a conversation in an error, because errors are logged.
"""

from __future__ import annotations

import base64
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import msgspec
from msgspec import Raw, Struct

from archflow_plugins.contexts import CompileContext, RunContext
from archflow_plugins.dialects.json_body import BAD_JSON, encode
from archflow_plugins.dialects.openai_chat import OpenAIChat
from archflow_plugins.dialects.openai_family import DONE
from archflow_plugins.framing import sse
from archflow_plugins.kinds import Empty, Provider, ProviderConfig, Reply
from archflow_schema.conversation import (
    AudioPart,
    Conversation,
    DocumentPart,
    ImagePart,
    OpaquePart,
    ToolCallPart,
)
from archflow_schema.errors import ArchflowError, ClientProtocolError
from archflow_schema.text import Text

if TYPE_CHECKING:
    from archflow_plugins.local_models.chat_template import Turn
    from archflow_plugins.local_models.constrain import Rule
    from archflow_plugins.local_models.generate import Generation, LanguageModel, Piece
    from archflow_plugins.local_models.host import EmbeddingLane, GenerationLane, Overloaded, Stream
    from archflow_plugins.local_models.sample import Sampling, Score
    from archflow_plugins.local_models.sources import Progress
    from archflow_plugins.local_models.tokens import Vocabulary

_DIALECTS = {"language_model": ("openai_chat",), "embedder": ("openai_embeddings",)}
INPUTS_AT_MOST = 2048
STOPS_AT_MOST = 16
ALTERNATIVES_AT_MOST = 20
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


class _JsonSchema(Struct):
    name: str = ""
    schema: dict[str, Any] | None = None
    strict: bool | None = None


class _Format(Struct):
    type: str
    json_schema: _JsonSchema | None = None


class _StreamOptions(Struct):
    include_usage: bool | None = None


class _Chat(Struct):
    """The fields of a chat request beside its messages, as far as they matter here."""

    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    n: int | None = None
    response_format: _Format | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    tool_choice: Raw = Raw(b"null")
    modalities: list[str] | None = None
    audio: Raw = Raw(b"null")


class _Embeddings(Struct):
    input: str | list[Raw]
    encoding_format: str | None = None
    dimensions: int | None = None


_NO_TEXT = (ImagePart, AudioPart, DocumentPart, OpaquePart, ToolCallPart)

_decode_chat = msgspec.json.Decoder(_Chat).decode
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
            ctx.error(
                "unknown-local-model", str(error), "model", fix="`archc models list` shows what there is"
            )
            return Compiled(model=config.model_id)
        except ArchflowError as error:
            ctx.error("local-model-unusable", f"local/{config.model_id} cannot be used: {error}", "model")
            return Compiled(model=config.model_id)
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

    async def close(self) -> None:
        for lane in (self._generates, self._embeds):
            if lane is not None:
                lane.release()
        self._generates = self._embeds = None

    async def answer(self, dialect: str, model: str, body: bytes, reply: Reply) -> None:
        from archflow_plugins.local_models.host import Overloaded

        try:
            if dialect == "openai_embeddings" and self._embeds is not None:
                await self._answer_embeddings(self._embeds, model, body, reply)
            elif dialect == "openai_chat" and self._generates is not None:
                await self._answer_chat(self._generates, model, body, reply)
            else:
                await self._refuse(reply, 400, "unsupported_dialect", f"{model} cannot be asked in {dialect}")
        except ClientProtocolError as error:
            await self._refuse(reply, 400, "invalid_request", str(error))
        except Overloaded as error:
            await self._refuse_overload(reply, error)

    # Chat.

    async def _answer_chat(self, lane: GenerationLane, model: str, body: bytes, reply: Reply) -> None:
        asked, conversation = self._read_chat(body)
        turns = _turns(conversation)
        sampling = _sampling(asked)

        def make(opened: LanguageModel, tell: Callable[[Piece], None]) -> Generation:
            from archflow_plugins.local_models.generate import Generation

            return Generation(
                opened, opened.prompt(turns), sampling, tell, _rule(asked.response_format, opened.words)
            )

        writer = _ChatWriter(model, asked, lane.model.words)
        with await lane.generate(make) as stream:
            if asked.stream:
                await self._stream_chat(stream, writer, reply)
                return
            texts: list[str] = []
            scores: list[Score] = []
            while pieces := await stream.next():
                for piece in pieces:
                    texts.append(piece.text)
                    scores += piece.scores
            data = writer.whole("".join(texts), scores, stream.generation)
        reply.head(200, _JSON, length=len(data))
        await reply.send(data)

    async def _stream_chat(self, stream: Stream, writer: _ChatWriter, reply: Reply) -> None:
        reply.head(200, "text/event-stream", headers=(("cache-control", "no-cache"),))
        opening = writer.chunk({"role": "assistant", "content": ""})
        while pieces := await stream.next():
            parts = [opening, *(writer.piece(one) for one in pieces)]
            opening = b""
            await reply.send(b"".join(parts))
        await reply.send(opening + writer.end(stream.generation))

    def _read_chat(self, body: bytes) -> tuple[_Chat, Conversation]:
        head = self._chat.decode_head(body)
        if "messages" not in head.fields:
            raise ClientProtocolError("the request lacks `messages`")
        conversation = self._chat.decode(head)
        try:
            asked = _decode_chat(body)
        except BAD_JSON as error:
            raise ClientProtocolError(f"the request cannot be read: {error}") from error
        if conversation.tools and bytes(asked.tool_choice) != b'"none"':
            raise ClientProtocolError(
                "`tools` are not taken by local models: leave them out, or use response_format"
            )
        return asked, conversation

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
        tokens = await lane.tokenize(texts)
        for index, one in enumerate(tokens):
            if len(one) > limit:
                raise ClientProtocolError(
                    f"`input[{index}]` has {len(one)} tokens, and {model} takes {limit}: split it into parts"
                )
        vectors = await lane.encode(texts)
        used = sum(map(len, tokens))
        packed = asked.encoding_format == "base64"
        data = await self.ctx.offload(lambda: _write_vectors(model, vectors, used, packed=packed))
        reply.head(200, _JSON, length=len(data))
        await reply.send(data)

    # Refusals.

    async def _refuse(
        self, reply: Reply, status: int, code: str, message: str, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        data = self._chat.encode_error(status, code, message, request_id="")
        reply.head(status, _JSON, length=len(data), headers=headers)
        await reply.send(data)

    async def _refuse_overload(self, reply: Reply, error: Overloaded) -> None:
        after = (("retry-after", f"{max(1, round(error.retry_after))}"),)
        await self._refuse(reply, 503, "overloaded", str(error), after)


class _ChatWriter:
    """Writes one chat answer, whole or in chunks."""

    def __init__(self, model: str, asked: _Chat, words: Vocabulary) -> None:
        self._words = words
        self._scored = bool(asked.logprobs)
        self._usage = bool(asked.stream_options and asked.stream_options.include_usage)
        self._shared = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": model}

    def whole(self, text: str, scores: Sequence[Score], generation: Generation) -> bytes:
        """The answer in one piece."""
        message = {"role": "assistant", "content": text, "refusal": None}
        choice = {
            "index": 0,
            "message": message,
            "logprobs": self._logprobs(scores),
            "finish_reason": generation.reason,
        }
        return encode(
            {**self._shared, "object": "chat.completion", "choices": [choice], "usage": _usage(generation)}
        )

    def piece(self, piece: Piece) -> bytes:
        """A bit of text as a chunk."""
        return self.chunk({"content": piece.text}, logprobs=self._logprobs(piece.scores))

    def end(self, generation: Generation) -> bytes:
        """The last chunks: why it ended, what it cost if asked, and the mark of the end."""
        found = self.chunk({}, reason=generation.reason)
        if self._usage:
            found += self._event({"choices": [], "usage": _usage(generation)})
        return found + DONE

    def chunk(self, delta: dict[str, str], *, logprobs: Any = None, reason: str | None = None) -> bytes:
        """One chunk."""
        choice = {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": reason}
        return self._event({"choices": [choice], **({"usage": None} if self._usage else {})})

    def _event(self, fields: dict[str, Any]) -> bytes:
        return sse.encode(encode({**self._shared, "object": "chat.completion.chunk", **fields}))

    def _logprobs(self, scores: Sequence[Score]) -> dict[str, Any] | None:
        if not self._scored:
            return None
        return {
            "content": [
                {
                    **self._token(one.token, one.logprob),
                    "top_logprobs": [self._token(token, logprob) for token, logprob in one.best],
                }
                for one in scores
            ],
            "refusal": None,
        }

    def _token(self, token: int, logprob: float) -> dict[str, Any]:
        data = self._words.bytes[token]
        name = data.decode("utf-8", "replace") if data else self._words.names[token]
        return {"token": name, "logprob": logprob, "bytes": list(data) if data else None}


def _usage(generation: Generation) -> dict[str, int]:
    prompt, written = len(generation.prompt), len(generation.tokens)
    return {"prompt_tokens": prompt, "completion_tokens": written, "total_tokens": prompt + written}


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


def _turns(conversation: Conversation) -> list[Turn]:
    """The turns of a conversation that consists of text."""
    from archflow_plugins.local_models.chat_template import Turn

    if not conversation.messages:
        raise ClientProtocolError("`messages` must have at least one message")
    turns: list[Turn] = []
    for index, message in enumerate(conversation.messages):
        if any(isinstance(part, _NO_TEXT) for part in message.parts):
            raise ClientProtocolError(
                f"`messages[{index}]` holds more than text, and local models take text only"
            )
        turns.append(Turn("system" if message.role == "developer" else message.role, message.text))
    return turns


def _sampling(asked: _Chat) -> Sampling:
    from archflow_plugins.local_models.sample import Sampling

    _unsupported(asked)
    most = asked.max_completion_tokens if asked.max_completion_tokens is not None else asked.max_tokens
    if most is not None and most < 1:
        raise ClientProtocolError("`max_tokens` must be 1 or more")
    temperature = 0.0 if asked.temperature is None else asked.temperature
    if not 0 <= temperature <= 2:
        raise ClientProtocolError("`temperature` must be from 0 to 2")
    top_p = 1.0 if asked.top_p is None else asked.top_p
    if not 0 <= top_p <= 1:
        raise ClientProtocolError("`top_p` must be from 0 to 1")
    stop = (asked.stop,) if isinstance(asked.stop, str) else tuple(asked.stop or ())
    if len(stop) > STOPS_AT_MOST or not all(stop):
        raise ClientProtocolError(f"`stop` must be at most {STOPS_AT_MOST} strings that are not empty")
    if stop and asked.response_format is not None and asked.response_format.type != "text":
        raise ClientProtocolError(
            "`stop` would cut the JSON that response_format asks for: leave one of them out"
        )
    if asked.top_logprobs is not None and not asked.logprobs:
        raise ClientProtocolError("`top_logprobs` needs `logprobs: true`")
    alternatives = asked.top_logprobs or 0
    if not 0 <= alternatives <= ALTERNATIVES_AT_MOST:
        raise ClientProtocolError(f"`top_logprobs` must be from 0 to {ALTERNATIVES_AT_MOST}")
    return Sampling(
        max_tokens=most or 0,
        temperature=temperature if top_p > 0 else 0.0,
        top_p=top_p or 1.0,
        seed=asked.seed,
        stop=stop,
        logprobs=alternatives if asked.logprobs else None,
    )


def _unsupported(asked: _Chat) -> None:
    """Refuse what would change the answer and is not taken."""
    if asked.n not in {None, 1}:
        raise ClientProtocolError("`n` must be 1: local models give one answer")
    for name in ("presence_penalty", "frequency_penalty", "logit_bias"):
        if getattr(asked, name):
            raise ClientProtocolError(f"`{name}` is not taken by local models: leave it out")
    if bytes(asked.audio) != b"null" or (asked.modalities and asked.modalities != ["text"]):
        raise ClientProtocolError("local models answer in text: leave `modalities` and `audio` out")


def _rule(asked: _Format | None, words: Vocabulary) -> Rule | None:
    """What the answer must be."""
    from archflow_plugins.local_models import constrain
    from archflow_plugins.local_models.json_schema import BadSchema

    if asked is None or asked.type == "text":
        return None
    if asked.type == "json_object":
        return constrain.json_object(words)
    if asked.type != "json_schema" or asked.json_schema is None:
        raise ClientProtocolError(
            "`response_format` must be text, json_object, or json_schema with its schema"
        )
    schema = asked.json_schema.schema
    try:
        return constrain.json_schema(True if schema is None else schema, words)
    except BadSchema as error:
        raise ClientProtocolError(
            f"`response_format.json_schema.schema` cannot be held to: {error}"
        ) from error


def _text(raw: Raw) -> str:
    data = bytes(raw)
    if data[:1] != b'"':
        raise ClientProtocolError(
            "`input` must be a text or a list of texts: tokens of other models mean nothing here"
        )
    return msgspec.json.decode(data, type=str)


def _write_vectors(model: str, vectors: Any, tokens: int, *, packed: bool) -> bytes:
    """The body of an embeddings reply. Row by row, so that the event loop gets its turns between them."""
    rows: list[bytes] = []
    for index, vector in enumerate(vectors):
        if packed:
            value = b'"' + base64.b64encode(vector.astype("<f4").tobytes()) + b'"'
        else:
            value = b"[" + b",".join([b"%.9g" % one for one in vector.tolist()]) + b"]"
        rows.append(b'{"object":"embedding","index":%d,"embedding":%b}' % (index, value))
    usage = encode({"prompt_tokens": tokens, "total_tokens": tokens})
    return b'{"object":"list","data":[%b],"model":%b,"usage":%b}' % (b",".join(rows), encode(model), usage)

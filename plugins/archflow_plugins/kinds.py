"""The kinds: what a plugin can add, as classes to derive from.

A kind has a dotted name, the Struct that its configuration is decoded into, the Struct that the graph stores, a
compile-time half and a run-time half::

    class Length(Guard):
        kind = "guard.length"
        config = LengthConfig

        def check_nowait(self, conversation): ...

Rule: slow or failing work belongs to `compile`; `open` acquires; the per-request methods only compute or await.
Rule: an instance is shared by all requests of a worker and keeps no state about one of them.
Rule: sync methods never block. A kind that must wait says so by implementing the async method.
Rule: what raises NotImplementedError here is left to those who derive from the class: no base is abstract in Python's
sense, for what a kind must write depends on what it says it does. `testing.check_kind` calls what all of a family need.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal, Protocol, Self

from msgspec import Raw, Struct

from archflow_plugins.contexts import CompileContext, Option, RunContext
from archflow_plugins.record import Record
from archflow_plugins.translation import (
    Answering,
    Dropped,
    Encoded,
    Place,
    Problem,
    Refused,
    ReplyDecoder,
    ReplyEncoder,
)
from archflow_plugins.verdict import Screens, Side, Verdict
from archflow_schema.conversation import Conversation
from archflow_schema.events import Usage
from archflow_schema.reply import Reply as WholeReply
from archflow_schema.reply import fold
from archflow_schema.slots import Filled, Question
from archflow_schema.text import Text


class Empty(Struct, frozen=True, forbid_unknown_fields=True):
    """The configuration of a kind that has none."""


class Number(Struct, frozen=True):
    """A number that a live kind tells of what it holds; two kinds that share a thing tell the same of it.

    Attributes:
        name: which one. Of a local model: its `bytes` (labels: model, `weights` or `vectors`), the requests `waiting`
            for it (model), and the texts whose vector was remembered or not, `lookups` (model, `hit` or `miss`).
        labels: the values of its labels.
        value: as it is now.
    """

    name: Literal["bytes", "waiting", "lookups"]
    labels: tuple[str, ...]
    value: float


class Kind:
    """What every kind has.

    Attributes:
        kind: dotted name, unique among all installed plugins: `guard.length`.
        config: Struct of the configuration as it stands in the YAML (frozen, unknown fields forbidden).
        compiled: Struct of what the graph stores; `config` itself when nothing needs compiling.
    """

    kind: ClassVar[str]
    config: ClassVar[type[Struct]] = Empty
    compiled: ClassVar[type[Struct] | None] = None

    @classmethod
    def compile(cls, config: Any, ctx: CompileContext) -> Struct:
        """Turn configuration into what the graph stores. Deterministic: no clock, no environment, no network.

        A user's mistake is `ctx.error(...)`, never an exception.
        """
        return config  # type: ignore[no-any-return]

    def __init__(self, compiled: Any, ctx: RunContext) -> None:
        """Make a live instance of a compiled configuration. Sync and quick; waiting belongs to `start`."""
        self.settings = compiled
        self.ctx = ctx

    @classmethod
    async def open(cls, compiled: Any, ctx: RunContext) -> Self:
        """Make a live instance and acquire what it needs.

        Raises:
            ArchflowError: it cannot run; the text says why and what to do.
        """
        return cls(compiled, ctx)

    def numbers(self) -> tuple[Number, ...]:
        """What it tells /metrics beside what the engine counts. Quick: called in the event loop."""
        return ()

    async def close(self) -> None:
        """Release everything. Called once, also when the engine is cancelled."""


class Later(Struct, frozen=True):
    """A kind that is imported when a configuration or a graph first names it; a hook returns it in the class's place.

    Attributes:
        kind: the dotted name of the class.
        place: where the class is, `module:Name`.
    """

    kind: str
    place: str


def compiled_type(kind: type[Kind]) -> type[Struct]:
    """The Struct that the graph stores for this kind."""
    return kind.compiled or kind.config


class Guard(Kind):
    """Judges a conversation before a model sees it, or the reply. Raising, or any failure, counts as deny (failed).

    Of requests: implement `check_nowait` if the judgement is quick and pure, so that the request needs no task; else
    set `waits = True` and implement `check`. Of replies: implement `screens`.

    Attributes:
        sides: what it judges, `input` for requests and `output` for replies; the compiler refuses it elsewhere.
    """

    waits: ClassVar[bool] = False
    sides: ClassVar[tuple[Side, ...]] = ("input",)

    def check_nowait(self, conversation: Conversation) -> Verdict:
        """Judge at once. Pure and quick (well under a millisecond)."""
        raise NotImplementedError(f"{type(self).__name__} implements neither check_nowait nor check")

    async def check(self, conversation: Conversation) -> Verdict:
        """Judge. Blocks while it asks others; cancelled when the client leaves."""
        return self.check_nowait(conversation)

    def screens(self, asked: Callable[[], Conversation]) -> Screens:
        """What gives a judge for each channel of one reply, None where nothing is of interest. Pure and quick.

        Each choice, and each call of a tool, has channels of its own. A choice in which nothing is said and nothing
        called has an empty `text`.

        Args:
            asked: gives the request that is answered; raises ClientProtocolError if it is none of its dialect.
        """
        raise NotImplementedError(f"{type(self).__name__} judges no replies")


class Head(Struct, frozen=True):
    """What a dialect reads of a request to route it; the rest stays as it came.

    Attributes:
        model: what was asked for; empty if absent.
        stream: whether the client wants events.
        fields: top-level name -> JSON value as it came, in the client's order.
        body: the bytes as they came.
        memo: what the dialect found out when it looked further, so that it need not look again; nobody else reads it.
    """

    model: str
    stream: bool
    fields: dict[str, Raw]
    body: bytes
    memo: dict[str, Any] = {}


class StreamTap:
    """Watches a streamed reply go by and remembers what it told. Chunk boundaries do not matter.

    Attributes:
        between: whether what went by ends between two events; None for events of lines, whose last bytes tell it.
    """

    between: bool | None = None
    usage: Usage | None = None
    finish_reason: str = ""
    response_model: str = ""
    response_id: str = ""

    def feed(self, chunk: bytes) -> None:
        """Look at more bytes of the body (decoded of any content-encoding). Never raises."""


class Summary(Struct, frozen=True):
    """What a whole reply told about itself."""

    usage: Usage | None = None
    finish_reason: str = ""
    response_model: str = ""
    response_id: str = ""


class Kept(Struct, frozen=True):
    """What is kept of a reply, so that a later request can go on from it.

    Attributes:
        id: by what the client refers to it.
        data: everything that is needed then; only its dialect can read it.
    """

    id: str
    data: bytes


class Recollection(Protocol):
    """One request that goes on from replies that were kept: what to look up, one after the other."""

    def wants(self) -> str:
        """The id of the reply to look up next; empty when there is none (left)."""

    def give(self, data: bytes | None) -> None:
        """What was kept of it; None if nobody knows it.

        Raises:
            ClientProtocolError: all of it together is more than a request may hold.
        """

    def head(self) -> Head:
        """The request as if the client had sent everything itself; a reference to what nobody knows stays in it."""


class Dialect(Kind):
    """A wire format of an LLM API, as a client speaks it and as an upstream speaks it. Sync, sans-IO.

    A dialect that sets `translates` can be translated to and from every other one that does: it then has a row in
    `places` for each of `translation.FEATURES`, and the methods under "Translation". One that sets `keeps` lets its
    clients refer to earlier replies, and has the methods under "State". `encode_models` and `encode_model`
    are for one with a `models_path`; all others every dialect must write. tests/house/test_written.py looks for them.

    Attributes:
        path: where clients post it; `{model}` stands for a model's name where the path holds it.
        stream_path: where they post it for a stream, if that is another path.
        other_paths, other_stream_paths: where some of them post it too.
        operation: `gen_ai.operation.name`: chat, text_completion, embeddings.
        models_path, other_models_path: where its clients list models; empty if this dialect has no such list.
        client_header: a header that only this dialect's clients send; tells which list of models they expect.
        own_headers: request headers that only this dialect's upstreams understand.
        ping: bytes that keep a silent stream alive, between two events.
        stream_type: how the content type of its streamed replies begins.
        translates: whether it takes part in translation.
        keeps: whether its clients may refer to earlier replies, so that those that were translated are kept.
        silent: whether its replies hold no words of a model, so that there is nothing in them to judge.
        decorates: whether its replies have a place for what `Answering` says besides: metadata, a stream's prelude.
        minimal: a request that says nothing but a model and one user text.
        places: feature -> where it goes, or why it does not.
        own: fields of its requests that no other dialect knows -> what becomes of them elsewhere.
    """

    path: ClassVar[str]
    stream_path: ClassVar[str] = ""
    other_paths: ClassVar[tuple[str, ...]] = ()
    other_stream_paths: ClassVar[tuple[str, ...]] = ()
    operation: ClassVar[str] = "chat"
    models_path: ClassVar[str] = ""
    other_models_path: ClassVar[str] = ""
    client_header: ClassVar[str] = ""
    own_headers: ClassVar[frozenset[str]] = frozenset()
    ping: ClassVar[bytes] = b": ping\n\n"
    stream_type: ClassVar[str] = "text/event-stream"
    translates: ClassVar[bool] = False
    keeps: ClassVar[bool] = False
    silent: ClassVar[bool] = False
    decorates: ClassVar[bool] = False
    minimal: ClassVar[str] = ""
    places: ClassVar[Mapping[str, Place]] = {}
    own: ClassVar[Mapping[str, Dropped | Refused]] = {}

    def decode_head(self, body: bytes) -> Head:
        """Read what routing needs.

        Raises:
            ClientProtocolError: not a JSON object, or `model` or `stream` of the wrong type.
        """
        raise NotImplementedError

    def encode_head(self, head: Head, model: str) -> bytes:
        """The request with another model. Every other value keeps its bytes; unknown fields survive."""
        raise NotImplementedError

    def decode(self, head: Head) -> Conversation:
        """The whole request, dialect-free.

        Raises:
            ClientProtocolError: not a request of this dialect.
        """
        raise NotImplementedError

    def encode_text(self, head: Head, text: str, *, request_id: str) -> tuple[str, bytes]:
        """A complete answer of ours, such as a guard's message: content type and body, streamed if asked so."""
        raise NotImplementedError

    def encode_error(self, status: int, code: str, message: str, *, request_id: str) -> bytes:
        """An error body as this dialect's clients expect it, so that their typed exceptions fire."""
        raise NotImplementedError

    def encode_stream_error(self, code: str, message: str) -> bytes:
        """An error in mid-stream, as the dialect's own error event."""
        raise NotImplementedError

    def summarise(self, body: bytes) -> Summary:
        """What a whole reply tells. Never raises: a reply that is not understood tells nothing."""
        raise NotImplementedError

    def tap(self) -> StreamTap:
        """A watcher for one streamed reply."""
        raise NotImplementedError

    def encode_models(self, names: Sequence[str]) -> bytes:
        """The list of models that `models_path` answers with."""
        raise NotImplementedError

    def encode_model(self, name: str) -> bytes:
        """One model, as `models_path/<name>` answers."""
        raise NotImplementedError

    def estimate(self, head: Head) -> int:
        """How many input tokens the request will cost, roughly (bytes of text / 4).

        Asked of dialects that are not translated, and about requests that are none of their dialect; all others are
        estimated by their conversation, which is read once.
        """
        raise NotImplementedError

    def answer(self, head: Head) -> bytes | None:
        """An answer that needs no upstream, for requests whose upstream does not speak this dialect; None if none.

        Raises:
            ClientProtocolError: not a request of this dialect.
        """
        return None

    # Translation.

    def encode(self, conversation: Conversation, model: str) -> Encoded:
        """A conversation of any dialect as a request of this one, for an upstream's model.

        Raises:
            CannotExpress: it asks for something that has no place here and that would be missed.
            ClientProtocolError: it makes no sense here, such as a tool's result without its call.
        """
        raise NotImplementedError

    def reply_decoder(self, *, stream: bool) -> ReplyDecoder:
        """A reader for one reply with a status below 400; `stream` tells by its content type whether it is events."""
        raise NotImplementedError

    def read_reply(self, content_type: str, body: bytes) -> WholeReply:
        """A reply with a status below 400 that is there as a whole, be it streamed or not.

        Raises:
            UpstreamProtocolError: it is none of this dialect.
        """
        decoder = self.reply_decoder(stream=content_type.startswith(self.stream_type))
        return fold([*decoder.feed(body), *decoder.end()])

    def reply_encoder(self, head: Head, answering: Answering) -> ReplyEncoder:
        """A writer for one reply to a client who sent `head`: streamed if it asked for that, else whole."""
        raise NotImplementedError

    def decode_error(self, status: int, body: bytes) -> Problem:
        """What an upstream's error says. Never raises: a body that is not understood gives its text, cut short."""
        raise NotImplementedError

    # State.

    def recollect(self, head: Head) -> Recollection | None:
        """What the request goes on from; None for one that refers to nothing."""
        raise NotImplementedError

    def missing(self, head: Head) -> tuple[int, bytes] | None:
        """Status and body of the error for a reference that is still in a request that must be translated."""
        raise NotImplementedError

    def keep(self, head: Head, encoder: ReplyEncoder) -> Kept | None:
        """What to keep of a translated reply; None if the client does not want it kept.

        Args:
            head: the request as the client sent it.
            encoder: the one that `reply_encoder` gave for it, after Finished.
        """
        raise NotImplementedError

    def asks(self, method: str, rest: str) -> str:
        """The id of the kept reply that a request to `path/rest` is about; empty if there is no such request."""
        raise NotImplementedError

    def tell(self, method: str, rest: str, query: str, kept: bytes | None) -> tuple[int, bytes]:
        """Status and body for such a request; `kept` is None if nobody knows the reply. DELETE forgets it."""
        raise NotImplementedError


class ProviderConfig(Struct, frozen=True, kw_only=True):
    """A model provider as the compiler hands it to the provider kind.

    Attributes:
        name: as configured, or `vendor/model`.
        vendor: the prefix, such as `openai`, after aliases (`claude` -> `anthropic`).
        interface: for an unknown vendor, whose wire format it speaks.
        model_id: what the upstream is asked for; empty for a wildcard.
        base_url: as configured; empty means the vendor's own.
        access_key: as configured; may name the environment.
        headers: extra headers, name and value.
        http_host: Host header.
        passthrough_auth: the client's key is sent on.
    """

    name: str
    vendor: str
    interface: str = ""
    model_id: str = ""
    base_url: str = ""
    access_key: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    http_host: str = ""
    passthrough_auth: bool = False


class UpstreamRequest(Struct, frozen=True):
    """How to ask an upstream.

    Attributes:
        path: with the query that it always has.
        headers: in order, lower-case names; they take the place of the client's own.
        query: what is asked for besides, where the request is translated; a client that speaks the upstream's dialect
            says such things itself.
        without: headers of the client's, lower-case names, that this upstream must not get, such as its credentials.
    """

    path: str
    headers: tuple[tuple[str, str], ...]
    query: str = ""
    without: tuple[str, ...] = ()


class Reply(Protocol):
    """Where a provider in this process writes its reply."""

    def head(
        self,
        status: int,
        content_type: str,
        *,
        length: int | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        """Begin the reply; `length` where the whole body's is known. Goes out with the first bytes of the body."""

    async def send(self, data: bytes) -> None:
        """More of the body. Blocks while the client is slow."""


class Provider(Kind):
    """Who serves a model: URL, path, auth, headers. Or the model itself, in this process.

    Attributes:
        vendors: the model prefixes it serves.
        static: True when `request` depends only on dialect, model and streaming, so that the engine prepares it once.
        in_process: True when it implements `answer` rather than `request`; `url` is then only for people to read.
        streams: `only` or `never` where its upstream has but one way to reply.
        lacks: features of `translation.SPARED` that its upstream refuses, though its dialect has words for them.
    """

    vendors: ClassVar[tuple[str, ...]] = ()
    lacks: ClassVar[frozenset[str]] = frozenset()
    config: ClassVar[type[Struct]] = ProviderConfig
    static: bool = True
    in_process: ClassVar[bool] = False
    streams: Literal["asked", "only", "never"] = "asked"

    @classmethod
    def url(cls, compiled: Any) -> Text:
        """Where the upstream is, as a Text. The engine takes scheme, host and port of it; the path is `request`'s."""
        raise NotImplementedError

    @classmethod
    def dialects(cls, compiled: Any) -> tuple[str, ...]:
        """What the upstream speaks, by dialect name, preferred first."""
        raise NotImplementedError

    def request(self, dialect: str, model: str, *, stream: bool, body: bytes = b"") -> UpstreamRequest:
        """Path and headers for one request; `body` is given only when `static` is False, for signing.

        Raises:
            UpstreamError: it cannot be signed or addressed.
        """
        raise NotImplementedError

    @property
    def stale(self) -> bool:
        """Whether `renew` must be awaited before the next request: what it is signed with expires, or is not there."""
        return False

    async def renew(self) -> None:
        """Get anew what expires. Blocks; called only when `stale`, perhaps by several requests at once.

        Raises:
            UpstreamError: there is none, and the request cannot be made without.
        """

    def adapt(self, dialect: str, body: bytes) -> bytes:
        """A request that was translated into `dialect`, in this upstream's own words where it renames fields."""
        return body

    def credentials(self, dialect: str, key: str) -> tuple[tuple[str, str], ...]:
        """The headers that carry a client's own key, in the form that this upstream takes."""
        raise NotImplementedError

    async def answer(self, dialect: str, model: str, body: bytes, reply: Reply) -> None:
        """Answer a request from here; returning ends the reply. Blocks while it does; cancelled when the client leaves.

        Raises:
            UpstreamError: there will be no (more) reply. What is the client's mistake is a reply, not an exception.
        """
        raise NotImplementedError


class Choice(Struct, frozen=True, kw_only=True):
    """What a router or a matcher chose among its options, and why.

    Attributes:
        option: the name of the option; empty if none of them is right.
        reason: one word for how it was found, such as `similar`, `ranked`, `language_model`, `unclear`.
        confidence: how likely the choice is right, 0..1, as calibrated on cases that were not learned from.
        scores: options and their scores as far as they were compared, best first; what they mean is the kind's affair.
        also: other options that the same turn asks for, the surest first.
    """

    option: str = ""
    reason: str = ""
    confidence: float = 0.0
    scores: tuple[tuple[str, float], ...] = ()
    also: tuple[str, ...] = ()


class Router(Kind):
    """Finds which of the preferences or agents that are told in words a conversation is about.

    Its options come by `CompileContext.options`. Failing means that nothing was preferred.
    """

    async def choose(self, conversation: Conversation, options: tuple[Option, ...] = ()) -> Choice:
        """The option. Blocks while a model thinks; cancelled when it takes too long or the client leaves.

        Args:
            conversation: what was said so far.
            options: what the request itself brings to choose among, instead of the compiled ones.
        """
        raise NotImplementedError

    def tuned(self, cases: Sequence[tuple[str, Choice]]) -> Mapping[str, float]:
        """Numbers of its configuration that decide cases better than those it has; empty if it has none to offer.

        Args:
            cases: for each the option that is right, empty for none, and what `choose` gave.
        """
        return {}


class Gauge(Kind):
    """Puts a number on models, by which those of a route are ranked: the lowest is best.

    Numbers are looked up for each request, and got anew in the background. Failing leaves them as they were.
    """

    def readings(self) -> Mapping[str, float]:
        """Model, as `/v1/models` names it, -> its number; a model without one comes after those that have one."""
        raise NotImplementedError

    @property
    def stale(self) -> bool:
        """Whether it is time for `renew`."""
        return False

    async def renew(self) -> None:
        """Get the numbers anew. Blocks; called by one task at a time, and only when `stale`.

        Raises:
            ArchflowError: there are none; after a failure the kind is not stale for a while.
        """


class Matcher(Kind):
    """Finds the prompt targets, or the agents, that a conversation asks for.

    Its options come by `CompileContext.options`. Failing means a miss.
    """

    async def match(self, conversation: Conversation) -> Choice:
        """The target. Blocks while a model thinks."""
        raise NotImplementedError


class SlotFiller(Kind):
    """Takes the parameters of targets from a conversation.

    The targets come by `CompileContext.intents`. Failing means asking.
    """

    async def fill(self, conversation: Conversation, targets: tuple[str, ...]) -> Filled | Question:
        """The calls that the newest turn asks for, or a question. Blocks while a model thinks.

        Args:
            conversation: what was said so far.
            targets: what was matched, the surest first.

        Returns:
            Calls whose values are valid for their slots, and whose required slots are all there; no calls if the
            conversation asks for none after all. A value that nobody said is asked for, never invented.
        """
        raise NotImplementedError


class Filter(Kind):
    """Changes requests on their way to a model or an agent, or replies on their way back, or refuses them.

    Raising, or any failure, ends the request or the reply.

    Attributes:
        dialect: the dialect in which it takes requests, such as `openai_chat`; the client's own if empty.
        sides: what it changes, `input` for requests and `output` for replies; the compiler refuses it elsewhere.
    """

    dialect: ClassVar[str] = ""
    sides: ClassVar[tuple[Side, ...]] = ("input",)

    async def request(self, path: str, body: bytes) -> bytes:
        """The request as it goes on. Blocks while it asks others; cancelled when the client leaves.

        Args:
            path: where the client posted it.
            body: the whole request.

        Raises:
            FilterRefused: it does not go on; the client gets to know why.
        """
        raise NotImplementedError

    async def reply(self, path: str, body: bytes, *, stream: bool) -> bytes:
        """The reply, or a portion of it, as it goes on. Blocks while it asks others; cancelled when the client leaves.

        Args:
            path: where the client posted its request.
            body: in the client's dialect: the whole reply, or one or more whole events of a stream.
            stream: whether it is a portion of a stream. Portions come one after the other.

        Raises:
            FilterRefused: it does not go on, and nothing behind it does; the client gets to know why.
        """
        raise NotImplementedError(f"{type(self).__name__} changes no replies")


class Admission(Struct, frozen=True):
    """A store's answer to a charge.

    Attributes:
        remaining: what is left in the bucket, in tokens.
        retry_after: seconds until the same charge would be admitted; infinite if it never will be.
    """

    admitted: bool
    remaining: float = 0.0
    retry_after: float = 0.0


class Store(Kind):
    """Counters and values with time: what limits count in, and where replies are kept for later.

    A store in this process implements the methods that end in `_nowait`; one that must wait sets `waits = True` and
    implements the others.
    """

    waits: ClassVar[bool] = False

    # Counters.

    def charge_nowait(self, key: str, cost: float, capacity: float, period: float) -> Admission:
        """Charge `cost` to the bucket `key`, which holds `capacity` and refills in `period` seconds."""
        raise NotImplementedError

    def settle_nowait(self, key: str, difference: float, capacity: float, period: float) -> None:
        """Correct an earlier charge by `difference` (negative gives back); never refuses."""
        raise NotImplementedError

    async def charge(self, key: str, cost: float, capacity: float, period: float) -> Admission:
        """As `charge_nowait`. Blocks while the store answers."""
        return self.charge_nowait(key, cost, capacity, period)

    async def settle(self, key: str, difference: float, capacity: float, period: float) -> None:
        """As `settle_nowait`. Blocks while the store answers."""
        self.settle_nowait(key, difference, capacity, period)

    # Values.

    def put_nowait(self, key: str, value: bytes, seconds: float) -> None:
        """Keep a value for so many seconds; a store that has no room for it lets it, or older ones, go earlier."""
        raise NotImplementedError

    def get_nowait(self, key: str) -> bytes | None:
        """The value; None if there is none (any more)."""
        raise NotImplementedError

    def delete_nowait(self, key: str) -> None:
        """Let a value go, if there is one."""
        raise NotImplementedError

    async def put(self, key: str, value: bytes, seconds: float) -> None:
        """As `put_nowait`. Blocks while the store writes."""
        self.put_nowait(key, value, seconds)

    async def get(self, key: str) -> bytes | None:
        """As `get_nowait`. Blocks while the store looks."""
        return self.get_nowait(key)

    async def delete(self, key: str) -> None:
        """As `delete_nowait`. Blocks while the store writes."""
        self.delete_nowait(key)


class Tracer(Kind):
    """Sees every exchange end. Sync and non-blocking: it may queue, format and count, and never waits.

    A tracer that raises is counted and logged once; the exchange goes on.
    """

    def sample(self, record: Record) -> bool:
        """Whether this exchange's trace is recorded, asked at its start: decides the flag sent upstream."""
        return False

    def finish(self, record: Record) -> None:
        """The exchange is over; `record` is complete and may be kept."""
        raise NotImplementedError

    def finish_all(self, records: Sequence[Record]) -> None:
        """Several are over. A tracer that writes this can wait: it is told of up to 64 of them, or once a second."""
        for record in records:
            self.finish(record)

    def flush(self) -> None:
        """Called about once a second and at the end: write what was batched."""


KINDS: dict[str, type[Kind]] = {
    "dialect": Dialect,
    "guard": Guard,
    "matcher": Matcher,
    "slot_filler": SlotFiller,
    "router": Router,
    "filter": Filter,
    "gauge": Gauge,
    "provider": Provider,
    "store": Store,
    "tracer": Tracer,
}
"""The families of kinds, by the first part of their dotted names."""

Family = Literal[
    "dialect",
    "guard",
    "matcher",
    "slot_filler",
    "router",
    "filter",
    "gauge",
    "provider",
    "store",
    "tracer",
]


def family_of(kind: type[Kind]) -> str:
    """Which family a kind belongs to. Raises TypeError for a class of none."""
    for name, base in KINDS.items():
        if issubclass(kind, base):
            return name
    raise TypeError(f"{kind.__module__}.{kind.__qualname__} derives from no kind of archflow_plugins")


def kind_names(kinds: Sequence[type[Kind]]) -> tuple[str, ...]:
    """The dotted names of kinds, sorted."""
    return tuple(sorted(kind.kind for kind in kinds))

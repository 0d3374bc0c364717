"""Translating between dialects: what can be said in one, what becomes of the rest, and who reads and writes replies.

A request goes `source.decode` -> Conversation -> `target.encode`; a reply goes `target.reply_decoder` -> events ->
`source.reply_encoder`. Every dialect says in a table, feature by feature, where it puts it, or why it leaves it out, or
why it must refuse; tests and the tables of schema/README.md are made from those tables.

Rule: what a target cannot express is left out only if that is harmless, and then it is named; else it is refused.
Invariant: for the same dialect on both sides nothing here is used: bytes are relayed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec
from msgspec import Raw, Struct

from archflow_schema.conversation import (
    AudioPart,
    CacheMark,
    Conversation,
    DocumentPart,
    ImagePart,
    OpaquePart,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from archflow_schema.errors import ClientProtocolError
from archflow_schema.events import Event


class Sent(Struct, frozen=True):
    """The feature has a place in this dialect.

    Attributes:
        wire: where, as a path a person understands: `tools[].function.strict`.
        sample: JSON object whose fields, put over the dialect's `minimal` request, use the feature.
        note: what happens to values that have no exact counterpart, and other things worth knowing.
        exact: False where what arrives may differ from what was said, such as an effort that becomes a budget.
        foreign: for what only the provider that made it understands, such as a signature or the id of a file: what
            becomes of one that another dialect's provider made. None where it makes no difference who did.
        otherwise: features as one of which it arrives where something else that is said stands in its way, such as
            calls in the history of a request that offers no tools.
    """

    wire: str
    sample: str
    note: str = ""
    exact: bool = True
    foreign: Dropped | Refused | None = None
    otherwise: tuple[str, ...] = ()


class Becomes(Struct, frozen=True):
    """The dialect has no place for it as such, but says the same by other features, so nothing is lost or named.

    Attributes:
        features: the names of those features, one of which it arrives as.
        wire: where, as in Sent.
    """

    features: tuple[str, ...]
    wire: str
    note: str = ""


class Dropped(Struct, frozen=True):
    """The dialect has no place for it and nothing is lost that the client would miss; it is named in the reply."""

    why: str


class Refused(Struct, frozen=True):
    """The dialect has no place for it, and without it the answer would be another one: 400.

    Attributes:
        harmless: JSON values of the field that mean the same as leaving it out.
    """

    why: str
    harmless: tuple[str, ...] = ()


Place = Sent | Becomes | Dropped | Refused


class Feature(Struct, frozen=True):
    """Something that a request can say. `read` gives what a conversation says of it; None or empty if nothing."""

    what: str
    read: Callable[[Conversation], object]


class CannotExpress(ClientProtocolError):
    """The target dialect cannot say what the client asked for, and leaving it out would change the answer.

    Attributes:
        feature: a name in FEATURES, or the client's own name of a field that is in no other dialect.
        why: the reason, to follow a colon.
    """

    def __init__(self, feature: str, why: str) -> None:
        super().__init__(f"{feature}: {why}")
        self.feature = feature
        self.why = why


class Encoded(Struct, frozen=True):
    """A request in the target's words. `dropped` names the features that were left out."""

    body: bytes
    dropped: tuple[str, ...] = ()


class Problem(Struct, frozen=True):
    """What an upstream's error body says. `code` is the upstream's own word, such as `rate_limit_error`."""

    message: str
    code: str = ""


class Prelude(Struct, frozen=True):
    """A message that a client gets before a streamed reply begins: its role, its text, and who says it."""

    role: str
    text: str
    model: str


class Answering(Struct, frozen=True, kw_only=True):
    """What a reply's encoder knows of the exchange.

    Attributes:
        request_id: the gateway's own id of the request.
        model: what the client asked for; used where the upstream names none.
        created: seconds since 1970.
        query: of the client's request, for a dialect that says there how its replies are framed.
        metadata: labels that a whole reply carries, in dialects whose replies have a place for them.
        prelude: messages before a streamed reply, in dialects whose streams have a place for them.
    """

    request_id: str
    model: str
    created: int
    query: str = ""
    metadata: tuple[tuple[str, str], ...] = ()
    prelude: tuple[Prelude, ...] = ()


class ReplyDecoder(Protocol):
    """Reads one reply of an upstream, whole or streamed, in portions of any size."""

    def feed(self, data: bytes) -> list[Event]:
        """The events that these bytes complete.

        Raises:
            UpstreamProtocolError: these are not bytes of this dialect, or an item of it is too large.
        """

    def end(self) -> list[Event]:
        """The body ended: the events that only then are known. The last event ever is Finished or Failed.

        Raises:
            UpstreamProtocolError: the reply is not whole.
        """


class ReplyEncoder(Protocol):
    """Writes one reply for a client. Streamed: bytes as events come. Whole: nothing until Finished, then everything."""

    content_type: str

    def feed(self, events: Sequence[Event]) -> bytes:
        """The bytes that these events make. After Finished or Failed there is nothing more to feed."""


_DATED = re.compile(r"_20\d{6}$")
"""Anthropic's tools carry the date of their version: `web_search_20250305`."""


def parts_of(conversation: Conversation) -> list[Part]:
    """All parts of all messages in order, those inside tool results after the result that they are in."""
    found: list[Part] = []
    for message in conversation.messages:
        for part in message.parts:
            found.append(part)
            if isinstance(part, ToolResultPart):
                found += part.parts
    return found


def estimate(conversation: Conversation) -> int:
    """How many tokens a conversation costs, roughly: the bytes of its texts, divided by four."""
    return max(1, sum(len(message.text.encode()) for message in conversation.messages) // 4)


def leave(source: Mapping[str, Dropped | Refused], conversation: Conversation) -> tuple[str, ...]:
    """Which of the request's own fields stay behind when it leaves its dialect; a field nobody knows is dropped.

    A provider's own tools, which a dialect keeps in the extra field `tools`, are named one by one: `tools.web_search`.

    Raises:
        CannotExpress: a field would be missed.
    """
    behind: list[str] = []
    for name, raw in conversation.extras:
        if bytes(raw) in {b"null", b"[]", b"{}"}:
            continue
        place = source.get(name)
        if isinstance(place, Refused):
            value = msgspec.json.decode(raw)
            if any(msgspec.json.decode(one) == value for one in place.harmless):
                continue
            raise CannotExpress(name, place.why)
        behind += _tool_names(raw) if name == "tools" else [name]
    return tuple(dict.fromkeys(behind))


SPARED: dict[str, str | tuple[()]] = {
    "user": "",
    "service_tier": "",
    "cache_key": "",
    "verbosity": "",
    "metadata": (),
}
"""Features that nobody misses in an answer: fields of a Conversation, and what says nothing there."""


def spared(conversation: Conversation, lacks: frozenset[str]) -> tuple[Conversation, tuple[str, ...]]:
    """A conversation without some features of SPARED, and which of them it had."""
    said = {name: unsaid for name, unsaid in SPARED.items() if name in lacks and getattr(conversation, name)}
    return (msgspec.structs.replace(conversation, **said), tuple(said)) if said else (conversation, ())


def _tool_names(raw: Raw) -> list[str]:
    """The names of a provider's own tools: their type without its date, or the one field that they consist of."""
    tools = msgspec.json.decode(raw, type=list[dict[str, object]])
    kinds = [str(tool.get("type") or next(iter(tool), "unknown")) for tool in tools]
    return [f"tools.{_DATED.sub('', kind)}" for kind in kinds]


def _kinds(*kinds: type) -> Callable[[Conversation], object]:
    return lambda conversation: [part for part in parts_of(conversation) if isinstance(part, kinds)]


def _where(kind: type, test: Callable[[Part], bool]) -> Callable[[Conversation], object]:
    return lambda conversation: [
        part for part in parts_of(conversation) if isinstance(part, kind) and test(part)
    ]


def _data(part: Part) -> bool:
    return bool(getattr(part, "url", "").startswith("data:"))


def _url(part: Part) -> bool:
    url = getattr(part, "url", "")
    return bool(url) and not url.startswith("data:")


def _marks(conversation: Conversation) -> list[CacheMark]:
    marked = [*parts_of(conversation), *conversation.tools]
    return [mark for mark in (getattr(one, "cache", None) for one in marked) if mark is not None]


def _given(raw: Raw) -> object:
    return None if bytes(raw) == b"null" else msgspec.json.decode(raw)


def _results(test: Callable[[ToolResultPart], bool]) -> Callable[[Conversation], object]:
    return _where(ToolResultPart, lambda part: isinstance(part, ToolResultPart) and test(part))


FEATURES: dict[str, Feature] = {
    "system": Feature(
        "instructions before the conversation",
        lambda c: [m.text for m in c.messages if m.role == "system"],
    ),
    "developer": Feature(
        "instructions of the developer role", lambda c: [m.text for m in c.messages if m.role == "developer"]
    ),
    "name": Feature("name of a participant", lambda c: [m.name for m in c.messages if m.name]),
    "text": Feature("text parts", _kinds(TextPart)),
    "image.url": Feature("an image by URL", _where(ImagePart, _url)),
    "image.data": Feature("an image in the request", _where(ImagePart, _data)),
    "image.detail": Feature(
        "how closely to look at an image",
        lambda c: [part.detail for part in parts_of(c) if isinstance(part, ImagePart) and part.detail],
    ),
    "audio": Feature("sound in the request", _kinds(AudioPart)),
    "document.url": Feature("a document by URL", _where(DocumentPart, _url)),
    "document.data": Feature("a document in the request", _where(DocumentPart, _data)),
    "document.text": Feature(
        "a document as plain text", _where(DocumentPart, lambda part: bool(getattr(part, "text", "")))
    ),
    "document.file_id": Feature(
        "a document in the provider's own store",
        _where(DocumentPart, lambda part: bool(getattr(part, "file_id", ""))),
    ),
    "document.citations": Feature(
        "an answer that cites its documents",
        _where(DocumentPart, lambda part: bool(getattr(part, "citations", False))),
    ),
    "reasoning.history": Feature("earlier thoughts, sent back", _kinds(ReasoningPart)),
    "refusal.history": Feature("an earlier refusal, sent back", _kinds(RefusalPart)),
    "tool_calls": Feature("tool calls of the assistant", _kinds(ToolCallPart)),
    "tool_results": Feature("what tools answered", _kinds(ToolResultPart)),
    "tool_results.image": Feature(
        "an image as a tool's answer", _results(lambda r: any(isinstance(p, ImagePart) for p in r.parts))
    ),
    "tool_results.document": Feature(
        "a document as a tool's answer", _results(lambda r: any(isinstance(p, DocumentPart) for p in r.parts))
    ),
    "tool_results.error": Feature("a tool that failed", _results(lambda r: r.is_error)),
    "opaque": Feature("a part that only its own dialect knows", _kinds(OpaquePart)),
    "tools": Feature(
        "functions that the model may call",
        lambda c: [(t.name, t.description, _given(t.parameters)) for t in c.tools if not t.custom],
    ),
    "tools.strict": Feature(
        "arguments that are valid for the schema",
        lambda c: [t.strict for t in c.tools if t.strict is not None],
    ),
    "tools.custom": Feature("tools that take free text", lambda c: [t.name for t in c.tools if t.custom]),
    "tool_choice": Feature("whether and which tool to call", lambda c: c.tool_choice),
    "tool_choice.allowed": Feature(
        "a choice among some of the tools", lambda c: c.tool_choice.allowed if c.tool_choice else ()
    ),
    "parallel_tool_calls": Feature("several calls in one turn", lambda c: c.parallel_tool_calls),
    "max_tokens": Feature("the longest answer", lambda c: c.sampling.max_tokens),
    "temperature": Feature("randomness", lambda c: c.sampling.temperature),
    "top_p": Feature("nucleus sampling", lambda c: c.sampling.top_p),
    "top_k": Feature("sampling among the best k", lambda c: c.sampling.top_k),
    "stop": Feature("texts that end the answer", lambda c: c.sampling.stop),
    "seed": Feature("repeatable sampling", lambda c: c.sampling.seed),
    "n": Feature("several answers", lambda c: c.sampling.n if c.sampling.n != 1 else None),
    "presence_penalty": Feature("a penalty for what was said", lambda c: c.sampling.presence_penalty or None),
    "frequency_penalty": Feature(
        "a penalty for what was said often", lambda c: c.sampling.frequency_penalty or None
    ),
    "logprobs": Feature(
        "log probabilities of tokens",
        lambda c: (c.sampling.logprobs, c.sampling.top_logprobs) if c.sampling.logprobs else None,
    ),
    "logit_bias": Feature("a bias on tokens", lambda c: _given(c.sampling.logit_bias) or None),
    "output.json": Feature(
        "an answer that is JSON", lambda c: c.output if c.output and c.output.form == "json" else None
    ),
    "output.json_schema": Feature(
        "an answer that is valid for a schema",
        lambda c: (
            (c.output.name, _given(c.output.schema), c.output.strict)
            if c.output and c.output.form == "json_schema"
            else None
        ),
    ),
    "reasoning.mode": Feature("whether to think", lambda c: c.reasoning.mode if c.reasoning else ""),
    "reasoning.effort": Feature("how hard to think", lambda c: c.reasoning.effort if c.reasoning else ""),
    "reasoning.budget": Feature("tokens of thought", lambda c: c.reasoning.budget if c.reasoning else None),
    "reasoning.summary": Feature(
        "how much of the thoughts to show", lambda c: c.reasoning.summary if c.reasoning else ""
    ),
    "cache": Feature("what is worth caching", _marks),
    "cache_key": Feature("which requests share a prompt cache", lambda c: c.cache_key),
    "user": Feature("the end user's opaque name", lambda c: c.user),
    "metadata": Feature("labels of the client's own", lambda c: c.metadata),
    "service_tier": Feature("how urgent it is", lambda c: c.service_tier),
    "verbosity": Feature("how long answers are", lambda c: c.verbosity),
}
"""Everything that a request can say and more than one dialect knows. Each dialect's table has a row for each."""

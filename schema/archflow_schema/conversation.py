"""A request without its wire format: what guards, matchers, slot fillers and routers look at, and what is translated.

Every dialect decodes to these values and encodes from them (hub and spoke: M + N codecs, never M x N).

Rule: no field here is named after one vendor; what a dialect cannot place goes into `extras`, untouched.
Rule: a default means "the client did not say", so that an encoder writes only what was said.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Raw, Struct

Role = Literal["system", "developer", "user", "assistant", "tool"]


class CacheMark(Struct, frozen=True):
    """The prompt up to and with the part that carries this is worth caching; `ttl` such as `5m`, empty if unsaid."""

    ttl: str = ""


class Citation(Struct, frozen=True, kw_only=True):
    """What a piece of text rests on.

    Attributes:
        url, title: the source, as far as it is told.
        cited: the words of the source.
        start, end: the characters of the answer that it supports; -1 if unsaid.
        document: index of the document among those of the request; -1 if it is none of them.
        origin: the dialect that `raw` is of.
        raw: the whole citation in that dialect.
    """

    url: str = ""
    title: str = ""
    cited: str = ""
    start: int = -1
    end: int = -1
    document: int = -1
    origin: str = ""
    raw: Raw = Raw(b"null")


class TextPart(Struct, frozen=True, tag="text"):
    """Plain text of a message."""

    text: str
    cache: CacheMark | None = None
    citations: tuple[Citation, ...] = ()


class RefusalPart(Struct, frozen=True, tag="refusal"):
    """The assistant's words of refusal, where a dialect tells them from an answer."""

    text: str


class ImagePart(Struct, frozen=True, tag="image"):
    """An image, by URL (`data:` included)."""

    url: str
    detail: str = ""
    cache: CacheMark | None = None


class AudioPart(Struct, frozen=True, tag="audio"):
    """Sound, as base64; `format` such as `wav` or `mp3`."""

    data: str
    format: str


class DocumentPart(Struct, frozen=True, tag="document", kw_only=True):
    """A file to read: exactly one of `url` (`data:` included), `text` and `file_id` says what is in it.

    Attributes:
        media_type: such as `application/pdf`; empty if unsaid.
        name: file name or title.
        context: what the client says about it.
        citations: whether the answer shall cite it.
        origin: the dialect whose store knows `file_id`.
    """

    url: str = ""
    text: str = ""
    file_id: str = ""
    media_type: str = ""
    name: str = ""
    context: str = ""
    citations: bool = False
    origin: str = ""
    cache: CacheMark | None = None


class ReasoningPart(Struct, frozen=True, tag="reasoning", kw_only=True):
    """What the model thought, to be sent back to it unchanged.

    Attributes:
        text: the thoughts, or their summary if `summary`; empty if they are only kept sealed.
        signature: what proves the text to its provider.
        sealed: the thoughts encrypted by the provider (redacted thinking, encrypted reasoning).
        id: the provider's name for the item.
        origin: the dialect whose provider made signature, sealed and id; they mean nothing to another.
    """

    text: str = ""
    signature: str = ""
    sealed: str = ""
    id: str = ""
    summary: bool = False
    origin: str = ""


class ToolCallPart(Struct, frozen=True, tag="tool_call"):
    """The assistant asks for a tool. `arguments` is the JSON text as the model wrote it.

    Attributes:
        custom: the tool takes free text, so `arguments` is that text and not JSON.
        signature: what proves the thought behind the call to a provider of dialect `origin`.
    """

    id: str
    name: str
    arguments: str
    custom: bool = False
    signature: str = ""
    origin: str = ""
    cache: CacheMark | None = None


class ToolResultPart(Struct, frozen=True, tag="tool_result"):
    """What a tool answered: texts, images and documents, in order."""

    id: str
    parts: tuple[Part, ...] = ()
    is_error: bool = False
    name: str = ""
    custom: bool = False
    cache: CacheMark | None = None

    @property
    def text(self) -> str:
        """The text parts, joined by newlines."""
        return "\n".join(part.text for part in self.parts if isinstance(part, TextPart))


class OpaquePart(Struct, frozen=True, tag="opaque"):
    """A part that only its own dialect understands, kept as it came; `kind` is the dialect's own word for it."""

    kind: str
    raw: Raw


Part = (
    TextPart
    | RefusalPart
    | ImagePart
    | AudioPart
    | DocumentPart
    | ReasoningPart
    | ToolCallPart
    | ToolResultPart
    | OpaquePart
)


class Message(Struct, frozen=True, kw_only=True):
    """One turn. `name` tells participants of the same role apart."""

    role: Role
    parts: tuple[Part, ...]
    name: str = ""

    @property
    def text(self) -> str:
        """The text parts, joined by newlines; what a tool answered counts as text."""
        return "\n".join(part.text for part in self.parts if isinstance(part, TextPart | ToolResultPart))

    @property
    def own_text(self) -> str:
        """The text parts, joined by newlines."""
        return "\n".join(part.text for part in self.parts if isinstance(part, TextPart))

    @property
    def speaks(self) -> bool:
        """Whether it says something in words, or nothing at all."""
        return not self.parts or any(isinstance(part, TextPart) for part in self.parts)


class Tool(Struct, frozen=True, kw_only=True):
    """A function that the model may call.

    Attributes:
        parameters: its JSON Schema as the client sent it; `{}` when it takes none.
        strict: whether arguments must be valid for the schema; None if unsaid.
        custom: it takes free text instead of JSON; `grammar` is then the client's description of that text.
    """

    name: str
    description: str = ""
    parameters: Raw = Raw(b"{}")
    strict: bool | None = None
    custom: bool = False
    grammar: Raw = Raw(b"null")
    cache: CacheMark | None = None


class ToolChoice(Struct, frozen=True):
    """Whether the model may, must or must not call a tool, and which (`named`); `allowed` narrows the tools offered."""

    mode: Literal["auto", "none", "required", "named"]
    name: str = ""
    allowed: tuple[str, ...] = ()


class Output(Struct, frozen=True, kw_only=True):
    """The form that the answer must have. `schema` is the client's JSON Schema, for `json_schema`."""

    form: Literal["text", "json", "json_schema"]
    name: str = ""
    description: str = ""
    schema: Raw = Raw(b"{}")
    strict: bool | None = None


class Reasoning(Struct, frozen=True, kw_only=True):
    """How much the model shall think.

    Attributes:
        mode: `on`, `off`, `adaptive` (the model decides); empty if unsaid.
        effort: none, minimal, low, medium, high, xhigh, max; empty if unsaid.
        budget: tokens of thought at most; None if unsaid.
        summary: auto, concise, detailed: how much of it the client wants to read; empty if unsaid.
        hidden: the client does not want to read it.
    """

    mode: Literal["", "on", "off", "adaptive"] = ""
    effort: str = ""
    budget: int | None = None
    summary: str = ""
    hidden: bool = False


class Sampling(Struct, frozen=True, kw_only=True):
    """How the answer is drawn. None and empty mean that the client did not say.

    Attributes:
        max_tokens: of the answer, at most.
        stop: texts at which the answer ends.
        n: how many answers.
        logprobs: whether the client wants log probabilities; `top_logprobs` how many alternatives a token.
        logit_bias: the client's JSON object, token id -> bias.
    """

    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    n: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    logit_bias: Raw = Raw(b"null")


class Conversation(Struct, frozen=True, kw_only=True):
    """One request, dialect-free.

    Attributes:
        model: what the client asked for; empty if it named none.
        messages: the turns in order, system and developer messages included.
        tools: the functions offered to the model.
        tool_choice, parallel_tool_calls: None if unsaid.
        sampling, reasoning, output: what was said about them.
        stream: whether the client wants events.
        user: an opaque name of the end user.
        service_tier: as the client wrote it.
        cache_key: what requests with a common prefix share, so that they meet the same prompt cache.
        verbosity: low, medium, high; empty if unsaid.
        metadata: the client's own labels, name and text.
        extras: the request's other top-level fields, name and JSON value, as they came; and items of the conversation
            that only their own dialect understands, by a name such as `input[].web_search_call`.
    """

    model: str = ""
    messages: tuple[Message, ...] = ()
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    sampling: Sampling = Sampling()
    reasoning: Reasoning | None = None
    output: Output | None = None
    stream: bool = False
    user: str = ""
    service_tier: str = ""
    cache_key: str = ""
    verbosity: str = ""
    metadata: tuple[tuple[str, str], ...] = ()
    extras: tuple[tuple[str, Raw], ...] = ()

    @property
    def user_turns(self) -> list[int]:
        """Where the turns of the user stand; what tools answered is none, though some dialects put it there."""
        return [at for at, one in enumerate(self.messages) if one.role == "user" and one.speaks]

    @property
    def newest_is_users(self) -> bool:
        """Whether the newest turn is the user's, and not a tool's or the assistant's."""
        found = self.user_turns
        return bool(found) and all(
            one.role in {"system", "developer"} for one in self.messages[found[-1] + 1 :]
        )

    @property
    def last_user_text(self) -> str:
        """The text of the user's newest turn; empty if there is none."""
        found = self.user_turns
        return self.messages[found[-1]].own_text if found else ""

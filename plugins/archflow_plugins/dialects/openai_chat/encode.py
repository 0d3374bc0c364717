"""Writing a request of chat completions.

Rule: only what every vendor takes is written as OpenAI's newest models would have it: `max_tokens` rather than
`max_completion_tokens`, `system` rather than `developer`, texts as strings, tools' answers as text. A provider that
wants other names adapts them.
Rule: a tool's answers stand directly after the message that called it; what is no text in them follows in a message
of the user.
Rule: marks for the prompt cache are written for Claude models only: the vendors that serve them take or ignore the
marks, while others refuse the request (Mistral, Zhipu, Moonshot) and cache by themselves.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Sequence

from msgspec import Raw

from archflow_plugins.dialects.call_proofs import Proofs
from archflow_plugins.dialects.effort import effort_of
from archflow_plugins.dialects.json_body import encode as to_json
from archflow_plugins.dialects.openai_chat import reasoning
from archflow_plugins.dialects.openai_chat.generations import effort_for
from archflow_plugins.translation import CannotExpress, Encoded
from archflow_schema.conversation import (
    AudioPart,
    CacheMark,
    Conversation,
    DocumentPart,
    ImagePart,
    Message,
    OpaquePart,
    Output,
    Part,
    Reasoning,
    ReasoningPart,
    RefusalPart,
    Sampling,
    TextPart,
    Tool,
    ToolCallPart,
    ToolChoice,
    ToolResultPart,
)
from archflow_schema.errors import ClientProtocolError

Json = dict[str, object]

FILES = frozenset({"openai_chat", "openai_responses"})
"""Whose file ids are the same store's."""
ID_AT_MOST = 40
"""Characters of a call's id that OpenAI takes."""
_TIERS = {"standard_only": "default"}
"""Service tiers that others call otherwise."""


def encode(conversation: Conversation, model: str) -> Encoded:
    """A conversation of any dialect as a request.

    Raises:
        CannotExpress: it asks for something that has no place here and that would be missed.
        ClientProtocolError: it has no messages, or a tool's answer without its call.
    """
    if not conversation.messages:
        raise ClientProtocolError("the request holds no messages")
    writer = _Writer(conversation, marks="claude" in model)
    body: Json = {"model": model, "messages": writer.messages()}
    if conversation.tools:
        body["tools"] = [writer.tool(tool) for tool in conversation.tools]
        if conversation.parallel_tool_calls is not None:
            body["parallel_tool_calls"] = conversation.parallel_tool_calls
    if conversation.tool_choice is not None:
        choice = _tool_choice(conversation.tool_choice, conversation.tools)
        if choice is not None:
            body["tool_choice"] = choice
    _draw(conversation.sampling, body)
    if conversation.output is not None:
        body |= _output(conversation.output)
    if conversation.reasoning is not None:
        writer.think(conversation.reasoning, model, body)
    if conversation.user:
        body["user"] = conversation.user
    if conversation.service_tier:
        body["service_tier"] = _TIERS.get(conversation.service_tier, conversation.service_tier)
    if conversation.cache_key:
        body["prompt_cache_key"] = conversation.cache_key
    if conversation.verbosity:
        body["verbosity"] = conversation.verbosity
    if conversation.metadata:
        body["metadata"] = dict(conversation.metadata)
    if conversation.sampling.top_k is not None:
        writer.drop("top_k")
    if conversation.stream:
        body["stream"] = True
        body["stream_options"] = {"include_usage": True}
    return Encoded(to_json(body), tuple(writer.dropped))


def _draw(sampling: Sampling, body: Json) -> None:
    """Write how the answer is drawn."""
    if sampling.max_tokens is not None:
        body["max_tokens"] = sampling.max_tokens
    if sampling.temperature is not None:
        body["temperature"] = sampling.temperature
    if sampling.top_p is not None:
        body["top_p"] = sampling.top_p
    if sampling.seed is not None:
        body["seed"] = sampling.seed
    if sampling.n is not None:
        body["n"] = sampling.n
    if sampling.presence_penalty is not None:
        body["presence_penalty"] = sampling.presence_penalty
    if sampling.frequency_penalty is not None:
        body["frequency_penalty"] = sampling.frequency_penalty
    if sampling.logprobs is not None:
        body["logprobs"] = sampling.logprobs
    if sampling.top_logprobs is not None:
        body["top_logprobs"] = sampling.top_logprobs
    if sampling.stop:
        body["stop"] = sampling.stop
    if bytes(sampling.logit_bias) != b"null":
        body["logit_bias"] = sampling.logit_bias


def _output(output: Output) -> Json:
    if output.form == "text":
        return {}
    if output.form == "json":
        return {"response_format": {"type": "json_object"}}
    schema: Json = {"name": output.name or "answer", "schema": output.schema}
    if output.description:
        schema["description"] = output.description
    if output.strict is not None:
        schema["strict"] = output.strict
    return {"response_format": {"type": "json_schema", "json_schema": schema}}


def _effort(wanted: Reasoning) -> str:
    """The value of `reasoning_effort`, the one word that most vendors share; empty where the model decides."""
    effort = wanted.effort
    if wanted.mode == "off":
        effort = "none"
    elif not effort and wanted.budget is not None:
        effort = effort_of(wanted.budget)
    elif not effort and wanted.mode == "on":
        effort = "medium"
    return effort


def _tool_choice(choice: ToolChoice, tools: tuple[Tool, ...]) -> object:
    if not tools and choice.mode in {"auto", "none"}:
        return None
    if not tools:
        raise CannotExpress("tool_choice", "it asks for a tool, and there is no function to call")
    custom = {tool.name: tool.custom for tool in tools}
    if choice.mode == "named":
        if choice.name not in custom:
            raise CannotExpress("tool_choice", "it names a tool that is not among the functions")
        return _named(choice.name, custom=custom[choice.name])
    if not choice.allowed or choice.mode == "none":
        return choice.mode
    allowed = [_named(name, custom=custom.get(name, False)) for name in choice.allowed]
    return {"type": "allowed_tools", "allowed_tools": {"mode": choice.mode, "tools": allowed}}


def _named(name: str, *, custom: bool) -> Json:
    kind = "custom" if custom else "function"
    return {"type": kind, kind: {"name": name}}


class _Writer:
    """Writes one conversation's messages and tools, and remembers what it left out.

    Attributes:
        dropped: the names of features, each once, in order.
    """

    def __init__(self, conversation: Conversation, *, marks: bool) -> None:
        self.dropped: dict[str, None] = {}
        self._conversation = conversation
        self._marks = marks
        self._results: dict[str, deque[tuple[int, ToolResultPart]]] = {}
        self._written: list[Json] = []
        self._proofs = Proofs(reasoning.ORIGIN)

    def drop(self, feature: str) -> None:
        """Note that something is left out."""
        self.dropped[feature] = None

    def think(self, wanted: Reasoning, model: str, body: Json) -> None:
        """How hard to think, as far as the model can."""
        asked = _effort(wanted)
        effort = effort_for(model, asked)
        if effort:
            body["reasoning_effort"] = effort
        elif wanted.mode not in {"", "off"} or asked not in {"", "none"}:
            said = {"mode": wanted.mode, "effort": wanted.effort, "budget": wanted.budget}
            for name in (name for name, value in said.items() if value):
                self.drop(f"reasoning.{name}")
        if wanted.summary:
            self.drop("reasoning.summary")

    def messages(self) -> list[Json]:
        """All messages, tools' answers after their calls."""
        messages = self._conversation.messages
        for index, message in enumerate(messages):
            for part in message.parts:
                if type(part) is ToolResultPart:
                    self._results.setdefault(part.id, deque()).append((index, part))
        for index, message in enumerate(messages):
            if message.role == "assistant":
                self._assistant(message, index)
            else:
                self._other(message)
        for waiting in self._results.values():
            if waiting:
                raise ClientProtocolError(
                    f"`messages[{waiting[0][0]}]` is the answer of a tool that was not called before it"
                )
        return self._written

    def tool(self, tool: Tool) -> Json:
        """One tool."""
        inner: Json = {"name": tool.name}
        if tool.description:
            inner["description"] = tool.description
        if tool.custom:
            if bytes(tool.grammar) != b"null":
                inner["format"] = tool.grammar
            return {"type": "custom", "custom": inner}
        empty = bytes(tool.parameters) in {b"{}", b"null"}
        inner["parameters"] = Raw(b'{"type":"object","properties":{}}') if empty else tool.parameters
        if tool.strict is not None:
            inner["strict"] = tool.strict
        return self._marked({"type": "function", "function": inner}, tool.cache)

    def _other(self, message: Message) -> None:
        """A message of the user, the system or the developer; tools' answers in it are written elsewhere."""
        parts: Sequence[Part] = message.parts
        if self._results:
            parts = [part for part in parts if type(part) is not ToolResultPart]
            if not parts and message.parts:
                return
        role = "system" if message.role == "developer" else message.role
        if role == "tool":  # what is left in a message of a tool beside its answer
            role = "user"
        only = parts[0] if len(parts) == 1 else None
        if type(only) is TextPart and only.cache is None:  # as nearly all are
            written: Json = {"role": role, "content": only.text}
        else:
            written = {"role": role, "content": self._content(parts)}
        if message.name:
            written["name"] = message.name
        self._written.append(written)

    def _assistant(self, message: Message, index: int) -> None:
        written: Json = {"role": "assistant"}
        texts: list[Part] = []
        calls: list[ToolCallPart] = []
        refusals: list[str] = []
        thoughts: list[Json] = []
        for part in message.parts:
            kind = type(part)
            if kind is TextPart:
                texts.append(part)
            elif isinstance(part, ToolCallPart):
                calls.append(part)
            elif isinstance(part, ReasoningPart):
                self._thought(part, written, thoughts)
            elif isinstance(part, RefusalPart):
                refusals.append(part.text)
            elif kind is not ToolResultPart:
                raise CannotExpress(
                    _feature(part), "a message of the assistant holds only text and tool calls"
                )
        content = self._content(texts) if texts else None if calls or refusals else ""
        if thoughts:  # Mistral's place: before the text, in the same list
            texted = [{"type": "text", "text": content}] if isinstance(content, str) else content or []
            content = [*thoughts, *texted]
        written["content"] = content
        if message.name:
            written["name"] = message.name
        if refusals:
            written["refusal"] = "\n".join(refusals)
        if calls:
            written["tool_calls"] = [self._call(call) for call in calls]
        self._written.append(written)
        if calls:
            self._answers(calls, index)

    def _thought(self, part: ReasoningPart, written: Json, inside: list[Json]) -> None:
        if part.origin != reasoning.ORIGIN:
            self.drop("reasoning.history")
            return
        if self._proofs.take(part):
            return
        place, item = reasoning.item_of(part)
        if place == "content":
            inside.append(item)
        elif place in {"reasoning_details", "thinking_blocks"}:
            items = written.setdefault(place, [])
            assert isinstance(items, list)  # noqa: S101 - set here and nowhere else
            items.append(item)
        else:
            before = written.get(place)
            written[place] = part.text if before is None else f"{before}\n{part.text}"

    def _call(self, call: ToolCallPart) -> Json:
        if call.custom:
            found: Json = {
                "id": call_id(call.id),
                "type": "custom",
                "custom": {"name": call.name, "input": call.arguments},
            }
        else:
            function = {"name": call.name, "arguments": call.arguments or "{}"}
            found = {"id": call_id(call.id), "type": "function", "function": function}
        signature = self._proofs.of(call)
        if signature:
            found["extra_content"] = {"google": {"thought_signature": signature}}
        elif call.signature:
            self.drop("reasoning.history")
        return self._marked(found, call.cache)

    def _answers(self, calls: list[ToolCallPart], index: int) -> None:
        """What the tools answered to these calls, wherever it stands after them."""
        beside: list[Part] = []
        for call in calls:
            waiting = self._results.get(call.id)
            if not waiting or waiting[0][0] <= index:
                continue
            beside += self._answer(waiting.popleft()[1])
        if beside:
            self._written.append({"role": "user", "content": self._content(beside)})

    def _answer(self, result: ToolResultPart) -> list[Part]:
        """Write one answer; returns what of it must stand in a message of the user."""
        texts: list[Part] = [part for part in result.parts if _is_text(part)]
        beside = [part for part in result.parts if not _is_text(part)]
        if result.is_error:
            self.drop("tool_results.error")
        if not texts and beside:
            texts = [TextPart("The answer is no text: it is in the next message.")]
        content = self._content(texts)
        if result.cache is not None and not self._marks:
            self.drop("cache")
        elif result.cache is not None and isinstance(content, str):
            content = [self._marked({"type": "text", "text": content}, result.cache)]
        self._written.append({"role": "tool", "tool_call_id": call_id(result.id), "content": content})
        return beside

    def _content(self, parts: Sequence[Part]) -> str | list[Json]:
        """Texts as one string, where nothing else is among them."""
        marks = self._marks and any(getattr(part, "cache", None) for part in parts)
        if not marks and all(_is_text(part) for part in parts):
            if any(getattr(part, "cache", None) for part in parts):
                self.drop("cache")
            return "\n".join(self._text(part) for part in parts)
        return [self._part(part) for part in parts]

    def _part(self, part: Part) -> Json:
        if isinstance(part, TextPart):
            return self._marked({"type": "text", "text": part.text}, part.cache)
        if isinstance(part, ImagePart):
            image: Json = {"url": part.url}
            if part.detail:
                image["detail"] = part.detail
            return self._marked({"type": "image_url", "image_url": image}, part.cache)
        if isinstance(part, AudioPart):
            return {"type": "input_audio", "input_audio": {"data": part.data, "format": part.format}}
        if isinstance(part, DocumentPart):
            return self._marked(self._document(part), part.cache)
        if isinstance(part, RefusalPart):
            return {"type": "text", "text": part.text}
        raise CannotExpress(_feature(part), "chat completions do not know this kind of content here")

    def _text(self, part: Part) -> str:
        """The text of a part that `_is_text`; a document's begins with what it is."""
        if isinstance(part, TextPart):
            return part.text
        assert isinstance(part, DocumentPart)  # noqa: S101 - the other kind that is text
        if part.citations:
            self.drop("document.citations")
        title = f"Document: {part.name}" if part.name else "Document:"
        return "\n\n".join(text for text in (title, part.context, part.text) if text)

    def _document(self, document: DocumentPart) -> Json:
        if document.text:
            return {"type": "text", "text": self._text(document)}
        if document.citations:
            self.drop("document.citations")
        file: Json = {}
        if document.file_id:
            if document.origin not in FILES:
                raise CannotExpress("document.file_id", "the file is in another provider's store")
            file["file_id"] = document.file_id
        elif document.url.startswith("data:"):
            file["file_data"] = document.url
            file["filename"] = document.name or _file_name(document.media_type)
        else:
            raise CannotExpress("document.url", "a document goes as data, not by its address")
        return {"type": "file", "file": file}

    def _marked(self, written: Json, mark: CacheMark | None) -> Json:
        if mark is None:
            return written
        if not self._marks:
            self.drop("cache")
            return written
        control: Json = {"type": "ephemeral"}
        if mark.ttl:
            control["ttl"] = mark.ttl
        written["cache_control"] = control
        return written


def call_id(said: str) -> str:
    """The id of a call; the digest of one that is too long."""
    if len(said) <= ID_AT_MOST:
        return said
    return f"call_{hashlib.sha256(said.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"


def _is_text(part: Part) -> bool:
    return type(part) is TextPart or (type(part) is DocumentPart and bool(part.text))


def _file_name(media_type: str) -> str:
    """A name for a file that has none, since OpenAI asks for one."""
    subtype = media_type.partition("/")[2]
    return {"pdf": "document.pdf", "plain": "document.txt"}.get(subtype, "document")


def _feature(part: Part) -> str:
    """The name of the feature that a part is which has no place."""
    match part:
        case OpaquePart():
            return "opaque"
        case ImagePart():
            return "image.data" if part.url.startswith("data:") else "image.url"
        case AudioPart():
            return "audio"
        case DocumentPart():
            return "document.data"
        case ReasoningPart():
            return "reasoning.history"
        case ToolCallPart():
            return "tool_calls"
    return "text"

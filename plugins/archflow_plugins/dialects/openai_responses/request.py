"""A conversation of any dialect, written as a request of the Responses API.

Source: OpenAI's API reference and its Python client 3.57, 2026-11.

Rule: a translated request is never stored: `store` is false, and thoughts are asked for sealed, so that they come back
through the client.
Rule: tools that said nothing of it are not strict: here it is the default, elsewhere it is not.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import msgspec
from msgspec import Raw, Struct

from archflow_plugins.dialects.effort import effort_of
from archflow_plugins.dialects.json_body import encode as encode_json
from archflow_plugins.dialects.openai_responses.fields import LOGPROBS, SEALED
from archflow_plugins.dialects.openai_responses.items import ORIGIN
from archflow_plugins.dialects.openai_responses.sent import (
    Body,
    CallItem,
    CustomCallItem,
    CustomResultItem,
    CustomTool,
    FileItem,
    FunctionTool,
    ImageItem,
    MessageItem,
    RawThought,
    ReasoningItem,
    RefusalItem,
    ResultItem,
    SaidItem,
    TextItem,
    Thought,
)
from archflow_plugins.dialects.openai_responses.table import PLACES
from archflow_plugins.translation import CannotExpress, Dropped, Encoded, Place, Refused, Sent
from archflow_schema.conversation import (
    AudioPart,
    Conversation,
    DocumentPart,
    ImagePart,
    Message,
    Output,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    Tool,
    ToolCallPart,
    ToolChoice,
    ToolResultPart,
)
from archflow_schema.errors import ClientProtocolError

LEAST_TOKENS = 16
"""OpenAI refuses a lower limit; Claude Code, for one, probes with 1."""
_NAME_AT_MOST = 64
_TIERS = {tier: tier for tier in ("auto", "default", "flex", "scale", "priority", "fast", "ultrafast")}
_TIERS["standard_only"] = "default"
_FAMILY = frozenset({ORIGIN, "openai_chat"})
"""The dialects of OpenAI: they share a store of files."""


class _Grammar(Struct):
    syntax: str = ""
    definition: str = ""


class _ChatFormat(Struct):
    """A free text's description in the form of chat completions, where the grammar stands one level deeper."""

    grammar: _Grammar


_decode_chat_format = msgspec.json.Decoder(_ChatFormat).decode


def encode(conversation: Conversation, model: str) -> Encoded:
    """The request, for an upstream's model.

    Raises:
        CannotExpress: it asks for something that has no place here and that would be missed.
        ClientProtocolError: it makes no sense, such as a tool's result without its call.
    """
    writer = _Writer()
    instructions, items = writer.messages(conversation.messages)
    sampling = conversation.sampling
    for name, said in (
        ("stop", sampling.stop),
        ("n", sampling.n is not None and sampling.n != 1),
        ("logit_bias", bytes(sampling.logit_bias) not in {b"null", b"{}"}),
        ("top_k", sampling.top_k is not None),
        ("seed", sampling.seed is not None),
        ("presence_penalty", sampling.presence_penalty),
        ("frequency_penalty", sampling.frequency_penalty),
    ):
        if said:
            writer.leave(name)
    reasoning = writer.reasoning(conversation)
    include = [LOGPROBS] if sampling.logprobs else []
    if writer.sealed or (reasoning and reasoning.get("effort") != "none"):
        include.append(SEALED)
    body = Body(
        model=model,
        input=items,
        store=False,
        stream=conversation.stream,
        instructions=instructions,
        tools=[writer.tool(tool) for tool in conversation.tools] or None,
        tool_choice=_choice(conversation) if conversation.tool_choice is not None else None,
        parallel_tool_calls=conversation.parallel_tool_calls,
        text=_text(conversation),
        reasoning=reasoning,
        include=include or None,
        max_output_tokens=None if sampling.max_tokens is None else max(LEAST_TOKENS, sampling.max_tokens),
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        top_logprobs=sampling.top_logprobs,
        metadata=dict(conversation.metadata) or None,
        prompt_cache_key=_short(conversation.cache_key),
        safety_identifier=_short(conversation.user),
        service_tier=writer.tier(conversation.service_tier),
    )
    return Encoded(encode_json(body), tuple(writer.dropped))


class _Writer:
    """Writes one request's items.

    Attributes:
        dropped: the features that were left out, in the order in which they came, each once.
        sealed: whether thoughts go back.
    """

    def __init__(self) -> None:
        self.dropped: dict[str, None] = {}
        self.sealed = False
        self._calls: dict[str, bool] = {}
        """Id of a call -> whether it is one of free text."""
        self._items: list[Struct] = []

    def leave(self, feature: str) -> None:
        """Leave a feature out, or refuse to, as the table says."""
        if feature in _LEFT_OUT:
            self.dropped[feature] = None
        else:
            raise CannotExpress(feature, _why(feature))

    def messages(self, messages: tuple[Message, ...]) -> tuple[str | None, list[Struct]]:
        """Instructions, and the input."""
        instructions = None
        first = messages[0] if len(messages) > 1 else None
        if (
            first is not None
            and first.role == "system"
            and all(isinstance(one, TextPart) for one in first.parts)
        ):
            instructions = first.text
            self._marks(first.parts)
            messages = messages[1:]
        for message in messages:
            if message.name:
                self.leave("name")
            if message.role == "assistant":
                self._assistant(message.parts)
            else:
                self._others("user" if message.role == "tool" else message.role, message.parts)
        if not self._items:
            raise ClientProtocolError("the conversation is empty: it needs at least one message")
        return instructions, self._items

    def _assistant(self, parts: tuple[Part, ...]) -> None:
        said: list[Struct] = []
        for one in parts:
            if isinstance(one, TextPart):
                said.append(SaidItem(one.text))
                continue
            if isinstance(one, RefusalPart):
                said.append(RefusalItem(one.text))
                continue
            self._say("assistant", said)
            said = []
            if isinstance(one, ToolCallPart):
                self._call(one)
            elif isinstance(one, ReasoningPart):
                self._reasoning(one)
            else:
                said.append(self._shown(one))
        self._say("assistant", said)
        self._marks(parts)

    def _others(self, role: str, parts: tuple[Part, ...]) -> None:
        said: list[Struct] = []
        for one in parts:
            if isinstance(one, ToolResultPart):
                self._say(role, said)
                said = []
                self._result(one)
            else:
                said.append(TextItem(one.text) if isinstance(one, TextPart) else self._shown(one))
        self._say(role, said)
        self._marks(parts)

    def _say(self, role: str, said: list[Struct]) -> None:
        if not said:
            return
        only = said[0] if len(said) == 1 else None
        content = only.text if isinstance(only, TextItem | SaidItem) else said
        self._items.append(MessageItem(role, content))

    def _call(self, one: ToolCallPart) -> None:
        call = call_id(one.id)
        self._calls[call] = one.custom
        if one.custom:
            self._items.append(CustomCallItem(call, one.name, one.arguments))
        else:
            self._items.append(CallItem(call, one.name, one.arguments or "{}"))

    def _result(self, one: ToolResultPart) -> None:
        call = call_id(one.id)
        if call not in self._calls:
            raise ClientProtocolError(
                f"the tool's result for the call '{one.id[:100]}' has no such call before it"
            )
        if one.is_error:
            self.leave("tool_results.error")
        self._marks((one, *one.parts))
        parts = one.parts
        output: object = one.text
        if not all(isinstance(part, TextPart) for part in parts):
            output = [
                TextItem(part.text) if isinstance(part, TextPart) else self._shown(part) for part in parts
            ]
        self._items.append((CustomResultItem if self._calls[call] else ResultItem)(call, output))

    def _reasoning(self, one: ReasoningPart) -> None:
        shown = bool(one.text) and not one.summary
        if one.origin != ORIGIN or not (one.sealed or shown):
            self.leave("reasoning.history")
            return
        self.sealed = self.sealed or bool(one.sealed)
        summary = (Thought(one.text),) if one.text and one.summary else ()
        content = (RawThought(one.text),) if shown else ()
        self._items.append(ReasoningItem(summary, one.id, content, one.sealed))

    def _shown(self, one: Part) -> Struct:
        """A part that is no text."""
        if isinstance(one, ImagePart):
            return ImageItem(one.url, one.detail)
        if isinstance(one, DocumentPart):
            return self._document(one)
        if isinstance(one, RefusalPart):
            return TextItem(one.text)
        feature = "audio" if isinstance(one, AudioPart) else "opaque"
        raise CannotExpress(feature, _why(feature))

    def _document(self, one: DocumentPart) -> Struct:
        if one.citations:
            self.leave("document.citations")
        if one.file_id:
            if one.origin not in _FAMILY:
                self.leave("document.file_id")
            return FileItem(file_id=one.file_id)
        if one.text or not one.url:
            data = base64.b64encode(one.text.encode("utf-8", "replace")).decode("ascii")
            name = one.name if one.name.endswith(".txt") else f"{one.name or 'document'}.txt"
            return FileItem(filename=name, file_data=f"data:text/plain;base64,{data}")
        if one.url.startswith("data:"):
            return FileItem(filename=one.name or _file_name(one.media_type), file_data=one.url)
        return FileItem(file_url=one.url)

    def _marks(self, parts: tuple[Part, ...]) -> None:
        if any(getattr(one, "cache", None) is not None for one in parts):
            self.leave("cache")

    def tool(self, tool: Tool) -> Struct:
        """One function, or one tool that takes free text."""
        if tool.cache is not None:
            self.leave("cache")
        if tool.custom:
            return CustomTool(tool.name, tool.description, _format(tool.grammar))
        parameters = tool.parameters
        if bytes(parameters) in {b"{}", b"null"}:
            parameters = Raw(b'{"type":"object","properties":{}}')
        return FunctionTool(tool.name, parameters, bool(tool.strict), tool.description)

    def reasoning(self, conversation: Conversation) -> dict[str, str] | None:
        """How much to think, and how much of it to show."""
        said = conversation.reasoning
        if said is None:
            return None
        effort = said.effort
        if said.mode == "off":
            effort = "none"
        elif said.budget is not None:
            self.leave("reasoning.budget")
            effort = effort or effort_of(said.budget)
        elif said.mode and not effort:
            effort = "medium"
        found = {"effort": effort} if effort else {}
        if said.summary:
            found["summary"] = said.summary
        return found or None

    def tier(self, said: str) -> str | None:
        """OpenAI's word for a service tier."""
        found = _TIERS.get(said)
        if said and found is None:
            self.dropped["service_tier"] = None
        return found


def _place(feature: str) -> Place | None:
    """What becomes of a feature that is not simply sent."""
    place = PLACES[feature]
    return place.foreign if isinstance(place, Sent) else place


_LEFT_OUT = frozenset(feature for feature in PLACES if isinstance(_place(feature), Dropped))


def _why(feature: str) -> str:
    place = _place(feature)
    assert isinstance(place, Refused)  # noqa: S101 - only such features are asked for
    return place.why


def call_id(said: str) -> str:
    """The id of a call, which OpenAI wants to be of 64 characters at most."""
    return said if len(said) <= _NAME_AT_MOST else _short(said) or ""


def _short(said: str) -> str | None:
    """An opaque name; its digest if it is longer than OpenAI takes."""
    if len(said) <= _NAME_AT_MOST:
        return said or None
    return hashlib.sha256(said.encode("utf-8", "replace")).hexdigest()


def _file_name(media_type: str) -> str:
    return "document.pdf" if media_type in {"", "application/pdf"} else "document"


def _format(grammar: Raw) -> Any:
    if bytes(grammar) == b"null":
        return None
    try:
        deeper = _decode_chat_format(grammar).grammar
    except msgspec.DecodeError:
        return grammar
    return {"type": "grammar", "syntax": deeper.syntax, "definition": deeper.definition}


def _choice(conversation: Conversation) -> Any:
    said: ToolChoice = conversation.tool_choice  # type: ignore[assignment]
    free = {tool.name for tool in conversation.tools if tool.custom}
    if said.mode == "named":
        return {"type": "custom" if said.name in free else "function", "name": said.name}
    if said.allowed and said.mode != "none":
        allowed = [{"type": "custom" if name in free else "function", "name": name} for name in said.allowed]
        return {"type": "allowed_tools", "mode": said.mode, "tools": allowed}
    return said.mode


def _text(conversation: Conversation) -> Any:
    output = conversation.output
    found: dict[str, Any] = {} if output is None else {"format": _output(output)}
    if conversation.verbosity:
        found["verbosity"] = conversation.verbosity
    return found or None


def _output(output: Output) -> dict[str, Any]:
    if output.form != "json_schema":
        return {"type": "json_object" if output.form == "json" else "text"}
    found: dict[str, Any] = {
        "type": "json_schema",
        "name": output.name or "answer",
        "schema": output.schema,
    }
    if output.description:
        found["description"] = output.description
    if output.strict is not None:
        found["strict"] = output.strict
    return found

"""Reading a request of chat completions.

Rule: `null` means the same as leaving a field out.
Rule: parts, tools and forms of types that are unknown here stay as they came (OpaquePart, extras).
Rule: an error says where, and quotes nothing: it is logged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal, TypeVar

import msgspec
from msgspec import Raw

from archflow_plugins.dialects.json_body import BAD_JSON, encode, extras, part, schema_of
from archflow_plugins.dialects.openai_chat import reasoning
from archflow_plugins.dialects.openai_chat.wire import (
    NULL,
    Allowed,
    AudioForm,
    CallForm,
    ChosenTool,
    CustomTool,
    CustomToolItem,
    FileForm,
    FormatForm,
    Function,
    FunctionTool,
    ImageForm,
    Named,
    PartType,
    ReasoningForm,
    RefusalForm,
    Request,
    SchemaForm,
    TextForm,
    WireMessage,
)
from archflow_plugins.kinds import Head
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
    Role,
    Sampling,
    TextPart,
    Tool,
    ToolCallPart,
    ToolChoice,
    ToolResultPart,
)
from archflow_schema.errors import ClientProtocolError

ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "developer",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}
_PLAIN: frozenset[Role] = frozenset({"system", "developer", "user"})
"""Whose messages say nothing beside their content."""

T = TypeVar("T")
_MODES: dict[str, Literal["", "on", "off", "adaptive"]] = {
    "enabled": "on",
    "disabled": "off",
    "adaptive": "adaptive",
}

_PLACED = frozenset({*Request.__struct_fields__, "model", "stream", "stream_options"})
_CHOOSING = frozenset({"tool_choice", "function_call"})
_THINKING = frozenset({
    "reasoning", "thinking", "reasoning_effort", "enable_thinking", "thinking_budget", "include_reasoning",
})  # fmt: skip
_PARTS = TextForm | ImageForm | AudioForm | FileForm | RefusalForm
_KNOWN = frozenset({"text", "image_url", "input_audio", "file", "refusal"})

_decode_request = msgspec.json.Decoder(Request).decode
_decode_part = msgspec.json.Decoder(_PARTS).decode
_decode_type = msgspec.json.Decoder(PartType).decode
_decode_call = msgspec.json.Decoder(CallForm).decode
_decode_function_tool = msgspec.json.Decoder(FunctionTool).decode
_decode_custom_tool = msgspec.json.Decoder(CustomToolItem).decode
_decode_choice = msgspec.json.Decoder(str | ChosenTool).decode
_decode_format = msgspec.json.Decoder(FormatForm).decode
_decode_text = msgspec.json.Decoder(str).decode
_decode_reasoning = msgspec.json.Decoder(ReasoningForm | None).decode
_decode_labels = msgspec.json.Decoder(dict[str, Raw] | None).decode


def decode(head: Head) -> Conversation:
    """The whole request, dialect-free.

    Raises:
        ClientProtocolError: not a request of chat completions.
    """
    if "messages" not in head.fields:
        raise ClientProtocolError("the request lacks `messages`")
    try:
        request = _decode_request(head.body)
    except BAD_JSON as error:
        raise ClientProtocolError(f"the request cannot be read: {error}") from error
    fields = head.fields
    rest = extras(fields, _PLACED)
    if request.user and request.safety_identifier:
        rest.append(("safety_identifier", fields["safety_identifier"]))
    return Conversation(
        model=head.model,
        messages=_messages(request.messages),
        tools=_tools(request, rest) if request.tools or request.functions else (),
        tool_choice=None if _CHOOSING.isdisjoint(fields) else _tool_choice(request, rest),
        parallel_tool_calls=False if request.functions else request.parallel_tool_calls,
        sampling=_sampling(request),
        reasoning=None if _THINKING.isdisjoint(fields) else _reasoning(request, rest),
        output=None if request.response_format is NULL else _output(request.response_format, rest),
        stream=head.stream,
        user=request.user or request.safety_identifier or "",
        service_tier=request.service_tier or "",
        cache_key=request.prompt_cache_key or "",
        verbosity=request.verbosity or "",
        metadata=() if request.metadata is NULL else _metadata(request.metadata, rest),
        extras=tuple(rest),
    )


class _Calls:
    """The calls so far, for results that do not say well which call they answer.

    The older `function_call` has no id; it gets one made of the message's number, and a message of role `function`
    answers the newest call of its name.
    """

    __slots__ = ("custom", "newest")

    def __init__(self) -> None:
        self.newest: dict[str, str] = {}
        self.custom: set[str] = set()


def _messages(messages: list[WireMessage]) -> tuple[Message, ...]:
    calls = _Calls()
    return tuple([_message(message, index, calls) for index, message in enumerate(messages)])


def _message(message: WireMessage, index: int, calls: _Calls) -> Message:
    role = ROLES.get(message.role)
    if role is None:
        raise ClientProtocolError(f"`messages[{index}]` has a role that is none of {', '.join(ROLES)}")
    content = message.content
    name = message.name or ""
    if role in _PLAIN and type(content) is str and message.cache_control is None:
        return Message(role=role, parts=(TextPart(content),), name=name)
    where = f"`messages[{index}]`"
    mark = CacheMark(message.cache_control.ttl or "") if message.cache_control else None  # LiteLLM's place
    if isinstance(content, str):
        parts: list[Part] = [TextPart(content, None if role == "tool" else mark)]
    else:
        parts = [] if content is None else _content(content, where)
    if role == "assistant":
        parts = [*_thoughts(message), *parts]
        if message.refusal:
            parts.append(RefusalPart(message.refusal))
        if message.tool_calls:
            parts += _tool_calls(message.tool_calls, where, calls)
        if message.function_call is not None:
            call = message.function_call
            calls.newest[call.name] = f"call_{index}"
            parts.append(ToolCallPart(f"call_{index}", call.name, _arguments(call.arguments)))
    elif role == "tool":
        answered = message.tool_call_id or calls.newest.get(name) or name
        result = ToolResultPart(
            answered, tuple(parts), name=name, custom=answered in calls.custom, cache=mark
        )
        return Message(role="tool", parts=(result,))
    return Message(role=role, parts=tuple(parts), name=name)


def _content(content: list[Raw], where: str) -> list[Part]:
    return [_part(raw, f"{where}.content[{index}]") for index, raw in enumerate(content)]


def _part(raw: Raw, where: str) -> Part:
    try:
        found = _decode_part(raw)
    except BAD_JSON:
        kind = part(_decode_type, raw, where).type
        if kind in _KNOWN:
            part(_decode_part, raw, where)  # says what is wrong with it
        return _odd_part(kind, raw)
    if type(found) is TextForm:
        return TextPart(found.text or "", found.mark)
    if type(found) is ImageForm:
        image = found.image_url
        if image is None:
            raise ClientProtocolError(f"{where} lacks `image_url`")
        if isinstance(image, str):
            return ImagePart(image, cache=found.mark)
        return ImagePart(image.url, image.detail or "", found.mark)
    if type(found) is AudioForm:
        return AudioPart(found.input_audio.data, found.input_audio.format)
    if type(found) is RefusalForm:
        return RefusalPart(found.refusal)
    assert type(found) is FileForm  # noqa: S101 - the last of the union
    return _document(found, where)


def _odd_part(kind: str, raw: Raw) -> Part:
    """A part that is not OpenAI's: Mistral's thoughts, or something only its vendor knows."""
    if kind == "thinking":
        found = reasoning.thoughts(Raw(b"[" + bytes(raw) + b"]"))
        if found:
            return reasoning.part_of(found[0])
    return OpaquePart(kind, raw)


def _document(found: FileForm, where: str) -> DocumentPart:
    file = found.file
    name, mark = file.filename or "", found.mark
    if file.file_id:
        return DocumentPart(file_id=file.file_id, name=name, origin=reasoning.ORIGIN, cache=mark)
    url = file.file_data
    if not url:
        raise ClientProtocolError(f"{where} has a file with neither `file_data` nor `file_id`")
    if url.startswith(("https://", "http://")):  # OpenRouter takes addresses too
        return DocumentPart(url=url, name=name, cache=mark)
    if not url.startswith("data:"):
        kind = "text/plain" if name.endswith((".txt", ".md")) else "application/pdf"
        url = f"data:{kind};base64,{url}"
    kind = url[5 : url.find(",")].partition(";")[0] if "," in url[:256] else ""
    return DocumentPart(url=url, media_type=kind, name=name, cache=mark)


def _thoughts(message: WireMessage) -> list[ReasoningPart]:
    """What the assistant thought, from the first place that holds anything."""
    for raw in (message.reasoning_details, message.thinking_blocks):
        if raw is not NULL:
            found = [reasoning.part_of(thought) for thought in reasoning.thoughts(raw)]
            if found:
                return found
    if message.reasoning_content:
        return [ReasoningPart(text=message.reasoning_content, origin=reasoning.ORIGIN)]
    if message.reasoning:
        return [ReasoningPart(text=message.reasoning, signature=reasoning.SHORT, origin=reasoning.ORIGIN)]
    return []


def _tool_calls(raws: list[Raw], where: str, calls: _Calls) -> Iterator[Part]:
    for index, raw in enumerate(raws):
        call: CallForm = part(_decode_call, raw, f"{where}.tool_calls[{index}]")
        mark = CacheMark(call.cache_control.ttl or "") if call.cache_control else None
        if call.function is not None:
            google = call.extra_content.google if call.extra_content else None
            origin, signature = reasoning.signature_of(google.thought_signature if google else None)
            yield ToolCallPart(
                call.id or "",
                call.function.name,
                _arguments(call.function.arguments),
                signature=signature,
                origin=origin,
                cache=mark,
            )
        elif call.custom is not None:
            calls.custom.add(call.id or "")
            yield ToolCallPart(call.id or "", call.custom.name, call.custom.input, custom=True, cache=mark)
        else:
            yield OpaquePart(call.type or "tool_call", raw)


def _arguments(told: str | dict[str, object] | None) -> str:
    return told if isinstance(told, str) else encode(told).decode() if told else ""


def _tools(request: Request, rest: list[tuple[str, Raw]]) -> tuple[Tool, ...]:
    """The functions; the tools of others go into `rest` as they came."""
    found: list[Tool] = []
    others: list[Raw] = []
    for index, raw in enumerate(request.tools or ()):
        where = f"`tools[{index}]`"
        kind = part(_decode_type, raw, where).type
        if kind == "function":
            tool: FunctionTool = part(_decode_function_tool, raw, where)
            mark = CacheMark(tool.cache_control.ttl or "") if tool.cache_control else None
            found.append(_function(tool.function, mark))
        elif kind == "custom":
            custom: CustomTool = part(_decode_custom_tool, raw, where).custom
            found.append(
                Tool(
                    name=custom.name,
                    description=custom.description or "",
                    custom=True,
                    grammar=custom.format,
                )
            )
        else:
            others.append(raw)
    found += [_function(function, None) for function in request.functions or ()]
    if others:
        rest.append(("tools", Raw(encode(others))))
    return tuple(found)


def _function(function: Function, mark: CacheMark | None) -> Tool:
    return Tool(
        name=function.name,
        description=function.description or "",
        parameters=schema_of(function.parameters),
        strict=function.strict,
        cache=mark,
    )


def _tool_choice(request: Request, rest: list[tuple[str, Raw]]) -> ToolChoice | None:
    older = request.function_call
    if older is not None:
        chosen: str | ChosenTool = older if isinstance(older, str) else ChosenTool(function=older)
    elif bytes(request.tool_choice) == b"null":
        return None
    else:
        chosen = part(_decode_choice, request.tool_choice, "`tool_choice`")
    match chosen:
        case "auto" | "none" | "required":
            return ToolChoice(chosen)
        case "any":  # Mistral's word
            return ToolChoice("required")
        case ChosenTool(function=Named(name=name)) | ChosenTool(custom=Named(name=name)):
            return ToolChoice("named", name)
        case ChosenTool(allowed_tools=Allowed(mode=mode, tools=allowed)):
            names = [one.function or one.custom for one in allowed]
            return ToolChoice(
                "required" if mode == "required" else "auto", allowed=tuple(one.name for one in names if one)
            )
    rest.append(("tool_choice", request.tool_choice))
    return None


def _sampling(request: Request) -> Sampling:
    stop = request.stop
    at_most = request.max_completion_tokens
    return Sampling(
        max_tokens=request.max_tokens if at_most is None else at_most,
        temperature=request.temperature,
        top_p=request.top_p,
        top_k=request.top_k,
        stop=() if not stop else (stop,) if isinstance(stop, str) else tuple(stop),
        seed=request.seed,
        n=request.n,
        presence_penalty=request.presence_penalty,
        frequency_penalty=request.frequency_penalty,
        logprobs=request.logprobs,
        top_logprobs=request.top_logprobs,
        logit_bias=request.logit_bias,
    )


def _reasoning(request: Request, rest: list[tuple[str, Raw]]) -> Reasoning | None:
    """How much to think, from whatever a vendor's clients say it with."""
    form = _loose(_decode_reasoning, request.reasoning, "reasoning", rest) or ReasoningForm()
    thinking = _loose(_decode_reasoning, request.thinking, "thinking", rest) or ReasoningForm()
    effort = request.reasoning_effort or form.effort or ""
    budgets = (form.max_tokens, thinking.budget_tokens, form.budget_tokens, request.thinking_budget)
    budget = next((one for one in budgets if one is not None), None)
    on = (form.enabled, request.enable_thinking, thinking.enabled)
    mode = _MODES.get(thinking.type or "", "")
    if effort == "none" or False in on:
        mode = "off"
    elif not mode and (effort or budget is not None or True in on):
        mode = "on"
    found = Reasoning(
        mode=mode,
        effort=effort,
        budget=budget,
        summary=form.summary or "",
        hidden=bool(form.exclude) or request.include_reasoning is False,
    )
    return None if found == Reasoning() else found


def _output(raw: Raw, rest: list[tuple[str, Raw]]) -> Output | None:
    if bytes(raw) == b"null":
        return None
    form: FormatForm = part(_decode_format, raw, "`response_format`")
    match form.type:
        case "text":
            return Output(form="text")
        case "json_object" if bytes(form.schema) == b"null":
            return Output(form="json")
        case "json_object":
            return Output(form="json_schema", schema=form.schema)
        case "json_schema":
            schema = form.json_schema or SchemaForm(schema=form.schema)
            return Output(
                form="json_schema",
                name=schema.name or "",
                description=schema.description or "",
                schema=schema_of(schema.schema),
                strict=schema.strict,
            )
    rest.append(("response_format", raw))
    return None


def _metadata(raw: Raw, rest: list[tuple[str, Raw]]) -> tuple[tuple[str, str], ...]:
    labels = _loose(_decode_labels, raw, "metadata", rest) or {}
    return tuple((name, _label(label)) for name, label in labels.items())


def _loose(decode: Callable[[Raw], T | None], raw: Raw, name: str, rest: list[tuple[str, Raw]]) -> T | None:
    """A field whose form differs between vendors; one that is not understood goes into `rest`."""
    if raw is NULL:
        return None
    try:
        return decode(raw)
    except BAD_JSON:
        rest.append((name, raw))
        return None


def _label(raw: Raw) -> str:
    """A label's text; what is no text keeps its JSON."""
    try:
        return _decode_text(raw)
    except BAD_JSON:
        return bytes(raw).decode()

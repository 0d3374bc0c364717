"""Reads a request of Google's dialect into a Conversation.

Google's calls have no ids of their own before Gemini 3: one without gets one from its name and place, and its answer
is found by its name, in order.

Rule: what is not understood stays raw: a part as OpaquePart, a field among the extras.
Rule: the turns of a model that follow each other are one turn: a client that kept a stream's chunks sends them so.
"""

from __future__ import annotations

from collections import defaultdict, deque
from itertools import groupby

import msgspec
from msgspec import Raw

from archflow_plugins.dialects.effort import BUDGETS
from archflow_plugins.dialects.gemini import wire
from archflow_plugins.dialects.gemini.media import ORIGIN, blob_part, file_part
from archflow_plugins.dialects.gemini.schemas import json_schema
from archflow_plugins.dialects.gemini.signatures import unpack
from archflow_plugins.dialects.gemini.spelling import camel
from archflow_plugins.dialects.json_body import encode, extras, part
from archflow_plugins.kinds import Head
from archflow_schema.conversation import (
    Conversation,
    Message,
    OpaquePart,
    Output,
    Part,
    Reasoning,
    ReasoningPart,
    Role,
    Sampling,
    TextPart,
    Tool,
    ToolCallPart,
    ToolChoice,
    ToolResultPart,
)
from archflow_schema.errors import ClientProtocolError

_decode_string = msgspec.json.Decoder(str | None).decode
_PLACED = frozenset({
    "contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "serviceTier", "model", "stream",
})  # fmt: skip
_GENERATION = frozenset(wire.GenerationConfig.__struct_encode_fields__)
_FORMS = frozenset({None, "", "text/plain", "application/json"})
_ROLES: dict[str, Role] = {"user": "user", "model": "assistant", "function": "user"}
_MODES = {"AUTO": "auto", "VALIDATED": "auto", "ANY": "required", "NONE": "none"}
_TEXT_KEYS = ("output", "result", "error")
"""The keys under which a function's answer is commonly put, when it is one text."""


def conversation(head: Head) -> Conversation:
    """The whole request, dialect-free.

    Raises:
        ClientProtocolError: it is not a request of this dialect.
    """
    fields = camel(head.fields, head.body)
    turns = _Turns()
    messages = turns.system(fields.get("systemInstruction"))
    messages += turns.read(fields.get("contents"))
    tools, others = _tools(fields.get("tools"))
    config, rest = _generation(fields.get("generationConfig"))
    behind = extras(fields, _PLACED)
    if others:
        behind.append(("tools", Raw(encode([{name: raw} for name, raw in others.items()]))))
    return Conversation(
        model=head.model,
        messages=tuple(messages),
        tools=tools,
        tool_choice=_choice(fields.get("toolConfig")),
        sampling=_sampling(config),
        reasoning=_reasoning(config.thinking_config),
        output=_output(config),
        stream=head.stream,
        service_tier=_tier(fields.get("serviceTier")),
        extras=(*behind, *rest),
    )


class _Turns:
    """Reads turns, and remembers the calls that still wait for their answers."""

    def __init__(self) -> None:
        self._calls = 0
        self._waiting: defaultdict[str, deque[str]] = defaultdict(deque)

    def system(self, raw: Raw | None) -> list[Message]:
        content = None if raw is None else part(wire.decode_content, raw, "`systemInstruction`")
        if content is None:
            return []
        assert raw is not None  # noqa: S101 - there was a content in it
        parts = self._parts(content, raw, 0)
        return [Message(role="system", parts=tuple(parts))] if parts else []

    def read(self, raw: Raw | None) -> list[Message]:
        if raw is None:
            raise ClientProtocolError("the request lacks `contents`")
        contents = part(wire.decode_contents, raw, "`contents`") or []
        found: list[Message] = []
        for index, content in enumerate([contents] if isinstance(contents, wire.Content) else contents):
            role = _ROLES.get(content.role or "user")
            if role is None:
                raise ClientProtocolError(f"`contents[{index}]` has a role that is neither user nor model")
            parts = self._parts(content, raw, index)
            if role == "assistant" and found and found[-1].role == "assistant":
                parts = [*found.pop().parts, *parts]
            found.append(Message(role=role, parts=tuple(parts)))
        return [
            Message(role=one.role, parts=tuple(_joined(one.parts)))
            if one.role == "assistant" and len(one.parts) > 1
            else one
            for one in found
        ]

    def _parts(self, content: wire.Content, raw: Raw, index: int) -> list[Part]:
        parts = content.parts
        if parts is None:
            return []
        found: list[Part] = []
        raws: list[Raw] | None = None
        for at, one in enumerate([parts] if isinstance(parts, wire.Part) else parts):
            if one.text and not one.thought and not one.thought_signature and one.function_call is None:
                found.append(TextPart(one.text))
                continue
            known = self._part(one, f"`contents[{index}].parts[{at}]`")
            if known is None:
                if raws is None:
                    raws = _raw_parts(raw, index)
                found.append(OpaquePart(_kind(raws[at]), raws[at]))
            else:
                found += known
        return found

    def _part(self, one: wire.Part, where: str) -> list[Part] | None:
        """The parts that one of Google's is; None if it is none that others know."""
        if one.function_call is not None:
            return [self._call(one.function_call, one.thought_signature or "", where)]
        if one.function_response is not None:
            return [self._answer(one.function_response, where)]
        if one.text is not None:
            return _text(one.text, one.thought_signature or "", thought=bool(one.thought))
        media = None
        if one.inline_data is not None:
            media = blob_part(one.inline_data)
        elif one.file_data is not None:
            media = file_part(one.file_data)
        elif one.thought_signature:
            return _text("", one.thought_signature, thought=False)
        return None if media is None else [media]

    def _call(self, call: wire.FunctionCall, signature: str, where: str) -> ToolCallPart:
        name = call.name or ""
        if not name:
            raise ClientProtocolError(f"{where} has a functionCall without a name")
        id_ = call.id or f"call_{name}_{self._calls}"
        self._calls += 1
        self._waiting[name].append(id_)
        arguments = bytes(call.args).decode("utf-8", "replace")
        proof, origin = _proof(signature)
        return ToolCallPart(
            id_, name, "{}" if arguments == "null" else arguments, signature=proof, origin=origin
        )

    def _answer(self, answer: wire.FunctionResponse, where: str) -> ToolResultPart:
        name = answer.name or ""
        waiting = self._waiting[name]
        if answer.id:
            if answer.id in waiting:
                waiting.remove(answer.id)
            id_ = answer.id
        elif waiting:
            id_ = waiting.popleft()
        else:
            raise ClientProtocolError(
                f"{where} answers the function '{name[:64]}', which was not called before"
            )
        parts = answer.parts
        media: list[Part] = []
        for one in [parts] if isinstance(parts, wire.ResponsePart) else parts or ():
            found = None
            if one.inline_data is not None:
                found = blob_part(one.inline_data)
            elif one.file_data is not None:
                found = file_part(one.file_data)
            if found is None:
                raise ClientProtocolError(
                    f"{where} has a part that is neither a picture, a sound nor a document"
                )
            media.append(found)
        text, failed = _answered(answer.response, where)
        texts = (TextPart(text),) if text else ()
        return ToolResultPart(id_, (*texts, *media), is_error=failed, name=name)


def _raw_parts(raw: Raw, index: int) -> list[Raw]:
    """The parts of one content as they came."""
    contents = wire.decode_raw_contents(raw)
    parts = (contents if isinstance(contents, wire.RawContent) else contents[index]).parts
    return wire.decode_raws(parts) if bytes(parts)[:1] == b"[" else [parts]


def _kind(raw: Raw) -> str:
    """The name of the field that says what a part is."""
    names = [name for name in wire.decode_object(raw) or () if name not in {"thought", "thoughtSignature"}]
    return names[0] if names else "empty"


def _proof(signature: str) -> tuple[str, str]:
    """What a signature proves and to whom: Google's own, or another's that was carried in it."""
    if not signature:
        return "", ""
    foreign = unpack(signature)
    return (foreign[1].signature, foreign[0]) if foreign is not None else (signature, ORIGIN)


def _text(text: str, signature: str, *, thought: bool) -> list[Part]:
    foreign = unpack(signature) if signature else None
    if foreign is not None:
        origin, proof = foreign
        own = ReasoningPart(
            text=proof.text or (text if thought else ""),
            signature=proof.signature,
            sealed=proof.sealed,
            id=proof.id,
            origin=origin,
        )
        return [own] if thought or not text else [TextPart(text), own]
    if thought:
        return [ReasoningPart(text=text, signature=signature, summary=True, origin=ORIGIN)]
    found: list[Part] = [TextPart(text)] if text else []
    if signature:
        found.append(ReasoningPart(signature=signature, origin=ORIGIN))
    return found


def _joined(parts: tuple[Part, ...]) -> list[Part]:
    """The parts of a model's turn, with pieces of one text, and of one thought and its proof, made whole."""
    found: list[Part] = []
    for kind, run in groupby(parts, type):
        if kind is TextPart:
            found.append(TextPart("".join(one.text for one in run)))  # type: ignore[union-attr]
        elif kind is ReasoningPart:
            found += _thoughts([one for one in run if isinstance(one, ReasoningPart)])
        else:
            found += run
    return found


def _thoughts(run: list[ReasoningPart]) -> list[Part]:
    """Thoughts without a proof belong to the next one with a foreign proof; Google's own stay as they came."""
    found: list[Part] = []
    pending: list[ReasoningPart] = []
    for one in run:
        if one.origin == ORIGIN:
            pending.append(one)
        else:
            text = one.text or "".join(before.text for before in pending)
            pending.clear()
            found.append(msgspec.structs.replace(one, text=text))
    return [*found, *pending]


def _answered(raw: Raw, where: str) -> tuple[str, bool]:
    """What a function answered, as text, and whether it failed."""
    if bytes(raw) == b"null":
        return "", False
    response = part(wire.decode_object, raw, f"{where}.functionResponse.response") or {}
    failed = list(response) == ["error"]
    if len(response) == 1:
        name, value = next(iter(response.items()))
        if name in _TEXT_KEYS:
            data = bytes(value)
            return (
                msgspec.json.decode(data) if data[:1] == b'"' else data.decode("utf-8", "replace")
            ), failed
    return (bytes(raw).decode("utf-8", "replace") if response else ""), failed


def _tools(raw: Raw | None) -> tuple[tuple[Tool, ...], dict[str, Raw]]:
    """The functions, and by name the tools that Google runs, as they came."""
    if raw is None or bytes(raw) == b"null":
        return (), {}
    data = bytes(raw)
    items = part(wire.decode_tools, Raw(data if data[:1] == b"[" else b"[%b]" % data), "`tools`") or []
    functions: list[Tool] = []
    others: dict[str, Raw] = {}
    for index, item in enumerate(items):
        where = f"`tools[{index}]`"
        tool = part(wire.decode_tool, item, where)
        declared = tool.function_declarations
        functions += [
            Tool(name=one.name, description=one.description or "", parameters=_parameters(one, where))
            for one in ([declared] if isinstance(declared, wire.FunctionDeclaration) else declared or ())
        ]
        named = part(wire.decode_object, item, where) or {}
        others |= {
            name: value
            for name, value in named.items()
            if name != "functionDeclarations" and bytes(value) != b"null"
        }
    return tuple(functions), others


def _parameters(one: wire.FunctionDeclaration, where: str) -> Raw:
    if bytes(one.parameters_json_schema) != b"null":
        return one.parameters_json_schema
    if bytes(one.parameters) == b"null":
        return Raw(b"{}")
    return Raw(part(json_schema, one.parameters, f"{where}.functionDeclarations.parameters"))


def _choice(raw: Raw | None) -> ToolChoice | None:
    config = None if raw is None else part(wire.decode_tool_config, raw, "`toolConfig`")
    calling = config and config.function_calling_config
    if not calling or not calling.mode or calling.mode == "MODE_UNSPECIFIED":
        return None
    mode = _MODES.get(calling.mode.upper())
    allowed = tuple(calling.allowed_function_names or ())
    match mode:
        case "required" if len(allowed) == 1:
            return ToolChoice("named", allowed[0])
        case "auto" | "required" | "none":
            return ToolChoice(mode, allowed=allowed)
        case _:
            raise ClientProtocolError(
                f"`toolConfig.functionCallingConfig.mode` is none of {', '.join(_MODES)}"
            )


def _generation(raw: Raw | None) -> tuple[wire.GenerationConfig, tuple[tuple[str, Raw], ...]]:
    """The generationConfig, and those of its fields that no other dialect knows."""
    config = None if raw is None else part(wire.decode_generation, raw, "`generationConfig`")
    if config is None or raw is None:
        return wire.GenerationConfig(), ()
    known = _GENERATION if config.response_mime_type in _FORMS else _GENERATION - {"responseMimeType"}
    return config, tuple(item for item in (wire.decode_object(raw) or {}).items() if item[0] not in known)


def _sampling(config: wire.GenerationConfig) -> Sampling:
    return Sampling(
        max_tokens=config.max_output_tokens,
        temperature=config.temperature,
        top_p=config.top_p,
        top_k=None if config.top_k is None else int(config.top_k),
        stop=tuple(config.stop_sequences or ()),
        seed=config.seed,
        n=config.candidate_count,
        presence_penalty=config.presence_penalty,
        frequency_penalty=config.frequency_penalty,
        logprobs=config.response_logprobs,
        top_logprobs=config.logprobs,
    )


def _reasoning(config: wire.ThinkingConfig | None) -> Reasoning | None:
    if config is None:
        return None
    budget, effort = config.thinking_budget, (config.thinking_level or "").lower()
    shown = bool(config.include_thoughts)
    return Reasoning(
        mode="" if budget is None else "off" if budget == 0 else "adaptive" if budget < 0 else "on",
        effort=effort if effort in BUDGETS else "",
        budget=budget if budget is not None and budget > 0 else None,
        summary="auto" if shown else "",
        hidden=not shown,
    )


def _output(config: wire.GenerationConfig) -> Output | None:
    kind = config.response_mime_type or ""
    if kind not in _FORMS:
        return None
    for raw, convert in ((config.response_json_schema, Raw), (config.response_schema, json_schema)):
        if bytes(raw) != b"null":
            return Output(
                form="json_schema", schema=Raw(part(convert, raw, "`generationConfig.responseSchema`"))
            )
    if kind == "application/json":
        return Output(form="json")
    return Output(form="text") if kind == "text/plain" else None


def _tier(raw: Raw | None) -> str:
    if raw is None:
        return ""
    tier = part(_decode_string, raw, "`serviceTier`") or ""
    return "" if tier == "unspecified" else tier

"""A request of Messages -> a conversation.

Rule: a field that is unknown here, or that says something unknown, goes into the extras as it came: Anthropic adds some
every few weeks, and none of them may make a client of ours fail.
Rule: tools that Anthropic's servers run are no functions. Offered, they are extras; forced, so is the choice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec
from msgspec import Raw, Struct

from archflow_plugins.dialects.anthropic_messages.decode_blocks import (
    NULL,
    Cache,
    cache_mark,
    content_parts,
)
from archflow_plugins.dialects.anthropic_messages.words import SERVED, TIER_OF_WORD
from archflow_plugins.dialects.json_body import decoded, encode, extras, part, schema_of, typed
from archflow_plugins.kinds import Head
from archflow_schema.conversation import (
    Conversation,
    Message,
    Output,
    Reasoning,
    Role,
    Sampling,
    TextPart,
    Tool,
    ToolChoice,
)
from archflow_schema.errors import ClientProtocolError

T = TypeVar("T")

PLACED = frozenset({
    "model", "stream", "messages", "system", "tools", "tool_choice", "max_tokens", "temperature", "top_p", "top_k",
    "stop_sequences", "thinking", "output_config", "output_format", "metadata", "service_tier",
})  # fmt: skip
_ROLES: dict[str, Role] = {"user": "user", "assistant": "assistant", "system": "system"}
_HOW = frozenset({"thinking", "output_config", "output_format"})
_NO_TOOLS: tuple[tuple[Tool, ...], frozenset[str]] = ((), frozenset())


class _Message(Struct):
    role: str
    content: str | list[Raw] | None


class _Tool(Struct):
    name: str | None = None
    type: str | None = None
    description: str | None = None
    input_schema: Raw = NULL
    strict: bool | None = None
    cache_control: Cache | None = None
    input_examples: Raw = NULL
    defer_loading: Raw = NULL
    eager_input_streaming: Raw = NULL
    allowed_callers: Raw = NULL


class _Choice(Struct):
    type: str = ""
    name: str = ""
    disable_parallel_tool_use: bool | None = None


class _Thinking(Struct):
    type: str = ""
    budget_tokens: int | None = None
    display: str | None = None


class _Format(Struct):
    type: str = ""
    name: str | None = None
    schema: Raw = NULL


_decode_messages = msgspec.json.Decoder(list[_Message]).decode
_decode_system = msgspec.json.Decoder(str | list[Raw] | None).decode
_decode_tools = msgspec.json.Decoder(list[Raw] | None).decode
_decode_tool = msgspec.json.Decoder(_Tool).decode
_decode_choice = msgspec.json.Decoder(_Choice | None).decode
_decode_thinking = msgspec.json.Decoder(_Thinking | None).decode
_decode_fields = msgspec.json.Decoder(dict[str, Raw] | None).decode
_decode_format = msgspec.json.Decoder(_Format | None).decode
_decode_string = msgspec.json.Decoder(str | None).decode
_decode_integer = msgspec.json.Decoder(int | None).decode
_decode_number = msgspec.json.Decoder(float | None).decode
_SCALARS: dict[str, Callable[[Raw], object]] = {
    "max_tokens": _decode_integer,
    "temperature": _decode_number,
    "top_p": _decode_number,
    "top_k": _decode_integer,
    "stop_sequences": msgspec.json.Decoder(tuple[str, ...] | None).decode,
    "service_tier": _decode_string,
}

_TOOL_NOTES = (
    "tools[].input_examples", "tools[].defer_loading", "tools[].eager_input_streaming", "tools[].allowed_callers",
)  # fmt: skip
"""Fields of a function that say how Anthropic shall serve it; the function is the same without."""
_SAY_NOTHING = frozenset({b"null", b"false", b"[]", b'["direct"]'})
_THINKING = {"enabled": "on", "disabled": "off", "adaptive": "adaptive", "between_tools": "adaptive"}

Extras = list[tuple[str, Raw]]


def decode_request(head: Head) -> Conversation:
    """The whole request, dialect-free.

    Raises:
        ClientProtocolError: not a request of Messages; the text says where.
    """
    fields = head.fields
    aside: list[Raw] = []
    messages: list[Message] = []
    if "system" in fields:
        system = content_parts(decoded(_decode_system, head, "system"), "`system`", aside)
        if system:
            messages.append(Message(role="system", parts=tuple(system)))
    for index, message in enumerate(decoded(_decode_messages, head, "messages")):
        role, content = _ROLES.get(message.role), message.content
        if role is None:
            raise ClientProtocolError(
                f"`messages[{index}]` has a role that is neither user nor assistant nor system"
            )
        if type(content) is str:
            messages.append(Message(role=role, parts=(TextPart(content),)))
        else:
            parts = content_parts(content, f"`messages[{index}]`", aside)
            messages.append(Message(role=role, parts=tuple(parts)))
    rest: Extras = extras(fields, PLACED)
    if aside:
        rest.append((SERVED, Raw(encode(aside))))
    tools, served = _tools(fields, rest) if "tools" in fields else _NO_TOOLS
    choice, parallel = _tool_choice(fields, tools, served, rest) if "tool_choice" in fields else (None, None)
    user, metadata = _metadata(fields) if "metadata" in fields else ("", ())
    reasoning, output = (None, None) if _HOW.isdisjoint(fields) else _how(fields, rest)
    said = typed(fields, _SCALARS)
    tier = said.get("service_tier") or ""
    return Conversation(
        model=head.model,
        messages=tuple(messages),
        tools=tools,
        tool_choice=choice,
        parallel_tool_calls=parallel,
        sampling=Sampling(
            max_tokens=said.get("max_tokens"),
            temperature=said.get("temperature"),
            top_p=said.get("top_p"),
            top_k=said.get("top_k"),
            stop=said.get("stop_sequences") or (),
        ),
        reasoning=reasoning,
        output=output,
        stream=head.stream,
        user=user,
        metadata=metadata,
        service_tier=TIER_OF_WORD.get(tier, tier),
        extras=tuple(rest),
    )


def _optional(decode: Callable[[Raw], T | None], fields: dict[str, Raw], name: str) -> T | None:
    raw = fields.get(name)
    return None if raw is None else part(decode, raw, f"`{name}`")


def _tools(fields: dict[str, Raw], rest: Extras) -> tuple[tuple[Tool, ...], frozenset[str]]:
    """The functions, and the names of the tools that Anthropic's servers run."""
    own: list[Tool] = []
    served: list[Raw] = []
    names: set[str] = set()
    notes: dict[str, Raw] = {}
    for index, raw in enumerate(_optional(_decode_tools, fields, "tools") or ()):
        tool = part(_decode_tool, raw, f"`tools[{index}]`")
        if tool.type not in {None, "custom"}:
            served.append(raw)
            names.add(tool.name or "")
            continue
        if not tool.name:
            raise ClientProtocolError(f"`tools[{index}]` lacks `name`")
        told = (tool.input_examples, tool.defer_loading, tool.eager_input_streaming, tool.allowed_callers)
        for note, value in zip(_TOOL_NOTES, told, strict=True):
            if value is not NULL and bytes(value) not in _SAY_NOTHING:
                notes.setdefault(note, value)
        own.append(
            Tool(
                name=tool.name,
                description=tool.description or "",
                parameters=schema_of(tool.input_schema),
                strict=tool.strict,
                cache=cache_mark(tool.cache_control),
            )
        )
    rest += notes.items()
    if served:
        rest.append(("tools", Raw(encode(served))))
    return tuple(own), frozenset(names)


def _tool_choice(
    fields: dict[str, Raw], tools: tuple[Tool, ...], served: frozenset[str], rest: Extras
) -> tuple[ToolChoice | None, bool | None]:
    """Whether and which to call, and whether several at once."""
    told = _optional(_decode_choice, fields, "tool_choice")
    if told is None:
        return None, None
    several = None if told.disable_parallel_tool_use is None else not told.disable_parallel_tool_use
    names = {tool.name for tool in tools}
    match told.type:
        case "auto" | "none":
            return (ToolChoice(told.type), several) if tools or not served else (None, None)
        case "any" if tools or not served:
            return ToolChoice("required"), several
        case "tool" if told.name in names or told.name not in served:
            return ToolChoice("named", told.name), several
    rest.append(("tool_choice", fields["tool_choice"]))
    return None, several if tools else None


def _metadata(fields: dict[str, Raw]) -> tuple[str, tuple[tuple[str, str], ...]]:
    """The end user, and other labels."""
    told = _optional(_decode_fields, fields, "metadata")
    if not told:
        return "", ()
    user = _optional(_decode_string, told, "user_id") or ""
    labels = ((name, raw) for name, raw in told.items() if name != "user_id")
    return user, tuple((name, _label(raw)) for name, raw in labels)


def _label(raw: Raw) -> str:
    """The text of a label; one that is no text is kept as its JSON."""
    text = bytes(raw).decode()
    return str(msgspec.json.decode(raw)) if text.startswith('"') else text


def _how(fields: dict[str, Raw], rest: Extras) -> tuple[Reasoning | None, Output | None]:
    """How to think, and which form the answer shall have."""
    thinking = _optional(_decode_thinking, fields, "thinking")
    config = _optional(_decode_fields, fields, "output_config") or {}
    effort = _optional(_decode_string, config, "effort") or ""
    form = _optional(_decode_format, config, "format") or _optional(_decode_format, fields, "output_format")
    rest += [
        (f"output_config.{name}", raw) for name, raw in config.items() if name not in {"effort", "format"}
    ]
    output = None
    if form is not None and form.type == "json_schema":
        output = Output(form="json_schema", name=form.name or "", schema=form.schema)
    elif form is not None:
        rest.append(("output_config.format", Raw(encode(form.type))))
    mode = _THINKING.get(thinking.type, "") if thinking is not None else ""
    if thinking is not None and not mode:
        rest.append(("thinking", fields["thinking"]))
    if not mode and not effort:
        return None, output
    display = thinking.display if thinking is not None else None
    return (
        Reasoning(
            mode=mode,  # type: ignore[arg-type]
            effort=effort,
            budget=thinking.budget_tokens if thinking is not None and mode == "on" else None,
            summary="auto" if display == "summarized" else "",
            hidden=display == "omitted",
        ),
        output,
    )

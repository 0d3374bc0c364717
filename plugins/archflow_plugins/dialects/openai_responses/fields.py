"""A request of the Responses API, read into a Conversation.

Source: OpenAI's API reference and its Python client 3.57, 2026-11.

Rule: what is stored stands in the input before this reads it; `store` itself is the gateway's business.
Rule: an `include` that others can answer is a feature; what is left of it, and every unknown field, goes into extras.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Raw, Struct

from archflow_plugins.dialects.json_body import BAD_JSON, encode, extras, typed
from archflow_plugins.dialects.openai_responses import items, tools
from archflow_plugins.kinds import Head
from archflow_schema.conversation import (
    Conversation,
    Message,
    Output,
    Reasoning,
    Sampling,
    TextPart,
    Tool,
    ToolChoice,
)
from archflow_schema.errors import ClientProtocolError

LOGPROBS = "message.output_text.logprobs"
SEALED = "reasoning.encrypted_content"
_PLACED = frozenset({
    "model", "stream", "input", "instructions", "tools", "tool_choice", "parallel_tool_calls", "text", "reasoning",
    "max_output_tokens", "temperature", "top_p", "top_logprobs", "include", "metadata", "prompt_cache_key",
    "safety_identifier", "user", "service_tier", "store",
})  # fmt: skip


class _Format(Struct):
    type: str = "text"
    name: str | None = None
    description: str | None = None
    schema: Raw = Raw(b"{}")
    strict: bool | None = None


class _Text(Struct):
    format: _Format | None = None
    verbosity: str | None = None


class _Reasoning(Struct):
    effort: str | None = None
    summary: str | None = None
    generate_summary: str | None = None


_string = msgspec.json.Decoder(str | None).decode
_number = msgspec.json.Decoder(float | None).decode
_integer = msgspec.json.Decoder(int | None).decode
_include = msgspec.json.Decoder(list[str] | None).decode
_DECODERS: dict[str, Callable[[Raw], Any]] = {
    "instructions": _string,
    "parallel_tool_calls": msgspec.json.Decoder(bool | None).decode,
    "text": msgspec.json.Decoder(_Text | None).decode,
    "reasoning": msgspec.json.Decoder(_Reasoning | None).decode,
    "max_output_tokens": _integer,
    "temperature": _number,
    "top_p": _number,
    "top_logprobs": _integer,
    "metadata": msgspec.json.Decoder(dict[str, str] | None).decode,
    "prompt_cache_key": _string,
    "safety_identifier": _string,
    "user": _string,
    "service_tier": _string,
}


def decode(head: Head) -> Conversation:
    """The request, dialect-free.

    Raises:
        ClientProtocolError: it is not one of this dialect; the text says where.
    """
    fields = head.fields
    read = items.read(head)
    messages = read.messages
    said = typed(fields, _DECODERS)
    if said.get("instructions"):
        messages.insert(0, Message(role="system", parts=(TextPart(said["instructions"]),)))
    behind = extras(fields, _PLACED) + read.behind
    offered: tuple[Tool, ...] = ()
    if read.tools or "tools" in fields:
        found = tools.offered(_lists(head, read))
        offered = tuple(found.tools)
        if found.others:
            behind.append(("tools", Raw(encode(found.others))))
    choice = tools.choice(fields["tool_choice"]) if "tool_choice" in fields else None
    if isinstance(choice, Raw):
        behind.append(("tool_choice", choice))
        choice = None
    included: list[str] = []
    if "include" in fields:
        included, unknown = _included(fields["include"])
        if unknown is not None:
            behind.append(("include", unknown))
    text: _Text | None = said.get("text")
    return Conversation(
        model=head.model,
        messages=tuple(messages),
        tools=offered,
        tool_choice=choice if isinstance(choice, ToolChoice) else None,
        parallel_tool_calls=said.get("parallel_tool_calls"),
        sampling=Sampling(
            max_tokens=said.get("max_output_tokens"),
            temperature=said.get("temperature"),
            top_p=said.get("top_p"),
            logprobs=True if LOGPROBS in included else None,
            top_logprobs=said.get("top_logprobs"),
        ),
        reasoning=_thinking(said.get("reasoning") or _Reasoning(), read.effort)
        if read.effort or "reasoning" in said
        else None,
        output=_output(text.format) if text is not None and text.format is not None else None,
        stream=head.stream,
        user=said.get("safety_identifier") or said.get("user") or "",
        service_tier=said.get("service_tier") or "",
        cache_key=said.get("prompt_cache_key") or "",
        verbosity=(text and text.verbosity) or "",
        metadata=tuple(said["metadata"].items()) if said.get("metadata") else (),
        extras=tuple(behind),
    )


def calls(head: Head) -> dict[str, tools.Called]:
    """Flat name -> how a call to that tool is written, for every tool of a request that is no plain function."""
    return tools.offered(_lists(head, items.read(head))).calls


def _lists(head: Head, read: items.Read) -> list[tuple[Raw, str]]:
    """The lists of tools of a request, with their places."""
    return [(head.fields["tools"], "tools"), *read.tools] if "tools" in head.fields else read.tools


def _included(raw: Raw) -> tuple[list[str], Raw | None]:
    """What `include` asks for that is a feature here, and the rest of it as extras keep it."""
    try:
        asked = _include(raw) or []
    except BAD_JSON:
        return [], raw
    unknown = [one for one in asked if one not in {LOGPROBS, SEALED}]
    return asked, Raw(encode(unknown)) if unknown else None


def _thinking(said: _Reasoning, newer: str) -> Reasoning | None:
    effort = newer or said.effort or ""
    summary = said.summary or said.generate_summary or ""
    if not effort and not summary:
        return None
    if effort == "none":
        return Reasoning(mode="off", effort="none", summary=summary)
    return Reasoning(mode="on" if effort else "", effort=effort, summary=summary)


def _output(said: _Format) -> Output:
    if said.type == "json_schema":
        return Output(
            form="json_schema",
            name=said.name or "",
            description=said.description or "",
            schema=said.schema,
            strict=said.strict,
        )
    if said.type == "json_object":
        return Output(form="json")
    if said.type == "text":
        return Output(form="text")
    raise ClientProtocolError("`text.format.type` must be text, json_object or json_schema")

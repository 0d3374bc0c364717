"""What stands in the `input` of a request: its items and their parts, as they are read.

Source: OpenAI's API reference and its Python client 3.57, 2026-11; what Codex 0.169 sends, seen on the wire.

Items are read in one pass into one Struct for all of their types. Only items of types that are not listed here may have
fields of the same names with other types; they are then read one by one, and those are kept as they came.

Rule: `null` for an optional field is the same as its absence.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw, Struct

from archflow_plugins.dialects.json_body import BAD_JSON, decode_fields, part
from archflow_plugins.kinds import Head
from archflow_schema.errors import ClientProtocolError

NULL = Raw(b"null")


class Sound(Struct, frozen=True):
    """Sound, as base64."""

    data: str = ""
    format: str = ""


class Breakpoint(Struct, frozen=True):
    """Up to where a prompt is worth caching."""

    ttl: str | None = None


class Part(Struct, frozen=True):
    """One part of a message, a tool's answer, a summary or thoughts."""

    type: str
    text: str | None = None
    image_url: str | None = None
    detail: str | None = None
    file_id: str | None = None
    file_data: str | None = None
    file_url: str | None = None
    filename: str | None = None
    refusal: str | None = None
    annotations: list[Raw] | None = None
    input_audio: Sound | None = None
    prompt_cache_breakpoint: Breakpoint | None = None


class Effort(Struct, frozen=True):
    """What a change of configuration in mid-conversation says of reasoning."""

    effort: str | None = None


class Item(Struct, frozen=True):
    """One item of the input, of any type."""

    type: str | None = None
    role: str | None = None
    content: str | list[Part] | None = None
    id: str | None = None
    call_id: str | None = None
    name: str | None = None
    namespace: str | None = None
    arguments: Raw = NULL
    input: str | None = None
    output: str | list[Part] | None = None
    summary: list[Part] | None = None
    encrypted_content: str | None = None
    action: Raw = NULL
    tools: Raw = NULL
    reasoning: Effort | None = None
    author: str | None = None


class _Type(Struct):
    type: str | None = None
    role: str | None = None


KNOWN = frozenset({
    "message", "reasoning", "function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output",
    "local_shell_call", "local_shell_call_output", "tool_search_call", "tool_search_output", "additional_tools",
    "configuration_update", "item_reference", "agent_message",
})  # fmt: skip
"""The types of items that mean something in other dialects, too."""

_decode_input = msgspec.json.Decoder(str | list[Item]).decode
_decode_item = msgspec.json.Decoder(Item).decode
_decode_type = msgspec.json.Decoder(_Type).decode
decode_raws = msgspec.json.Decoder(list[Raw]).decode


def items_of(head: Head) -> str | list[Item]:
    """The items of a request's `input`, or its text. Read once, whoever asks.

    Raises:
        ClientProtocolError: it is neither, or an item is not what its type says; the text says where.
    """
    items: str | list[Item] | None = head.memo.get("items")
    if items is None:
        items = head.memo["items"] = _items(head.fields["input"]) if "input" in head.fields else []
    return items


def _items(raw: Raw) -> str | list[Item]:
    try:
        items: str | list[Item] = _decode_input(raw)
    except msgspec.ValidationError:
        return _one_by_one(raw)
    except BAD_JSON as error:
        raise ClientProtocolError(f"`input` is not understood: {error}") from error
    return items


def raw_part(raw: Raw, item: int, field: str, index: int) -> Raw:
    """One part as it came: `field` is `content` or `output` of an item of an `input` that `items_of` has read."""
    return decode_raws(decode_fields(decode_raws(raw)[item])[field])[index]


def _one_by_one(raw: Raw) -> list[Item]:
    try:
        raws = decode_raws(raw)
    except BAD_JSON as error:
        raise ClientProtocolError("`input` must be a string or a list of items") from error
    items: list[Item] = []
    for index, one in enumerate(raws):
        where = f"`input[{index}]`"
        found = part(_decode_type, one, where)
        if (found.type or "message") in KNOWN:
            items.append(part(_decode_item, one, where))
        else:
            items.append(Item(type=found.type))
    return items

"""snake_case -> camelCase: Google's servers take a request in either spelling, so clients send both.

Only the names of the format itself are renamed, at the places where they stand: what a client put into a function's
arguments, its answer or a schema is not ours to touch.

Invariant: a request without a name in snake_case is not looked at twice.
Rule: depth is bounded, so that nested lists from a stranger cost no more than their length times DEPTH.
"""

from __future__ import annotations

import re

import msgspec
from msgspec import Raw

from archflow_plugins.dialects.gemini import wire
from archflow_plugins.dialects.json_body import BAD_JSON, decode_fields, encode

DEPTH = 9
"""How deep the format's own objects nest: contents, parts, functionResponse, parts, inlineData, each with a list."""
_SHUT = frozenset({
    "args", "response", "parameters", "parametersJsonSchema", "responseSchema", "responseJsonSchema", "labels",
    "partMetadata",
})  # fmt: skip
"""What holds the client's own names."""
_OTHERS = (
    "system_instruction", "generation_config", "tool_config", "safety_settings", "cached_content", "service_tier",
    "function_declarations", "video_metadata", "executable_code", "code_execution_result", "media_resolution",
    "response_modalities", "speech_config", "google_search", "code_execution", "url_context", "google_maps",
    "google_search_retrieval", "computer_use", "file_search", "image_config", "start_offset", "end_offset",
)  # fmt: skip


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


_STRUCTS = (
    wire.Blob, wire.FileData, wire.FunctionCall, wire.FunctionResponse, wire.Part, wire.FunctionDeclaration,
    wire.Tool, wire.FunctionCallingConfig, wire.ToolConfig, wire.ThinkingConfig, wire.GenerationConfig,
)  # fmt: skip
CAMEL: dict[str, str] = {
    name: _camel(name)
    for name in (*_OTHERS, *(field for struct in _STRUCTS for field in struct.__struct_fields__))
    if "_" in name
}
"""Names in snake_case -> as the reference spells them."""
_TAIL = re.compile(rb'_[a-z]+"\s*:')
"""How a name in snake_case ends; found quickly, as few bytes of a request are an underscore."""
_SNAKE = re.compile(rb'"(?:' + "|".join(sorted(CAMEL)).encode() + rb')"\s*:')
_items = msgspec.json.Decoder(list[Raw]).decode


def camel(fields: dict[str, Raw], body: bytes) -> dict[str, Raw]:
    """A request's top-level fields in the spelling of the reference; `fields` itself if they are."""
    return _renamed(fields, DEPTH) if _spelt(body) else fields


def _spelt(data: bytes) -> bool:
    """Whether a name of the format stands in it in snake_case."""
    return bool(_TAIL.search(data) and _SNAKE.search(data))


def _renamed(fields: dict[str, Raw], depth: int) -> dict[str, Raw]:
    renamed: dict[str, Raw] = {}
    for name, raw in fields.items():
        known = CAMEL.get(name, name)
        renamed[known] = raw if known in _SHUT else _inside(raw, depth)
    return renamed


def _inside(raw: Raw, depth: int) -> Raw:
    data = bytes(raw)
    if depth == 0 or not _spelt(data):
        return raw
    try:
        if data[:1] == b"{":
            return Raw(encode(_renamed(decode_fields(data), depth - 1)))
        if data[:1] == b"[":
            return Raw(encode([_inside(item, depth - 1) for item in _items(data)]))
    except BAD_JSON:
        pass  # whoever reads it says what is wrong with it
    return raw

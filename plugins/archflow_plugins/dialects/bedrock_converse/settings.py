"""The fields of a Converse request beside its messages and tools: what is said with them, and what stays behind.

`additionalModelRequestFields` passes a model's own parameters through. Those that other dialects know too (thinking,
top-k, Anthropic's tool choice) are understood; the rest stays as it came, under the field's name.

Source: botocore's service model of bedrock-runtime, 1.44 (2026-11); Amazon Bedrock User Guide, 2026-11.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import Raw, Struct

from archflow_plugins.dialects.json_body import BAD_JSON, decoded, encode, extras
from archflow_plugins.kinds import Head
from archflow_schema.conversation import Output, Reasoning, Sampling, ToolChoice
from archflow_schema.errors import ClientProtocolError

_EXTRA = "additionalModelRequestFields"
_PLACED = frozenset({
    "messages", "system", "toolConfig", "tools", "inferenceConfig", "requestMetadata", "serviceTier", "outputConfig",
    _EXTRA,
})  # fmt: skip


class _Inference(Struct, rename="camel"):
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop_sequences: list[str] | None = None


class _Tier(Struct):
    type: str | None = None


class _JsonSchema(Struct):
    schema: str
    name: str | None = None
    description: str | None = None


class _Structure(Struct, rename="camel"):
    json_schema: _JsonSchema | None = None


class _Format(Struct):
    structure: _Structure | None = None


class _Output(Struct, rename="camel"):
    text_format: _Format | None = None
    effort: str | None = None


class _Thinking(Struct):
    type: Literal["enabled", "disabled", "adaptive"]
    budget_tokens: int | None = None
    display: str | None = None


class _ReasoningConfig(Struct, rename="camel"):
    type: Literal["enabled", "disabled"]
    max_reasoning_effort: str | None = None


class _TopK(Struct, rename="camel", forbid_unknown_fields=True):
    top_k: int


class _ToolModes(Struct):
    type: Literal["auto", "any", "tool", "none"]
    name: str = ""
    disable_parallel_tool_use: bool | None = None


_decode_inference = msgspec.json.Decoder(_Inference | None).decode
_decode_tier = msgspec.json.Decoder(_Tier | None).decode
_decode_output = msgspec.json.Decoder(_Output | None).decode
_decode_metadata = msgspec.json.Decoder(dict[str, str] | None).decode
_decode_own = msgspec.json.Decoder(dict[str, Raw] | None).decode
_MODES: dict[str, Any] = {"enabled": "on", "disabled": "off", "adaptive": "adaptive"}
_CHOICES: dict[str, Any] = {"auto": "auto", "any": "required", "tool": "named", "none": "none"}


def decode_settings(head: Head) -> dict[str, Any]:
    """Fields of a Conversation, by name; only those that were said, and `extras`.

    Raises:
        ClientProtocolError: one is of another type.
    """
    fields = head.fields
    said: dict[str, Any] = {}
    sampling: dict[str, Any] = {}
    thinking: dict[str, Any] = {}
    behind = extras(fields, _PLACED)
    if "inferenceConfig" in fields:
        _inference(decoded(_decode_inference, head, "inferenceConfig"), sampling)
    if "outputConfig" in fields:
        _output(decoded(_decode_output, head, "outputConfig"), said, thinking)
    if "serviceTier" in fields:
        tier = decoded(_decode_tier, head, "serviceTier")
        said["service_tier"] = (tier and tier.type) or ""
    if "requestMetadata" in fields:
        said["metadata"] = tuple((decoded(_decode_metadata, head, "requestMetadata") or {}).items())
    if _EXTRA in fields:
        own = dict(decoded(_decode_own, head, _EXTRA) or {})
        _own(own, said, sampling, thinking)
        if own:
            behind.append((_EXTRA, Raw(encode(own))))
    if sampling:
        said["sampling"] = Sampling(**sampling)
    if thinking:
        said["reasoning"] = Reasoning(**thinking)
    said["extras"] = tuple(behind)
    return said


def _inference(told: _Inference | None, sampling: dict[str, Any]) -> None:
    if told is None:
        return
    sampling |= {
        "max_tokens": told.max_tokens,
        "temperature": told.temperature,
        "top_p": told.top_p,
        "stop": tuple(told.stop_sequences or ()),
    }


def _output(told: _Output | None, said: dict[str, Any], thinking: dict[str, Any]) -> None:
    if told is None:
        return
    if told.effort:
        thinking["effort"] = told.effort
    schema = told.text_format and told.text_format.structure and told.text_format.structure.json_schema
    if schema:
        said["output"] = Output(
            form="json_schema",
            name=schema.name or "",
            description=schema.description or "",
            schema=_schema(schema.schema),
            strict=True,
        )


def _schema(text: str) -> Raw:
    """A JSON Schema, which Converse takes as the text of one."""
    try:
        msgspec.json.decode(text, type=dict[str, Raw])
        return Raw(encode(msgspec.json.decode(text)))
    except BAD_JSON as error:
        raise ClientProtocolError(
            f"`outputConfig.textFormat.structure.jsonSchema.schema` is not the text of a JSON Schema: {error}"
        ) from error


def _own(
    own: dict[str, Raw], said: dict[str, Any], sampling: dict[str, Any], thinking: dict[str, Any]
) -> None:
    """Take out of a model's own parameters what other dialects know too."""
    for name in ("top_k", "k", "topK"):
        top_k = _take(own, name, int)
        if top_k is not None:
            sampling["top_k"] = top_k
    nested = _take(own, "inferenceConfig", _TopK)
    if nested is not None:
        sampling["top_k"] = nested.top_k
    claude = _take(own, "thinking", _Thinking)
    if claude is not None:
        thinking |= {"mode": _MODES[claude.type], "budget": claude.budget_tokens}
        thinking |= {"summary": "auto"} if claude.display == "summarized" else {}
        thinking |= {"hidden": True} if claude.display == "omitted" else {}
    nova = _take(own, "reasoningConfig", _ReasoningConfig)
    if nova is not None:
        thinking |= {"mode": _MODES[nova.type], "effort": nova.max_reasoning_effort or ""}
    effort = _take(own, "reasoning_effort", str)
    if effort is not None:
        thinking["effort"] = effort
    modes = _take(own, "tool_choice", _ToolModes)
    if modes is not None:
        said["tool_choice"] = ToolChoice(_CHOICES[modes.type], modes.name)
        if modes.disable_parallel_tool_use is not None:
            said["parallel_tool_calls"] = not modes.disable_parallel_tool_use


def _take(own: dict[str, Raw], name: str, kind: Any) -> Any:
    """A parameter, removed if it has the form that is known; else it stays, for it means something else."""
    if name not in own:
        return None
    try:
        value = msgspec.json.decode(own[name], type=kind)
    except BAD_JSON:
        return None
    del own[name]
    return value

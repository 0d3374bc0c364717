"""A conversation -> a request of Messages.

Rule: turns alternate, the results of tools lead a user's turn, instructions stand before all turns: whatever order the
client used, Anthropic gets its own.
Rule: a model that thinks can neither be forced to call a tool nor be given a temperature, and an older one must see
its own thoughts before the calls that it answers. What of this the client asked for in passing is left out and named.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Raw, Struct

from archflow_plugins.dialects.anthropic_messages.encode_blocks import (
    Cache,
    RedactedThinking,
    Text,
    Thinking,
    ToolResult,
    cache_control,
)
from archflow_plugins.dialects.anthropic_messages.generations import Generation, generation_of
from archflow_plugins.dialects.anthropic_messages.thinking import Plan, Thought, think
from archflow_plugins.dialects.anthropic_messages.turns import Turn, Turns
from archflow_plugins.dialects.anthropic_messages.words import WORD_OF_TIER
from archflow_plugins.dialects.closed_schemas import closed
from archflow_plugins.dialects.json_body import BAD_JSON, decode_fields, encode
from archflow_plugins.translation import CannotExpress, Encoded
from archflow_schema.conversation import Conversation, Sampling, Tool
from archflow_schema.errors import ClientProtocolError

MAX_TOKENS = 4096
"""The longest answer where the client did not say; Anthropic must be told."""
_ONLY_JSON = "Answer with one JSON object and nothing else, without a code fence around it."
_CHOICES = {"auto": "auto", "none": "none", "required": "any", "named": "tool"}


class _Tool(Struct, frozen=True, omit_defaults=True):
    name: str
    input_schema: Raw
    description: str | None = None
    strict: bool | None = None
    cache_control: Cache | None = None


class _Choice(Struct, frozen=True, omit_defaults=True):
    type: str
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class _Format(Struct, frozen=True, tag_field="type", tag="json_schema"):
    schema: Raw


class _Config(Struct, frozen=True, omit_defaults=True):
    effort: str | None = None
    format: _Format | None = None


class _Metadata(Struct, frozen=True):
    user_id: str


class _Request(Struct, frozen=True, omit_defaults=True, kw_only=True):
    model: str
    max_tokens: int
    messages: Sequence[Turn]
    system: Sequence[Text] = ()
    tools: Sequence[_Tool] = ()
    tool_choice: _Choice | None = None
    thinking: Thought | None = None
    output_config: _Config | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop_sequences: Sequence[str] = ()
    service_tier: str | None = None
    metadata: _Metadata | None = None
    stream: bool = False


def encode_request(conversation: Conversation, model: str) -> Encoded:
    """The request for an upstream's model.

    Raises:
        CannotExpress: it asks for something that Messages cannot say and that would be missed.
        ClientProtocolError: it makes no sense to Anthropic, such as a tool's result without its call.
    """
    sampling = conversation.sampling
    _refuse(sampling)
    dropped: dict[str, None] = {}
    turns = Turns(conversation.messages, dropped)
    output = conversation.output
    if output is not None and output.form == "json":
        turns.system.append(Text(_ONLY_JSON))
        dropped["output.json"] = None
    tools = _tools(conversation, turns) if conversation.tools or turns.called else []
    choice = _tool_choice(conversation) if tools else None
    generation = generation_of(model)
    plan = Plan(max_tokens=sampling.max_tokens)
    if conversation.reasoning is not None:
        plan = think(
            conversation.reasoning,
            sampling.max_tokens,
            generation,
            dropped,
            forced=choice is not None and choice.type in {"any", "tool"},
            answering=_answers_calls_made_without_thought(turns.turns),
        )
    form = None
    if output is not None and output.form == "json_schema":
        form = _Format(closed(output.schema))
    temperature, top_p, top_k = _drawn(sampling, generation, dropped, thinking=plan.thinks)
    request = _Request(
        model=model,
        max_tokens=plan.max_tokens or MAX_TOKENS,
        messages=turns.turns,
        system=turns.system or (),
        tools=tools or (),
        tool_choice=choice,
        thinking=plan.thought,
        output_config=_Config(plan.effort, form) if plan.effort or form else None,
        temperature=temperature,
        top_p=top_p,
        top_k=top_k,
        stop_sequences=_stop(sampling.stop, dropped) if sampling.stop else (),
        service_tier=_tier(conversation.service_tier, dropped) if conversation.service_tier else None,
        metadata=_Metadata(conversation.user) if conversation.user else None,
        stream=conversation.stream,
    )
    _name_what_has_no_place(conversation, dropped)
    return Encoded(encode(request), tuple(dropped))


def _refuse(sampling: Sampling) -> None:
    if sampling.n not in {None, 1}:
        raise CannotExpress("n", "Anthropic gives one answer")
    if sampling.logprobs:
        raise CannotExpress("logprobs", "Anthropic tells no log probabilities")
    if bytes(sampling.logit_bias) not in {b"null", b"{}"}:
        raise CannotExpress("logit_bias", "Anthropic takes no bias on tokens")


def _name_what_has_no_place(conversation: Conversation, dropped: dict[str, None]) -> None:
    sampling = conversation.sampling
    if sampling.seed is not None:
        dropped["seed"] = None
    if sampling.presence_penalty:
        dropped["presence_penalty"] = None
    if sampling.frequency_penalty:
        dropped["frequency_penalty"] = None
    if conversation.cache_key:
        dropped["cache_key"] = None
    if conversation.metadata:
        dropped["metadata"] = None
    if conversation.verbosity:
        dropped["verbosity"] = None


def _tools(conversation: Conversation, turns: Turns) -> list[_Tool]:
    """The functions offered; those of earlier calls, where none is: Anthropic must know what was called."""
    choice = conversation.tool_choice
    allowed = choice.allowed if choice is not None else ()
    offered = [tool for tool in conversation.tools if not allowed or tool.name in allowed]
    if not offered:
        return [_Tool(name, Raw(b'{"type":"object"}')) for name in turns.called]
    return [_tool(tool) for tool in offered]


def _tool(tool: Tool) -> _Tool:
    if tool.custom:
        raise CannotExpress("tools.custom", "Anthropic's tools take JSON, not free text")
    schema = _schema(tool.parameters)
    if tool.strict:
        schema = closed(schema)
    return _Tool(tool.name, schema, tool.description or None, tool.strict, cache_control(tool.cache))


def _schema(parameters: Raw) -> Raw:
    """The schema of an object, which Anthropic must be told it is."""
    data = bytes(parameters)
    if data[:8] == b'{"type":':  # as nearly all do
        return parameters
    if data == b"null":
        return Raw(b'{"type":"object"}')
    try:
        fields = decode_fields(parameters)
    except BAD_JSON as error:
        raise ClientProtocolError(
            f"the parameters of a tool are no JSON Schema of an object: {error}"
        ) from error
    return parameters if "type" in fields else Raw(encode({"type": "object", **fields}))


def _tool_choice(conversation: Conversation) -> _Choice | None:
    """Whether to call a tool that is known, and which."""
    if not conversation.tools:
        return _Choice("none")
    told, several = conversation.tool_choice, conversation.parallel_tool_calls
    if told is None and several is None:
        return None
    kind = _CHOICES[told.mode] if told is not None else "auto"
    return _Choice(
        kind,
        told.name if told is not None and kind == "tool" else None,
        None if several is None or kind == "none" else not several,
    )


def _answers_calls_made_without_thought(turns: list[Turn]) -> bool:
    """Whether the model is to go on after calls that it made without thinking, as far as it can see."""
    if len(turns) < 2 or not any(isinstance(block, ToolResult) for block in turns[-1].content):
        return False
    return not isinstance(turns[-2].content[0], Thinking | RedactedThinking)


def _drawn(
    sampling: Sampling, generation: Generation, dropped: dict[str, None], *, thinking: bool
) -> tuple[float | None, float | None, int | None]:
    """`temperature`, `top_p` and `top_k`, as far as the model takes them now."""
    temperature, top_p, top_k = sampling.temperature, sampling.top_p, sampling.top_k
    if temperature is not None and (thinking or not generation.sampling):
        temperature = None
        dropped["temperature"] = None
    if top_p is not None and (
        not generation.sampling
        or (temperature is not None and not generation.both)
        or (thinking and not 0.95 <= top_p <= 1)
    ):
        top_p = None
        dropped["top_p"] = None
    if top_k is not None and (thinking or not generation.sampling):
        top_k = None
        dropped["top_k"] = None
    return None if temperature is None else min(temperature, 1.0), top_p, top_k


def _stop(stop: tuple[str, ...], dropped: dict[str, None]) -> tuple[str, ...]:
    kept = tuple(text for text in stop if text and not text.isspace())
    if len(kept) < len(stop):
        dropped["stop"] = None
    return kept


def _tier(tier: str, dropped: dict[str, None]) -> str | None:
    word = WORD_OF_TIER.get(tier)
    if word is None:
        dropped["service_tier"] = None
    return word

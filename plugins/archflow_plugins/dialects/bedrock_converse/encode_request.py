"""A Conversation as a Converse request.

Source: botocore's service model of bedrock-runtime, 1.44; Amazon Bedrock User Guide ("Call a tool with the Converse
API", "Prompt caching"), 2026-11.

Rule: turns alternate and begin with the user's; what tools answered stands first in its turn.
Rule: Converse has no tool choice `none`, and wants the tools wherever the history has calls. So the tools are left
out, and the calls of the history are told as text: a model cannot call what it is not offered.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from msgspec import Raw

from archflow_plugins.dialects.bedrock_converse.encode_parts import Block, PartEncoder, bad_name
from archflow_plugins.dialects.bedrock_converse.encode_thinking import Thoughts, think
from archflow_plugins.dialects.bedrock_converse.families import Family, family_of
from archflow_plugins.dialects.bedrock_converse.words import TOOL_NAME
from archflow_plugins.dialects.closed_schemas import closed
from archflow_plugins.dialects.json_body import encode
from archflow_plugins.translation import CannotExpress, Encoded
from archflow_schema.conversation import Conversation, Message, Sampling, Tool, ToolChoice
from archflow_schema.errors import ClientProtocolError

BEGIN = "(the conversation begins)"
"""The user's turn that Converse wants before an assistant's first one."""
_LABEL = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,.-]{1,256}", re.ASCII)
_LABELS_AT_MOST = 16
_TIERS = {"auto": "default", "standard": "default", "standard_only": "default"}
_OURS = frozenset({"priority", "default", "flex", "reserved"})
_NO_ARGUMENTS = Raw(b'{"type":"object","properties":{}}')
ONLY_JSON = "Answer with one JSON object and nothing else."
"""What the model is told where the client wants JSON without giving a schema."""


def encode_request(conversation: Conversation, model: str) -> Encoded:
    """The request, and what was left out of it.

    Raises:
        CannotExpress: it asks for something that has no place here and that would be missed.
        ClientProtocolError: it makes no sense here.
    """
    _refuse(conversation)
    family = family_of(model)
    tools, choice = _offered(conversation)
    parts = PartEncoder(family, with_tools=bool(tools))
    dropped = parts.dropped
    body: dict[str, object] = {}
    messages = _turns(conversation.messages, parts)
    system = _system(conversation.messages, parts)
    if not messages:
        raise ClientProtocolError("the conversation holds no message of a user: there is nothing to answer")
    thoughts = think(conversation, family, thoughtless=_thoughtless(messages))
    if conversation.output is not None and conversation.output.form == "json":
        system.append({"text": ONLY_JSON})
        dropped["output.json"] = None
    if system:
        body["system"] = system
    body["messages"] = messages
    extra = dict(thoughts.fields)
    if tools:
        body["toolConfig"] = _tool_config(tools, choice, conversation, parts, family, extra)
    inference = _inference(conversation.sampling, thoughts, family, dropped)
    if inference:
        body["inferenceConfig"] = inference
    _top_k(conversation.sampling, thoughts, family, extra, dropped)
    if extra:
        body["additionalModelRequestFields"] = extra
    if conversation.sampling.stop and family.stop_told:
        body["additionalModelResponseFieldPaths"] = [family.stop_told[conversation.stream]]
    body |= _rest(conversation, thoughts, dropped)
    dropped |= dict.fromkeys(thoughts.dropped)
    dropped |= {name: None for name, said in _unplaced(conversation) if said}
    return Encoded(encode(body), tuple(dropped))


def _refuse(conversation: Conversation) -> None:
    sampling = conversation.sampling
    if sampling.n is not None and sampling.n != 1:
        raise CannotExpress("n", "Converse gives one answer: ask as often as you want answers")
    if sampling.logprobs:
        raise CannotExpress("logprobs", "Converse tells no log probabilities")
    if bytes(sampling.logit_bias) not in {b"null", b"{}"}:
        raise CannotExpress("logit_bias", "Converse has no bias on tokens")


def _unplaced(conversation: Conversation) -> tuple[tuple[str, object], ...]:
    """What Converse has no field for and nobody misses."""
    sampling, choice = conversation.sampling, conversation.tool_choice
    return (
        ("name", any(message.name for message in conversation.messages)),
        ("tool_choice.allowed", choice is not None and choice.allowed),
        ("seed", sampling.seed is not None),
        ("presence_penalty", sampling.presence_penalty),
        ("frequency_penalty", sampling.frequency_penalty),
        ("cache_key", conversation.cache_key),
        ("user", conversation.user),
        ("verbosity", conversation.verbosity),
    )


def _offered(conversation: Conversation) -> tuple[tuple[Tool, ...], ToolChoice | None]:
    """The tools that the model may call."""
    tools, choice = conversation.tools, conversation.tool_choice
    if choice is None:
        return tools, None
    if choice.mode == "none":
        return (), None
    if choice.allowed:
        tools = tuple(tool for tool in tools if tool.name in choice.allowed) or tools
    if choice.mode == "required" and not tools:
        raise CannotExpress("tool_choice", "a tool call is required, and no function is offered")
    if choice.mode == "named" and all(tool.name != choice.name for tool in tools):
        raise CannotExpress("tool_choice", f"{choice.name[:80]!r} is none of the functions that are offered")
    return tools, choice


def _turns(messages: Sequence[Message], parts: PartEncoder) -> list[dict[str, Any]]:
    """The turns: neighbours of one role are one, tool results come first."""
    turns: list[dict[str, Any]] = []
    for message in messages:
        if message.role in {"system", "developer"}:
            continue
        role = "assistant" if message.role == "assistant" else "user"
        blocks = [block for part in message.parts for block in parts.blocks(part)]
        if not blocks:
            continue
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        else:
            turns.append({"role": role, "content": blocks})
    for turn in turns:
        if turn["role"] == "user":
            turn["content"] = _arranged(turn["content"])
    if turns and turns[0]["role"] == "assistant":
        turns.insert(0, {"role": "user", "content": [{"text": BEGIN}]})
    if turns and turns[-1]["role"] == "assistant":
        _trim(turns[-1]["content"])
    return turns


def _arranged(blocks: list[Block]) -> list[Block]:
    """A user's turn: what tools answered first, with the cache points after it; a document never without a text."""
    if any("toolResult" in block for block in blocks):
        first: list[Block] = []
        rest: list[Block] = []
        here = rest
        for block in blocks:
            if "cachePoint" not in block:
                here = first if "toolResult" in block else rest
            here.append(block)
        blocks = first + rest
    documents = [block["document"] for block in blocks if "document" in block]
    if documents and not any("text" in block for block in blocks):
        names = ", ".join(str(one["name"]) for one in documents if isinstance(one, dict))
        blocks = [*blocks, {"text": f"(documents: {names})"}]
    return blocks


def _trim(blocks: list[Block]) -> None:
    """An answer that is begun for the model may not end in white space."""
    text = blocks[-1].get("text")
    if isinstance(text, str):
        blocks[-1]["text"] = text.rstrip()


def _thoughtless(turns: list[dict[str, Any]]) -> bool:
    """Whether the turn under way called tools without a thought before: its thoughts were not sent back."""
    if len(turns) < 2 or not any("toolResult" in block for block in turns[-1]["content"]):
        return False
    return "reasoningContent" not in turns[-2]["content"][0]


def _system(messages: Sequence[Message], parts: PartEncoder) -> list[Block]:
    """All instructions, in order."""
    blocks: list[Block] = []
    for message in messages:
        if message.role in {"system", "developer"}:
            for part in message.parts:
                blocks += parts.blocks(part)
    for block in blocks:
        if "text" not in block and "cachePoint" not in block:
            raise ClientProtocolError("instructions of the system are text, and these hold something else")
    return blocks


def _tool_config(
    tools: tuple[Tool, ...],
    choice: ToolChoice | None,
    conversation: Conversation,
    parts: PartEncoder,
    family: Family,
    extra: dict[str, object],
) -> dict[str, object]:
    specs: list[Block] = []
    for tool in tools:
        specs.append(_spec(tool))
        specs += parts.cached(tool.cache, on_tool=True)
    config: dict[str, object] = {"tools": specs}
    parallel = conversation.parallel_tool_calls
    if (
        parallel is not None and family.tool_modes
    ):  # one of the two places, or they would contradict each other
        extra["tool_choice"] = {**_mode(choice), "disable_parallel_tool_use": not parallel}
        return config
    if parallel is False:
        parts.dropped["parallel_tool_calls"] = None
    if choice is not None:
        config["toolChoice"] = _choice(choice)
    return config


def _spec(tool: Tool) -> Block:
    if TOOL_NAME.fullmatch(tool.name) is None:
        raise CannotExpress("tools", bad_name(tool.name))
    if tool.custom:
        raise CannotExpress("tools.custom", "tools of Converse take JSON, not free text")
    spec: dict[str, object] = {"name": tool.name}
    if tool.description:
        spec["description"] = tool.description
    parameters = tool.parameters if bytes(tool.parameters) not in {b"{}", b"null"} else _NO_ARGUMENTS
    spec["inputSchema"] = {"json": closed(parameters) if tool.strict else parameters}
    if tool.strict:
        spec["strict"] = True
    return {"toolSpec": spec}


def _choice(choice: ToolChoice) -> dict[str, object]:
    match choice.mode:
        case "named":
            return {"tool": {"name": choice.name}}
        case "required":
            return {"any": {}}
        case _:
            return {"auto": {}}


def _mode(choice: ToolChoice | None) -> dict[str, object]:
    """The same as Anthropic writes it."""
    if choice is not None and choice.mode == "named":
        return {"type": "tool", "name": choice.name}
    return {"type": "any" if choice is not None and choice.mode == "required" else "auto"}


def _inference(
    sampling: Sampling, thoughts: Thoughts, family: Family, dropped: dict[str, None]
) -> dict[str, object]:
    said: dict[str, object] = {}
    max_tokens = sampling.max_tokens if sampling.max_tokens is not None else thoughts.max_tokens
    if max_tokens is not None:
        said["maxTokens"] = max_tokens
    temperature, top_p = sampling.temperature, sampling.top_p
    if temperature is not None:
        if not family.sampling or (thoughts.on and temperature != 1):
            dropped["temperature"] = None
        else:
            said["temperature"] = min(temperature, 1.0)
            if temperature > 1:
                dropped["temperature"] = None
    if top_p is not None:
        refused = not family.sampling or ("temperature" in said and not family.both)
        if refused or (thoughts.on and top_p < 0.95):
            dropped["top_p"] = None
        else:
            said["topP"] = top_p
    if sampling.stop:
        if family.signed and any(text.isspace() for text in sampling.stop):
            raise CannotExpress("stop", "Claude ends an answer at no text that is only white space")
        said["stopSequences"] = [text for text in sampling.stop if text]
    return said


def _top_k(
    sampling: Sampling, thoughts: Thoughts, family: Family, extra: dict[str, object], dropped: dict[str, None]
) -> None:
    if sampling.top_k is None:
        return
    if not family.top_k or not family.sampling or thoughts.on:
        dropped["top_k"] = None
        return
    value: object = sampling.top_k
    for name in reversed(family.top_k[1:]):
        value = {name: value}
    extra[family.top_k[0]] = value


def _rest(conversation: Conversation, thoughts: Thoughts, dropped: dict[str, None]) -> dict[str, object]:
    """Metadata, service tier, and the form of the answer."""
    said: dict[str, object] = {}
    labels = [one for one in conversation.metadata if _LABEL.fullmatch(one[0]) and _is_label(one[1])]
    labels = labels[:_LABELS_AT_MOST]
    if labels:
        said["requestMetadata"] = dict(labels)
    if len(labels) < len(conversation.metadata):
        dropped["metadata"] = None
    tier = _TIERS.get(conversation.service_tier, conversation.service_tier)
    if tier in _OURS:
        said["serviceTier"] = {"type": tier}
    elif tier:
        dropped["service_tier"] = None
    output: dict[str, object] = {}
    if conversation.output is not None and conversation.output.form == "json_schema":
        wanted = conversation.output
        schema = {"schema": bytes(closed(wanted.schema)).decode("utf-8")}
        schema |= {"name": wanted.name} if wanted.name else {}
        schema |= {"description": wanted.description} if wanted.description else {}
        output["textFormat"] = {"type": "json_schema", "structure": {"jsonSchema": schema}}
    if thoughts.effort:
        output["effort"] = thoughts.effort
    if output:
        said["outputConfig"] = output
    return said


def _is_label(value: str) -> bool:
    return not value or _LABEL.fullmatch(value) is not None

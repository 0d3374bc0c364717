"""Asking a model of the graph which option fits: what it is asked, and what is made of its answer.

Rule: an answer that names no option is no choice; only a model that does not answer fails.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from msgspec import Raw, Struct

from archflow_plugins.contexts import CompileContext, Option
from archflow_plugins.routers.window import window
from archflow_schema.conversation import Conversation, Message, Output, Sampling, TextPart

ANSWER_TOKENS = 64
_FENCE = re.compile(r"^\s*```(?:json)?\s*|\s*```\s*$")
_encode = msgspec.json.Encoder().encode
T = TypeVar("T")


class ByModelConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Configuration of a kind that asks a model.

    Attributes:
        model: the configured model that is asked.
        prompt: what it is asked, with its places in it; our own words if empty.
        tokens: how much of the conversation it gets, the prompt included.
        constrained: hold its answer to a schema; not every provider can.
        timeout: seconds that it may take.
    """

    model: str
    prompt: str = ""
    tokens: int = 2048
    constrained: bool = True
    timeout: float = 30.0


class ByModel(Struct, frozen=True, kw_only=True):
    """What the graph stores."""

    model: str
    prompt: str
    tokens: int
    constrained: bool
    timeout: float
    options: tuple[Option, ...]


def compile_model(config: Any, ctx: CompileContext, places: Sequence[str]) -> ByModel:
    """The settings of `ByModelConfig` as they are stored; `places` must stand in a prompt."""
    for place in places:
        if config.prompt and place not in config.prompt:
            ctx.error(
                "bad-prompt",
                f"the {ctx.name}'s prompt lacks {place}",
                "prompt",
                fix=f"put {place} where it belongs",
            )
    if config.tokens < 1:
        ctx.error("bad-tokens", f"a window of {config.tokens} tokens holds nothing", "tokens")
    return ByModel(
        model=ctx.model(config.model, "model"),
        prompt=config.prompt,
        tokens=config.tokens,
        constrained=config.constrained,
        timeout=config.timeout,
        options=ctx.options,
    )


def question(
    prompt: str,
    place: str,
    options: Sequence[Option],
    conversation: Conversation,
    tokens: int,
    schema: Mapping[str, object] | None,
) -> Conversation | None:
    """What a model is asked; None if the conversation says nothing.

    Args:
        prompt: with `place` and `{conversation}` in it.
        place: where the options stand.
        options: what there is to choose among.
        conversation: what was said so far.
        tokens: how much it may be.
        schema: of the answer, if it is held to one.
    """
    listed = _encode([{"name": one.name, "description": one.description} for one in options]).decode()
    turns = window(conversation, max(1, tokens - (len(prompt) + len(listed)) // 4))
    if not turns:
        return None
    values = {place: listed, "{conversation}": _encode(turns).decode()}
    text = re.sub("|".join(map(re.escape, values)), lambda found: values[found[0]], prompt)
    held = None
    if schema is not None:
        held = Output(form="json_schema", name="answer", schema=Raw(_encode(schema)), strict=True)
    return Conversation(
        messages=(Message(role="user", parts=(TextPart(text),)),),
        sampling=Sampling(max_tokens=ANSWER_TOKENS, temperature=0.01),
        output=held,
    )


def answer(text: str, form: type[T]) -> T | None:
    """What a model answered; None if it is not understood. Fences, single quotes and escaped breaks are forgiven."""
    bare = _FENCE.sub("", text).strip().replace("\\n", "")
    for tried in (bare, bare.replace("'", '"')):
        try:
            return msgspec.json.decode(tried, type=form)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            continue
    return None

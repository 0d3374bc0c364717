"""A router that asks a language model: Arch-Router's protocol, for that model or any other.

The model gets the routes and the conversation in one message and answers `{"route": "<name>"}`, `other` for none of
them. Where its provider can hold an answer to a schema, it cannot name a route that is not there.

Source: the protocol is that of Arch-Router as Arch 0.3.17 speaks it; the words of the prompt are ours, and a
configuration may replace them.

Rule: an answer that is no route is no choice; only a model that does not answer fails.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Raw, Struct

from archflow_plugins.contexts import CompileContext, Option
from archflow_plugins.kinds import Choice, Router
from archflow_plugins.routers.window import window
from archflow_schema.conversation import Conversation, Message, Output, Sampling, TextPart

PROMPT = Path(__file__).with_name("language_model_prompt.txt")
OTHER = "other"
ANSWER_TOKENS = 64
PLACES = ("{routes}", "{conversation}")
_FENCE = re.compile(r"^\s*```(?:json)?\s*|\s*```\s*$")


class LanguageModelConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Configuration of the language model router.

    Attributes:
        model: the configured model that is asked.
        prompt: what it is asked, with `{routes}` and `{conversation}` in it; our own words if empty.
        tokens: how much of the conversation it gets, the prompt included.
        constrained: hold its answer to a schema; not every provider can.
        timeout: seconds that it may take.
    """

    model: str
    prompt: str = ""
    tokens: int = 2048
    constrained: bool = True
    timeout: float = 30.0


class LanguageModel(Struct, frozen=True, kw_only=True):
    """What the graph stores."""

    model: str
    prompt: str
    tokens: int
    constrained: bool
    timeout: float
    options: tuple[Option, ...]


class _Answer(Struct):
    route: str | None = None


_encode = msgspec.json.Encoder().encode


class LanguageModelRouter(Router):
    """Asks a configured model which preference fits."""

    kind = "router.language_model"
    config = LanguageModelConfig
    compiled = LanguageModel

    @classmethod
    def compile(cls, config: LanguageModelConfig, ctx: CompileContext) -> Struct:
        for place in PLACES:
            if config.prompt and place not in config.prompt:
                ctx.error(
                    "bad-prompt",
                    f"the router's prompt lacks {place}",
                    "prompt",
                    fix=f"put {place} where it belongs",
                )
        if config.tokens < 1:
            ctx.error("bad-tokens", f"a window of {config.tokens} tokens holds nothing", "tokens")
        return LanguageModel(
            model=ctx.model(config.model, "model"),
            prompt=config.prompt,
            tokens=config.tokens,
            constrained=config.constrained,
            timeout=config.timeout,
            options=ctx.options,
        )

    def __init__(self, compiled: Any, ctx: Any) -> None:
        super().__init__(compiled, ctx)
        self._prompt = compiled.prompt or PROMPT.read_text("utf-8")

    async def choose(self, conversation: Conversation, options: tuple[Option, ...] = ()) -> Choice:
        options = options or self.settings.options
        if not options:
            return Choice(reason="no_options")
        asked = self._asked(conversation, options)
        if asked is None:
            return Choice(reason="empty")
        reply = await self.ctx.ask(self.settings.model, asked, timeout=self.settings.timeout)
        route = read(reply.text)
        if route in {"", OTHER}:
            return Choice(reason="other", confidence=1.0)
        if all(route != option.name for option in options):
            return Choice(reason="unknown_route")
        return Choice(option=route, reason="language_model", confidence=1.0, scores=((route, 1.0),))

    def _asked(self, conversation: Conversation, options: tuple[Option, ...]) -> Conversation | None:
        routes = _encode([{"name": one.name, "description": one.description} for one in options]).decode()
        fixed = len(self._prompt) + len(routes)
        turns = window(conversation, max(1, self.settings.tokens - fixed // 4))
        if not turns:
            return None
        text = self._prompt.replace("{routes}", routes).replace("{conversation}", _encode(turns).decode())
        return Conversation(
            messages=(Message(role="user", parts=(TextPart(text),)),),
            sampling=Sampling(max_tokens=ANSWER_TOKENS, temperature=0.01),
            output=_held(options) if self.settings.constrained else None,
        )


def _held(options: tuple[Option, ...]) -> Output:
    """The form of an answer that names a route that is there."""
    names = [*(option.name for option in options), OTHER]
    schema = {
        "type": "object",
        "properties": {"route": {"type": "string", "enum": names}},
        "required": ["route"],
        "additionalProperties": False,
    }
    return Output(form="json_schema", name="route", schema=Raw(_encode(schema)), strict=True)


def read(text: str) -> str:
    """The route that an answer names; empty if it names none. Fences, single quotes and escaped breaks are forgiven."""
    bare = _FENCE.sub("", text).strip().replace("\\n", "")
    for form in (bare, bare.replace("'", '"')):
        try:
            return msgspec.json.decode(form, type=_Answer).route or ""
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            continue
    return ""

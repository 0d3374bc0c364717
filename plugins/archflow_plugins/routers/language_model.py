"""A router that asks a language model: Arch-Router's protocol, for that model or any other.

The model gets the routes and the conversation in one message and answers `{"route": "<name>"}`, `other` for none of
them. Where its provider can hold an answer to a schema, it cannot name a route that is not there.

Source: the protocol is that of Arch-Router as Arch 0.3.17 speaks it; the words of the prompt are ours, and a
configuration may replace them.

Rule: an answer that is no route is no choice; only a model that does not answer fails.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec import Struct

from archflow_plugins.choosing.by_model import ByModel, ByModelConfig, answer, compile_model, question
from archflow_plugins.contexts import CompileContext, Option
from archflow_plugins.kinds import Choice, Router
from archflow_schema.conversation import Conversation

PROMPT = Path(__file__).with_name("language_model_prompt.txt")
OTHER = "other"
PLACES = ("{routes}", "{conversation}")
LanguageModelConfig = ByModelConfig


class _Answer(Struct):
    route: str | None = None


class LanguageModelRouter(Router):
    """Asks a configured model which preference fits."""

    kind = "router.language_model"
    config = LanguageModelConfig
    compiled = ByModel

    @classmethod
    def compile(cls, config: ByModelConfig, ctx: CompileContext) -> Struct:
        return compile_model(config, ctx, PLACES)

    def __init__(self, compiled: Any, ctx: Any) -> None:
        super().__init__(compiled, ctx)
        self._prompt = compiled.prompt or PROMPT.read_text("utf-8")

    async def choose(self, conversation: Conversation, options: tuple[Option, ...] = ()) -> Choice:
        options = options or self.settings.options
        if not options:
            return Choice(reason="no_options")
        schema = held(options) if self.settings.constrained else None
        asked = question(self._prompt, PLACES[0], options, conversation, self.settings.tokens, schema)
        if asked is None:
            return Choice(reason="empty")
        reply = await self.ctx.ask(self.settings.model, asked, timeout=self.settings.timeout)
        route = read(reply.text)
        if route in {"", OTHER}:
            return Choice(reason="other", confidence=1.0)
        if all(route != option.name for option in options):
            return Choice(reason="unknown_route")
        return Choice(option=route, reason="language_model", confidence=1.0, scores=((route, 1.0),))


def held(options: tuple[Option, ...]) -> dict[str, object]:
    """The form of an answer that names a route that is there."""
    names = [*(option.name for option in options), OTHER]
    return {
        "type": "object",
        "properties": {"route": {"type": "string", "enum": names}},
        "required": ["route"],
        "additionalProperties": False,
    }


def read(text: str) -> str:
    """The route that an answer names; empty if it names none."""
    found = answer(text, _Answer)
    return (found.route or "") if found is not None else ""

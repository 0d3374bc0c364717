"""A matcher that asks a language model which functions a conversation asks for, as Arch asks Arch-Function.

The model gets the targets and the conversation in one message and answers `{"functions": ["<name>", ...]}`, an empty
list for none of them. Where its provider can hold an answer to a schema, it cannot name a target that is not there.

Rule: an answer that names no target is a miss; only a model that does not answer fails.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec import Struct

from archflow_plugins.choosing.by_model import ByModel, ByModelConfig, answer, compile_model, question
from archflow_plugins.contexts import CompileContext, Option
from archflow_plugins.kinds import Choice, Matcher
from archflow_schema.conversation import Conversation

PROMPT = Path(__file__).with_name("language_model_prompt.txt")
PLACES = ("{functions}", "{conversation}")
MOST = 4
"""Targets that are taken from one answer."""


class _Answer(Struct):
    functions: list[str] = []


class LanguageModelMatcher(Matcher):
    """Asks a configured model which prompt targets fit."""

    kind = "matcher.language_model"
    config = ByModelConfig
    compiled = ByModel

    @classmethod
    def compile(cls, config: ByModelConfig, ctx: CompileContext) -> Struct:
        return compile_model(config, ctx, PLACES)

    def __init__(self, compiled: Any, ctx: Any) -> None:
        super().__init__(compiled, ctx)
        self._prompt = compiled.prompt or PROMPT.read_text("utf-8")

    async def match(self, conversation: Conversation) -> Choice:
        options = self.settings.options
        if not options:
            return Choice(reason="no_options")
        schema = held(options) if self.settings.constrained else None
        asked = question(self._prompt, PLACES[0], options, conversation, self.settings.tokens, schema)
        if asked is None:
            return Choice(reason="empty")
        reply = await self.ctx.ask(self.settings.model, asked, timeout=self.settings.timeout)
        found = answer(reply.text, _Answer)
        if found is None:
            return Choice(reason="unclear")
        names = {one.name for one in options}
        known = [name for name in dict.fromkeys(found.functions) if name in names][:MOST]
        if not known:
            return Choice(reason="unknown_target" if found.functions else "other", confidence=1.0)
        return Choice(
            option=known[0],
            reason="language_model",
            confidence=1.0,
            scores=tuple((name, 1.0) for name in known),
            also=tuple(known[1:]),
        )


def held(options: tuple[Option, ...]) -> dict[str, object]:
    """The form of an answer that names targets that are there."""
    one = {"type": "string", "enum": [option.name for option in options]}
    return {
        "type": "object",
        "properties": {"functions": {"type": "array", "items": one}},
        "required": ["functions"],
        "additionalProperties": False,
    }

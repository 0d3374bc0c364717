"""A slot filler that asks a language model for calls, as Arch asks Arch-Function; for that model or any other.

Rule: what asks and reads is imported when a slot filler is opened, not before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

from msgspec import Struct

from archflow_plugins.contexts import CompileContext, RunContext
from archflow_plugins.kinds import SlotFiller
from archflow_plugins.slot_fillers import clock
from archflow_schema.conversation import Conversation
from archflow_schema.slots import Filled, Intent, Question

if TYPE_CHECKING:
    from archflow_plugins.slot_fillers.calling import Calling

Form = Literal["tools", "json_schema", "arch_function"]


class LanguageModelConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Configuration of the language model slot filler.

    Attributes:
        model: the configured model that is asked.
        form: how it is asked: tools, json_schema or arch_function.
        evidence: whether a value must have been said, or follow from what was said; a model is believed if false.
        tokens: how much of the conversation it gets.
        timeout: seconds that it may take.
        timezone: where dates such as tomorrow are reckoned.
        day_first: whether 03/04/2024 is in April.
    """

    model: str
    form: Form = "tools"
    evidence: bool = True
    tokens: int = 2048
    timeout: float = 30.0
    timezone: str = "UTC"
    day_first: bool = False


class LanguageModel(Struct, frozen=True, kw_only=True):
    """What the graph stores."""

    model: str
    form: Form
    evidence: bool
    tokens: int
    timeout: float
    timezone: str
    day_first: bool
    intents: tuple[Intent, ...]


class LanguageModelSlotFiller(SlotFiller):
    """Asks a configured model for calls, and believes only what was said."""

    kind = "slot_filler.language_model"
    config = LanguageModelConfig
    compiled = LanguageModel

    @classmethod
    def compile(cls, config: LanguageModelConfig, ctx: CompileContext) -> Struct:
        clock.check(config.timezone, ctx)
        if config.tokens < 1:
            ctx.error("bad-tokens", f"a window of {config.tokens} tokens holds nothing", "tokens")
        if config.timeout <= 0:
            ctx.error("bad-timeout", f"a timeout of {config.timeout:g} seconds leaves no time", "timeout")
        return LanguageModel(
            model=ctx.model(config.model, "model"),
            form=config.form,
            evidence=config.evidence,
            tokens=config.tokens,
            timeout=config.timeout,
            timezone=config.timezone,
            day_first=config.day_first,
            intents=ctx.intents,
        )

    def __init__(self, compiled: Any, ctx: RunContext) -> None:
        super().__init__(compiled, ctx)
        self._calling: Calling

    @classmethod
    async def open(cls, compiled: Any, ctx: RunContext) -> Self:
        from archflow_plugins.slot_fillers.calling import Calling

        filler = cls(compiled, ctx)
        filler._calling = Calling(compiled, ctx)
        return filler

    async def fill(self, conversation: Conversation, targets: tuple[str, ...]) -> Filled | Question:
        return await self._calling.run(conversation, targets)

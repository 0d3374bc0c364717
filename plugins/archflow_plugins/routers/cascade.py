"""A router of two steps: the composite router first, and a language model only where that one is not sure.

The model gets the likeliest options only, so that its prompt stays short however many there are.

Rule: a model that fails costs its answer, not the composite router's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

from msgspec import Struct, structs

from archflow_plugins.choosing.by_model import ByModel, ByModelConfig, compile_model
from archflow_plugins.choosing.chooser import TOLD, Chooser
from archflow_plugins.choosing.compiled import ROUTER_THRESHOLD, WINDOW, Chosen, RouterConfig, compile_options
from archflow_plugins.contexts import CompileContext, Option, RunContext
from archflow_plugins.deciding.tuning import best_sure, best_threshold, judged
from archflow_plugins.kinds import Choice, Router
from archflow_plugins.routers.language_model import PLACES, LanguageModelRouter
from archflow_schema.conversation import Conversation
from archflow_schema.errors import ArchflowError

SURE = 0.8


class CascadeConfig(ByModelConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Configuration of the cascade: the language model router's, and the composite router's.

    Attributes:
        model: the configured model that is asked.
        prompt: as the language model router's.
        tokens: how much of the conversation the model gets.
        constrained: hold its answer to the candidates.
        timeout: seconds that it may take.
        sure: the composite router's confidence from which no model is asked.
        candidates: how many of the likeliest options the model chooses among.
        threshold: how likely a choice must be right where the model does not answer; below it nothing is chosen.
        window: how many turns of the user the composite router reads together.
        alike: as the composite router's.
    """

    sure: float = SURE
    candidates: int = TOLD
    threshold: float = ROUTER_THRESHOLD
    window: int = WINDOW
    alike: float = 1.0


class Cascade(Struct, frozen=True, kw_only=True):
    """What the graph stores."""

    first: Chosen
    second: ByModel
    sure: float
    candidates: int


class CascadeRouter(Router):
    """Chooses as the composite router where that is sure, and asks a configured model where it is not."""

    kind = "router.cascade"
    config = CascadeConfig
    compiled = Cascade

    @classmethod
    def compile(cls, config: CascadeConfig, ctx: CompileContext) -> Struct:
        if not 0 <= config.sure <= 1:
            ctx.error(
                "bad-threshold",
                f"a confidence of {config.sure:g} is not between 0 and 1",
                "sure",
                fix=f"leave it out for {SURE:g}; the higher, the more often the model is asked",
            )
        if not 2 <= config.candidates <= TOLD:
            ctx.error(
                "bad-candidates",
                f"a model cannot choose among {config.candidates} candidates",
                "candidates",
                fix=f"write 2 to {TOLD}",
            )
        return Cascade(
            first=compile_options(
                RouterConfig(threshold=config.threshold, window=config.window, alike=config.alike), ctx
            ),
            second=compile_model(config, ctx, PLACES),
            sure=config.sure,
            candidates=config.candidates,
        )

    def __init__(self, compiled: Any, ctx: RunContext) -> None:
        super().__init__(compiled, ctx)
        self._chooser: Chooser
        self._model = LanguageModelRouter(compiled.second, ctx)

    @classmethod
    async def open(cls, compiled: Any, ctx: RunContext) -> Self:
        router = cls(compiled, ctx)
        router._chooser = await Chooser.open(compiled.first, ctx)
        return router

    async def close(self) -> None:
        self._chooser.close()

    async def choose(self, conversation: Conversation, options: tuple[Option, ...] = ()) -> Choice:
        first = await self._chooser.choose(conversation, options)
        if first.confidence >= self.settings.sure or not first.scores:
            return first
        known = {one.name: one for one in options or self.settings.first.options}
        likely = tuple(known[name] for name, _ in first.scores[: self.settings.candidates])
        try:
            second = await self._model.choose(conversation, likely)
        except ArchflowError as error:
            self.ctx.log("router_model_failed", level="warning", detail=str(error))
            return first
        if second.reason == "unknown_route":
            return first
        return structs.replace(second, scores=first.scores)

    def tuned(self, cases: Sequence[tuple[str, Choice]]) -> Mapping[str, float]:
        known = [judged(route, choice) for route, choice in cases]
        now = {"threshold": self.settings.first.threshold, "sure": self.settings.sure}
        threshold = best_threshold(known, now["threshold"])
        found = {"threshold": threshold, "sure": best_sure(known, now["sure"], threshold)}
        return {name: value for name, value in found.items() if value != now[name]}

"""The default slot filler: exact extractors, trees for free text, meaning for choices, then a model if one is set.

Rule: the graph holds the targets and the digest of the embedder; without free text or choices among words it has none.
Rule: extractors and models are imported when a slot filler is opened, not before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from msgspec import Struct

from archflow_plugins.contexts import CompileContext, RunContext
from archflow_plugins.kinds import SlotFiller
from archflow_plugins.slot_fillers import clock
from archflow_schema.conversation import Conversation
from archflow_schema.errors import ArchflowError
from archflow_schema.slots import Filled, Intent, Question

if TYPE_CHECKING:
    from archflow_plugins.local_models.host import EmbeddingLane
    from archflow_plugins.slot_fillers.extracting import Extracting


class CompositeConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Configuration of the composite slot filler.

    Attributes:
        model: the configured model that is asked for what extractors cannot decide; nobody is asked if empty.
        optional: whether it is asked for optional values too.
        timeout: seconds that it may take.
        embedder: the local model that finds which option of an enum is meant, and what free text is near to; empty for
            words only.
        similarity: how close an option must be to be meant, 0 to 1.
        timezone: where dates such as tomorrow are reckoned.
        day_first: whether 03/04/2024 is in April.
    """

    model: str = ""
    optional: bool = False
    timeout: float = 30.0
    embedder: str = "minilm"
    similarity: float = 0.65
    timezone: str = "UTC"
    day_first: bool = False


class Composite(Struct, frozen=True, kw_only=True):
    """What the graph stores."""

    model: str
    optional: bool
    timeout: float
    embedder: str
    embedder_digest: str
    similarity: float
    timezone: str
    day_first: bool
    intents: tuple[Intent, ...]


class CompositeSlotFiller(SlotFiller):
    """Takes what was said by exact extractors, and asks a model only for what they leave open."""

    kind = "slot_filler.composite"
    config = CompositeConfig
    compiled = Composite

    @classmethod
    def compile(cls, config: CompositeConfig, ctx: CompileContext) -> Struct:
        clock.check(config.timezone, ctx)
        if not 0 < config.similarity <= 1:
            ctx.error(
                "bad-similarity",
                f"a similarity of {config.similarity:g} is not between 0 and 1",
                "similarity",
                fix="leave it out for 0.65",
            )
        if config.timeout <= 0:
            ctx.error("bad-timeout", f"a timeout of {config.timeout:g} seconds leaves no time", "timeout")
        if config.optional and not config.model:
            ctx.error(
                "no-model",
                "optional values are asked of a model, and none is named",
                "optional",
                fix="name a `model`",
            )
        chosen = config.embedder if any(map(_meant, ctx.intents)) else ""
        return Composite(
            model=ctx.model(config.model, "model") if config.model else "",
            optional=config.optional,
            timeout=config.timeout,
            embedder=chosen,
            embedder_digest=_digest(chosen, ctx) if chosen else "",
            similarity=config.similarity,
            timezone=config.timezone,
            day_first=config.day_first,
            intents=ctx.intents,
        )

    def __init__(self, compiled: Any, ctx: RunContext) -> None:
        super().__init__(compiled, ctx)
        self._lane: EmbeddingLane | None = None
        self._extracting: Extracting

    @classmethod
    async def open(cls, compiled: Any, ctx: RunContext) -> Self:
        from archflow_plugins.slot_fillers.extracting import Extracting

        filler = cls(compiled, ctx)
        if compiled.embedder_digest:
            from archflow_plugins.local_models.host import Host

            host = await Host.current()
            filler._lane = await host.recorded_embedder(compiled.embedder, compiled.embedder_digest)
        filler._extracting = Extracting(compiled, ctx, filler._lane.encode if filler._lane else None)
        return filler

    async def close(self) -> None:
        lane, self._lane = self._lane, None
        if lane is not None:
            lane.release()

    async def fill(self, conversation: Conversation, targets: tuple[str, ...]) -> Filled | Question:
        return await self._extracting.run(conversation, targets)


def _meant(intent: Intent) -> bool:
    """Whether a target has a slot whose value meaning can find: a choice among words, or free text."""
    from archflow_plugins.slots.wants import wants
    from archflow_plugins.slots.weighing.features import weighed

    return any((one.slot.enum and one.slot.type == "str") or weighed(one) for one in wants(intent))


def _digest(name: str, ctx: CompileContext) -> str:
    """The digest of the embedder, fetched and converted if it is not there. Blocks: seconds, the first time."""
    from archflow_plugins.local_models.cache import Cache

    try:
        cache = Cache()
        entry = cache.find(name)
        if entry.role != "embedder":
            ctx.error("no-embedder", f"{name} is no embedder", "embedder", fix="leave it out for minilm")
            return ""
        model = cache.ensure(entry)
    except ArchflowError as error:
        ctx.error(
            "local-model-unusable",
            f"the slot filler's embedder {name} cannot be used: {error}",
            "embedder",
            fix='set it to "" to take options and free text by their words only',
        )
        return ""
    ctx.needs(model.recorded)
    return model.digest

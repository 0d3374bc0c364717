"""Options in a graph: their vectors as a blob, and what an operator should know of them before the first request.

Rule: the graph holds the digests of encoder and scorer; others are refused when it is opened.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from archflow_plugins.contexts import CompileContext, Option
from archflow_schema.errors import ArchflowError

EMBEDDER = "minilm"
THRESHOLD = 0.65
ROUTER_THRESHOLD = 0.35
WINDOW = 3
MOST_TURNS = 16
PAIRS_TOLD = 20
"""Pairs of options that are too alike, of which so many are told."""


class ChooserConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Configuration of a composite matcher or router.

    Attributes:
        threshold: how likely, 0..1, a choice must be right; below it nothing is chosen.
        window: how many turns of the user are read together: the newest, and those before it that say something.
        alike: how similar, 0..1, two options must be for a warning that they can hardly be told apart; 1 for never.
    """

    threshold: float = THRESHOLD
    window: int = WINDOW
    alike: float = 0.9


class RouterConfig(ChooserConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Configuration of a composite router.

    Attributes:
        threshold: how likely, 0..1, a choice must be right; below it nothing is preferred. Lower than a matcher's: a
            wrong preference costs less than a wrong call.
        window: how many turns of the user are read together: the newest, and those before it that say something.
        alike: how similar, 0..1, two options must be for a warning that they can hardly be told apart; 1 for never.
    """

    threshold: float = ROUTER_THRESHOLD


class Chosen(Struct, frozen=True, kw_only=True):
    """What the graph stores.

    Attributes:
        options: in the order of the vectors.
        vectors: the blob that holds them; empty without options.
        embedder: the catalogue's name of the encoder.
        embedder_digest: of the encoder as it was converted.
        scorer: of the weights.
    """

    threshold: float
    window: int
    options: tuple[Option, ...]
    vectors: str
    embedder: str
    embedder_digest: str
    scorer: str


def compile_options(config: ChooserConfig, ctx: CompileContext) -> Chosen:
    """Options as they are stored; mistakes and doubts are reported. Blocks: about a second for a thousand options."""
    from archflow_plugins.local_models.chooser import score

    _check(config, ctx)
    digest, vectors = _embedded(config, ctx)
    return Chosen(
        threshold=config.threshold,
        window=config.window,
        options=ctx.options,
        vectors=vectors,
        embedder=EMBEDDER,
        embedder_digest=digest,
        scorer=score.installed_digest(),
    )


def _check(config: ChooserConfig, ctx: CompileContext) -> None:
    if not 0 <= config.threshold <= 1:
        ctx.error(
            "bad-threshold",
            f"a threshold of {config.threshold:g} is not between 0 and 1",
            "threshold",
            detail="it is compared with how likely a choice is right",
            fix=f"leave it out for {type(config)().threshold:g}; the higher, the more is left alone",
        )
    if not 1 <= config.window <= MOST_TURNS:
        ctx.error(
            "bad-window",
            f"a window of {config.window} turns is too {'small' if config.window < 1 else 'large'}",
            "window",
            fix=f"write 1 to look at the newest turn only, and at most {MOST_TURNS}",
        )


def _embedded(config: ChooserConfig, ctx: CompileContext) -> tuple[str, str]:
    """The digest of the encoder, which is fetched and converted if need be, and of the vectors' blob. Blocks."""
    from archflow_plugins.local_models.cache import Cache
    from archflow_plugins.local_models.chooser import alike, table
    from archflow_plugins.local_models.vectors import embed

    def watch(done: int, total: int) -> None:
        ctx.progress(f"{ctx.name}: embedding", done, total)

    try:
        cache = Cache()
        model = cache.ensure(cache.find(EMBEDDER))
        ctx.needs(model.recorded)
        if not ctx.options:
            return model.digest, ""
        vectors = embed(model, table.texts(ctx.options), cache.folder, watch)
        data = table.pack(ctx.options, vectors)
        pairs = alike.pairs(table.Table(ctx.options, data, vectors.shape[1]), config.alike)
    except ArchflowError as error:
        ctx.error("local-model-unusable", f"the {ctx.name} needs {EMBEDDER}: {error}")
        return "", ""
    _warn(pairs, ctx)
    return model.digest, ctx.blob(data)


def _warn(pairs: list[Any], ctx: CompileContext) -> None:
    for pair in pairs[:PAIRS_TOLD]:
        ctx.warning(
            "options-alike",
            f"'{pair.one}' and '{pair.other}' are too alike to be told apart: their similarity is {pair.likeness:.2f}",
            detail=f"what they share: {pair.why}",
            fix="say in their descriptions, or by examples, what the one is for and the other is not",
        )
    if len(pairs) > PAIRS_TOLD:
        ctx.warning(
            "options-alike",
            f"{len(pairs) - PAIRS_TOLD} more pairs are too alike to be told apart",
            fix="raise `alike` if that is meant",
        )

"""The jailbreak guard: denies a conversation in which somebody tries to talk a model out of its instructions.

A head of our own judges every turn of the user, and each document in it by itself; turns of others if it is told so.
It reads hashed n-grams of each window, and small networks look at the windows that the n-grams find most suspicious as
two encoders see them: the default embedder, and the same tuned for this. Most texts are so plainly one or the other by
their n-grams that no encoder is asked. What passes is judged again sentence by sentence, with a bar of its own, because
a window in which an attack stands beside innocent text looks innocent. What the head learned from, its figures and its
weaknesses stand in jailbreak_head/README.md.

Rule: the graph holds a threshold and the digests of head and encoders; other weights are refused when it is opened.
Rule: what a turn says is never logged, and stands in no error.
Rule: nothing heavy is imported before the guard is opened, and only sums of what threads computed on the loop.
Rule: a turn of one piece is judged as one window, and no other way.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import msgspec
from msgspec import Struct

from archflow_plugins.contexts import CompileContext, RunContext
from archflow_plugins.guards.pieces import MOST, pieces
from archflow_plugins.guards.turns import USER, Whose, apart
from archflow_plugins.guards.windows import windows
from archflow_plugins.kinds import Guard, Number
from archflow_plugins.local_models.classifier import choose, logit, probability, side_by_side
from archflow_plugins.verdict import ALLOW, Verdict
from archflow_schema.conversation import Conversation
from archflow_schema.errors import ArchflowError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from archflow_plugins.local_models.classifier import Classifier
    from archflow_plugins.local_models.host import EmbeddingLane, Host

HEAD = Path(__file__).parent / "jailbreak_head"
MESSAGE = "This request was denied: it looks like an attempt to make the assistant ignore its instructions."
RATE = 0.015
BATCH = 64
"""Windows whose n-grams are hashed in one go of a thread, a few milliseconds."""
MOST_WINDOWS = 256
PIECES = 8
"""Pieces of a turn that are embedded at most; a sentence costs a few milliseconds."""


class JailbreakConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Configuration of the jailbreak guard.

    Attributes:
        false_positive_rate: the share of innocent texts that may be denied, 0.001 to 0.1; decides the threshold. It is
            0.015 if neither is given.
        threshold: the score in 0..1 from which a turn is denied, instead of a rate.
        roles: whose turns are judged: `user`, `assistant`, `system`, `tool`. What tools answer may hold instructions
            that somebody else wrote.
        message: what the client is told.
        windows: how many windows of a turn are embedded at most; a window is about 120 tokens and costs about 40 ms.
    """

    false_positive_rate: float | None = None
    threshold: float | None = None
    roles: tuple[Whose, ...] = USER
    message: str = MESSAGE
    windows: int = 16


class Jailbreak(Struct, frozen=True, kw_only=True):
    """What the graph stores.

    Attributes:
        pieces: what is taken from the logit of the most suspicious piece before it is held against the threshold.
        margin: how far from the threshold's logit that of the n-grams alone must be for encoders not to be asked.
        head: sha256 of the head's weights.
        encoders: the catalogue's name of each encoder, and its digest as it was converted.
        roles: whose turns are judged.
    """

    threshold: float
    pieces: float
    margin: float
    message: str
    windows: int
    head: str
    encoders: tuple[tuple[str, str], ...]
    roles: tuple[Whose, ...] = USER

    @property
    def bar(self) -> float:
        """The threshold as a logit."""
        return logit(self.threshold)


class Trained(Struct, frozen=True):
    """An encoder that a head was trained with: its name in the catalogue, and the digests of what it is made of."""

    name: str
    sha256: str
    adapter_sha256: str = ""


class Card(Struct, frozen=True):
    """What head.json tells of the weights beside it; the rest of it is for people."""

    sha256: str
    encoders: tuple[Trained, ...]
    thresholds: dict[str, float]
    pieces: float
    margin: float


def card() -> Card:
    """The card of the head that is installed."""
    return msgspec.json.decode((HEAD / "head.json").read_bytes(), type=Card)


def threshold_for(rate: float, table: dict[str, float]) -> float:
    """The threshold for a rate of false positives, between the rates that were measured on a straight line.

    Raises:
        ValueError: the rate is outside what was measured.
    """
    known = sorted((float(key), value) for key, value in table.items())
    for (low, high_score), (high, low_score) in pairwise(known):
        if low <= rate <= high:
            return high_score + (low_score - high_score) * (rate - low) / (high - low)
    raise ValueError(f"between {known[0][0]:g} and {known[-1][0]:g}")


class JailbreakGuard(Guard):
    """Denies attempts to talk a model out of its instructions, in any turn of the user, or of others if it shall."""

    kind = "guard.jailbreak"
    config = JailbreakConfig
    compiled = Jailbreak
    waits = True

    @classmethod
    def compile(cls, config: JailbreakConfig, ctx: CompileContext) -> Struct:
        installed = card()
        threshold = 1.0 if config.threshold is None else config.threshold
        if config.threshold is None:
            try:
                threshold = threshold_for(
                    RATE if config.false_positive_rate is None else config.false_positive_rate,
                    installed.thresholds,
                )
            except ValueError as error:
                ctx.error(
                    "bad-rate",
                    f"{config.false_positive_rate:g} is no rate that the jailbreak guard was calibrated for",
                    "false_positive_rate",
                    detail=f"it is a share of innocent texts, {error}",
                    fix="write 0.01 for one in a hundred, or give a threshold",
                )
        elif config.false_positive_rate is not None:
            ctx.error(
                "two-thresholds",
                "false_positive_rate and threshold say the same thing twice",
                "threshold",
                fix="keep one of them",
            )
        if not 0 < threshold <= 1:
            ctx.error(
                "bad-threshold",
                f"a threshold of {threshold:g} is not between 0 and 1",
                "threshold",
                fix="write a score such as 0.5; the higher, the fewer are denied",
            )
        if not 1 <= config.windows <= MOST_WINDOWS:
            ctx.error(
                "bad-windows",
                f"{config.windows} windows are too {'few' if config.windows < 1 else 'many'}",
                "windows",
                detail=f"between 1 and {MOST_WINDOWS} can be embedded",
                fix="leave it out for 16",
            )
        if not config.roles:
            ctx.error("no-roles", "a guard of nobody's turns denies nothing", "roles", fix="leave it out")
        if not config.message.strip():
            ctx.warning("empty-message", "a client that is denied is told nothing", "message", fix="say why")
        return Jailbreak(
            threshold=threshold,
            pieces=installed.pieces,
            margin=installed.margin,
            message=config.message,
            windows=config.windows,
            head=installed.sha256,
            encoders=_encoders(installed, ctx),
            roles=config.roles,
        )

    def __init__(self, compiled: Any, ctx: RunContext) -> None:
        super().__init__(compiled, ctx)
        self._host: Host
        self._lanes: tuple[EmbeddingLane, ...] = ()
        self._head: Classifier

    @classmethod
    async def open(cls, compiled: Any, ctx: RunContext) -> Self:
        from archflow_plugins.local_models.host import Host

        guard = cls(compiled, ctx)
        guard._host = await Host.current()
        guard._head = await guard._host.offload(lambda: _head(compiled))
        try:
            for name, digest in compiled.encoders:
                guard._lanes += (await guard._host.recorded_embedder(name, digest),)
        except BaseException:
            await guard.close()
            raise
        return guard

    def numbers(self) -> tuple[Number, ...]:
        return tuple(number for lane in self._lanes for number in lane.numbers())

    async def close(self) -> None:
        lanes, self._lanes = self._lanes, ()
        for lane in lanes:
            lane.release()

    async def check(self, conversation: Conversation) -> Verdict:
        highest = 0.0
        for text in apart(conversation, self.settings.roles):
            highest = max(highest, await self._score(text))
            if highest >= self.settings.threshold:
                return Verdict(allow=False, message=self.settings.message, score=highest)
        return ALLOW if not highest else Verdict(allow=True, score=highest)

    async def _score(self, text: str) -> float:
        """How sure it is that a turn is an attack, 0..1. Blocks while threads compute."""
        head, settings = self._head, self.settings
        found, ngrams = await self._cut(text, windows)
        if not found:
            return 0.0
        score = sure(head, ngrams, settings)
        if score is None:
            chosen = choose(ngrams, settings.windows)
            rows = await self._seen([found[at] for at in chosen])
            score = await self._host.offload(
                lambda: head.judge([ngrams[at] for at in chosen], rows, len(found))
            )
        if score >= settings.threshold or len(text) <= MOST:
            return score
        found, ngrams = await self._cut(text, pieces)
        chosen = doubtful(head, ngrams, settings)
        if len(found) < 2 or not chosen:
            return score
        rows = await self._seen([found[at] for at in chosen])
        asked = [ngrams[at] for at in chosen]
        return max(score, await self._host.offload(lambda: of_pieces(head, asked, rows, settings.pieces)))

    async def _cut(self, text: str, cut: Callable[[str], list[str]]) -> tuple[list[str], list[float]]:
        """The parts of a text, and what the n-grams say of each."""
        head = self._head

        def first() -> tuple[list[str], list[float]]:
            parts = cut(text)
            return parts, head.ngrams(parts[:BATCH]).tolist()

        parts, ngrams = await self._host.offload(first)
        for at in range(BATCH, len(parts), BATCH):
            batch = parts[at : at + BATCH]
            ngrams += (await self._host.offload(lambda batch=batch: head.ngrams(batch))).tolist()  # type: ignore[misc]
        return parts, ngrams

    async def _seen(self, parts: list[str]) -> Any:
        """What all encoders make of parts of a text, side by side. They work at the same time.

        Raises:
            Overloaded: too many texts wait for one of them.
        """
        import trio  # here, for compiling imports nothing that waits

        lanes = self._lanes
        if not lanes:
            raise RuntimeError("the jailbreak guard was closed")
        rows: list[Any] = [None] * len(lanes)

        async def encode(at: int) -> None:
            rows[at] = await lanes[at].encode(parts)

        try:
            async with trio.open_nursery() as nursery:
                for at in range(len(lanes)):
                    nursery.start_soon(encode, at)
        except ExceptionGroup as group:
            raise group.exceptions[0] from None  # whoever hears of it knows one error, and not groups of them
        return side_by_side(rows)


def sure(head: Classifier, ngrams: Sequence[float], settings: Jailbreak) -> float | None:
    """The score of a text whose n-grams by themselves say plainly what it is; None if they do not."""
    found = head.alone(ngrams)
    return probability(found) if abs(found - settings.bar) > settings.margin else None


def doubtful(head: Classifier, ngrams: Sequence[float], settings: Jailbreak) -> list[int]:
    """Which pieces of a text encoders are asked about: of those chosen, all that the n-grams alone do not clear."""
    logits = head.windows_alone(ngrams)
    lowest = settings.bar - settings.margin + settings.pieces
    return [at for at in choose(ngrams, PIECES) if logits[at] >= lowest]


def of_pieces(head: Classifier, ngrams: Sequence[float], embeddings: Any, bar: float) -> float:
    """The score of a text from its most suspicious piece, on the scale that windows are judged on."""
    return probability(float(head.seen(ngrams, embeddings).max()) - bar)


def _encoders(installed: Card, ctx: CompileContext) -> tuple[tuple[str, str], ...]:
    """Each encoder and its digest; none of them if one cannot be had, which is told once."""
    found = []
    for one in installed.encoders:
        digest = _encoder(one, ctx)
        if not digest:
            return ()
        found.append((one.name, digest))
    return tuple(found)


def _encoder(trained: Trained, ctx: CompileContext) -> str:
    """The digest of an encoder, which is fetched and converted if it is not there. Blocks: seconds, the first time."""
    from archflow_plugins.local_models.cache import Cache

    try:
        cache = Cache()
        entry = cache.find(trained.name)
        known = Trained(trained.name, entry.sha256, entry.adapter_sha256)
        if known != trained:
            ctx.error(
                "other-embedder",
                f"the jailbreak guard was trained on another {trained.name} than the catalogue has",
                detail=f"trained on {_short(trained)}, the catalogue has {_short(known)}",
                fix="install archflow again",
            )
        model = cache.ensure(entry)
    except ArchflowError as error:
        ctx.error("local-model-unusable", f"the jailbreak guard needs {trained.name}: {error}")
        return ""
    ctx.needs(model.recorded)
    return model.digest


def _short(one: Trained) -> str:
    return " with ".join(f"{digest[:16]}..." for digest in (one.sha256, one.adapter_sha256) if digest)


def _head(compiled: Jailbreak) -> Classifier:
    """The head, checked by its digest. Blocks."""
    from archflow_plugins.local_models.classifier import Classifier

    return Classifier((HEAD / "weights.npz").read_bytes(), compiled.head)

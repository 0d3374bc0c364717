"""Who chooses among options in a worker: one for each use of a kind.

The texts of a conversation are embedded by the worker's host, which remembers vectors; decisions are remembered too, so
that a client that tries again, or a tool's answer in between, costs nothing. Options that a request brings are embedded
when they first come, and kept for a while.

Rule: what a conversation says is never logged, and stands in no error.
Rule: nothing is computed on the event loop but digests.
Rule: memory is bounded, whatever requests bring.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import TYPE_CHECKING, Self

from archflow_plugins.choosing.compiled import Chosen
from archflow_plugins.contexts import Option, RunContext
from archflow_plugins.kinds import Choice
from archflow_plugins.routers.window import window
from archflow_schema.conversation import Conversation
from archflow_schema.errors import ClientProtocolError

if TYPE_CHECKING:
    from archflow_plugins.local_models.chooser.asked import Asked
    from archflow_plugins.local_models.chooser.score import Scorer
    from archflow_plugins.local_models.chooser.table import Found, Table
    from archflow_plugins.local_models.host import EmbeddingLane, Host

TOKENS = 2048
"""Of a conversation that are looked at for turns of the user."""
TOLD = 8
"""Options whose scores a choice tells."""
ALSO = 0.8
"""The confidence from which a part of a turn asks for an option of its own; chosen on what the scorer learned from."""
REMEMBERED = 2048
"""Decisions that are remembered."""
TEXTS_BROUGHT = 4096
"""Texts of the options that one request brings."""
TEXTS_KEPT = 8192
"""Texts whose tables are kept of options that requests brought, about 12 MiB."""


class Chooser:
    """Chooses among compiled options, or among those that a request brings."""

    def __init__(self, compiled: Chosen, ctx: RunContext) -> None:
        self._settings = compiled
        self._ctx = ctx
        self._host: Host
        self._lane: EmbeddingLane | None = None
        self._scorer: Scorer
        self._table: Table | None = None
        self._brought: OrderedDict[tuple[Option, ...], Table] = OrderedDict()
        self._decided: OrderedDict[bytes, Choice] = OrderedDict()

    @classmethod
    async def open(cls, compiled: Chosen, ctx: RunContext) -> Self:
        """Open what was compiled. Blocks while models are loaded, once.

        Raises:
            ArchflowError: encoder or scorer are missing, or others than those of the graph.
        """
        from archflow_plugins.local_models.chooser.score import Scorer
        from archflow_plugins.local_models.chooser.table import Table
        from archflow_plugins.local_models.host import Host

        chooser = cls(compiled, ctx)
        chooser._host = host = await Host.current()
        chooser._scorer = await host.offload(lambda: Scorer.installed(compiled.scorer))
        chooser._lane = lane = await host.recorded_embedder(compiled.embedder, compiled.embedder_digest)
        try:
            if compiled.options:
                data = ctx.view(compiled.vectors)
                chooser._table = await host.offload(
                    lambda: Table(compiled.options, data, lane.embedder.dimension)
                )
        except BaseException:
            lane.release()
            raise
        return chooser

    def close(self) -> None:
        """Let the encoder go."""
        lane, self._lane = self._lane, None
        if lane is not None:
            lane.release()

    async def choose(
        self, conversation: Conversation, options: tuple[Option, ...] = (), *, several: bool = False
    ) -> Choice:
        """The option that a conversation is about. Blocks while threads compute: milliseconds.

        Args:
            conversation: what was said so far.
            options: what to choose among instead of the compiled ones.
            several: also look whether parts of the newest turn ask for other options.

        Raises:
            ClientProtocolError: a request brings more than is looked at.
            Overloaded: too many texts wait already.
        """
        from archflow_plugins.local_models.chooser.asked import asked

        if not options and self._table is None:
            return Choice(reason="no_options")
        turns = window(conversation, TOKENS)
        user = [turn.content for turn in turns if turn.role == "user"]
        said = asked(user, self._settings.window, several=several)
        if not said.newest:
            return Choice(reason="empty")
        key = _key(said, options, several=several)
        known = self._decided.get(key)
        if known is not None:
            self._decided.move_to_end(key)
            return known
        choice = await self._decide(said, options, several=several)
        self._decided[key] = choice
        while len(self._decided) > REMEMBERED:
            self._decided.popitem(last=False)
        return choice

    async def _decide(self, said: Asked, options: tuple[Option, ...], *, several: bool) -> Choice:
        if self._lane is None:
            raise RuntimeError(f"{self._ctx.name} was closed")
        vectors = await self._lane.encode(said.texts)
        table = await self._made(options) if options else self._table
        assert table is not None  # noqa: S101 - there are options
        bar = max(self._settings.threshold, ALSO) if several else 1.0
        found = await self._host.offload(lambda: table.find(self._scorer, said, vectors, bar))
        return _choice(found, table.options, self._settings.threshold)

    async def _made(self, options: tuple[Option, ...]) -> Table:
        """The table of options that a request brings. Blocks while they are embedded, if they are new."""
        from archflow_plugins.local_models.chooser.table import Table, pack, texts

        known = self._brought.get(options)
        if known is not None:
            self._brought.move_to_end(options)
            return known
        assert self._lane is not None  # noqa: S101 - seen by _decide
        wanted = await self._host.offload(lambda: texts(options))
        if len(wanted) > TEXTS_BROUGHT:
            raise ClientProtocolError(
                f"the options of this request hold {len(wanted)} texts, of which at most {TEXTS_BROUGHT} are looked "
                "at: bring fewer options or fewer examples"
            )
        vectors = await self._lane.encode(wanted)
        dimension = self._lane.embedder.dimension
        made = await self._host.offload(lambda: Table(options, pack(options, vectors), dimension))
        self._brought[options] = made
        while sum(one.size for one in self._brought.values()) > TEXTS_KEPT and len(self._brought) > 1:
            self._brought.popitem(last=False)
        return made


def _choice(found: Found, options: tuple[Option, ...], threshold: float) -> Choice:
    """What was found, as a choice: none if it is not sure enough."""
    scores = tuple(
        (options[at].name, round(chance, 4))
        for at, chance in zip(found.options[:TOLD], found.chances, strict=False)
    )
    confidence = round(found.confidence, 4)
    if confidence < threshold:
        return Choice(reason="unclear", confidence=confidence, scores=scores)
    return Choice(
        option=options[found.options[0]].name,
        reason="ranked",
        confidence=confidence,
        scores=scores,
        also=tuple(options[at].name for at, _ in found.also),
    )


def _key(said: Asked, options: tuple[Option, ...], *, several: bool) -> bytes:
    """The digest by which a decision is remembered."""
    digest = hashlib.blake2b(digest_size=16)
    for text in (said.newest, said.joined, "1" if several else ""):
        digest.update(len(text).to_bytes(4, "big"))
        digest.update(text.encode("utf-8", "surrogatepass"))
    for option in options:
        for text in (option.name, option.description, *option.examples):
            digest.update(len(text).to_bytes(4, "big"))
            digest.update(text.encode("utf-8", "surrogatepass"))
        digest.update(b"\xff" * 4)
    return digest.digest()

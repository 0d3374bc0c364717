"""The host of a worker's local models: one per worker, shared by whoever uses the same model.

Each model has a lane: a queue, and tasks that take from it what fits together and run that in a thread. Requests that
come within a window, or while a batch runs, share the next one. A request that nobody waits for any more is dropped
from its queue, or ended at its next token. A queue that is full refuses with a time to come back.

Rule: nothing here blocks the event loop: texts are encoded, models run and results are made in threads.
Rule: a lane lives while somebody holds it; the host while its trio run does.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeAlias, TypeVar

import trio

from archflow_plugins.kinds import Number
from archflow_plugins.local_models.embed import Embedded, Embedder, Remembered, text_key
from archflow_plugins.local_models.errors import libraries
from archflow_plugins.local_models.generate import Generation, LanguageModel, Piece
from archflow_plugins.memory import give_back
from archflow_schema.errors import ArchflowError, LimitExceeded

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from archflow_plugins.local_models.cache import Model

T = TypeVar("T")

WINDOW = 0.0002
"""Seconds that a batch waits for others to join it."""
TEXTS_AT_ONCE = 64
CHARACTERS_AT_ONCE = 8192
"""Of a batch of texts, so that those that come meanwhile wait for a fraction of a second at most."""
TEXTS_WAITING = 4096
"""Texts that may wait for their vectors before more are refused."""
GENERATIONS_AT_ONCE = 8
TOKENS_AT_ONCE = 8192
"""Of the generations of a batch together."""
GENERATIONS_WAITING = 64
"""Generations that may wait for their turn before more are refused."""
BYTES_COUNTED = 8 << 20
"""Bytes of requests that may wait to be counted before more are refused: some seconds' work."""
SLICE = 0.5
"""Seconds that a batch runs on while others wait to join it."""
REMEMBERED = 8192
"""Vectors that are remembered, about 12 MiB of them."""
LONG = 65_536
"""Characters of a request above which digests are not worth the event loop's time (a tenth of a millisecond)."""
SWITCH = 0.0002
"""Seconds for which a thread of Python may keep the event loop waiting."""


class Overloaded(LimitExceeded):
    """A local model has more to do than it can do soon."""

    status_hint: ClassVar[int] = 503


class Lane(Generic[T]):
    """One model at work.

    Attributes:
        name: the model's.
        load_seconds: how long opening and warming took.
        holders: how many use it.
    """

    def __init__(self, host: Host, name: str) -> None:
        self.name = name
        self.load_seconds = 0.0
        self.holders = 0
        self._host = host
        self._queue: deque[T] = deque()
        self._more = trio.Event()
        self._stopping = False
        self._scope = trio.CancelScope()

    @property
    def memory(self) -> int:
        """Bytes that it holds."""
        return self.weights

    @property
    def waiting(self) -> int:
        """Requests in its queue."""
        return len(self._queue)

    def numbers(self) -> tuple[Number, ...]:
        """What it tells /metrics."""
        return (
            Number("bytes", (self.name, "weights"), self.weights),
            Number("waiting", (self.name,), self.waiting),
        )

    @property
    def weights(self) -> int:
        """Bytes of its weights."""
        raise NotImplementedError

    def open(self) -> None:
        """Load the model and run it once. Blocks; called in a thread."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of the model. Blocks; called in a thread when nothing runs it."""
        raise NotImplementedError

    async def serve(self) -> None:
        """Take from the queue and run, until stopped. Blocks."""
        with self._scope:
            async with trio.open_nursery() as nursery:
                for _ in range(self._host.threads):
                    nursery.start_soon(self._work)
        with trio.CancelScope(
            shield=True
        ):  # also where the run ends: nothing else frees it in a thread of ours
            await self._host.offload(self._leave)

    def _leave(self) -> None:
        self.close()
        give_back()

    async def _work(self) -> None:
        while not self._stopping:
            if not self._queue:
                await self._more.wait()
                continue
            await trio.sleep(WINDOW)
            batch = self._take()
            if batch:
                await self._run(batch)

    def _take(self) -> list[T]:
        """What is run together next."""
        raise NotImplementedError

    async def _run(self, batch: list[T]) -> None:
        """Run a batch in a thread. Blocks until it is done."""
        raise NotImplementedError

    def _put(self, job: T, *, first: bool = False) -> None:
        if first:
            self._queue.appendleft(job)
        else:
            self._queue.append(job)
        self._more.set()
        self._more = trio.Event()

    def stop(self) -> None:
        """End its tasks; what runs in a thread ends at its next step."""
        self._stopping = True
        self._scope.cancel()

    def release(self) -> None:
        """A holder needs it no more."""
        self.holders -= 1
        if self.holders <= 0:
            self._host.forget(self)
            self.stop()


L = TypeVar("L", bound=Lane[Any])


class _Texts:
    """Texts that wait for their vectors."""

    def __init__(self, texts: Sequence[str | Sequence[int]]) -> None:
        self.texts = texts
        self.found: list[Embedded | None] = [None] * len(texts)
        self.missing = len(texts)
        self.done = trio.Event()
        self.cancelled = False
        self.error: Exception | None = None


class EmbeddingLane(Lane[_Texts]):
    """An embedder at work."""

    def __init__(self, host: Host, model: Model) -> None:
        super().__init__(host, model.entry.name)
        self._model = model
        self._remembered = Remembered(REMEMBERED)
        self._texts_waiting = 0
        self.embedder: Embedder

    @property
    def weights(self) -> int:
        return self.embedder.memory

    @property
    def memory(self) -> int:
        return self.weights + self._remembered.memory

    def numbers(self) -> tuple[Number, ...]:
        known = self._remembered
        return (
            *super().numbers(),
            Number("bytes", (self.name, "vectors"), known.memory),
            Number("lookups", (self.name, "hit"), known.hits),
            Number("lookups", (self.name, "miss"), known.misses),
        )

    @property
    def remembered(self) -> Remembered:
        """The vectors that it keeps."""
        return self._remembered

    def open(self) -> None:
        self.embedder = Embedder(self._model, threads=1, parallel=self._host.threads)
        self.embedder.warm()

    def close(self) -> None:
        self.embedder.close()
        del self.embedder

    async def encode(self, texts: Sequence[str]) -> NDArray[Any]:
        """A vector of length 1 for each text; what does not fit of a text is left out. Blocks until they are there.

        Raises:
            Overloaded: too many texts wait already.
        """
        return _stacked(await self.embed(texts), self.embedder.dimension)

    async def embed(self, texts: Sequence[str]) -> list[Embedded]:
        """As `encode`, each vector by itself with the number of its text's tokens. Blocks until they are there.

        A part at a time, so that others get their turn between two parts, and the event loop its own.
        """
        self._admit(len(texts))
        try:
            return [one for part in _parts(texts) for one in await self._embed_part(part)]
        finally:
            self._texts_waiting -= len(texts)

    async def encode_tokens(self, texts: Sequence[Sequence[int]]) -> NDArray[Any]:
        """As `encode`, for tokens that fit; they are not remembered."""
        self._admit(len(texts))
        try:
            found = [one for part in _parts(texts) for one in await self._ask(part)]
        finally:
            self._texts_waiting -= len(texts)
        return _stacked(found, self.embedder.dimension)

    def _admit(self, count: int) -> None:
        """Count texts as waiting, unless there are too many of them."""
        if self._texts_waiting and self._texts_waiting + count > TEXTS_WAITING:
            raise Overloaded(f"the model {self.name} has {self._texts_waiting} texts waiting: try again", 1)
        self._texts_waiting += count

    async def _embed_part(self, texts: Sequence[str]) -> list[Embedded]:
        """Vectors of texts, of which some may be remembered."""
        small = sum(map(len, texts)) <= LONG
        keys = [text_key(one) if small else None for one in texts]
        found = [None if key is None else self._remembered.get(key) for key in keys]
        missing = [place for place, one in enumerate(found) if one is None]
        if missing:
            for place, one in zip(missing, await self._ask([texts[one] for one in missing]), strict=True):
                found[place] = one
                key = keys[place]
                if key is not None:
                    self._remembered.put(key, one)
        else:
            await trio.lowlevel.checkpoint()
        return [one for one in found if one is not None]

    async def _ask(self, texts: Sequence[str | Sequence[int]]) -> list[Embedded]:
        job = _Texts(texts)
        self._put(job)
        try:
            await job.done.wait()
        finally:
            job.cancelled = True
            if job in self._queue:
                self._queue.remove(job)
        if job.error is not None:
            raise ArchflowError(f"the model {self.name} failed: {job.error}") from job.error
        return [one for one in job.found if one is not None]

    def _take(self) -> list[_Texts]:
        batch: list[_Texts] = []
        count = size = 0
        while self._queue and count < TEXTS_AT_ONCE and size < CHARACTERS_AT_ONCE:
            job = self._queue.popleft()
            batch.append(job)
            count += len(job.texts)
            size += sum(map(_characters, job.texts))
        return batch

    async def _run(self, batch: list[_Texts]) -> None:
        soon = trio.lowlevel.current_trio_token().run_sync_soon

        def work() -> None:
            places = [(job, place) for job in batch for place in range(len(job.texts))]
            texts = [job.texts[place] for job, place in places]
            written = iter(self.embedder.read([one for one in texts if isinstance(one, str)]))
            tokens = [next(written) if isinstance(one, str) else (one, len(one)) for one in texts]

            def tell(group: Sequence[int], vectors: NDArray[Any]) -> None:
                for at, vector in zip(group, vectors, strict=True):
                    job, place = places[at]
                    job.found[place] = Embedded(vector, tokens[at][1])
                    job.missing -= 1
                    if not job.missing:
                        soon(job.done.set)

            self.embedder.run(
                [one for one, _ in tokens], tell, lambda at: not (places[at][0].cancelled or self._stopping)
            )

        try:
            await self._host.offload(work)
        except Exception as error:  # noqa: BLE001 - told to each of those who wait
            for job in batch:
                job.error = error
                job.done.set()


class Bell:
    """Rings when one of the texts of a request has more to say."""

    def __init__(self) -> None:
        self._rung = trio.Event()

    def ring(self) -> None:
        """Something changed."""
        self._rung.set()
        self._rung = trio.Event()

    async def wait(self) -> None:
        """Blocks until it rings."""
        await self._rung.wait()


class Stream:
    """A text being generated. Use as a context manager: leaving it ends the generation.

    Attributes:
        generation: what is known of it.
        over: whether no more pieces will come.
    """

    def __init__(self, lane: GenerationLane, bell: Bell) -> None:
        self.generation: Generation
        self._lane = lane
        self._soon = trio.lowlevel.current_trio_token().run_sync_soon
        self._pieces: deque[Piece] = deque()
        self._bell = bell
        self.over = False
        self.error: Exception | None = None

    def tell(self, piece: Piece) -> None:
        """A piece was generated; called in a thread."""
        self._pieces.append(piece)
        self._soon(self._bell.ring)

    def end(self, error: Exception | None = None) -> None:
        """No more pieces will come."""
        self.over = True
        self.error = error
        self._bell.ring()

    async def next(self) -> list[Piece]:
        """The pieces that came meanwhile; none when the text is over. Blocks until there is one.

        Raises:
            ArchflowError: the model failed.
        """
        while not self._pieces and not self.over:
            await self._bell.wait()
        return self.take()

    def take(self) -> list[Piece]:
        """The pieces that came meanwhile.

        Raises:
            ArchflowError: the model failed.
        """
        if self.error is not None:
            raise ArchflowError(f"the model {self._lane.name} failed: {self.error}") from self.error
        found = list(self._pieces)
        self._pieces.clear()
        return found

    def drop(self) -> None:
        """Nobody wants it any more."""
        self._lane.drop(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.drop()


class Answers:
    """Several texts that answer one request. Use as a context manager: leaving it ends them all.

    Attributes:
        streams: the texts, in their order.
    """

    def __init__(self, streams: Sequence[Stream], bell: Bell) -> None:
        self.streams = tuple(streams)
        self._bell = bell

    async def next(self) -> list[tuple[int, Piece]]:
        """The pieces that came meanwhile, with the number of their text; none when all are over. Blocks.

        Raises:
            ArchflowError: the model failed.
        """
        while True:
            over = all(one.over for one in self.streams)
            found = [(number, piece) for number, one in enumerate(self.streams) for piece in one.take()]
            if found or over:
                return found
            await self._bell.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for stream in self.streams:
            stream.drop()


Make: TypeAlias = "Callable[[LanguageModel, Callable[[Piece], None]], Generation]"
"""Makes a generation, given the model and who is told of pieces."""


class GenerationLane(Lane[Stream]):
    """A language model at work."""

    def __init__(self, host: Host, model: Model) -> None:
        super().__init__(host, model.entry.name)
        self._model = model
        self._preparing = 0
        self._counting = 0
        self._counter = trio.CapacityLimiter(1)
        self._pace = SLICE / GENERATIONS_AT_ONCE
        self.model: LanguageModel

    @property
    def weights(self) -> int:
        return self.model.memory

    def open(self) -> None:
        self.model = LanguageModel(self._model, threads=1, parallel=self._host.threads)
        self.model.warm()

    def close(self) -> None:
        self.model.close()
        del self.model

    async def generate(self, make: Make) -> Stream:
        """Begin a generation. Blocks while it is prepared, not until it runs.

        Args:
            make: makes it, given the model and who is told of pieces; called in a thread.

        Raises:
            Overloaded: too many wait already.
            ClientProtocolError: it cannot be made: what `make` raises.
        """
        return (await self.generate_all([make])).streams[0]

    async def generate_all(self, makes: Sequence[Make]) -> Answers:
        """Begin several generations that answer one request; as `generate`, and all of them or none."""
        waiting = len(self._queue) + self._preparing
        if waiting >= GENERATIONS_WAITING or (waiting and waiting + len(makes) > GENERATIONS_WAITING):
            raise Overloaded(
                f"the model {self.name} has {waiting} requests waiting: try again", self._patience()
            )
        bell = Bell()
        streams = [Stream(self, bell) for _ in makes]

        def prepare() -> None:
            for make, stream in zip(makes, streams, strict=True):
                stream.generation = make(self.model, stream.tell)

        self._preparing += len(makes)
        try:
            await self._host.offload(prepare)
        finally:
            self._preparing -= len(makes)
        for stream in streams:
            if stream.generation.reason:
                stream.end()
            else:
                self._put(stream)
        return Answers(streams, bell)

    async def count(self, size: int, counts: Callable[[LanguageModel], Iterable[int]]) -> int:
        """How many tokens a request has. Blocks while they are counted, one request after the other.

        That may take seconds, so it has a thread of its own: who embeds or generates meanwhile does not wait for it. It
        ends at the next part if nobody waits for it any more.

        Args:
            size: bytes of the request.
            counts: tells how many tokens its parts have, given the model; called in a thread.

        Raises:
            Overloaded: too much waits already.
            ClientProtocolError: it cannot be counted: what `counts` raises.
        """
        if self._counting and self._counting + size > BYTES_COUNTED:
            raise Overloaded(f"the model {self.name} has {self._counting} bytes to count: try again", 1)
        model = self.model

        def work() -> int:
            found = 0
            for one in counts(model):
                trio.from_thread.check_cancelled()
                found += one
            return found

        self._counting += size
        try:
            return await trio.to_thread.run_sync(work, limiter=self._counter)
        finally:
            self._counting -= size

    async def score(self, prompt: Sequence[int], texts: Sequence[Sequence[int]]) -> list[list[float]]:
        """The log-probability of each token of some continuations. Blocks while the model reads them in a thread."""
        return await self._host.offload(lambda: self.model.score(prompt, texts))

    def drop(self, stream: Stream) -> None:
        """Nobody wants a text any more."""
        stream.generation.cancel()
        if stream in self._queue:
            self._queue.remove(stream)
            stream.generation.reason = "cancelled"

    def _patience(self) -> float:
        """Seconds until what waits now will be done, as fast as it went lately."""
        return max(1, math.ceil(self._pace * (len(self._queue) + self._preparing) / self._host.threads))

    def _take(self) -> list[Stream]:
        """The first that waits, and others that can run with it: drafted alike, and of about the same length.

        One whose draws are its own runs alone, so that the same seed gives the same text whoever else is there.
        """
        if not self._queue:
            return []
        first = self._queue.popleft()
        batch = [first]
        if first.generation.draft == (0.0, 1.0) and first.generation.sampling.seed is not None:
            return batch
        kind, length = _kind(first), _length(first)
        for other in list(self._queue):
            if len(batch) >= GENERATIONS_AT_ONCE or (len(batch) + 1) * length > TOKENS_AT_ONCE:
                break
            near = abs(_length(other) - length) <= max(16, length // 8)
            if near and other.generation.sampling.seed is None and _kind(other) == kind:
                self._queue.remove(other)
                batch.append(other)
        return batch

    async def _run(self, batch: list[Stream]) -> None:
        alone = batch[0].generation.sampling.seed is not None
        generations = [one.generation for one in batch]
        until = time.monotonic() + SLICE

        def interrupt() -> bool:
            return self._stopping or (not alone and bool(self._queue) and time.monotonic() > until)

        def work() -> None:
            while any(not one.reason for one in generations) and not interrupt():
                self.model.run(generations, interrupt)
                for stream in batch:
                    if stream.generation.reason:
                        stream._soon(stream.end)  # noqa: SLF001

        error: Exception | None = None
        began = time.monotonic()
        try:
            await self._host.offload(work)
        except Exception as raised:  # noqa: BLE001 - told to each of those who wait
            error = raised
        ended = sum(bool(one.reason) for one in generations)
        self._pace += ((time.monotonic() - began) / max(1, ended) - self._pace) / 8
        for stream in reversed(batch):
            if error is not None or stream.generation.reason:
                stream.end(error)
            elif stream.generation.cancelled:
                stream.generation.reason = "cancelled"
            elif not self._stopping:
                self._put(stream)


S = TypeVar("S", bound="str | Sequence[int]")


def _parts(texts: Sequence[S]) -> Iterator[list[S]]:
    """Texts in parts that a batch has room for."""
    part: list[S] = []
    size = 0
    for text in texts:
        if part and (len(part) == TEXTS_AT_ONCE or size + _characters(text) > CHARACTERS_AT_ONCE):
            yield part
            part, size = [], 0
        part.append(text)
        size += _characters(text)
    if part:
        yield part


def _characters(text: str | Sequence[int]) -> int:
    """How long a text is in characters, about; a token has four."""
    return len(text) if isinstance(text, str) else 4 * len(text)


def _kind(stream: Stream) -> tuple[tuple[float, float], bool]:
    return stream.generation.draft, stream.generation.looks


def _length(stream: Stream) -> int:
    return len(stream.generation.prompt) + len(stream.generation.tokens)


def _stacked(found: Sequence[Embedded], dimension: int) -> NDArray[Any]:
    import numpy as np

    if not found:
        return np.zeros((0, dimension), dtype=np.float32)
    return np.stack([one.vector for one in found])


_CURRENT: trio.lowlevel.RunVar[Host] = trio.lowlevel.RunVar("archflow local models")


class Host:
    """The local models of a worker.

    Attributes:
        threads: how many run at once.
    """

    def __init__(self, threads: int = 0) -> None:
        self.threads = threads or max(1, min(4, len(os.sched_getaffinity(0)) - 1))
        self._limiter = trio.CapacityLimiter(self.threads + 2)  # the two encode texts meanwhile
        self._lanes: dict[tuple[str, str], Lane[Any]] = {}
        self._opening = trio.Lock()
        self._nursery: trio.Nursery | None = None

    @classmethod
    async def current(cls) -> Host:
        """The host of this trio run; made when first asked for. Blocks briefly."""
        try:
            host = _CURRENT.get()
        except LookupError:
            host = cls()
            _CURRENT.set(host)
            sys.setswitchinterval(min(sys.getswitchinterval(), SWITCH))
            os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # else a thread for every core
        await host._begin()
        return host

    async def embedder(self, model: Model) -> EmbeddingLane:
        """Hold an embedder; `release` it when it is needed no more. Blocks while it is opened, once.

        Raises:
            ArchflowError: it cannot be opened.
        """
        return await self._hold(("embedder", model.digest), lambda: EmbeddingLane(self, model))

    async def recorded_embedder(self, name: str, digest: str) -> EmbeddingLane:
        """Hold the embedder that a graph recorded; `release` it in the end. Blocks while it is read and opened.

        Raises:
            ArchflowError: it is not there, is another one than was recorded, or cannot be opened.
        """
        from archflow_plugins.local_models.cache import Cache

        return await self.embedder(await self.offload(lambda: Cache().load(name, digest)))

    async def language_model(self, model: Model) -> GenerationLane:
        """Hold a language model; `release` it when it is needed no more. Blocks while it is opened, once.

        Raises:
            ArchflowError: it cannot be opened.
        """
        return await self._hold(("language_model", model.digest), lambda: GenerationLane(self, model))

    async def offload(self, work: Callable[[], T]) -> T:
        """Run blocking work in a thread of the host's. Blocks until it is done."""
        return await trio.to_thread.run_sync(work, limiter=self._limiter)

    @property
    def lanes(self) -> tuple[Lane[Any], ...]:
        """The models that are open."""
        return tuple(self._lanes.values())

    @property
    def memory(self) -> int:
        """Bytes that all models hold: weights, and vectors that are remembered."""
        return sum(lane.memory for lane in self.lanes)

    def forget(self, lane: Lane[Any]) -> None:
        """Nobody holds a lane any more."""
        self._lanes = {key: one for key, one in self._lanes.items() if one is not lane}

    async def _hold(self, key: tuple[str, str], make: Callable[[], L]) -> L:
        async with self._opening:
            found = self._lanes.get(key)
            if found is None:
                lane = make()
                began = time.monotonic()
                with libraries():
                    await self.offload(lane.open)
                lane.load_seconds = time.monotonic() - began
                self._lanes[key] = found = lane
                assert self._nursery is not None  # noqa: S101 - set by _begin
                self._nursery.start_soon(lane.serve)
            found.holders += 1
            return found  # type: ignore[return-value]

    async def _begin(self) -> None:
        async with self._opening:
            if self._nursery is None:
                begun = trio.Event()
                trio.lowlevel.spawn_system_task(self._live, begun)
                await begun.wait()

    async def _live(self, begun: trio.Event) -> None:
        """Own the lanes' tasks until the run ends; then see that no thread runs on for long."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            begun.set()
            try:
                await trio.sleep_forever()
            finally:
                for lane in self.lanes:
                    lane.stop()

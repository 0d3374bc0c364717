"""Texts to vectors: a sentence encoder in this process.

Texts are sorted by length and run in groups of about the same, so that little is spent on padding. A vector is the
mean of its tokens' last states, or the first one's where the model was trained so, scaled to length 1: the inner
product of two is their cosine.

Rule: everything here blocks and belongs in a thread; `host` sees to that.
Rule: imports ctranslate2, numpy and tokenizers when a model is opened, not before.
"""

from __future__ import annotations

import hashlib
import itertools
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from archflow_plugins.local_models.tokens import encodings, pieces
from archflow_schema.errors import ArchflowError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from archflow_plugins.local_models.cache import Model

GROUP_TOKENS = 2048
"""Tokens of one group, padding included."""
SLACK = 8
"""Tokens by which the texts of a group may differ in length, or a quarter of the longer where that is more."""


class Embedder:
    """A sentence encoder, opened.

    Attributes:
        name: as the catalogue has it.
        dimension: the length of a vector.
        limit: tokens of the longest text, its two marks included.
        memory: bytes of its weights.
    """

    def __init__(self, model: Model, threads: int = 1, parallel: int = 1) -> None:
        """Open a model. Blocks: for a fraction of a second.

        Args:
            model: converted, in the cache.
            threads: for each batch.
            parallel: batches that run beside each other.

        Raises:
            ArchflowError: it cannot be opened.
        """
        import ctranslate2
        from tokenizers import Tokenizer

        entry = model.entry
        self.name = entry.name
        self.limit = entry.limits.max_tokens or 512
        self._pooling = entry.pooling or "mean"
        try:
            self._tokenizer = Tokenizer.from_file(str(model.folder / "tokenizer.json"))
            self._encoder: Any = ctranslate2.Encoder(
                str(model.folder), device="cpu", inter_threads=parallel, intra_threads=threads
            )
        except Exception as error:
            raise ArchflowError(
                f"the local model {entry.name} cannot be opened: {error}: `archc models verify {entry.name}` tells more"
            ) from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._frame = self._tokenizer.encode("").ids
        self.dimension = entry.limits.dimension or int(self._states([self._frame])[0].shape[-1])
        self.memory = sum(file.stat().st_size for file in model.folder.glob("model*.bin"))

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """The tokens of texts, all of them, between their two marks. Blocks: for as long as the texts are."""
        return [tokens for tokens, _ in self._read(texts, None)]

    def read(self, texts: Sequence[str]) -> list[tuple[list[int], int]]:
        """Of each text the tokens that fit, between their marks, and how many tokens all of it has. Blocks as above."""
        return self._read(texts, self.limit)

    def _read(self, texts: Sequence[str], limit: int | None) -> list[tuple[list[int], int]]:
        head, tail = self._marks()
        marks = len(head) + len(tail)
        split = [pieces(one) for one in texts]
        encoded = encodings(self._tokenizer, [piece for some in split for piece in some])
        found: list[tuple[list[int], int]] = []
        for some in split:
            tokens, count = list(head), marks
            for one in itertools.islice(encoded, len(some)):
                count += len(one)
                if limit is None or len(tokens) < limit:
                    tokens += one.ids
            found.append(([*(tokens if limit is None else tokens[: limit - len(tail)]), *tail], count))
        return found

    def windows(self, tokens: Sequence[int], stride: int = 0) -> list[list[int]]:
        """A long text in pieces that fit, each between marks of its own.

        Args:
            tokens: of `tokenize`.
            stride: how many tokens further each piece begins; 0 leaves no overlap.
        """
        if len(tokens) <= self.limit:
            return [list(tokens)]
        head, tail = self._marks()
        inner = tokens[len(head) : len(tokens) - len(tail)]
        size = self.limit - len(head) - len(tail)
        step = min(stride, size) or size
        starts = range(0, max(1, len(inner) - size + step), step)
        return [[*head, *inner[start : start + size], *tail] for start in starts]

    def encode(self, texts: Sequence[str]) -> NDArray[Any]:
        """A vector of length 1 for each text, float32 [n, dimension]; what does not fit of a text is left out."""
        return self.encode_tokens([tokens for tokens, _ in self.read(texts)])

    def encode_each(self, texts: Sequence[str], tell: Callable[[int], None] = lambda _: None) -> NDArray[Any]:
        """As `encode`, each vector decided by its text alone, to the last bit, whatever stands beside it.

        Padding moves the vectors of some texts a little, so only texts of the same length run together here: for
        what is kept and compared by its bytes.

        Args:
            texts: what to encode.
            tell: hears how many are done.
        """
        import numpy as np

        tokens = [one for one, _ in self.read(texts)]
        found, done = np.zeros((len(texts), self.dimension), dtype=np.float32), 0
        for places in groups([len(one) for one in tokens], same=True):
            found[places] = self._vectors([tokens[place] for place in places])
            done += len(places)
            tell(done)
        return found

    def encode_tokens(self, texts: Sequence[Sequence[int]]) -> NDArray[Any]:
        """As `encode`, for tokens that fit."""
        import numpy as np

        found = np.zeros((len(texts), self.dimension), dtype=np.float32)

        def put(places: Sequence[int], vectors: NDArray[Any]) -> None:
            found[list(places)] = vectors

        self.run(texts, put)
        return found

    def run(
        self,
        texts: Sequence[Sequence[int]],
        tell: Callable[[Sequence[int], NDArray[Any]], None],
        wanted: Callable[[int], bool] = lambda _: True,
    ) -> None:
        """Encode group by group, the shortest texts first. Blocks until all are done.

        Args:
            texts: their tokens.
            tell: hears of each group: the places of its texts, and their vectors.
            wanted: whether a text, by its place, is still wanted when its turn comes.
        """
        for group in groups([len(one) for one in texts]):
            places = [place for place in group if wanted(place)]
            if places:
                tell(places, self._vectors([texts[place] for place in places]))

    def warm(self) -> None:
        """Run once, so that the first request finds everything allocated."""
        self.encode(["warm", "warm up with a text that is a little longer"])

    def close(self) -> None:
        """Free the weights. CTranslate2 does so when the last reference is gone, not before."""
        self._encoder = None

    def _marks(self) -> tuple[list[int], list[int]]:
        """What stands before and after every text."""
        half = (len(self._frame) + 1) // 2
        return self._frame[:half], self._frame[half:]

    def _states(self, texts: Sequence[Sequence[int]]) -> NDArray[Any]:
        import numpy as np

        states: NDArray[Any] = np.asarray(
            self._encoder.forward_batch([list(one) for one in texts]).last_hidden_state
        )
        return states

    def _vectors(self, texts: Sequence[Sequence[int]]) -> NDArray[Any]:
        import numpy as np

        states = self._states(texts)
        if self._pooling == "mean":
            lengths = np.array([len(one) for one in texts], dtype=np.int64)
            there = (np.arange(states.shape[1])[None, :] < lengths[:, None]).astype(np.float32)
            pooled = np.einsum("nld,nl->nd", states, there) / lengths[:, None].astype(np.float32)
        else:
            pooled = states[:, 0]
        norms = np.linalg.norm(pooled, axis=1, keepdims=True)
        vectors: NDArray[Any] = (pooled / np.maximum(norms, 1e-12)).astype(np.float32)
        return vectors


def groups(lengths: Sequence[int], *, same: bool = False) -> Iterator[list[int]]:
    """The places of texts in groups of about the same length, or of the very same, the shortest first."""
    order = sorted(range(len(lengths)), key=lambda place: (lengths[place], place))
    group: list[int] = []
    for place in order:
        length = lengths[place]
        if group:
            shortest = lengths[group[0]]
            slack = 0 if same else max(SLACK, length // 4)
            if length - shortest > slack or length * (len(group) + 1) > GROUP_TOKENS:
                yield group
                group = []
        group.append(place)
    if group:
        yield group


class Embedded(NamedTuple):
    """The vector of a text, and how many tokens the text has, those that do not fit included."""

    vector: NDArray[Any]
    tokens: int


class Remembered:
    """Vectors by the digest of their text, the most recently used so many.

    Attributes:
        hits, misses: how often a text was known, and was not.
        memory: bytes of the vectors.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._vectors: OrderedDict[bytes, Embedded] = OrderedDict()
        self.hits = 0
        self.misses = 0
        self.memory = 0

    def get(self, key: bytes) -> Embedded | None:
        """The vector of a text, if it is remembered."""
        found = self._vectors.get(key)
        if found is None:
            self.misses += 1
            return None
        self.hits += 1
        self._vectors.move_to_end(key)
        return found

    def put(self, key: bytes, one: Embedded) -> None:
        """Remember a vector, and forget the one that was not asked for the longest."""
        if not self._most:
            return
        before = self._vectors.pop(key, None)
        self._vectors[key] = one
        self.memory += one.vector.nbytes - (before.vector.nbytes if before else 0)
        while len(self._vectors) > self._most:
            self.memory -= self._vectors.popitem(last=False)[1].vector.nbytes


def text_key(text: str) -> bytes:
    """The digest by which a text's vector is remembered."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()

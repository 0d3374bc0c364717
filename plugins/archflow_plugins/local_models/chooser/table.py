"""Options prepared to be chosen among: their vectors in an index, their words beside it.

Few options are all compared; of many, those that an index finds nearest to anything that is asked.

Rule: what a table holds is decided when it is made; it is shared by all requests and changes only by remembering words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from archflow_plugins.contexts import Option
from archflow_plugins.local_models.chooser.asked import Asked
from archflow_plugins.local_models.chooser.compared import Beside, Compared
from archflow_plugins.local_models.chooser.described import (
    Described,
    Rarity,
    Words,
    described,
    vocabulary,
    words,
)
from archflow_plugins.local_models.chooser.features import Cosines, cosines, rows
from archflow_plugins.local_models.index import Index, build, form_for

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from archflow_plugins.local_models.chooser.backdrop import Backdrop
    from archflow_plugins.local_models.chooser.score import Scored, Scorer

ALL = 32
"""Up to so many options are all compared."""
NEAREST = 24
"""Texts that the index finds for the newest turn and for the turns together."""
NEAREST_TO_A_PART = 8
MANY = 200_000
"""Texts from which an index would be of cells, which does not give its vectors back."""


class Found(Struct, frozen=True):
    """What a conversation is about.

    Attributes:
        options: places of the options that were compared, the likeliest first.
        chances: of each, adding up to 1.
        confidence: how likely the first is what was meant.
        also: places of other options that a part of the newest turn asks for, with their confidence.
    """

    options: tuple[int, ...]
    chances: tuple[float, ...]
    confidence: float
    also: tuple[tuple[int, float], ...] = ()


def texts(options: Sequence[Option]) -> list[str]:
    """What has to be embedded of options: their texts, one option after the other, then the words of all."""
    prepared = [described(option) for option in options]
    return [*(text for one in prepared for text in one.texts), *vocabulary(prepared)]


def pack(options: Sequence[Option], vectors: NDArray[Any]) -> bytes:
    """The vectors of `texts(options)` as bytes that a table can be opened from."""
    import numpy as np

    sizes = [len(described(option).texts) for option in options]
    starts, count = np.cumsum([0, *sizes[:-1]]), sum(sizes)
    mean = vectors[starts].mean(0)[None, :]
    beside = np.concatenate([mean, vectors[count:]]).astype("<f4")
    return bytes(beside.tobytes()) + build(vectors[:count], form_for(count) if count < MANY else "hnsw")


class Table:
    """Options to choose among.

    Attributes:
        options: what there is.
        size: how many texts stand for them.

    Args:
        options: what there is.
        data: of `pack`; searched where it lies if there are few.
        dimension: of a vector.

    Raises:
        ArchflowError: the bytes are of other options.
    """

    def __init__(self, options: Sequence[Option], data: bytes | memoryview, dimension: int) -> None:
        import numpy as np

        self.options = tuple(options)
        self._described: list[Described] = [described(one) for one in self.options]
        self._places = {word: at for at, word in enumerate(vocabulary(self._described), 1)}
        body, beside = memoryview(data), 4 * dimension * (1 + len(self._places))
        table = np.frombuffer(body[:beside], "<f4").reshape(-1, dimension)
        self._mean, self._word_vectors = table[0], table
        self._index = Index(body[beside:])
        sizes = [len(one.texts) for one in self._described]
        self._starts = np.cumsum([0, *sizes[:-1]]) if sizes else np.zeros(0, int)
        self._owner = np.repeat(np.arange(len(sizes)), sizes)
        self.size = len(self._owner)
        self._rarity = Rarity(self.options)
        self._words: dict[int, Words] = {}

    def find(self, scorer: Scorer, asked: Asked, vectors: NDArray[Any], bar: float = 1.0) -> Found:
        """The option that is asked for. Sync: about a millisecond, for few options and for many.

        Args:
            scorer: who weighs.
            asked: what is asked.
            vectors: of `asked.texts`.
            bar: the confidence from which a part of the newest turn asks for an option of its own.
        """
        import numpy as np

        places, compared = self.compared(asked, vectors, scorer.backdrop, parts=bar < 1)
        scored = scorer.score(compared[0])
        raised = np.exp(scored.scores - scored.scores.max())
        order = np.argsort(-scored.scores, kind="stable")
        also = self._also(scorer, places, scored, compared[1:]) if bar < 1 else {}
        return Found(
            options=tuple(places[at] for at in order),
            chances=tuple(float(one) for one in (raised / raised.sum())[order]),
            confidence=scored.confidence,
            also=tuple(
                (at, sure) for at, sure in sorted(also.items(), key=lambda one: -one[1]) if sure >= bar
            ),
        )

    def compared(
        self, asked: Asked, vectors: NDArray[Any], backdrop: Backdrop, *, parts: bool = True
    ) -> tuple[list[int], list[Compared]]:
        """Which options are compared, and with what: the newest turn with those before it, then each of its parts."""
        places = self._near(asked, vectors)
        behind = backdrop.behind(asked, vectors, self.mains(places))
        seen = self.compare(places, vectors)

        def beside(text: str, column: int) -> Beside:
            own = self.rows(places, seen, asked, text, column, behind.bridged(column))
            return Beside(own, behind.rows(asked, text, column))

        joined = beside(asked.joined, 1) if asked.joined else None
        whole = Compared(
            beside(asked.newest, 0), joined, behind.likeness, asked.leans, len(self.options), asked.whole
        )
        some = asked.parts if parts else ()
        return places, [
            whole,
            *(
                Compared(beside(text, column), None, behind.likeness, asked.leans, len(self.options))
                for column, text in enumerate(some, asked.part)
            ),
        ]

    def mains(self, places: Sequence[int]) -> NDArray[Any]:
        """The vectors of options' names and descriptions."""
        return self._index.rows(self._starts[places])

    def compare(self, places: Sequence[int], vectors: NDArray[Any]) -> Cosines:
        """The cosines of options with all that is asked."""
        import numpy as np

        prepared = [self._described[at] for at in places]
        lines = np.concatenate(
            [self._starts[at] + np.arange(len(self._described[at].texts)) for at in places]
        )
        return cosines(prepared, self._index.rows(lines), self._rows_of_words, vectors, self._mean)

    def rows(
        self,
        places: Sequence[int],
        seen: Cosines,
        asked: Asked,
        text: str,
        column: int,
        bridged: NDArray[Any],
    ) -> NDArray[Any]:
        """The features of options beside one text.

        Args:
            places: of the options.
            seen: their cosines, of `compare`.
            asked: what is asked.
            text: which of its texts.
            column: of the text in `seen`.
            bridged: of each option, see `features.rows`.
        """
        known = [self._known(at) for at in places]
        return rows(seen, known, self._rarity, text, column, asked.columns(text), bridged)

    def neighbours(self, most: int) -> Iterator[tuple[int, int, float, str]]:
        """Texts of different options that are near each other: both places, their cosine, and what kind of text it is.

        Blocks: as many searches as there are texts.
        """
        import numpy as np

        total = len(self._owner)
        for start in range(0, total, 256):
            lines = np.arange(start, min(total, start + 256))
            likenesses, nearest = self._index.search(self._index.rows(lines), most)
            for line, beside, likeness in zip(lines, nearest, likenesses, strict=True):
                here, why = self._kind(int(line))
                for other, cosine in zip(beside, likeness, strict=True):
                    if other < 0 or not why:
                        continue
                    there, what = self._kind(int(other))
                    if there != here and what == why:
                        yield here, there, float(min(1.0, cosine)), why

    def _kind(self, line: int) -> tuple[int, str]:
        """Whose text a line is, and which: `descriptions`, `examples`, or empty for the rest."""
        owner = int(self._owner[line])
        one, at = self._described[owner], line - int(self._starts[owner])
        if at in one.examples:
            return owner, "examples"
        return owner, "descriptions" if at in (0, one.description) else ""

    def _rows_of_words(self, lists: Sequence[tuple[str, ...]]) -> tuple[NDArray[Any], NDArray[Any]]:
        """The vectors of words of several options, and where each option's begin; no words have what all have."""
        import numpy as np

        places = [[self._places[word] for word in words] or [0] for words in lists]
        starts = np.cumsum([0, *(len(one) for one in places[:-1])])
        return self._word_vectors[np.concatenate([np.array(one) for one in places])], starts

    def _also(
        self, scorer: Scorer, places: Sequence[int], scored: Scored, parts: Sequence[Compared]
    ) -> dict[int, float]:
        """The options that parts of the newest turn ask for besides the best, with the confidence of each."""
        found: dict[int, float] = {}
        for one in parts:
            part = scorer.score(one)
            if part.best != scored.best:
                found[places[part.best]] = max(part.confidence, found.get(places[part.best], 0.0))
        return found

    def _near(self, asked: Asked, vectors: NDArray[Any]) -> list[int]:
        """The options that are worth comparing, in order of their places."""
        if len(self.options) <= ALL:
            return list(range(len(self.options)))
        whole, parts = list(range(asked.part)), list(range(asked.part, asked.word))
        found: set[int] = set()
        for columns, most in ((whole, NEAREST), (parts, NEAREST_TO_A_PART)):
            if columns:
                _, lines = self._index.search(vectors[columns], most)
                found.update(int(self._owner[line]) for line in lines.ravel() if line >= 0)
        return sorted(found)

    def _known(self, at: int) -> Words:
        found = self._words.get(at)
        if found is None:
            found = self._words[at] = words(self.options[at])
        return found

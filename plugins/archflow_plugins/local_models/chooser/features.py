"""What the scorer sees of an option beside a text: numbers, one row an option.

What all options share makes no difference, for only their order and distances count.

Rule: pure arithmetic over what `described` prepared; numpy is imported when the first option is scored.
Invariant: the columns are `FEATURES`, in this order; weights are kept by these names.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from archflow_plugins.local_models.chooser.described import Described, Rarity, Words
from archflow_plugins.local_models.chooser.verbs import verbs
from archflow_plugins.local_models.ranker.candidate import stems

if TYPE_CHECKING:
    from numpy.typing import NDArray

FEATURES = (
    "cosine of name and description",
    "cosine of the name",
    "cosine of the description",
    "best sentence of the description",
    "examples: best cosine above the description's",
    "examples: mean of the best three above the description's",
    "words: each one's best cosine",
    "words: the same, near ones counted more",
    "words: each of the option's",
    "words: each of the name's",
    "words: each one's best cosine in examples above the description's",
    "shared rare words, name",
    "shared rare words, name and description",
    "shared rare words, best example",
    "verbs agree",
    "verbs disagree",
    "by way of ordinary requests",
    "likeness to the other options",
)
"""What each column is."""
BEST = 3


class Spans(Struct, frozen=True):
    """Cosines of words: rows of several options, one option after the other, with all that is asked (columns).

    Attributes:
        table: the cosines; an option has at least one row.
        starts: where each option's rows begin.
    """

    table: NDArray[Any]
    starts: NDArray[Any]

    def nearest(self, columns: Sequence[int]) -> NDArray[Any]:
        """For each option and each of the columns, the nearest of the option's words."""
        import numpy as np

        found: NDArray[Any] = np.maximum.reduceat(self.table[:, columns], self.starts, axis=0)
        return found

    def each(self, columns: Sequence[int]) -> NDArray[Any]:
        """For each option, how near its words are to the columns: the mean of each word's nearest."""
        import numpy as np

        best = self.table[:, columns].max(1)
        counts = np.diff([*self.starts, len(best)])
        found: NDArray[Any] = np.add.reduceat(best, self.starts) / counts
        return found


class Cosines(Struct, frozen=True):
    """Cosines of options (rows) with all that is asked (columns).

    Attributes:
        main, name, description, sentence: of those texts, `sentence` the best of them.
        example, examples: the best example, and the mean of the best three; as `main` where there is none.
        words, name_words, example_words: of the options' words; the last is None where no option has an example.
        alike: of `main` with what all options have in common, one number an option.
    """

    main: NDArray[Any]
    name: NDArray[Any]
    description: NDArray[Any]
    sentence: NDArray[Any]
    example: NDArray[Any]
    examples: NDArray[Any]
    words: Spans
    name_words: Spans
    example_words: Spans | None
    alike: NDArray[Any]


def cosines(
    options: Sequence[Described],
    vectors: NDArray[Any],
    words: Callable[[Sequence[tuple[str, ...]]], tuple[NDArray[Any], NDArray[Any]]],
    asked: NDArray[Any],
    mean: NDArray[Any],
) -> Cosines:
    """The cosines of some options.

    Args:
        options: in order.
        vectors: of their texts, one option after the other.
        words: gives the vectors of words, and where each option's begin.
        asked: of what is asked.
        mean: of all options' first texts.
    """
    import numpy as np

    table = vectors @ asked.T
    starts = np.cumsum([0, *(len(one.texts) for one in options[:-1])])

    def most(places: Sequence[Sequence[int]]) -> NDArray[Any]:
        """The places of several texts an option, short lists filled up with their first."""
        width = max(map(len, places))
        padded = np.array([[*each, *[each[0]] * (width - len(each))] for each in places])
        found: NDArray[Any] = table[starts[:, None] + padded]
        return found

    def spans(lists: Sequence[tuple[str, ...]]) -> Spans:
        rows, begin = words(lists)
        return Spans(rows @ asked.T, begin)

    main = table[starts]
    example = examples = main
    shows = any(one.examples for one in options)
    if shows:
        shown = most([one.examples or (0,) for one in options])
        example = shown.max(1)
        examples = np.sort(shown, axis=1)[:, -min(BEST, shown.shape[1]) :].mean(1)
    return Cosines(
        main=main,
        name=table[starts + np.array([one.name for one in options])],
        description=table[starts + np.array([one.description for one in options])],
        sentence=most([one.sentences or (one.description,) for one in options]).max(1),
        example=example,
        examples=examples,
        words=spans([one.words for one in options]),
        name_words=spans([one.name_words for one in options]),
        example_words=spans([one.example_words or one.words for one in options]) if shows else None,
        alike=vectors[starts] @ mean,
    )


def rows(
    found: Cosines,
    known: Sequence[Words],
    rarity: Rarity,
    text: str,
    whole: int,
    columns: Sequence[int],
    bridged: NDArray[Any],
) -> NDArray[Any]:
    """The features of options beside one text.

    Args:
        found: cosines of the options.
        known: words of the options.
        rarity: of words among the options.
        text: which text.
        whole: its column in `found`.
        columns: of its words.
        bridged: how near each option is to what ordinary requests like the text are about.
    """
    import numpy as np

    main = found.main[:, whole]
    said, asks = stems(text), verbs(text)
    compared = np.zeros((len(main), 5))
    if columns:
        near = found.words.nearest(columns)
        compared[:, 0] = near.mean(1)
        compared[:, 1] = (near**3).mean(1)
        compared[:, 2] = found.words.each(columns)
        compared[:, 3] = found.name_words.each(columns)
        if found.example_words is not None:
            compared[:, 4] = found.example_words.nearest(columns).mean(1) - compared[:, 0]
    return np.column_stack([
        main,
        found.name[:, whole],
        found.description[:, whole],
        found.sentence[:, whole],
        found.example[:, whole] - main,
        found.examples[:, whole] - main,
        compared,
        np.array([_counted(one, rarity, said, asks) for one in known]),
        bridged,
        found.alike,
    ])  # fmt: skip


def _counted(one: Words, rarity: Rarity, said: frozenset[str], asks: frozenset[str]) -> list[float]:
    """How many words and verbs an option shares with a text."""
    agree = asks & one.verbs
    name = described = 0.0
    if not said.isdisjoint(one.described):
        name = rarity.of(said & one.name) / (1 + len(one.name))
        described = rarity.of(said & one.described) / math.sqrt(3 + len(one.described))
    return [
        name,
        described,
        max((rarity.of(said & own) / math.sqrt(3 + len(own)) for own in one.examples), default=0.0),
        len(agree) / (1 + len(one.verbs)),
        float(bool(one.verbs) and not agree),
    ]

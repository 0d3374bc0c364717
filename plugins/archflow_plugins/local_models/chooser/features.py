"""What the scorer sees of an option beside a text: numbers, one row an option.

What all options share makes no difference, for only their order and distances count.

Rule: pure arithmetic over what `described` prepared; numpy is imported when the first option is scored.
Invariant: the columns are `FEATURES`, in this order; weights are kept by these names.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from archflow_plugins.local_models.chooser.described import Described, Rarity, Words
from archflow_plugins.local_models.ranker.candidate import stems, verbs

if TYPE_CHECKING:
    from numpy.typing import NDArray

FEATURES = (
    "cosine of name and description",
    "cosine of the name",
    "cosine of the description",
    "best sentence of the description",
    "best part, name and description",
    "best part, name",
    "best part, best sentence of the description",
    "examples: best cosine above the description's",
    "examples: mean of the best three above the description's",
    "examples: best part above the description's",
    "shared rare words, name",
    "shared rare words, name and description",
    "shared rare words, best example",
    "verbs agree",
    "verbs disagree",
    "likeness to the other options",
)
"""What each column is."""
BEST = 3


class Cosines(Struct, frozen=True):
    """Cosines of options (rows) with all that is asked (columns).

    Attributes:
        main, name, description, sentence: of those texts, `sentence` the best of them.
        example, examples: the best example, and the mean of the best three; as `main` where there is none.
        alike: of `main` with what all options have in common, one number an option.
    """

    main: NDArray[Any]
    name: NDArray[Any]
    description: NDArray[Any]
    sentence: NDArray[Any]
    example: NDArray[Any]
    examples: NDArray[Any]
    alike: NDArray[Any]


def cosines(
    options: Sequence[Described], vectors: NDArray[Any], asked: NDArray[Any], mean: NDArray[Any]
) -> Cosines:
    """The cosines of some options.

    Args:
        options: in order.
        vectors: of their texts, one option after the other.
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

    main = table[starts]
    example = examples = main
    if any(one.examples for one in options):
        shown = most([one.examples or (0,) for one in options])
        example = shown.max(1)
        width = min(BEST, shown.shape[1])
        examples = np.sort(shown, axis=1)[:, -width:].mean(1)
    return Cosines(
        main=main,
        name=table[starts + np.array([one.name for one in options])],
        description=table[starts + np.array([one.description for one in options])],
        sentence=most([one.sentences or (one.description,) for one in options]).max(1),
        example=example,
        examples=examples,
        alike=vectors[starts] @ mean,
    )


def rows(
    found: Cosines,
    known: Sequence[Words],
    rarity: Rarity,
    text: str,
    whole: int,
    parts: Sequence[int],
) -> NDArray[Any]:
    """The features of options beside one text.

    Args:
        found: cosines of the options.
        known: words of the options.
        rarity: of words among the options.
        text: which text.
        whole: its column in `found`.
        parts: the columns of its parts.
    """
    import numpy as np

    at = list(parts) or [whole]
    main, part = found.main[:, whole], found.main[:, at].max(1)
    said, asks = stems(text), verbs(text)
    return np.column_stack([
        main,
        found.name[:, whole],
        found.description[:, whole],
        found.sentence[:, whole],
        part,
        found.name[:, at].max(1),
        found.sentence[:, at].max(1),
        found.example[:, whole] - main,
        found.examples[:, whole] - main,
        found.example[:, at].max(1) - part,
        np.array([_counted(one, rarity, said, asks) for one in known]),
        found.alike,
    ])  # fmt: skip


def _counted(one: Words, rarity: Rarity, said: frozenset[str], asks: frozenset[str]) -> list[float]:
    """How many words and verbs an option shares with a text."""
    agree = asks & one.verbs
    return [
        rarity.of(said & one.name) / (1 + len(one.name)),
        rarity.of(said & one.described) / math.sqrt(3 + len(one.described)),
        max((rarity.of(said & own) / math.sqrt(3 + len(own)) for own in one.examples), default=0.0),
        len(agree) / (1 + len(one.verbs)),
        float(bool(one.verbs) and not agree),
    ]

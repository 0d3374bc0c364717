"""Weights over features: which option fits, and how likely that is right.

    score       features times weights; of the newest turn, and, as far as that leans on them, with the turns before
    chance      softmax of the scores
    confidence  how likely the best option is meant at all: a logistic curve over a few numbers of the whole comparison

Rule: weights are numbers by name, so that a person can read what counts; a table that does not fit is refused.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import msgspec
from msgspec import Struct

from archflow_plugins.local_models.chooser.features import FEATURES
from archflow_plugins.local_models.errors import ModelCorrupt

if TYPE_CHECKING:
    from numpy.typing import NDArray

WEIGHTS = Path(__file__).parent / "weights.json"
LEANING = (
    "always",
    "few words",
    "begins as a follow-up",
    "points back",
    "asks by a verb",
    "chance of the best by itself",
    "best cosine by itself",
    "score above the mean by itself",
    "number of options",
)
"""What decides how much the turns before count."""
CONFIDENCE = (
    "always",
    "margin over the next",
    "score above the mean",
    "best cosine",
    "words: each one's best cosine",
    "cosine of the name",
    "shared rare words",
    "best cosine of an example",
    "has examples",
    "one option only",
    "number of options",
    "turns before",
)
"""What decides the confidence."""
MARGIN = 6.0
"""Margins are counted up to this one; a single option has it."""


class Weights(Struct, frozen=True, forbid_unknown_fields=True):
    """What was learned.

    Attributes:
        features: by the names of `FEATURES`.
        leaning: by the names of `LEANING`.
        confidence: by the names of `CONFIDENCE`.
    """

    features: dict[str, float]
    leaning: dict[str, float]
    confidence: dict[str, float]


class Scored(Struct, frozen=True):
    """Some options, compared.

    Attributes:
        scores: one an option, higher is likelier.
        best: which is the best.
        confidence: how likely that is what was meant.
    """

    scores: NDArray[Any]
    best: int
    confidence: float


class Scorer:
    """Scores options. Sync; microseconds for each option.

    Args:
        weights: what was learned.

    Raises:
        ModelCorrupt: the weights are of other features.
    """

    def __init__(self, weights: Weights) -> None:
        import numpy as np

        for names, given in (
            (FEATURES, weights.features),
            (LEANING, weights.leaning),
            (CONFIDENCE, weights.confidence),
        ):
            if odd := set(names) ^ set(given):
                raise ModelCorrupt(
                    f"the scorer's weights and its features differ in {len(odd)} names, such as {min(odd)!r}: install "
                    "archflow again"
                )
        self._features = np.array([weights.features[name] for name in FEATURES], np.float64)
        self._leaning = np.array([weights.leaning[name] for name in LEANING], np.float64)
        self._confidence = np.array([weights.confidence[name] for name in CONFIDENCE], np.float64)

    @classmethod
    def installed(cls, digest: str = "") -> Self:
        """The scorer that ships. Blocks: it reads a small file.

        Args:
            digest: what `installed_digest` said when the graph was compiled; empty for any.

        Raises:
            ModelCorrupt: its weights cannot be read, or are others.
        """
        try:
            data = WEIGHTS.read_bytes()
            weights = msgspec.json.decode(data, type=Weights)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise ModelCorrupt(
                f"the scorer's weights cannot be read ({error}): install archflow again"
            ) from error
        if digest and hashlib.sha256(data).hexdigest() != digest:
            raise ModelCorrupt(
                "the scorer's weights are others than the graph was compiled with: compile it again"
            )
        return cls(weights)

    def leans(self, newest: NDArray[Any], said: Sequence[float], options: int) -> float:
        """How much the turns before count beside the newest, 0..1.

        Args:
            newest: features of the options beside the newest turn.
            said: `Asked.leans`.
            options: how many there are.
        """
        return curve(float(self._leaning @ leaning(newest, newest @ self._features, said, options)))

    def score(
        self, newest: NDArray[Any], joined: NDArray[Any] | None, leans: Sequence[float], options: int
    ) -> Scored:
        """Compare options.

        Args:
            newest: their features beside the newest turn.
            joined: beside the turns together; None if there is but one.
            leans: of what is asked.
            options: how many there are, those that were not compared included.
        """
        scores = newest @ self._features
        share = 0.0
        if joined is not None:
            share = self.leans(newest, leans, options)
            scores = (1 - share) * scores + share * (joined @ self._features)
        best = int(scores.argmax())
        seen = newest[best] if joined is None else (1 - share) * newest[best] + share * joined[best]
        power = float(self._confidence @ numbers(scores, best, seen, share, options))
        return Scored(scores, best, curve(power))


def curve(power: float) -> float:
    """The logistic curve."""
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, power))))


def leaning(newest: NDArray[Any], scores: NDArray[Any], said: Sequence[float], options: int) -> NDArray[Any]:
    """What decides how much the turns before count, in the order of `LEANING`."""
    import numpy as np

    raised = np.exp(scores - scores.max())
    return np.array([
        1.0, *said, float(1 / raised.sum()), float(newest[:, 0].max()), float(scores.max() - scores.mean()),
        math.log(1 + options),
    ])  # fmt: skip


def numbers(scores: NDArray[Any], best: int, seen: NDArray[Any], share: float, options: int) -> list[float]:
    """What the confidence is made of, in the order of `CONFIDENCE`."""
    others = [float(one) for at, one in enumerate(scores) if at != best]
    column = dict(zip(FEATURES, map(float, seen), strict=True))
    example = column["examples: best cosine above the description's"]
    has = column["examples: mean of the best three above the description's"] != 0
    main = max(column["cosine of name and description"], column["best sentence of the description"])
    return [
        1.0,
        min(MARGIN, float(scores[best]) - max(others)) if others else MARGIN,
        min(MARGIN, float(scores[best] - scores.mean())) if others else MARGIN,
        main,
        column["words: each one's best cosine"],
        column["cosine of the name"],
        column["shared rare words, name and description"],
        column["cosine of name and description"] + example if has else main,
        float(has),
        float(options == 1),
        math.log(1 + options),
        share,
    ]


def installed_digest() -> str:
    """The digest of the weights that ship. Blocks: it reads a small file."""
    return hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()

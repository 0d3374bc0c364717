"""Weights over features: which option fits, and how likely that is right.

    score       features times weights; of the newest turn, and, as far as that leans on them, with the turns before
    chance      softmax of the scores
    confidence  how likely the best option is meant at all: a logistic curve over a few numbers of the whole comparison

Rule: weights are numbers by name, so that a person can read what counts; a table that does not fit is refused.
"""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import msgspec
from msgspec import Struct

from archflow_plugins.local_models.chooser.backdrop import SUBJECTS, VECTORS, Backdrop
from archflow_plugins.local_models.chooser.compared import Beside, Compared, mixed
from archflow_plugins.local_models.chooser.features import FEATURES
from archflow_plugins.local_models.chooser.standing import Standing, standing
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
    "height above the backdrop by itself",
    "height above the backdrop with the turns before",
)
"""What decides how much the turns before count."""
CONFIDENCE = (
    "always",
    "margin over the next",
    "score above the mean",
    "best cosine",
    "words: each one's best cosine",
    "best cosine of an example",
    "has examples",
    "one option only",
    "number of options",
    "margin over the backdrop",
    "chance beside the backdrop",
    "height above the backdrop",
)
"""What decides the confidence."""
LIKENESS = FEATURES.index("likeness to the other options")
"""The column that only options have; the last."""
ELSEWHERE = 3.0
"""A turn that can be read by itself needs none before it if a subject of the backdrop stands so far above
the options."""
MARGIN = 6.0
"""Margins are counted up to this one; a single option has none."""


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
        backdrop: what they were learned with.

    Raises:
        ModelCorrupt: the weights are of other features.
    """

    def __init__(self, weights: Weights, backdrop: Backdrop) -> None:
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
        self.backdrop = backdrop
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
            weights = msgspec.json.decode(WEIGHTS.read_bytes(), type=Weights)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise ModelCorrupt(
                f"the scorer's weights cannot be read ({error}): install archflow again"
            ) from error
        if digest and installed_digest() != digest:
            raise ModelCorrupt(
                "the scorer's weights are others than the graph was compiled with: compile it again"
            )
        return cls(weights, Backdrop.installed())

    def leans(self, compared: Compared) -> float:
        """How much the turns before count beside the newest, 0..1; nothing if there are none."""
        if compared.joined is None or (compared.whole and self._elsewhere(compared)):
            return 0.0
        return curve(float(self._leaning @ self.leaning(compared)))

    def _elsewhere(self, compared: Compared) -> bool:
        """Whether the newest turn is clearly about something that is none of the options."""
        return self._standing(compared.newest, compared.likeness).margin <= -ELSEWHERE

    def leaning(self, compared: Compared) -> NDArray[Any]:
        """What decides how much the turns before count, in the order of `LEANING`."""
        import numpy as np

        assert compared.joined is not None  # noqa: S101 - asked only where there are turns before
        heights = (
            self._standing(one, compared.likeness).height for one in (compared.newest, compared.joined)
        )
        return np.array([1.0, *compared.leans, *heights])

    def score(self, compared: Compared) -> Scored:
        """Compare options."""
        beside = mixed(compared, self.leans(compared))
        scores = self.scores(beside)
        power = float(self._confidence @ self.numbers(compared, beside))
        return Scored(scores, int(scores.argmax()), curve(power))

    def scores(self, beside: Beside) -> NDArray[Any]:
        """The score of each option."""
        found: NDArray[Any] = beside.options @ self._features
        return found

    def numbers(self, compared: Compared, beside: Beside) -> NDArray[Any]:
        """What the confidence is made of, in the order of `CONFIDENCE`.

        Args:
            compared: the options.
            beside: of the newest turn and of the turns together, mixed.
        """
        import numpy as np

        scores = self.scores(beside)
        best = int(scores.argmax())
        stands = self._standing(beside, compared.likeness)
        return np.array([
            *_own(scores, best, beside.options[best], compared.options),
            stands.margin, stands.chance, stands.height,
        ])  # fmt: skip

    def _standing(self, beside: Beside, likeness: NDArray[Any]) -> Standing:
        """How the best option stands; what it has in common with the other options does not count there."""
        best = int(self.scores(beside).argmax())
        own = float(beside.options[best, :LIKENESS] @ self._features[:LIKENESS])
        return standing(own, beside.backdrop[:, :LIKENESS] @ self._features[:LIKENESS], likeness[best])


def curve(power: float) -> float:
    """The logistic curve."""
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, power))))


def _own(scores: NDArray[Any], best: int, seen: NDArray[Any], options: int) -> list[float]:
    """The numbers that come from the options alone."""
    others = [float(one) for at, one in enumerate(scores) if at != best]
    column = dict(zip(FEATURES, map(float, seen), strict=True))
    example = column["examples: best cosine above the description's"]
    has = column["examples: mean of the best three above the description's"] != 0
    main = max(column["cosine of name and description"], column["best sentence of the description"])
    return [
        1.0,
        min(MARGIN, float(scores[best]) - max(others)) if others else 0.0,
        min(MARGIN, float(scores[best] - scores.mean())) if others else 0.0,
        main,
        column["words: each one's best cosine"],
        column["cosine of name and description"] + example if has else main,
        float(has),
        float(options == 1),
        math.log(1 + options),
    ]


def installed_digest() -> str:
    """The digest of the weights that ship, and of what they were learned with. Blocks: it reads small files."""
    digest = hashlib.sha256()
    for path in (WEIGHTS, SUBJECTS, VECTORS):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()

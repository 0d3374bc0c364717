"""Weights over features: how likely each candidate is the one that a request asks for.

A candidate's score is the sum of its features times their weights; the softmax over the candidates makes chances of the
scores. That something fits at all is not decided here: the chances of what was offered always add up to 1.

Rule: weights are numbers by name, so that a person can read what counts; a table that does not fit is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import msgspec

from archflow_plugins.local_models.errors import ModelCorrupt
from archflow_plugins.local_models.ranker.candidate import Offer
from archflow_plugins.local_models.ranker.features import FEATURES, features

if TYPE_CHECKING:
    from numpy.typing import NDArray

WEIGHTS = Path(__file__).parent / "weights.json"


class Ranker:
    """A linear ranker. Sync; a call costs about 20 microseconds for each candidate, once everything is embedded.

    Args:
        weights: by the names of `FEATURES`.

    Raises:
        ModelCorrupt: a feature has no weight, or a weight no feature.
    """

    def __init__(self, weights: Mapping[str, float]) -> None:
        import numpy as np

        if odd := set(weights) ^ set(FEATURES):
            raise ModelCorrupt(
                f"the ranker's weights and its features differ in {len(odd)} names, such as {min(odd)!r}: install "
                "archflow again"
            )
        self._weights = np.array([weights[name] for name in FEATURES], np.float64)

    @classmethod
    def installed(cls) -> Self:
        """The ranker that ships. Blocks: it reads a small file.

        Raises:
            ModelCorrupt: its weights cannot be read.
        """
        try:
            return cls(msgspec.json.decode(WEIGHTS.read_bytes(), type=dict[str, float]))
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise ModelCorrupt(
                f"the ranker's weights cannot be read ({error}): install archflow again"
            ) from error

    def scores(self, rows: NDArray[Any]) -> NDArray[Any]:
        """The score of each candidate, from its features."""
        found: NDArray[Any] = rows @ self._weights
        return found

    def chances(
        self, offer: Offer, vectors: NDArray[Any], query: str, query_vectors: NDArray[Any]
    ) -> NDArray[Any]:
        """How likely each candidate is meant, adding up to 1, in the order of the offer; empty for an empty one.

        Args:
            offer: what is chosen from.
            vectors: of `offer.texts`.
            query: the request.
            query_vectors: of `query_texts(query)`.
        """
        import numpy as np

        if not offer.candidates:
            return np.zeros(0)
        scores = self.scores(features(offer, vectors, query, query_vectors))
        raised = np.exp(scores - scores.max())
        chances: NDArray[Any] = raised / raised.sum()
        return chances

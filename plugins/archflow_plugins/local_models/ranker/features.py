"""What the ranker sees of a candidate: 22 numbers.

What all candidates share makes no difference, for only their order and distances count.

Rule: pure arithmetic over what `candidate` prepared; numpy is imported when the first offer is scored.
Invariant: the columns are `FEATURES`, in this order; weights are kept by these names.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from archflow_plugins.local_models.ranker.candidate import (
    FORMS,
    MAX_QUERY,
    Candidate,
    Offer,
    Words,
    plain,
    stems,
    verbs,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

FEATURES = (
    "cosine of name and description",
    "cosine of the name",
    "cosine of the description",
    "cosine of name and first sentence",
    "cosine of name, description and parameter names",
    "cosine of the parameters together",
    "best sentence, cosine of name and description",
    "best sentence, cosine of the name",
    "highest cosine of a parameter",
    "mean cosine of the parameters",
    "shared rare words, name",
    "shared rare words, name and description",
    "shared rare words, parameters",
    "parameters with a listed value that is named",
    "the same as a share",
    "needs a number, none is named",
    "needs a number, one is named",
    "parameters required",
    "parameters",
    "none required",
    "verbs agree",
    "verbs disagree",
)
"""What each column is."""


def features(offer: Offer, vectors: NDArray[Any], query: str, query_vectors: NDArray[Any]) -> NDArray[Any]:
    """The features of every candidate, one row each.

    Args:
        offer: what is chosen from.
        vectors: of `offer.texts`, each of length 1.
        query: the request.
        query_vectors: of `query_texts(query)`, the whole first.
    """
    import numpy as np

    cosines = vectors @ query_vectors.T
    whole, best = cosines[:, 0], cosines[:, 1:].max(1) if cosines.shape[1] > 1 else cosines[:, 0]
    cut = query[:MAX_QUERY]
    asked, asked_verbs, words = stems(cut), verbs(cut), plain(cut)
    digits = any(letter.isdigit() for letter in cut)
    rows = []
    for one, places, known in zip(offer.candidates, offer.places, offer.words, strict=True):
        each = [float(whole[at]) for at in places[FORMS:]]
        rows.append([
            *(float(whole[at]) for at in places[:FORMS]),
            float(best[places[0]]),
            float(best[places[1]]),
            max(each, default=0.0),
            sum(each) / max(1, len(each)),
            offer.rare(asked & known.name) / (1 + len(known.name)),
            offer.rare(asked & known.described) / math.sqrt(3 + len(known.described)),
            offer.rare(asked & known.parameters) / math.sqrt(3 + len(known.parameters)),
            *_asked_for(one, known, words, digits=digits),
            len(asked_verbs & known.verbs) / (1 + len(known.verbs)),
            float(bool(known.verbs) and not asked_verbs & known.verbs),
        ])  # fmt: skip
    return np.array(rows, np.float64)


def _asked_for(one: Candidate, known: Words, words: str, *, digits: bool) -> list[float]:
    """What a candidate's parameters ask for, and how much of it the request names."""
    hits = sum(any(value in words for value in values) for values in known.values)
    required = sum(parameter.required for parameter in one.parameters)
    numbers = any(parameter.required and parameter.number for parameter in one.parameters)
    return [
        float(hits),
        hits / max(1, len(known.values)),
        float(numbers and not digits),
        float(numbers and digits),
        required / 5,
        len(one.parameters) / 5,
        float(not required),
    ]

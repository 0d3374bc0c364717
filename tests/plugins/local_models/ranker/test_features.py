"""The numbers that the ranker sees, against the same worked out by hand."""

import numpy as np
import pytest

from archflow_plugins.local_models.ranker import (
    FEATURES,
    Candidate,
    Offer,
    Parameter,
    features,
    query_texts,
)

OFFER = Offer([
    Candidate(
        name="find_hotel",
        description="Finds hotels.",
        parameters=(
            Parameter(name="stars", description="how many", number=True, required=True),
            Parameter(name="city", values=("New York", "Rome")),
        ),
    ),
    Candidate(name="cancel_booking", description="Cancels."),
])  # fmt: skip
RANDOM = np.random.default_rng(3)


def unit(number: int) -> np.ndarray:
    rows = RANDOM.normal(size=(number, 8)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


VECTORS = unit(len(OFFER.texts))


def seen(query: str, own: np.ndarray | None = None) -> list[dict[str, float]]:
    rows = features(OFFER, VECTORS, query, unit(len(query_texts(query))) if own is None else own)
    return [dict(zip(FEATURES, row, strict=True)) for row in rows]


def test_cosines_are_those_of_the_texts():
    own = unit(3)
    hotel = seen("Find one. In Rome.", own)[0]
    vector = dict(zip(OFFER.texts, VECTORS, strict=True))
    assert hotel["cosine of the name"] == pytest.approx(vector["find hotel"] @ own[0], abs=1e-6)
    assert hotel["best sentence, cosine of the name"] == pytest.approx(
        max(vector["find hotel"] @ own[1], vector["find hotel"] @ own[2]), abs=1e-6
    )
    each = [vector["stars: how many"] @ own[0], vector["city: "] @ own[0]]
    assert hotel["highest cosine of a parameter"] == pytest.approx(max(each), abs=1e-6)
    assert hotel["mean cosine of the parameters"] == pytest.approx(sum(each) / 2, abs=1e-6)


@pytest.mark.parametrize(
    ("query", "named", "missing", "there"),
    [
        ("a hotel in new-york", 1, 1, 0),
        ("a hotel in Romeo", 0, 1, 0),
        ("3 stars in Rome", 1, 0, 1),
    ],
)
def test_values_and_numbers(query, named, missing, there):
    hotel, cancel = seen(query)
    assert (
        hotel["parameters with a listed value that is named"],
        hotel["needs a number, none is named"],
        hotel["needs a number, one is named"],
    ) == (named, missing, there)
    assert cancel["parameters with a listed value that is named"] == 0
    assert (hotel["parameters required"], hotel["none required"], cancel["none required"]) == (0.2, 0, 1)


def test_verbs_agree_or_not():
    hotel, cancel = seen("look for a place to sleep")
    assert (hotel["verbs agree"], hotel["verbs disagree"]) == (0.5, 0)
    assert (cancel["verbs agree"], cancel["verbs disagree"]) == (0, 1)


@pytest.mark.parametrize("query", ["", "\ud800 \x00", "?" * 20_000, "a. " * 20_000, "\u0130\ufdfa" * 5000])
def test_any_request_gives_finite_numbers(query):
    assert np.isfinite(features(OFFER, VECTORS, query, unit(len(query_texts(query))))).all()

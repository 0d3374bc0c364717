"""Weights: what they add up to, those that ship, and those that are refused."""

import numpy as np
import pytest

from archflow_plugins.local_models.errors import ModelCorrupt
from archflow_plugins.local_models.ranker import (
    FEATURES,
    Candidate,
    Offer,
    Ranker,
    features,
    query_texts,
    rank,
)

OFFER = Offer([
    Candidate(name="play_song", description="Plays a song."),
    Candidate(name="buy_ticket", description="Buys a ticket."),
])  # fmt: skip
NOTHING = np.zeros((len(OFFER.texts), 4), np.float32)


def chances(ranker: Ranker, query: str) -> np.ndarray:
    return ranker.chances(OFFER, NOTHING, query, np.zeros((len(query_texts(query)), 4), np.float32))


def test_chances_are_the_softmax_of_the_weighted_features():
    values = np.random.default_rng(1).normal(size=len(FEATURES))
    ranker = Ranker(dict(zip(FEATURES, values, strict=True)))
    query = "buy it"
    rows = features(OFFER, NOTHING, query, np.zeros((len(query_texts(query)), 4), np.float32))
    raised = [np.exp(sum(row * values)) for row in rows]
    assert chances(ranker, query) == pytest.approx([one / sum(raised) for one in raised])


def test_the_order_in_which_weights_are_named_does_not_matter():
    ranker = Ranker.installed()
    other = Ranker(dict(sorted(zip(FEATURES, ranker._weights, strict=True), reverse=True)))
    assert chances(ranker, "play") == pytest.approx(chances(other, "play"))


@pytest.mark.parametrize(("query", "right"), [("play the song again", 0), ("buy two tickets please", 1)])
def test_the_weights_that_ship_follow_words_alone(query, right):
    found = chances(Ranker.installed(), query)
    assert found.argmax() == right
    assert found.sum() == pytest.approx(1)


def test_nothing_offered_gives_nothing():
    assert Ranker.installed().chances(Offer([]), NOTHING[:0], "x", NOTHING[:1]).shape == (0,)


def test_weights_of_other_features_are_refused():
    known = dict.fromkeys(FEATURES, 1.0)
    with pytest.raises(ModelCorrupt, match="'new'"):
        Ranker({**known, "new": 1.0})
    del known["verbs agree"]
    with pytest.raises(ModelCorrupt, match="'verbs agree'"):
        Ranker(known)


@pytest.mark.parametrize("text", [b"", b"[]", b'{"verbs agree": "much"}', b"\xff"])
def test_a_damaged_file_is_refused(tmp_path, monkeypatch, text):
    monkeypatch.setattr(rank, "WEIGHTS", tmp_path / "weights.json")
    rank.WEIGHTS.write_bytes(text)
    with pytest.raises(ModelCorrupt, match="install archflow again"):
        Ranker.installed()

"""Weights by name: what they refuse, and what they make of numbers."""

import msgspec
import numpy as np
import pytest

from archflow_plugins.local_models.chooser import score
from archflow_plugins.local_models.chooser.features import FEATURES
from archflow_plugins.local_models.chooser.score import (
    CONFIDENCE,
    LEANING,
    Scorer,
    Weights,
    installed_digest,
    numbers,
)
from archflow_plugins.local_models.errors import ModelCorrupt


def weights(**confidence: float) -> Weights:
    return Weights(
        features={**dict.fromkeys(FEATURES, 0.0), FEATURES[0]: 1.0},
        leaning=dict.fromkeys(LEANING, 0.0),
        confidence={**dict.fromkeys(CONFIDENCE, 0.0), **confidence},
    )


def rows(*cosines: float) -> np.ndarray:
    table = np.zeros((len(cosines), len(FEATURES)))
    table[:, 0] = cosines
    return table


def test_the_best_option_has_the_highest_score():
    found = Scorer(weights()).score(rows(0.1, 0.7, 0.3), None, (0, 0, 0, 0), 3)
    assert found.best == 1
    assert found.confidence == 0.5


def test_earlier_turns_count_as_far_as_the_newest_leans_on_them():
    table = weights()
    half = Scorer(table).score(rows(0.6, 0.0), rows(0.0, 0.8), (0, 0, 0, 0), 2)
    assert list(half.scores) == pytest.approx([0.3, 0.4])
    never = msgspec.structs.replace(table, leaning={**table.leaning, "always": -30.0})
    assert Scorer(never).score(rows(0.6, 0.0), rows(0.0, 0.8), (0, 0, 0, 0), 2).best == 0


def test_confidence_is_a_logistic_curve_over_named_numbers():
    scorer = Scorer(weights(**{"margin over the next": 10.0}))
    clear, close = scorer.score(rows(0.9, 0.1), None, (), 2), scorer.score(rows(0.9, 0.88), None, (), 2)
    assert clear.confidence > 0.99 > close.confidence > 0.5


def test_extreme_numbers_do_no_harm():
    scorer = Scorer(weights(always=1e9))
    assert scorer.score(rows(1.0), None, (), 1).confidence == pytest.approx(1)
    assert scorer.leans(rows(1.0), (1e9, 1e9, 1e9, 1e9), 1) == 0.5


def test_a_single_option_has_the_largest_margin():
    found = dict(zip(CONFIDENCE, numbers(np.array([0.2]), 0, rows(0.2)[0], 0.0, 1), strict=True))
    assert found["margin over the next"] == score.MARGIN
    assert found["one option only"] == 1.0


def test_weights_of_other_features_are_refused():
    short = msgspec.structs.replace(weights(), features={"cosine": 1.0})
    with pytest.raises(ModelCorrupt, match="install archflow again"):
        Scorer(short)


def test_what_ships_can_be_read_and_is_known_by_digest(tmp_path, monkeypatch):
    assert Scorer.installed(installed_digest())
    with pytest.raises(ModelCorrupt, match="compile it again"):
        Scorer.installed("0" * 64)
    monkeypatch.setattr(score, "WEIGHTS", tmp_path / "none.json")
    with pytest.raises(ModelCorrupt, match="cannot be read"):
        Scorer.installed()
    (tmp_path / "none.json").write_text("[]")
    with pytest.raises(ModelCorrupt, match="cannot be read"):
        Scorer.installed()

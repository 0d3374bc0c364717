"""Weights by name: what they refuse, and what they make of numbers."""

import msgspec
import numpy as np
import pytest

from archflow_plugins.local_models.chooser import backdrop, score
from archflow_plugins.local_models.chooser.backdrop import Backdrop
from archflow_plugins.local_models.chooser.compared import Beside, Compared, mixed
from archflow_plugins.local_models.chooser.features import FEATURES
from archflow_plugins.local_models.chooser.score import (
    CONFIDENCE,
    LEANING,
    Scorer,
    Weights,
    installed_digest,
)
from archflow_plugins.local_models.errors import ModelCorrupt


def weights(**confidence: float) -> Weights:
    return Weights(
        features={**dict.fromkeys(FEATURES, 0.0), FEATURES[0]: 1.0},
        leaning=dict.fromkeys(LEANING, 0.0),
        confidence={**dict.fromkeys(CONFIDENCE, 0.0), **confidence},
    )


def scorer(**confidence: float) -> Scorer:
    return Scorer(weights(**confidence), Backdrop.installed())


def rows(*cosines: float) -> np.ndarray:
    table = np.zeros((len(cosines), len(FEATURES)))
    table[:, 0] = cosines
    return table


RIVALS = rows(*(at / 20 for at in range(10)))


def compared(newest: np.ndarray, joined: np.ndarray | None = None, rivals: np.ndarray = RIVALS) -> Compared:
    both = None if joined is None else Beside(joined, rivals)
    likeness = np.zeros((len(newest), len(rivals)))
    return Compared(Beside(newest, rivals), both, likeness, (0, 0, 0, 0), len(newest))


def test_the_best_option_has_the_highest_score():
    found = scorer().score(compared(rows(0.1, 0.7, 0.3)))
    assert found.best == 1
    assert found.confidence == 0.5


def test_earlier_turns_count_as_far_as_the_newest_leans_on_them():
    table, turns = weights(), compared(rows(0.6, 0.0), rows(0.0, 0.8))
    half = Scorer(table, Backdrop.installed()).score(turns)
    assert list(half.scores) == pytest.approx([0.3, 0.4])
    never = msgspec.structs.replace(table, leaning={**table.leaning, "always": -30.0})
    assert Scorer(never, Backdrop.installed()).score(turns).best == 0
    assert scorer().leans(compared(rows(0.6, 0.0))) == 0


def test_confidence_is_a_logistic_curve_over_named_numbers():
    sharp = scorer(**{"margin over the next": 10.0})
    clear, close = sharp.score(compared(rows(0.9, 0.1))), sharp.score(compared(rows(0.9, 0.88)))
    assert clear.confidence > 0.99 > close.confidence > 0.5


def test_a_single_option_is_held_against_the_backdrop():
    alone = scorer(**{"margin over the backdrop": 10.0})
    assert alone.score(compared(rows(0.9))).confidence > 0.9
    assert alone.score(compared(rows(0.1))).confidence < 0.1


def test_extreme_numbers_do_no_harm():
    assert scorer(always=1e9).score(compared(rows(1.0))).confidence == pytest.approx(1)
    far = compared(rows(1e9), rows(-1e9))
    assert 0 <= scorer(**{"height above the backdrop": 1.0}).score(far).confidence <= 1


def test_a_single_option_has_no_margin_over_others():
    one = compared(rows(0.2))
    found = dict(zip(CONFIDENCE, scorer().numbers(one, mixed(one, 0.0)), strict=True))
    assert found["margin over the next"] == found["score above the mean"] == 0
    assert found["one option only"] == 1


def test_weights_of_other_features_are_refused():
    short = msgspec.structs.replace(weights(), features={"cosine": 1.0})
    with pytest.raises(ModelCorrupt, match="install archflow again"):
        Scorer(short, Backdrop.installed())


def test_what_ships_can_be_read_and_is_known_by_digest(tmp_path, monkeypatch):
    assert Scorer.installed(installed_digest())
    with pytest.raises(ModelCorrupt, match="compile it again"):
        Scorer.installed("0" * 64)
    monkeypatch.setattr(backdrop, "SUBJECTS", tmp_path / "none.txt")
    with pytest.raises(ModelCorrupt, match="cannot be read"):
        Scorer.installed()
    monkeypatch.undo()
    monkeypatch.setattr(score, "WEIGHTS", tmp_path / "none.json")
    with pytest.raises(ModelCorrupt, match="cannot be read"):
        Scorer.installed()
    (tmp_path / "none.json").write_text("[]")
    with pytest.raises(ModelCorrupt, match="cannot be read"):
        Scorer.installed()

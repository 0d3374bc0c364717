"""How an option stands before the backdrop, as plain arithmetic."""

import numpy as np
import pytest

from archflow_plugins.local_models.chooser.standing import FURTHEST, standing

SUBJECTS = np.linspace(-1, 1, 11)
UNLIKE = np.zeros(11)


def test_the_best_rival_makes_the_margin():
    found = standing(1.5, SUBJECTS, UNLIKE)
    assert found.margin == pytest.approx(0.5)
    assert found.height == pytest.approx(1.5 / SUBJECTS.std())
    assert found.chance == pytest.approx(1.5 - np.log(np.exp(SUBJECTS).sum()))


def test_what_is_about_the_same_is_no_rival():
    same = UNLIKE.copy()
    same[-1] = 0.7
    assert standing(1.5, SUBJECTS, same).margin == pytest.approx(0.7)


def test_an_option_that_is_like_everything_keeps_its_least_similar_rivals():
    like = np.linspace(0.9, 0.6, 11)
    assert standing(1.5, SUBJECTS, like).margin == pytest.approx(0.5)
    assert standing(1.5, SUBJECTS, like[::-1]).margin == pytest.approx(1.5 - SUBJECTS[7])


def test_distances_are_bounded():
    far = standing(1e9, SUBJECTS, UNLIKE)
    assert (far.margin, far.chance, far.height) == (FURTHEST,) * 3
    assert standing(-1e9, np.zeros(11), UNLIKE).height == -FURTHEST

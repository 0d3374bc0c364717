"""Which token is taken: the likeliest, or one by its probability among those that fit."""

import numpy as np
import pytest

from archflow_plugins.local_models.sample import FAVOURITES, Chooser, Sampling, favourites, score

LOGITS = np.log(np.array([0.5, 0.25, 0.15, 0.1], dtype=np.float32))


def anything(_):
    return True


def none():
    raise AssertionError("not asked for")


def frequencies(sampling, fits=anything, draft=None, count=4000):
    chooser = Chooser(sampling)
    chance = np.random.default_rng(0)
    drafts = chance.choice(4, size=count, p=[0.5, 0.25, 0.15, 0.1])
    found = [chooser.choose(LOGITS, int(one) if draft is None else draft, fits, none) for one in drafts]
    return np.bincount(found, minlength=4) / count


def test_greedy_takes_the_draft_when_it_fits():
    assert Chooser(Sampling()).choose(LOGITS, 3, anything, none) == 3


def test_greedy_takes_the_likeliest_that_fits():
    assert Chooser(Sampling()).choose(LOGITS, 0, lambda token: token >= 2, none) == 2


def test_the_whole_vocabulary_is_asked_when_no_favourite_fits():
    logits = np.arange(2000, 0, -1, dtype=np.float32)
    assert FAVOURITES < 1500
    assert Chooser(Sampling()).choose(logits, 0, lambda token: token >= 1500, lambda: [1700, 1500]) == 1500
    drawn = Chooser(Sampling(temperature=0.01, seed=1)).choose(
        logits, 0, lambda token: token >= 1500, lambda: [1700, 1500]
    )
    assert drawn == 1500


def test_seeded_draws_follow_the_probabilities():
    assert frequencies(Sampling(temperature=1, seed=5), draft=0) == pytest.approx(
        [0.5, 0.25, 0.15, 0.1], abs=0.03
    )


def test_the_same_seed_draws_the_same():
    def draws(seed):
        chooser = Chooser(Sampling(temperature=1.5, seed=seed))
        return [chooser.choose(LOGITS, 0, anything, none) for _ in range(50)]

    assert draws(1) == draws(1)
    assert draws(1) != draws(2)


def test_temperature_sharpens():
    assert frequencies(Sampling(temperature=0.2, seed=1), draft=0)[0] > 0.9


def test_top_p_leaves_the_tail_out():
    found = frequencies(Sampling(temperature=1, top_p=0.7, seed=1), draft=0)
    assert found[2:].sum() == 0
    assert found[0] == pytest.approx(2 / 3, abs=0.03)


def test_drafts_that_fit_and_draws_otherwise_are_as_masking_first():
    found = frequencies(Sampling(temperature=1), fits=lambda token: token in {1, 3})
    assert found[[0, 2]].sum() == 0
    assert found[1] == pytest.approx(0.25 / 0.35, abs=0.03)


def test_scores_are_log_probabilities():
    found = score(LOGITS + 3, 1, 2)
    assert found.logprob == pytest.approx(np.log(0.25), abs=1e-5)
    assert [token for token, _ in found.best] == [0, 1]
    assert score(LOGITS, 1, 0).best == ()


def test_favourites_in_order_and_ties_by_number():
    assert favourites(np.array([1, 3, 3, 0], dtype=np.float32), 3) == [1, 2, 0]
    assert favourites(np.array([1.0]), 9) == [0]

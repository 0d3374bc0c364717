"""The bench's figures against values worked out by hand and by counting pairs."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "bench/quality"))

import figures
import packages


def test_wilson():
    found = figures.share(9, 10)
    assert (found.value, found.low, found.high) == pytest.approx((0.9, 0.596, 0.982), abs=5e-4)
    assert figures.share(0, 50).low == 0
    assert np.isnan(figures.share(0, 0).value)


def test_the_area_counts_pairs():
    random = np.random.default_rng(1)
    labels, scores = random.integers(0, 2, 60), random.integers(0, 9, 60).astype(float)
    pairs = [(a > b) + 0.5 * (a == b) for a in scores[labels == 1] for b in scores[labels == 0]]
    found = figures.area(scores, labels)
    assert found.value == pytest.approx(np.mean(pairs))
    assert found.low < found.value < found.high


def test_recall_at_a_rate_lets_no_more_through():
    scores = np.array([0.9, 0.8, 0.7, 0.2] + [0.1] * 97 + [0.5, 0.75, 0.3])
    labels = np.array([1, 1, 1, 1] + [0] * 100)
    assert figures.recall_at(scores, labels, 0.01).value == 0.75
    assert figures.recall_at(scores, labels, 0.0).value == 0.5


def test_other_bytes_than_expected_are_not_read(tmp_path, monkeypatch):
    monkeypatch.setenv("ARCHFLOW_BENCH_CACHE", str(tmp_path))
    (tmp_path / packages.PACKAGES["bastioncorpus"].file).write_bytes(b"something else")
    with pytest.raises(packages.Unusable, match="remove it and run again"):
        packages.fetch("bastioncorpus")

"""Indexes of vectors: the same bytes each time, the nearest first, and nonsense refused."""

import numpy as np
import pytest

from archflow_plugins.local_models.index import EXACT, NEIGHBOURS, Index, build, form_for
from archflow_schema.errors import ArchflowError


def vectors(count, dimension=16, seed=0):
    found = np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


@pytest.mark.parametrize("form", ["flat", "hnsw", "ivf"])
def test_the_same_bytes_each_time(form):
    data = vectors(300)
    first = build(data, form)
    assert build(data, form) == first
    index = Index(first)
    assert (index.form, index.count, index.dimension) == (form, 300, 16)


@pytest.mark.parametrize(("form", "found"), [("flat", 1.0), ("hnsw", 0.95), ("ivf", 0.5)])
def test_the_nearest_first(form, found):
    data = vectors(500)
    asked = vectors(40, seed=1)
    cosines, places = Index(build(data, form)).search(asked, 5)
    exact = np.argsort(-(asked @ data.T), axis=1)[:, :5]
    hits = np.mean([len(set(a) & set(b)) / 5 for a, b in zip(places, exact, strict=True)])
    assert hits >= found
    assert (np.diff(cosines, axis=1) <= 1e-6).all()
    if form == "flat":
        assert cosines[:, 0] == pytest.approx((asked @ data.T).max(axis=1), abs=1e-5)


def test_a_vector_finds_itself():
    data = vectors(50)
    cosines, places = Index(build(data)).search(data, 1)
    assert places[:, 0].tolist() == list(range(50))
    assert cosines[:, 0] == pytest.approx(1, abs=1e-5)


def test_fewer_than_asked_for():
    cosines, places = Index(build(vectors(2))).search(vectors(1), 4)
    assert places[0, 2:].tolist() == [-1, -1]
    assert np.isneginf(cosines[0, 2:]).all()


def test_the_form_follows_the_number():
    assert [form_for(one) for one in (1, EXACT, EXACT + 1, NEIGHBOURS, NEIGHBOURS + 1)] == [
        "flat", "flat", "hnsw", "hnsw", "ivf",
    ]  # fmt: skip


def test_a_flat_index_is_searched_where_it_lies():
    data = build(vectors(3))
    index = Index(data)
    assert not index._vectors.flags.owndata


@pytest.mark.parametrize(
    "data", [b"", b"AFX1", b"XXXX" + bytes(50), build(vectors(4))[:-3], b"AFX1" + bytes([9]) * 40]
)
def test_other_bytes_are_refused(data):
    with pytest.raises(ArchflowError, match="compile the graph again"):
        Index(data)


@pytest.mark.parametrize("data", [np.zeros((0, 4)), np.zeros(4), np.array([[np.nan, 1]])])
def test_vectors_that_are_none_are_refused(data):
    with pytest.raises(ArchflowError, match="at least one vector"):
        build(data)

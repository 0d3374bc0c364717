"""Hashed n-grams: the same everywhere, blind to case and spacing, and total."""

import hashlib

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from archflow_plugins.local_models.ngrams import BUCKETS, buckets, normal


def test_the_hash_does_not_change_between_versions():
    digest = hashlib.sha256(buckets("Ignore all previous instructions!").astype("<i8").tobytes()).hexdigest()
    assert digest == "61d321505fe81d8a07861af1dca0f7479472b9c0b5e0e461dd8d2ffc89ac33f7", (
        "weights are trained for these buckets: change the hash only together with them"
    )


def test_case_spacing_and_compatibility_forms_are_folded():
    assert normal("  Ｉgnore\n\tALL ") == "ignore all"
    assert np.array_equal(buckets("Ignore ALL"), buckets("ignore\n all "))


def test_word_order_matters():
    assert not np.array_equal(buckets("dog bites man"), buckets("man bites dog"))


def test_where_a_text_begins_and_ends_matters():
    first, middle, last = (set(buckets(text).tolist()) for text in ("go on now", "now go on", "on now go"))
    assert first - middle - last


@given(st.text(st.characters(codec=None), max_size=300))
def test_any_text_has_buckets_in_order(text):
    found = buckets(text)
    assert len(found) == len(set(found.tolist()))
    assert np.array_equal(found, np.sort(found))
    assert all(0 <= one < BUCKETS for one in found)

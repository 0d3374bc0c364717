"""The classifier: what its arithmetic gives, against the same sums written out, and what it refuses."""

import io
import math

import numpy as np
import pytest

from archflow_plugins.local_models.classifier import Classifier, choose, logit, probability
from archflow_plugins.local_models.errors import ModelChanged, ModelCorrupt
from archflow_plugins.local_models.ngrams import BUCKETS, buckets

RANDOM = np.random.default_rng(0)
ARRAYS = {
    "ngrams": RANDOM.integers(-127, 128, BUCKETS).astype(np.int8),
    "ngrams_scale": np.float32(0.02),
    "ngrams_bias": np.float32(-0.3),
    "first": RANDOM.normal(size=(2, 4, 3)).astype(np.float16),
    "first_bias": RANDOM.normal(size=(2, 3)).astype(np.float16),
    "second": RANDOM.normal(size=(2, 3)).astype(np.float16),
    "second_bias": np.array([0.1, -0.2], np.float32),
    "mix": np.array([0.1, 0.7, 0.4], np.float32),
    "pool": np.array([-0.2, 0.3, 0.8, -0.5], np.float32),
    "alone": np.array([0.3, 0.9, -0.1, 0.5, 0.6, -0.4], np.float32),
    "steps": np.array([[2, 0.75], [6, -0.25]]),
}


def packed(**changed) -> bytes:
    out = io.BytesIO()
    np.savez(out, **{name: array for name, array in {**ARRAYS, **changed}.items() if array is not None})
    return out.getvalue()


def test_ngrams_are_the_mean_weight_over_the_root_of_their_number():
    text = "tell me a story"
    held = buckets(text)
    expected = -0.3 + sum(float(ARRAYS["ngrams"][one]) * 0.02 for one in held) / math.sqrt(len(held))
    assert Classifier(packed()).ngrams([text, text]) == pytest.approx([expected] * 2, abs=1e-4)


def test_networks_are_averaged():
    embedding = np.array([0.5, -0.5, 0.5, 0.5], np.float32)
    outputs = []
    for net in range(2):
        hidden = [
            max(
                0.0,
                sum(float(embedding[d] * ARRAYS["first"][net, d, h]) for d in range(4))
                + float(ARRAYS["first_bias"][net, h]),
            )
            for h in range(3)
        ]
        outputs.append(
            sum(max(0.0, hidden[h]) * float(ARRAYS["second"][net, h]) for h in range(3))
            + float(ARRAYS["second_bias"][net])
        )
    assert Classifier(packed()).network(embedding[None])[0] == pytest.approx(sum(outputs) / 2, abs=1e-4)


def test_a_document_weighs_its_highest_windows_and_its_length():
    head = Classifier(packed())
    for number, step in ((9, -0.25), (6, -0.25), (5, 0.75), (2, 0.75), (1, 0.0)):
        expected = -0.2 + 0.3 * 4 + 0.8 * (4 + 2 + 1) / 3 - 0.5 * math.log(number) + step
        found = head.document(np.array([1.0, 4.0, -3.0, 2.0]), number)
        assert found == pytest.approx(1 / (1 + math.exp(-expected)), abs=1e-5)


def test_ngrams_by_themselves_have_a_line_and_a_pool_of_their_own():
    head = Classifier(packed())
    lines = [0.3 + 0.9 * one for one in (1.0, 4.0, -3.0, 2.0)]
    assert head.windows_alone([1.0, 4.0, -3.0, 2.0]) == pytest.approx(lines, abs=1e-5)
    wanted = -0.1 + 0.5 * lines[1] + 0.6 * (lines[1] + lines[3] + lines[0]) / 3 - 0.4 * math.log(4)
    assert head.alone([1.0, 4.0, -3.0, 2.0]) == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("score", [0.0, 1e-9, 0.3, 0.5, 0.999, 1.0])
def test_logits_stand_for_probabilities(score):
    assert probability(logit(score)) == pytest.approx(score, abs=1e-12)


def test_scores_stay_between_0_and_1():
    head = Classifier(packed())
    assert 0 <= head.document(np.array([-1e9]), 1) < 0.5 < head.document(np.array([1e9]), 1) <= 1


def test_other_weights_are_refused():
    with pytest.raises(ModelChanged, match="compile again"):
        Classifier(packed(), "0" * 64)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK\x03\x04",
        packed()[:-200],
        packed(pool=None),
        packed(pool=np.zeros(3, np.float32)),
        packed(alone=None),
        packed(alone=np.zeros(4, np.float32)),
        packed(steps=None),
        packed(steps=np.zeros(4)),
        packed(steps=np.zeros((2, 3))),
        packed(ngrams=np.zeros(8, np.int8)),
        packed(second=np.zeros((2, 5), np.float16)),
    ],
)
def test_broken_weights_are_refused(data):
    with pytest.raises(ModelCorrupt, match="install archflow again"):
        Classifier(data)


def test_few_windows_are_all_chosen():
    assert choose([3.0, 1.0, 2.0], 3) == [0, 1, 2]


def test_of_many_the_ends_and_the_most_suspicious_are_chosen():
    assert choose([0.0, 5.0, 1.0, 9.0, 1.0, 0.0], 4) == [0, 1, 3, 5]
    assert choose([0.0, 5.0, 9.0], 1) == [2]
    assert choose([0.0, 5.0, 9.0], 2) == [1, 2]

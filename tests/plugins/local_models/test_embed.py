"""Embeddings: the same whatever the batch, unit vectors, windows, and what is remembered."""

import functools

import numpy as np
import pytest

from archflow_plugins.local_models import tokens
from archflow_plugins.local_models.cache import Cache
from archflow_plugins.local_models.catalogue import Local
from archflow_plugins.local_models.embed import GROUP_TOKENS, Embedded, Embedder, Remembered, groups, text_key
from archflow_schema.errors import ArchflowError
from local_world import model
from tiny_models import Encoder

TEXTS = [
    "hello",
    "hello world !",
    "",
    "unbelievable words",
    " ".join(f"word{n % 40}" for n in range(28)),
    "hello",
]


@functools.cache
def embedder() -> Embedder:
    return Embedder(model("tiny-embed"))


def test_a_vector_of_length_one_for_each_text():
    found = embedder().encode(TEXTS)
    assert found.shape == (len(TEXTS), 64)
    assert found.dtype == np.float32
    assert np.linalg.norm(found, axis=1) == pytest.approx(1, abs=1e-5)


def test_the_order_of_the_texts_is_kept_and_batches_change_nothing():
    together = embedder().encode(TEXTS)
    alone = np.vstack([embedder().encode([one]) for one in TEXTS])
    assert np.abs(together - alone).max() < 0.02
    assert (together[0] == together[-1]).all()
    assert embedder().encode([]).shape == (0, 64)


def test_the_mean_leaves_padding_out():
    tokens = embedder().tokenize(["hello world"])[0]
    states = np.asarray(embedder()._encoder.forward_batch([tokens]).last_hidden_state)[0]
    mean = states.mean(axis=0)
    assert embedder().encode(["hello world"])[0] == pytest.approx(mean / np.linalg.norm(mean), abs=1e-4)


def test_the_first_token_where_the_model_was_trained_so(monkeypatch):
    monkeypatch.setattr(embedder(), "_pooling", "cls")
    tokens = embedder().tokenize(["hello world"])[0]
    first = np.asarray(embedder()._encoder.forward_batch([tokens]).last_hidden_state)[0, 0]
    assert embedder().encode(["hello world"])[0] == pytest.approx(first / np.linalg.norm(first), abs=1e-4)


def test_long_texts_are_cut_or_windowed():
    long = " ".join(["hello"] * 100)
    tokens = embedder().tokenize([long])[0]
    limit = embedder().limit
    assert len(tokens) == 102
    assert embedder().read([long, "hello"]) == [
        (embedder().windows(tokens)[0], 102),
        (embedder().tokenize(["hello"])[0], 3),
    ]
    for stride in (0, 10):
        windows = embedder().windows(tokens, stride)
        assert all(len(one) <= limit and (one[0], one[-1]) == (tokens[0], tokens[-1]) for one in windows)
        step = stride or limit - 2
        covered = [None] * 100
        for number, window in enumerate(windows):
            for at, token in enumerate(window[1:-1]):
                covered[number * step + at] = token
        assert covered == tokens[1:-1]
    assert embedder().encode([long]).shape == (1, 64)


def test_short_texts_are_one_window():
    tokens = embedder().tokenize(["hello"])[0]
    assert embedder().windows(tokens) == [tokens]


def test_half_surrogates_do_no_harm():
    assert embedder().encode(["a\ud83d"]).shape == (1, 64)


@pytest.mark.parametrize("lengths", [[], [5], [3, 500, 4, 490, 3, 2], [10] * 1000, list(range(1, 300))])
def test_groups_are_of_about_the_same_length_and_lose_nobody(lengths):
    found = list(groups(lengths))
    assert sorted(place for group in found for place in group) == list(range(len(lengths)))
    for group in found:
        short, long = lengths[group[0]], lengths[group[-1]]
        assert long - short <= max(8, long // 4)
        assert len(group) == 1 or long * len(group) <= GROUP_TOKENS


def test_what_is_not_wanted_is_passed_over():
    told = []
    embedder().run([[2, 5, 3], [2, 6, 3]], lambda places, _: told.extend(places), lambda place: place == 1)
    assert told == [1]


def test_remembered_forgets_the_oldest():
    remembered = Remembered(2)
    vector = Embedded(np.zeros(4, dtype=np.float32), 3)
    for text in ("a", "b", "b"):
        remembered.put(text_key(text), vector)
    assert remembered.get(text_key("a")) is vector
    remembered.put(text_key("c"), vector)
    assert remembered.get(text_key("b")) is None
    assert remembered.get(text_key("a")) is vector
    assert (remembered.hits, remembered.misses, remembered.memory) == (2, 1, 32)


def test_remembering_nothing():
    remembered = Remembered(0)
    remembered.put(b"a", Embedded(np.zeros(1), 1))
    assert remembered.get(b"a") is None


def test_a_folder_that_is_no_model_says_so(tmp_path):
    broken = type("Broken", (), {"folder": tmp_path, "entry": model("tiny-embed").entry})()
    with pytest.raises(ArchflowError, match="archc models verify tiny-embed"):
        Embedder(broken)


@pytest.mark.parametrize("kind", ["bert", "roberta", "xlm-roberta"])
def test_a_long_text_has_the_same_tokens_in_pieces(kind, tmp_path, monkeypatch):
    cache = Cache(tmp_path / "cache")
    made = cache.adopt(Local(path=str(Encoder(kind).safetensors(tmp_path / kind))), "mine", "embedder")
    encoder = Embedder(made)
    text = "hello wor-ld,  hello\nunbelievable 12 h\u00e9llo. " * 20
    whole = encoder.tokenize([text])
    monkeypatch.setattr(tokens, "PIECE", 10)
    assert len(tokens.pieces(text)) > 20
    assert encoder.tokenize([text]) == whole
    assert encoder.read([text, "a"])[0] == (encoder.windows(whole[0])[0], len(whole[0]))

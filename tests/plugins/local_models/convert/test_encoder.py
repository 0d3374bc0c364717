"""Encoders, converted and run by CTranslate2, against forward passes in numpy."""

import ctranslate2
import numpy as np
import pytest
from msgspec import json
from tokenizers import Tokenizer

from archflow_plugins.local_models.convert.folder import convert
from archflow_plugins.local_models.convert.safetensors import Safetensors
from archflow_plugins.local_models.errors import ModelCorrupt, ModelUnsupported
from model_oracle import encode
from tiny_models import LAYERS, Encoder

IDS = [2, 17, 40, 40, 9, 33, 3]
INT8 = 0.06
"""How far int8 may be off: root mean square of the difference, as a part of the spread of the hidden states."""
KINDS = [
    Encoder("bert"),
    Encoder("bert", prefix="bert."),
    Encoder("roberta", prefix="roberta."),
    Encoder("xlm-roberta"),
]


def run(folder) -> tuple[np.ndarray, np.ndarray]:
    encoder = ctranslate2.Encoder(str(folder), intra_threads=1, compute_type="default")
    found = encoder.forward_batch([IDS])
    return np.array(found.last_hidden_state)[0], np.array(found.pooler_output)[0]


def expected(model) -> tuple[np.ndarray, np.ndarray]:
    return encode(
        model.tensors,
        IDS,
        layers=LAYERS,
        heads=model.heads,
        prefix=model.prefix,
        first=0 if model.kind == "bert" else 2,
    )


@pytest.mark.parametrize("model", KINDS, ids=str)
def test_float32_is_exact(model, tmp_path):
    (tmp_path / "out").mkdir()
    made = convert(model.safetensors(tmp_path / "in"), tmp_path / "out", quantization="float32")
    assert made.architecture == model.kind.replace("-", "_")
    hidden, pooled = run(tmp_path / "out")
    wanted, wanted_pooled = expected(model)
    assert np.abs(hidden - wanted).max() < 1e-4
    assert np.abs(pooled - wanted_pooled).max() < 1e-4


@pytest.mark.parametrize("model", KINDS, ids=str)
def test_int8_is_near(model, tmp_path):
    (tmp_path / "out").mkdir()
    convert(model.safetensors(tmp_path / "in"), tmp_path / "out")
    wanted = expected(model)[0]
    off = np.sqrt(((run(tmp_path / "out")[0] - wanted) ** 2).mean()) / wanted.std()
    assert 0 < off < INT8


def test_without_a_pooler(tmp_path):
    model = Encoder("bert")
    model.tensors = {name: one for name, one in model.tensors.items() if "pooler" not in name}
    (tmp_path / "out").mkdir()
    convert(model.safetensors(tmp_path / "in"), tmp_path / "out", quantization="float32")
    encoder = ctranslate2.Encoder(str(tmp_path / "out"), intra_threads=1)
    found = encoder.forward_batch([IDS])
    assert found.pooler_output is None
    assert np.isfinite(np.array(found.last_hidden_state)).all()


def test_norms_as_the_first_bert_called_them(tmp_path):
    model = Encoder("bert")
    wanted = expected(model)[0]
    model.tensors = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): one
        for name, one in model.tensors.items()
    }
    (tmp_path / "out").mkdir()
    convert(model.safetensors(tmp_path / "in"), tmp_path / "out", quantization="float32")
    assert np.abs(run(tmp_path / "out")[0] - wanted).max() < 1e-4


def test_gguf(tmp_path):
    model = Encoder("bert")
    (tmp_path / "out").mkdir()
    made = convert(model.gguf(tmp_path / "in"), tmp_path / "out", quantization="float32")
    assert made.architecture == "bert"
    encoder = ctranslate2.Encoder(str(tmp_path / "out"), intra_threads=1, compute_type="default")
    hidden = np.array(encoder.forward_batch([IDS]).last_hidden_state)[0]
    assert np.abs(hidden - expected(model)[0]).max() < 1e-4
    ours = Tokenizer.from_file(str(tmp_path / "out" / "tokenizer.json"))
    assert ours.encode("Hello worlds!").tokens == ["[CLS]", "hello", "world", "##s", "!", "[SEP]"]


@pytest.mark.parametrize("stored", ["float", "int8", "int8-by-zero-points"])
@pytest.mark.parametrize("prefix", ["", "inner."])
def test_onnx(stored, prefix, tmp_path):
    """Anonymous, transposed matrices find their names; integers times a scale are what they stand for."""
    model = Encoder("bert", prefix=prefix)
    folder = model.onnx(tmp_path / "in", stored)
    (tmp_path / "out").mkdir()
    convert(folder, tmp_path / "out", quantization="float32")
    encoder = ctranslate2.Encoder(str(tmp_path / "out"), intra_threads=1, compute_type="default")
    hidden = np.array(encoder.forward_batch([IDS]).last_hidden_state)[0]
    assert np.abs(hidden - expected(model)[0]).max() < 1e-4


@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_a_head_is_kept_for_numpy(kind, tmp_path):
    model = Encoder(kind, prefix=f"{kind}.")
    rng = np.random.default_rng(1)
    head = {"classifier.weight": (3, 64), "classifier.bias": (3,)}
    if kind == "roberta":
        head = {"classifier.dense.weight": (64, 64), "classifier.dense.bias": (64,),
                "classifier.out_proj.weight": (3, 64), "classifier.out_proj.bias": (3,)}  # fmt: skip
    values = {name: rng.normal(0, 1, shape).astype(np.float32) for name, shape in head.items()}
    model.tensors |= values
    labels = {"2": "contradiction", "0": "entailment", "1": "neutral"}
    (tmp_path / "out").mkdir()
    made = convert(model.safetensors(tmp_path / "in", id2label=labels), tmp_path / "out")
    assert made.labels == ("entailment", "neutral", "contradiction")
    with Safetensors(tmp_path / "out" / "head.safetensors") as kept:
        assert kept.tensors.keys() == values.keys()
        for name, one in values.items():
            np.testing.assert_array_equal(kept.get(name).all(), one)


@pytest.mark.parametrize(
    ("said", "pooling"),
    [
        (None, "mean"),
        ({"pooling_mode_mean_tokens": True}, "mean"),
        ({"pooling_mode_mean_sqrt_len_tokens": True}, "mean"),
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "cls"),
        ({"pooling_mode_max_tokens": True}, None),
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True}, None),
    ],
)
def test_how_one_vector_is_made_of_many(said, pooling, tmp_path):
    folder = Encoder("bert").safetensors(tmp_path / "in")
    if said:
        (folder / "1_Pooling").mkdir()
        (folder / "1_Pooling" / "config.json").write_bytes(json.encode(said))
    (tmp_path / "out").mkdir()
    if pooling is None:
        with pytest.raises(ModelUnsupported, match="neither of the mean nor of the first token"):
            convert(folder, tmp_path / "out")
        assert list((tmp_path / "out").iterdir()) == []
    else:
        assert convert(folder, tmp_path / "out").pooling == pooling


def test_what_is_not_converted_is_refused(tmp_path):
    for n, (changed, words) in enumerate((
        ({"position_embedding_type": "relative_key"}, "relative_key positions"),
        ({"hidden_act": "laplace"}, "activation 'laplace'"),
        ({"num_attention_heads": 7}, "7 heads do not share 64"),
        ({"num_hidden_layers": 0}, "neither how many layers"),
        ({"num_hidden_layers": 3}, "lacks the tensor encoder.layer.2"),
        ({"intermediate_size": 100}, "asks for 100 x 64"),
        ({"model_type": ""}, "nothing of a model_type"),
        ({"model_type": "deberta-v2"}, "is a 'deberta-v2' model"),
    )):  # fmt: skip
        folder = Encoder("bert").safetensors(tmp_path / str(n), **changed)
        (folder / "out").mkdir()
        with pytest.raises((ModelUnsupported, ModelCorrupt), match=words):
            convert(folder, folder / "out")


def test_a_tokenizer_of_another_model(tmp_path):
    folder = Encoder("bert").safetensors(tmp_path / "in")
    (folder / "vocab.txt").write_text("\n".join(["[UNK]", "[CLS]", "[SEP]", *map(str, range(500))]))
    (tmp_path / "out").mkdir()
    with pytest.raises(ModelUnsupported, match=r"knows \d+ tokens that the model has no row for"):
        convert(folder, tmp_path / "out")


def test_the_vocabulary_fills_the_table(tmp_path):
    folder = Encoder("bert").safetensors(tmp_path / "in")
    (folder / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nhello")
    (tmp_path / "out").mkdir()
    convert(folder, tmp_path / "out")
    names = json.decode((tmp_path / "out" / "vocabulary.json").read_bytes())
    assert names[:7] == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "hello", "<extra_id_6>"]
    assert len(names) == len(set(names)) == 60

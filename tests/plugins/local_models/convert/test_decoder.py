"""Decoders, converted and run by CTranslate2, against forward passes in numpy."""

import ctranslate2
import numpy as np
import pytest

from archflow_plugins.local_models.convert.folder import convert
from archflow_plugins.local_models.errors import ModelCorrupt, ModelUnsupported
from model_oracle import decode
from tiny_models import Decoder

IDS = [5, 77, 200, 3, 3, 141, 256, 9, 30, 118, 64, 2]
INT8 = 0.06
"""How far int8 may be off: root mean square of the difference, as a part of the spread of the logits."""

KINDS = [
    Decoder("llama"),
    Decoder("llama", tied=True),
    Decoder("llama", heads=4, heads_kv=4),
    Decoder("llama", width=32),
    Decoder("llama", scaling={"rope_type": "linear", "factor": 4.0}),
    Decoder("llama", width=32, theta=500_000.0, scaling={"rope_type": "llama3", "factor": 32.0}),
    Decoder("mistral"),
    Decoder("qwen2"),
    Decoder("qwen2", tied=True),
    Decoder("qwen3"),
    Decoder("qwen3", width=32, tied=True),
]


def logits(folder) -> np.ndarray:
    generator = ctranslate2.Generator(str(folder), intra_threads=1, compute_type="default")
    return np.array(generator.forward_batch([IDS]))[0]


@pytest.mark.parametrize("model", KINDS, ids=str)
@pytest.mark.parametrize("source", ["safetensors", "gguf"])
def test_float32_is_exact(model, source, tmp_path):
    path = getattr(model, source)(tmp_path / "in")
    (tmp_path / "out").mkdir()
    made = convert(path, tmp_path / "out", quantization="float32")
    assert made.architecture == {"mistral": "llama"}.get(model.kind, model.kind)
    assert made.hidden == model.hidden
    expected = decode(model.tensors, IDS, **model.oracle())
    assert np.abs(logits(tmp_path / "out") - expected).max() < 1e-4


@pytest.mark.parametrize("model", KINDS, ids=str)
def test_int8_is_near(model, tmp_path):
    (tmp_path / "out").mkdir()
    convert(model.safetensors(tmp_path / "in"), tmp_path / "out", quantization="int8")
    expected = decode(model.tensors, IDS, **model.oracle())
    off = np.sqrt(((logits(tmp_path / "out") - expected) ** 2).mean()) / expected.std()
    assert 0 < off < INT8


@pytest.mark.parametrize(
    "model", [Decoder("llama", hidden=256, inner=256), Decoder("qwen2", hidden=256, inner=256)], ids=str
)
def test_gguf_in_every_block_format(model, tmp_path):
    path, tensors = model.mixed_gguf(tmp_path / "in")
    (tmp_path / "out").mkdir()
    convert(path, tmp_path / "out", quantization="float32")
    expected = decode(tensors, IDS, **model.oracle())
    assert np.abs(logits(tmp_path / "out") - expected).max() < 1e-4


@pytest.mark.parametrize("dtype", ["F16", "BF16"])
def test_halves(dtype, tmp_path):
    model = Decoder("llama")
    (tmp_path / "out").mkdir()
    convert(model.safetensors(tmp_path / "in", dtype), tmp_path / "out", quantization="float32")
    expected = decode(model.tensors, IDS, **model.oracle())
    off = np.sqrt(((logits(tmp_path / "out") - expected) ** 2).mean()) / expected.std()
    assert off < {"F16": 0.002, "BF16": 0.03}[dtype]


def test_several_files(tmp_path):
    model = Decoder("llama")
    folder = model.safetensors(tmp_path / "in", shards=3)
    (tmp_path / "out").mkdir()
    convert(folder, tmp_path / "out", quantization="float32")
    assert np.abs(logits(tmp_path / "out") - decode(model.tensors, IDS, **model.oracle())).max() < 1e-4
    (folder / "model-2.safetensors").unlink()
    with pytest.raises(ModelCorrupt, match=r"names model-2.safetensors, which is not there: fetch it again"):
        convert(folder, tmp_path / "out")


def test_what_is_not_converted_is_refused(tmp_path):
    for changed, words in (
        ({"rope_scaling": {"rope_type": "yarn", "factor": 2.0}}, "stretches its positions by 'yarn'"),
        ({"use_sliding_window": True}, "sliding window"),
        ({"hidden_act": "gelu"}, "activation 'gelu'"),
        ({"quantization_config": {"quant_method": "awq"}}, "is quantised by awq: bring"),
        ({"num_key_value_heads": 3}, "are no decoder"),
        ({"num_attention_heads": 8}, "asks for"),
        ({"num_hidden_layers": 3}, "lacks the tensor model.layers.2"),
        ({"model_type": "mamba"}, "is a 'mamba' model; these can be converted: bert"),
        ({"eos_token_id": 99999}, "end token 99999"),
    ):
        folder = Decoder("llama").safetensors(tmp_path / words[:5].strip(), **changed)
        (folder / "out").mkdir()
        with pytest.raises((ModelUnsupported, ModelCorrupt), match=words):
            convert(folder, folder / "out")


def test_positions_that_are_stretched_where_it_shows(tmp_path):
    """A context of 16 tokens, so that twelve are enough to tell the rules apart."""
    scaling = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
               "original_max_position_embeddings": 16}  # fmt: skip
    model = Decoder("llama", width=32, scaling=scaling)
    (tmp_path / "out").mkdir()
    convert(model.safetensors(tmp_path / "in"), tmp_path / "out", quantization="float32")
    found = logits(tmp_path / "out")
    assert np.abs(found - decode(model.tensors, IDS, **model.oracle())).max() < 1e-4
    assert np.abs(found - decode(model.tensors, IDS, **model.oracle() | {"slower": 1.0})).max() > 0.1


def test_other_rules_for_positions_in_gguf_are_refused(tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(ModelUnsupported, match=r"by a rule that is not known here \(yarn\)"):
        convert(Decoder("llama").gguf(tmp_path, {"llama.rope.scaling.type": "yarn"}), tmp_path / "out")
    own = {"rope_type": "llama3", "factor": 8.0, "original_max_position_embeddings": 16}
    with pytest.raises(ModelUnsupported, match=r"by a rule that is not known here \(none\)"):
        convert(Decoder("llama", scaling=own).gguf(tmp_path), tmp_path / "out")


def test_biases_wherever_they_are(tmp_path):
    model = Decoder("llama")
    rng = np.random.default_rng(9)
    for n in range(2):
        for part in ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj",
                     "mlp.up_proj", "mlp.down_proj"):  # fmt: skip
            stem = f"model.layers.{n}.{part}"
            length = len(model.tensors[f"{stem}.weight"])
            model.tensors[f"{stem}.bias"] = rng.normal(0, 0.2, length).astype(np.float32)
    (tmp_path / "out").mkdir()
    convert(model.safetensors(tmp_path / "in"), tmp_path / "out", quantization="float32")
    assert np.abs(logits(tmp_path / "out") - decode(model.tensors, IDS, **model.oracle())).max() < 1e-4


def test_a_tensor_without_a_place(tmp_path):
    model = Decoder("llama")
    model.tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = np.ones(8, np.float32)
    (tmp_path / "out").mkdir()
    convert(model.safetensors(tmp_path / "good"), tmp_path / "out")
    model.tensors["model.layers.1.self_attn.q_norm.weight"] = np.ones(16, np.float32)
    with pytest.raises(
        ModelUnsupported, match=r"a tensor model.layers.1.self_attn.q_norm.weight, which its arch"
    ):
        convert(model.safetensors(tmp_path / "in"), tmp_path / "out")


def test_one_of_several_gguf_files(tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(ModelUnsupported, match="one of 3 files"):
        convert(Decoder("llama").gguf(tmp_path, {"split.count": 3}), tmp_path / "out")


def test_values_that_are_no_numbers(tmp_path):
    model = Decoder("llama")
    model.tensors["model.layers.1.mlp.up_proj.weight"][3, 3] = np.nan
    (tmp_path / "out").mkdir()
    with pytest.raises(ModelCorrupt, match="no numbers"):
        convert(model.safetensors(tmp_path / "in"), tmp_path / "out")


def test_the_same_input_gives_the_same_bytes(tmp_path):
    path = Decoder("qwen2").gguf(tmp_path)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        convert(path, tmp_path / name)
    for one in (tmp_path / "a").iterdir():
        assert one.read_bytes() == (tmp_path / "b" / one.name).read_bytes()

"""Corrections to a model's matrices: added exactly, and refused where they do not fit."""

import io

import ctranslate2
import numpy as np
import pytest

from archflow_plugins.local_models.convert.adapter import Adapted, Corrected, pack
from archflow_plugins.local_models.convert.folder import convert
from archflow_plugins.local_models.convert.safetensors import Safetensors
from archflow_plugins.local_models.convert.tensors import Array
from archflow_plugins.local_models.errors import ModelCorrupt
from model_oracle import encode
from tiny_models import LAYERS, Encoder

IDS = [2, 17, 40, 40, 9, 33, 3]
QUERY = "encoder.layer.0.attention.self.query.weight"
OUTPUT = "encoder.layer.1.output.dense.weight"


def npz(**arrays) -> bytes:
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


def corrections(model) -> dict[str, np.ndarray]:
    random, found = np.random.default_rng(5), {}
    for stem in (QUERY, OUTPUT):
        rows, columns = model.tensors[model.prefix + stem].shape
        found[f"{stem}.up"] = random.normal(size=(rows, 3)).astype(np.float16)
        found[f"{stem}.down"] = random.normal(size=(3, columns)).astype(np.float16) / 8
    return found


@pytest.mark.parametrize("prefix", ["", "bert."])
def test_a_converted_model_has_its_corrections(tmp_path, prefix):
    model = Encoder("bert", prefix=prefix)
    pairs = corrections(model)
    (tmp_path / "adapter.npz").write_bytes(npz(**pairs))
    (tmp_path / "out").mkdir()
    convert(
        model.safetensors(tmp_path / "in"),
        tmp_path / "out",
        quantization="float32",
        adapter=tmp_path / "adapter.npz",
    )
    tensors = dict(model.tensors)
    for stem in (QUERY, OUTPUT):
        change = pairs[f"{stem}.up"].astype(np.float64) @ pairs[f"{stem}.down"].astype(np.float64)
        tensors[prefix + stem] = tensors[prefix + stem] + change
    encoder = ctranslate2.Encoder(str(tmp_path / "out"), intra_threads=1, compute_type="default")
    hidden = np.array(encoder.forward_batch([IDS]).last_hidden_state)[0]
    wanted = encode(tensors, IDS, layers=LAYERS, heads=model.heads, prefix=prefix, first=0)[0]
    plain = encode(model.tensors, IDS, layers=LAYERS, heads=model.heads, prefix=prefix, first=0)[0]
    assert np.abs(hidden - wanted).max() < 1e-3
    assert np.abs(hidden - plain).max() > 0.1


def test_rows_are_the_same_alone_and_together():
    random = np.random.default_rng(2)
    tensor = Corrected(
        Array(random.normal(size=(9, 5))),
        random.normal(size=(9, 4)).astype(np.float32),
        random.normal(size=(4, 5)).astype(np.float32),
    )
    assert tensor.shape == (9, 5)
    parts = [tensor.rows(at, at + 1) for at in range(9)]
    assert np.array_equal(np.concatenate(parts), tensor.rows(0, 9))


def test_in_8_bits_corrections_are_nearly_the_same(tmp_path):
    model = Encoder("bert")
    arrays = corrections(model)
    arrays[f"{QUERY}.up"][:, 1] *= 40  # one part of a pair is far from the others, and does not spoil them
    arrays[f"{QUERY}.down"][1] /= 40
    arrays[f"{OUTPUT}.up"][:, 2] = 0
    pairs = {stem: (arrays[f"{stem}.up"], arrays[f"{stem}.down"]) for stem in (QUERY, OUTPUT)}
    with Safetensors(model.safetensors(tmp_path) / "model.safetensors") as weights:
        exact, packed = (
            Adapted(weights, data, "adapter.npz").tensors for data in (npz(**arrays), pack(pairs))
        )
        for stem in pairs:
            change = exact[stem].all() - weights.tensors[stem].all()
            assert np.abs(packed[stem].all() - exact[stem].all()).max() < 0.02 * np.abs(change).max()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({f"{QUERY}.scale": np.ones(4)}, "the scale of the correction"),
        ({f"{QUERY}.up": None}, "no pair of matrices"),
        ({f"{QUERY}.down": np.zeros((2, 64))}, "no pair of matrices"),
        ({f"{QUERY}.up": np.zeros((65, 3))}, "belongs to another model"),
        (
            {
                "encoder.layer.9.x.weight.up": np.zeros((4, 1)),
                "encoder.layer.9.x.weight.down": np.zeros((1, 4)),
            },
            "which is not there",
        ),
        ({"whatever": np.zeros((2, 2))}, "no pair of matrices"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, change, said):
    model = Encoder("bert")
    arrays = {name: array for name, array in {**corrections(model), **change}.items() if array is not None}
    weights = Safetensors(model.safetensors(tmp_path) / "model.safetensors")
    with weights, pytest.raises(ModelCorrupt, match=said):
        Adapted(weights, npz(**arrays), "adapter.npz")


@pytest.mark.parametrize("data", [b"", b"nothing", npz(a=np.zeros(4))[:-40]])
def test_a_damaged_adapter_is_refused_and_the_model_closed(tmp_path, data):
    model = Encoder("bert")
    (tmp_path / "adapter.npz").write_bytes(data)
    (tmp_path / "out").mkdir()
    with pytest.raises(ModelCorrupt, match="install archflow again"):
        convert(model.safetensors(tmp_path / "in"), tmp_path / "out", adapter=tmp_path / "adapter.npz")
    assert not list((tmp_path / "out").iterdir())

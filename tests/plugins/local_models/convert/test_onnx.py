"""Weights of .onnx files: what the graph says about stored values, and files that are not what they seem."""

import numpy as np
import pytest

from archflow_plugins.local_models.convert.onnx import Onnx
from archflow_plugins.local_models.errors import ModelCorrupt, ModelUnsupported
from model_files import field, initializer, node, write_onnx

RNG = np.random.default_rng(0)
Q = RNG.integers(-127, 127, (4, 6)).astype(np.int8)
ROWS = RNG.uniform(0.1, 1, 4).astype(np.float32)
COLUMNS = RNG.uniform(0.1, 1, 6).astype(np.float32)


def read(tmp_path, initializers, nodes) -> dict[str, np.ndarray]:
    with Onnx(write_onnx(tmp_path / "m.onnx", initializers, nodes)) as weights:
        return {name: one.all() for name, one in weights.tensors.items() if one.shape}


@pytest.mark.parametrize(
    ("numbers", "scale", "expected"),
    [
        ({}, COLUMNS, Q * COLUMNS),
        ({"axis": 1}, COLUMNS, Q * COLUMNS),
        ({"axis": 0}, ROWS, Q * ROWS[:, None]),
    ],
)
def test_scales_along_an_axis(numbers, scale, expected, tmp_path):
    found = read(tmp_path, {"q": Q, "s": scale}, [node("DequantizeLinear", ["q", "s"], ["w"], **numbers)])
    np.testing.assert_allclose(found["w"], expected, rtol=1e-6)


@pytest.mark.parametrize("turned", [False, True])
def test_cast_times_scale(turned, tmp_path):
    inputs = ["s", "f"] if turned else ["f", "s"]
    nodes = [node("Cast", ["q"], ["f"]), node("Mul", inputs, ["w"]), node("Transpose", ["w"], ["t"])]
    found = read(tmp_path, {"q": Q, "s": ROWS[:, None]}, nodes)
    np.testing.assert_allclose(found["w"], Q * ROWS[:, None], rtol=1e-6)
    np.testing.assert_allclose(found["t"], (Q * ROWS[:, None]).T, rtol=1e-6)


@pytest.mark.parametrize("turned", [False, True])
def test_a_matrix_is_named_after_its_bias(turned, tmp_path):
    sums = ["a.bias", "p"] if turned else ["p", "a.bias"]
    found = read(
        tmp_path, {"w": Q, "a.bias": COLUMNS}, [node("MatMul", ["x", "w"], ["p"]), node("Add", sums, ["y"])]
    )
    np.testing.assert_array_equal(found["a.weight"], Q.T)


def test_what_is_computed_stays_unknown(tmp_path):
    found = read(
        tmp_path, {"q": Q, "s": COLUMNS}, [node("Mul", ["q", "x"], ["w"]), node("Relu", ["q"], ["r"])]
    )
    assert found.keys() == {"q", "s"}


def test_blocks_are_refused(tmp_path):
    nodes = [node("DequantizeLinear", ["q", "s"], ["w"], axis=0, block_size=2)]
    with pytest.raises(ModelUnsupported, match="quantised in blocks"):
        read(tmp_path, {"q": Q, "s": COLUMNS}, nodes)


def test_shapes_that_do_not_fit(tmp_path):
    with pytest.raises(ModelCorrupt, match="q and its scale have shapes that do not fit"):
        read(tmp_path, {"q": Q, "s": ROWS}, [node("DequantizeLinear", ["q", "s"], ["w"])])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "holds no weights"),
        (b"\x08\x0a", "holds no weights"),
        (b"\xff" * 20, "does not end"),
        (b"\x3a\xff\xff\x7f", "would end after what holds it"),
        (b"\x3b", "no field type 3"),
        (field(7, field(5, field(1, 1 << 62) + field(2, 1) + field(8, b"w"))), "says that it is"),
        (
            field(7, field(5, field(1, 3) + field(2, 1) + field(8, b"w") + field(9, b"\0" * 8))),
            "takes 8 bytes",
        ),
    ],
)
def test_damage(data, words, tmp_path):
    (tmp_path / "m.onnx").write_bytes(data)
    with pytest.raises(ModelCorrupt, match=words):
        Onnx(tmp_path / "m.onnx")


def test_values_in_other_files(tmp_path):
    (tmp_path / "m.onnx").write_bytes(field(7, field(5, initializer("w", ROWS) + field(14, 1))))
    with pytest.raises(ModelUnsupported, match="keeps its values in other files"):
        Onnx(tmp_path / "m.onnx")

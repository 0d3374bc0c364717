"""Files of safetensors: every type, and headers that lie."""

import struct

import numpy as np
import pytest
from msgspec import json

from archflow_plugins.local_models.convert.safetensors import Safetensors, dump
from archflow_plugins.local_models.errors import ModelCorrupt, ModelUnsupported
from model_files import write_safetensors

VALUES = np.random.default_rng(0).normal(0, 1, (7, 5)).astype(np.float32)


@pytest.mark.parametrize(("dtype", "close"), [("F32", 0), ("F64", 0), ("F16", 1e-3), ("BF16", 1e-2)])
def test_types(dtype, close, tmp_path):
    with Safetensors(
        write_safetensors(tmp_path / "m.safetensors", {"a": VALUES, "b": VALUES[0]}, dtype)
    ) as weights:
        np.testing.assert_allclose(weights.get("a", (7, 5)).rows(2, 6), VALUES[2:6], rtol=close)
        np.testing.assert_allclose(weights.get("b").all(), VALUES[0], rtol=close)


def test_what_is_written_can_be_read(tmp_path):
    (tmp_path / "m.safetensors").write_bytes(dump({"b": VALUES, "a": VALUES[0]}))
    with Safetensors(tmp_path / "m.safetensors") as weights:
        np.testing.assert_array_equal(weights.get("b").all(), VALUES)
        np.testing.assert_array_equal(weights.get("a").all(), VALUES[0])


def test_a_missing_tensor_and_another_shape(tmp_path):
    with Safetensors(write_safetensors(tmp_path / "m.safetensors", {"a": VALUES})) as weights:
        with pytest.raises(ModelUnsupported, match="lacks the tensor b"):
            weights.get("b")
        with pytest.raises(ModelCorrupt, match="a is 7 x 5, but the configuration asks for any x 6"):
            weights.get("a", (None, 6))


def header(described: object, data: bytes = b"\0" * 16) -> bytes:
    text = described if isinstance(described, bytes) else json.encode(described)
    return struct.pack("<Q", len(text)) + text + data


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "reach to byte 8, but the file has 0"),
        (b"\0" * 7, "reach to byte 8"),
        (struct.pack("<Q", 1 << 60), "says that it is"),
        (struct.pack("<Q", 50) + b"{}", "reach to byte 58"),
        (header(b"not json"), "header cannot be read"),
        (header(b"\xff\xfe"), "header cannot be read"),
        (header([1]), "header cannot be read"),
        (header({"a": {"dtype": "F32", "shape": [4]}}), "header cannot be read"),
        (header({"a": {"dtype": "F32", "shape": [5], "data_offsets": [0, 16]}}), "lies at bytes 0 to 16"),
        (header({"a": {"dtype": "F32", "shape": [8], "data_offsets": [0, 32]}}), "lies at bytes 0 to 32"),
        (header({"a": {"dtype": "F32", "shape": [4], "data_offsets": [-16, 0]}}), "lies at bytes -16"),
        (header({"a": {"dtype": "F32", "shape": [-4, -1], "data_offsets": [0, 16]}}), "says that it is"),
        (
            header({"a": {"dtype": "F32", "shape": [1 << 40, 1 << 40], "data_offsets": [0, 16]}}),
            "says that it is",
        ),
    ],
)
def test_damage(data, words, tmp_path):
    (tmp_path / "m.safetensors").write_bytes(data)
    with pytest.raises(ModelCorrupt, match=words):
        Safetensors(tmp_path / "m.safetensors")


def test_types_that_nobody_reads(tmp_path):
    (tmp_path / "m.safetensors").write_bytes(
        header({"a": {"dtype": "I8", "shape": [16], "data_offsets": [0, 16]}})
    )
    with (
        Safetensors(tmp_path / "m.safetensors") as weights,
        pytest.raises(ModelUnsupported, match="stored as I8"),
    ):
        weights.get("a").all()
    (tmp_path / "n.safetensors").write_bytes(
        header({"a": {"dtype": "F4", "shape": [16], "data_offsets": [0, 8]}})
    )
    with pytest.raises(ModelUnsupported, match="'F4', which nothing here reads"):
        Safetensors(tmp_path / "n.safetensors")


def test_a_file_that_is_cut_short_while_it_is_read(tmp_path):
    path = write_safetensors(tmp_path / "m.safetensors", {"a": VALUES})
    with Safetensors(path) as weights:
        with path.open("r+b") as file:
            file.truncate(40)
        with pytest.raises(ModelCorrupt, match="cut short while a was read"):
            weights.get("a").all()


def test_an_index_that_leads_elsewhere(tmp_path):
    index = tmp_path / "model.safetensors.index.json"
    index.write_bytes(json.encode({"weight_map": {"a": "../m.safetensors"}}))
    with pytest.raises(ModelUnsupported, match="not beside it"):
        Safetensors(index)
    index.write_text("{")
    with pytest.raises(ModelCorrupt, match="no index of safetensors"):
        Safetensors(index)

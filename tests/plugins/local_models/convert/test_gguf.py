"""GGUF files: metadata of every type, tensors of one and two dimensions, and files that lie."""

import struct

import numpy as np
import pytest

from archflow_plugins.local_models.convert.gguf import Gguf
from archflow_plugins.local_models.errors import ModelCorrupt, ModelUnsupported
from model_files import plain, random_blocks, reference, string, write_gguf

VALUES = np.random.default_rng(0).normal(0, 1, (6, 32)).astype(np.float32)
METADATA = {"a.text": "t", "a.number": 7, "a.float": 0.5, "a.bool": True, "a.texts": ["x", "é"], "a.numbers": [1, 2],
            "a.floats": [0.5, 1.5]}  # fmt: skip


@pytest.mark.parametrize("version", [2, 3])
def test_metadata_and_tensors(version, tmp_path):
    data = random_blocks("Q4_0", 6)
    tensors = {"w": plain(VALUES), "n": plain(VALUES[0], "F16"), "q": ((3, 64), "Q4_0", data)}
    with Gguf(write_gguf(tmp_path / "m.gguf", METADATA, tensors, version)) as weights:
        assert weights.metadata == METADATA
        assert weights.text("a.text") == "t"
        assert weights.integer("a.number") == 7
        assert weights.number("a.float") == 0.5
        assert weights.texts("a.texts") == ["x", "é"]
        assert weights.integers("a.numbers") == [1, 2]
        assert weights.floats("a.floats") == [0.5, 1.5]
        assert weights.texts("none") == weights.integers("none") == weights.floats("none") == []
        np.testing.assert_array_equal(weights.get("w", (6, 32)).rows(1, 4), VALUES[1:4])
        np.testing.assert_allclose(weights.get("n", (32,)).rows(3, 9), VALUES[0, 3:9], rtol=1e-3)
        np.testing.assert_allclose(
            weights.get("q").rows(1, 3), reference("Q4_0", data).reshape(3, 64)[1:], rtol=1e-5
        )
        for key in ("a.text", "a.bool", "none"):
            with pytest.raises(ModelCorrupt, match=f"no whole number {key}"):
                weights.integer(key)


def test_metadata_larger_than_the_window(tmp_path):
    words = [f"token {n} " * 3 for n in range(60_000)]
    with Gguf(write_gguf(tmp_path / "m.gguf", {"t": words, "after": 1}, {"w": plain(VALUES)})) as weights:
        assert weights.texts("t") == words
        np.testing.assert_array_equal(weights.get("w").all(), VALUES)


def head(tensors: int, keys: int, rest: bytes = b"", version: int = 3) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, keys) + rest


def tensor(shape: tuple[int, ...], kind: int = 0, offset: int = 0, dimensions: int | None = None) -> bytes:
    count = len(shape) if dimensions is None else dimensions
    return string("w") + struct.pack(f"<I{len(shape)}Q", count, *shape) + struct.pack("<IQ", kind, offset)


PAD = b"\0" * 300


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "does not begin as a GGUF"),
        (b"GGML" + PAD, "does not begin as a GGUF"),
        (b"GGUF" + b"\0" * 10, "does not begin as a GGUF"),
        (head(1 << 60, 0, PAD), "says that it holds"),
        (head(0, 1 << 60, PAD), "says that it holds"),
        (head(0, 1, struct.pack("<Q", 1 << 62) + PAD), "would reach to byte"),
        (head(0, 1, string("k") + struct.pack("<I", 77) + PAD), "type 77 that GGUF does not have"),
        (head(0, 1, string("k") + struct.pack("<IIQ", 9, 8, 1 << 60) + PAD), "says that it holds"),
        (head(0, 1, string("k") + struct.pack("<IIQ", 9, 4, 1 << 60) + PAD), "would reach to byte"),
        (head(0, 1, string("k") + struct.pack("<IIQ", 9, 9, 1) + PAD), "array of type 9"),
        (head(0, 1, string("general.alignment") + struct.pack("<II", 4, 0) + PAD), "alignment is 0"),
        (head(1, 0, tensor((4,), dimensions=0) + PAD), "has 0 dimensions"),
        (head(1, 0, tensor((4,), dimensions=1 << 31) + PAD), "dimensions"),
        (head(1, 0, tensor((1 << 40, 1 << 40)) + PAD), "says that it is"),
        (head(1, 0, tensor((1000,)) + PAD), "would end after the file does"),
        (head(1, 0, tensor((4,), offset=1 << 60) + PAD), "would end after the file does"),
        (head(1, 0, tensor((33,), kind=2) + PAD), "rows of w are 33 long"),
        (head(1, 0, tensor((4,), kind=99) + PAD), "type 99 that nobody knows"),
    ],
)
def test_damage(data, words, tmp_path):
    (tmp_path / "m.gguf").write_bytes(data)
    with pytest.raises(ModelCorrupt, match=words):
        Gguf(tmp_path / "m.gguf")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (head(0, 0, PAD, version=1), "GGUF version 1"),
        (head(0, 0, PAD, version=4), "GGUF version 4"),
        (head(1, 0, tensor((256,), kind=16) + PAD), "stored as IQ2_XXS"),
    ],
)
def test_what_is_not_read(data, words, tmp_path):
    (tmp_path / "m.gguf").write_bytes(data)
    with pytest.raises(ModelUnsupported, match=words):
        Gguf(tmp_path / "m.gguf")

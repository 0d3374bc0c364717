"""Invariant: no bytes of a model file make a reader raise anything but a ModelError, or take more memory than the file.

Whole files of each format, cut short, with bytes changed, and with sizes in their headers that lie; read to the last
tensor, as a conversion does.
"""

import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archflow_plugins.local_models.convert import tokenizer
from archflow_plugins.local_models.convert.gguf import Gguf
from archflow_plugins.local_models.convert.onnx import Onnx
from archflow_plugins.local_models.convert.safetensors import Safetensors
from archflow_plugins.local_models.errors import ModelError
from tiny_models import Decoder, Encoder

READERS = {"gguf": Gguf, "safetensors": Safetensors, "onnx": Onnx}
LIES = st.sampled_from(
    [b"\xff" * 8, b"\0" * 8, b"\xff" * 7 + b"\x7f", b"\x01" + b"\0" * 6 + b"\x80", b"{}", b'"', b"\x7f"]
)
PLACES = st.floats(0, 1) | st.floats(0, 0.05)  # headers stand at the beginning, and are what can lie
CHANGES = st.lists(st.tuples(PLACES, LIES | st.binary(min_size=1, max_size=4)), max_size=5)
SLACK = 8 << 20


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A good file of each format."""
    folder = tmp_path_factory.mktemp("models")
    return {
        "gguf": Decoder("llama", hidden=256, inner=256).mixed_gguf(folder / "gguf")[0],
        "safetensors": Encoder("bert").safetensors(folder / "safetensors") / "model.safetensors",
        "onnx": Encoder("bert").onnx(folder / "onnx", "int8") / "model.onnx",
    }


def read(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    said = str(path)
    try:
        with READERS[path.suffix[1:]](path) as weights:
            for tensor in weights.tensors.values():
                for _ in tensor.blocks() if tensor.shape else ():
                    pass
            if isinstance(weights, Gguf):
                tokenizer.of_gguf(weights)
    except ModelError as error:
        said = str(error)
    assert str(path) in said


@pytest.mark.parametrize("kind", READERS)
@settings(max_examples=120, derandomize=True, deadline=None)
@given(cut=st.none() | PLACES, changes=CHANGES)
def test_damage(kind, whole, cut, changes):
    data = whole[kind].read_bytes()
    if cut is not None:
        data = data[: int(cut * len(data))]
    for place, change in changes:
        at = int(place * len(data))
        data = data[:at] + change + data[at + len(change) :]
    tracemalloc.start()
    try:
        read(whole[kind].with_name(f"changed.{kind}"), data)
        assert tracemalloc.get_traced_memory()[1] < 12 * len(data) + SLACK
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", READERS)
def test_whole_files_are_read(kind, whole):
    with READERS[kind](whole[kind]) as weights:
        assert len(weights.tensors) > 10


@pytest.mark.parametrize("kind", READERS)
@settings(max_examples=120, derandomize=True, deadline=None)
@given(data=st.binary(max_size=400))
def test_any_bytes(kind, whole, data):
    magic = {"gguf": b"GGUF\x03\0\0\0", "safetensors": len(data).to_bytes(8, "little"), "onnx": b""}[kind]
    read(whole[kind].with_name(f"changed.{kind}"), magic + data)

"""Variables that are made when they are written: quantised as CTranslate2 does it, a block at a time."""

import tracemalloc

import ctranslate2.specs
import numpy as np
import pytest

from archflow_plugins.local_models.convert.tensors import BLOCK, Array, Floats, Stacked, Tail, Tensor
from archflow_plugins.local_models.convert.write import Fill, Quantised, Variable
from archflow_plugins.local_models.errors import ModelCorrupt

RNG = np.random.default_rng(0)


def nobody(_: int) -> None:
    pass


def test_int8_is_what_ctranslate2_makes_of_it():
    values = RNG.normal(0, 1, (300, 70)).astype(np.float32)
    values[7] = 0
    theirs = ctranslate2.specs.common_spec.LinearSpec()
    theirs.weight = values.copy()
    theirs.validate()
    theirs.optimize(quantization="int8")
    ours = Quantised(Array(values), "w", nobody)
    assert ours.to_bytes() == theirs.weight.to_bytes()
    assert ours.scale.to_bytes() == theirs.weight_scale.to_bytes()
    assert (ours.num_bytes(), ours.scale.num_bytes()) == (values.size, 300 * 4)


class Endless(Tensor):
    """Rows that are made up when they are asked for."""

    def __init__(self, *shape: int) -> None:
        self.shape = shape

    def rows(self, start: int, stop: int) -> Floats:
        return np.full((stop - start, *self.shape[1:]), start + 1, np.float32)


@pytest.mark.parametrize(("kind", "size"), [(Quantised, 1), (Variable, 4)])
def test_memory_is_bounded_by_what_is_written(kind, size):
    tensor = Endless(8192, 4096)  # 134 MB as float32
    told: list[int] = []
    tracemalloc.start()
    try:
        made = kind(tensor, "w", told.append).to_bytes()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert made.nbytes == 8192 * 4096 * size
    assert peak < made.nbytes + 6 * BLOCK * 4
    assert sum(told) == 8192 * 4096


def test_blocks_cover_a_tensor_once():
    for shape in [(5,), (5, 3), (3000, 1000), (2, BLOCK * 2)]:
        tensor = Endless(*shape)
        assert sum(len(rows) for _, rows in tensor.blocks()) == shape[0]


def test_stacked_and_tails():
    parts = [RNG.normal(0, 1, (rows, 4)).astype(np.float32) for rows in (3, 5, 2)]
    whole = np.concatenate(parts)
    stacked = Stacked([Array(one) for one in parts])
    assert stacked.shape == (10, 4)
    for start in range(10):
        for stop in range(start + 1, 11):
            np.testing.assert_array_equal(stacked.rows(start, stop), whole[start:stop])
    np.testing.assert_array_equal(Tail(stacked, 2).all(), whole[2:])
    with pytest.raises(ModelCorrupt, match="differ in width"):
        Stacked([Array(parts[0]), Array(whole[:, :3])])


def test_rows_are_the_callers_own():
    values = np.ones((2, 2), np.float32)
    Array(values).all()[:] = 7
    assert (values == 1).all()


def test_float32_is_copied_as_it_is():
    values = RNG.normal(0, 1, (30, 7)).astype(np.float32)
    spec = ctranslate2.specs.common_spec.LinearSpec()
    fill = Fill("float32", nobody)
    fill.matrix(spec, Array(values), Array(values[:, 0].copy()))
    assert spec.weight.to_bytes() == values.tobytes()
    assert spec.bias.to_bytes() == values[:, 0].tobytes()
    assert fill.elements == 30 * 7 + 30

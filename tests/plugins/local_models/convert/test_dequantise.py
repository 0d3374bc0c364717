"""Every block format, value by value, against a computation that was written from ggml's description alone."""

import numpy as np
import pytest

from archflow_plugins.local_models.convert.dequantise import FORMATS, UNREAD
from model_files import BLOCKS, TYPES, plain, random_blocks, reference


@pytest.mark.parametrize("kind", BLOCKS)
def test_blocks(kind):
    form = FORMATS[TYPES[kind]]
    assert (form.name, form.values, form.size) == (kind, *BLOCKS[kind])
    data = random_blocks(kind, 50)
    found = form.decode(np.frombuffer(data, np.uint8).reshape(-1, form.size))
    expected = reference(kind, data)
    assert found.dtype == np.float32
    assert np.abs(expected).max() > 0
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("kind", "close"), [("F32", 0), ("F64", 1e-7), ("F16", 1e-3), ("BF16", 1e-2)])
def test_values_without_blocks(kind, close):
    values = np.random.default_rng(0).normal(0, 1, (3, 64)).astype(np.float32)
    form = FORMATS[TYPES[kind]]
    stored = np.frombuffer(plain(values, kind)[2], np.uint8).reshape(-1, form.size)
    found = form.decode(stored).reshape(values.shape)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, values, rtol=close, atol=0)


def test_a_type_is_read_or_refused_by_name():
    assert not FORMATS.keys() & UNREAD.keys()

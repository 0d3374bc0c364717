"""Corrections to some matrices of a model, each a product of two thin ones, added while the model is converted.

An adapter is an npz: for a matrix W of n rows and m columns `<its name>.up` [n, r], `<its name>.down` [r, m] and, where
these are in 8 bits, `<its name>.scale` [r]; and W + (up * scale) @ down takes its place. So a tuned model ships as a
megabyte beside the one that it was tuned from.

Rule: a correction whose matrix is not there, or has another shape, is an error; nothing is passed over.
Rule: the sums are made in a fixed order, element by element, so that every machine makes the same bytes of them.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from archflow_plugins.local_models.convert.tensors import Floats, Tensor, Weights
from archflow_plugins.local_models.errors import ModelCorrupt

UP, DOWN, SCALE = ".up", ".down", ".scale"


class Corrected(Tensor):
    """A matrix with its correction added."""

    def __init__(self, plain: Tensor, up: Floats, down: Floats) -> None:
        self._plain, self._up, self._down = plain, up, down
        self.shape = plain.shape

    def rows(self, start: int, stop: int) -> Floats:
        found = self._plain.rows(start, stop)
        for up, down in zip(self._up[start:stop].T, self._down, strict=True):
            found += up[:, None] * down
        return found


class Adapted(Weights):
    """The tensors of a model with an adapter's corrections; closing it closes the model's files.

    Args:
        weights: of the model.
        adapter: the npz.
        where: where it came from, for errors.

    Raises:
        ModelCorrupt: the adapter cannot be read, or does not fit the model.
    """

    def __init__(self, weights: Weights, adapter: bytes, where: str) -> None:
        super().__init__(weights.where)
        self._plain = weights
        pairs = unpack(adapter, where)
        names = {_stem(name): name for name in weights.tensors}
        self._tensors = dict(weights.tensors)
        for stem, (up, down) in pairs.items():
            name = names.get(stem)
            wanted = None if name is None else weights.tensors[name].shape
            if name is None or wanted != (up.shape[0], down.shape[1]):
                raise ModelCorrupt(
                    f"{where} corrects {stem}, which is {wanted or 'not there'} in {weights.where}: it belongs to "
                    "another model"
                )
            self._tensors[name] = Corrected(weights.tensors[name], up, down)

    @property
    def tensors(self) -> Mapping[str, Tensor]:
        return self._tensors

    def close(self) -> None:
        self._plain.close()


def _stem(name: str) -> str:
    """A tensor's name from its layer on, without what exporters put before it."""
    _, layer, rest = name.partition("encoder.layer.")
    return layer + rest if layer else name


def unpack(adapter: bytes, where: str) -> dict[str, tuple[Floats, Floats]]:
    """The pairs up and down of an adapter, by the names of their matrices.

    Raises:
        ModelCorrupt: it cannot be read; `where` it came from is told.
    """
    try:
        with np.load(io.BytesIO(adapter), allow_pickle=False) as arrays:
            found = {name: arrays[name].astype(np.float32) for name in arrays.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ModelCorrupt(f"{where} cannot be read ({error}): install archflow again") from error
    pairs: dict[str, tuple[Floats, Floats]] = {}
    for stem in {name.removesuffix(UP).removesuffix(DOWN).removesuffix(SCALE) for name in found}:
        up, down, scale = (found.get(stem + end) for end in (UP, DOWN, SCALE))
        if up is None or down is None or up.ndim != 2 or down.ndim != 2 or up.shape[1] != down.shape[0]:
            raise ModelCorrupt(f"{where}: the correction of {stem} is no pair of matrices that fit")
        if scale is not None and scale.shape != up.shape[1:]:
            raise ModelCorrupt(f"{where}: the scale of the correction of {stem} does not fit its matrices")
        pairs[stem] = (up if scale is None else up * scale, down)
    return pairs


def pack(pairs: Mapping[str, tuple[Floats, Floats]]) -> bytes:
    """An adapter of pairs up and down by the names of their matrices, in 8 bits; each pair's part has its own scale."""
    arrays: dict[str, Any] = {}
    for stem, (up, down) in pairs.items():
        high, wide = np.abs(up).max(0), np.abs(down).max(1)
        high, wide = np.where(high, high, 1), np.where(wide, wide, 1)
        arrays[stem + UP] = np.round(up / high * 127).astype(np.int8)
        arrays[stem + DOWN] = np.round(down / wide[:, None] * 127).astype(np.int8)
        arrays[stem + SCALE] = (high * wide / 127**2).astype(np.float32)
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()

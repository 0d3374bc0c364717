"""Writes a CTranslate2 folder from tensors that are read, quantised and written one after the other.

CTranslate2's own converter keeps the whole model in memory, twice while it quantises, and compares every pair of
tensors to find those that are the same. Here each variable of the specification is a promise: its bytes are made when
the specification writes itself. The quantisation is the same: rows of a matrix as int8, with 127 / max|row| as scale.

Rule: at most the bytes of one variable are in memory, and one block of rows as float32.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from archflow_plugins.local_models.catalogue import Quantization
from archflow_plugins.local_models.convert.tensors import Tensor
from archflow_plugins.local_models.errors import ModelCorrupt

Tell = Callable[[int], None]
SMALLEST = np.float32(127) / np.finfo(np.float32).max


class Variable:
    """A variable of a specification, as float32; it has what CTranslate2's `_serialize` asks of one."""

    dtype = "float32"

    def __init__(self, tensor: Tensor, name: str, tell: Tell) -> None:
        self._tensor, self._name, self._tell = tensor, name, tell
        self.shape = tensor.shape

    def is_scalar(self) -> bool:
        return False

    def num_bytes(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64)) * 4

    def to_bytes(self) -> memoryview:
        whole = np.empty(self.shape, np.float32)
        for start, rows in self._tensor.blocks():
            self._check(rows)
            whole[start : start + len(rows)] = rows
            self._tell(rows.size)
        return whole.reshape(-1).view(np.uint8).data

    def _check(self, rows: np.ndarray[Any, np.dtype[np.float32]]) -> None:
        if not np.isfinite(rows).all():
            raise ModelCorrupt(
                f"the tensor {self._name} holds values that are no numbers: fetch the model again"
            )


class Quantised(Variable):
    """A matrix as int8; `scale` is the variable that belongs to it, and comes after it in the file."""

    dtype = "int8"

    def __init__(self, tensor: Tensor, name: str, tell: Tell) -> None:
        super().__init__(tensor, name, tell)
        self.scale = _Scale(tensor.shape[0])

    def num_bytes(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    def to_bytes(self) -> memoryview:
        whole = np.empty(self.shape, np.int8)
        for start, rows in self._tensor.blocks():
            self._check(rows)
            largest = np.abs(rows).max(axis=1)
            largest[largest == 0] = 127
            scale = np.float32(127) / np.maximum(largest, SMALLEST)
            np.multiply(rows, scale[:, None], out=rows)
            whole[start : start + len(rows)] = np.rint(rows, out=rows)
            self.scale.values[start : start + len(rows)] = scale
            self._tell(rows.size)
        return whole.reshape(-1).view(np.uint8).data


class _Scale:
    dtype = "float32"

    def __init__(self, rows: int) -> None:
        self.values = np.empty(rows, np.float32)
        self.shape = (rows,)

    def is_scalar(self) -> bool:
        return False

    def num_bytes(self) -> int:
        return self.values.nbytes

    def to_bytes(self) -> bytes:
        return self.values.tobytes()


class Fill:
    """Puts tensors into a specification of CTranslate2.

    Attributes:
        elements: how many values were placed, for progress.
    """

    def __init__(self, quantization: Quantization, tell: Tell) -> None:
        self._quantization = quantization
        self._tell = tell
        self.elements = 0

    def matrix(self, spec: Any, tensor: Tensor, bias: Tensor | None = None) -> None:
        """The weight of a linear layer or an embedding, which may be quantised, and a bias, which never is."""
        if self._quantization == "int8":
            quantised = Quantised(tensor, _name(spec), self._tell)
            spec.weight, spec.weight_scale = quantised, quantised.scale
        else:
            spec.weight = Variable(tensor, _name(spec), self._tell)
        self._count(tensor)
        if bias is not None:
            spec.bias = self.plain(bias)

    def norm(self, spec: Any, gamma: Tensor, beta: Tensor | None = None) -> None:
        """A layer norm."""
        spec.gamma = self.plain(gamma)
        if beta is not None:
            spec.beta = self.plain(beta)

    def plain(self, tensor: Tensor) -> Variable:
        """A tensor that stays float32."""
        self._count(tensor)
        return Variable(tensor, "of a norm, a bias or positions", self._tell)

    def _count(self, tensor: Tensor) -> None:
        self.elements += int(np.prod(tensor.shape, dtype=np.int64))


def _name(spec: Any) -> str:
    return type(spec).__name__.removesuffix("Spec").lower() + ".weight"


def save(spec: Any, vocabulary: list[str], folder: Path, aliases: dict[str, tuple[Any, str]]) -> None:
    """Write model.bin, config.json and vocabulary.json.

    Args:
        spec: a specification whose every weight is set, but for the aliases.
        vocabulary: the tokens by number, each different from the others.
        folder: where to.
        aliases: attribute -> its owner and the variable that it is the same as.
    """
    spec.register_vocabulary(vocabulary)
    for attribute, (owner, _) in aliases.items():
        setattr(owner, attribute, np.zeros(1, np.float32))
    spec.validate()
    for attribute, (owner, same) in aliases.items():
        setattr(owner, attribute, same)
    spec.save(str(folder))

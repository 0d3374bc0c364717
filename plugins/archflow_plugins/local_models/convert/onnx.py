"""Reads the weights of an .onnx file: initializers by name, and matrices that lost theirs by what they are added to.

Exporters fold `x @ weight.T + bias` into MatMul with an anonymous, transposed matrix, and keep the bias's name. A graph
is therefore read as far as it says: this anonymous matrix, perhaps stored as integers times a scale, goes into the sum
with `encoder.layer.0.output.dense.bias`, so it is the transpose of `encoder.layer.0.output.dense.weight`.

Rule: it runs no graph: what is computed from anything but stored values stays unknown.
Rule: every length is compared with what is left of the message around it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from archflow_plugins.local_models.convert.tensors import File, Floats, Tensor, Weights, elements
from archflow_plugins.local_models.errors import ModelUnsupported

TYPES = {1: "<f4", 2: "u1", 3: "i1", 4: "<u2", 5: "<i2", 6: "<i4", 7: "<i8", 9: "?", 10: "<f2", 11: "<f8", 12: "<u4",
         13: "<u8", 16: "<u2"}  # fmt: skip
"""TensorProto.DataType -> numpy's name; 16 is bfloat16, whose bits are read as integers."""
BFLOAT16 = 16
GRAPH, NODE, INITIALIZER = 7, 1, 5
EXTERNAL = 14
ATTRIBUTE = 5
MAX_FILE = 1 << 31
"""Protocol buffers end at 2 GB; larger models keep their values in other files, which are not read here."""


class _Node(Struct, frozen=True):
    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    numbers: dict[str, int]


class _Scaled(Tensor):
    """A stored matrix, times a scale that spreads over it, perhaps transposed."""

    def __init__(self, values: NDArray[np.generic], scale: Floats | None, zero: Floats | None) -> None:
        self._values, self._scale, self._zero = values, scale, zero
        self.shape = values.shape

    def rows(self, start: int, stop: int) -> Floats:
        found = self._values[start:stop].astype(np.float32)
        if self._zero is not None:
            found -= _part(self._zero, start, stop)
        if self._scale is not None:
            found *= _part(self._scale, start, stop)
        return np.ascontiguousarray(found)

    def whole(self) -> Floats:
        return self.rows(0, self.shape[0]) if self.shape else self._values.astype(np.float32)

    def times(self, scale: Floats, zero: Floats | None = None) -> _Scaled:
        if self._scale is not None:
            scale = self._scale * scale
        np.broadcast_shapes(scale.shape, self.shape)
        return _Scaled(self._values, scale, zero if zero is not None else self._zero)

    def transposed(self) -> _Scaled:
        def turn(one: Floats | None) -> Floats | None:
            return None if one is None else np.atleast_2d(one).T

        return _Scaled(self._values.T, turn(self._scale), turn(self._zero))


def _part(spread: Floats, start: int, stop: int) -> Floats:
    """The rows of something that may be one row for all, one column, or one number."""
    return spread[start:stop] if spread.ndim == 2 and spread.shape[0] > 1 else spread


class Onnx(Weights):
    """The weights of an .onnx file, by the names that the model had before it was exported.

    Raises:
        ModelCorrupt: the file is cut short, or no message of protocol buffers.
        ModelUnsupported: its values lie in other files.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._file = File(path)
        self._data = b""
        self._tensors: dict[str, Tensor] = {}
        self._nodes: list[_Node] = []
        try:
            self._read()
            self._follow()
        except BaseException:
            self.close()
            raise

    @property
    def tensors(self) -> Mapping[str, Tensor]:
        return self._tensors

    def close(self) -> None:
        self._file.close()
        self._data = b""

    def _read(self) -> None:
        if self._file.size > MAX_FILE:
            raise ModelUnsupported(f"{self.where} is over 2 GB, more than an .onnx file can hold")
        self._data = self._file.read(0, self._file.size, "the model")
        for field, begin, end in self._fields(0, self._file.size):
            if field == GRAPH and end is not None:
                for inner, first, last in self._fields(begin, end):
                    if inner == INITIALIZER and last is not None:
                        self._keep(first, last)
                    elif inner == NODE and last is not None:
                        self._nodes.append(self._node(first, last))
        if not self._tensors:
            raise self._file.corrupt("it holds no weights")

    def _varint(self, at: int, end: int) -> tuple[int, int]:
        result = shift = 0
        while at < end:
            byte = self._data[at]
            at += 1
            result |= (byte & 127) << shift
            if byte < 128:
                return result, at
            shift += 7
            if shift > 63:
                break
        raise self._file.corrupt(f"a number at byte {at} does not end")

    def _fields(self, at: int, end: int) -> Iterator[tuple[int, int, int | None]]:
        """The fields of a message: number, begin and end; for a number its value, and None."""
        while at < end:
            key, at = self._varint(at, end)
            field, wire = key >> 3, key & 7
            if wire == 0:
                value, at = self._varint(at, end)
                yield field, value, None
                continue
            if wire == 2:
                length, at = self._varint(at, end)
            elif wire in {1, 5}:
                length = 8 if wire == 1 else 4
            else:
                raise self._file.corrupt(f"there is no field type {wire}, at byte {at}")
            if at + length > end:
                raise self._file.corrupt(f"a field at byte {at} would end after what holds it")
            yield field, at, at + length
            at += length

    def _text(self, begin: int, end: int) -> str:
        return self._data[begin:end].decode("utf-8", "replace")

    def _keep(self, begin: int, end: int) -> None:
        shape: list[int] = []
        kind, name, place = 0, "", (0, 0)
        for field, first, last in self._fields(begin, end):
            if field == 1 and last is None:
                shape.append(first)
            elif field == 1 and last is not None:
                at = first
                while at < last:
                    length, at = self._varint(at, last)
                    shape.append(length)
            elif field == 2:
                kind = first
            elif field == 8 and last is not None:
                name = self._text(first, last)
            elif field in {4, 9} and last is not None:  # raw, or packed floats: the same bytes
                place = (first, last) if place == (0, 0) else (place[0], last)
            elif field == EXTERNAL and last is None and first == 1:
                raise ModelUnsupported(
                    f"{self.where} keeps its values in other files: bring the model as .safetensors or .gguf"
                )
        if kind not in TYPES:
            return
        form = np.dtype(TYPES[kind])
        count = elements(self._file, name, shape)
        if not count:
            return
        if place[1] - place[0] != count * form.itemsize:
            if place == (0, 0):
                return  # small integers may be listed in other fields; no weight is
            raise self._file.corrupt(f"{name} is {shape}, but takes {place[1] - place[0]} bytes")
        values = np.frombuffer(self._data, form, count, place[0]).reshape(shape)
        if kind == BFLOAT16:
            values = (values.astype(np.uint32) << 16).view(np.float32)
        self._tensors[name] = _Scaled(values, None, None)

    def _node(self, begin: int, end: int) -> _Node:
        operator, inputs, outputs = "", [], []
        numbers: dict[str, int] = {}
        for field, first, last in self._fields(begin, end):
            if last is None:
                continue
            if field == 1:
                inputs.append(self._text(first, last))
            elif field == 2:
                outputs.append(self._text(first, last))
            elif field == 4:
                operator = self._text(first, last)
            elif field == ATTRIBUTE:
                numbers |= self._number(first, last)
        return _Node(operator, tuple(inputs), tuple(outputs), numbers)

    def _number(self, begin: int, end: int) -> dict[str, int]:
        """An attribute that is a whole number, by name; empty for any other."""
        name, value = "", None
        for field, first, last in self._fields(begin, end):
            if field == 1 and last is not None:
                name = self._text(first, last)
            elif field == 3 and last is None:
                value = first
        return {} if value is None else {name: value}

    def _follow(self) -> None:
        """Give names to what the graph makes of stored values."""
        products: dict[str, _Scaled] = {}
        for node in self._nodes:
            known = [self._tensors.get(name) for name in node.inputs]
            stored = [one for one in known if isinstance(one, _Scaled)]
            whole = len(stored) == len(node.inputs) and bool(stored) and bool(node.outputs)
            if whole and node.operator in {"Cast", "Identity"}:
                self._tensors[node.outputs[0]] = stored[0]
            elif whole and node.operator == "Transpose" and len(stored[0].shape) == 2:
                self._tensors[node.outputs[0]] = stored[0].transposed()
            elif whole and node.operator in {"Mul", "DequantizeLinear"}:
                self._tensors[node.outputs[0]] = self._product(node, stored)
            elif node.operator == "MatMul" and len(known) > 1 and isinstance(known[1], _Scaled):
                products[node.outputs[0]] = known[1]
            elif node.operator == "Add" and len(node.inputs) == 2:
                for product, bias in (node.inputs, node.inputs[::-1]):
                    if product in products and bias.endswith(".bias") and bias in self._tensors:
                        weight = bias.removesuffix("bias") + "weight"
                        self._tensors.setdefault(weight, products[product].transposed())

    def _product(self, node: _Node, stored: list[_Scaled]) -> _Scaled:
        zero = None
        if node.operator == "Mul":
            matrix, factor = sorted(stored[:2], key=lambda one: -int(np.prod(one.shape)))
        else:
            matrix, factor = stored[0], stored[1]
            zero = stored[2].whole() if len(stored) > 2 else None
            if node.numbers.get("block_size"):
                raise ModelUnsupported(
                    f"{self.where} is quantised in blocks, which is read only from GGUF: bring the model as .gguf or "
                    ".safetensors"
                )
        scale = factor.whole()
        if node.operator == "DequantizeLinear" and scale.ndim == 1 and node.numbers.get("axis", 1) == 0:
            scale, zero = scale[:, None], None if zero is None else zero[:, None]  # one for each row
        try:
            return matrix.times(scale, zero)
        except ValueError as error:
            raise self._file.corrupt(f"{node.inputs[0]} and its scale have shapes that do not fit") from error

"""Tensors that are read when they are needed: a shape, and rows as float32.

Rule: `rows` never gives more than it was asked for, so that a caller bounds the memory.
Rule: an array that `rows` returns is the caller's own: changing it changes nothing else.
"""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from archflow_plugins.local_models.errors import ModelCorrupt, ModelUnsupported

Floats = NDArray[np.float32]
BLOCK = 1 << 20
"""Elements of a block of rows: 4 MB of float32."""
MAX_ELEMENTS = 1 << 34
MAX_DIMENSIONS = 4
LAYER = re.compile(r"(^|\.)(layers?|blk)\.\d+\.")
HARMLESS = re.compile(r"rotary_emb\.inv_freq$|position_ids$")
"""What older exports carry along although it is computed anyway."""


class Tensor(ABC):
    """A tensor of one or two dimensions, of which rows can be read.

    Attributes:
        shape: its lengths, outermost first.
    """

    shape: tuple[int, ...]

    @abstractmethod
    def rows(self, start: int, stop: int) -> Floats:
        """Rows `start` to `stop` of the first dimension."""

    def all(self) -> Floats:
        """The whole tensor; for the small ones."""
        return self.rows(0, self.shape[0])

    def blocks(self) -> Iterator[tuple[int, Floats]]:
        """The tensor in blocks of rows, each with the number of its first row."""
        width = max(1, BLOCK // max(1, int(np.prod(self.shape[1:], dtype=np.int64))))
        for start in range(0, self.shape[0], width):
            yield start, self.rows(start, min(start + width, self.shape[0]))


class Array(Tensor):
    """An array that is in memory already."""

    def __init__(self, values: NDArray[np.generic]) -> None:
        self._values = values
        self.shape = values.shape

    def rows(self, start: int, stop: int) -> Floats:
        return self._values[start:stop].astype(np.float32)


class Stacked(Tensor):
    """Tensors one below the other: queries, keys and values as one projection."""

    def __init__(self, parts: Sequence[Tensor]) -> None:
        widths = {part.shape[1:] for part in parts}
        if len(widths) != 1:
            raise ModelCorrupt(f"tensors of one projection differ in width: {sorted(widths)}")
        self._parts = parts
        self.shape = (sum(part.shape[0] for part in parts), *parts[0].shape[1:])

    def rows(self, start: int, stop: int) -> Floats:
        found, offset = [], 0
        for part in self._parts:
            first, last = max(start - offset, 0), min(stop - offset, part.shape[0])
            if first < last:
                found.append(part.rows(first, last))
            offset += part.shape[0]
        return np.concatenate(found)


class Tail(Tensor):
    """A tensor without its first rows."""

    def __init__(self, whole: Tensor, skip: int) -> None:
        self._whole = whole
        self._skip = skip
        self.shape = (whole.shape[0] - skip, *whole.shape[1:])

    def rows(self, start: int, stop: int) -> Floats:
        return self._whole.rows(start + self._skip, stop + self._skip)


class File:
    """A file of weights that is read by offset and length, and believed in nothing.

    Not mapped into memory: a file that is cut short while it is mapped kills the process, a short read does not.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle = path.open("rb")
        self.size = os.fstat(self._handle.fileno()).st_size

    def read(self, offset: int, length: int, what: str) -> bytes:
        """Exactly so many bytes.

        Raises:
            ModelCorrupt: the file ends before them.
        """
        if offset < 0 or length < 0 or offset + length > self.size:
            raise self.corrupt(f"{what} would reach to byte {offset + length}, but the file has {self.size}")
        data = os.pread(self._handle.fileno(), length, offset)
        while len(data) < length:
            more = os.pread(self._handle.fileno(), length - len(data), offset + len(data))
            if not more:
                raise self.corrupt(f"it was cut short while {what} was read")
            data += more
        return data

    def corrupt(self, what: str) -> ModelCorrupt:
        """The error for something that a whole file cannot say."""
        return ModelCorrupt(f"{self.path} is damaged: {what}; fetch it again")

    def close(self) -> None:
        self._handle.close()


class Weights(ABC):
    """The tensors of a model by name. A context manager: leaving it closes the files.

    Resources: holds its files open, and at most one tensor at a time in memory.
    """

    def __init__(self, where: Path) -> None:
        self.where = where
        self._used: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    @abstractmethod
    def tensors(self) -> Mapping[str, Tensor]:
        """Every tensor, by name."""

    @abstractmethod
    def close(self) -> None:
        """Close the files."""

    def get(self, name: str, shape: tuple[int | None, ...] | None = None) -> Tensor:
        """A tensor that must be there, in the shape that it must have; None stands for any length.

        Raises:
            ModelUnsupported: there is no such tensor.
            ModelCorrupt: its shape is another one.
        """
        found = self.tensors.get(name)
        self._used.add(name)
        if found is None:
            raise ModelUnsupported(
                f"{self.where} lacks the tensor {name}: it is not a whole model of this architecture"
            )
        if shape is not None and (
            len(shape) != len(found.shape)
            or any(want not in {None, has} for want, has in zip(shape, found.shape, strict=True))
        ):
            wanted = " x ".join("any" if one is None else str(one) for one in shape)
            has = " x ".join(map(str, found.shape))
            raise ModelCorrupt(
                f"{self.where}: the tensor {name} is {has}, but the configuration asks for {wanted}"
            )
        return found

    def used_up(self) -> None:
        """Make sure that every layer's tensors have found their place.

        Raises:
            ModelUnsupported: one has not: the model does something that its architecture does not.
        """
        for name in self.tensors:
            if LAYER.search(name) and name not in self._used and not HARMLESS.search(name):
                raise ModelUnsupported(
                    f"{self.where} has a tensor {name}, which its architecture has no place for: without it the model "
                    "would answer something else"
                )


def elements(file: File, name: str, shape: Sequence[int]) -> int:
    """How many elements a shape stands for.

    Raises:
        ModelCorrupt: no model has a tensor of that shape.
    """
    count = 1
    for length in shape:
        count *= length
    if len(shape) > MAX_DIMENSIONS or any(length < 0 for length in shape) or count > MAX_ELEMENTS:
        raise file.corrupt(f"the tensor {name} says that it is {list(shape)[:8]}")
    return count

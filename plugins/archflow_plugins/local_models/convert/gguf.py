"""Reads .gguf: metadata, then tensors in the block formats of `dequantise`.

Rule: a count is believed only if the rest of the file could hold that many; a nested array is not believed at all.
Rule: metadata is parsed once, from a window that grows as it is needed; tensors are read by rows.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from archflow_plugins.local_models.convert.dequantise import FORMATS, UNREAD, Format
from archflow_plugins.local_models.convert.tensors import File, Floats, Tensor, Weights, elements
from archflow_plugins.local_models.errors import ModelUnsupported

VERSIONS = (2, 3)
WINDOW = 1 << 20
STRING, ARRAY = 8, 9
NUMBERS = {
    0: "<u1", 1: "<i1", 2: "<u2", 3: "<i2", 4: "<u4", 5: "<i4", 6: "<f4", 7: "?", 10: "<u8", 11: "<i8", 12: "<f8",
}  # fmt: skip
"""GGUF's number of a value type -> numpy's name."""

Value = int | float | bool | str | list[int] | list[float] | list[bool] | list[str]


class _Cursor:
    """Reads a file from its beginning to the end of its metadata."""

    def __init__(self, file: File) -> None:
        self.file = file
        self.at = 0
        self._window = b""

    def take(self, length: int, what: str) -> int:
        """Make sure that so many bytes are in the window; returns where they begin, and steps over them."""
        end = self.at + length
        if end > self.file.size:
            raise self.file.corrupt(f"{what} would reach to byte {end}, but the file has {self.file.size}")
        if end > len(self._window):
            more = min(
                max(WINDOW, 2 * len(self._window), end) - len(self._window),
                self.file.size - len(self._window),
            )
            self._window += self.file.read(len(self._window), more, what)
        begin, self.at = self.at, end
        return begin

    def number(self, form: struct.Struct, what: str) -> int:
        begin = self.take(form.size, what)
        return int(form.unpack_from(self._window, begin)[0])

    def text(self, what: str) -> str:
        length = self.number(_U64, what)
        begin = self.take(length, what)
        return self._window[begin : begin + length].decode("utf-8", "replace")

    def numbers(self, kind: str, count: int, what: str) -> list[int] | list[float] | list[bool]:
        form = np.dtype(kind)
        begin = self.take(count * form.itemsize, what)
        values: list[int] = np.frombuffer(self._window, form, count, begin).tolist()
        return values

    def value(self, kind: int, what: str) -> Value:
        if kind == STRING:
            return self.text(what)
        if kind == ARRAY:
            return self._array(what)
        if kind not in NUMBERS:
            raise self.file.corrupt(f"{what} has a type {kind} that GGUF does not have")
        return self.numbers(NUMBERS[kind], 1, what)[0]

    def _array(self, what: str) -> Value:
        kind, count = self.number(_U32, what), self.number(_U64, what)
        if kind == STRING:
            if count * 8 > self.file.size - self.at:
                raise self.file.corrupt(f"{what} says that it holds {count} strings")
            return [self.text(what) for _ in range(count)]
        if kind not in NUMBERS:
            raise self.file.corrupt(f"{what} is an array of type {kind}, which no model needs")
        return self.numbers(NUMBERS[kind], count, what)


_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")


class _Blocks(Tensor):
    def __init__(self, file: File, name: str, shape: tuple[int, ...], form: Format, offset: int) -> None:
        self._file, self._name, self._form, self._offset = file, name, form, offset
        self.shape = shape
        # one dimension is one row of blocks: its rows are the values, so it is read whole
        self._width = int(np.prod(shape[1:], dtype=np.int64)) if len(shape) > 1 else shape[0]

    def rows(self, start: int, stop: int) -> Floats:
        if len(self.shape) == 1:
            return self._lines(0, 1)[0, start:stop].copy()
        return self._lines(start, stop).reshape(stop - start, *self.shape[1:])

    def _lines(self, start: int, stop: int) -> Floats:
        size = self._width // self._form.values * self._form.size
        data = self._file.read(self._offset + start * size, (stop - start) * size, self._name)
        blocks = np.frombuffer(data, np.uint8).reshape(-1, self._form.size)
        return self._form.decode(blocks).reshape(stop - start, self._width)


class Gguf(Weights):
    """The metadata and tensors of a .gguf file.

    Attributes:
        metadata: values by key, as the file names them: `llama.block_count`.

    Raises:
        ModelCorrupt: the file is cut short, or lies about what it holds.
        ModelUnsupported: a version or a block format that is not read here.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._file = File(path)
        self._tensors: dict[str, Tensor] = {}
        self.metadata: dict[str, Value] = {}
        try:
            self._read()
        except BaseException:
            self.close()
            raise

    @property
    def tensors(self) -> Mapping[str, Tensor]:
        return self._tensors

    def close(self) -> None:
        self._file.close()

    def _read(self) -> None:
        cursor = _Cursor(self._file)
        if self._file.size < 24 or self._file.read(0, 4, "the magic") != b"GGUF":
            raise self._file.corrupt("it does not begin as a GGUF file does")
        cursor.take(4, "the magic")
        version = cursor.number(_U32, "the version")
        if version not in VERSIONS:
            raise ModelUnsupported(
                f"{self.where} is GGUF version {version}, and versions {VERSIONS[0]} and {VERSIONS[1]} are read here: "
                "convert it with a newer llama.cpp"
            )
        tensors, keys = cursor.number(_U64, "the tensor count"), cursor.number(_U64, "the key count")
        if tensors * 24 + keys * 12 > self._file.size:
            raise self._file.corrupt(f"it says that it holds {tensors} tensors and {keys} keys")
        for _ in range(keys):
            key = cursor.text("the name of a key")
            self.metadata[key] = cursor.value(cursor.number(_U32, key), key)
        described = [self._describe(cursor) for _ in range(tensors)]
        alignment = self.metadata.get("general.alignment", 32)
        if not isinstance(alignment, int) or not 1 <= alignment <= WINDOW:
            raise self._file.corrupt(f"its alignment is {str(alignment)[:20]}")
        base = -(-cursor.at // alignment) * alignment
        for name, shape, kind, offset in described:
            self._place(name, shape, kind, base + offset)

    def _describe(self, cursor: _Cursor) -> tuple[str, tuple[int, ...], int, int]:
        name = cursor.text("the name of a tensor")
        dimensions = cursor.number(_U32, name)
        if not 1 <= dimensions <= 4:
            raise self._file.corrupt(f"the tensor {name[:80]} has {dimensions} dimensions")
        lengths = cursor.numbers("<u8", dimensions, name)
        kind, offset = cursor.number(_U32, name), cursor.number(_U64, name)
        return name, tuple(int(one) for one in reversed(lengths)), kind, offset

    def _place(self, name: str, shape: tuple[int, ...], kind: int, offset: int) -> None:
        form = FORMATS.get(kind)
        if form is None:
            known = UNREAD.get(kind)
            if known is None:
                raise self._file.corrupt(f"the tensor {name} has a type {kind} that nobody knows")
            raise ModelUnsupported(
                f"{self.where}: {name} is stored as {known}, and {', '.join(one.name for one in FORMATS.values())} are "
                "read here: bring the model in one of those"
            )
        count = elements(self._file, name, shape)
        if shape[-1] % form.values:
            raise self._file.corrupt(f"rows of {name} are {shape[-1]} long, which {form.name} cannot store")
        if offset + count // form.values * form.size > self._file.size:
            raise self._file.corrupt(f"the tensor {name} would end after the file does")
        self._tensors[name] = _Blocks(self._file, name, shape, form, offset)

    def integer(self, key: str, default: int | None = None) -> int:
        """A whole number of the metadata.

        Raises:
            ModelCorrupt: it is not there, or something else.
        """
        found = self.metadata.get(key, default)
        if not isinstance(found, int) or isinstance(found, bool) or found < 0:
            raise self._file.corrupt(f"its metadata has no whole number {key}")
        return found

    def number(self, key: str, default: float | None = None) -> float:
        """A number of the metadata; raises ModelCorrupt as `integer` does."""
        found = self.metadata.get(key, default)
        if not isinstance(found, int | float):
            raise self._file.corrupt(f"its metadata has no number {key}")
        return float(found)

    def text(self, key: str, default: str = "") -> str:
        """A text of the metadata."""
        found = self.metadata.get(key, default)
        return found if isinstance(found, str) else default

    def texts(self, key: str) -> list[str]:
        """A list of texts; empty if there is none."""
        found = self.metadata.get(key)
        return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []

    def integers(self, key: str) -> list[int]:
        """A list of whole numbers; empty if there is none."""
        found = self.metadata.get(key)
        return [int(one) for one in found if not isinstance(one, str)] if isinstance(found, list) else []

    def floats(self, key: str) -> list[float]:
        """A list of numbers; empty if there is none."""
        found = self.metadata.get(key)
        return [float(one) for one in found if not isinstance(one, str)] if isinstance(found, list) else []

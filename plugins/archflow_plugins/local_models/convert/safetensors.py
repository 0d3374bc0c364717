"""Reads .safetensors: a length, a JSON header of names, types, shapes and offsets, then the values.

Several files may make one model; model.safetensors.index.json then says which tensor lies in which.

Rule: every offset is compared with the shape and with the file's size before a byte is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np
from msgspec import Struct

from archflow_plugins.local_models.convert.tensors import File, Floats, Tensor, Weights, elements
from archflow_plugins.local_models.errors import ModelCorrupt, ModelUnsupported

MAX_HEADER = 100_000_000
FLOATS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
OTHERS = {"BOOL": 1, "U8": 1, "I8": 1, "F8_E5M2": 1, "F8_E4M3": 1, "I16": 2, "U16": 2, "I32": 4, "U32": 4, "I64": 8,
          "U64": 8}  # fmt: skip


class _Described(Struct, frozen=True):
    dtype: str
    shape: tuple[int, ...]
    data_offsets: tuple[int, int]


class _Index(Struct, frozen=True):
    """model.safetensors.index.json, as far as it matters here."""

    weight_map: dict[str, str]


class _Stored(Tensor):
    def __init__(self, file: File, name: str, kind: str, shape: tuple[int, ...], offset: int) -> None:
        self._file, self._name, self._kind, self._offset = file, name, kind, offset
        self.shape = shape
        self._width = int(np.prod(shape[1:], dtype=np.int64))

    def rows(self, start: int, stop: int) -> Floats:
        if self._kind not in FLOATS:
            raise ModelUnsupported(
                f"{self._file.path}: {self._name} is stored as {self._kind}, and only {', '.join(FLOATS)} can be "
                "converted: bring the model in one of those"
            )
        kind = np.dtype(FLOATS[self._kind])
        row = self._width * kind.itemsize
        data = self._file.read(self._offset + start * row, (stop - start) * row, self._name)
        values = np.frombuffer(data, kind)
        if self._kind == "BF16":
            values = (values.astype(np.uint32) << 16).view(np.float32)
        return values.astype(np.float32).reshape(stop - start, *self.shape[1:])


class Safetensors(Weights):
    """The tensors of one .safetensors file, or of several that belong together.

    Raises:
        ModelCorrupt: a file is cut short, or lies about where its values are.
        ModelUnsupported: the index names a file outside the folder.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._files: list[File] = []
        self._tensors: dict[str, Tensor] = {}
        try:
            for part in _parts(path):
                self._open(part)
        except BaseException:
            self.close()
            raise

    @property
    def tensors(self) -> Mapping[str, Tensor]:
        return self._tensors

    def close(self) -> None:
        for file in self._files:
            file.close()

    def _open(self, path: Path) -> None:
        try:
            file = File(path)
        except FileNotFoundError as error:
            raise ModelCorrupt(
                f"{self.where} names {path.name}, which is not there: fetch it again"
            ) from error
        self._files.append(file)
        length = int.from_bytes(file.read(0, 8, "the header's length"), "little")
        if length > MAX_HEADER:
            raise file.corrupt(f"its header says that it is {length} bytes long")
        try:
            header = msgspec.json.decode(file.read(8, length, "the header"), type=dict[str, msgspec.Raw])
            described = {
                name: msgspec.json.decode(raw, type=_Described)
                for name, raw in header.items()
                if name != "__metadata__"
            }
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise file.corrupt(f"its header cannot be read ({error})") from error
        for name, one in described.items():
            start, end = one.data_offsets
            size = OTHERS.get(one.dtype) or (
                np.dtype(FLOATS[one.dtype]).itemsize if one.dtype in FLOATS else 0
            )
            if not size:
                raise ModelUnsupported(f"{path}: {name} is stored as {one.dtype!r}, which nothing here reads")
            if (
                start < 0
                or end - start != elements(file, name, one.shape) * size
                or 8 + length + end > file.size
            ):
                raise file.corrupt(
                    f"{name} is {one.dtype} {list(one.shape)}, but lies at bytes {start} to {end} of "
                    f"{file.size - 8 - length}"
                )
            if one.shape:
                self._tensors[name] = _Stored(file, name, one.dtype, one.shape, 8 + length + start)


def _parts(path: Path) -> list[Path]:
    """The files of a model, given one file or an index."""
    if path.suffix != ".json":
        return [path]
    try:
        index = msgspec.json.decode(path.read_bytes(), type=_Index)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ModelCorrupt(f"{path} is no index of safetensors files ({error}): fetch it again") from error
    names = sorted(set(index.weight_map.values()))
    for name in names:
        if Path(name).name != name:
            raise ModelUnsupported(f"{path} names {name!r}, which is not beside it")
    return [path.parent / name for name in names]


def dump(tensors: Mapping[str, Floats]) -> bytes:
    """A .safetensors file of float32 tensors; for the small ones that CTranslate2 has no place for."""
    header: dict[str, object] = {}
    offset = 0
    for name, values in sorted(tensors.items()):
        header[name] = {
            "dtype": "F32",
            "shape": list(values.shape),
            "data_offsets": [offset, offset + values.nbytes],
        }
        offset += values.nbytes
    text = msgspec.json.encode(header)
    text += b" " * (-len(text) % 8)
    stored = [np.ascontiguousarray(one, "<f4").tobytes() for _, one in sorted(tensors.items())]
    return b"".join((len(text).to_bytes(8, "little"), text, *stored))

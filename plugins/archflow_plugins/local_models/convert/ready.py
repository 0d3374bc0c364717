"""A CTranslate2 folder that somebody else made: looked through, and taken over as it is.

model.bin is a version, the name and revision of a specification, then variables (name, lengths, type, size, values) and
aliases. It is walked from head to head, so that a file that is cut short is refused here and not when a request comes.

Rule: values are stepped over, never read.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from archflow_plugins.local_models.convert.tensors import File
from archflow_plugins.local_models.errors import ModelUnsupported

READY = ("model.bin", "config.json")
CARRIED = (
    "vocabulary.json", "vocabulary.txt", "tokenizer.json", "chat_template.jinja", "head.safetensors",
)  # fmt: skip
VERSIONS = range(5, 7)
SIZES = {0: 4, 1: 1, 2: 2, 3: 4, 4: 2, 5: 2}
"""CTranslate2's number of a type -> bytes of a value."""
DIMENSIONS_AT_MOST = 8


def is_ready(folder: Path) -> bool:
    """Whether a folder holds what CTranslate2 loads."""
    return all((folder / name).is_file() for name in READY)


def take_over(folder: Path, into: Path, cleaned: Callable[[bytes, str], bytes]) -> str:
    """Copy a folder, with its tokenizer cleaned; returns the name of its specification.

    Raises:
        ModelCorrupt: model.bin is cut short.
        ModelUnsupported: it is no transformer, of another version, or lacks a tokenizer.
    """
    name = specification(folder / READY[0])
    if not (folder / "tokenizer.json").is_file():
        raise ModelUnsupported(f"{folder} has no tokenizer.json: put the model's there")
    for one in (*READY, *CARRIED):
        if (folder / one).is_file():
            shutil.copyfile(folder / one, into / one)
    beside = into / "tokenizer.json"
    beside.write_bytes(cleaned(beside.read_bytes(), str(folder)))
    return name


def specification(path: Path) -> str:
    """The name of the specification of a model.bin that is whole."""
    file = File(path)
    try:
        walk = _Walk(file)
        version = walk.number(4, "the version")
        if version not in VERSIONS:
            raise ModelUnsupported(
                f"{path} is no CTranslate2 model of version {VERSIONS[0]} to {VERSIONS[-1]}: convert it again"
            )
        name = walk.text("the name of the specification")
        if not name.startswith("Transformer"):
            raise ModelUnsupported(f"{path} is a {name[:40]!r}, and transformers are run here")
        walk.number(4, "the revision")
        for _ in range(walk.number(4, "the count of variables")):
            walk.variable()
        for _ in range(walk.number(4, "the count of aliases")):
            walk.text("an alias")
            walk.text("what an alias stands for")
        return name
    finally:
        file.close()


class _Walk:
    def __init__(self, file: File) -> None:
        self._file = file
        self._at = 0

    def number(self, size: int, what: str) -> int:
        self._at += size
        return int.from_bytes(self._file.read(self._at - size, size, what), "little")

    def text(self, what: str) -> str:
        length = self.number(2, what)
        self._at += length
        return self._file.read(self._at - length, length, what).rstrip(b"\0").decode("utf-8", "replace")

    def variable(self) -> None:
        name = self.text("the name of a variable")
        rank = self.number(1, name)
        if rank > DIMENSIONS_AT_MOST:
            raise self._file.corrupt(f"the variable {name[:80]!r} has {rank} dimensions")
        count = 1
        for _ in range(rank):
            count *= self.number(4, name)
        kind, size = self.number(1, name), self.number(4, name)
        if size != count * SIZES.get(kind, 0):
            raise self._file.corrupt(
                f"the variable {name[:80]!r} holds {count} values of type {kind} in {size} bytes"
            )
        self._at += size
        if self._at > self._file.size:
            raise self._file.corrupt(f"the variable {name[:80]!r} would end after the file does")

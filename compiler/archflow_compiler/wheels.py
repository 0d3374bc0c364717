"""Wheels of what is installed here, so that another machine can install it without a registry.

An installed distribution knows its files; a wheel is an archive of them with a fresh list. What installing made
(scripts, bytecode, notes of the installer) is left out and made again.

Source: the binary distribution format, https://packaging.python.org/en/latest/specifications/binary-distribution-format/

Rule: asks no index and runs nothing of the packages.
"""

from __future__ import annotations

import base64
import hashlib
import re
import zipfile
from collections.abc import Iterator, Sequence
from email.parser import Parser
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from archflow_schema.errors import ArchflowError

_MADE_BY_INSTALLING = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json"}
WHEN = (1980, 1, 1, 0, 0, 0)
"""The time of every file in a wheel, so that the same files give the same bytes."""


def version(name: str) -> str:
    """The version of an installed distribution."""
    return _distribution(name).version


def pack(names: Sequence[str], folder: Path) -> Iterator[Path]:
    """Write wheels of distributions and of all that they need. Blocks: it compresses hundreds of megabytes.

    Raises:
        ArchflowError: one is not installed, or not as files of its own.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in closure(names):
        yield _pack(_distribution(name), folder)


def closure(names: Sequence[str]) -> list[str]:
    """The names of distributions and of all that they need here and now, sorted."""
    found: set[str] = set()
    waiting: list[tuple[str, frozenset[str]]] = [(name, frozenset()) for name in names]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        name, extras = waiting.pop()
        name = canonicalize_name(name)
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        found.add(name)
        for line in _distribution(name).requires or ():
            one = Requirement(line)
            if one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
                waiting.append((one.name, frozenset(one.extras)))
    return sorted(found)


def _distribution(name: str) -> metadata.Distribution:
    try:
        return metadata.distribution(name)
    except metadata.PackageNotFoundError as error:
        raise ArchflowError(f"the package {name} is not installed, so it cannot be packed") from error


def _pack(distribution: metadata.Distribution, folder: Path) -> Path:
    name, told = distribution.metadata["Name"], distribution.version
    files = [file for file in distribution.files or () if _belongs(file)]
    if not files or '"editable": true' in (distribution.read_text("direct_url.json") or ""):
        raise ArchflowError(
            f"{name} {told} is not installed as files of its own, which a wheel is made of",
            fix="`pip install` it (not -e)",
        )
    info = next(file.parts[0] for file in files if file.parts[0].endswith(".dist-info"))
    stem = f"{re.sub(r'[-_.]+', '_', name)}-{told}-{_tags(distribution)}"
    path = folder / f"{stem}.whl"
    rows: list[str] = []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(files, key=str):
            data = Path(str(file.locate())).read_bytes()
            mode = Path(str(file.locate())).stat().st_mode
            _add(archive, file.as_posix(), data, mode)
            summary = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            rows.append(f"{_quoted(file.as_posix())},sha256={summary},{len(data)}\n")
        rows.append(f"{info}/RECORD,,\n")
        _add(archive, f"{info}/RECORD", "".join(rows).encode(), 0o100644)
    return path


def _belongs(file: metadata.PackagePath) -> bool:
    """Whether a file came with the package, rather than being made by installing it."""
    made = file.parts[0].endswith(".dist-info") and file.name in _MADE_BY_INSTALLING
    outside = file.parts[0] in {"..", "/"} or file.is_absolute()
    return not made and not outside and "__pycache__" not in file.parts and file.suffix != ".pyc"


def _tags(distribution: metadata.Distribution) -> str:
    """What it runs on, as a wheel's name has it: `cp311-cp311-manylinux_2_28_x86_64`."""
    told = Parser().parsestr(distribution.read_text("WHEEL") or "").get_all("Tag") or ["py3-none-any"]
    columns = zip(*(tag.split("-") for tag in told), strict=True)
    return "-".join(".".join(dict.fromkeys(column)) for column in columns)


def _add(archive: zipfile.ZipFile, name: str, data: bytes, mode: int) -> None:
    entry = zipfile.ZipInfo(name, WHEN)
    entry.external_attr = (mode & 0xFFFF) << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(entry, data)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"' if "," in name or '"' in name else name

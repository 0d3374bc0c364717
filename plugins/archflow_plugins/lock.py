"""What a distribution consists of, as one digest, so that a graph can tell whether a plugin changed under it.

The digest covers the lines of the distribution's RECORD (PEP 376, binary distribution format): paths and hashes, which
costs no reading of the files themselves. `tampered` reads the files too.

Rule: the digest is the same on every machine that installs the same wheel: what an installer adds is left out.
Editable installs list no files, so their digest covers name, version and entry points, and `tampered` says so.
"""

from __future__ import annotations

import base64
import csv
import hashlib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from msgspec import Struct, json

_KEPT_METADATA = ("METADATA", "entry_points.txt")


class _DirInfo(Struct, frozen=True):
    editable: bool = False


class _DirectUrl(Struct, frozen=True):
    """direct_url.json of PEP 610, as far as it matters here."""

    dir_info: _DirInfo = _DirInfo()


def is_editable(distribution: metadata.Distribution) -> bool:
    """Whether it was installed with `pip install -e`."""
    return json.decode(distribution.read_text("direct_url.json") or "{}", type=_DirectUrl).dir_info.editable


def digest(distribution: metadata.Distribution) -> str:
    """The digest of a distribution, as hex."""
    editable = is_editable(distribution)
    summary = hashlib.sha256(f"{distribution.name} {distribution.version}\n".encode())
    for path, recorded in sorted(_lines(distribution)):
        if editable and not path.endswith("/entry_points.txt"):
            continue
        summary.update(f"{path} {recorded}\n".encode())
    return summary.hexdigest()


def tampered(distribution: metadata.Distribution) -> Iterator[str]:
    """How the installed files differ from their own RECORD, in words. Reads every file."""
    if is_editable(distribution):
        yield "it is an editable install, whose files cannot be verified"
        return
    for path, recorded in _lines(distribution):
        algorithm, _, expected = recorded.partition("=")
        if not expected:
            continue
        try:
            with Path(str(distribution.locate_file(path))).open("rb") as file:
                actual = hashlib.file_digest(file, algorithm).digest()
        except OSError as error:
            yield f"{path} cannot be read: {error.strerror}"
            continue
        if base64.urlsafe_b64encode(actual).rstrip(b"=").decode() != expected:
            yield f"{path} was changed after it was installed"


def _lines(distribution: metadata.Distribution) -> Iterator[tuple[str, str]]:
    """Path and hash of each file that belongs to the distribution itself."""
    record = distribution.read_text("RECORD")
    if record is None:
        return
    for row in csv.reader(record.splitlines()):
        path, recorded = row[0], row[1] if len(row) > 1 else ""
        folder, _, name = path.rpartition("/")
        if path.startswith("..") or path.endswith(".pyc"):
            continue
        if ".dist-info" in folder and name not in _KEPT_METADATA:
            continue
        yield path, recorded

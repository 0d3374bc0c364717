"""Writing what a compile gave: graph.bin, and graph.secrets for its owner only.

Rule: a file is replaced whole or not at all; the side file is there before the graph that needs it.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from pathlib import Path

import msgspec

from archflow_schema.artifact import digest, dump_secrets, secrets_name

OWNER_ONLY = 0o600
READABLE = 0o644


def write(data: bytes, secrets: dict[str, str], target: str, side: Path | None) -> str:
    """Write a graph and its side file.

    Args:
        data: the graph.
        secrets: entries of the side file.
        target: path of the graph; `-` is standard output.
        side: path of the side file; by default beside the graph.

    Returns:
        What was made, in words.
    """
    beside = None if target == "-" else Path(secrets_name(target))
    if secrets or side is not None:
        side = side or beside
        if side is not None:
            replace(side, dump_secrets(secrets), OWNER_ONLY)
    elif beside is not None and _is_side_file(beside):
        beside.unlink()  # keys of an earlier compile, which nothing refers to any more
    if target == "-":
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    else:
        replace(Path(target), data, READABLE)
    kept = f", {len(secrets)} literal key(s) in {side}" if secrets else ""
    return f"{target}: {len(data)} bytes, sha256 {digest(data)[:16]}{kept}"


def _is_side_file(path: Path) -> bool:
    try:
        msgspec.json.decode(path.read_bytes(), type=dict[str, str])
    except (OSError, msgspec.MsgspecError):
        return False
    return True


def replace(path: Path, data: bytes, mode: int) -> None:
    """Put a file in place at once, never readable by more people than `mode` says."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(mode & ~_umask() if mode != OWNER_ONLY else mode)
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise


def _umask() -> int:
    """The process's file mode mask; it can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask

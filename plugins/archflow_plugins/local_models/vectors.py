"""Vectors of texts that were embedded before, so that compiling again embeds only what is new.

    CACHE/vectors.sqlite    a vector by the digest of its model, of what ran the model, and of its text

Rule: it saves time and decides nothing: without the file, or with one that cannot be read or written, the same vectors
are computed, and nothing fails.
Rule: a row that is not what was written is no row; a file that is no database any more is removed and begun anew.
Rule: no text is in it, and it is made for its owner alone.
Invariant: a vector depends on its model and its text only (`Embedder.encode_each`), so the bytes of a graph are the
same with the file and without it.
Invariant: the file grows to about `MOST_BYTES`; then the vectors that were written first give way.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

if TYPE_CHECKING:
    import sqlite3

    from numpy.typing import NDArray

    from archflow_plugins.local_models.cache import Model

FILE = "vectors.sqlite"
MOST_BYTES = 512 * 1024 * 1024
"""About 330,000 vectors of 384 numbers: what some 55,000 described targets are made of."""
PART = 2048
"""Texts that are computed and kept together: what a compile that is interrupted does not do again."""
ASKED_AT_ONCE = 500
PAGE = 16384
"""Bytes of a page; ten vectors fit, where a page of the usual size would hold two and waste a quarter."""
FORGOTTEN = 4096
"""Vectors that give way at once."""
PATIENCE = 10.0
"""Seconds to wait for another process."""
CHECK = 8
"""Bytes of the digest behind each vector."""
_TABLES = """
CREATE TABLE IF NOT EXISTS vector (at INTEGER PRIMARY KEY, key BLOB NOT NULL, held BLOB NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS vector_key ON vector (key);
"""

T = TypeVar("T")
Watch = Callable[[int, int], None]
"""Hears how many texts of how many have a vector."""


class Kept(NamedTuple):
    """How many vectors a file holds, and how many bytes it has."""

    vectors: int
    size: int


def embed(model: Model, texts: Sequence[str], folder: Path, watch: Watch) -> NDArray[Any]:
    """A vector of length 1 for each text, float32 [n, dimension]: those that are kept, and the others computed.

    Args:
        model: an embedder. It is opened only if a text is new.
        texts: what to embed; a text that stands twice is embedded once.
        folder: of the cache.
        watch: hears how far it is.

    Blocks: about 1 ms for each new text.

    Raises:
        ArchflowError: the model cannot be opened.
    """
    import numpy as np

    from archflow_plugins.local_models.embed import Embedder

    runs = f"{model.digest} ctranslate2 {version('ctranslate2')} "
    keys = {text: _digest(runs.encode(), text.encode("utf-8", "surrogatepass"), 16) for text in texts}
    file = Vectors(folder)
    known = file.get(list(keys.values()), 4 * model.entry.limits.dimension)
    new = [text for text, key in keys.items() if key not in known]
    watch(len(keys) - len(new), len(keys))
    if new:
        embedder = Embedder(model)
        try:
            for start in range(0, len(new), PART):
                part = new[start : start + PART]
                done = len(keys) - len(new) + start
                computed = embedder.encode_each(part, lambda more, done=done: watch(done + more, len(keys)))  # type: ignore[misc]
                made = {keys[text]: row.tobytes() for text, row in zip(part, computed, strict=True)}
                file.put(made)
                known.update(made)
        finally:
            embedder.close()
    rows = b"".join(known[keys[text]] for text in texts)
    return np.frombuffer(rows, "<f4").reshape(len(texts), -1) if texts else np.zeros((0, 0), "<f4")


class Vectors:
    """The file of a cache.

    Attributes:
        path: where it is; it need not be there.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE

    def get(self, keys: Sequence[bytes], size: int = 0) -> dict[bytes, bytes]:
        """The vectors that are there and whole, by key. Blocks.

        Args:
            keys: which ones.
            size: bytes of a vector; one of another size is none. 0 for any.
        """

        def work(file: sqlite3.Connection) -> dict[bytes, bytes]:
            found: dict[bytes, bytes] = {}
            for start in range(0, len(keys), ASKED_AT_ONCE):
                part = keys[start : start + ASKED_AT_ONCE]
                marks = ",".join("?" * len(part))
                for key, held in file.execute(f"SELECT key, held FROM vector WHERE key IN ({marks})", part):  # noqa: S608 - marks only
                    row = _whole(key, held)
                    if row and size in {0, len(row)}:
                        found[key] = row
            return found

        return self._do(work, {}, make=False)

    def put(self, vectors: dict[bytes, bytes]) -> None:
        """Keep vectors, and let those go that were written first where there are too many. Blocks."""

        def work(file: sqlite3.Connection) -> None:
            file.execute("BEGIN IMMEDIATE")
            file.executemany(
                "INSERT OR REPLACE INTO vector (key, held) VALUES (?, ?)",
                ((key, row + _digest(key, row, CHECK)) for key, row in vectors.items()),
            )
            oldest = "DELETE FROM vector WHERE at IN (SELECT at FROM vector ORDER BY at LIMIT ?)"
            while _used(file) > MOST_BYTES and file.execute(oldest, (FORGOTTEN,)).rowcount:
                pass
            file.execute("COMMIT")

        self._do(work, None)

    def kept(self) -> Kept:
        """What is there. Blocks."""

        def work(file: sqlite3.Connection) -> int:
            return int(file.execute("SELECT COUNT(*) FROM vector").fetchone()[0])

        return Kept(self._do(work, 0, make=False), sum(path.stat().st_size for path in self._files()))

    def remove(self) -> int:
        """Delete the file; returns the bytes that are free again.

        Raises:
            OSError: it is not the user's to delete.
        """
        freed = 0
        for path in self._files():
            freed += path.stat().st_size
            path.unlink(missing_ok=True)
        return freed

    def _files(self) -> list[Path]:
        """The file, and what SQLite wrote beside it."""
        return [path for path in sorted(self.path.parent.glob(f"{FILE}*")) if path.is_file()]

    def _do(self, work: Callable[[sqlite3.Connection], T], otherwise: T, *, make: bool = True) -> T:
        """Do some work over a connection of its own; what goes wrong ends the work and nothing else.

        Args:
            work: what to do.
            otherwise: what it gives where it cannot be done.
            make: whether a file is made that is not there.
        """
        import sqlite3

        try:
            if not make and not self.path.is_file():
                return otherwise
            with contextlib.closing(self._connect()) as file:
                return work(file)
        except sqlite3.OperationalError:
            return otherwise  # busy for long, a disk that is full, a folder that can only be read: computed again
        except sqlite3.DatabaseError:
            with contextlib.suppress(OSError):
                self.remove()
            return otherwise
        except OSError:
            return otherwise

    def _connect(self) -> sqlite3.Connection:
        import sqlite3

        mode = "rw"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        except OSError:
            mode = "ro"
        where = f"{self.path.as_uri()}?mode={mode}"
        file = sqlite3.connect(where, timeout=PATIENCE, isolation_level=None, uri=True)
        try:
            if mode == "rw":
                file.execute(f"PRAGMA page_size = {PAGE}")
                file.execute("PRAGMA synchronous = NORMAL")
                file.executescript(_TABLES)
        except BaseException:
            file.close()
            raise
        return file


def _used(file: sqlite3.Connection) -> int:
    """Bytes of a file that hold something."""
    (pages,), (free,), (size,) = (
        file.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)


def _digest(one: bytes, other: bytes, size: int) -> bytes:
    found = hashlib.blake2b(one, digest_size=size)
    found.update(other)
    return found.digest()


def _whole(key: object, held: object) -> bytes:
    """A vector without the digest behind it; nothing if it is not what was written."""
    if not isinstance(key, bytes) or not isinstance(held, bytes) or len(held) <= CHECK:
        return b""
    row, check = held[:-CHECK], held[-CHECK:]
    return row if _digest(key, row, CHECK) == check else b""

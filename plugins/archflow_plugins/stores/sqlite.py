"""Counters and values in a file, shared by the workers of this machine, and still there after a restart.

SQLite with a write-ahead log: readers never wait for writers, and a process that dies loses nothing that was written.
Times are those of the machine's clock, for a monotonic one means nothing to the next boot. Counters follow the same
algorithm as those in memory (see there).

Rule: SQLite runs in the worker's threads, one statement at a time over one connection.
Rule: a file that others may read is none for conversations: it is made for its owner alone.
Invariant: a value whose time is over is never given, and is removed by a later write; above `max_bytes` the ones that
were written first go.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from msgspec import Struct

from archflow_plugins.contexts import CompileContext, RunContext
from archflow_plugins.kinds import Admission, Store
from archflow_plugins.stores.memory import remaining
from archflow_schema.errors import ArchflowError
from archflow_schema.text import Text

if TYPE_CHECKING:
    import sqlite3

T = TypeVar("T")

_TABLES = """
CREATE TABLE IF NOT EXISTS kept (
    key TEXT PRIMARY KEY, value BLOB NOT NULL, written REAL NOT NULL, over REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS kept_over ON kept (over);
CREATE INDEX IF NOT EXISTS kept_written ON kept (written);
CREATE TABLE IF NOT EXISTS bucket (key TEXT PRIMARY KEY, full_at REAL NOT NULL) WITHOUT ROWID;
"""
_PATIENCE = 5.0
"""Seconds to wait for another worker's write."""
_SWEPT = 100
"""Rows at most that one write removes because their time is over."""
_WRITES_PER_SWEEP = 32


class SqliteConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Configuration of the store in a file.

    Attributes:
        path: the file; it is made if it is not there. May name the environment.
        max_bytes: of the file, roughly; the oldest values give way. 0 is no limit.
    """

    path: str
    max_bytes: int = 1024 * 1024 * 1024


class SqliteCompiled(Struct, frozen=True):
    """What the graph keeps of it."""

    path: Text
    max_bytes: int


class Sqlite(Store):
    """Buckets and values in one SQLite file."""

    kind = "store.sqlite"
    config = SqliteConfig
    compiled: ClassVar[type[Struct] | None] = SqliteCompiled
    waits: ClassVar[bool] = True

    @classmethod
    def compile(cls, config: SqliteConfig, ctx: CompileContext) -> SqliteCompiled:
        return SqliteCompiled(ctx.text(config.path, "path"), config.max_bytes)

    def __init__(self, compiled: Any, ctx: RunContext) -> None:
        import trio

        super().__init__(compiled, ctx)
        self._path = ctx.text(compiled.path)
        self._max_bytes = compiled.max_bytes
        self._turn = trio.Lock()
        self._file: sqlite3.Connection | None = None
        self._writes = 0

    @classmethod
    async def open(cls, compiled: Any, ctx: RunContext) -> Self:
        store = cls(compiled, ctx)
        try:
            await ctx.offload(store._open)
        except BaseException:
            store._close()
            raise
        return store

    async def close(self) -> None:
        import trio

        with trio.CancelScope(shield=True):
            async with self._turn:
                await self.ctx.offload(self._close)

    def _open(self) -> None:
        import sqlite3

        try:
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
            self._file = file = sqlite3.connect(
                self._path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
            )
            _write_ahead(file)
            file.execute("PRAGMA synchronous = NORMAL")
            file.executescript(_TABLES)
        except (OSError, sqlite3.Error) as error:
            raise ArchflowError(
                f"the file {self._path!r} of {self.ctx.name} cannot be used: {error}; "
                "make it writable, or name another one"
            ) from error

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()

    async def _do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run one piece of work, alone. Blocks while it does; a cancelled caller waits for it."""
        async with self._turn:
            file = self._file
            if file is None:
                raise ArchflowError(f"the store {self.ctx.name} is closed")
            return await self.ctx.offload(lambda: work(file))

    # Counters.

    async def charge(self, key: str, cost: float, capacity: float, period: float) -> Admission:
        def work(file: sqlite3.Connection) -> Admission:
            now = time.time()
            with _Write(file):
                full_at = _full_at(file, key, now)
                if cost > capacity:
                    return _refused(full_at - now, capacity, period, math.inf)
                charged = full_at + cost * period / capacity
                wait = charged - now - period
                if wait > 1e-6:  # a microsecond of grace: floats that count since 1970 have no finer steps
                    return _refused(full_at - now, capacity, period, wait)
                _set(file, key, charged)
            return Admission(admitted=True, remaining=remaining(charged - now, capacity, period))

        return await self._do(work)

    async def settle(self, key: str, difference: float, capacity: float, period: float) -> None:
        def work(file: sqlite3.Connection) -> None:
            now = time.time()
            with _Write(file):
                full_at = _full_at(file, key, now) + difference * period / capacity
                if full_at > now:
                    _set(file, key, full_at)
                else:
                    file.execute("DELETE FROM bucket WHERE key = ?", (key,))

        await self._do(work)

    # Values.

    async def put(self, key: str, value: bytes, seconds: float) -> None:
        def work(file: sqlite3.Connection) -> None:
            now = time.time()
            with _Write(file):
                file.execute(
                    "INSERT OR REPLACE INTO kept VALUES (?, ?, ?, ?)", (key, value, now, now + seconds)
                )
                self._writes += 1
                if self._writes % _WRITES_PER_SWEEP == 1:
                    self._sweep(file, now)

        await self._do(work)

    async def get(self, key: str) -> bytes | None:
        def work(file: sqlite3.Connection) -> bytes | None:
            row = file.execute(
                "SELECT value FROM kept WHERE key = ? AND over > ?", (key, time.time())
            ).fetchone()
            return None if row is None else bytes(row[0])

        return await self._do(work)

    async def delete(self, key: str) -> None:
        def work(file: sqlite3.Connection) -> None:
            file.execute("DELETE FROM kept WHERE key = ?", (key,))

        await self._do(work)

    def _sweep(self, file: sqlite3.Connection, now: float) -> None:
        """Remove what is over, and the oldest while the file is too large."""
        file.execute(
            "DELETE FROM kept WHERE key IN (SELECT key FROM kept WHERE over <= ? LIMIT ?)", (now, _SWEPT)
        )
        file.execute(
            "DELETE FROM bucket WHERE key IN (SELECT key FROM bucket WHERE full_at <= ? LIMIT ?)",
            (now, _SWEPT),
        )
        while self._max_bytes and _used(file) > self._max_bytes:
            removed = file.execute(
                "DELETE FROM kept WHERE key IN (SELECT key FROM kept ORDER BY written LIMIT ?)", (_SWEPT,)
            )
            if not removed.rowcount:
                return


class _Write:
    """A transaction that begins by asking for the right to write, so that it never has to give up half-way."""

    def __init__(self, file: sqlite3.Connection) -> None:
        self._file = file

    def __enter__(self) -> None:
        self._file.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, *_: object) -> None:
        self._file.execute("COMMIT" if kind is None else "ROLLBACK")


def _write_ahead(file: sqlite3.Connection) -> None:
    """Let the file have a write-ahead log. Blocks while another worker does so too: SQLite does not wait for that."""
    import sqlite3

    until = time.monotonic() + _PATIENCE
    while True:
        try:
            file.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.01)  # noqa: TID251 - in a thread
        else:
            return


def _used(file: sqlite3.Connection) -> int:
    """Bytes of the pages that hold something."""
    size, pages, free = (
        file.execute(f"PRAGMA {what}").fetchone()[0] for what in ("page_size", "page_count", "freelist_count")
    )
    return int(size * (pages - free))


def _full_at(file: sqlite3.Connection, key: str, now: float) -> float:
    row = file.execute("SELECT full_at FROM bucket WHERE key = ?", (key,)).fetchone()
    return now if row is None else max(float(row[0]), now)


def _set(file: sqlite3.Connection, key: str, full_at: float) -> None:
    file.execute("INSERT OR REPLACE INTO bucket VALUES (?, ?)", (key, full_at))


def _refused(debt: float, capacity: float, period: float, wait: float) -> Admission:
    return Admission(admitted=False, remaining=remaining(debt, capacity, period), retry_after=wait)

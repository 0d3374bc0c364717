"""Counters and values in a file: shared, still there later, and bounded."""

import math
import sqlite3
import stat
from pathlib import Path

import pytest
import trio

from archflow_plugins.stores import sqlite
from archflow_plugins.stores.sqlite import Sqlite, SqliteCompiled
from archflow_plugins.testing import check_kind, run_context
from archflow_schema.errors import ArchflowError


@pytest.fixture
def now(monkeypatch):
    """The machine's clock, in a list of one."""
    clock = [1_763_000_000.0]
    monkeypatch.setattr(sqlite.time, "time", lambda: clock[0])
    return clock


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "state.db")


async def opened(path, max_bytes=0):
    return await Sqlite.open(SqliteCompiled((path,), max_bytes), run_context("state"))


def test_contract(path):
    check_kind(Sqlite, {"path": path})


@pytest.mark.trio
async def test_a_value_is_there_after_a_restart_and_for_its_time(path, now):
    store = await opened(path)
    await store.put("a", b"1", 60)
    await store.close()
    store = await opened(path)
    now[0] += 59
    assert await store.get("a") == b"1"
    now[0] += 1
    assert await store.get("a") is None
    await store.close()


@pytest.mark.trio
async def test_two_workers_share_a_file(path):
    one, other = await opened(path), await opened(path)
    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon((one, other)[number % 2].put, f"k{number}", b"v", 60)
    for number in range(20):
        assert await (one, other)[number % 2].get(f"k{number}") == b"v"
    await one.charge("k", 10, 10, 60)
    assert not (await other.charge("k", 1, 10, 60)).admitted
    await one.close()
    await other.close()


@pytest.mark.trio
async def test_workers_that_start_together_make_the_file_together(tmp_path):
    stores = []

    async def begin(path):
        stores.append(await opened(path))

    for number in range(20):
        async with trio.open_nursery() as nursery:
            for _ in range(8):
                nursery.start_soon(begin, str(tmp_path / f"{number}.db"))
    assert len(stores) == 160
    for store in stores:
        await store.close()


@pytest.mark.trio
async def test_what_waiting_does_not_mend_is_told_at_once(path, monkeypatch):
    Path(path).write_bytes(b"")
    tries = []

    class ReadOnly(sqlite3.Connection):
        def execute(self, sql, *values):
            tries.append(sql)
            error = sqlite3.OperationalError("attempt to write a readonly database")
            error.sqlite_errorcode = sqlite3.SQLITE_READONLY
            raise error

    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *a, **k: connect(*a, **k, factory=ReadOnly))
    with pytest.raises(ArchflowError, match="readonly"):
        await opened(path)
    assert len(tries) == 1


@pytest.mark.trio
async def test_counters_admit_no_more_than_their_quota_together(path, now):
    one, other = await opened(path), await opened(path)
    admitted = []

    async def charge(store):
        admitted.append((await store.charge("k", 1, 10, 60)).admitted)

    async with trio.open_nursery() as nursery:
        for number in range(30):
            nursery.start_soon(charge, (one, other)[number % 2])
    assert admitted.count(True) == 10
    await one.close()
    await other.close()


@pytest.mark.trio
async def test_counters_refill(path, now):
    store = await opened(path)
    await store.charge("k", 100, 100, 60)
    refused = await store.charge("k", 10, 100, 60)
    assert (refused.admitted, refused.retry_after) == (False, pytest.approx(6))
    now[0] += 6
    assert (await store.charge("k", 10, 100, 60)).admitted
    await store.settle("k", -10, 100, 60)
    assert (await store.charge("k", 10, 100, 60)).remaining == pytest.approx(0, abs=1e-3)
    never = await store.charge("k", 101, 100, 60)
    assert (never.admitted, never.retry_after) == (False, math.inf)
    await store.close()


def rows(path):
    with sqlite3.connect(path) as file:
        return file.execute("SELECT count(*) FROM kept").fetchone()[0]


@pytest.mark.trio
async def test_what_is_over_is_removed(path, now, monkeypatch):
    monkeypatch.setattr(sqlite, "_WRITES_PER_SWEEP", 2)
    store = await opened(path)
    for number in range(10):
        await store.put(f"k{number}", b"v", 60)
    now[0] += 61
    await store.put("a", b"v", 60)
    assert rows(path) == 1
    await store.close()


@pytest.mark.trio
async def test_the_oldest_go_when_the_file_is_full(path, now, monkeypatch):
    monkeypatch.setattr(sqlite, "_WRITES_PER_SWEEP", 2)
    monkeypatch.setattr(sqlite, "_SWEPT", 2)
    store = await opened(path, max_bytes=200_000)
    for number in range(40):
        now[0] += 1
        await store.put(f"k{number:02}", bytes(20_000), 3600)
    kept = [number for number in range(40) if await store.get(f"k{number:02}") is not None]
    assert kept == list(range(kept[0], 40))
    assert 4 <= len(kept) <= 11
    await store.close()


@pytest.mark.trio
async def test_the_file_is_for_its_owner(path):
    store = await opened(path)
    await store.put("a", b"1", 60)
    assert stat.S_IMODE(Path(path).stat().st_mode) == 0o600
    await store.close()


@pytest.mark.trio
@pytest.mark.parametrize("made", [True, False])
async def test_a_file_that_cannot_be_used_stops_the_start(tmp_path, made):
    path = tmp_path / "there" / "state.db"
    if made:
        path.parent.mkdir()
        path.write_bytes(b"this is no database, and long enough to tell" * 99)
    with pytest.raises(ArchflowError, match="cannot be used"):
        await opened(str(path))


@pytest.mark.trio
async def test_a_broken_write_leaves_nothing_behind(path):
    store = await opened(path)
    with pytest.raises(sqlite3.Error):
        await store.put("a", None, 60)  # type: ignore[arg-type]
    with pytest.raises(sqlite3.Error):
        await store._do(lambda file: file.execute("nonsense"))
    await store.put("a", b"2", 60)
    assert await store.get("a") == b"2"
    await store.close()
    with pytest.raises(ArchflowError, match="closed"):
        await store.get("a")

"""What a supervisor knows of its workers, without processes: questions, answers, numbers that outlive them."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
import trio

from archflow_engine import supervise
from archflow_engine.control import AskNumbers, Line, Numbers, Refused, Serving, Swap
from archflow_engine.metrics import CONNECTIONS, DURATION, REQUESTS, Snapshot
from archflow_engine.supervise import Supervisor, Worker
from archflow_schema.errors import ArchflowError
from peers import PATIENCE

pytestmark = pytest.mark.trio


def numbers(requests: float, connections: float) -> Snapshot:
    return Snapshot(
        {REQUESTS.name: {("a", "b", "c", "200"): requests}, CONNECTIONS.name: {("a",): connections}},
        {DURATION.name: {("a", "c"): [requests, 0.5]}},
    )


def connect(worker: Worker) -> Line:
    """A process for a worker, played by the test: its end of the line."""
    one, two = trio.socket.socketpair()
    worker.line = Line(trio.SocketStream(one))
    worker.serving = "digest"
    return Line(trio.SocketStream(two))


async def tells(worker: Worker, line: Line, snapshot: Snapshot) -> None:
    """The worker is asked for its numbers once, and tells these."""
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(worker.listen)
            assert await line.question() == AskNumbers()
            await line.send(Numbers.of(snapshot))


async def test_counters_outlive_the_processes_and_gauges_do_not() -> None:
    worker = Worker(0)
    for _ in range(2):
        line = connect(worker)
        await tells(worker, line, numbers(3, 7))
        await worker.buried()
        await line.close()
    assert worker.numbers == Snapshot(
        {REQUESTS.name: {("a", "b", "c", "200"): 6}}, {DURATION.name: {("a", "c"): [6, 1.0]}}
    )
    line = connect(worker)
    await tells(worker, line, numbers(1, 2))
    assert worker.numbers == Snapshot(
        {REQUESTS.name: {("a", "b", "c", "200"): 7}, CONNECTIONS.name: {("a",): 2}},
        {DURATION.name: {("a", "c"): [7, 1.5]}},
    )
    await worker.buried()
    await line.close()


async def test_a_worker_that_does_not_answer_counts_as_it_told_last() -> None:
    worker = Worker(0)
    line = connect(worker)
    await tells(worker, line, numbers(3, 7))
    await line.close()
    with trio.fail_after(PATIENCE):
        await worker.listen()
    assert worker.numbers == numbers(3, 7)
    await worker.buried()


async def test_an_answer_that_came_too_late_is_not_taken_for_the_next_one() -> None:
    worker = Worker(0)
    line = connect(worker)
    assert await worker.ask(AskNumbers(), 0.01) is None
    await line.send(Numbers.of(numbers(1, 1)))
    await line.send(Serving("new"))
    assert await worker.ask(Swap("x"), PATIENCE) == Serving("new")
    await worker.buried()
    await line.close()


async def test_who_does_not_serve_yet_is_not_asked() -> None:
    worker = Worker(0)
    line = connect(worker)
    worker.serving = ""
    assert await worker.ask(AskNumbers(), PATIENCE) is None
    await worker.buried()
    assert await line.question() is None
    await line.close()


async def test_workers_are_asked_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[Line] = []

    async def keep(self: Supervisor, worker: Worker, *, task_status: trio.TaskStatus[None]) -> None:
        lines.append(connect(worker))
        task_status.started()
        await trio.sleep_forever()

    monkeypatch.setattr(supervise, "LISTEN", 0.0)
    monkeypatch.setattr(Supervisor, "_keep", keep)
    supervisor = Supervisor(Path("graph.bin"), 2, [], 0, lambda *_, **__: None)
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            await nursery.start(lambda *, task_status: supervisor.run(task_status=task_status))
            for _ in range(3):
                for line in lines:
                    assert await line.question() == AskNumbers()
                    await line.send(Numbers.of(numbers(1, 1)))
            nursery.cancel_scope.cancel()
    for line, worker in zip(lines, supervisor._workers, strict=True):
        await worker.buried()
        await line.close()


async def test_a_worker_that_started_during_a_swap_catches_up(monkeypatch: pytest.MonkeyPatch) -> None:
    supervisor = Supervisor(Path("graph.bin"), 2, [], 1.0, lambda *_, **__: None)
    program = SimpleNamespace(digest="new", graph=SimpleNamespace(nodes=()))
    folder = Path(supervisor._folder.name)
    for name in ("0.bin", "0.secrets", "1.bin", "1.secrets"):
        (folder / name).touch()

    def load() -> SimpleNamespace:
        supervisor._graph = folder / "1.bin"
        return program

    monkeypatch.setattr(supervisor, "_load", load)
    serving, starting = supervisor._workers
    line = connect(serving)
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(supervisor.swap)
            assert isinstance(await line.question(), Swap)
            await line.send(Serving("new"))
    assert (serving.serving, starting.serving) == ("new", "")  # nobody waited for the one that starts
    assert (folder / "0.bin").exists(), "the one that starts may still read it"

    late = connect(starting)
    starting.serving = "old"
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(supervisor._catch_up, starting)
            assert isinstance(await late.question(), Swap)
            await late.send(Serving("new"))
    assert starting.serving == "new"
    assert {one.name for one in folder.iterdir()} == {"1.bin", "1.secrets"}
    for worker, end in ((serving, line), (starting, late)):
        await worker.buried()
        await end.close()
    supervisor.give_up()


async def test_what_one_worker_refuses_the_others_give_back(monkeypatch: pytest.MonkeyPatch) -> None:
    supervisor = Supervisor(Path("graph.bin"), 3, [], 1.0, lambda *_, **__: None)
    old, new = (SimpleNamespace(digest=name, graph=SimpleNamespace(nodes=())) for name in ("old", "new"))
    supervisor.program = old  # type: ignore[assignment]
    before = supervisor._graph

    def load() -> SimpleNamespace:
        supervisor._graph = Path("new.bin")
        return new

    monkeypatch.setattr(supervisor, "_load", load)
    lines = [connect(worker) for worker in supervisor._workers]
    told: list[str] = []

    async def swap() -> None:
        with pytest.raises(ArchflowError) as raised:
            await supervisor.swap()
        told.append(str(raised.value))

    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(swap)
            for line, answer in zip(
                lines, (Serving("new"), Refused("no model"), Serving("new")), strict=True
            ):
                assert await line.question() == Swap("new.bin")
                await line.send(answer)
            for line in (lines[0], lines[2]):
                assert await line.question() == Swap(str(before))
                await line.send(Serving("old"))
    assert told == ["worker 1: no model"]
    assert [worker.serving for worker in supervisor._workers] == ["old", "digest", "old"]
    assert supervisor.program is old  # what /graph shows
    assert supervisor._graph == before  # what a worker that is started now gets
    for worker, line in zip(supervisor._workers, lines, strict=True):
        await worker.buried()
        await line.close()
    supervisor.give_up()


async def test_why_a_worker_cannot_be_started_again_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[dict[str, object]] = []
    supervisor = Supervisor(
        Path("graph.bin"), 1, [], 1.0, lambda event, **facts: told.append({"event": event, **facts})
    )
    reasons = iter(("", "the model is gone"))

    async def start(worker: Worker) -> str:
        async def wait() -> int:
            return 0

        worker.process = SimpleNamespace(wait=wait, returncode=0)  # type: ignore[assignment]
        return next(reasons)

    async def asleep(_: float) -> None:
        supervisor.draining = len(told) == 2

    monkeypatch.setattr(supervisor, "_start", start)
    monkeypatch.setattr(trio, "sleep", asleep)
    await supervisor._keep(supervisor._workers[0], task_status=trio.TASK_STATUS_IGNORED)
    assert [one["event"] for one in told] == ["worker_died", "worker_died"]
    assert "detail" not in told[0]
    assert told[1]["detail"] == "the model is gone"
    supervisor.give_up()


def three_workers(path: Path) -> Supervisor:
    return Supervisor(path, 3, [], 1.0, lambda *_, **__: None)


async def test_a_graph_that_finds_no_room_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = tmp_path / "graph.bin"
    graph.write_bytes(b"anything")
    supervisor = three_workers(graph)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(supervise, "_copy", full)
    with pytest.raises(ArchflowError, match="no space left on device"):
        await supervisor.swap()
    supervisor.give_up()


async def test_a_worker_for_which_there_is_no_room_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    supervisor = three_workers(Path("graph.bin"))

    async def full(*_: object, **__: object) -> None:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(trio.lowlevel, "open_process", full)
    why = await supervisor._start(supervisor._workers[1])
    assert why == "worker 1 cannot be started: resource temporarily unavailable"
    supervisor.give_up()


async def test_a_worker_whose_env_file_was_spoilt_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"\xff")
    supervisor = three_workers(tmp_path / "graph.bin")
    assert ".env cannot be read" in await supervisor._start(supervisor._workers[1])
    supervisor.give_up()


async def test_nobody_tidies_the_private_folder_away() -> None:
    supervisor = three_workers(Path("graph.bin"))
    cleaner = os.open(supervisor._folder.name, os.O_RDONLY)
    with pytest.raises(BlockingIOError):  # as systemd-tmpfiles asks
        fcntl.flock(cleaner, fcntl.LOCK_EX | fcntl.LOCK_NB)
    supervisor.give_up()
    fcntl.flock(cleaner, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(cleaner)

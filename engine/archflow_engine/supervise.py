"""Several workers on the same ports, under one supervisor.

Each worker is a process of its own that shares the ports by SO_REUSEPORT; the kernel spreads new connections. The
supervisor loads and checks a graph first, keeps it in a private folder, hands it to the workers, restarts one that
dies, adds their metrics up, and stops with them. Counters of a dead worker stay in the sum, as it told them last, which
was at most LISTEN seconds before its end.

Rule: the supervisor serves no traffic and holds no connection of a client.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import trio

from archflow_engine import load
from archflow_engine.control import Answer, AskNumbers, Line, Numbers, Question, Refused, Serving, Swap
from archflow_engine.front.serve import open_sockets
from archflow_engine.load import Program
from archflow_engine.metrics import FAMILIES, Snapshot, merge
from archflow_schema.errors import ArchflowError, os_reason
from archflow_schema.graph import Choose, Limit, Recall

PER_WORKER = frozenset({"store.memory"})
"""Stores that each worker has for itself."""
START = 60.0
"""Seconds that a worker may take until it serves."""
ANSWER = 5.0
LISTEN = 2.0
"""Seconds between two times that workers are asked for their metrics: what a worker that dies may take with it."""
SILENT = "it did not answer"
"""Why a worker does not serve a graph, if it does not say."""
BACK_OFF = (0.1, 5.0)
"""Seconds before a dead worker is restarted: at first, and at most."""
STEADY = 10.0
"""Seconds after which a worker's death is not held against its successor."""


class Worker:
    """One worker process and the line to it.

    Attributes:
        told: its numbers, as it told them last.
        gone: the counters and histograms of its processes that died.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.process: trio.Process | None = None
        self.line: Line | None = None
        self.serving = ""
        self.told = Snapshot({}, {})
        self.gone = Snapshot({}, {})
        self._asking = trio.Lock()
        self._owed = 0

    async def ask(self, question: Question, within: float) -> Answer | None:
        """Ask and wait; None when the worker is gone or too slow. Blocks."""
        line = self.line
        if line is None or not self.serving:  # until it serves, `_start` has the line
            return None
        try:
            with trio.move_on_after(within):
                async with self._asking:
                    return await self._exchange(line, question)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        return None

    async def _exchange(self, line: Line, question: Question) -> Answer | None:
        """Ask, and skip the answers to questions that were given up."""
        await line.send(question)
        self._owed += 1
        while (answer := await line.answer()) is not None:
            self._owed -= 1
            if not self._owed:
                return answer
        return None

    async def listen(self) -> None:
        """Ask for its numbers and keep them. Blocks, for ANSWER seconds at most."""
        line = self.line
        answer = await self.ask(AskNumbers(), ANSWER)
        if isinstance(answer, Numbers) and self.line is line:  # else it died meanwhile, and is counted
            self.told = answer.snapshot()

    @property
    def numbers(self) -> Snapshot:
        """What it told last, and what its processes that died did."""
        return merge([self.gone, self.told])

    async def buried(self) -> None:
        """Its process died: keep what it counted. Blocks while the line closes."""
        self.gone = merge([self.gone, _lasting(self.told)])
        self.told = Snapshot({}, {})
        self.serving = ""
        self._owed = 0
        if self.line is not None:
            line, self.line = self.line, None
            await line.close()


class Supervisor:
    """Keeps `count` workers serving.

    Args:
        options: command-line options that every worker gets.
        findings: where those of `archc` go, as for `load.load`.
    """

    def __init__(
        self,
        path: Path,
        count: int,
        options: list[str],
        drain: float,
        log: Callable[..., None],
        findings: Callable[..., None] | None = None,
    ) -> None:
        self.program: Program | None = None
        self.draining = False
        self._path = path
        self._options = options
        self._drain = drain
        self._log = log
        self._findings = findings
        self._workers = [Worker(number) for number in range(count)]
        self._folder = tempfile.TemporaryDirectory(prefix="archrun-")
        self._lock = _lock(self._folder.name)
        self._generation = 0
        self._graph = Path(self._folder.name) / "0.bin"
        self._failure: ArchflowError | None = None

    def prepare(self) -> None:
        """Load and check the graph, and that its ports can be had. Blocks on the disk.

        Raises:
            ArchflowError: it cannot be run.
        """
        self.program = self._load()
        for listener in self.program.graph.listeners:
            for sock in open_sockets(listener.address, listener.port, shared=False).insecure_sockets:
                sock.close()
        if any(isinstance(node, Limit) for node in self.program.graph.nodes):
            self._log(
                "limits_per_worker",
                level="warning",
                detail=f"rate limits are kept in memory by each of {len(self._workers)} workers: a client whose "
                "connections reach several of them can use the limit once in each",
            )
        if any(
            isinstance(node, Recall) and node.store.kind in PER_WORKER for node in self.program.graph.nodes
        ):
            self._log(
                "state_per_worker",
                level="warning",
                detail=f"replies are kept in memory by each of {len(self._workers)} workers: a client whose next "
                "connection reaches another one cannot go on from them; `state_storage: {type: sqlite, path: ...}` "
                "is shared",
            )

        if any(
            isinstance(node, Choose) and node.sessions is not None and node.sessions.store.kind in PER_WORKER
            for node in self.program.graph.nodes
        ):
            self._log(
                "sessions_per_worker",
                level="info",
                detail=f"sessions are kept in memory by each of {len(self._workers)} workers: one whose connections "
                "reach several of them may have a model in each; `session_cache: {type: sqlite, path: ...}` is shared",
            )

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Start the workers and keep them running until `stop`. Blocks."""
        try:
            async with trio.open_nursery() as nursery:
                async with trio.open_nursery() as starting:
                    for worker in self._workers:
                        starting.start_soon(nursery.start, self._keep, worker)
                if self._failure is None:
                    task_status.started()
                    while not self._stopping():
                        await trio.sleep(LISTEN)
                        await self._listen()
        finally:
            self._clean()
        if self._failure is not None:
            raise self._failure

    async def swap(self) -> None:
        """Load the graph again and give it to every worker, or to none: what one refuses, the others give back. Blocks.

        Raises:
            ArchflowError: it cannot be run; the old one serves on.
        """
        before = self.program, self._graph
        self.program = await trio.to_thread.run_sync(self._load)
        refusals = {worker: why for worker in self._serving() if (why := await self._hand(worker))}
        if not refusals:
            self._tidy()
            return
        self.program, self._graph = before
        for worker in self._serving():
            took = refusals.get(worker, SILENT) == SILENT  # who was too slow may have taken it since
            if took and (why := await self._hand(worker)):
                self._log("worker_ahead", level="error", worker=worker.number, detail=why)
        raise ArchflowError("; ".join(f"worker {worker.number}: {why}" for worker, why in refusals.items()))

    def _serving(self) -> list[Worker]:
        """The workers that serve; one that is being started catches up when it does."""
        return [worker for worker in self._workers if worker.serving]

    async def _hand(self, worker: Worker) -> str:
        """Give a worker the graph of now; returns why it does not serve it. Blocks."""
        answer = await worker.ask(Swap(str(self._graph)), START)
        if isinstance(answer, Serving):
            worker.serving = answer.digest
            return ""
        return answer.reason if isinstance(answer, Refused) else SILENT

    async def stop(self) -> None:
        """Drain every worker. Blocks until they are gone, or `drain` seconds and a little more have passed."""
        self.draining = True
        running = [worker.process for worker in self._workers if worker.process is not None]
        for process in running:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
        with trio.move_on_after(self._drain + 5):
            for process in running:
                await process.wait()
        for process in running:
            if process.returncode is None:
                process.kill()

    def give_up(self) -> None:
        """End every worker now, whatever it does, and leave nothing behind."""
        for worker in self._workers:
            if worker.process is not None and worker.process.returncode is None:
                worker.process.kill()
        self._clean()

    def _clean(self) -> None:
        """Leave nothing in the file system."""
        self._folder.cleanup()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    async def snapshot(self) -> Snapshot:
        """The numbers of all workers together. Blocks for those that are slow to answer."""
        await self._listen()
        return merge(worker.numbers for worker in self._workers)

    async def _listen(self) -> None:
        async with trio.open_nursery() as nursery:
            for worker in self._workers:
                nursery.start_soon(worker.listen)

    def ready(self) -> str:
        """An empty string when every worker serves, else why not."""
        if self.draining:
            return "draining"
        missing = [str(worker.number) for worker in self._workers if not worker.serving]
        return f"worker {', '.join(missing)} not serving yet" if missing else ""

    def _load(self) -> Program:
        """A new generation in the private folder, checked."""
        folder = Path(self._folder.name)
        number = self._generation + 1
        graph = folder / f"{number}.bin"
        try:
            self._put(folder, graph)
        except OSError as error:
            raise ArchflowError(f"{self._path} cannot be put into {folder}: {os_reason(error)}") from error
        program = load.load(graph, self._environment(), self._path)
        self._generation, self._graph = number, graph
        return program

    def _put(self, folder: Path, graph: Path) -> None:
        """Compile or copy what is to be served into the private folder."""
        if load.is_configuration(self._path):
            compiled = load.compile_to(self._path, folder, self._findings)
            compiled.rename(graph)
            source = compiled.with_suffix(".secrets")
            if source.exists():
                source.rename(graph.with_suffix(".secrets"))
        else:
            _copy(self._path, graph)
            if self._path.with_suffix(".secrets").exists():
                _copy(self._path.with_suffix(".secrets"), graph.with_suffix(".secrets"))

    def _environment(self) -> dict[str, str]:
        return {**load.read_env_file(self._path.parent / ".env"), **load.environment()}

    async def _keep(self, worker: Worker, *, task_status: trio.TaskStatus[None]) -> None:
        """Run a worker, and another when it dies."""
        pause, longest = BACK_OFF
        started = False
        while not self._stopping():
            began = time.monotonic()
            refused = await self._start(worker)
            if refused and not started:
                self._failure = self._failure or ArchflowError(refused)
                self.draining = True
                task_status.started()
                await self.stop()
                return
            if not started:
                started = True
                task_status.started()
            await self._catch_up(worker)
            process = worker.process
            assert process is not None  # noqa: S101 - _start made it
            status = await process.wait()
            await worker.buried()
            if self._stopping():
                return
            if time.monotonic() - began > STEADY:
                pause = BACK_OFF[0]
            why = {"detail": refused} if refused else {}
            self._log(
                "worker_died", level="error", worker=worker.number, status=status, restart_in=pause, **why
            )
            await trio.sleep(pause)
            pause = min(pause * 2, longest)

    async def _catch_up(self, worker: Worker) -> None:
        """Give a worker the graph that was swapped in while it started."""
        while worker.serving and self.program is not None and worker.serving != self.program.digest:
            if reason := await self._hand(worker):
                self._log("worker_behind", level="error", worker=worker.number, detail=reason)
                return
        self._tidy()

    def _tidy(self) -> None:
        """Remove the graphs before this one, once every worker serves it: one that starts may still read an older."""
        if self.program is not None and all(one.serving == self.program.digest for one in self._workers):
            for file in Path(self._folder.name).iterdir():
                if file.stem.isdigit() and int(file.stem) < int(self._graph.stem):
                    with contextlib.suppress(OSError):  # what stays goes with the folder
                        file.unlink()

    def _stopping(self) -> bool:
        return self.draining  # a call, because it changes while `_keep` waits

    async def _start(self, worker: Worker) -> str:
        """Start a worker and wait until it serves; returns why it does not."""
        try:
            ours, worker.process = await self._open()
        except (
            OSError,
            ArchflowError,
        ) as error:  # no room for another process, or an .env that cannot be read
            why = os_reason(error) if isinstance(error, OSError) else str(error)
            return f"worker {worker.number} cannot be started: {why}"
        worker.line = Line(trio.SocketStream(trio.socket.from_stdlib_socket(ours)))
        with trio.move_on_after(START):
            answer = await worker.line.answer()
            if isinstance(answer, Serving):
                worker.serving = answer.digest
                self._log("worker_serving", worker=worker.number, pid=worker.process.pid)
                return ""
            if isinstance(answer, Refused):
                return answer.reason
            return f"worker {worker.number} ended before it served"
        worker.process.kill()
        return f"worker {worker.number} did not serve within {START:g} s"

    async def _open(self) -> tuple[socket.socket, trio.Process]:
        """A new process, and our end of the line to it. Raises OSError if there can be none."""
        ours, theirs = socket.socketpair()
        try:
            command = [sys.executable, "-m", "archflow_engine", str(self._graph), *self._options]
            command += ["--home", str(self._path)]
            process = await trio.lowlevel.open_process(
                [*command, "--control", str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        return ours, process


def _lasting(snapshot: Snapshot) -> Snapshot:
    """What stays true of a worker that is gone: no gauges."""
    gauges = {family.name for family in FAMILIES if family.type == "gauge"}
    values = {name: values for name, values in snapshot.values.items() if name not in gauges}
    return Snapshot(values, snapshot.histograms)


def _lock(folder: str) -> int:
    """Hold a lock on a folder: what removes old temporary files (systemd-tmpfiles) leaves a locked one alone.

    A worker that dies after weeks is started again with what is there.
    """
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    with contextlib.suppress(OSError):  # a file system without locks
        fcntl.flock(held, fcntl.LOCK_SH)
    return held


def _copy(source: Path, target: Path) -> None:
    try:
        data = source.read_bytes()
    except OSError as error:
        raise ArchflowError(f"{source} cannot be read: {os_reason(error)}") from error
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)

"""What `archrun` does: one worker in this process, or a supervisor with several; signals, watching, the admin endpoint.

Rule: this is the only place that handles signals.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trio
from msgspec import Struct

from archflow_engine import load, log
from archflow_engine.admin import Admin
from archflow_engine.bind import describe
from archflow_engine.control import AskNumbers, Line, Numbers, Refused, Serving
from archflow_engine.front.serve import open_sockets
from archflow_engine.gateway import Gateway
from archflow_engine.scheduling import wake_promptly
from archflow_plugins.memory import give_back
from archflow_schema.errors import ArchflowError

if TYPE_CHECKING:
    from hypercorn.config import Sockets

    from archflow_plugins.registry import Policy

Log = Callable[..., None]
KEPT = 8 * 1024 * 1024
"""Freed bytes that the process keeps for what comes next."""


class Options(Struct, frozen=True, kw_only=True):
    """The command line of `archrun`."""

    graph: Path
    admin: tuple[str, int] | None
    admin_asked: bool
    workers: int
    drain: float
    watch: bool
    plugins: Policy
    log_format: str
    log_level: str
    control: int | None
    home: Path | None
    """The file that the supervisor was given, for a worker, whose `graph` is a private copy."""


def run(options: Options) -> None:
    """Run until told to stop. Blocks.

    Raises:
        ArchflowError: it cannot run; nothing was served.
    """
    say = log.configure(options.log_format, options.log_level)
    keep_freed_memory()
    wake_promptly()
    if options.control is not None:
        trio.run(_worker, options, say)
    elif options.workers > 1:
        trio.run(_supervisor, options, say)
    else:
        trio.run(_alone, options, say)


async def _alone(options: Options, say: Log) -> None:
    """One worker in this process."""
    seen = _content(options.graph)
    findings = _findings(options, say)
    program = load.load(options.graph, load.environment(), log=findings)
    gateway = Gateway(say, policy=options.plugins)
    admin = Admin(
        snapshot=_ready_made(gateway.snapshot),
        graph=lambda: _described(gateway),
        ready=lambda: (
            "draining" if gateway.draining else "" if gateway.plan is not None else "not serving yet"
        ),
    )

    async def reload() -> None:
        environment = load.environment()
        await gateway.swap(
            await trio.to_thread.run_sync(load.load, options.graph, environment, None, findings)
        )

    await _serve(
        options, seen, say, admin, start=lambda status: gateway.run(program, task_status=status), reload=reload,
        stop=lambda: gateway.drain(options.drain), give_up=gateway.flush,
    )  # fmt: skip


async def _supervisor(options: Options, say: Log) -> None:
    """Several workers in processes of their own."""
    from archflow_engine.supervise import Supervisor

    passed = ["--plugins", options.plugins, "--drain", str(options.drain)]
    passed += ["--log-format", options.log_format, "--log-level", options.log_level]
    seen = _content(options.graph)
    supervisor = Supervisor(
        options.graph, options.workers, passed, options.drain, say, _findings(options, say)
    )
    supervisor.prepare()
    admin = Admin(
        snapshot=supervisor.snapshot,
        graph=lambda: (
            describe(supervisor.program.graph, supervisor.program.digest) if supervisor.program else {}
        ),
        ready=supervisor.ready,
    )
    await _serve(
        options, seen, say, admin, start=lambda status: supervisor.run(task_status=status), reload=supervisor.swap,
        stop=supervisor.stop, give_up=supervisor.give_up,
    )  # fmt: skip


async def _worker(options: Options, say: Log) -> None:
    """One of several workers: a supervisor is on the line."""
    assert options.control is not None  # noqa: S101 - run() asked
    line = Line(trio.SocketStream(trio.socket.from_stdlib_socket(socket.socket(fileno=options.control))))
    gateway = Gateway(say, policy=options.plugins, shared=True)
    try:
        program = load.load(options.graph, load.environment(), options.home)
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async with trio.open_nursery() as nursery:
                await nursery.start(lambda *, task_status: gateway.run(program, task_status=task_status))
                _settle_memory()
                await line.send(Serving(program.digest))
                nursery.start_soon(_obey, line, gateway, options.home)
                async for _ in signals:
                    break
                nursery.start_soon(_hurry, signals, gateway.flush)
                await gateway.drain(options.drain)
                nursery.cancel_scope.cancel()
    except* ArchflowError as group:
        await line.send(Refused("; ".join(str(error) for error in _leaves(group))))


async def _obey(line: Line, gateway: Gateway, home: Path | None) -> None:
    """Answer the supervisor; when it is gone, so are we, kindly."""
    while True:
        question = await line.question()
        if question is None:
            signal.raise_signal(signal.SIGTERM)
            return
        if isinstance(question, AskNumbers):
            await line.send(Numbers.of(gateway.snapshot()))
            continue
        try:
            program = await trio.to_thread.run_sync(load.load, Path(question.path), load.environment(), home)
            await gateway.swap(program)
        except ArchflowError as error:
            await line.send(Refused(str(error)))
        else:
            await line.send(Serving(program.digest))


async def _serve(
    options: Options,
    seen: bytes,
    say: Log,
    admin: Admin,
    *,
    start: Callable[[Any], Awaitable[None]],
    reload: Callable[[], Awaitable[None]],
    stop: Callable[[], Awaitable[None]],
    give_up: Callable[[], None],
) -> None:
    """What both ways of running share: the admin endpoint, signals and watching.

    Args:
        options: the command line.
        seen: the content that runs.
        say: the log.
        admin: the endpoint.
        start: serves until `stop`.
        reload: swaps the graph in.
        stop: drains.
        give_up: the last thing to do before the process ends without draining.
    """
    sockets = _admin_sockets(options, say)
    refused: list[ArchflowError] = []
    swapping = trio.Lock()

    async def guarded(*, task_status: trio.TaskStatus[None]) -> None:
        try:
            await start(task_status)
        except ArchflowError as error:
            refused.append(error)
            task_status.started()
            nursery.cancel_scope.cancel()

    async def swap() -> None:
        if swapping.statistics().tasks_waiting:
            return  # that one has not read the file yet
        try:
            async with swapping:  # or what was read first might be served last
                await reload()
        except ArchflowError as error:
            say(
                "graph_refused", level="error", detail=str(error), serving="the graph that was running before"
            )

    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        async with trio.open_nursery() as nursery:
            await nursery.start(guarded)
            if sockets is not None:
                nursery.start_soon(admin.serve, sockets)
            if options.watch:
                nursery.start_soon(_watch, options.graph, seen, swap)
            _settle_memory()
            async for number in signals:
                if number == signal.SIGHUP:
                    nursery.start_soon(swap)
                    continue
                say("draining", signal=signal.Signals(number).name, seconds=options.drain)
                nursery.start_soon(_hurry, signals, give_up)
                await stop()
                say("stopped")
                nursery.cancel_scope.cancel()
                break
    if refused:
        raise refused[0]


async def _hurry(signals: Any, give_up: Callable[[], None]) -> None:
    """A second SIGTERM or SIGINT while draining: go now, without unwinding tasks that may wait for others."""
    async for number in signals:
        if number != signal.SIGHUP:
            give_up()
            os._exit(1)


def _content(path: Path) -> bytes:
    """A digest of what a file holds now; empty if it cannot be read."""
    import hashlib

    try:
        return hashlib.sha256(path.read_bytes()).digest()
    except OSError:
        return b""


async def _watch(path: Path, seen: bytes, swap: Callable[[], Awaitable[None]]) -> None:
    """Swap whenever the file's content changes. Watches the folder, as editors and deployments replace files.

    Looks once a second besides: a change while the watch was being set up would give no event.
    """
    import watchfiles

    async for _ in watchfiles.awatch(
        path.parent, recursive=False, debounce=100, step=20, rust_timeout=1000, yield_on_timeout=True
    ):
        now = _content(path)
        if now and now != seen:
            seen = now
            await swap()


def _admin_sockets(options: Options, say: Log) -> Sockets | None:
    if options.admin is None:
        return None
    try:
        return open_sockets(*options.admin, shared=False)
    except ArchflowError as error:
        if options.admin_asked:
            raise
        say("admin_unavailable", level="warning", detail=f"{error}; choose another address with --admin")
        return None


def keep_freed_memory() -> None:
    """Let the C library keep what is freed for the next request, rather than hand it back to the kernel each time.

    glibc returns the top of its heap when 128 KB of it are free, and for the next large body takes it again, page by
    page: a third of what a relayed body of 32 KB costs. It stops by itself once it has freed a block that had a mapping
    of its own, and then keeps twice the size of that block; other allocators are not impressed.
    """
    bytes(KEPT // 2)  # never written to, so it takes no memory


def _settle_memory() -> None:
    """What lives now lives on: take it out of every later garbage collection. What it took to get here is over."""
    gc.collect()
    gc.freeze()
    give_back()


def _findings(options: Options, say: Log) -> Log | None:
    """Where what `archc` finds goes: into a log that machines read, or as it is to people."""
    return say if options.log_format == "json" else None


def _ready_made(value: Callable[[], Any]) -> Callable[[], Awaitable[Any]]:
    async def get() -> Any:
        return value()

    return get


def _described(gateway: Gateway) -> dict[str, Any]:
    return describe(gateway.plan.graph, gateway.plan.digest) if gateway.plan is not None else {}


def _leaves(group: BaseExceptionGroup[Any]) -> list[BaseException]:
    found: list[BaseException] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found

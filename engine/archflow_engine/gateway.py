"""A worker: one hub, its listeners, and the plan they serve, which can be swapped while they do.

Swapping is atomic. The new graph is loaded, bound, and its addresses opened first; only when all of that worked do the
listeners turn to it. Requests under way finish on the plan they began on, which is closed after the last of them.

Rule: a graph that cannot be run changes nothing: the old one serves on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import trio

from archflow_engine import metrics as names
from archflow_engine.ask import current
from archflow_engine.bind import bind
from archflow_engine.exchange import Exchange
from archflow_engine.front.serve import Front, server_tls
from archflow_engine.hub import Hub
from archflow_engine.load import Program
from archflow_engine.metrics import Metrics, Snapshot
from archflow_engine.plan import Plan
from archflow_plugins.registry import Policy, Registry
from archflow_schema.errors import ArchflowError, UpstreamError

if TYPE_CHECKING:
    from collections.abc import Awaitable

FLUSH = 1.0
"""Seconds between two writes of what tracers batched."""
FAREWELL = 1.0
"""Seconds that clients have, when the drain is over, to take the last words of what was cut."""
THREADS = 4
"""Blocking calls of kinds that may run at once."""


class Gateway:
    """One worker.

    Attributes:
        plan: what new requests meet.
        draining: whether it is stopping.
    """

    def __init__(self, log: Callable[..., None], *, policy: Policy = "locked", shared: bool = False) -> None:
        self.plan: Plan | None = None
        self.draining = False
        self.metrics = Metrics()
        self.hub = Hub(self._trouble)
        self._log = log
        self._policy: Policy = policy
        self._shared = shared
        self._fronts: dict[tuple[str, int], Front] = {}
        self._retired: set[Front] = set()
        self._nursery: trio.Nursery | None = None
        self._threads = trio.CapacityLimiter(THREADS)
        self._swapping = trio.Lock()
        self._done = trio.Event()
        self._plans: set[Plan] = set()

    async def run(
        self, program: Program, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Serve until `drain` is over. Blocks.

        Raises:
            ArchflowError: the program cannot be run here.
        """
        refused: ArchflowError | None = None
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                await nursery.start(self.hub.run)
                nursery.start_soon(self._flush)
                try:
                    await self.swap(program)
                except ArchflowError as error:
                    refused = error
                else:
                    task_status.started()
                    await self._done.wait()
                nursery.cancel_scope.cancel()
        finally:
            with trio.CancelScope(shield=True):
                for plan in list(self._plans):
                    await plan.close()
        if refused is not None:
            raise refused  # outside the nursery, which would wrap it in a group

    async def swap(self, program: Program) -> None:
        """Serve another graph from now on. Blocks while it is bound.

        Raises:
            ArchflowError: it cannot be run; the old one serves on.
        """
        began = time.monotonic()
        async with self._swapping:
            try:
                await self._swap(program)
            except ArchflowError:
                self.metrics.count(names.SWAPS, ("refused",))
                raise
        self.metrics.count(names.SWAPS, ("accepted",))
        for warning in program.warnings:
            self._log("secrets_exposed", level="warning", detail=warning)
        self._log(
            "serving",
            digest=program.digest[:12],
            source=program.graph.source,
            listeners=[f"{name} on {address}:{port}" for name, (address, port) in self.addresses.items()],
            bound_in_ms=round((time.monotonic() - began) * 1000, 1),
        )

    async def _swap(self, program: Program) -> None:
        assert self._nursery is not None  # noqa: S101 - run() comes first
        registry = Registry.for_graph(program.graph.requires, self._policy)
        for drift in registry.drift:
            self._log("plugin_drift", level="warning", detail=drift)
        plan = await bind(program, registry, self.hub, self.metrics, offload=self._offload, log=self._log)
        opened: dict[tuple[str, int], Front] = {}
        try:
            for front in self._retired:
                await front.closed.wait()  # the new graph may want its address back
            for address, listener in plan.listeners.items():
                if address not in self._fronts:
                    opened[address] = Front(self.hub, listener, shared=self._shared)
                elif listener.listener.tls is not None:
                    server_tls(listener.listener.tls)
        except BaseException:
            for front in opened.values():
                front.close()
            await plan.close()
            raise
        for address, front in list(self._fronts.items()):
            if address in plan.listeners:
                front.swap(plan.listeners[address])
            else:
                del self._fronts[address]
                self._retired = {one for one in self._retired if one.connections} | {front}
                front.stop()
        for address, front in opened.items():
            self._fronts[address] = front
            self._nursery.start_soon(front.run)
        old, self.plan = self.plan, plan
        self._plans.add(plan)
        if old is not None:
            old.retire()
            self._nursery.start_soon(self._close_when_idle, old)

    async def _close_when_idle(self, plan: Plan) -> None:
        await plan.idle.wait()
        self._plans.discard(plan)
        await plan.close()

    async def drain(self, seconds: float) -> None:
        """Stop kindly: accept nothing, finish what is under way within `seconds`, then end `run`. Blocks.

        What is not finished by then is told so, and cut.
        """
        self.draining = True
        fronts = [*self._fronts.values(), *self._retired]
        for front in fronts:
            front.stop()
        with trio.move_on_after(seconds) as scope:
            for front in fronts:
                await front.empty.wait()
            await self.hub.farewell()
        if scope.cancelled_caught:
            cut = sum(plan.live for plan in self._plans)
            self._log("drain_timed_out", level="warning", seconds=seconds, requests_cut=cut)
            for timed in list(self.hub.timed):
                if isinstance(timed, Exchange):
                    timed.shut_down()
            with trio.move_on_after(FAREWELL):
                await self.hub.farewell()
            for front in fronts:
                front.abandon()
        self._done.set()

    @property
    def addresses(self) -> dict[str, tuple[str, int]]:
        """Where each listener, by name, takes clients: the address and the real port."""
        return {front.plan.name: (front.address, front.port) for front in self._fronts.values()}

    def snapshot(self) -> Snapshot:
        """The numbers of this worker."""
        for plan in self._plans:
            plan.tell()
        gauges: list[tuple[names.Family, names.Labels, float]] = [
            (names.CONNECTIONS, (front.plan.name,), float(front.connections))
            for front in self._fronts.values()
        ]
        gauges.append((names.IN_FLIGHT, (), float(sum(plan.live for plan in self._plans))))
        if self.plan is not None:
            gauges.append((names.INFO, (self.plan.digest,), 1.0))
            gauges += self.plan.gauges()
        return self.metrics.snapshot(gauges)

    def flush(self) -> None:
        """Let the tracers write what they batched."""
        for plan in self._plans:
            plan.flush()

    async def _flush(self) -> None:
        while True:
            await trio.sleep(FLUSH)
            self.flush()

    def _offload(self, work: Callable[[], object]) -> Awaitable[object]:
        return trio.to_thread.run_sync(work, limiter=self._threads)

    def _trouble(self, error: BaseException) -> None:
        """A service that does not answer is told in a line; all else is a bug, with its traceback."""
        if isinstance(error, UpstreamError):
            exchange = current.get()
            asking = {} if exchange is None else {"request_id": exchange.record.request_id}
            self.metrics.count(names.SERVICE_FAILURES, ())
            self._log("service_failed", level="warning", detail=str(error), **asking)
            return
        self.metrics.count(names.TROUBLE, ())
        self._log("internal_error", level="error", exc_info=error)

"""The walk through the graph: node -> outcome -> edge -> node, until one answers or sends the request upstream.

A node that need not wait is run at once by whoever drives the exchange. At the first that must wait, the walk moves
into a trio task, under a cancel scope that the exchange closes when the client leaves.

Rule: a node never calls the next one; it returns it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import trio

from archflow_engine.ask import current

if TYPE_CHECKING:
    from archflow_engine.exchange import Exchange


class Runner:
    """A node made live. One serves all exchanges, so it keeps nothing about one.

    A node writes `run`, or `run_waiting` if it waits; tests/house/test_written.py looks for them in each.

    Attributes:
        edges: outcome -> the next runner; None where the walk ends. Filled by `bind`.
        waits: whether it must be awaited; then `run_waiting` is called, else `run`.
    """

    waits: ClassVar[bool] = False

    def __init__(self, name: str) -> None:
        self.name = name
        self.edges: dict[str, Runner | None] = {}

    def run(self, exchange: Exchange) -> Runner | None:
        """Do this step; the next runner, or None when the walk is over."""
        raise NotImplementedError

    async def run_waiting(self, exchange: Exchange) -> Runner | None:
        """As `run`, for a node that waits. Blocks; cancelled when the client leaves."""
        return self.run(exchange)


def walk(exchange: Exchange, runner: Runner | None) -> None:
    """Walk from `runner` as far as it goes without waiting, then hand over to a task if need be."""
    try:
        while runner is not None:
            if runner.waits:
                exchange.plan.hub.spawn(_waiting, exchange, runner)
                return
            runner = runner.run(exchange)
    except Exception as error:  # noqa: BLE001 - whatever a plugin raises is answered, logged and traced
        exchange.trouble(error)


async def _waiting(exchange: Exchange, runner: Runner | None) -> None:
    current.set(exchange)
    with trio.CancelScope() as scope:
        exchange.enter(scope)
        try:
            while runner is not None and not exchange.over:  # a node need not notice that it was cancelled
                runner = await runner.run_waiting(exchange) if runner.waits else runner.run(exchange)
        except Exception as error:  # noqa: BLE001 - as in walk
            exchange.trouble(error)
    exchange.leave(scope)

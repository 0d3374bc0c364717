"""Has a filter change the reply: before somebody is asked, this node puts the filter into the reply's way.

Rule: a filter that fails ends the reply; what it should have changed never goes on unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import trio

from archflow_engine.nodes.filter import told_failure, told_refusal
from archflow_engine.stages import Ended, Stage
from archflow_engine.walk import Runner
from archflow_plugins.kinds import Filter
from archflow_schema.errors import FilterRefused
from archflow_schema.events import Failed

if TYPE_CHECKING:
    from archflow_engine.exchange import Exchange
    from archflow_engine.sieve import Sieve


class SiftNode(Runner):
    """Runs a filter kind over replies."""

    def __init__(self, name: str, who: str, filtering: Filter) -> None:
        """Args: `who` is the filter's id, for clients."""
        super().__init__(name)
        self._who = who
        self._filter = filtering

    def run(self, exchange: Exchange) -> Runner | None:
        if exchange.sifts is None:
            exchange.sifts = []
        exchange.sifts.append(self)
        return self.edges["ready"]

    def stage(self, exchange: Exchange, sieve: Sieve) -> Stage[bytes]:
        """The filter before one reply."""
        return _Sifting(self, exchange, sieve)

    async def filtered(self, exchange: Exchange, body: bytes, *, stream: bool) -> bytes:
        """What goes on in a portion's place. Blocks.

        Raises:
            Ended: nothing does.
        """
        try:
            return await self._filter.reply(exchange.request.path, body, stream=stream)
        except FilterRefused as refused:
            told_refusal(exchange, self._who, refused)
            outcome = "refused"
        except trio.Cancelled:
            raise
        except Exception as error:  # noqa: BLE001 - a filter that fails lets nothing pass
            told_failure(exchange, self._who, error)
            outcome = "failed"
        raise Ended(self.edges[outcome], [Failed(f"filter_{outcome}", exchange.error)])


def behind(runner: Runner | None) -> list[SiftNode]:
    """The filters of replies that a request from here passes, if guards let it."""
    found = []
    while runner is not None:
        if isinstance(runner, SiftNode):
            found.append(runner)
        runner = runner.edges.get("ready", runner.edges.get("allow"))
    return found


class _Sifting:
    """One reply before one filter; a `Stage`."""

    def __init__(self, node: SiftNode, exchange: Exchange, sieve: Sieve) -> None:
        self._node = node
        self._exchange = exchange
        self._sieve = sieve

    def feed(self, portions: Sequence[bytes]) -> Sequence[bytes] | None:
        """Filters are always waited for."""

    async def feed_waiting(self, portions: Sequence[bytes]) -> Sequence[bytes]:
        said = await self._node.filtered(self._exchange, b"".join(portions), stream=self._sieve.stream)
        return [said] if said else []

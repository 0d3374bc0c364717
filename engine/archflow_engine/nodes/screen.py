"""Has a guard judge the reply: before the model is asked, this node puts a stage into the reply's way.

Rule: a guard that failed denies, unless the graph says that it fails open; it is recorded as failed either way.
Rule: a reply that cannot be read is not asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from archflow_engine.nodes.judged import OfReply
from archflow_engine.screening import Screening
from archflow_engine.stages import put
from archflow_engine.walk import Runner
from archflow_plugins.kinds import Guard

if TYPE_CHECKING:
    from archflow_engine.exchange import Exchange


class ScreenNode(Runner):
    """Runs a guard over replies."""

    def __init__(self, name: str, guard: Guard, label: str, *, fail_open: bool) -> None:
        """Args: `label` is what clients are told that it is called; `fail_open` what a failure means."""
        super().__init__(name)
        self._label = label or name
        self._open = fail_open
        self._guard = guard

    def run(self, exchange: Exchange) -> Runner | None:
        dialect = exchange.dialect
        assert dialect is not None  # noqa: S101 - set by begin()
        if dialect.translates:
            put(exchange, lambda: self._stage(exchange))
        elif not dialect.silent:
            exchange.refuse(
                400,
                "unsupported_dialect",
                f"the guard {self._label} cannot judge replies in {exchange.record.dialect}: use another API",
            )
            return None
        return self.edges["ready"]

    def _stage(self, exchange: Exchange) -> Screening:
        judge = OfReply(exchange, self, self._label, fail_open=self._open)
        return Screening(self._guard.screens(lambda: exchange.conversation), judge)

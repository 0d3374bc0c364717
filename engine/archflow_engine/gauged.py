"""A gauge kind that ranks models, and that is renewed beside the requests.

Rule: a request never waits for a gauge; it is ranked by the numbers that are there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from archflow_plugins.deciding.ranking import ranked
from archflow_plugins.kinds import Gauge
from archflow_schema.errors import ArchflowError


class Gauged:
    """A gauge kind that ranks, and that is renewed beside the requests."""

    def __init__(self, gauge: Gauge, spawn: Callable[..., None], log: Callable[..., None]) -> None:
        self._gauge = gauge
        self._log = log
        self._spawn = spawn
        self._renewing = False

    def rank(self, models: Sequence[str]) -> tuple[str, ...]:
        """Models by their numbers as they are now; stale ones are got anew meanwhile."""
        if self._gauge.stale and not self._renewing:
            self._renewing = True
            self._spawn(self._renew)
        return ranked(models, self._gauge.readings())

    async def _renew(self) -> None:
        try:
            await self._gauge.renew()
        except ArchflowError as error:
            self._log("gauge_failed", level="warning", gauge=self._gauge.kind, detail=str(error))
        finally:
            self._renewing = False

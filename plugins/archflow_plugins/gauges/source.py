"""A source of numbers that is asked now and then over HTTP: when it is asked, and what becomes of its answer.

Rule: an answer that cannot be read changes nothing, and is not asked for again at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping

import msgspec
from msgspec import Struct

from archflow_plugins.contexts import RunContext
from archflow_plugins.kinds import Gauge
from archflow_schema.errors import ArchflowError
from archflow_schema.text import Text

TIMEOUT = 20.0
RETRY = 60.0
"""Seconds after a failure until it is asked again, if it is not asked less often anyway."""


class Measured(Struct, frozen=True, array_like=True):
    """A model that wants a number.

    Attributes:
        name: as `/v1/models` names it.
        vendor: who makes it, as in the table of vendors.
        id: what its vendor calls it.
    """

    name: str
    vendor: str
    id: str


def keys(models: Iterable[Measured], aliases: Iterable[tuple[str, str]] = ()) -> tuple[tuple[str, str], ...]:
    """What a source may call each model, and which model that is; aliases are the source's names and ours."""
    found = [
        (key, one.name)
        for one in models
        for key in dict.fromkeys((one.name, f"{one.vendor}/{one.id}", one.id))
    ]
    return tuple(dict.fromkeys((*aliases, *found)))


class Source:
    """Where numbers come from, and those that came last."""

    def __init__(
        self,
        ctx: RunContext,
        url: Text,
        interval: float,
        names: Iterable[tuple[str, str]],
        read: Callable[[bytes], Mapping[str, float]],
        known: Iterable[tuple[str, float]] = (),
    ) -> None:
        self.numbers = dict(known)
        self._ctx = ctx
        self._url = ctx.text(url)
        self._interval = interval
        self._names = tuple(names)
        self._read = read
        self._next = -math.inf

    @property
    def stale(self) -> bool:
        """Whether it is time to ask."""
        return self._ctx.clock() >= self._next

    async def renew(self) -> None:
        """Ask. Blocks.

        Raises:
            ArchflowError: there are no numbers, or they cannot be read.
        """
        self._next = self._ctx.clock() + min(RETRY, self._interval)
        answered = await self._ctx.fetch("GET", self._url, timeout=TIMEOUT)
        where = self._url.partition("?")[0]
        if answered.status != 200:
            raise ArchflowError(f"{self._ctx.name}: {where} answered with status {answered.status}")
        try:
            told = await self._ctx.offload(lambda: self._read(answered.body))
        except msgspec.MsgspecError as error:
            raise ArchflowError(f"{self._ctx.name}: what {where} answers cannot be read: {error}") from error
        self.numbers |= {
            model: told[key] for key, model in reversed(self._names) if math.isfinite(told.get(key, math.nan))
        }
        self._next = self._ctx.clock() + self._interval


class SourceGauge(Gauge):
    """A gauge whose numbers are those of one source, which it makes when it is opened."""

    _source: Source

    def readings(self) -> Mapping[str, float]:
        return self._source.numbers

    @property
    def stale(self) -> bool:
        return self._source.stale

    async def renew(self) -> None:
        await self._source.renew()

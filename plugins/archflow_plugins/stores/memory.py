"""Counters and values in this process.

Counters follow the generic cell rate algorithm, one number per bucket. Source: ITU-T I.371 annex A (virtual
scheduling), and the documented behaviour of the `governor` crate, which Arch uses: a quota of N per period admits a
burst of N at once and then one unit every period / N. A bucket is its theoretical arrival time: the moment at which it
will be full again. A bucket whose moment has passed is the same as no bucket, so it is forgotten.

Invariant: never more than `max_keys` buckets; the one charged longest ago gives way.
Invariant: never more than `max_values` values of `max_bytes` together; the one used longest ago gives way.
Rule: a cost above the capacity is never admitted, however long one waits; its `retry_after` is infinite.
"""

from __future__ import annotations

import math
from typing import Any

from msgspec import Struct

from archflow_plugins.contexts import RunContext
from archflow_plugins.kinds import Admission, Store

_SWEPT_PER_NEW_KEY = 2


class MemoryConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Configuration of the store in memory.

    Attributes:
        max_keys: how many buckets to keep; one takes about 150 bytes.
        max_values: how many values to keep.
        max_bytes: of all values and their keys together; a larger one is not kept at all.
    """

    max_keys: int = 100_000
    max_values: int = 10_000
    max_bytes: int = 64 * 1024 * 1024


class Memory(Store):
    """Buckets and values in dicts, in the order of their last use. Each worker has its own."""

    kind = "store.memory"
    config = MemoryConfig

    def __init__(self, compiled: Any, ctx: RunContext) -> None:
        super().__init__(compiled, ctx)
        self._clock = ctx.clock
        self._max_keys = max(1, compiled.max_keys)
        self._full_at: dict[str, float] = {}
        self._max_values = compiled.max_values
        self._max_bytes = compiled.max_bytes
        self._values: dict[str, tuple[bytes, float]] = {}
        """Key -> value, and when its time is over."""
        self._bytes = 0

    def __len__(self) -> int:
        """How many buckets are remembered."""
        return len(self._full_at)

    @property
    def size(self) -> int:
        """Bytes of all values and their keys."""
        return self._bytes

    # Counters.

    def charge_nowait(self, key: str, cost: float, capacity: float, period: float) -> Admission:
        now = self._clock()
        buckets = self._full_at
        full_at = max(buckets.get(key, now), now)
        if cost > capacity:
            return Admission(
                admitted=False, remaining=remaining(full_at - now, capacity, period), retry_after=math.inf
            )
        charged = full_at + cost * period / capacity
        wait = charged - now - period
        if wait > 1e-9:  # a nanosecond of grace, for the rounding of floats
            return Admission(
                admitted=False, remaining=remaining(full_at - now, capacity, period), retry_after=wait
            )
        self._put(key, charged, now)
        return Admission(admitted=True, remaining=remaining(charged - now, capacity, period))

    def settle_nowait(self, key: str, difference: float, capacity: float, period: float) -> None:
        now = self._clock()
        full_at = max(self._full_at.get(key, now), now) + difference * period / capacity
        if full_at > now:
            self._put(key, full_at, now)
        else:
            self._full_at.pop(key, None)

    def _put(self, key: str, full_at: float, now: float) -> None:
        buckets = self._full_at
        known = buckets.pop(key, None) is not None
        buckets[key] = full_at
        if known:
            return
        for oldest in [old for old, _ in zip(buckets, range(_SWEPT_PER_NEW_KEY), strict=False)]:
            if buckets[oldest] <= now:
                del buckets[oldest]
        while len(buckets) > self._max_keys:
            del buckets[next(iter(buckets))]

    # Values.

    def put_nowait(self, key: str, value: bytes, seconds: float) -> None:
        values, now = self._values, self._clock()
        self.delete_nowait(key)
        if seconds <= 0 or _size(key, value) > self._max_bytes:
            return
        for oldest in [old for old, _ in zip(values, range(_SWEPT_PER_NEW_KEY), strict=False)]:
            if values[oldest][1] <= now:
                self.delete_nowait(oldest)
        values[key] = (value, now + seconds)
        self._bytes += _size(key, value)
        while len(values) > self._max_values or self._bytes > self._max_bytes:
            self.delete_nowait(next(iter(values)))

    def get_nowait(self, key: str) -> bytes | None:
        found = self._values.pop(key, None)
        if found is None:
            return None
        value, over = found
        if over <= self._clock():
            self._bytes -= _size(key, value)
            return None
        self._values[key] = found  # as the one used last
        return value

    def delete_nowait(self, key: str) -> None:
        found = self._values.pop(key, None)
        if found is not None:
            self._bytes -= _size(key, found[0])


def _size(key: str, value: bytes) -> int:
    return len(key) + len(value)


def remaining(debt: float, capacity: float, period: float) -> float:
    """What is left in a bucket that needs `debt` seconds to be full."""
    return max(0.0, capacity * (1 - debt / period))

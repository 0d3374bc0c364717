"""How fast models were seen to answer: the time from a request to its reply's first byte, the newest counting most.

A model that nobody asked for a while has no number, so that it is tried again before it is passed over for ever.

Rule: memory is bounded by the number of models in the graph.
"""

from __future__ import annotations

from collections.abc import Sequence

from archflow_engine.hub import monotonic
from archflow_plugins.deciding.ranking import ranked
from archflow_plugins.record import Record

WEIGHT = 0.3
"""What the newest time counts."""
REMEMBERED = 300.0
"""Seconds after which a time means nothing any more."""


class Pace:
    """The times of some models."""

    def __init__(self, models: set[str]) -> None:
        self._models = models
        self._seen: dict[str, tuple[float, float]] = {}
        """Model -> seconds until the first byte, and when that was last seen."""

    def observe(self, record: Record) -> None:
        """Learn from a finished exchange."""
        if record.model not in self._models or not record.attempts or record.status >= 400:
            return
        attempt = record.attempts[-1]
        if attempt.first_byte < 0:
            return
        took = attempt.first_byte - attempt.began
        before = self._seen.get(record.model)
        if before is not None:
            took = before[0] + WEIGHT * (took - before[0])
        self._seen[record.model] = (took, monotonic())

    def rank(self, models: Sequence[str]) -> tuple[str, ...]:
        """Models, the fastest first; before them those of which nothing is known, for they have to be tried."""
        since = monotonic() - REMEMBERED
        numbers = {model: took for model, (took, seen) in self._seen.items() if seen > since}
        return ranked(models, numbers, unknown_first=True)

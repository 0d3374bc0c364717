"""The threshold that decides a user's own cases best: below it, what was found is taken for nothing.

Rule: of thresholds that do equally well the one closest to that in use is taken, so that nothing moves without a gain.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct


class Judged(Struct, frozen=True):
    """A case, and what a router makes of it.

    Attributes:
        route: what is right; empty for none.
        likeliest: the best option, whether or not it was sure enough.
        confidence: how sure it was.
    """

    route: str
    likeliest: str
    confidence: float

    def right(self, threshold: float) -> bool:
        """Whether it is right with a threshold."""
        return (self.likeliest if self.confidence >= threshold else "") == self.route


def right(cases: Iterable[Judged], threshold: float) -> int:
    """How many cases are right with a threshold."""
    return sum(case.right(threshold) for case in cases)


def best_threshold(cases: Sequence[Judged], now: float) -> float:
    """The threshold with which the most cases are right, in hundredths. Linear in the number of cases."""
    steps = {round(step / 100, 2) for step in range(101)}
    counted = {step: right(cases, step) for step in (*steps, now)}
    most = max(counted.values())
    if counted[now] == most:
        return now
    # The middle of the nearest stretch of equally good ones, so that no case sits on the edge.
    good = sorted(step for step, count in counted.items() if count == most and step in steps)
    nearest = min(good, key=lambda step: abs(step - now))
    stretch = [nearest]
    for direction in (1, -1):
        step = round(nearest + direction / 100, 2)
        while step in steps and counted[step] == most:
            stretch.append(step)
            step = round(step + direction / 100, 2)
    return round((min(stretch) + max(stretch)) / 2, 2)

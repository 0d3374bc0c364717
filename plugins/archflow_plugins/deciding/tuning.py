"""The thresholds that decide a user's own cases best.

Below one, what was found is taken for nothing; from another on, it is believed without asking anybody else.

Rule: of thresholds that do equally well the one closest to that in use is taken, so that nothing moves without a gain.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from msgspec import Struct

from archflow_plugins.kinds import Choice


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


def judged(route: str, choice: Choice) -> Judged:
    """A case: what is right, empty for none, and what was chosen."""
    return Judged(route, choice.scores[0][0] if choice.scores else "", choice.confidence)


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


def best_sure(cases: Sequence[Judged], now: float, least: float) -> float:
    """The lowest confidence, in hundredths, from which on no case is wrong: above it nobody else is asked.

    Args:
        cases: what is known.
        now: the one in use, which stays where it is as good: no case is wrong from it on, and none is asked more often.
        least: it is no lower; below, nothing is found.
    """
    wrong = max((case.confidence for case in cases if case.likeliest != case.route), default=least)
    surer = [case.confidence for case in cases if case.confidence > wrong]
    if not surer:
        return now if now > wrong or not cases else 1.0
    found = max(least, math.ceil((wrong + min(surer)) * 50) / 100)
    asked = sum(case.confidence < now for case in cases)
    if now > wrong and asked <= sum(case.confidence < found for case in cases):
        return now
    return found

"""Rates and areas with their confidence: what a count of so many can tell.

Source: E. B. Wilson (1927) for shares; J. A. Hanley and B. J. McNeil, Radiology 143 (1982), for areas.

Rule: no figure without its interval; 95 % everywhere.
"""

from __future__ import annotations

import math

import msgspec
import numpy as np

Z = 1.959964


class Figure(msgspec.Struct, frozen=True):
    """A share or an area, and the interval it lies in."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f} {self.high:.3f}]"


def share(hits: int, number: int) -> Figure:
    """So many of so many, with Wilson's interval."""
    if not number:
        return Figure(math.nan, math.nan, math.nan)
    rate, square = hits / number, Z * Z
    middle = (rate + square / (2 * number)) / (1 + square / number)
    half = Z * math.sqrt(rate * (1 - rate) / number + square / (4 * number * number)) / (1 + square / number)
    return Figure(rate, max(0.0, middle - half), min(1.0, middle + half))


def area(scores: np.ndarray, labels: np.ndarray) -> Figure:
    """The area under the ROC curve: how often an attack scores above an innocent text; ties count half."""
    positive, negative = np.sort(scores[labels == 1]), np.sort(scores[labels == 0])
    m, n = len(positive), len(negative)
    if not m or not n:
        return Figure(math.nan, math.nan, math.nan)
    below = (
        np.searchsorted(negative, positive, "left").sum() + np.searchsorted(negative, positive, "right").sum()
    )
    value = float(below / 2 / m / n)
    first, second = value / (2 - value), 2 * value * value / (1 + value)
    variance = value * (1 - value) + (m - 1) * (first - value**2) + (n - 1) * (second - value**2)
    error = Z * math.sqrt(max(0.0, variance) / m / n)
    return Figure(value, max(0.0, value - error), min(1.0, value + error))


def recall_at(scores: np.ndarray, labels: np.ndarray, rate: float) -> Figure:
    """The recall at the lowest threshold that lets at most this share of the set's own innocent texts through.

    The interval is of the recall alone: that the threshold is read off the same set is not in it.
    """
    negative = np.sort(scores[labels == 0])[::-1]
    bar = negative[int(rate * len(negative))]
    positive = scores[labels == 1]
    return share(int((positive > bar).sum()), len(positive))

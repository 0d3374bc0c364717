"""The order of a route's models: by a number that each has, the lowest first, or as they were given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence


def ranked(
    models: Sequence[str], numbers: Mapping[str, float], *, unknown_first: bool = False
) -> tuple[str, ...]:
    """Models by their numbers; those without one keep their order, after the others or before them."""
    known = sorted((model for model in models if model in numbers), key=numbers.__getitem__)
    unknown = [model for model in models if model not in numbers]
    return (*unknown, *known) if unknown_first else (*known, *unknown)


Ranking = Callable[[Sequence[str]], tuple[str, ...]]
"""Puts models into their order, as it is now."""

"""What each generation of Claude takes: how it is told to think, and which sampling it allows.

Source: Anthropic's "Adaptive thinking", "Extended thinking" and "Migrating to Claude Opus 4.7", 2026-11. Before 4.6 a
model thinks within a budget; 4.6 takes a budget or an effort; later ones decide themselves and refuse a budget and
every sampling parameter. From 4.1 to 4.6 a request may set `temperature` or `top_p`, not both.

Rule: what is old is listed, what is unknown counts as new: the list need not grow with each release.
Rule: a model that is not Claude's is asked as the client asked, by whatever name its vendor gave it.
"""

from __future__ import annotations

import re
from functools import lru_cache

from msgspec import Struct

_VERSION = re.compile(r"claude-?(?:[a-z]+-)?(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)")


class Generation(Struct, frozen=True, kw_only=True):
    """What a model takes.

    Attributes:
        thinks: whether it can be told to think at all.
        budget: it takes `thinking.budget_tokens`.
        adaptive: it takes `thinking.type: adaptive` and `output_config.effort`.
        xhigh: it knows the effort between high and max.
        sampling: it takes `temperature`, `top_p` and `top_k`.
        both: it takes `temperature` and `top_p` in one request.
        recalls: within a budget, a turn that answers its calls must show the thought behind them.
    """

    thinks: bool = True
    budget: bool = True
    adaptive: bool = True
    xhigh: bool = True
    sampling: bool = True
    both: bool = True
    recalls: bool = False


_STRANGER = Generation()
_NEWEST = Generation(budget=False, sampling=False)
_GENERATIONS: tuple[tuple[tuple[int, int], Generation], ...] = (
    ((3, 6), Generation(thinks=False, adaptive=False)),
    ((4, 0), Generation(adaptive=False, recalls=True)),
    ((4, 5), Generation(adaptive=False, both=False, recalls=True)),
    ((4, 6), Generation(xhigh=False, both=False, recalls=True)),
)
"""The last version of a generation, in order; what is later is the newest."""


@lru_cache(maxsize=1024)
def generation_of(model: str) -> Generation:
    """The generation of an upstream's model, by its name: `claude-opus-4-5-20251101`, `anthropic/claude-3.7-sonnet`."""
    name = model.lower()
    if "claude" not in name:
        return _STRANGER
    found = _VERSION.search(name)
    if found is None:
        return _NEWEST
    version = int(found[1]), int(found[2] or 0)
    return next((one for last, one in _GENERATIONS if version <= last), _NEWEST)

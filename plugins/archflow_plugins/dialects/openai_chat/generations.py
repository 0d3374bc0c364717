"""Which efforts of thought OpenAI's models take: they refuse a request with any other, and with any at all where
they do not think.

Source: OpenAI's reasoning guide and its descriptions of models, 2026-11.

Rule: what is old is listed; a model that is not, or is not OpenAI's, is asked as the client asked.
"""

from __future__ import annotations

import re
from functools import lru_cache

_ORDER = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_GENERATIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"(?:chat)?gpt-(?:35|[34](?!\d))", ()),
    (r"o[134](?!\d)", ("low", "medium", "high")),
    (r"gpt-5(?:\.\d)?-chat", ()),
    (r"gpt-5-pro", ("high",)),
    (r"gpt-5-codex", ("low", "medium", "high")),
    (r"gpt-5(?![.\d])", ("minimal", "low", "medium", "high")),
    (r"gpt-5\.1(?!\d)", ("none", "low", "medium", "high")),
    (r"gpt-5\.\d", ("none", "low", "medium", "high", "xhigh")),
)
"""How a name begins -> the efforts, from least to most."""
_PATTERNS = tuple((re.compile(rf"(?:^|[/:]){names}"), efforts) for names, efforts in _GENERATIONS)


@lru_cache(maxsize=1024)
def effort_for(model: str, effort: str) -> str:
    """The least effort that the model takes and that is no less than what was asked for; empty if it takes none."""
    taken = next((efforts for pattern, efforts in _PATTERNS if pattern.search(model.lower())), _ORDER)
    if effort in taken or effort not in _ORDER:
        return effort if taken else ""
    enough = (one for one in taken if _ORDER.index(one) >= _ORDER.index(effort))
    return next(enough, taken[-1] if taken else "")

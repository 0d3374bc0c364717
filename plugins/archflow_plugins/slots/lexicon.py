"""Words that extractors know: lexicon.toml, read once.

Rule: lists of words stand there, not in code; no name of a place, a person or a product is among them.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

_TABLES: dict[str, dict[str, str]] = tomllib.loads(
    Path(__file__).with_name("lexicon.toml").read_text("utf-8")
)


def said(name: str) -> frozenset[str]:
    """The words of a list, such as `words.stop`."""
    return frozenset(listed(name))


def listed(name: str) -> tuple[str, ...]:
    """The words of a list, in its order."""
    part, _, key = name.partition(".")
    return tuple(_TABLES[part][key].split())


def table(name: str) -> dict[str, frozenset[str]]:
    """All lists of a table, in their order."""
    return {key: frozenset(text.split()) for key, text in _TABLES[name].items()}

"""Did you mean ...: the known names that are close to one that nobody knows.

Rule: pure text; it knows no keys and no models.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

MAX_CANDIDATES = 20_000


def close(word: str, known: Iterable[str], count: int = 3) -> tuple[str, ...]:
    """The known names that are close to a word, closest first.

    Args:
        word: what was written.
        known: what could have been meant.
        count: at most so many.
    """
    candidates = list(dict.fromkeys(known))[:MAX_CANDIDATES]
    folded = {candidate.casefold(): candidate for candidate in reversed(candidates)}
    found = get_close_matches(word.casefold(), folded, n=count, cutoff=0.6)
    return tuple(folded[one] for one in found)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A fix that names the close ones: `did you mean "gpt-4o"?`; empty if none is close."""
    found = close(word, known)
    return f"did you mean {quoted(found)}?" if found else ""


def quoted(names: Iterable[str]) -> str:
    """Alternatives for a message: `"a" or "b"`."""
    return " or ".join(f'"{name}"' for name in names)


def listed(names: Iterable[str], count: int = 8) -> str:
    """Names for a message: `a, b, c and 5 more`."""
    shown = list(names)
    if not shown:
        return "none"
    if len(shown) <= count:
        return ", ".join(shown)
    return ", ".join(shown[:count]) + f" and {len(shown) - count} more"

"""Did you mean ...: the known names that are close to one that nobody knows, and lists of names in words.

Rule: pure text; it knows no keys and no models.
Rule: only a mistake pays for `difflib`, which is slow to import.
"""

from __future__ import annotations

from collections.abc import Iterable

MAX_CANDIDATES = 20_000
LONGEST = 200
"""Characters of a word that are compared: it may be a stranger's."""


def close(word: str, known: Iterable[str], count: int = 3, *, cutoff: float = 0.6) -> tuple[str, ...]:
    """The known names that are close to a word, closest first.

    Args:
        word: what was written.
        known: what could have been meant.
        count: at most so many.
        cutoff: how close, from 0 to 1; names that begin or end alike need less.
    """
    from difflib import get_close_matches

    candidates = list(dict.fromkeys(known))[:MAX_CANDIDATES]
    folded = {candidate.casefold(): candidate for candidate in reversed(candidates)}
    found = get_close_matches(word[:LONGEST].casefold(), folded, n=count, cutoff=cutoff)
    return tuple(folded[one] for one in found)


def did_you_mean(word: str, known: Iterable[str], *, cutoff: float = 0.6, mark: str = '"') -> str:
    """A fix that names the close ones: `did you mean "gpt-4o"?`; empty if none is close.

    Args:
        word: what was written.
        known: what could have been meant.
        cutoff: how close, as in `close`.
        mark: what stands around each, as it does around the word in the message.
    """
    return meant(close(word, known, cutoff=cutoff), mark)


def meant(names: Iterable[str], mark: str = '"') -> str:
    """The question whether one of these was meant; empty if there is none."""
    found = quoted(names, mark)
    return f"did you mean {found}?" if found else ""


def quoted(names: Iterable[str], mark: str = '"') -> str:
    """Alternatives for a message: `"a" or "b"`."""
    return " or ".join(f"{mark}{name}{mark}" for name in names)


def listed(names: Iterable[str], count: int = 8) -> str:
    """Names for a message: `a, b, c and 5 more`."""
    shown = list(names)
    if not shown:
        return "none"
    if len(shown) <= count:
        return ", ".join(shown)
    return ", ".join(shown[:count]) + f" and {len(shown) - count} more"

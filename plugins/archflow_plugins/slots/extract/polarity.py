"""Yes and no by meaning: whether a text wants what a slot is about, or does not.

    "reboot device 1"  "without statistics"  "don't reboot"  "turn the light off"  "yes, please"

Rule: what a text does not speak of is neither.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from archflow_plugins.slots.lexicon import said
from archflow_plugins.slots.words import Word, stem

_NO = said("polarity.no")
_AFTER = frozenset({"off", "false", "no", "disabled", "excluded"})
_EMPTY = said("polarity.empty")
_YES_ANSWER = re.compile(
    r"\W*(?:yes|yeah|yep|yup|sure|ok(?:ay)?|please do|do it|go ahead|confirm(?:ed)?|absolutely|of course|correct"
    r"|right|true|affirmative|definitely|please|y)\b",
    re.IGNORECASE,
)
_NO_ANSWER = re.compile(
    r"\W*(?:no|nope|nah|don'?t|do not|never|negative|false|not\b|n)(?:\b|$)", re.IGNORECASE
)
FREE = stem("free")
PAID = frozenset({stem("fee"), stem("charge")})
"""Stems of what is not free."""
REACH = 4
_CLAUSE = re.compile(r"[.;!?]|,\s*(?:but|and|then)\b|\bbut\b")


def telling(names: Iterable[str], hints: Iterable[str]) -> frozenset[str]:
    """The stems that a yes-or-no slot is about."""
    empty = {stem(one) for one in _EMPTY}
    own = frozenset(one for one in names if one not in empty and len(one) > 2)
    return own or frozenset(one for one in hints if one not in empty and len(one) > 2)


def polarity(text: str, every: Sequence[Word], about: frozenset[str]) -> tuple[bool, int, int] | None:
    """What a text says about something, and where it speaks of it; None if it does not."""
    if not about:
        return None
    for at in range(len(every) - 1, -1, -1):
        one = stem(every[at].low)
        if not any(_alike(one, wanted) for wanted in about):
            continue
        denied = False
        for back in range(1, REACH + 1):
            if at - back < 0 or _CLAUSE.search(text[every[at - back].end : every[at].start]):
                break
            if every[at - back].low in _NO:
                denied = not denied
        ahead = every[at + 1 : at + 3]
        if any(each.low in _AFTER and not _CLAUSE.search(text[every[at].end : each.start]) for each in ahead):
            denied = True
        return not denied, every[at].start, every[at].end
    return None


def answer(text: str) -> bool | None:
    """What a reply to a question of yes or no says; None if it is neither."""
    if _NO_ANSWER.match(text):
        return False
    return True if _YES_ANSWER.match(text) else None


def _alike(one: str, wanted: str) -> bool:
    """Whether two stems are forms of the same word: `stat` and `statistic`."""
    if one == wanted:
        return True
    short, long = sorted((one, wanted), key=len)
    return len(short) >= 4 and long.startswith(short) and len(long) - len(short) <= 6

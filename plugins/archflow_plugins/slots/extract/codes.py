"""Codes: ids, serial and order numbers, UUIDs, network addresses; words that hold a digit, and what `#` and `id` mark.

Rule: a code is kept letter by letter as it was written.
"""

from __future__ import annotations

import re

from archflow_plugins.slots.mention import MOST, Mention

_RULES = (
    ("uuid", re.compile(r"(?<![\w-])[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?![\w-])")),
    ("ip", re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?:/\d{1,2})?(?![\w]|\.\d)")),
    ("mac", re.compile(r"(?<![\w:-])[0-9a-fA-F]{2}(?:[:-][0-9a-fA-F]{2}){5}(?![\w:-])")),
    (
        "ipv6",
        re.compile(
            r"(?<![\w:])(?!\d{1,2}(?::\d\d){2}(?![\w:]))(?:[0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F]{1,4}(?![\w:])"
        ),
    ),
    ("version", re.compile(r"(?<![\w.])v?\d{1,5}(?:\.\d{1,5}){2,3}(?![\w.]\d)")),
    (
        "path",
        re.compile(
            r"(?<![\w/~.:])(?:~|\.{1,2})?(?:/[\w.+-]{1,80}){1,16}/?(?![\w])|(?<![\w])[A-Za-z]:\\[\w.\\ -]{1,200}"
        ),
    ),
    ("marked", re.compile(r"(?<=#)[A-Za-z0-9][\w-]{0,63}")),
    ("mixed", re.compile(r"(?<![\w@#./:-])[A-Za-z0-9]+(?:[-_/.][A-Za-z0-9]+){0,8}(?![\w@])")),
)
_COMPOUND = re.compile(r"\d{1,3}-[a-z]{3,}(?:-[a-z]{3,})?")
_UNITLIKE = re.compile(r"\d+(?:\.\d+)?(?:[a-zA-Zµ°]{1,3}|st|nd|rd|th|hours?|mins?|days?)")


def codes(text: str) -> list[Mention]:
    """The codes of a text, in order; `shape` says which sort."""
    found: list[Mention] = []
    for shape, pattern in _RULES:
        for number, one in enumerate(pattern.finditer(text)):
            if number == MOST:
                break
            value = one[0]
            if shape == "mixed" and not _codelike(value):
                continue
            if all(one.end() <= other.start or one.start() >= other.end for other in found):
                found.append(Mention(start=one.start(), end=one.end(), sort="code", value=value, shape=shape))
    return sorted(found, key=lambda one: one.start)


def _codelike(value: str) -> bool:
    """Whether a word holds letters and digits as codes do; `5km`, `2nd` and `3-star` do not."""
    if len(value) > 64 or not any(map(str.isdigit, value)) or not any(map(str.isalpha, value)):
        return False
    return not _UNITLIKE.fullmatch(value) and not _COMPOUND.fullmatch(value)

"""Addresses of people and machines: e-mail, URLs, telephone numbers.

Rule: what ends a sentence is no part of an address.
"""

from __future__ import annotations

import re

from archflow_plugins.slots.mention import MOST, Mention

_EMAIL = re.compile(
    r"(?<![\w.+-])[A-Za-z0-9][\w.+-]{0,63}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,62})\.){1,8}[A-Za-z]{2,24}(?![\w@-])"
)
_URL = re.compile(r"(?<![\w@.])(?:https?://|ftp://|www\.)[^\s<>\"'`{}|\\^]{1,2048}", re.IGNORECASE)
_DOMAIN = re.compile(
    r"(?<![\w@./-])(?:[a-z0-9](?:[a-z0-9-]{0,62})\.){1,8}(?:com|org|net|io|dev|ai|co|gov|edu|info|app)(?:/[^\s<>\"'`]{0,2048})?(?![\w@-])",
    re.IGNORECASE,
)
_PHONE = re.compile(
    r"(?<![\w.,/:+-])(?:\+\d{1,3}[\s.-]?)?(?:\(\d{1,4}\)[\s.-]?)?\d{2,4}(?:[\s.-]\d{2,4}){1,4}(?![\w/:]|[.,-]\d)"
    r"|(?<![\w.,/:+-])\+?\d{8,15}(?![\w/:]|[.,-]\d)"
)
_TRAILING = ".,;:!?)]}>'\""


def contacts(text: str) -> list[Mention]:
    """E-mail addresses, URLs and telephone numbers of a text, in order."""
    found: list[Mention] = []
    for number, one in enumerate(_URL.finditer(text)):
        if number == MOST:
            break
        bare = _bare(one[0])
        found.append(Mention(start=one.start(), end=one.start() + len(bare), sort="url", value=bare))
    for pattern, sort in ((_EMAIL, "email"), (_DOMAIN, "url"), (_PHONE, "phone")):
        for number, one in enumerate(pattern.finditer(text)):
            if number == MOST:
                break
            value = one[0].rstrip(_TRAILING) if sort == "url" else one[0]
            if sort == "phone" and not 7 <= sum(map(str.isdigit, value)) <= 15:
                continue
            if all(one.end() <= other.start or one.start() >= other.end for other in found):
                found.append(
                    Mention(start=one.start(), end=one.start() + len(value), sort=sort, value=value)  # type: ignore[arg-type]
                )
    return sorted(found, key=lambda one: one.start)


def _bare(url: str) -> str:
    """A URL without the marks of the sentence around it; a bracket that it opened itself stays."""
    while url and url[-1] in _TRAILING:
        if url[-1] == ")" and url.count("(") >= url.count(")"):
            break
        url = url[:-1]
    return url

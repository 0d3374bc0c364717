"""Verbs by what they ask for, in the forms in which people write them: "write a poem" and "writing poems" are one.

An encoder sees what a text is about better than what is to be done with it; this is the other half, for English.

Rule: pure; imports nothing heavy.
"""

from __future__ import annotations

import re

VERBS = {
    "find": "find search look browse show list get retrieve fetch check see display view give lookup recommend explore "
    "locate",
    "buy": "book reserve buy purchase order rent hire schedule make",
    "play": "play start listen watch stream run launch",
    "create": "create add insert make generate build write compose draft implement develop produce design invent code "
    "program author craft",
    "tell": "tell narrate recite read",
    "explain": "explain understand describe clarify interpret summarise summarize analyse analyze mean review "
    "document teach",
    "fix": "fix debug repair correct solve troubleshoot resolve diagnose",
    "change": "change update set modify edit adjust rename turn rewrite refactor improve convert",
    "more": "increase raise extend add grow",
    "less": "decrease reduce lower dim shorten",
    "begin": "start begin open enable activate resume continue unpause unmute",
    "end": "stop end cancel close disable deactivate pause mute quit exit finish",
    "remove": "delete remove cancel drop clear erase",
    "send": "send share transfer pay message email request ask notify announce broadcast post",
    "compute": "calculate compute count sum convert estimate predict measure",
    "compare": "compare rank rate evaluate choose decide",
    "translate": "translate",
}
"""Verbs that ask for the same kind of thing. One may stand in several classes."""
_LETTERS = re.compile(r"[a-z]+")


def _forms(verb: str) -> tuple[str, ...]:
    """A verb as it is, and with its regular endings."""
    stem = verb.removesuffix("e")
    doubled = verb + verb[-1]
    return (verb, f"{verb}s", f"{verb}es", f"{stem}ing", f"{stem}ed", f"{doubled}ing", f"{doubled}ed")


def _classes() -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for name, members in VERBS.items():
        for verb in members.split():
            for form in _forms(verb):
                found.setdefault(form, set()).add(name)
    return {form: frozenset(names) for form, names in found.items()}


_CLASSES = _classes()


def verbs(text: str) -> frozenset[str]:
    """The classes of the verbs in a text."""
    found: set[str] = set()
    for word in _LETTERS.findall(text.lower()):
        found |= _CLASSES.get(word, frozenset())
    return frozenset(found)

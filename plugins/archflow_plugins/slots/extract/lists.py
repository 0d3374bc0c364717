"""Lists: in brackets, and what is told one after the other.

    [1, 2, 3]    (33.4, -112.07)    1, 2 and 7    device 1 and device 2    apples, rice and milk

Rule: nothing nested; a list in brackets is what its commas part.
"""

from __future__ import annotations

import re

import msgspec

from archflow_plugins.slots.lexicon import said
from archflow_plugins.slots.mention import MOST, Mention
from archflow_plugins.slots.words import stem

ITEMS_AT_MOST = 256
_BRACKETS = re.compile(r"[\[({]([^\[\](){}]{1,4000})[\])}]")
_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d{1,3})?")
_JOINS = frozenset({"and", "or", "plus", "also", "then"})
_LITTLE = said("lists.little")
_TOKEN = re.compile(r"[\w']+|[^\w\s]")
GAP_AT_MOST = 60


def lists(text: str) -> list[Mention]:
    """The lists in brackets."""
    found: list[Mention] = []
    for one in _BRACKETS.finditer(text):
        items = [_item(each) for each in one[1].split(",")]
        if (
            (len(items) > 1 or one[0][0] == "[")
            and len(items) <= ITEMS_AT_MOST
            and all(each != "" for each in items)
        ):
            found.append(Mention(start=one.start(), end=one.end(), sort="list", value=tuple(items)))
            if len(found) == MOST:
                break
    return found


def joined(gap: str, repeated: str = "") -> bool:
    """Whether what stands between two mentions joins them to one list; `repeated` is a word that may be said again."""
    if len(gap) > GAP_AT_MOST:
        return False
    joins = False
    for token in _TOKEN.findall(gap.casefold()):
        if token in _JOINS or token in {",", ";", "/", "&", "+"}:
            joins = True
        elif (
            token not in _LITTLE
            and token not in {"'", '"'}
            and not (repeated and stem(token) == stem(repeated))
        ):
            return False
    return joins or "as well as" in gap.casefold()


def _item(text: str) -> object:
    bare = text.strip()
    if len(bare) > 1 and bare[0] == bare[-1] and bare[0] in "'\"":
        return bare[1:-1].strip()
    if _NUMBER.fullmatch(bare):
        try:
            return msgspec.json.decode(bare.removeprefix("+").encode())
        except msgspec.DecodeError:
            return bare
    return bare

"""What a conversation asks now: the newest turn that says something, its parts, and what was said before.

"thanks" says nothing, so the turn before counts; "and in celsius?" says little, so it is read together with the turns
before. What tools answered and what the model said is left out.

Rule: pure; imports nothing heavy.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec import Struct

from archflow_plugins.local_models.chooser.described import content
from archflow_plugins.local_models.chooser.verbs import verbs
from archflow_plugins.local_models.ranker.candidate import COMMON, stems

MOST_PARTS = 6
MOST_WORDS = 8
LONGEST = 1600
"""Characters of a turn that are looked at."""
BEFORE = 400
"""Characters of the earlier turns that are read together with the newest."""
WINDOW = 3
"""Turns that are read together, the newest included."""
_POLITE = """
thanks thank thx ty cheers appreciate appreciated great cool nice perfect awesome wow wonderful excellent super lovely
good fine well right alright sure ok okay yes yeah yep no nope correct exactly indeed understood hello hi hey bye hm hmm
ah oh so much very too again lot just all now then your help let see go ahead do does did was we will would not but
"""
_EMPTY = frozenset(_POLITE.split()) | COMMON
"""Words of turns that say nothing about what is wanted."""
_BEGINS = re.compile(
    r"^(and|also|or|then|what about|how about|what if|but|now|same|instead|no,|yes,|ok|okay|only|the other|next|after"
    r"|once|with)\b",
    re.IGNORECASE,
)
_POINTS = re.compile(
    r"\b(it|its|that|this|these|those|them|there|one|ones|same|instead|again|else|another|more)\b",
    re.IGNORECASE,
)
_QUESTION = re.compile(
    r"^(?:who|what|which|how|why|when|where)(?:'s| (?:\w+ ){0,2}(?:is|are|was|were|do|does|did|can|could|should|would"
    r"|will|has|have|won))\b",
    re.IGNORECASE,
)
_PART = re.compile(
    r"(?<=[.?!;\n])\s+|,?\s+(?:and\s+then|and\s+also|and|then|also|plus|as well as)\s+|,\s+",
    re.IGNORECASE,
)
_SPACE = re.compile(r"\s+")


class Asked(Struct, frozen=True):
    """What is looked at of a conversation.

    Attributes:
        newest: the newest turn that says something; empty if none does.
        parts: its sentences and clauses, if it has several.
        joined: the turns before it and itself; empty if it is the first.
        words: of the turns together, those that say something.
        leans: how much the newest turn needs those before it: few words, begins as a follow-up, points back,
            asks by a verb.
        whole: whether the newest turn is a request or a question that can be read by itself.
    """

    newest: str
    parts: tuple[str, ...] = ()
    joined: str = ""
    words: tuple[str, ...] = ()
    leans: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0)
    whole: bool = False

    @property
    def texts(self) -> list[str]:
        """What is embedded: the newest turn, the turns together if there are several, the parts, the words."""
        return [self.newest, *([self.joined] if self.joined else []), *self.parts, *self.words]

    @property
    def part(self) -> int:
        """The place of the first part in `texts`."""
        return 2 if self.joined else 1

    @property
    def word(self) -> int:
        """The place of the first word in `texts`."""
        return self.part + len(self.parts)

    def columns(self, text: str) -> list[int]:
        """The places of the words of a text in `texts`."""
        own = set(content(text))
        return [self.word + at for at, word in enumerate(self.words) if word in own]


def asked(said: Sequence[str], window: int = WINDOW, *, several: bool = False) -> Asked:
    """What the turns of a user ask now.

    Args:
        said: what the user said, the newest last.
        window: how many turns are read together at most.
        several: whether it may ask for several things, which its parts tell.
    """
    turns = [_SPACE.sub(" ", cut(one)).strip() for one in said]
    while len(turns) > 1 and says_nothing(turns[-1]) and any(not says_nothing(one) for one in turns[:-1]):
        turns.pop()
    if not turns or not turns[-1]:
        return Asked("")
    newest, before = turns[-1], [one for one in turns[:-1] if one and not says_nothing(one)]
    joined, before = "", before[len(before) - min(len(before), window - 1) :]
    if before:
        earlier = " ".join(before)
        joined = f"{earlier[-BEFORE:]} {newest}"
    found = tuple(parts(newest)) if several else ()
    words = (*longest(newest), *longest(joined))
    leans = leaning(newest)
    return Asked(newest, found, joined, tuple(dict.fromkeys(words)), leans, _whole(newest, leans))


def longest(text: str) -> list[str]:
    """The words of a text that are compared one by one: the longest say the most, and each costs its embedding."""
    return sorted(content(text), key=len, reverse=True)[:MOST_WORDS]


def cut(text: str) -> str:
    """A text without its middle, if it is long."""
    if len(text) <= LONGEST:
        return text
    half = LONGEST // 2
    return f"{text[:half]} … {text[-half:]}"


def says_nothing(text: str) -> bool:
    """Whether a turn is only thanks, assent or the like."""
    return len(text) < 80 and not stems(text.replace("'", "")) - _EMPTY


def leaning(text: str) -> tuple[float, ...]:
    """How much a turn needs those before it."""
    count = len(stems(text) - _EMPTY)
    return (
        1.0 / (1 + count),
        float(bool(_BEGINS.match(text))),
        float(bool(_POINTS.search(text))),
        float(bool(verbs(text))),
    )


def _whole(text: str, leans: tuple[float, ...]) -> bool:
    _, begins, points, verb = leans
    return not begins and not points and bool(verb or _QUESTION.match(text))


def parts(text: str) -> list[str]:
    """The sentences and clauses of a turn; none if it is one. Short pieces stay with what stands before them."""
    found: list[str] = []
    for piece in _PART.split(text[:LONGEST]):
        one = piece.strip()
        if not one:
            continue
        if found and len(one.split()) < 3:
            found[-1] = f"{found[-1]} {one}"
        else:
            found.append(one)
    if len(found) > MOST_PARTS:
        found = [*found[: MOST_PARTS - 2], *found[-2:]]
    return list(dict.fromkeys(found)) if len(found) > 1 else []

"""What is chosen from: candidates, the texts of each that are embedded, and the words of each that are counted.

All of it is known before the first request, so a compiler can embed `Offer.texts` and store the vectors; of a request
only `query_texts` are embedded.

Rule: pure; imports nothing heavy.
Rule: what a request may be as long as it likes is cut before anything looks at it.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

from msgspec import Struct

MAX_QUERY = 4096
"""Characters of a request that are looked at; an encoder reads about 1,000 of them."""
MAX_SENTENCES = 6
"""Sentences of a request that are embedded beside it: the first and the last of a longer one."""
MAX_PARAMETERS_TEXT = 900
MAX_PARAMETER_TEXT = 300
FORMS = 6
"""Texts of a candidate that are embedded, those of its parameters apart."""

VERBS = {
    "find": "find search look browse show list get retrieve fetch check see display view give tell what which lookup "
    "recommend explore",
    "buy": "book reserve buy purchase order rent hire schedule make",
    "play": "play start listen watch stream",
    "create": "create add new insert make generate build register open",
    "change": "update change set modify edit adjust rename turn",
    "remove": "delete remove cancel drop stop clear",
    "send": "send share transfer pay message email request ask",
    "compute": "calculate compute count sum convert estimate predict",
}
"""Verbs that ask for the same kind of thing. One may stand in two classes."""
CLASSES = {name: frozenset(words.split()) for name, words in VERBS.items()}
COMMON = frozenset(
    ("a", "an", "the", "of", "to", "for", "in", "on", "at", "by", "with", "and", "or", "is", "are", "be", "this",
     "that", "it", "from", "as", "can", "you", "i", "me", "my", "please")
)  # fmt: skip
"""Words that say nothing about what is asked for."""
_WORD = re.compile(r"[a-z0-9]+")
_LETTERS = re.compile(r"[a-z]+")
_SENTENCE = re.compile(r"(?<=[.?!\n])\s+")


class Parameter(Struct, frozen=True, kw_only=True):
    """A value that a candidate takes.

    Attributes:
        name: as it is called in code.
        description: what it means.
        number: it is a whole number or a decimal.
        required: the candidate does not work without it.
        values: all that it can be, if they are listed.
    """

    name: str
    description: str = ""
    number: bool = False
    required: bool = False
    values: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """What is embedded of it."""
        return f"{spoken(self.name)}: {self.description}"[:MAX_PARAMETER_TEXT]


class Candidate(Struct, frozen=True, kw_only=True):
    """Something that can be chosen: a function, a prompt target.

    Attributes:
        name: as it is called in code.
        description: what it does.
        parameters: what it takes.
    """

    name: str
    description: str = ""
    parameters: tuple[Parameter, ...] = ()

    @property
    def described(self) -> str:
        """What the encoder alone compares with a request."""
        return f"{spoken(self.name)}: {self.description}"

    @property
    def forms(self) -> tuple[str, str, str, str, str, str]:
        """The texts that stand for it as a whole, `FORMS` of them; the first is `described`."""
        name, text = spoken(self.name), self.description
        first = re.split(r"(?<=[.])\s", text, maxsplit=1)[0]
        takes = ", ".join(spoken(one.name) for one in self.parameters)
        each = "; ".join(f"{spoken(one.name)} {one.description}" for one in self.parameters)
        return (
            self.described,
            name,
            text or name,
            f"{name}: {first}",
            f"{name}: {text} {takes}",
            each[:MAX_PARAMETERS_TEXT] or name,
        )


class Words(Struct, frozen=True):
    """What is counted of a candidate: word stems of name, description and parameters; verb classes; listed values."""

    name: frozenset[str]
    described: frozenset[str]
    parameters: frozenset[str]
    verbs: frozenset[str]
    values: tuple[tuple[str, ...], ...]


class Offer:
    """Candidates to choose among, prepared.

    Attributes:
        candidates: in the order in which they are scored.
        texts: what has to be embedded, each text once.
        places: of each candidate, where in `texts` its forms and then its parameters are.
        words: of each candidate.
    """

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        self.candidates = tuple(candidates)
        known: dict[str, int] = {}
        self.places = tuple(
            tuple(
                known.setdefault(text, len(known)) for text in (*one.forms, *(p.text for p in one.parameters))
            )
            for one in self.candidates
        )
        self.texts = tuple(known)
        self.words = tuple(_words(one) for one in self.candidates)
        often = Counter(stem for one in self.candidates for stem in stems(one.forms[4]))
        self._rarity = {stem: 1 / math.log(3 + number) for stem, number in often.items()}

    def rare(self, shared: frozenset[str]) -> float:
        """The weight of some shared stems: those that few candidates have count more."""
        return sum(self._rarity.get(stem, 1 / math.log(4)) for stem in shared)


def query_texts(query: str) -> list[str]:
    """What is embedded of a request: the whole, then its sentences if there are several."""
    cut = query[:MAX_QUERY]
    found = [one for one in _SENTENCE.split(cut) if one.strip()]
    if len(found) > MAX_SENTENCES:
        found = [*found[: MAX_SENTENCES - 2], *found[-2:]]
    return list(dict.fromkeys([cut if cut.strip() else " ", *found]))


def spoken(name: str) -> str:
    """A name in code as words: `Movies_1_FindMovies` -> `movies 1 find movies`."""
    return re.sub(r"[._\-]+", " ", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)).lower()


def stems(text: str) -> frozenset[str]:
    """The words of a text but the commonest, without a plural's s."""
    words = _WORD.findall(text.lower())
    cut = {
        one[:-1] if len(one) > 3 and one.endswith("s") and not one.endswith("ss") else one for one in words
    }
    return frozenset(cut - COMMON)


def verbs(text: str) -> frozenset[str]:
    """The classes of the verbs in a text."""
    words = set(_LETTERS.findall(text.lower()))
    return frozenset(name for name, members in CLASSES.items() if words & members)


def plain(text: str) -> str:
    """The words of a text between single spaces, with one before and one after: whole words are found by `in`."""
    return f" {' '.join(_WORD.findall(text.lower()))} "


def _words(one: Candidate) -> Words:
    forms = one.forms
    return Words(
        name=stems(forms[1]),
        described=stems(forms[0]),
        parameters=stems(forms[5]),
        verbs=verbs(forms[1]),
        values=tuple(
            tuple(found for value in p.values if len(found := plain(value)) > 3)
            for p in one.parameters
            if p.values
        ),
    )

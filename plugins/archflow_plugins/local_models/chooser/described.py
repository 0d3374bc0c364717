"""What is known of each option before the first request: the texts that are embedded, and the words that are counted.

Rule: pure; imports nothing heavy.
Rule: an option is its name, its description and its examples; nothing else is learned of it.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

from msgspec import Struct

from archflow_plugins.contexts import Option
from archflow_plugins.local_models.chooser.verbs import verbs
from archflow_plugins.local_models.ranker.candidate import COMMON, spoken, stems

MOST_SENTENCES = 6
"""Sentences of a description that are embedded by themselves."""
MOST_EXAMPLES = 100
"""Examples of an option that are embedded."""
LONGEST = 1000
"""Characters of a text that are embedded; an encoder reads about as many."""
MOST_WORDS = 32
"""Words of a text that are compared one by one."""
_PLAIN = """
what how which who when where there have has had any if some ll re ve want need like could should about into up out off
they them he she his her its our us their these those am im don dont isn let lets get give tell show use used using
"""
_LITTLE = frozenset(_PLAIN.split()) | COMMON
_WORD = re.compile(r"[^\W\d_][\w']+")
_SENTENCE = re.compile(r"(?<=[.?!;:\n])\s+")


class Words(Struct, frozen=True):
    """The word stems of an option's name, of name and description, and of each example; the classes of its verbs."""

    name: frozenset[str]
    described: frozenset[str]
    examples: tuple[frozenset[str], ...]
    verbs: frozenset[str]


class Described(Struct, frozen=True):
    """An option, prepared.

    Attributes:
        texts: what is embedded of it, each text once; the first is name and description.
        name, description: where in `texts` they are.
        sentences: where the description's sentences are.
        examples: where the examples are.
        name_words: words of the name.
        words: words of name and description.
        example_words: words of the examples.
    """

    texts: tuple[str, ...]
    name: int
    description: int
    sentences: tuple[int, ...]
    examples: tuple[int, ...]
    name_words: tuple[str, ...]
    words: tuple[str, ...]
    example_words: tuple[str, ...]


def described(option: Option) -> Described:
    """What is embedded of an option."""
    name, text = spoken(option.name).strip() or option.name, option.description.strip()[:LONGEST]
    known: dict[str, int] = {}

    def place(one: str) -> int:
        return known.setdefault(one, len(known))

    place(f"{name}: {text}" if text else name)
    sentences = [one.strip() for one in _SENTENCE.split(text) if len(one.strip()) > 2][:MOST_SENTENCES]
    examples = [one.strip()[:LONGEST] for one in option.examples if one.strip()][:MOST_EXAMPLES]
    return Described(
        name=place(name),
        description=place(text or name),
        sentences=tuple(dict.fromkeys(place(one) for one in sentences)),
        examples=tuple(dict.fromkeys(place(one) for one in examples)),
        texts=tuple(known),
        name_words=content(name),
        words=content(f"{name} {text}"),
        example_words=content(" ".join(examples)),
    )


def vocabulary(options: Sequence[Described]) -> list[str]:
    """Every word that is compared by itself, in order."""
    return sorted({word for one in options for word in (*one.name_words, *one.words, *one.example_words)})


def content(text: str) -> tuple[str, ...]:
    """The words of a text that say something, each once."""
    found = dict.fromkeys(word for word in _WORD.findall(text.lower()) if word not in _LITTLE)
    return tuple(found)[:MOST_WORDS]


def words(option: Option) -> Words:
    """What is counted of an option."""
    name = spoken(option.name)
    return Words(
        name=stems(name),
        described=stems(f"{name} {option.description[:LONGEST]}"),
        examples=tuple(stems(one[:LONGEST]) for one in option.examples[:MOST_EXAMPLES]),
        verbs=verbs(f"{name} {option.description[:LONGEST]}"),
    )


class Rarity:
    """How much a shared word tells: one that few options have tells more."""

    def __init__(self, options: Sequence[Option]) -> None:
        often: Counter[str] = Counter()
        for option in options:
            often.update(
                stems(" ".join((spoken(option.name), option.description[:LONGEST], *option.examples[:8])))
            )
        self._weights = {stem: 1 / math.log(3 + number) for stem, number in often.items()}

    def of(self, found: frozenset[str]) -> float:
        """The weight of some words together."""
        return sum(self._weights.get(stem, 1 / math.log(4)) for stem in found)

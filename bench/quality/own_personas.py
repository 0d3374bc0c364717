"""Personas freed of their rules, and personas that are not, made of fragments that were written for this project.

What people call jailbreaks in the wild are mostly personas: a name, a way to answer, an order to stay in the role, and
that no rule binds it. All but the last stands in innocent role plays as well. So both kinds are made of the same
openings and forms, and differ only in what frees the persona. Licence: this project's own.

Rule: nothing here is copied from a set that is tested on; what comes near one is removed before training all the same.
Rule: the same seed gives the same texts.
"""

from __future__ import annotations

import random
import re
from pathlib import Path

import msgspec


class Fragments(msgspec.Struct, frozen=True):
    """own_personas.toml: sentences that both kinds share, sentences of one kind, and what fills them."""

    openings: tuple[str, ...]
    freed: tuple[str, ...]
    bound: tuple[str, ...]
    asked: tuple[str, ...]
    forms: tuple[str, ...]
    innocent: tuple[str, ...]
    wished: tuple[str, ...]
    slots: dict[str, tuple[str, ...]]


OWN = msgspec.toml.decode((Path(__file__).parent / "own_personas.toml").read_bytes(), type=Fragments)


def own_personas(number: int = 2400, seed: int = 11) -> tuple[list[str], list[str]]:
    """Attacks, and innocent texts of the same build; so many of each."""
    rng = random.Random(seed)
    return [_text(rng, freed=True) for _ in range(number)], [_text(rng, freed=False) for _ in range(number)]


def _text(rng: random.Random, *, freed: bool) -> str:
    long = rng.random() ** 1.5
    own = rng.sample(OWN.freed if freed else OWN.innocent, 1 + int(long * 5))
    if freed:
        own += rng.sample(OWN.bound, int(rng.random() * (1 + long * 4)))
    middle = own + rng.sample(OWN.forms, int(rng.random() * (1 + long * 6)))
    rng.shuffle(middle)
    parts = [rng.choice(OWN.openings), *middle]
    if rng.random() < 0.7:
        parts.append(rng.choice(OWN.asked if freed else OWN.wished))
    text = rng.choice([" ", " ", "\n", "\n\n"]).join(parts).replace("\\n", "\n")
    name, stands = rng.choice(OWN.slots["first"]), rng.choice(OWN.slots["stands"])
    filled = re.sub(
        r"\{(\w+)\}",
        lambda match: {"N": name, "A": stands}.get(match[1]) or rng.choice(OWN.slots[match[1]]),
        text,
    )
    return filled.lower() if rng.random() < 0.1 else filled

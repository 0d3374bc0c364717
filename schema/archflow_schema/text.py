"""Strings of a configuration that may name the environment: `Bearer $OPENAI_API_KEY`.

A Text is compiled once into literal parts and references, so that a graph holds names and never values.
Forms as in envsubst(1), which Arch pipes its configuration through: `$NAME` and `${NAME}`; `$$` is a dollar sign,
and a dollar that begins no name stands for itself.

Rule: nothing here reads the environment; `archrun` does, through `resolve`.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from msgspec import Struct

_REFERENCE = re.compile(
    r"\$(?:(?P<escaped>\$)|(?P<plain>[A-Za-z_][A-Za-z0-9_]*)|\{(?P<braced>[A-Za-z_][A-Za-z0-9_]*)\})"
)


class Env(Struct, frozen=True, array_like=True, tag="env"):
    """The value of an environment variable."""

    name: str


class Secret(Struct, frozen=True, array_like=True, tag="secret"):
    """An entry of the side file `graph.secrets`: a key that stood literally in the YAML."""

    key: str


Part = str | Env | Secret
Text = tuple[Part, ...]


def compile_text(raw: str) -> Text:
    """Split a string into literal parts and environment references.

    Args:
        raw: the string as it stands in the YAML.

    Returns:
        The parts in order; adjacent literals are joined, and an empty string gives an empty tuple.
    """
    parts: list[Part] = []
    literal = ""
    at = 0
    for found in _REFERENCE.finditer(raw):
        literal += raw[at : found.start()]
        at = found.end()
        if found["escaped"]:
            literal += "$"
            continue
        if literal:
            parts.append(literal)
            literal = ""
        parts.append(Env(found["plain"] or found["braced"]))
    literal += raw[at:]
    if literal:
        parts.append(literal)
    return tuple(parts)


def references(text: Text) -> tuple[Env | Secret, ...]:
    """The references of a Text, in order."""
    return tuple(part for part in text if not isinstance(part, str))


def resolve(text: Text, lookup: Callable[[Env | Secret], str]) -> str:
    """Join a Text into a string, asking `lookup` for each reference."""
    return "".join(part if isinstance(part, str) else lookup(part) for part in text)


def show(text: Text) -> str:
    """A Text as people may see it: references by name, secrets masked."""
    return "".join(
        part if isinstance(part, str) else f"${part.name}" if isinstance(part, Env) else "***"
        for part in text
    )

"""Names and descriptions for prompt targets, made of what an API calls its operations.

Rule: pure text.
"""

from __future__ import annotations

import re

LONGEST_NAME = 64
LONGEST = 300
"""Characters of a description: what tells an intent from others stands at its beginning."""
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_OTHER = re.compile(r"[^A-Za-z0-9]+")
_MARKUP = re.compile(r"<[^<>]{0,200}>|[*`#]+")
_DOLLAR = re.compile(r"\$(?=[A-Za-z_{$])")
"""What would name the environment in a configuration."""
HOLE = re.compile(r"\{([^{}]*)\}")
"""A place in a path."""
PARAMETER = re.compile(r"[\w.\-\[\]:@]+")
"""A name of a parameter that a configuration can hold as it is."""
UNDESCRIBED = "nothing describes it: say in your own words what users want then"
"""What is remarked where a description is only a guess."""


def snake(text: str) -> str:
    """A name as prompt targets have them: `getPetById` gives `get_pet_by_id`; empty if nothing is left."""
    parts = _OTHER.sub("_", _HUMP.sub("_", text[:200])).strip("_").lower()
    return parts[:LONGEST_NAME].rstrip("_")


def of_path(method: str, path: str) -> str:
    """A name for a call that has none: `GET /pets/{id}` gives `get_pets_by_id`."""
    told = HOLE.sub(lambda hole: f"by {hole[1]}", path)
    return snake(f"{method.lower()} {told}") or method.lower()


def plain(text: str, most: int = LONGEST) -> str:
    """A text in one line, without markup and without what no editor shows; cut behind a sentence where it is long."""
    text = _MARKUP.sub("", text[: 20 * most])
    if not text.isprintable():
        text = "".join(one if one.isprintable() else " " for one in text)
    text = " ".join(text.split())
    if len(text) <= most:
        return text
    cut = text[:most]
    end = max(cut.rfind(mark) for mark in (". ", "! ", "? "))
    return cut[: end + 1] if end > most // 3 else cut[: cut.rfind(" ")].rstrip(" ,;:") or cut


def described(text: str) -> str:
    """What a text says first, for a description: nothing in it names the environment."""
    return plain(_DOLLAR.sub("", _paragraph(text)))


def guessed(name: str) -> str:
    """A description for what has none: its name in words."""
    return plain(name.replace("_", " ")).capitalize()


def _paragraph(text: str) -> str:
    """The first paragraph of a text."""
    return re.split(r"\n\s*\n", text.strip()[: 20 * LONGEST], maxsplit=1)[0]


def spoken(name: str) -> str:
    """A parameter's name in words: `pet_id` gives `the pet id`."""
    words = snake(name).replace("_", " ")
    return f"the {words}" if words else "a value"


class Unique:
    """Gives names, each once."""

    def __init__(self) -> None:
        self._given: dict[str, int] = {}

    def name(self, wanted: str) -> str:
        """The name that is wanted, with a number behind it if it was given before."""
        count = self._given.get(wanted, 0)
        while True:
            count += 1
            found = wanted if count == 1 else f"{wanted}_{count}"
            if count == 1 or found not in self._given:
                self._given[wanted] = count
                self._given.setdefault(found, 1)
                return found

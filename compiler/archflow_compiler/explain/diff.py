"""What changes for traffic between two graphs: not their bytes but what they do.

Rule: two graphs without a difference here treat every request the same.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from archflow_compiler.explain.facts import facts
from archflow_schema.graph import Graph


class Change(Struct, frozen=True, kw_only=True):
    """One difference.

    Attributes:
        thing: such as `model openai/gpt-4o`.
        what: `added`, `removed` or `changed`.
        properties: what changed about it: property, before, after; empty words for one that is new or gone.
    """

    thing: str
    what: str
    properties: tuple[tuple[str, str, str], ...] = ()


def changes(before: Graph, after: Graph) -> tuple[Change, ...]:
    """Every difference, sorted by thing."""
    old, new = facts(before), facts(after)
    return tuple(_changes(old, new))


def _changes(old: dict[str, dict[str, str]], new: dict[str, dict[str, str]]) -> Iterator[Change]:
    for thing in sorted(old.keys() | new.keys()):
        was, now = old.get(thing), new.get(thing)
        if was is None:
            yield Change(
                thing=thing,
                what="added",
                properties=tuple((key, "", value) for key, value in (now or {}).items()),
            )
        elif now is None:
            yield Change(thing=thing, what="removed")
        elif was != now:
            keys = dict.fromkeys([*was, *now])
            properties = tuple(
                (key, was.get(key, ""), now.get(key, "")) for key in keys if was.get(key) != now.get(key)
            )
            yield Change(thing=thing, what="changed", properties=properties)


def text(found: tuple[Change, ...]) -> str:
    """Differences for people."""
    if not found:
        return "no change for traffic\n"
    return "".join(line + "\n" for change in found for line in _lines(change))


_SIGNS = {"added": "+", "removed": "-", "changed": "~"}


def _lines(change: Change) -> Iterator[str]:
    yield f"{_SIGNS[change.what]} {change.thing}"
    if change.what == "changed":
        for key, was, now in change.properties:
            yield f"    {key}: {was or 'nothing'} -> {now or 'nothing'}"
    elif change.what == "added" and len(change.properties) == 1:
        key, _, now = change.properties[0]
        yield f"    {key}: {now}"

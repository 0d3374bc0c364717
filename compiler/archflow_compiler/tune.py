"""Writes a router's setting into the text of a configuration, and leaves every other character as it is.

Rule: what is written is compiled before anybody sees it; a text in which the setting does not arrive is no proposal.
"""

from __future__ import annotations

import difflib

import msgspec

from archflow_compiler.driver import Outcome, compile_bytes
from archflow_compiler.tree import Mapping, Places
from archflow_schema.diagnostic import Range
from archflow_schema.graph import Choose

AT = ("routing", "router")


def proposed(outcome: Outcome, kind: str, name: str, value: float) -> Outcome | None:
    """The outcome of the configuration with a setting of its router; None if it must be written by hand."""
    if outcome.unit is None:
        return None
    text = _changed(outcome.source.text, outcome.unit.places, kind, name, f"{value:g}")
    if text is None:
        return None
    again = compile_bytes(outcome.source.file, text.encode())
    return again if _arrived(again, name, value) else None


def diff(before: str, after: str, name: str) -> str:
    """What changes, as a unified diff."""
    lines = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), name, f"{name} (tuned)"
    )
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )


def _changed(text: str, places: Places, kind: str, name: str, value: str) -> str | None:
    lines = text.splitlines(keepends=True)
    if places.said(*AT, name):
        place = places.value(*AT, name)
        return _written(lines, place, place.column, value)
    if places.said(*AT, "kind"):
        place = places.value(*AT, "kind")
        flow = places.key(*AT, "kind").line == places.key(*AT).line
        indent = " " * (places.key(*AT, "kind").column - 1)
        more = f", {name}: {value}" if flow else f"\n{indent}{name}: {value}"
        return _written(lines, place, place.end_column, more)
    router = f"router: {{kind: {kind.removeprefix('router.')}, {name}: {value}}}"
    routing = places.node("routing")
    if not isinstance(routing, Mapping) or not places.said("routing"):
        return f"{text.rstrip()}\n\nrouting:\n  {router}\n"
    first = next(iter(routing), None)
    place = places.key("routing")
    if first is None or first.key_range.line == place.line:
        return None
    indent = " " * (first.key_range.column - 1)
    lines.insert(place.line, f"{indent}{router}\n")
    return "".join(lines)


def _written(lines: list[str], place: Range, start: int, value: str) -> str | None:
    """The text with `value` from the column `start` to the end of a place; None if that is on several lines."""
    if place.line != place.end_line:
        return None
    line = lines[place.line - 1]
    lines[place.line - 1] = line[: start - 1] + value + line[place.end_column - 1 :]
    return "".join(lines)


def _arrived(outcome: Outcome, name: str, value: float) -> bool:
    """Whether the router of a configuration, or a part of it, has a setting of this value."""
    nodes = () if outcome.graph is None else outcome.graph.nodes
    node = next((one for one in nodes if isinstance(one, Choose)), None)
    if node is None:
        return False
    stored = msgspec.msgpack.decode(node.use.compiled)
    parts = [stored, *stored.values()] if isinstance(stored, dict) else []
    return any(isinstance(part, dict) and part.get(name) == value for part in parts)

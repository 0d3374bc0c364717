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


def proposed(outcome: Outcome, kind: str, name: str, value: float) -> str | None:
    """The configuration with a setting of its router; None if it must be written by hand."""
    if outcome.unit is None:
        return None
    text = outcome.source.text
    changed = _changed(text, outcome.unit.places, kind, name, f"{value:g}")
    if changed is None:
        return None
    return changed if _arrived(compiled_again(outcome, changed), name, value) else None


def compiled_again(outcome: Outcome, text: str) -> Outcome:
    """The outcome of a changed text of the same file."""
    return compile_bytes(outcome.source.file, text.encode())


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
        return _replaced(lines, places.value(*AT, name), value)
    if places.said(*AT, "kind"):
        place = places.value(*AT, "kind")
        flow = places.key(*AT, "kind").line == places.key(*AT).line
        indent = " " * (places.key(*AT, "kind").column - 1)
        more = f", {name}: {value}" if flow else f"\n{indent}{name}: {value}"
        return _inserted(lines, place, more)
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


def _replaced(lines: list[str], place: Range, value: str) -> str | None:
    if place.line != place.end_line:
        return None
    line = lines[place.line - 1]
    lines[place.line - 1] = line[: place.column - 1] + value + line[place.end_column - 1 :]
    return "".join(lines)


def _inserted(lines: list[str], place: Range, more: str) -> str | None:
    if place.line != place.end_line:
        return None
    line = lines[place.line - 1]
    lines[place.line - 1] = line[: place.end_column - 1] + more + line[place.end_column - 1 :]
    return "".join(lines)


def _arrived(outcome: Outcome, name: str, value: float) -> bool:
    """Whether the router of a configuration has a setting of this value."""
    if outcome.graph is None:
        return False
    for node in outcome.graph.nodes:
        if isinstance(node, Choose):
            stored = msgspec.msgpack.decode(node.use.compiled)
            return isinstance(stored, dict) and stored.get(name) == value
    return False

"""A YAML document as a tree whose nodes know their place in the file.

`source` makes it, `passes.migrate` rewrites older forms in it, `decode` turns it into the typed configuration. Because
a node carries its range, whatever moves keeps the place where the user wrote it.

Rule: nodes are values; a change makes a new node. Nothing here knows what a key means.
Invariant: a node holds only nodes that were there before it, so none is part of a cycle (`gc=False`): collecting
garbage among a million of them takes longer than reading them.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct, structs

from archflow_schema.diagnostic import Range

Path = tuple[str | int, ...]
"""Keys and indexes that lead to a node."""


class Scalar(Struct, frozen=True, gc=False):
    """A single value: text, number, boolean or nothing. `raw` is its text in the file."""

    value: str | int | float | bool | None
    range: Range
    raw: str = ""


class Sequence(Struct, frozen=True, gc=False):
    """A list."""

    items: tuple[Node, ...]
    range: Range


class Entry(Struct, frozen=True, gc=False):
    """One key of a mapping, with the key's own place."""

    key: str
    key_range: Range
    node: Node


class Mapping(Struct, frozen=True, gc=False):
    """Keys and values, in the order of the file; each key stands once."""

    entries: tuple[Entry, ...]
    range: Range

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def __contains__(self, key: str) -> bool:
        return any(entry.key == key for entry in self.entries)

    def entry(self, key: str) -> Entry | None:
        """The entry of a key."""
        return next((entry for entry in self.entries if entry.key == key), None)

    def get(self, key: str) -> Node | None:
        """The value of a key."""
        entry = self.entry(key)
        return None if entry is None else entry.node

    def text(self, key: str) -> str:
        """The value of a key if it is text, else an empty string."""
        node = self.get(key)
        return node.value if isinstance(node, Scalar) and isinstance(node.value, str) else ""

    def without(self, *keys: str) -> Mapping:
        """The same without some keys."""
        return structs.replace(self, entries=tuple(entry for entry in self.entries if entry.key not in keys))

    def renamed(self, old: str, new: str) -> Mapping:
        """The same with a key renamed."""
        return structs.replace(
            self,
            entries=tuple(
                structs.replace(entry, key=new) if entry.key == old else entry for entry in self.entries
            ),
        )

    def having(self, key: str, node: Node, place: Range | None = None) -> Mapping:
        """The same with a key set; a new key goes last, and `place` says where its name stands in the file."""
        if key in self:
            entries = tuple(
                structs.replace(entry, node=node) if entry.key == key else entry for entry in self.entries
            )
        else:
            entries = (*self.entries, Entry(key, place or node.range, node))
        return structs.replace(self, entries=entries)


Node = Scalar | Sequence | Mapping


def plain(node: Node) -> object:
    """The tree as dicts, lists and builtins."""
    if isinstance(node, Mapping):
        return {entry.key: plain(entry.node) for entry in node}
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    return node.value


def texts(node: Node) -> Iterator[tuple[str, Range]]:
    """Every value that is text and where it stands, in the order of the file."""
    stack = [node]
    while stack:
        one = stack.pop()
        if isinstance(one, Mapping):
            stack += [entry.node for entry in reversed(one.entries)]
        elif isinstance(one, Sequence):
            stack += reversed(one.items)
        elif isinstance(one.value, str):
            yield one.value, head(one)


def describe(node: Node) -> str:
    """What a node is, for "found ..." in messages."""
    if isinstance(node, Mapping):
        return "a mapping" if node.entries else "an empty mapping"
    if isinstance(node, Sequence):
        return "a list" if node.items else "an empty list"
    value = node.value
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"the number {node.raw or value}"
    shown = value if len(value) <= 40 else value[:37] + "..."
    return f'the text "{shown}"'.replace("\n", "\\n")


def find(node: Node, path: Path) -> Node | None:
    """The node that a path leads to."""
    for step in path:
        if isinstance(node, Mapping) and isinstance(step, str):
            found = node.get(step)
        elif isinstance(node, Sequence) and isinstance(step, int) and 0 <= step < len(node.items):
            found = node.items[step]
        else:
            return None
        if found is None:
            return None
        node = found
    return node


def head(node: Node) -> Range:
    """The tight place of a node: a scalar itself, a mapping's first key, the first character of a list."""
    if isinstance(node, Mapping) and node.entries:
        first = node.entries[0].key_range
        if first.line >= node.range.line:
            return first
    place = node.range
    if place.end_line == place.line and place.end_column > place.column:
        return place
    return structs.replace(place, end_line=place.line, end_column=place.column + 1)


class Places:
    """Where the values of a decoded configuration stand, by their path in it."""

    def __init__(self, root: Node) -> None:
        self._root = root
        self.nodes: dict[Path, Node] = {}
        self.keys: dict[Path, Range] = {}

    def node(self, *path: str | int) -> Node | None:
        """The node of a value; None if it is implied."""
        return self.nodes.get(path) if path else self._root

    def said(self, *path: str | int) -> bool:
        """Whether the file itself says something at this path."""
        return path in self.nodes

    def value(self, *path: str | int) -> Range:
        """The place of a value, or of the nearest thing around it that stands in the file."""
        while path:
            node = self.nodes.get(path)
            if node is not None:
                return head(node)
            path = path[:-1]
        return head(self._root)

    def key(self, *path: str | int) -> Range:
        """The place of a value's key, or of the value where it has none."""
        found = self.keys.get(path)
        return found if found is not None else self.value(*path)

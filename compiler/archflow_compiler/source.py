"""YAML text -> a tree whose nodes know their place.

It reads ruamel's event stream and builds the tree on a stack of its own, so that neither depth nor aliases can exhaust
anything: depth, size and the number of nodes that aliases unfold to are limited.

YAML 1.2 as the core schema has it: `yes` and `012` are text and 12. Arch's CLI reads YAML 1.1, where they are true and
10; `decode` explains it where it matters.

Rule: the only module that imports ruamel.
Rule: whatever the text, the outcome is a tree or diagnostics, never an exception.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import isinf
from typing import Any

from msgspec import Struct, structs

from archflow_compiler.syntax import bad_character, complaint, first_line
from archflow_compiler.tree import Entry, Mapping, Node, Scalar, Sequence
from archflow_schema.diagnostic import Diagnostic, Range, Related, Report

MAX_BYTES = 16 * 1024 * 1024
MAX_DEPTH = 64
MAX_NODES = 1_000_000
MAX_DIGITS = 40
"""A longer number is text: nobody means it, and neither floats nor msgpack can hold it."""
FIRST = "version: v0.4.0"
"""What a configuration begins with."""

_INTEGER = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: dict[str, bool | float | None] = {
    "": None,
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}
_TAGS = {
    "tag:yaml.org,2002:str",
    "tag:yaml.org,2002:int",
    "tag:yaml.org,2002:float",
    "tag:yaml.org,2002:bool",
    "tag:yaml.org,2002:null",
    "tag:yaml.org,2002:map",
    "tag:yaml.org,2002:seq",
    "!",
}


class Source(Struct, frozen=True):
    """A file as it was read: its name as the user gave it, and its text, for carets."""

    file: str
    text: str


def decode_text(file: str, data: bytes, report: Report) -> Source:
    """Bytes of a file -> its text; a byte order mark is dropped.

    Bytes that are not UTF-8 are reported and replaced, so that the rest can still be shown.
    """
    if len(data) > MAX_BYTES:
        report.add(
            Diagnostic(
                code="file-too-large",
                severity="error",
                summary=f"the file has {len(data)} bytes, more than the {MAX_BYTES} that archc reads",
            )
        )
        return Source(file, "")
    try:
        return Source(file, data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8-sig", errors="replace")
        line = before.count("\n") + 1
        column = len(before) - (before.rfind("\n") + 1) + 1
        report.add(
            Diagnostic(
                code="not-utf-8",
                severity="error",
                summary=f"the file is not UTF-8: byte 0x{data[error.start]:02x} at offset {error.start}",
                fix="save the file as UTF-8",
                range=Range(file=file, line=line, column=column, end_line=line, end_column=column + 1),
            )
        )
        return Source(file, data.decode("utf-8-sig", errors="replace"))


def parse(source: Source, report: Report, first: str = FIRST) -> Mapping | None:
    """Text -> tree.

    Args:
        source: the text.
        report: gets what is wrong with it.
        first: what such a file begins with, for those that do not.

    Returns:
        The root mapping; None if there is none, which is then reported.
    """
    before = report.errors
    builder = _Builder(source.file, report)
    for event in _events(source, report):
        builder.feed(event)
        if builder.stopped:
            return None
    if report.errors > before:
        return None
    root = builder.root
    if root is None or (isinstance(root, Scalar) and root.value is None):
        report.add(
            _error(
                "empty-file",
                "the file holds no configuration" if first == FIRST else "the file is empty",
                _whole(source, 1),
                fix="`archc init` writes one" if first == FIRST else f"begin with `{first}`",
            )
        )
        return None
    if not isinstance(root, Mapping):
        report.add(
            _error(
                "not-a-mapping",
                f"the file is {'a list' if isinstance(root, Sequence) else 'a single value'}, not a mapping of keys",
                _head_of(root.range),
                fix=f"begin with `{first}`",
            )
        )
        return None
    return root


def _events(source: Source, report: Report) -> Iterator[Any]:
    """Ruamel's events; what it cannot read is reported and ends them."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError
    from ruamel.yaml.reader import ReaderError

    events = iter(YAML(typ="safe", pure=True).parse(source.text))
    while True:
        try:
            event = next(events, None)
        except MarkedYAMLError as error:
            report.add(complaint(source.file, source.text, error))
            return
        except ReaderError as error:
            report.add(bad_character(source.file, source.text, int(error.position)))
            return
        except (YAMLError, ValueError, LookupError, AttributeError, AssertionError, TypeError) as error:
            # ruamel raises bare Python errors for some malformed directives, tags and escapes
            report.add(
                _error("yaml-syntax", f"this is not YAML: {first_line(str(error))}", _whole(source, 1))
            )
            return
        if event is None:
            return
        yield event


class _Frame:
    """A collection that is being read."""

    def __init__(self, *, mapping: bool, start: Any, anchor: str | None) -> None:
        self.mapping = mapping
        self.start = start
        self.anchor = anchor
        self.items: list[Node] = []
        self.entries: dict[str, Entry] = {}
        self.merged: list[Mapping] = []
        self.key: Scalar | None = None
        self.size = 1
        self.is_key = False


_NO_KEY = Scalar(None, Range(file="", line=0, column=0, end_line=0, end_column=0))
"""Stands for a key that cannot be one, and was reported."""


class _Builder:
    """Takes events one by one; holds the tree when they end."""

    def __init__(self, file: str, report: Report) -> None:
        self.file = file
        self.report = report
        self.root: Node | None = None
        self.stopped = False
        self._stack: list[_Frame] = []
        self._anchors: dict[str, Node] = {}
        self._sizes: dict[str, int] = {}
        self._nodes = 0
        self._documents = 0

    def feed(self, event: Any) -> None:
        """Take the next event."""
        name = type(event).__name__
        if name == "ScalarEvent":
            self._scalar(event)
        elif name in {"MappingStartEvent", "SequenceStartEvent"}:
            self._start(event, mapping=name == "MappingStartEvent")
        elif name in {"MappingEndEvent", "SequenceEndEvent"}:
            self._end(event)
        elif name == "AliasEvent":
            self._alias(event)
        elif name == "DocumentStartEvent":
            self._documents += 1
            if self._documents > 1:
                self._stop("several-documents", "the file holds more than one YAML document", event)

    def _range(self, start: Any, end: Any) -> Range:
        empty = (start.line, start.column) == (end.line, end.column)
        return Range(
            file=self.file,
            line=start.line + 1,
            column=start.column + 1,
            end_line=end.line + 1,
            end_column=end.column + (2 if empty else 1),
        )

    def _stop(self, code: str, summary: str, event: Any, fix: str = "") -> None:
        self.report.add(
            _error(code, summary, _head_of(self._range(event.start_mark, event.end_mark)), fix=fix)
        )
        self.stopped = True

    def _count(self, nodes: int, event: Any) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            self._stop("too-many-nodes", f"aliases unfold this file to more than {MAX_NODES} values", event)

    def _scalar(self, event: Any) -> None:
        place = self._range(event.start_mark, event.end_mark)
        tag = None if event.tag is None else str(event.tag)
        if tag is not None and tag not in _TAGS:
            self.report.add(
                _error(
                    "unknown-tag",
                    f"the YAML tag {_short(tag)} has no meaning here",
                    place,
                    fix="leave the tag out",
                )
            )
        raw = str(event.value)
        if not raw.isascii() and any("\ud800" <= character <= "\udfff" for character in raw):
            summary = "the text holds half a character, a lone surrogate, which no other program could read"
            self.report.add(_error("half-a-character", summary, place, fix="write the character itself"))
            raw = raw.encode("utf-8", errors="replace").decode()
        is_plain = bool(event.implicit[0]) and tag is None
        value: str | int | float | bool | None = _value(raw) if is_plain else raw
        if tag is not None and tag.startswith("tag:yaml.org") and not tag.endswith(":str"):
            value = _value(raw)
        self._count(1, event)
        node = Scalar(value, place, raw if is_plain else "")
        if event.anchor is not None:
            self._anchors[event.anchor] = node
            self._sizes[event.anchor] = 1
        self._add(node, 1)

    def _start(self, event: Any, *, mapping: bool) -> None:
        tag = None if event.tag is None else str(event.tag)
        if tag is not None and tag not in _TAGS:
            place = self._range(event.start_mark, event.end_mark)
            self.report.add(
                _error(
                    "unknown-tag",
                    f"the YAML tag {_short(tag)} has no meaning here",
                    place,
                    fix="leave the tag out",
                )
            )
        if len(self._stack) >= MAX_DEPTH:
            self._stop("too-deep", f"the values are nested more than {MAX_DEPTH} deep", event)
            return
        self._count(1, event)
        frame = _Frame(mapping=mapping, start=event.start_mark, anchor=event.anchor)
        parent = self._stack[-1] if self._stack else None
        if parent is not None and parent.mapping and parent.key is None:
            self.report.add(
                _error(
                    "key-not-text",
                    f"a key must be text, and this is a {'mapping' if mapping else 'list'}",
                    _head_of(self._range(event.start_mark, event.end_mark)),
                    fix="quote it if it is meant to be text",
                )
            )
            frame.is_key = True
        self._stack.append(frame)

    def _end(self, event: Any) -> None:
        frame = self._stack.pop()
        place = self._range(frame.start, _end_of(frame, event))
        node: Node
        node = Mapping(self._merge(frame), place) if frame.mapping else Sequence(tuple(frame.items), place)
        if frame.anchor is not None:
            self._anchors[frame.anchor] = node
            self._sizes[frame.anchor] = frame.size
        if frame.is_key:
            self._stack[-1].key = _NO_KEY
            return
        self._add(node, frame.size)

    def _alias(self, event: Any) -> None:
        node = self._anchors.get(event.anchor)
        if node is None:
            self._stop(
                "unknown-anchor", f"*{event.anchor} refers to an anchor that is not complete here", event,
                fix="quote it if it is meant to be text",
            )  # fmt: skip
            return
        size = self._sizes[event.anchor]
        self._count(size, event)
        self._add(node, size)

    def _add(self, node: Node, size: int) -> None:
        """Put a node, which unfolds to `size` values, where it belongs."""
        if not self._stack:
            self.root = node
            return
        frame = self._stack[-1]
        frame.size += size
        if not frame.mapping:
            frame.items.append(node)
        elif frame.key is None:
            frame.key = self._as_key(node)
        else:
            key, frame.key = frame.key, None
            if key is not _NO_KEY:
                self._pair(frame, key, node)

    def _as_key(self, node: Node) -> Scalar:
        if isinstance(node, Scalar):
            return node
        self.report.add(
            _error("key-not-text", "a key must be text, and this alias is not", _head_of(node.range))
        )
        return _NO_KEY

    def _pair(self, frame: _Frame, key: Scalar, node: Node) -> None:
        name = key.value if isinstance(key.value, str) else (key.raw or str(key.value))
        if name == "<<" and key.raw == "<<":
            for merged in node.items if isinstance(node, Sequence) else (node,):
                if isinstance(merged, Mapping):
                    frame.merged.append(merged)
                else:
                    self.report.add(
                        _error(
                            "merge-not-a-mapping",
                            "`<<` merges mappings, and this is none",
                            _head_of(node.range),
                        )
                    )
            return
        first = frame.entries.get(name)
        if first is not None:
            self.report.add(
                Diagnostic(
                    code="duplicate-key",
                    severity="error",
                    summary=f'the key "{name}" stands twice in the same mapping',
                    fix="remove one of them",
                    range=key.range,
                    related=(Related(first.key_range, "it stands here first"),),
                )
            )
            return
        if isinstance(node, Scalar) and node.value is None and not node.raw:
            node = structs.replace(
                node, range=key.range
            )  # nothing stands there: the parser is already further
        frame.entries[name] = Entry(name, key.range, node)

    def _merge(self, frame: _Frame) -> tuple[Entry, ...]:
        """The entries of a mapping with those that `<<` brings; its own come first, and earlier ones win."""
        entries = dict(frame.entries)
        for mapping in frame.merged:
            for entry in mapping:
                entries.setdefault(entry.key, entry)
        return tuple(entries.values())


def _end_of(frame: _Frame, event: Any) -> Any:
    """Where a collection ends: a block collection's end event stands at the next token, far below."""
    if event.end_mark.line == event.start_mark.line and event.end_mark.column > event.start_mark.column:
        return event.end_mark
    return frame.start


def _short(tag: str) -> str:
    """A tag as people write it."""
    return tag.replace("tag:yaml.org,2002:", "!!")


def _value(raw: str) -> str | int | float | bool | None:
    """The value of a plain scalar by YAML 1.2's core schema."""
    if raw in _WORDS:
        return _WORDS[raw]
    first = raw[0]
    if first.isdigit() or first in "+-.":
        if len(raw) > MAX_DIGITS:
            return raw
        if _INTEGER.fullmatch(raw):
            return int(raw)
        if _OCTAL.fullmatch(raw):
            return int(raw, 8)
        if _HEXADECIMAL.fullmatch(raw):
            return int(raw, 16)
        if _FLOAT.fullmatch(raw):
            number = float(raw)
            return raw if isinf(number) else number
    return raw


def _error(code: str, summary: str, place: Range, *, fix: str = "") -> Diagnostic:
    return Diagnostic(code=code, severity="error", summary=summary, fix=fix, range=place)


def _head_of(place: Range) -> Range:
    """The first line of a range: enough to point at a collection."""
    if place.end_line == place.line and place.end_column > place.column:
        return place
    return Range(
        file=place.file,
        line=place.line,
        column=place.column,
        end_line=place.line,
        end_column=place.column + 1,
    )


def _whole(source: Source, line: int) -> Range:
    lines = source.text.splitlines() or [""]
    return Range(
        file=source.file, line=line, column=1, end_line=line, end_column=max(2, len(lines[line - 1]) + 1)
    )

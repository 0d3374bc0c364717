"""JSON text -> the tree that YAML becomes, for JSON says things that YAML reads otherwise, and is often far larger.

Rule: whatever the text, the outcome is a tree or an error at its place; depth and size are limited as YAML's are.
"""

from __future__ import annotations

import re
from bisect import bisect_right

import msgspec

from archflow_compiler.source import MAX_DEPTH, MAX_NODES, Source
from archflow_compiler.tree import Entry, Mapping, Node, Scalar, Sequence
from archflow_schema.diagnostic import Diagnostic, Range, Report

_TOKEN = re.compile(
    r"[ \t\r\n]*(?:(?P<mark>[\[\]{},:])"
    r'|(?P<text>"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+")'
    r"|(?P<number>-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)(?![0-9A-Za-z.])"
    r"|(?P<word>true|false|null)(?![0-9A-Za-z]))"
)
_SPACE = re.compile(r"[ \t\r\n]*")
_HALF = re.compile(r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None}
_MOST_DIGITS = 40


class _Broken(Exception):
    """The text is no JSON: what is wrong, and where."""


class _Frame:
    """A collection that is being read."""

    def __init__(self, at: int, *, mapping: bool) -> None:
        self.at = at
        self.mapping = mapping
        self.items: list[Node] = []
        self.entries: dict[str, Entry] = {}
        self.key: tuple[str, Range] | None = None

    def closes(self, mark: str, *, ready: bool) -> bool:
        """Whether it may end here: by its own bracket, and neither behind a comma nor behind a key."""
        empty = not self.items and not self.entries
        return self.mapping == (mark == "}") and self.key is None and (empty or not ready)


def parse(source: Source, report: Report) -> Node | None:
    """Text -> tree; None if it is none, which is reported."""
    reader = _Reader(source)
    try:
        return reader.read()
    except _Broken as error:
        words, at = error.args
        report.add(
            Diagnostic(
                code="json-syntax",
                severity="error",
                summary=f"this is not JSON: {words}",
                range=reader.range(at, at + 1),
            )
        )
        return None


class _Reader:
    def __init__(self, source: Source) -> None:
        self._source = source
        self._lines = [0, *(found.end() for found in re.finditer("\n", source.text))]
        self._nodes = 0

    def range(self, start: int, end: int) -> Range:
        """The place of a piece that stands in one line."""
        line = bisect_right(self._lines, start)
        column = start - self._lines[line - 1] + 1
        return Range(
            file=self._source.file,
            line=line,
            column=column,
            end_line=line,
            end_column=column + max(1, end - start),
        )

    def read(self) -> Node:
        text, at = self._source.text, 0
        stack: list[_Frame] = []
        ready = True
        """Whether a value, or a key, may stand here; after one only a mark may."""
        while True:
            token = _TOKEN.match(text, at)
            if token is None:
                start = _behind_space(text, at)
                what = "something else was expected here" if start < len(text) else "it ends too early"
                raise _Broken(what, min(start, max(0, len(text) - 1)))
            start, at = token.start(token.lastgroup or 0), token.end()
            mark = token["mark"]
            frame = stack[-1] if stack else None
            node: Node | None = None
            if mark in {"{", "["} and ready:
                if frame is not None and frame.mapping and frame.key is None:
                    raise _Broken("a key must be text", start)
                if len(stack) >= MAX_DEPTH:
                    raise _Broken(f"the values are nested more than {MAX_DEPTH} deep", start)
                stack.append(_Frame(start, mapping=mark == "{"))
                self._count(start)
                continue
            if mark in {"}", "]"} and frame is not None and frame.closes(mark, ready=ready):
                stack.pop()
                place = self.range(frame.at, frame.at + 1)
                entries = tuple(frame.entries.values())
                node = Mapping(entries, place) if frame.mapping else Sequence(tuple(frame.items), place)
            elif mark == "," and frame is not None and not ready:
                ready = True
                continue
            elif mark:
                raise _Broken(f'"{mark}" makes no sense here', start)
            elif not ready:
                raise _Broken("a comma is missing", start)
            elif frame is not None and frame.mapping and frame.key is None:
                if token["text"] is None:
                    raise _Broken("a key must be text", start)
                frame.key = (_text(token["text"]), self.range(start, at))
                colon = _TOKEN.match(text, at)
                if colon is None or colon["mark"] != ":":
                    raise _Broken("a colon is missing behind the key", max(start, at - 1))
                at = colon.end()
                continue
            else:
                node = self._scalar(token, start, at)
                self._count(start)
            if not stack:
                end = _behind_space(text, at)
                if end < len(text):
                    raise _Broken("something stands behind its end", end)
                return node
            _put(stack[-1], node)
            ready = False

    def _scalar(self, token: re.Match[str], start: int, end: int) -> Scalar:
        place = self.range(start, end)
        if token["text"] is not None:
            return Scalar(_text(token["text"]), place)
        if token["word"] is not None:
            return Scalar(_WORDS[token["word"]], place, token["word"])
        raw = token["number"]
        if len(raw) > _MOST_DIGITS:
            return Scalar(raw, place)
        number = float(raw)
        whole = not {".", "e", "E"}.intersection(raw)
        return Scalar(int(raw) if whole else number if abs(number) < float("inf") else raw, place, raw)

    def _count(self, at: int) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise _Broken(f"it holds more than {MAX_NODES} values", at)


def _behind_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _put(frame: _Frame, node: Node) -> None:
    if not frame.mapping:
        frame.items.append(node)
        return
    assert frame.key is not None  # noqa: S101 - a value stands behind a key
    name, place = frame.key
    frame.entries[name] = Entry(name, place, node)
    frame.key = None


def _text(token: str) -> str:
    try:
        return msgspec.json.decode(token, type=str)
    except msgspec.DecodeError:  # half a character, which no text can hold
        return msgspec.json.decode(_HALF.sub("?", token), type=str)

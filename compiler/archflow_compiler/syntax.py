"""What a YAML parser complains about, in words: where, what it means, what usually causes it.

Rule: it knows the parser's phrases and nothing of its classes; `source` alone imports it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from archflow_schema.diagnostic import Diagnostic, Range, Related

_BLANK = re.compile("(?:^|: *|- +) *([\\u00a0\\u1680\\u2000-\\u200b\\u202f\\u205f\\u3000\\ufeff])")
"""What looks like a space and is none to YAML, where one is needed: copied from a page or a chat."""
_DASH = re.compile(" *(-+)[^ -]")
_LATE = ("mapping values are not allowed", "could not find expected ':'", "expected <block end>")
"""What the parser says of a line when the mistake may stand on the one before."""


def complaint(file: str, text: str, error: Any) -> Diagnostic:
    """A scanner's or parser's complaint, at its place and with the usual cause where the text shows it."""
    problem = first_line(str(error.problem or error.context or error))
    mark = error.problem_mark or error.context_mark
    if "could not find expected ':'" in problem:  # the parser is a line further by then
        mark = error.context_mark or mark
    lines = text.split("\n")
    line = min(mark.line, len(lines) - 1) if mark is not None else 0
    column = mark.column if mark is not None else 0
    cause = _unseen(lines, line) if any(said in problem for said in _LATE) else None
    line, column, words, fix = cause or (line, column, *_in_words(lines[line], column, problem))
    return Diagnostic(
        code="yaml-syntax",
        severity="error",
        summary=f"this is not YAML: {words}",
        detail="" if words == problem else f"the parser says: {problem}",
        fix=fix,
        range=Range(file=file, line=line + 1, column=column + 1, end_line=line + 1, end_column=column + 2),
        related=tuple(_context(file, error, line)),
    )


def _unseen(lines: list[str], line: int) -> tuple[int, int, str, str] | None:
    """What one overlooks, here or on the line before: where it stands, what it is, what to do."""
    for number in range(line, max(line - 2, -1), -1):
        blank, dash = _BLANK.search(lines[number]), _DASH.match(lines[number])
        if blank is not None:
            words = f"the character U+{ord(blank[1]):04X} only looks like a space"
            return number, blank.start(1), words, "write a space in its place"
        if dash is not None:
            return number, dash.start(1), "a dash needs a space after it", "write `- ` before the item"
    return None


def _context(file: str, error: Any, line: int) -> Iterator[Related]:
    """Where what is wrong began, if that is another line than the one that is shown."""
    mark = error.context_mark
    if mark is not None and error.problem_mark is not None and mark.line != line:
        place = Range(
            file=file,
            line=mark.line + 1,
            column=mark.column + 1,
            end_line=mark.line + 1,
            end_column=mark.column + 2,
        )
        yield Related(place, first_line(str(error.context or "it begins here")))


_IN_WORDS: tuple[tuple[str, str, str], ...] = (
    (
        "mapping values are not allowed",
        "a colon makes no sense here",
        "check the indentation of this line, and quote a value that holds `: `",
    ),
    (
        "could not find expected ':'",
        "a key without a colon",
        "write `key: value`, with a space after the colon",
    ),
    ("content, but found '<stream end>'", "something that was begun does not end", "close the bracket"),
    ("found unexpected end of stream", "something that was begun does not end", "close the quote or bracket"),
    ("cannot start any token", "a value cannot begin so", "quote the value"),
    ("expected alphabetic or numeric", "`*` and `&` begin the name of an anchor", "quote the value"),
    (
        "escape",
        "in double quotes a backslash begins an escape, and this is none",
        "write single quotes, or two backslashes",
    ),
    (
        "expected a comment or a line break",
        "a text after `|` or `>` begins on the next line",
        "write it below, indented",
    ),
    ("but got '{'", "a brace stands in the middle of a value", "quote the value"),
    ("but got '['", "a bracket stands in the middle of a value", "quote the value"),
    ("expected ',' or '}'", "a comma or a closing brace is missing", "add the comma, or close the brace"),
    ("expected ',' or ']'", "a comma or a closing bracket is missing", "add the comma, or close the bracket"),
    ("content, but found ','", "a value cannot begin so", "quote the value"),
    ("sequence entries are not allowed", "a list does not begin beside its key", "begin it on the next line"),
    ("but found '}'", "a brace is closed that was not opened", "remove it, or quote the value"),
    ("but found ']'", "a bracket is closed that was not opened", "remove it, or quote the value"),
    (
        "expected <block end>",
        "the indentation does not fit what stands above",
        "indent this line as its neighbours",
    ),
)
"""What the parser says -> what it means, and what to do; the first that fits."""


def _in_words(line: str, column: int, problem: str) -> tuple[str, str]:
    """A complaint of the parser in words, and what usually causes it."""
    before = line[:column].strip()
    if "\t" in line[: len(line) - len(line.lstrip())] or "'\\t'" in problem:
        return "a tab stands where YAML allows only spaces", "indent with spaces"
    if "expected <block end>, but found '<scalar>'" in problem and before.lstrip("- "):
        return _after(before)
    return next(((words, fix) for said, words, fix in _IN_WORDS if said in problem), (problem, ""))


def _after(before: str) -> tuple[str, str]:
    """Something stands behind a value that has ended: in words, and what to do."""
    match before[-1:]:
        case "'":
            fix = "quote the whole value with \", or write '' for a ' within it"
        case '"':
            fix = 'quote the whole value with \', or write \\" for a " within it'
        case _:
            fix = "quote the whole value"
    return "the value has ended before this", fix


def bad_character(file: str, text: str, position: int) -> Diagnostic:
    line = text.count("\n", 0, position) + 1
    column = position - (text.rfind("\n", 0, position) + 1) + 1
    place = Range(file=file, line=line, column=column, end_line=line, end_column=column + 1)
    character = ord(text[position]) if position < len(text) else 0
    summary = f"this is not YAML: the character U+{character:04X} is not allowed"
    return Diagnostic(code="yaml-syntax", severity="error", summary=summary, range=place)


def first_line(text: str) -> str:
    return next(iter(text.strip().splitlines()), "it cannot be read")

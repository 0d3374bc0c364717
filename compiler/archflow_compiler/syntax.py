"""What a YAML parser complains about, in words: where, what it means, what usually causes it.

Rule: it knows the parser's phrases and nothing of its classes; `source` alone imports it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from archflow_schema.diagnostic import Diagnostic, Range, Related


def complaint(file: str, text: str, error: Any) -> Diagnostic:
    """A scanner's or parser's complaint, at its place and with the usual cause where the text shows it."""
    mark = error.problem_mark or error.context_mark
    problem = first_line(str(error.problem or error.context or error))
    lines = text.split("\n")
    line = min(mark.line, len(lines) - 1) if mark is not None else 0
    column = mark.column if mark is not None else 0
    place = Range(file=file, line=line + 1, column=column + 1, end_line=line + 1, end_column=column + 2)
    related = tuple(_context(file, error))
    words, fix = _in_words(lines[line], problem)
    return Diagnostic(
        code="yaml-syntax",
        severity="error",
        summary=f"this is not YAML: {words}",
        detail="" if words == problem else f"the parser says: {problem}",
        fix=fix,
        range=place,
        related=related,
    )


def _context(file: str, error: Any) -> Iterator[Related]:
    mark = error.context_mark
    if mark is not None and error.problem_mark is not None and mark.line != error.problem_mark.line:
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
        "expected <block end>",
        "the indentation does not fit what stands above",
        "indent this line as its neighbours",
    ),
    (
        "could not find expected ':'",
        "a key without a colon",
        "write `key: value`, with a space after the colon",
    ),
    ("found unexpected end of stream", "something that was begun does not end", "close the quote or bracket"),
    ("cannot start any token", "a value cannot begin so", "quote the value"),
    ("expected ',' or '}'", "a comma or a closing brace is missing", "close the brace before this line"),
    ("expected ',' or ']'", "a comma or a closing bracket is missing", "close the bracket before this line"),
)
"""What the parser says -> what it means, and what to do."""


def _in_words(line: str, problem: str) -> tuple[str, str]:
    """A complaint of the parser in words, and what usually causes it."""
    if "\t" in line[: len(line) - len(line.lstrip())] or "'\\t'" in problem:
        return "a tab stands where YAML allows only spaces", "indent with spaces"
    return next(((words, fix) for said, words, fix in _IN_WORDS if said in problem), (problem, ""))


def bad_character(file: str, text: str, position: int) -> Diagnostic:
    line = text.count("\n", 0, position) + 1
    column = position - (text.rfind("\n", 0, position) + 1) + 1
    place = Range(file=file, line=line, column=column, end_line=line, end_column=column + 1)
    character = ord(text[position]) if position < len(text) else 0
    summary = f"this is not YAML: the character U+{character:04X} is not allowed"
    return Diagnostic(code="yaml-syntax", severity="error", summary=summary, range=place)


def first_line(text: str) -> str:
    return next(iter(text.strip().splitlines()), "it cannot be read")

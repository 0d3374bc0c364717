"""Findings about a user's text: what is wrong, where, and what to do.

Rule: a user's mistake is one of these values with a range, never an exception and never a bare string.
Rule: nothing here renders; `archflow_compiler.render` turns a Report into text, JSON, SARIF or annotations.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from msgspec import Struct, structs

Severity = Literal["error", "warning", "note"]


class Range(Struct, frozen=True, kw_only=True, gc=False):
    """A place in a source file. Lines and columns count from 1; `end_column` is one past the last character.

    Attributes:
        file: the name as the user gave it.
        line, column: where it begins.
        end_line, end_column: where it ends.
    """

    file: str
    line: int
    column: int
    end_line: int
    end_column: int


class Related(Struct, frozen=True):
    """Another place that belongs to a finding, such as the first of two duplicates."""

    range: Range
    message: str


class Diagnostic(Struct, frozen=True, kw_only=True):
    """One finding.

    Attributes:
        code: a stable identifier such as `duplicate-model`; documentation and SARIF rules hang on it.
        severity: an `error` stops the compile; a `warning` does not; a `note` informs.
        summary: what is wrong, in one line, lower case, without a full stop.
        detail: why it matters or what was expected; may be empty.
        fix: what to do about it, imperative; may be empty.
        arch: the message that Arch 0.3.17 prints for the same mistake, if it has one, so that a search finds it.
        range: the tight place; None only when the finding is about no place in a text.
        file: what it is about, where that is a file as a whole.
        related: other places that belong to it.
    """

    code: str
    severity: Severity
    summary: str
    detail: str = ""
    fix: str = ""
    arch: str = ""
    range: Range | None = None
    file: str = ""
    related: tuple[Related, ...] = ()


class Report:
    """All findings of one compile, in the order of the file.

    Passes add to it and go on; whoever drives them asks `failed` at the end of a stage.
    """

    def __init__(self) -> None:
        self._found: dict[Diagnostic, None] = {}

    def add(self, diagnostic: Diagnostic) -> None:
        """Add a finding; an exact repetition is kept once."""
        self._found[diagnostic] = None

    def extend(self, diagnostics: Iterable[Diagnostic]) -> None:
        """Add several findings."""
        for diagnostic in diagnostics:
            self.add(diagnostic)

    def __iter__(self) -> Iterator[Diagnostic]:
        return iter(self.sorted())

    def __len__(self) -> int:
        return len(self._found)

    def sorted(self) -> tuple[Diagnostic, ...]:
        """Every finding by position; those without a range come last, in the order they were found."""

        def place(diagnostic: Diagnostic) -> tuple[int, str, int, int]:
            where = diagnostic.range
            return (1, "", 0, 0) if where is None else (0, where.file, where.line, where.column)

        return tuple(sorted(self._found, key=place))

    @property
    def errors(self) -> int:
        """How many findings are errors."""
        return sum(one.severity == "error" for one in self._found)

    @property
    def warnings(self) -> int:
        """How many findings are warnings."""
        return sum(one.severity == "warning" for one in self._found)

    @property
    def failed(self) -> bool:
        """Whether any finding is an error."""
        return self.errors > 0

    def as_errors(self) -> None:
        """Turn every warning into an error, for `--strict`."""
        self._found = dict.fromkeys(
            structs.replace(one, severity="error") if one.severity == "warning" else one
            for one in self._found
        )

"""What the commands of `archc` have in common: how findings are shown, what the disk says, a graph from a file.

Rule: every heavy import is inside the function that needs it, as in `cli`.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from archflow_compiler.failing import Failed
from archflow_compiler.progress import shown
from archflow_schema.errors import ArtifactError, os_reason

if TYPE_CHECKING:
    from archflow_compiler.source import Source
    from archflow_schema.diagnostic import Range, Report
    from archflow_schema.graph import Graph

Format = Literal["text", "json", "sarif", "github"]
FORMS: tuple[Format, ...] = ("text", "json", "sarif", "github")


class Output:
    """How findings are shown; the global options."""

    def __init__(self, form: Format, colour: bool | None) -> None:
        self.form = form
        self._colour = colour

    @property
    def colour(self) -> bool:
        """Colours for people at a terminal, unless they said otherwise (https://no-color.org)."""
        if self._colour is not None:
            return self._colour
        return sys.stderr.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

    def show(self, report: Report, source: Source) -> None:
        """Write findings: text to stderr, the forms for machines to stdout."""
        from archflow_compiler import render

        match self.form:
            case "text":
                click.echo(
                    render.text(report, source, colour=self.colour), err=True, nl=False, color=self.colour
                )
            case "json":
                click.echo(render.json(report), nl=False)
            case "sarif":
                click.echo(render.sarif(report, version()), nl=False)
            case "github":
                click.echo(render.github(report), nl=False)

    def done(self, words: str) -> None:
        """Say that something was made, to people only."""
        if self.form == "text":
            click.echo(words, err=True)


def version() -> str:
    """The version of this installation."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed("archflow")
    except PackageNotFoundError:
        return "0+unknown"


@contextmanager
def disk(what: str, done: Literal["read", "removed", "written"], *, missing: str = "") -> Iterator[None]:
    """Turn what the disk says into an error of the command; `missing` is what to do if there is no such file."""
    try:
        yield
    except OSError as error:
        reason = os_reason(error)
        fix = missing if isinstance(error, FileNotFoundError) else ""
        raise Failed(f"{what} cannot be {done}: {reason}", fix, file=what) from error


def load_graph(output: Output, path: Path) -> tuple[Graph, str]:
    """The graph of a graph.bin or of a configuration, and its digest."""
    from archflow_schema import artifact

    if path.suffix.lower() in {".yaml", ".yml"}:
        from archflow_compiler.driver import compile_file

        with shown() as watch:
            outcome = compile_file(path, watch)
        if outcome.graph is None:
            output.show(outcome.report, outcome.source)
            raise SystemExit(1)
        return outcome.graph, artifact.digest(outcome.data)
    with disk(str(path), "read", missing="make one with `archc compile`"):
        data = path.read_bytes()
    try:
        return artifact.load(data), artifact.digest(data)
    except ArtifactError as error:
        raise Failed(f"{path}: {error.what}", error.fix, file=str(path)) from error


def read_json(path: Path) -> object:
    """What a file of JSON holds."""
    import msgspec

    with disk(str(path), "read"):
        data = path.read_bytes()
    try:
        return msgspec.json.decode(data)
    except (ValueError, RecursionError) as error:
        place = _place(str(path), data, str(error))
        raise Failed(f"{path} is no JSON: {error}", file=str(path), place=place) from error


def _place(file: str, data: bytes, error: str) -> Range | None:
    """Where a decoder stopped, if it says at which byte."""
    from archflow_schema.diagnostic import Range

    found = re.search(r"\(byte (\d+)\)", error)
    if found is None:
        return None
    lines = data[: int(found[1])].decode("utf-8", "replace").split("\n")
    line, column = len(lines), len(lines[-1]) + 1
    return Range(file=file, line=line, column=column, end_line=line, end_column=column + 1)


def as_json(value: object) -> str:
    """A value as machines get it."""
    import msgspec

    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n"

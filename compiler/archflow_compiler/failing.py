"""What a command says when it cannot do its work: to people in words, to programs as a finding.

A finding is JSON, or an annotation of GitHub, which reads those on either stream; SARIF is a document about a file, and
where there is none people's words remain. All stand on standard error and end with the same status: 1, or 2 for a wrong
command line. Findings of a file are no such errors: they go where `--format` says, and `output` shows them.

Rule: what people read does not depend on what programs get.
Rule: every heavy import is inside the function that needs it, as in `cli`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import click

from archflow_schema.errors import ArchflowError, os_reason

if TYPE_CHECKING:
    from archflow_schema.diagnostic import Diagnostic, Range


class Failed(click.ClickException):
    """A command cannot do its work.

    Attributes:
        what: what is wrong.
        fix: what to do about it; people read it behind the other.
        file: what it is about, if that is a file as a whole.
        place: where it is, if that is known.
    """

    def __init__(self, what: str, fix: str = "", *, file: str = "", place: Range | None = None) -> None:
        super().__init__(f"{what}: {fix}" if fix else what)
        self.what = what
        self.fix = fix
        self.file = "" if place is not None else file
        self.place = place


class Misused(click.UsageError):
    """A command line is wrong in a way that its parser does not see.

    Attributes:
        what, fix: as in Failed.
    """

    def __init__(self, what: str, fix: str = "", *, option: str = "") -> None:
        before = f"Invalid value for {option}: " if option else ""
        super().__init__(before + (f"{what}: {fix}" if fix else what))
        self.what = what
        self.fix = fix


def form_of(arguments: Sequence[str]) -> str:
    """The form that a command line asks for, wherever in it; told before it is parsed, as that may fail.

    Args:
        arguments: the command line; `--format` of `explain` also names pictures, which say nothing about errors.
    """
    from archflow_compiler.output import FORMS

    found = "text"
    for at, one in enumerate(arguments, 1):
        if one == "--":
            break
        option, _, value = one.partition("=")
        value = value or "".join(arguments[at : at + 1])
        if option == "--format" and value in FORMS:
            found = value
    return found


@contextmanager
def telling(form: str) -> Iterator[None]:
    """Tell of what goes wrong inside in this form.

    That is what archflow raises on purpose, what a command line lacks, and what the system says of a file or of the
    output; a reader of the output who has gone, as in `archc explain | head`, is nothing to tell of.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except (ArchflowError, click.ClickException, OSError) as raised:
        error = _told(raised)
        if form not in {"json", "github"}:
            raise error from raised
        from archflow_compiler import render
        from archflow_schema.diagnostic import Report

        report = Report()
        report.add(finding(error))
        click.echo((render.json if form == "json" else render.github)(report), nl=False, err=True)
        raise SystemExit(error.exit_code) from raised


def _told(raised: ArchflowError | click.ClickException | OSError) -> click.ClickException:
    if isinstance(raised, click.ClickException):
        return raised
    if isinstance(raised, OSError):
        _let_go()
        file = "" if raised.filename is None else str(raised.filename)
        return Failed(f"{file or 'the output'} cannot be read or written: {os_reason(raised)}", file=file)
    return Failed(raised.what or str(raised), raised.fix)


def _let_go() -> None:
    """Leave what waits for an output that cannot be written: the end of the program would fail at it once more."""
    try:
        sys.stdout.flush()
    except OSError:
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def finding(error: click.ClickException) -> Diagnostic:
    """An error of a command as programs get it."""
    from archflow_schema.diagnostic import Diagnostic

    return Diagnostic(
        code="wrong-command-line" if isinstance(error, click.UsageError) else "command-failed",
        severity="error",
        summary=_what(error),
        fix=_fix(error),
        file=error.file if isinstance(error, Failed) else "",
        range=error.place if isinstance(error, Failed) else None,
    )


def _what(error: click.ClickException) -> str:
    if isinstance(error, Failed | Misused):
        return error.what
    if isinstance(error, _HELPED):
        return "missing command"
    words = " ".join((error.message if _close(error) else error.format_message()).split())
    return (words[:1].lower() + words[1:]).removesuffix(".")


def _fix(error: click.ClickException) -> str:
    from archflow_schema.suggest import meant

    if isinstance(error, Failed | Misused) and error.fix:
        return error.fix
    if close := _close(error):
        return meant(close)
    context = error.ctx if isinstance(error, click.UsageError) else None
    return f"`{context.command_path} --help` shows what it takes" if context is not None else ""


_HELPED: tuple[type[Exception], ...] = tuple(
    filter(None, [getattr(click.exceptions, "NoArgsIsHelpError", None)])
)
"""Says the whole help where a command is missing; since click 8.2."""


def _close(error: click.ClickException) -> Sequence[str]:
    """The options or commands that click found to be close to one that there is not."""
    return getattr(error, "possibilities", None) or ()

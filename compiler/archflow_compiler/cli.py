"""archc: the command line.

Rule: every heavy import is inside the command that needs it, so that `archc --help` answers at once.
Exit status: 0 when all went well, 1 when there are errors, 2 for a wrong command line.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

if TYPE_CHECKING:
    from archflow_schema.diagnostic import Report

    from archflow_compiler.driver import Outcome
    from archflow_compiler.source import Source

NAMES = ("arch_config.yaml", "config.yaml")
Format = Literal["text", "json", "sarif", "github"]


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


def _version(context: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        click.echo(f"archc {version()}")
        context.exit()


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--format", "form", type=click.Choice(["text", "json", "sarif", "github"]), default="text", show_default=True,
    help="How findings are written; the forms for machines go to standard output.",
)  # fmt: skip
@click.option("--color/--no-color", "colour", default=None, help="Colours; by default only at a terminal.")
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version."
)
@click.pass_context
def main(context: click.Context, form: Format, colour: bool | None) -> None:
    """Compile arch_config.yaml into graph.bin, the routing graph that archrun executes."""
    context.obj = Output(form, colour)


def _config_file(file: Path | None) -> Path:
    """The configuration: the one named, or the one that lies here."""
    if file is not None:
        return file
    for name in NAMES:
        if Path(name).is_file():
            return Path(name)
    raise click.UsageError(
        f"neither {NAMES[0]} nor {NAMES[1]} is here: name a file, or write one with `archc init`"
    )


_FILE = click.argument("file", type=click.Path(path_type=Path), required=False)
_STRICT = click.option("--strict", is_flag=True, help="Take warnings for errors.")


def _finish(output: Output, outcome: Outcome, strict: bool) -> bool:
    """Show the findings; whether the compile went well."""
    if strict:
        outcome.report.as_errors()
    output.show(outcome.report, outcome.source)
    return outcome.graph is not None and not outcome.report.failed


@main.command("compile")
@_FILE
@click.option(
    "-o",
    "--output",
    "target",
    default="graph.bin",
    show_default=True,
    help="Where to; `-` is standard output.",
)
@click.option(
    "--secrets",
    type=click.Path(path_type=Path),
    help="Side file for literal keys.  [default: beside the graph]",
)
@_STRICT
@click.pass_obj
def compile_(output: Output, file: Path | None, target: str, secrets: Path | None, strict: bool) -> None:
    """Compile FILE (by default arch_config.yaml or config.yaml here) into graph.bin.

    Keys that stand literally in FILE go to a side file that only its owner can read, graph.secrets.
    """
    from archflow_compiler import write
    from archflow_compiler.driver import compile_file

    if target == "-" and output.form != "text":
        raise click.UsageError("the graph and the findings cannot both go to standard output")
    outcome = compile_file(_config_file(file))
    if not _finish(output, outcome, strict):
        raise SystemExit(1)
    if target == "-" and outcome.secrets and secrets is None:
        raise click.UsageError(
            "the configuration holds literal keys, which the graph never does: name a file for them with --secrets"
        )
    try:
        made = write.write(outcome.data, outcome.secrets, target, secrets)
    except OSError as error:
        raise click.ClickException(
            f"{error.filename or target} cannot be written: {error.strerror}"
        ) from error
    if target != "-":
        output.done(made)

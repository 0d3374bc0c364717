"""`archc route`: a router and a user's own cases.

Rule: every heavy import is inside the command that needs it, as in `cli`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from archflow_compiler.cli import Output


@click.group()
def route() -> None:
    """Judge the router of a graph by cases of your own."""


@route.command("eval")
@click.argument("cases", type=click.Path(path_type=Path))
@click.argument("graph", type=click.Path(path_type=Path), default="graph.bin")
@click.option(
    "--min-accuracy",
    type=click.FloatRange(0, 1),
    default=1.0,
    show_default=True,
    help="End with 1 when fewer cases, as a part of them, are right.",
)
@click.option("--format", "form", type=click.Choice(["text", "json"]), help="Words, or JSON.")
@click.pass_obj
def evaluate(output: Output, cases: Path, graph: Path, min_accuracy: float, form: str | None) -> None:
    """Say how many of CASES the router of GRAPH gets right: accuracy, confusion matrix, what is wrong.

    CASES is YAML: `cases: [{prompt: ..., route: ...}]`, or `messages` instead of `prompt`; the route `none` is for what
    no preference is right for. GRAPH is a graph.bin, or a configuration (.yaml), which is compiled in memory.
    """
    from archflow_compiler import cases as judging
    from archflow_compiler.cli import as_json, load_graph
    from archflow_compiler.environment import values
    from archflow_plugins.deciding.offline import choices
    from archflow_plugins.registry import Registry

    try:
        found, report, source = judging.read(cases)
    except OSError as error:
        raise click.ClickException(
            f"{cases} cannot be read: {(error.strerror or str(error)).lower()}"
        ) from error
    if report.failed:
        output.show(report, source)
        raise SystemExit(1)
    if not found:
        raise click.ClickException(f"{cases} has no cases")
    loaded, _ = load_graph(output, graph)
    node, chosen = choices(
        loaded,
        Registry.for_graph(loaded.requires, "any"),
        [case.conversation for case in found],
        environment=values(graph),
    )
    unknown = judging.unknown(node, found)
    if unknown:
        raise click.ClickException(
            f"{cases}: the graph has no route {', '.join(unknown)}; it has {', '.join(name for name, _ in node.routes)}"
        )
    judged = judging.judge(node, found, chosen)
    as_form = form or ("json" if output.form == "json" else "text")
    click.echo(as_json(judged) if as_form == "json" else judging.text(judged), nl=False)
    if judged.accuracy < min_accuracy:
        raise SystemExit(1)

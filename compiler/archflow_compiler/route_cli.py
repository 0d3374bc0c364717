"""`archc route`: a router and a user's own cases.

Rule: every heavy import is inside the command that needs it, as in `cli`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from archflow_compiler.failing import Failed
from archflow_compiler.output import Output, as_json, disk, load_graph
from archflow_compiler.progress import shown

if TYPE_CHECKING:
    from archflow_compiler.cases import Case
    from archflow_plugins.kinds import Choice
    from archflow_schema.graph import Choose, Graph


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

    loaded, _ = load_graph(output, graph)
    found, node, chosen = _answers(output, cases, loaded, graph)
    judged = judging.judge(node, found, chosen)
    as_form = form or ("json" if output.form == "json" else "text")
    click.echo(as_json(judged) if as_form == "json" else judging.text(judged), nl=False)
    if judged.accuracy < min_accuracy:
        raise SystemExit(1)


@route.command("tune")
@click.argument("cases", type=click.Path(path_type=Path))
@click.argument("config", type=click.Path(path_type=Path), default="arch_config.yaml")
@click.option("--write", is_flag=True, help="Change CONFIG; without it, only the difference is shown.")
@click.pass_obj
def tune(output: Output, cases: Path, config: Path, write: bool) -> None:
    """Find settings of the router of CONFIG that get more of CASES right, and show what would change.

    The settings are the router's own to find, such as the threshold of `composite`. Nothing is written without --write.
    """
    from archflow_compiler import cases as judging
    from archflow_compiler import tune as writing
    from archflow_compiler.driver import compile_file
    from archflow_compiler.environment import values
    from archflow_compiler.write import READABLE, replace
    from archflow_plugins.deciding.offline import tuned
    from archflow_plugins.registry import Registry

    if _is_graph(config):
        raise Failed(
            f"{config} is a graph: what is tuned is the configuration that it was compiled from",
            file=str(config),
        )
    with shown() as watch:
        outcome = compile_file(config, watch)
    if outcome.graph is None:
        output.show(outcome.report, outcome.source)
        raise SystemExit(1)
    found, node, chosen = _answers(output, cases, outcome.graph, config)
    before = judging.judge(node, found, chosen)
    judged = [
        ("" if case.route == judging.NONE else case.route, choice)
        for case, choice in zip(found, chosen, strict=True)
    ]
    registry = Registry.for_graph(outcome.graph.requires, "any")
    settings = tuned(outcome.graph, registry, judged, environment=values(config))
    if not settings:
        output.done(f"{node.use.kind}: {before.right} of {before.cases} cases right; nothing does better")
        return
    for name, value in settings.items():
        changed = writing.proposed(outcome, node.use.kind, name, value)
        if changed is None:
            raise Failed(
                f"write `{name}: {value:g}` below routing.router of {config} by hand", file=str(config)
            )
        outcome = changed
    text = outcome.source.text
    assert outcome.graph is not None  # noqa: S101 - `proposed` compiled it
    _, node, chosen = _answers(output, cases, outcome.graph, config)
    after = judging.judge(node, found, chosen)
    click.echo(writing.diff(config.read_text("utf-8"), text, config.name), nl=False)
    output.done(f"{node.use.kind}: {before.right} of {before.cases} cases right, then {after.right}")
    if write:
        with disk(str(config), "written"):
            replace(config, text.encode(), READABLE)
        output.done(f"wrote {config}")
    else:
        output.done("nothing was written; --write does")


def _is_graph(path: Path) -> bool:
    from archflow_schema.artifact import MAGIC

    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False  # who compiles it says so


def _answers(
    output: Output, cases: Path, graph: Graph, path: Path
) -> tuple[tuple[Case, ...], Choose, tuple[Choice, ...]]:
    """The cases of a file, the node that chooses, and what it chooses for each."""
    from archflow_compiler import cases as judging
    from archflow_compiler.environment import values
    from archflow_plugins.deciding.offline import choices
    from archflow_plugins.registry import Registry

    with disk(str(cases), "read"):
        found, report, source = judging.read(cases)
    if report.failed:
        output.show(report, source)
        raise SystemExit(1)
    if not found:
        raise Failed(f"{cases} has no cases", file=str(cases))
    node, chosen = choices(
        graph,
        Registry.for_graph(graph.requires, "any"),
        [case.conversation for case in found],
        environment=values(path),
    )
    unknown = judging.unknown(node, found)
    if unknown:
        has = ", ".join(name for name, _ in node.routes)
        raise Failed(f"{cases}: the graph has no route {', '.join(unknown)}; it has {has}", file=str(cases))
    return found, node, chosen

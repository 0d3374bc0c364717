"""archc: the command line.

Rule: every heavy import is inside the command that needs it, so that `archc --help` answers at once.
Exit status: 0 when all went well, 1 when there are errors, 2 for a wrong command line.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from archflow_compiler.failing import Failed, Misused, form_of, telling
from archflow_compiler.models_cli import models
from archflow_compiler.output import FORMS, Format, Output, as_json, disk, load_graph, read_json, version
from archflow_compiler.progress import shown
from archflow_compiler.route_cli import route

if TYPE_CHECKING:
    from archflow_compiler.driver import Outcome
    from archflow_plugins.kinds import Dialect
    from archflow_schema.graph import Graph

NAMES = ("arch_config.yaml", "config.yaml")


def _version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        click.echo(f"archc {version()}")
        context.exit()


class _Archc(click.Group):
    """The command group; what goes wrong in a command is told in the form that was asked for."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Read what stands before a command."""
        form = form_of(args)
        with telling(form):
            context = super().make_context(info_name, args, parent, **extra)
        context.meta[__name__] = form
        return context

    def invoke(self, ctx: click.Context) -> object:
        """Run a command."""
        with telling(ctx.meta[__name__]):
            return super().invoke(ctx)


@click.group(cls=_Archc, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--format", "form", type=click.Choice(FORMS), default="text", show_default=True,
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


main.add_command(models)
main.add_command(route)


def _config_file(file: Path | None) -> Path:
    """The configuration: the one named, or the one that lies here."""
    if file is not None:
        return file
    for name in NAMES:
        if Path(name).is_file():
            return Path(name)
    raise Misused(f"neither {NAMES[0]} nor {NAMES[1]} is here", "name a file, or write one with `archc init`")


def _take_form(context: click.Context, _: click.Parameter, form: Format | None) -> None:
    if form is not None:
        context.obj.form = form


_FORM = click.option(
    "--format",
    type=click.Choice(FORMS),
    expose_value=False,
    callback=_take_form,
    help="How findings are written, as before the command.",
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
    default=None,
    help="Where to; `-` is standard output.  [default: graph.bin]",
)
@click.option(
    "--bundle",
    type=click.Path(path_type=Path, file_okay=False),
    help="Make a folder instead that runs on a machine without any registry: graph, keys, local models, how to run it.",
)
@click.option(
    "--packages",
    is_flag=True,
    help="Put archflow and all that it needs into the bundle, as wheels for this platform.",
)
@click.option(
    "--secrets",
    type=click.Path(path_type=Path),
    help="Side file for literal keys.  [default: beside the graph]",
)
@click.option("-q", "--quiet", is_flag=True, help="Do not say what was written.")
@_STRICT
@_FORM
@click.pass_obj
def compile_(
    output: Output, file: Path | None, target: str | None, bundle: Path | None, packages: bool, secrets: Path | None,
    quiet: bool, strict: bool,
) -> None:  # fmt: skip
    """Compile FILE (by default arch_config.yaml or config.yaml here) into graph.bin.

    Keys that stand literally in FILE go to a side file that only its owner can read, graph.secrets.
    """
    from archflow_compiler import write
    from archflow_compiler.driver import compile_file

    if bundle is not None and (target is not None or secrets is not None):
        raise Misused("a bundle holds graph and keys by itself", "leave -o and --secrets out")
    if packages and bundle is None:
        raise Misused("--packages are part of a bundle", "name its folder with --bundle")
    target = target or "graph.bin"
    if target == "-" and output.form != "text":
        raise Misused("the graph and the findings cannot both go to standard output")
    path = _config_file(file)
    if (
        bundle is None
        and target != "-"
        and Path(target).exists()
        and path.exists()
        and Path(target).samefile(path)
    ):
        raise Misused(f"{target} is the configuration itself", "name another file with -o")
    with shown() as watch:
        outcome = compile_file(path, watch)
    if not _finish(output, outcome, strict):
        raise SystemExit(1)
    if bundle is not None:
        _bundle(output, outcome, bundle, packages, quiet)
        return
    if target == "-" and outcome.secrets and secrets is None:
        raise Misused(
            "the configuration holds literal keys, which the graph never does",
            "name a file for them with --secrets",
        )
    with disk(target, "written"):
        made = write.write(outcome.data, outcome.secrets, target, secrets)
    if target != "-" and not quiet:
        output.done(made)


def _bundle(output: Output, outcome: Outcome, folder: Path, packages: bool, quiet: bool) -> None:
    from archflow_compiler.bundle import bundle

    def say(words: str) -> None:
        if not quiet:
            output.done(words)

    assert outcome.graph is not None  # noqa: S101 - the compile went well
    with disk(str(folder), "written"):
        bundle(outcome.graph, outcome.data, outcome.secrets, folder, packages=packages, say=say)
    say(f"{folder} is ready: {folder / 'README.md'} says how to run it")


@main.command()
@_FILE
@click.option("--env", is_flag=True, help="Also name the variables that are not set here and now.")
@_STRICT
@_FORM
@click.pass_obj
def check(output: Output, file: Path | None, env: bool, strict: bool) -> None:
    """Say what is wrong with FILE, and write nothing."""
    from archflow_compiler.driver import compile_file

    path = _config_file(file)
    with shown() as watch:
        outcome = compile_file(path, watch)
    if env:
        from archflow_compiler.environment import unset

        outcome.report.extend(unset(outcome, path))
    if not _finish(output, outcome, strict):
        raise SystemExit(1)
    output.done(f"{path} is good")


@main.command()
@click.argument("graph", type=click.Path(path_type=Path), default="graph.bin")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "mermaid", "dot", "svg"]),
    default="text",
    show_default=True,
    help="Words, or a picture.",
)
@click.option("--prompt", help="Show the way of a request that says this.")
@click.option(
    "--messages",
    type=click.Path(path_type=Path),
    help="Show the way of a request: a file with its body, or with its list of messages, as JSON.",
)
@click.option("--model", help="The model that the request names.  [default: none]")
@click.option("--listener", default="", help="Where the request comes.  [default: the first]")
@click.pass_obj
def explain(
    output: Output,
    graph: Path,
    form: str,
    prompt: str | None,
    messages: Path | None,
    model: str | None,
    listener: str,
) -> None:
    """Show what GRAPH does: every listener, node and outcome; or the way of one request, with every score.

    GRAPH is a graph.bin, or a configuration (.yaml), which is compiled in memory.
    """
    found, digest = load_graph(output, graph)
    if prompt is not None or messages is not None:
        if form != "text":
            raise Misused("the way of a request is told in words", "leave --format out")
        _follow(output, found, graph, _body(prompt, messages, model), listener)
        return
    if form == "text" and output.form == "json":
        from archflow_compiler.explain.facts import facts

        click.echo(as_json({"source": found.source, "sha256": digest, "facts": facts(found)}), nl=False)
        return
    if form == "text":
        from archflow_compiler.explain.words import text

        click.echo(text(found, digest, _dialects(found)), nl=False)
        return
    from archflow_compiler.explain.diagram import diagram, dot, mermaid
    from archflow_compiler.explain.svg import svg

    click.echo({"mermaid": mermaid, "dot": dot, "svg": svg}[form](diagram(found)), nl=False)


def _dialects(graph: Graph) -> dict[str, type[Dialect]]:
    """The dialects of a graph's plugins, so far as these are here: explaining takes no more than a graph."""
    from archflow_plugins.registry import Registry
    from archflow_schema.errors import PluginError

    try:
        return Registry.for_graph(graph.requires, "any").dialects()
    except PluginError:
        return {}


def _body(prompt: str | None, messages: Path | None, model: str | None) -> bytes:
    """The request that a prompt, a list of messages or a whole body stands for."""
    import msgspec

    if messages is None:
        said: object = [{"role": "user", "content": prompt}]
    elif prompt is not None:
        raise Misused("--prompt and --messages are two requests", "give one of them")
    else:
        said = read_json(messages)
    body = said if isinstance(said, dict) else {"model": "none", "messages": said}
    return msgspec.json.encode({**body, "model": model} if model is not None else body)


def _follow(output: Output, graph: Graph, path: Path, body: bytes, listener: str) -> None:
    """Print the way of a request."""
    from archflow_compiler.environment import values
    from archflow_compiler.explain.followed import text
    from archflow_plugins.deciding.offline import follow
    from archflow_plugins.registry import Registry

    registry = Registry.for_graph(graph.requires, "any")
    walk = follow(graph, registry, body, environment=values(path), listener=listener)
    click.echo(as_json(walk) if output.form == "json" else text(walk), nl=False)


@main.command()
@click.argument("before", type=click.Path(path_type=Path))
@click.argument("after", type=click.Path(path_type=Path))
@click.option("--exit-code", is_flag=True, help="End with 1 when there are differences.")
@_FORM
@click.pass_obj
def diff(output: Output, before: Path, after: Path, exit_code: bool) -> None:
    """Show what changes for traffic from BEFORE to AFTER: models, names, limits, guards, timeouts.

    Each is a graph.bin, or a configuration (.yaml), which is compiled in memory.
    """
    from archflow_compiler.explain.diff import changes, text

    found = changes(load_graph(output, before)[0], load_graph(output, after)[0])
    click.echo(as_json(found) if output.form == "json" else text(found), nl=False)
    if exit_code and found:
        raise SystemExit(1)


@main.command()
@click.option("--reference", is_flag=True, help="The reference in Markdown instead.")
@click.option("--dialects", is_flag=True, help="What dialects do with what a request says, in Markdown.")
def schema(reference: bool, dialects: bool) -> None:
    """Print the JSON Schema of arch_config.yaml, for editors."""
    from archflow_compiler.reference import dialects as tables
    from archflow_compiler.reference import json_schema, markdown

    if dialects:
        from archflow_plugins.registry import Registry

        click.echo(tables.markdown(Registry.load().dialects()), nl=False)
    else:
        click.echo(markdown.markdown() if reference else json_schema.text(), nl=False)


@main.command()
@click.argument("file", type=click.Path(path_type=Path), default=NAMES[0])
@click.option("--template", default="models", show_default=True, help="Which one; `--list` shows all.")
@click.option("--list", "listing", is_flag=True, help="Show the templates.")
@click.option(
    "--from",
    "api",
    type=click.Path(path_type=Path),
    help="Draft prompt targets from an OpenAPI document, or from a module (.py) of FastAPI or Flask, which is not run.",
)
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
@click.pass_obj
def init(output: Output, file: Path, template: str, listing: bool, api: Path | None, force: bool) -> None:
    """Write a configuration to begin with into FILE."""
    from archflow_compiler.templates import TEMPLATES
    from archflow_compiler.write import READABLE, replace
    from archflow_schema.suggest import did_you_mean

    if listing:
        for name, (purpose, _) in TEMPLATES.items():
            click.echo(f"{name:<10}{purpose}")
        return
    if api is not None:
        _draft(output, file, api, force)
        return
    if template not in TEMPLATES:
        hint = did_you_mean(template, TEMPLATES) or f"there are {', '.join(TEMPLATES)}"
        raise Misused(f'there is no template "{template}"', hint, option="--template")
    if file.exists() and not force:
        raise Failed(f"{file} is there already", "take --force to replace it", file=str(file))
    with disk(str(file), "written"):
        replace(file, TEMPLATES[template][1].encode(), READABLE)
    output.done(f"wrote {file}; next: archc compile {file}")


def _draft(output: Output, file: Path, api: Path, force: bool) -> None:
    """Draft a configuration from an API, and say what could not be."""
    from archflow_compiler.drafting.drafts import draft_file
    from archflow_compiler.write import READABLE, replace

    if file.exists() and not force:
        raise Failed(f"{file} is there already", "take --force to replace it", file=str(file))
    found = draft_file(api)
    output.show(found.report, found.source)
    if not found.text:
        raise SystemExit(1)
    with disk(str(file), "written"):
        replace(file, found.text.encode(), READABLE)
    count = "1 prompt target" if found.calls == 1 else f"{found.calls} prompt targets"
    output.done(f"wrote {file} with {count}; read it through, then: archc check {file}")


@main.group()
def plugins() -> None:
    """What is installed, what it offers, and how to begin a plugin of one's own."""


@plugins.command("list")
@click.pass_obj
def plugins_list(output: Output) -> None:
    """List the plugins that are installed. Imports none of them."""
    from archflow_plugins.registry import installed

    found = installed()
    if output.form == "json":
        click.echo(as_json(found), nl=False)
        return
    width = max((len(plugin.entry_point) for plugin in found), default=0)
    for plugin in found:
        click.echo(
            f"{plugin.entry_point:<{width}}  {plugin.distribution} {plugin.version}  {plugin.summary}".rstrip()
        )


@plugins.command("show")
@click.argument("name")
def plugins_show(name: str) -> None:
    """Show what NAME offers and takes: a plugin, or a kind such as guard.length. Imports the plugin."""
    from archflow_compiler.reference.catalogue import show

    click.echo(show(name), nl=False)


@plugins.command("new")
@click.argument("name")
@click.option("--folder", type=click.Path(path_type=Path), help="Where to.  [default: a new folder here]")
@click.option("--family", default="guard", show_default=True, help="What it offers: a guard or a tracer.")
@click.pass_obj
def plugins_new(output: Output, name: str, folder: Path | None, family: str) -> None:
    """Write an installable package with the plugin NAME, whose tests pass."""
    from archflow_plugins import scaffold

    target = folder or Path(f"archflow-{family}-{name}")
    with disk(str(target), "written"):
        paths = scaffold.create(name, target, family)
    for path in paths:
        output.done(f"wrote {path}")

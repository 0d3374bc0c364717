"""`archrun`: run a compiled graph.

Heavy imports happen inside functions, so that `--help` and mistakes answer at once.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

if TYPE_CHECKING:
    from archflow_engine.run import Options
    from archflow_plugins.registry import Policy

ADMIN = "127.0.0.1:9901"


def _seconds(_: click.Context, __: click.Parameter, seconds: float) -> float:
    if math.isnan(seconds):  # no range leaves it out, for it is neither below nor above anything
        raise click.BadParameter("nan is no number of seconds")
    return seconds


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("graph", type=click.Path(path_type=Path), default=None, required=False)
@click.option(
    "--admin",
    metavar="ADDRESS",
    default=None,
    help=f"Where /healthz, /readyz, /metrics and /graph are served; `off` for nowhere.  [default: {ADMIN}]",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 256),
    default=1,
    show_default=True,
    help="Processes on the same ports.",
)
@click.option(
    "--drain",
    type=click.FloatRange(0),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    callback=_seconds,
    help="How long running requests may take to finish after SIGTERM.",
)
@click.option("--watch", is_flag=True, help="Swap the graph in when the file changes.")
@click.option(
    "--plugins",
    type=click.Choice(["locked", "verify", "any"]),
    default="locked",
    show_default=True,
    help="Refuse plugins that differ from the graph's lock; verify also hashes their files; any only warns.",
)
@click.option(
    "--log-format",
    type=click.Choice(["json", "console"]),
    default=None,
    help="Form of the log on stderr.  [default: console on a terminal, else json]",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
    help="What is logged.",
)
@click.option(
    "--control", type=int, default=None, hidden=True, help="File descriptor of the supervisor's line."
)
@click.option("--home", type=click.Path(path_type=Path), default=None, hidden=True, help="What GRAPH copies.")
@click.version_option(metadata.version("archflow"), prog_name="archrun")
def command(
    graph: Path | None,
    admin: str | None,
    workers: int,
    drain: float,
    watch: bool,
    plugins: str,
    log_format: str | None,
    log_level: str,
    control: int | None,
    home: Path | None,
) -> None:
    """Run GRAPH: a graph.bin, or an arch_config.yaml that is compiled in memory.

    Without GRAPH it runs graph.bin here, else arch_config.yaml, else config.yaml.

    SIGTERM drains and ends, SIGHUP swaps the graph in again. `archrun agent --help` tells how to start an agent of
    the command line against a gateway.
    """
    from archflow_engine.run import Options, run

    options = Options(
        graph=graph or _found(),
        admin=None if admin == "off" else _address(admin or ADMIN),
        admin_asked=admin is not None,
        workers=workers,
        drain=drain,
        watch=watch,
        plugins=cast("Policy", plugins),  # click checked the choice
        log_format=log_format or ("console" if sys.stderr.isatty() else "json"),
        log_level=log_level,
        control=control,
        home=home,
    )
    raise SystemExit(_told(run, options))


@click.command(
    "agent",
    context_settings={"help_option_names": ["-h", "--help"], "ignore_unknown_options": True},
)
@click.argument("name")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.option(
    "--graph", type=click.Path(path_type=Path), default=None, help="The graph.bin or configuration."
)
@click.option("--gateway", metavar="URL", default="", help="A gateway that runs already, wherever it is.")
@click.option("--model", default="", help="What the agent asks for, instead of its own choice.")
def agent_command(
    name: str, arguments: tuple[str, ...], graph: Path | None, gateway: str, model: str
) -> None:
    """Start the agent NAME against a gateway; ARGUMENTS are the agent's own. A wrong NAME tells which there are.

    A first argument that names a graph.bin or a configuration is the graph. Where its gateway does not run yet, one
    is started and ends with the agent.
    """
    from archflow_engine import agent
    from archflow_plugins.coding_agents import AGENTS
    from archflow_schema.errors import ArchflowError

    found = next((one for one in AGENTS if one.name == name), None)
    if found is None:
        raise click.BadParameter(
            f"{name} is none of {', '.join(one.name for one in AGENTS)}", param_hint="NAME"
        )
    if graph is None and arguments and arguments[0].endswith((".bin", ".yaml", ".yml")):
        graph, arguments = Path(arguments[0]), arguments[1:]
    try:
        status = agent.run(
            found,
            graph or (None if gateway else _found()),
            gateway,
            model,
            arguments,
            lambda line: click.echo(f"archrun: {line}", err=True),
        )
    except ArchflowError as error:
        click.echo(f"archrun: {error}", err=True)
        raise SystemExit(1) from error
    raise SystemExit(status)


def _told(run: Callable[[Options], None], options: Options) -> int:
    """Run; what archflow raises on purpose is told in its own words, without a traceback."""
    from archflow_engine import log
    from archflow_engine.load import ConfigurationRefused
    from archflow_schema.errors import ArchflowError

    try:
        run(options)
    except ArchflowError as error:
        if options.log_format == "json":
            log.configure("json", options.log_level)("cannot_run", "error", detail=str(error))
        else:
            click.echo(
                str(error) if isinstance(error, ConfigurationRefused) else f"archrun: {error}", err=True
            )
        return 1
    return 0


def _found() -> Path:
    for name in ("graph.bin", "arch_config.yaml", "config.yaml"):
        if Path(name).is_file():
            return Path(name)
    raise click.UsageError("there is no graph.bin here: make one with `archc compile`, or name a file")


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65_535:
        raise click.BadParameter(f"{text!r} is not ADDRESS:PORT", param_hint="--admin")
    return host.strip("[]") or "127.0.0.1", int(port)


def main() -> None:
    """The console script. `agent` is a command of its own; everything else is a graph to run."""
    if sys.argv[1:2] == ["agent"]:
        agent_command(sys.argv[2:], prog_name="archrun agent")
    try:
        command(prog_name="archrun")
    finally:
        _lose_what_cannot_be_told()


def _lose_what_cannot_be_told() -> None:
    """Throw away what stderr does not take, or Python ends with 120 for it, whatever the status was to be."""
    try:
        sys.stderr.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)

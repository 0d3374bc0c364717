"""`archrun agent`: starts an agent of the command line against a gateway, the one that runs or one of its own.

Rule: the agent gets the terminal, its exit status is ours, and a gateway that was started for it ends with it.
Rule: which variables an agent needs is data of `archflow_plugins.coding_agents`; nothing here knows one by name.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from archflow_engine import load
from archflow_plugins.coding_agents import CodingAgent
from archflow_schema.errors import ArchflowError
from archflow_schema.graph import END, Graph, Listener, Route

STARTING = 60.0
"""Seconds that a gateway may take to serve, models and all."""
_STEP = 0.05
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - compared, not bound


class _Model(Struct):
    id: str


class _Models(Struct):
    data: list[_Model]


class Place(Struct, frozen=True):
    """A gateway: where it is, the models it lists, and the one that it takes for requests that name none."""

    origin: str
    models: tuple[str, ...]
    default: str = ""


def run(
    agent: CodingAgent,
    path: Path | None,
    gateway: str,
    model: str,
    arguments: tuple[str, ...],
    say: Callable[[str], None],
) -> int:
    """Run an agent until it ends. Blocks.

    Args:
        agent: which.
        path: the graph whose gateway it shall use; None to ask the gateway alone.
        gateway: its URL, if it runs elsewhere than the graph says; empty to look at the graph's address.
        model: what the agent shall ask for; empty to let it, or the graph, decide.
        arguments: for the agent.
        say: tells the user a line.

    Returns:
        The agent's exit status.

    Raises:
        ArchflowError: it is not installed, or no gateway can be had.
    """
    command = shutil.which(agent.command)
    if command is None:
        raise ArchflowError(f"{agent.command} is not installed: `{agent.install}`")
    if gateway:
        return _launch(command, agent, _ask(gateway.rstrip("/")), model, arguments, say)
    if path is None:
        raise ArchflowError("there is no graph.bin here: name one, or say --gateway URL")
    graph = load.load(path, load.environment()).graph
    place = _place(graph, agent)
    if _lives(place.origin):
        say(f"using the gateway at {place.origin}")
        return _launch(command, agent, place, model, arguments, say)
    with _own(path, place.origin, say):
        return _launch(command, agent, place, model, arguments, say)


def environment(agent: CodingAgent, place: Place, model: str) -> tuple[dict[str, str], list[str]]:
    """The variables and the first arguments that point an agent at a gateway."""
    knows = any(name.startswith(agent.own_models) for name in place.models)
    chosen = model or ("" if knows else place.default or next(iter(place.models), ""))
    small = agent.small_alias if agent.small_alias in place.models else ""
    values = {
        "origin": place.origin,
        "host": urlsplit(place.origin).hostname or "",
        "model": chosen,
        "small": small or chosen,
    }
    variables = [*agent.environment]
    arguments = [*agent.arguments]
    if chosen:
        variables += agent.with_model
        arguments += agent.model_arguments
    if small or chosen:
        variables += agent.with_small
    return (
        {name: template.format(**values) for name, template in variables},
        [template.format(**values) for template in arguments],
    )


def _launch(
    command: str,
    agent: CodingAgent,
    place: Place,
    model: str,
    arguments: tuple[str, ...],
    say: Callable[[str], None],
) -> int:
    variables, first = environment(agent, place, model)
    say(f"starting {agent.name} against {place.origin}")
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the agent's; it says when it ends
    try:
        return subprocess.run(  # noqa: S603 - the agent that the user named
            [command, *first, *arguments],
            env={**os.environ, **variables},
            check=False,
            preexec_fn=_heed_interrupts,
        ).returncode
    finally:
        signal.signal(signal.SIGINT, before)


def _heed_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _place(graph: Graph, agent: CodingAgent) -> Place:
    """Where the graph's gateway serves what the agent speaks."""
    for listener in graph.listeners:
        for endpoint in listener.endpoints:
            if endpoint.dialect == agent.dialect:
                return Place(_origin(listener), listener.models, _default(graph, endpoint.entry))
    raise ArchflowError(f"no listener of this graph serves {agent.dialect}, which {agent.name} speaks")


def _default(graph: Graph, entry: int) -> str:
    """The default model of the first route that a walk from `entry` comes to when nothing stops it."""
    reached = [entry]
    for number in reached:  # the graph has no circle, so this ends
        node = graph.nodes[number]
        if isinstance(node, Route):
            return node.default
        reached += [edge.target for edge in node.edges if edge.target not in (END, *reached)]
    return ""


def _origin(listener: Listener) -> str:
    host = _ANY.get(listener.address, listener.address)
    scheme = "http" if listener.tls is None else "https"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{listener.port}"


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=5) as reply:  # noqa: S310 - an address of the user's own
        data: bytes = reply.read(8 << 20)
        return data


def _lives(origin: str) -> bool:
    try:
        _get(f"{origin}/healthz")
    except (OSError, ValueError):
        return False
    return True


def _ask(origin: str) -> Place:
    """What a running gateway says of itself."""
    if urlsplit(origin).scheme not in {"http", "https"}:
        raise ArchflowError(f"{origin} is not a URL: say --gateway http://HOST:PORT")
    try:
        models = msgspec.json.decode(_get(f"{origin}/v1/models"), type=_Models)
    except (OSError, ValueError) as error:
        raise ArchflowError(f"no gateway answers at {origin}: {error}") from error
    return Place(origin, tuple(one.id for one in models.data))


@contextmanager
def _own(path: Path, origin: str, say: Callable[[str], None]) -> Iterator[None]:
    """A gateway of the agent's own, for as long as the agent runs; its log goes into a file."""
    with tempfile.NamedTemporaryFile(prefix="archrun-", suffix=".log", delete=False) as log:
        say(f"starting a gateway at {origin}; its log is {log.name}")
        process = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", "archflow_engine", str(path), "--admin", "off", "--log-format", "json"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _wait(process, origin, Path(log.name))
            yield
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(process: subprocess.Popen[bytes], origin: str, log: Path) -> None:
    for _ in range(int(STARTING / _STEP)):
        if _lives(origin):
            return
        try:
            process.wait(_STEP)
        except subprocess.TimeoutExpired:
            continue
        raise ArchflowError(f"the gateway did not start:\n{log.read_text(errors='replace').strip()}")
    raise ArchflowError(f"the gateway at {origin} does not answer; its log is {log}")

"""A bundle: one folder that runs a graph on a machine without any registry.

::

    DIR/graph.bin, graph.secrets     the graph, and literal keys if there are any
    DIR/cache/models/...             the models that run in the gateway's own process, converted and checked
    DIR/packages/*.whl               if asked for: archflow, its plugins and all that they need
    DIR/run, README.md               how to run it; what must be there beside

Rule: a bundle appears whole or not at all, and replaces nothing but an earlier bundle.
"""

from __future__ import annotations

import platform
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from archflow_compiler import wheels, write
from archflow_schema.errors import ArchflowError
from archflow_schema.graph import Agent, Graph

MARK = "README.md"
FIRST = "# A gateway in a folder"
RUN = """\
#!/bin/sh
# Runs this gateway: ./run [options of archrun]
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd) || exit 1
command=archrun
[ -x "$here/.venv/bin/archrun" ] && command=$here/.venv/bin/archrun
ARCHFLOW_CACHE=$here/cache exec "$command" "$here/graph.bin" "$@"
"""

Say = Callable[[str], None]


def bundle(
    graph: Graph, data: bytes, secrets: dict[str, str], target: Path, *, packages: bool, say: Say
) -> None:
    """Make a bundle. Blocks: it copies models, and packs packages if asked to.

    Args:
        graph: what was compiled.
        data: the same as bytes.
        secrets: entries of the side file.
        target: the folder.
        packages: put archflow and all it needs into it.
        say: is told what is done.

    Raises:
        ArchflowError: something is there that is no bundle, a model or a package cannot be had, or the disk says no.
    """
    if target.exists() and not _is_bundle(target):
        raise ArchflowError(
            f"{target} is there already and is no bundle", fix="name a new folder, or remove it"
        )
    target.absolute().parent.mkdir(parents=True, exist_ok=True)
    work = target.absolute().with_name(f".{target.absolute().name}.part")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    try:
        say(write.write(data, secrets, str(work / "graph.bin"), None).replace(str(work), str(target)))
        _take_models(graph, work, say)
        if packages:
            names = {"archflow", *(one.distribution for one in graph.requires)}
            for path in wheels.pack(sorted(names), work / "packages"):
                say(f"packed {path.name}")
        (work / "run").write_text(RUN, encoding="utf-8")
        (work / "run").chmod(stat.S_IMODE((work / "run").stat().st_mode) | 0o111)
        (work / MARK).write_text("\n".join(_words(graph, packages=packages)) + "\n", encoding="utf-8")
        _put(work, target)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _is_bundle(folder: Path) -> bool:
    try:
        return (folder / MARK).read_text(encoding="utf-8").startswith(FIRST) or not any(folder.iterdir())
    except (OSError, UnicodeDecodeError):
        return folder.is_dir() and not any(folder.iterdir())


def _put(work: Path, target: Path) -> None:
    old = work.with_name(f".{target.absolute().name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    work.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def _take_models(graph: Graph, work: Path, say: Say) -> None:
    if not graph.models:
        return
    from typing import cast

    from archflow_plugins.local_models.cache import Cache
    from archflow_plugins.local_models.catalogue import Quantization

    source, into = Cache(), Cache(work / "cache")
    for one in graph.models:
        into.take(source.load(one.name, one.digest, cast("Quantization", one.quantization)))
        say(f"took local/{one.name}: {one.quantization}, {one.size / 1e6:.0f} MB")
    for lock in (work / "cache" / "models").glob(".*.lock"):
        lock.unlink()


def _words(graph: Graph, *, packages: bool) -> Iterator[str]:
    """How to run it, and what is not in it."""
    version = wheels.version("archflow")
    yield FIRST
    yield ""
    yield f"Made by archc {version} from {graph.source}. Nothing here asks a registry."
    yield ""
    yield "```"
    if packages:
        yield "python3 -m venv .venv"
        yield ".venv/bin/pip install --no-index --find-links packages " + " ".join(_wanted(graph))
    yield "./run                  # archrun with this folder's graph and models; takes archrun's options"
    yield "```"
    yield ""
    made = (
        f"Python {'.'.join(platform.python_version_tuple()[:2])} on {platform.system()} {platform.machine()}"
    )
    if packages:
        yield f"The packages are for {made}."
    else:
        yield f"`archrun` must be installed: {', '.join(_wanted(graph))}."
    if graph.models:
        yield ""
        yield "Local models: " + ", ".join(f"{one.name} ({one.quantization})" for one in graph.models) + "."
    if graph.environment:
        yield ""
        yield "Set these variables, or write them into `.env` here: " + ", ".join(graph.environment) + "."
    if files := sorted(set(_files(graph))):
        yield ""
        yield "Put these files beside graph.bin, where it looks for them: " + ", ".join(files) + "."


def _wanted(graph: Graph) -> list[str]:
    """What must be installed, as pip takes it."""
    plugins = {one.distribution: one.version for one in graph.requires if one.distribution != "archflow"}
    return [
        f"archflow=={wheels.version('archflow')}",
        *(f"{name}=={told}" for name, told in sorted(plugins.items())),
    ]


def _files(graph: Graph) -> Iterator[str]:
    """Files that a graph names relative to itself; keys among them are nobody's to copy."""
    for listener in graph.listeners:
        if listener.tls is not None:
            yield from (listener.tls.certificate, listener.tls.private_key)
    yield from (upstream.ca for upstream in graph.upstreams if upstream.ca)
    yield from (node.ca for node in graph.nodes if isinstance(node, Agent) and node.ca)

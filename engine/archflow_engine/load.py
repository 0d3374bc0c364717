"""graph.bin -> Program: the verified graph and the values of the names it holds.

A YAML configuration is compiled first, by running `archc` as a process of its own: the engine and the compiler meet
only at the bytes of graph.bin.

Secrets come from the process environment, then from `.env` beside the graph, and from `graph.secrets` for keys that
stood literally in the YAML. Relative paths in a graph (certificates, CA bundles) begin at the folder of the file that
archrun was given.

Rule: every missing name is told at once, before anything is opened.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import re
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec
from msgspec import Struct, structs

from archflow_schema import artifact
from archflow_schema.diagnostic import Diagnostic
from archflow_schema.errors import ArchflowError, ArtifactError, SecretsMissing, os_reason
from archflow_schema.graph import Agent, Graph, Tls
from archflow_schema.text import Env, Secret

_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*")
_QUOTED = re.compile(r"""(['"])(.*?)\1(?:\s+#.*)?""")
_COMMENT = re.compile(r"(^|\s)#.*")
_YAML = {".yaml", ".yml"}


Log = Callable[..., None]
_LEVELS = {"error": "error", "warning": "warning", "note": "info"}


class ConfigurationRefused(ArchflowError):
    """`archc` found errors; the text is its rendered report, or names them when the report went to a log."""


class _Findings(Struct):
    """What `archc --format json` prints, on either stream."""

    diagnostics: tuple[Diagnostic, ...]


class Program:
    """A graph ready to be bound.

    Attributes:
        graph: verified.
        digest: of graph.bin, as hex.
        warnings: what is doubtful about how its secrets are kept.
    """

    def __init__(
        self, graph: Graph, digest: str, environment: Mapping[str, str], secrets: Mapping[str, str]
    ) -> None:
        self.graph = graph
        self.digest = digest
        self.warnings: list[str] = []
        self._environment = environment
        self._secrets = secrets

    def lookup(self, reference: Env | Secret) -> str:
        """The value of a reference. Raises KeyError for one that the graph does not declare."""
        return (
            self._environment[reference.name] if isinstance(reference, Env) else self._secrets[reference.key]
        )


def is_configuration(path: Path) -> bool:
    """Whether a file is YAML, to be compiled, rather than a graph.bin."""
    return path.suffix.lower() in _YAML


def load(
    path: Path, environment: Mapping[str, str], home: Path | None = None, log: Log | None = None
) -> Program:
    """Read a graph.bin, or compile a configuration in memory. Blocks on the disk, and while `archc` runs.

    Args:
        path: the file.
        environment: the values of variables; those of `.env` beside the file give way to them.
        home: the file that the user named, if `path` is a copy of it: errors name it, and paths begin beside it.
        log: what `archc` finds becomes its lines; without one it is shown on stderr, as `archc` does.

    Raises:
        ConfigurationRefused: the configuration has errors.
        ArtifactError: the file is not a graph.bin that this version can run.
        SecretsMissing: names are not set.
        ArchflowError: the file cannot be read.
    """
    home = home or path
    if is_configuration(path):
        data, secrets, warnings = _compile(path, log)
    else:
        read = _map if home != path else _read
        data, secrets, warnings = read(path), *_read_secrets(path.with_suffix(".secrets"))
    return program(data, {**read_env_file(home.parent / ".env"), **environment}, secrets, str(home), warnings)


def program(
    data: artifact.Data,
    environment: Mapping[str, str],
    secrets: Mapping[str, str],
    name: str,
    warnings: list[str] | None = None,
) -> Program:
    """A Program from bytes and values.

    Args:
        data: of a graph.bin.
        environment: the values of variables.
        secrets: the values of entries of the side file.
        name: of the file, for errors; its folder is where relative paths begin.
        warnings: what is doubtful about how its secrets are kept.

    Raises:
        ArtifactError: the bytes are not a graph.bin that this version can run.
        SecretsMissing: names are not set.
    """
    try:
        graph = artifact.load(data)
    except ArtifactError as error:
        raise type(error)(f"{name}: {error}") from error
    missing = [f"${name}" for name in graph.environment if name not in environment]
    missing += [f"graph.secrets:{key}" for key in graph.secrets if key not in secrets]
    if missing:
        raise SecretsMissing(tuple(missing), name)
    found = Program(
        _placed(graph, Path(name).parent),
        artifact.digest(data),
        {name: environment[name] for name in graph.environment},
        {key: secrets[key] for key in graph.secrets},
    )
    found.warnings = warnings or []
    return found


def _placed(graph: Graph, folder: Path) -> Graph:
    """The graph with its relative paths taken from a folder; absolute ones stay."""
    return structs.replace(
        graph,
        listeners=tuple(
            structs.replace(
                one, tls=Tls(str(folder / one.tls.certificate), str(folder / one.tls.private_key))
            )
            if one.tls is not None
            else one
            for one in graph.listeners
        ),
        upstreams=tuple(
            structs.replace(one, ca=str(folder / one.ca)) if one.ca else one for one in graph.upstreams
        ),
        nodes=tuple(
            structs.replace(one, ca=str(folder / one.ca)) if isinstance(one, Agent) and one.ca else one
            for one in graph.nodes
        ),
    )


def read_env_file(path: Path) -> dict[str, str]:
    """The assignments of a `.env` file; empty if there is none.

    Lines are `NAME=value`, optionally after `export`; values may be quoted; `#` begins a comment at a line's start or
    after white space.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ArchflowError(f"{path} cannot be read: {error}") from error
    found: dict[str, str] = {}
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if match is None:
            continue
        name, value = match.groups()
        quoted = _QUOTED.fullmatch(value)
        found[name] = quoted[2] if quoted else _COMMENT.sub("", value).rstrip()
    return found


def compile_to(path: Path, folder: Path, log: Log | None = None) -> Path:
    """Compile a configuration into `folder`; returns the path of the graph.bin. Blocks while `archc` runs.

    Args:
        path: the configuration.
        folder: a private one.
        log: as for `load`.

    Raises:
        ConfigurationRefused: it has errors.
    """
    graph = folder / "graph.bin"
    form = ["--format", "json"] if log is not None else ["--color"] if sys.stderr.isatty() else []
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "archflow_compiler", *form, "compile", "--quiet", str(path), "-o", str(graph)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    said = done.stderr.decode(errors="replace").strip()
    if log is not None:
        told = [_found(one) for one in (done.stdout, done.stderr)]
        said = "; ".join(filter(None, [_logged(one, log) for one in told if one is not None])) or said
    if done.returncode:
        raise ConfigurationRefused(said or f"archc ended with status {done.returncode} on {path}")
    if said and log is None:
        with contextlib.suppress(OSError):  # as the log's lines, it may be lost
            sys.stderr.write(f"{said}\n")
    return graph


def _found(data: bytes) -> _Findings | None:
    """What `archc` says in JSON; None where it says nothing, or something else, such as where it broke."""
    try:
        return msgspec.json.decode(data, type=_Findings)
    except msgspec.DecodeError:
        return None


def _logged(found: _Findings, log: Log) -> str:
    """Log findings, one line each; returns the errors among them in a few words."""
    errors = []
    for one in found.diagnostics:
        at = one.range
        whole = {"file": one.file} if one.file else {}
        place = whole if at is None else {"file": at.file, "line": at.line, "column": at.column}
        more = {name: text for name, text in (("detail", one.detail), ("fix", one.fix)) if text}
        log("configuration", _LEVELS[one.severity], code=one.code, summary=one.summary, **place, **more)
        if one.severity == "error":
            errors.append(one.summary if at is None else f"{at.file}:{at.line}:{at.column}: {one.summary}")
    return "; ".join(errors)


def _compile(path: Path, log: Log | None) -> tuple[artifact.Data, dict[str, str], list[str]]:
    try:
        if not path.is_file():
            raise ArchflowError(f"there is no file {path}")
        with tempfile.TemporaryDirectory(prefix="archrun-") as folder:
            graph = compile_to(path, Path(folder), log)
            return _read(graph), *_read_secrets(graph.with_suffix(".secrets"))
    except OSError as error:  # no room for a temporary file, or for another process
        raise ArchflowError(f"{path} cannot be compiled: {os_reason(error)}") from error


def _read(path: Path) -> artifact.Data:
    """A file that somebody else may write into, which would end a process that maps it."""
    with _readable(path):
        return path.read_bytes()


def _map(path: Path) -> artifact.Data:
    """A copy that is ours: its pages are shared with every process that maps it."""
    with _readable(path), path.open("rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        if path.stat().st_size > artifact.MAX_SIZE:
            raise ArchflowError(f"{path} is larger than a graph.bin may be ({artifact.MAX_SIZE} bytes)")
        yield
    except OSError as error:
        hint = "; make one with `archc compile`" if isinstance(error, FileNotFoundError) else ""
        raise ArchflowError(f"{path} cannot be read: {os_reason(error)}{hint}") from error


def _read_secrets(path: Path) -> tuple[dict[str, str], list[str]]:
    try:
        data = path.read_bytes()
        mode = path.stat().st_mode
    except FileNotFoundError:
        return {}, []
    except OSError as error:
        raise ArchflowError(f"{path} cannot be read: {error.strerror}") from error
    try:
        secrets = msgspec.json.decode(data, type=dict[str, str])
    except msgspec.MsgspecError as error:
        raise ArchflowError(
            f"{path} is not a JSON object of strings: compile the configuration again"
        ) from error
    readable = mode & (stat.S_IRGRP | stat.S_IROTH)
    return secrets, [f"{path} can be read by others: run `chmod 600 {path}`"] if readable else []


def environment() -> dict[str, str]:
    """The process environment as it is now."""
    return dict(os.environ)

"""The stages of a compile, in order.

Rule: the only function that knows the order; every stage reads what earlier ones made and adds to the report.
Rule: nothing here writes a file or reads the environment.
"""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from archflow_compiler import emit
from archflow_compiler.decode import Decoder
from archflow_compiler.lower import listeners, routing, tracers, unsupported
from archflow_compiler.lower.draft import Draft, own_name
from archflow_compiler.lower.providers import Providers
from archflow_compiler.passes import defaults, migrate, models, plugins, preferences, prompts, references
from archflow_compiler.source import Source, decode_text, parse
from archflow_compiler.tree import Places
from archflow_compiler.unit import Unit
from archflow_compiler.verify import verify, verify_secrets
from archflow_plugins.contexts import Watch
from archflow_schema.artifact import dump
from archflow_schema.config import Config
from archflow_schema.diagnostic import Diagnostic, Report
from archflow_schema.errors import CompileFailed, os_reason
from archflow_schema.graph import Graph


class Outcome(Struct, frozen=True):
    """What a compile gives.

    Attributes:
        source: the text, for carets.
        report: every finding.
        graph: the graph; None if there are errors.
        data: the bytes of graph.bin; empty if there are errors.
        secrets: entries of the side file: the keys that stand literally in the text.
        unit: the typed configuration; None if it could not be decoded.
    """

    source: Source
    report: Report
    graph: Graph | None = None
    data: bytes = b""
    secrets: dict[str, str] = {}
    unit: Unit | None = None


def compile_file(path: str | Path, watch: Watch | None = None) -> Outcome:
    """Compile a file. What is wrong with it, or with reading it, is in the report.

    Args:
        path: of the file.
        watch: hears how far kinds are that take a while.
    """
    name = str(path)
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        report = Report()
        report.add(
            Diagnostic(
                code="unreadable-file",
                severity="error",
                summary=f"{name} cannot be read: {os_reason(error)}",
                file=name,
                fix="`archc init` writes a configuration to begin with"
                if isinstance(error, FileNotFoundError)
                else "",
            )
        )
        return Outcome(Source(name, ""), report)
    return compile_bytes(name, data, watch)


def compile_bytes(name: str, data: bytes, watch: Watch | None = None) -> Outcome:
    """Compile the bytes of a file.

    Args:
        name: the file's name, for messages; its last part goes into the graph.
        data: what it holds.
        watch: hears how far kinds are that take a while.
    """
    report = Report()
    source = decode_text(name, data, report)

    def stop(unit: Unit | None = None) -> Outcome:
        return Outcome(source, report, unit=unit)

    def failed() -> bool:
        return report.failed

    if failed():
        return stop()

    # 1 parse, 2 migrate, 3 decode
    tree = parse(source, report)
    if tree is None:
        return stop()
    tree = migrate.migrate(tree, report)
    places = Places(tree)
    config = Decoder(report, places).struct(tree, Config)
    if config is None:
        return stop()

    # 4 defaults, plugins, names and references
    unit = Unit(config, places, report)
    unit.config = defaults.fill(unit)
    registry = plugins.load(unit)
    names = models.resolve(unit, registry)
    preferred = preferences.merge(unit, names)
    prompts.check(unit)
    references.check(unit, names)
    if failed():
        return stop(unit)

    # 5 lower
    unsupported.report(unit)
    draft = Draft(unit, names, registry, watch)
    listeners.lower(draft, Providers(draft), routing.router(draft, preferred))
    tracers.lower(draft)
    if failed():
        return stop(unit)

    # 6 emit, 7 verify
    graph = emit.graph(draft, own_name(name))
    data = dump(graph)
    verify(graph, report)
    verify_secrets(data, draft.vault.values, report)
    if not failed():
        plugins.judge(unit, registry, graph)
    if failed():
        return stop(unit)
    return Outcome(source, report, graph, data, draft.vault.values, unit)


def compiled(path: str | Path) -> Outcome:
    """Compile a file that must be good.

    Raises:
        CompileFailed: it has errors; the exception carries the report.
    """
    outcome = compile_file(path)
    if outcome.graph is None:
        raise CompileFailed(outcome.report)
    return outcome

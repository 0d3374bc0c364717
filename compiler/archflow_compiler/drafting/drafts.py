"""A file that describes an API -> the text of a configuration that calls it, and what is to be said about it.

Rule: nothing here writes a file; what the source is, its name and its content say.
"""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from archflow_compiler.drafting import json_tree, openapi, python_module, yaml_text
from archflow_compiler.drafting.document import Notes
from archflow_compiler.drafting.offer import Offer
from archflow_compiler.source import MAX_BYTES, Source, decode_text, parse
from archflow_compiler.tree import Mapping, head
from archflow_schema.diagnostic import Diagnostic, Report
from archflow_schema.errors import os_reason


class Drafted(Struct, frozen=True):
    """A draft.

    Attributes:
        source: the text that it comes from, for carets.
        report: every finding.
        text: of the configuration; empty if there are errors.
        calls: how many prompt targets it has.
    """

    source: Source
    report: Report
    text: str = ""
    calls: int = 0


def draft_file(path: Path) -> Drafted:
    """Draft from a file. What is wrong with it, or with reading it, is in the report."""
    report = Report()
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        summary = f"{path} cannot be read: {os_reason(error)}"
        report.add(Diagnostic(code="unreadable-file", severity="error", summary=summary, file=str(path)))
        return Drafted(Source(str(path), ""), report)
    return draft_bytes(str(path), data)


def draft_bytes(name: str, data: bytes) -> Drafted:
    """Draft from the bytes of a file.

    Args:
        name: of the file, for messages; `.py` is Python, anything else is OpenAPI, as JSON or as YAML.
        data: what it holds.
    """
    report = Report()
    source = decode_text(name, data, report)
    if report.failed:
        return Drafted(source, report)
    notes = Notes(report)
    found = python_module.offer(source, notes) if name.lower().endswith(".py") else _openapi(source, notes)
    notes.finish()
    if found is None or report.failed:
        return Drafted(source, report)
    return Drafted(source, report, yaml_text.text(found, name.rpartition("/")[2]), len(found.calls))


def _openapi(source: Source, notes: Notes) -> Offer | None:
    report = notes.report
    if not source.text.strip():
        notes.error("no-openapi", "the file is empty", None)
        return None
    is_json = source.text.lstrip()[:1] in {"{", "["}
    root = json_tree.parse(source, report) if is_json else parse(source, report)
    if root is None:
        return None
    if not isinstance(root, Mapping):
        notes.error("no-openapi", "this is no OpenAPI document: it is no mapping of keys", head(root))
        return None
    return openapi.offer(root, notes)

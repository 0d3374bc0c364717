"""A Report for people and for machines: text with carets, JSON, SARIF, GitHub annotations.

Rule: the only module that turns findings into text; it decides nothing about them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote

import msgspec

from archflow_compiler.source import Source
from archflow_schema.diagnostic import Diagnostic, Range, Report
from archflow_schema.errors import spelt

CODES: Final = {"error": "31;1", "warning": "33;1", "note": "36;1", "bold": "1", "dim": "34;1", "fix": "32"}
MAX_WIDTH = 160
MAX_SHOWN = 100


def text(report: Report, source: Source, *, colour: bool = False) -> str:
    """Findings for a terminal, each with its source line and a caret.

    Args:
        report: the findings.
        source: the text they are about.
        colour: whether to use ANSI colours.
    """
    paint = _painter(colour)
    lines = source.text.splitlines()
    found = report.sorted()
    out = [_one(diagnostic, lines, paint) for diagnostic in found[:MAX_SHOWN]]
    if len(found) > MAX_SHOWN:
        out.append(f"... and {len(found) - MAX_SHOWN} more\n")
    if report.errors or report.warnings:
        out.append(_sum(report) + "\n")
    return "\n".join(out)


Paint = Callable[[str, str], str]


def _painter(colour: bool) -> Paint:
    def paint(words: str, style: str) -> str:
        return f"\x1b[{CODES[style]}m{words}\x1b[0m" if colour else words

    return paint


def _sum(report: Report) -> str:
    def count(number: int, word: str) -> str:
        return f"{number} {word}" + ("" if number == 1 else "s")

    return ", ".join(
        [count(report.errors, "error")] * bool(report.errors)
        + [count(report.warnings, "warning")] * bool(report.warnings)
    )


def _one(diagnostic: Diagnostic, lines: list[str], paint: Paint) -> str:
    severity = diagnostic.severity
    out = [paint(f"{severity}[{diagnostic.code}]", severity) + paint(f": {diagnostic.summary}", "bold")]
    width = len(str(max([one.line for one in _places(diagnostic)], default=0)))
    bar = " " * width + " " + paint("|", "dim")
    if diagnostic.range is not None:
        place = diagnostic.range
        out.append(" " * width + paint("-->", "dim") + f" {place.file}:{place.line}:{place.column}")
        out.append(bar)
        out += _excerpt(place, lines, width, paint, severity, "")
    for related in diagnostic.related:
        other = related.range
        if diagnostic.range is None or other.file != diagnostic.range.file:
            out.append(" " * width + paint("-->", "dim") + f" {other.file}:{other.line}:{other.column}")
        elif abs(other.line - diagnostic.range.line) > 1:
            out.append(paint("...", "dim"))
        out += _excerpt(other, lines, width, paint, "dim", related.message)
    if diagnostic.range is not None:
        out.append(bar)
    margin = " " * width + " " + paint("=", "dim") + " "
    if diagnostic.detail:
        out.append(f"{margin}{diagnostic.detail}")
    if diagnostic.fix:
        out.append(f"{margin}{paint('fix:', 'fix')} {diagnostic.fix}")
    if diagnostic.arch:
        out.append(f"{margin}Arch says: {diagnostic.arch.strip()}")
    return "\n".join(out) + "\n"


def _places(diagnostic: Diagnostic) -> list[Range]:
    own = [diagnostic.range] if diagnostic.range is not None else []
    return own + [related.range for related in diagnostic.related]


def _excerpt(place: Range, lines: list[str], width: int, paint: Paint, style: str, label: str) -> list[str]:
    """A source line and the carets below it; a long line is cut around them, tabs become one space."""
    if not 0 < place.line <= len(lines):
        return []
    line = lines[place.line - 1]
    end = place.end_column if place.end_line == place.line else len(line) + 1
    begin, end = place.column - 1, max(end - 1, place.column)
    cut = max(0, min(begin - MAX_WIDTH // 3, len(line) - MAX_WIDTH))
    context = max(0, cut - MAX_WIDTH)
    shown = _USER.sub(_stars, _SECRET.sub(_masked, line[context : cut + 2 * MAX_WIDTH]))[cut - context :][
        :MAX_WIDTH
    ]
    shown = "".join(character if character.isprintable() else " " for character in shown)
    mark = "^" if style != "dim" else "-"
    carets = mark * max(1, min(end - begin, MAX_WIDTH - (begin - cut)))
    number = paint(f"{place.line:>{width}} |", "dim")
    below = " " * width + " " + paint("|", "dim")
    note = f" {label}" if label else ""
    return [f"{number} {shown}".rstrip(), f"{below} {' ' * (begin - cut)}{paint(carets + note, style)}"]


_SECRET = re.compile(
    r"(?P<key>(?<![\w-])(?!private_key)(?:[\w.-]*[\w.][_-]key|[\w.-]*(?:token|secret|password|authorization|cookie))"
    r"[\"']?\s*:\s*)(?P<value>\"(?!\$)[^\"]+\"?|'(?!\$)[^']+'?|(?:(?:Bearer|Basic|apikey)\s+)?[^\s,}\"'$\[{][^\s,}]*)",
    re.IGNORECASE,
)
"""A key in a line of YAML that is shown to people: excerpts end in the logs of builds."""


_USER = re.compile(r"(?<=://)[^/@\s\"'$]+(?=@)")
"""A user and password in a URL."""


def _stars(found: re.Match[str]) -> str:
    return "*" * len(found[0])


def _masked(found: re.Match[str]) -> str:
    value = found["value"]
    if value.strip("\"'") in {"true", "false", "null", "~"}:
        return found[0]
    return found["key"] + "*" * len(value)


def json(report: Report) -> str:
    """Findings as one JSON object: `{"errors": n, "warnings": n, "diagnostics": [...]}`."""
    return _pretty(
        {
            "errors": report.errors,
            "warnings": report.warnings,
            "diagnostics": [msgspec.to_builtins(one) for one in report],
        }
    )


_LEVELS = {"error": "error", "warning": "warning", "note": "note"}


def sarif(report: Report, version: str) -> str:
    """Findings as SARIF 2.1.0, which code hosts and editors read.

    Args:
        report: the findings.
        version: of archc.
    """
    rules = sorted({one.code for one in report})
    return _pretty(
        {
            "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
            "version": "2.1.0",
            "runs": [
                {
                    "tool": {
                        "driver": {
                            "name": "archc",
                            "version": version,
                            "rules": [
                                {"id": code, "shortDescription": {"text": code.replace("-", " ")}}
                                for code in rules
                            ],
                        }
                    },
                    "columnKind": "unicodeCodePoints",
                    "results": [_result(one, rules) for one in report],
                }
            ],
        }
    )


def _result(diagnostic: Diagnostic, rules: list[str]) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": diagnostic.code,
        "ruleIndex": rules.index(diagnostic.code),
        "level": _LEVELS[diagnostic.severity],
        "message": {"text": _sentence(diagnostic)},
    }
    if diagnostic.range is not None:
        result["locations"] = [{"physicalLocation": _physical(diagnostic.range)}]
    elif diagnostic.file:
        result["locations"] = [{"physicalLocation": {"artifactLocation": {"uri": _uri(diagnostic.file)}}}]
    if diagnostic.related:
        result["relatedLocations"] = [
            {"id": number, "physicalLocation": _physical(one.range), "message": {"text": one.message}}
            for number, one in enumerate(diagnostic.related, 1)
        ]
    return result


def _physical(place: Range) -> dict[str, Any]:
    return {
        "artifactLocation": {"uri": _uri(place.file)},
        "region": {
            "startLine": place.line,
            "startColumn": place.column,
            "endLine": place.end_line,
            "endColumn": place.end_column,
        },
    }


def _uri(file: str) -> str:
    return quote(file, errors="surrogateescape")


def _sentence(diagnostic: Diagnostic) -> str:
    return "; ".join(part for part in (diagnostic.summary, diagnostic.detail, diagnostic.fix) if part)


def github(report: Report) -> str:
    """Findings as workflow commands, which GitHub shows at the lines of a pull request."""
    return "".join(_spelt(_annotation(one)) + "\n" for one in report)


def _annotation(diagnostic: Diagnostic) -> str:
    level = {"error": "error", "warning": "warning", "note": "notice"}[diagnostic.severity]
    properties = {"title": diagnostic.code}
    place = diagnostic.range
    if place is not None:
        properties = {
            "file": place.file,
            "line": str(place.line),
            "endLine": str(place.end_line),
            "col": str(place.column),
            "endColumn": str(place.end_column),
            **properties,
        }
    elif diagnostic.file:
        properties = {"file": diagnostic.file, **properties}
    listed = ",".join(f"{name}={_escape(value, ':,')}" for name, value in properties.items())
    return f"::{level} {listed}::{_escape(_sentence(diagnostic), '')}"


def _escape(words: str, more: str) -> str:
    for character in "%\r\n" + more:
        words = words.replace(character, f"%{ord(character):02X}")
    return words


def _pretty(value: object) -> str:
    try:
        data = msgspec.json.encode(value)
    except UnicodeEncodeError:
        data = msgspec.json.encode(_spelt(value))
    return msgspec.json.format(data, indent=2).decode() + "\n"


def _spelt(value: Any) -> Any:
    """A value whose texts UTF-8 can hold: a file's name need not, and people see its bytes spelt out, too."""
    match value:
        case str():
            return spelt(value)
        case dict():
            return {name: _spelt(one) for name, one in value.items()}
        case list() | tuple():
            return [_spelt(one) for one in value]
        case _:
            return value

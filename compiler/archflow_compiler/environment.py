"""The environment here and now: what `archc check --env` says of it, and what kinds get that are opened offline.

Rule: the only module that reads the environment, and only when asked; a graph never depends on it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from archflow_compiler.driver import Outcome
from archflow_compiler.tree import Node, texts
from archflow_schema.diagnostic import Diagnostic, Range
from archflow_schema.text import Env, compile_text, references

_ASSIGNMENT = re.compile(r"""\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(["']?)(.*?)\2\s*""")


def unset(outcome: Outcome, path: Path) -> Iterator[Diagnostic]:
    """A warning for each variable that is neither in the environment nor in `.env` beside the configuration."""
    if outcome.graph is None or outcome.unit is None:
        return
    tree = outcome.unit.places.node()
    places = _places(tree) if tree is not None else {}
    here = values(path)
    for name in outcome.graph.environment:
        if name not in here:
            yield Diagnostic(
                code="unset-variable",
                severity="warning",
                summary=f"the variable {name} is not set",
                fix=f"set {name} in the environment of archrun, or in a .env file beside this file",
                arch=f"Access Key: {name} not found. Exiting Start",
                range=places.get(name),
            )


def _places(tree: Node) -> dict[str, Range]:
    """Where each variable is named first."""
    found: dict[str, Range] = {}
    for text, place in texts(tree):
        if "$" in text:
            for part in references(compile_text(text)):
                if isinstance(part, Env):
                    found.setdefault(part.name, place)
    return found


def values(path: Path) -> dict[str, str]:
    """What is set here and now, for kinds that are opened offline: in `.env` beside a file, and in the environment."""
    try:
        text = (path.parent / ".env").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        text = ""
    found = {match[1]: match[3] for line in text.splitlines() if (match := _ASSIGNMENT.fullmatch(line))}
    return {**found, **os.environ}

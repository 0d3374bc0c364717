"""Keys that stand literally in the YAML: kept out of the graph, in a side file for the owner only.

Rule: a value is never in a diagnostic, a graph or an exception; only its place and its entry's name are.
"""

from __future__ import annotations

from archflow_compiler.tree import Path
from archflow_compiler.unit import Unit
from archflow_schema.text import Secret, Text, compile_text, references


class Vault:
    """The entries of the side file, filled while lowering.

    Attributes:
        values: entry -> the literal key.
    """

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self.values: dict[str, str] = {}

    def text(self, raw: str, entry: str, path: Path) -> Text:
        """Compile a key.

        Args:
            raw: as it stands in the YAML.
            entry: what the side file calls it, should it be literal.
            path: where it stands in the configuration.

        Returns:
            References as they are; a literal key becomes a reference to the side file, with a warning.
        """
        compiled = compile_text(raw)
        if not raw or references(compiled):
            return compiled
        self.values[entry] = "".join(str(part) for part in compiled)
        self._unit.warning(
            "literal-secret",
            "a key stands literally in this file",
            self._unit.places.value(*path),
            detail="it goes to the side file beside the graph, which only its owner can read, and not into the graph",
            fix="put it into an environment variable and write `$NAME` here",
        )
        return (Secret(entry),)


def entry_name(*steps: str | int) -> str:
    """The name of an entry, such as `model_providers.openai/gpt-4o.access_key`."""
    return ".".join(str(step) for step in steps)

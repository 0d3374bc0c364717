"""An OpenAPI document as it is read: its tree, with references followed.

Rule: only references inside the document are followed; nothing is fetched. A chain that comes back to itself ends.
Invariant: a look at a mapping costs the same however large it is, for documents have thousands of schemas.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import unquote

from archflow_compiler.tree import Mapping, Node, Scalar, Sequence, head
from archflow_schema.diagnostic import Diagnostic, Range, Report, Severity

MOST_NOTES = 50
"""Notes of one sort that are told; the rest is counted."""
LONGEST_CHAIN = 32


class Notes:
    """Findings of a draft, each sort so many times at most."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self._told: dict[str, int] = {}

    def note(self, code: str, summary: str, place: Range | None, *, fix: str = "") -> None:
        """Report what the draft leaves out, or guesses."""
        self._say("note", code, summary, place, fix)

    def warning(self, code: str, summary: str, place: Range | None, *, fix: str = "") -> None:
        """Report what is wrong with the source, where a draft is possible all the same."""
        self._say("warning", code, summary, place, fix)

    def error(self, code: str, summary: str, place: Range | None, *, fix: str = "") -> None:
        """Report why there is no draft."""
        self._say("error", code, summary, place, fix)

    def finish(self) -> None:
        """Say how much was not told."""
        for code, count in self._told.items():
            if count > MOST_NOTES:
                self.report.add(
                    Diagnostic(
                        code=code, severity="note", summary=f"{count - MOST_NOTES} more findings of this sort"
                    )
                )

    def _say(self, severity: Severity, code: str, summary: str, place: Range | None, fix: str) -> None:
        self._told[code] = self._told.get(code, 0) + 1
        if self._told[code] <= MOST_NOTES:
            self.report.add(Diagnostic(code=code, severity=severity, summary=summary, fix=fix, range=place))


class Document:
    """The tree of a document.

    Attributes:
        root: of the tree.
        notes: what is found on the way.
    """

    def __init__(self, root: Mapping, notes: Notes) -> None:
        self.root = root
        self.notes = notes
        self._followed: dict[str, Node | None] = {}
        self._keys: dict[int, dict[str, Node]] = {}
        self._kept: list[Mapping] = []

    def look(self, node: Node | None, key: str) -> Node | None:
        """The value of a key, references followed; None if there is none."""
        return self.follow(self.raw(node, key))

    def raw(self, node: Node | None, key: str) -> Node | None:
        """The value of a key as it stands there."""
        if not isinstance(node, Mapping):
            return None
        known = self._keys.get(id(node))
        if known is None:
            known = self._keys[id(node)] = {entry.key: entry.node for entry in node}
            self._kept.append(node)  # an id is one as long as its node lives
        return known.get(key)

    def entries(self, node: Node | None) -> Iterator[tuple[str, Node]]:
        """Keys and values as they stand there; of anything but a mapping none."""
        if isinstance(node, Mapping):
            for entry in node:
                yield entry.key, entry.node

    def items(self, node: Node | None) -> tuple[Node, ...]:
        """The items of a list; of anything else none."""
        return node.items if isinstance(node, Sequence) else ()

    def text(self, node: Node | None, key: str) -> str:
        """The value of a key that is text; empty if there is none."""
        found = self.look(node, key)
        return found.value if isinstance(found, Scalar) and isinstance(found.value, str) else ""

    def true(self, node: Node | None, key: str) -> bool:
        """Whether a key is true."""
        found = self.look(node, key)
        return isinstance(found, Scalar) and found.value is True

    def follow(self, node: Node | None) -> Node | None:
        """What a node refers to, or the node itself. What cannot be followed is reported once, and None."""
        reference = self.raw(node, "$ref")
        if node is None or not isinstance(reference, Scalar) or not isinstance(reference.value, str):
            return node
        if reference.value not in self._followed:
            self._followed[reference.value] = self._behind(reference.value, reference)
        return self._followed[reference.value]

    def _behind(self, target: str, reference: Scalar) -> Node | None:
        """The node that a reference leads to, over others if need be."""
        seen = {target}
        while True:
            node = self._at(target) if target.startswith("#") else None
            if node is None:
                self._lost(target, reference)
                return None
            following = self.raw(node, "$ref")
            if not isinstance(following, Scalar) or not isinstance(following.value, str):
                return node
            target, reference = following.value, following
            if target in seen or len(seen) >= LONGEST_CHAIN:
                summary = f"the reference {_short(target)} leads back to itself"
                if target not in seen:
                    summary = f"the reference {_short(target)} is the {LONGEST_CHAIN}th of a chain"
                self.notes.warning("cyclic-reference", summary, head(reference))
                return None
            seen.add(target)

    def _at(self, reference: str) -> Node | None:
        """The node of a JSON pointer, RFC 6901, in a fragment."""
        node: Node | None = self.root
        steps = unquote(reference[1:]).split("/")
        if steps[0]:
            return None
        for step in steps[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            if isinstance(node, Sequence):
                node = node.items[int(key)] if key.isdecimal() and int(key[:9]) < len(node.items) else None
            else:
                node = self.raw(node, key)
            if node is None:
                return None
        return node

    def _lost(self, reference: str, node: Scalar) -> None:
        if reference.startswith("#"):
            self.notes.warning(
                "dangling-reference", f"the reference {_short(reference)} leads nowhere", head(node)
            )
        else:
            self.notes.warning(
                "foreign-reference",
                f"the reference {_short(reference)} leads out of the document, and nothing is fetched",
                head(node),
                fix="bundle the document into one file first",
            )


def _short(reference: str) -> str:
    return reference if len(reference) <= 80 else reference[:77] + "..."

"""One file on its way through the passes: its typed configuration, where everything stands, what was found.

Rule: the only state that passes share; each adds findings and reads what earlier ones made.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from archflow_compiler.tree import Mapping, Node, Path, Places, Scalar, Sequence
from archflow_schema.config import Config
from archflow_schema.diagnostic import Diagnostic, Range, Related, Report, Severity
from archflow_schema.suggest import did_you_mean

MAX_SUGGESTIONS = 50
"""So many findings get a did-you-mean; beyond it nobody reads them, and finding close names is slow."""


class Unit:
    """What the passes work on.

    Attributes:
        config: the configuration.
        places: where its values stand.
        report: the findings.
    """

    def __init__(self, config: Config, places: Places, report: Report) -> None:
        self.config = config
        self.places = places
        self.report = report
        self._suggestions = MAX_SUGGESTIONS
        self._names: dict[str, frozenset[str]] = {}

    def refused(self, name: str, *sections: str) -> bool:
        """Whether the file has an item of this name, which was left out because something in it is wrong.

        Who refers to it makes no second mistake. To be asked about names that lead to nothing.
        """
        return self.report.failed and any(name in self._written(section) for section in sections)

    def _written(self, section: str) -> frozenset[str]:
        """What the items of a section are called in the file."""
        if section not in self._names:
            root = self.places.node()
            self._names[section] = frozenset(_names(root.get(section) if isinstance(root, Mapping) else None))
        return self._names[section]

    def suggest(self, word: str, known: Iterable[str], otherwise: str = "") -> str:
        """A fix that names what may have been meant, or else another one."""
        self._suggestions -= 1
        hint = did_you_mean(word, known) if self._suggestions >= 0 else ""
        return f"{hint} or {otherwise}" if hint and otherwise else hint or otherwise

    def error(
        self,
        code: str,
        summary: str,
        place: Range,
        *,
        detail: str = "",
        fix: str = "",
        arch: str = "",
        first: tuple[Range, str] | None = None,
    ) -> None:
        """Report a mistake.

        Args:
            code: the rule, such as `duplicate-model`.
            summary: what is wrong.
            place: where.
            detail: why it matters, or what was expected.
            fix: what to do.
            arch: what Arch prints for it.
            first: another place that belongs to it, and what stands there.
        """
        self._say("error", code, summary, place, detail, fix, arch, first)

    def warning(
        self,
        code: str,
        summary: str,
        place: Range,
        *,
        detail: str = "",
        fix: str = "",
        arch: str = "",
        first: tuple[Range, str] | None = None,
    ) -> None:
        """Report something doubtful; the compile goes on."""
        self._say("warning", code, summary, place, detail, fix, arch, first)

    def note(
        self, code: str, summary: str, place: Range, *, detail: str = "", fix: str = "", arch: str = ""
    ) -> None:
        """Report something that is worth knowing."""
        self._say("note", code, summary, place, detail, fix, arch, None)

    def _say(
        self,
        severity: Severity,
        code: str,
        summary: str,
        place: Range,
        detail: str,
        fix: str,
        arch: str,
        first: tuple[Range, str] | None,
    ) -> None:
        self.report.add(
            Diagnostic(
                code=code,
                severity=severity,
                summary=summary,
                detail=detail,
                fix=fix,
                arch=arch,
                range=place,
                related=(Related(*first),) if first is not None else (),
            )
        )


def _names(section: Node | None) -> Iterator[str]:
    """What others call the items of a section: their keys, or what each says it is called; a model by its id too."""
    if isinstance(section, Mapping):
        yield from (entry.key for entry in section)
    for item in section.items if isinstance(section, Sequence) else ():
        for key in ("id", "name", "model"):
            name = item.get(key) if isinstance(item, Mapping) else None
            if isinstance(name, Scalar) and isinstance(name.value, str):
                yield from (name.value, name.value.partition("/")[2])


def duplicates(names: Iterable[tuple[str, Path]]) -> Iterator[tuple[str, Path, Path]]:
    """Names that stand more than once: the name, where it stands again, where it stood first."""
    seen: dict[str, Path] = {}
    for name, path in names:
        if name in seen:
            yield name, path, seen[name]
        seen.setdefault(name, path)

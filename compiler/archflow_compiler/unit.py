"""One file on its way through the passes: its typed configuration, where everything stands, what was found.

Rule: the only state that passes share; each adds findings and reads what earlier ones made.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from archflow_compiler.tree import Path, Places
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


def duplicates(names: Iterable[tuple[str, Path]]) -> Iterator[tuple[str, Path, Path]]:
    """Names that stand more than once: the name, where it stands again, where it stood first."""
    seen: dict[str, Path] = {}
    for name, path in names:
        if name in seen:
            yield name, path, seen[name]
        seen.setdefault(name, path)

"""A package to begin a plugin with: `archc plugins new NAME`.

The files stand under `template/`, as they are written but for `$name` and its like (string.Template).

Rule: what is written passes its own tests and archflow's contract at once, and `ruff` finds nothing in it.
Rule: nothing is overwritten, and no name is given twice: neither a built-in kind's nor an installed plugin's.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator
from importlib import metadata, resources
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template

from archflow_plugins.registry import Registry, installed
from archflow_schema.errors import PluginError

FAMILIES: dict[str, str] = {
    "guard": "Denies conversations that hold a listed word.",
    "tracer": "Counts exchanges that take too long.",
}
"""The families that have a template, and what the kind in it does."""

_NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")


def create(name: str, folder: str | Path, family: str = "guard") -> list[Path]:
    """Write an installable package with one kind, its tests and a README.

    Args:
        name: the plugin's short name, such as `word-list`: entry point, and second half of the kind's dotted name.
        folder: where to; made if it is not there.
        family: which family of kinds, one of FAMILIES.

    Returns:
        The files written, in order.

    Raises:
        PluginError: the name or family will not do or is taken, or a file is in the way; nothing was written then.
    """
    short = name.replace("-", "_")
    if not _NAME.fullmatch(name) or keyword.iskeyword(short):
        raise PluginError(
            f"{name!r} cannot name a plugin",
            fix="use lower-case letters, digits and dashes, such as word-list",
        )
    if family not in FAMILIES:
        raise PluginError(
            f"there is no template for the family {family!r}", fix=f"use one of {', '.join(FAMILIES)}"
        )
    _refuse_taken(name, short, family)
    words = {
        "name": short,
        "kind": f"{family}.{short}",
        "package": f"archflow_{family}_{short}",
        "distribution": f"archflow-{family}-{short.replace('_', '-')}",
        "class_name": "".join(word.capitalize() for word in short.split("_")),
        "summary": FAMILIES[family],
        "archflow": ".".join(metadata.version("archflow").split(".")[:2]),
    }
    texts = {Path(folder, path): text for path, text in _files(family, words)}
    in_the_way = [path for path in texts if path.exists()]
    if in_the_way:
        raise PluginError(f"{in_the_way[0]} is already there", fix="choose another folder")
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return list(texts)


def _refuse_taken(name: str, short: str, family: str) -> None:
    """Refuse what a configuration could not tell from a kind or a plugin that is there."""
    if f"{family}.{short}" in Registry.load().family(family):
        raise PluginError(
            f"{name!r} is taken: archflow has a kind {family}.{short} itself; choose another name"
        )
    for plugin in installed():
        if plugin.entry_point == short:
            raise PluginError(
                f"{name!r} is taken: the plugin {short} of {plugin.distribution} {plugin.version} is installed; "
                "choose another name, or uninstall it"
            )


def _files(family: str, words: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Path inside the package's folder, and text."""
    template = resources.files(__package__).joinpath("template")
    package = words["package"]
    places = {
        "module.py.tmpl": f"{package}/__init__.py",
        "test_module.py.tmpl": f"tests/test_{words['name']}.py",
    }
    yield "pyproject.toml", _fill(template.joinpath("pyproject.toml.tmpl"), words)
    yield f"{package}/py.typed", ""
    for source in sorted(template.joinpath(family).iterdir(), key=lambda one: one.name):
        yield places.get(source.name, source.name.removesuffix(".tmpl")), _fill(source, words)


def _fill(source: Traversable, words: dict[str, str]) -> str:
    return Template(source.read_text(encoding="utf-8")).substitute(words)

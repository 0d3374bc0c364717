"""The README of a top-level folder names what lies directly in it, so that one who looks for a thing finds it."""

import re
from pathlib import Path

import click
import pytest

from archflow_compiler.cli import main
from house_tree import PACKAGES, ROOT, tracked

FOLDERS = {
    folder: ROOT / folder / PACKAGES.get(folder, "")
    for folder in (*PACKAGES, "bench", "examples", "fuzz", "tests")
}
"""Top-level folder -> where its modules lie."""
NEEDS_NO_WORD = {"__init__.py", "__main__.py", "conftest.py"}
COMPILER = (ROOT / "compiler" / "README.md").read_text(encoding="utf-8")


def children(folder: Path) -> set[str]:
    """The modules and packages directly in a folder: `walk.py`, `nodes/`."""
    inside = [path.relative_to(folder) for path in tracked() if path.is_relative_to(folder)]
    modules = {str(path) for path in inside if len(path.parts) == 1 and path.suffix == ".py"}
    folders = {f"{path.parts[0]}/" for path in inside if len(path.parts) > 1}
    return {one for one in modules | folders if one not in NEEDS_NO_WORD}


def names(text: str, folder: str, child: str) -> bool:
    """Whether a map has a child, as `walk.py`, `nodes/`, a link `(01-model-routing)`, or with its folder before it."""
    linked = f"({child.rstrip('/')})"
    return linked in text or bool(re.search(rf"(?:(?<![\w/-])|\b{folder}/){re.escape(child)}", text))


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_readme_is_a_map_of_its_folder(folder):
    found = children(FOLDERS[folder])
    if not found:
        pytest.skip("not a git checkout: nothing says which files belong to it")
    text = (ROOT / folder / "README.md").read_text(encoding="utf-8")
    missing = [one for one in sorted(found) if not names(text, folder, one)]
    assert not missing, f"{folder}/README.md does not name {', '.join(missing)}: say in its map what they are"


@pytest.mark.parametrize("package", ["exchange", "front", "nodes", "prompts", "upstream"])
def test_the_map_of_the_engine_names_the_modules_of_its_folders(package):
    folder = ROOT / "engine" / "archflow_engine" / package
    _, _, text = (ROOT / "engine" / "README.md").read_text(encoding="utf-8").partition("## Code map")
    found = re.search(rf"^{package}/ +(.*(?:\n +.*)*)", text, re.MULTILINE)
    assert found, f"the code map of engine/README.md has no line that begins with {package}/"
    missing = [
        one
        for one in (path.stem for path in folder.glob("[!_]*.py"))
        if not re.search(rf"\b{one}\b", found[1])
    ]
    assert not missing, (
        f"the line {package}/ in the code map of engine/README.md lacks {', '.join(sorted(missing))}"
    )


def commands(group: click.Group, before: str) -> list[str]:
    """Every command, as one types it."""
    found = []
    for one, command in group.commands.items():
        found += (
            commands(command, f"{before} {one}") if isinstance(command, click.Group) else [f"{before} {one}"]
        )
    return found


@pytest.mark.parametrize("command", commands(main, "archc"))
def test_every_command_is_listed(command):
    group, _, last = command.rpartition(" ")
    lines = [line for line in COMPILER.splitlines() if line.startswith(f"{group} ")]
    assert any(re.search(rf"(?<![-\w]){last}\b", line.removeprefix(group)) for line in lines), (
        f"compiler/README.md does not list `{command}`: add it to the commands at its top"
    )


def test_maps_name_nothing_that_is_gone():
    """Every module that a map names by a bare file name is somewhere in its folder."""
    gone = []
    for folder, inside in FOLDERS.items():
        text = (ROOT / folder / "README.md").read_text(encoding="utf-8")
        there = {path.name for path in inside.rglob("*.py")}
        said = set(re.findall(r"(?<![\w/.-])(\w+\.py)\b", text))
        gone += [f"{one} in {folder}/README.md" for one in said - there]
    assert not gone, f"these are named and not there: {', '.join(sorted(gone))}"

"""How modules are written: docstrings, names, leftovers."""

import ast
import re

import pytest

from house_tree import modules, name, syntax, tracked

SAYS_NOTHING = {
    "utils",
    "util",
    "helpers",
    "helper",
    "common",
    "core",
    "misc",
    "base",
    "manager",
    "handler",
    "service",
}


@pytest.mark.parametrize("path", modules(), ids=name)
def test_every_module_opens_with_a_docstring(path):
    text = ast.get_docstring(syntax(path))
    assert text, f"{name(path)} has no docstring: say in its first line what it is, then its `Rule:` lines"
    first = text.splitlines()[0]
    assert len(first) > 10, f"{name(path)} says only {first!r}: say what the module is"


@pytest.mark.parametrize("path", modules(), ids=name)
def test_module_names_say_something(path):
    last = path.stem.rpartition("_")[2]
    assert last not in SAYS_NOTHING, (
        f"{name(path)} is a {last}: name it by a noun of the domain or a verb of the flow"
    )


@pytest.mark.parametrize("path", modules(), ids=name)
def test_no_leftovers(path):
    found = re.search(r"\b(TODO|FIXME|XXX|HACK)\b", path.read_text())
    assert found is None, (
        f"{name(path)} says {found and found[0]!r}: do it, or write an issue and leave this out"
    )


@pytest.mark.parametrize("path", modules(), ids=name)
def test_production_code_does_not_ask_whether_it_is_tested(path):
    found = re.search(
        r"PYTEST_CURRENT_TEST|sys\.modules.*pytest|_called_from_test|^import pytest",
        path.read_text(),
        re.MULTILINE,
    )
    assert found is None, (
        f"{name(path)} asks whether it is tested ({found and found[0]!r}): hand in what differs"
    )


def test_init_files_only_state_rules_and_export():
    for path in modules():
        if path.name == "__init__.py":
            kinds = {type(node) for node in syntax(path).body} - {
                ast.Expr,
                ast.Import,
                ast.ImportFrom,
                ast.Assign,
            }
            assert not kinds, f"{name(path)} holds code: move it into a module named by what it does"


MACHINES = re.compile(r"(?<![\w.$~-])/(work|root|home)/\w+")
NAMES_NO_MACHINE = {"tests/house/test_modules.py"}


def test_no_file_names_a_place_on_somebodys_machine():
    files = tracked()
    if not files:
        pytest.skip("not a git checkout: nothing says which files belong to it")
    for path in files:
        if name(path) in NAMES_NO_MACHINE:
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found = MACHINES.search(text)
        assert found is None, (
            f"{name(path)} names {found and found[0]}: use a path relative to the repository"
        )

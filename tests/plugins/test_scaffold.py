"""`archc plugins new`: what it writes works as it stands."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from archflow_plugins.registry import Registry
from archflow_plugins.scaffold import FAMILIES, create
from archflow_schema.errors import PluginError


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", ["words", "word-list"])
def test_the_package_passes_its_own_tests(tmp_path, family, name):
    written = create(name, tmp_path / "new", family)
    assert all(path.is_file() for path in written)
    short = name.replace("-", "_")
    assert (tmp_path / "new" / f"archflow_{family}_{short}" / "__init__.py") in written
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=tmp_path / "new",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("command", [["check", "--select", "E,F,I,UP,B,SIM,RUF"], ["format", "--check"]])
def test_the_package_is_clean(tmp_path, family, command):
    pytest.importorskip("ruff", reason="ruff is in the dependency group `lint`")
    create("words", tmp_path, family)
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *command, "--isolated", "--line-length", "120"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_its_entry_point_registers_its_kind(tmp_path, install):
    create("words", tmp_path / "new")
    source = (tmp_path / "new" / "archflow_guard_words" / "__init__.py").read_text()
    install("archflow-guard-words", source, words="archflow_test_words")
    assert Registry.load(["words"]).kind("guard.words").kind == "guard.words"


@pytest.mark.parametrize("name", ["", "Words", "1words", "word list", "../x", "word_", "class", "wörter"])
def test_names_that_will_not_do(tmp_path, name):
    with pytest.raises(PluginError, match="cannot name a plugin"):
        create(name, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_the_name_in_the_readme_is_free(tmp_path):
    readme = Path(__file__).parents[2].joinpath("plugins/README.md").read_text(encoding="utf-8")
    (name,) = re.findall(r"archc plugins new ([a-z][a-z-]*)", readme)
    short = name.replace("-", "_")
    create(name, tmp_path / "new")
    config = (tmp_path / "new" / "arch_config.yaml").read_text()
    assert f"kind: {short}" in config
    assert f"{{kind: {short}, words: [forbidden]}}" in readme  # as the template has it: `words` is required
    assert "words: [forbidden]" in config


@pytest.mark.parametrize(("family", "name"), [("guard", "pii"), ("tracer", "access-log")])
def test_a_built_in_kind_keeps_its_name(tmp_path, family, name):
    with pytest.raises(PluginError, match=f"{name}' is taken: archflow has a kind {family}"):
        create(name, tmp_path / "new", family)
    assert not (tmp_path / "new").exists()


def test_an_installed_plugin_keeps_its_name(tmp_path, install):
    install("archflow-guard-word-list", "", word_list="archflow_test_word_list")
    with pytest.raises(
        PluginError, match=r"the plugin word_list of archflow-guard-word-list 1\.0 is installed"
    ):
        create("word-list", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_family_without_a_template(tmp_path):
    with pytest.raises(PluginError, match="use one of guard, tracer"):
        create("words", tmp_path, "dialect")


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(PluginError, match=r"README\.md is already there"):
        create("words", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]
    assert (tmp_path / "README.md").read_text() == "mine"

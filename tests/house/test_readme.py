"""What README.md shows is what the program does: its configuration, its commands, its mistake."""

import re

import pytest
from click.testing import CliRunner

from archflow_compiler.cli import main
from archflow_engine.cli import command as archrun
from archflow_schema.artifact import load
from archflow_schema.graph import Route
from house_tree import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
CONFIGS = [text for language, text in BLOCKS if language == "yaml"]
MISTAKES = [text for _, text in BLOCKS if re.match(r"\$ archc \w+\nerror", text)]
SHOWN_LINE = re.compile(r"^ *(\d+) \| (.*)$", re.MULTILINE)


@pytest.fixture
def archc(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(main, arguments)


def test_it_shows_a_configuration_and_a_mistake():
    assert CONFIGS, "README.md shows no configuration: add a ```yaml block"
    assert MISTAKES, "README.md shows no mistake: add a block that begins with `$ archc compile`"


@pytest.mark.parametrize("text", CONFIGS)
def test_its_configuration_compiles_without_a_finding(archc, tmp_path, text):
    (tmp_path / "arch_config.yaml").write_text(text)
    done = archc("compile", "--strict", "--quiet")
    assert done.exit_code == 0, f"README.md shows a configuration that does not compile:\n{done.output}"
    assert done.output == "", f"README.md shows a configuration that archc says this of:\n{done.output}"
    graph = load((tmp_path / "graph.bin").read_bytes())
    known = {name for node in graph.nodes if isinstance(node, Route) for name, _, _ in node.names}
    asked = set(re.findall(r'model="([^"]+)"', README))
    assert asked, "README.md asks no model of its configuration"
    assert asked <= known, f"README.md asks for {asked}, and its configuration knows {sorted(known)}"


@pytest.mark.parametrize("shown", MISTAKES)
def test_its_mistake_reads_as_shown(archc, tmp_path, shown):
    """The mistake is made in the configuration above it, at the line that the finding shows."""
    command, _, expected = shown.partition("\n")
    lines = CONFIGS[-1].splitlines(keepends=True)
    for number, line in SHOWN_LINE.findall(shown):
        lines[int(number) - 1] = f"{line}\n"
    assert "".join(lines) != CONFIGS[-1], "the mistake of README.md is in its configuration already"
    (tmp_path / "arch_config.yaml").write_text("".join(lines))
    done = archc(*command.removeprefix("$ archc ").split())
    assert done.stderr == expected, f"README.md shows another text than archc:\n{done.stderr}"


@pytest.mark.parametrize("command", sorted(set(re.findall(r"\barchc ([a-z]+)", README))))
def test_its_commands_exist(command):
    assert command in main.commands, f"README.md names `archc {command}`, which does not exist"


@pytest.mark.parametrize("option", sorted(set(re.findall(r"archrun[^\n]*?(--[a-z-]+)", README))))
def test_its_options_of_archrun_exist(option):
    known = {one for parameter in archrun.params for one in parameter.opts}
    assert option in known, f"README.md names `archrun {option}`, which does not exist"

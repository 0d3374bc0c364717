import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from archflow_compiler.cli import main
from archflow_compiler.templates import TEMPLATES
from archflow_schema.artifact import digest, load
from compiling import HEAD, MODEL

GOOD = HEAD + MODEL
BAD = HEAD + "model_providers: [{model: gpt-4o}]\n"
WARNED = GOOD + "model_aliases: {a: {target: nothing}}\n"
LITERAL = GOOD.replace("$OPENAI_API_KEY", "canary-0123456789")


@pytest.fixture
def archc(tmp_path, monkeypatch):
    """Runs archc in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NO_COLOR", raising=False)
    return lambda *arguments: CliRunner().invoke(main, list(arguments))


def put(text, name="arch_config.yaml"):
    Path(name).write_text(text)
    return name


def test_compile_finds_the_file_and_writes_the_graph(archc):
    put(GOOD)
    ran = archc("compile")
    assert (ran.exit_code, ran.stdout) == (0, "")
    assert "graph.bin" in ran.stderr
    assert load(Path("graph.bin").read_bytes()).source == "arch_config.yaml"
    assert not Path("graph.secrets").exists()


def test_arch_config_comes_before_config(archc):
    put(GOOD, "config.yaml")
    assert archc("compile").exit_code == 0
    assert load(Path("graph.bin").read_bytes()).source == "config.yaml"
    put(GOOD)
    archc("compile")
    assert load(Path("graph.bin").read_bytes()).source == "arch_config.yaml"


def test_no_file_is_a_wrong_command_line(archc):
    ran = archc("compile")
    assert ran.exit_code == 2
    assert "archc init" in ran.stderr


def test_errors_end_with_1_and_leave_the_old_graph(archc):
    put(GOOD)
    archc("compile")
    before = Path("graph.bin").read_bytes()
    put(BAD)
    ran = archc("compile")
    assert ran.exit_code == 1
    assert "error[bad-model-name]" in ran.stderr
    assert Path("graph.bin").read_bytes() == before


def test_warnings_are_errors_when_strict(archc):
    put(WARNED)
    assert archc("compile").exit_code == 0
    ran = archc("check", "--strict")
    assert ran.exit_code == 1
    assert "error[unknown-alias-target]" in ran.stderr


def test_twice_gives_the_same_bytes(archc):
    put(GOOD)
    archc("compile", "-o", "one")
    archc("compile", "-o", "two")
    assert Path("one").read_bytes() == Path("two").read_bytes()


def test_the_graph_goes_to_standard_output(archc):
    put(GOOD)
    ran = archc("compile", "-o", "-")
    assert load(ran.stdout_bytes).listeners
    assert not Path("graph.bin").exists()


def test_literal_keys_need_a_file_when_the_graph_goes_to_standard_output(archc):
    put(LITERAL)
    ran = archc("compile", "-o", "-")
    assert ran.exit_code == 2
    assert "--secrets" in ran.stderr
    assert ran.stdout_bytes == b""
    ran = archc("compile", "-o", "-", "--secrets", "keys")
    assert ran.exit_code == 0
    assert load(ran.stdout_bytes).secrets
    assert Path("keys").stat().st_mode & 0o777 == 0o600


def test_a_literal_key_is_shown_nowhere(archc):
    put(LITERAL)
    for arguments in (
        ("compile",),
        ("check",),
        ("explain", "arch_config.yaml"),
        ("diff", "arch_config.yaml", "arch_config.yaml"),
        ("--format", "json", "check"),
        ("--format", "sarif", "check"),
        ("--format", "github", "check"),
    ):
        ran = archc(*arguments)
        assert ran.exit_code == 0
        assert "canary" not in ran.output, arguments
    assert b"canary" not in Path("graph.bin").read_bytes()
    assert b"canary" in Path("graph.secrets").read_bytes()


def test_what_cannot_be_written_is_said(archc):
    put(GOOD)
    ran = archc("compile", "-o", "no/such/folder/graph.bin")
    assert ran.exit_code == 1
    assert "cannot be written: no such file or directory" in ran.stderr


def test_the_configuration_is_not_overwritten(archc):
    put(GOOD)
    assert archc("compile", "-o", "./arch_config.yaml").exit_code == 2
    assert Path("arch_config.yaml").read_text() == GOOD


def test_check_writes_nothing(archc):
    put(GOOD)
    ran = archc("check")
    assert (ran.exit_code, ran.stderr) == (0, "arch_config.yaml is good\n")
    assert [path.name for path in Path().iterdir()] == ["arch_config.yaml"]


def test_check_names_variables_that_are_not_set(archc, monkeypatch):
    put(GOOD)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    ran = archc("check", "--env")
    assert ran.exit_code == 0
    assert "warning[unset-variable]: the variable OPENAI_API_KEY is not set" in ran.stderr
    assert "arch_config.yaml:5:40" in ran.stderr
    Path(".env").write_text("# keys\nexport OPENAI_API_KEY='x'\n")
    assert "unset-variable" not in archc("check", "--env").stderr
    Path(".env").unlink()
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    assert "unset-variable" not in archc("check", "--env").stderr


@pytest.mark.parametrize("form", ["json", "sarif"])
def test_forms_for_machines_are_alone_on_standard_output(archc, form):
    put(BAD)
    ran = archc("--format", form, "check")
    assert (ran.exit_code, ran.stderr) == (1, "")
    assert "bad-model-name" in str(msgspec.json.decode(ran.stdout))


def test_the_form_may_stand_after_the_command(archc):
    put(BAD)
    assert archc("check", "--format", "json").stdout == archc("--format", "json", "check").stdout
    assert archc("--format", "sarif", "check", "--format", "github").stdout.startswith("::error ")


def test_github_annotations(archc):
    put(BAD)
    assert archc("--format", "github", "check").stdout.startswith("::error file=arch_config.yaml,line=4,")


def test_machine_output_and_the_graph_cannot_share_standard_output(archc):
    put(GOOD)
    assert archc("--format", "json", "compile", "-o", "-").exit_code == 2


def test_colour_follows_the_wish(archc, monkeypatch):
    put(BAD)
    assert "\x1b[" not in archc("check").stderr
    assert "\x1b[" in archc("--color", "check").stderr
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" in archc("--color", "check").stderr
    assert "\x1b[" not in archc("--no-color", "check").stderr


@pytest.mark.parametrize("form", ["text", "mermaid", "dot", "svg"])
def test_explain_takes_a_graph_or_a_configuration(archc, form):
    put(GOOD)
    archc("compile")
    one = archc("explain", "graph.bin", "--format", form)
    assert one.exit_code == 0
    assert "openai/gpt-4o" in one.stdout
    assert archc("explain", "arch_config.yaml", "--format", form).stdout == one.stdout
    assert archc("explain", "--format", form).stdout == one.stdout


def test_explain_tells_programs_all_of_it(archc):
    put(GOOD)
    archc("compile")
    told = msgspec.json.decode(archc("--format", "json", "explain").stdout)
    assert (told["source"], told["sha256"]) == ("arch_config.yaml", digest(Path("graph.bin").read_bytes()))
    assert "model openai/gpt-4o" in told["facts"]
    assert f"sha256 {told['sha256'][:12]}\n" in archc("explain").stdout


def test_explain_says_what_is_no_graph(archc):
    Path("graph.bin").write_bytes(b"hello")
    ran = archc("explain")
    assert ran.exit_code == 1
    assert "this is not a graph.bin" in ran.stderr
    assert archc("explain", "missing.bin").exit_code == 1
    put(BAD)
    assert "bad-model-name" in archc("explain", "arch_config.yaml").stderr


def test_diff_tells_changes_and_may_end_with_1(archc):
    put(GOOD)
    put(GOOD.replace("$OPENAI_API_KEY", "$OTHER"), "new.yaml")
    ran = archc("diff", "arch_config.yaml", "new.yaml")
    assert ran.exit_code == 0
    assert "key: $OPENAI_API_KEY -> $OTHER" in ran.stdout
    assert archc("diff", "arch_config.yaml", "new.yaml", "--exit-code").exit_code == 1
    assert archc("diff", "new.yaml", "new.yaml", "--exit-code").exit_code == 0
    found = msgspec.json.decode(archc("--format", "json", "diff", "arch_config.yaml", "new.yaml").stdout)
    assert {change["thing"] for change in found} >= {"model openai/gpt-4o", "environment"}


@pytest.mark.parametrize("template", TEMPLATES)
def test_init_writes_what_compiles_without_a_finding(archc, template):
    ran = archc("init", "--template", template)
    assert ran.exit_code == 0
    ran = archc("check", "--strict")
    assert (ran.exit_code, ran.stderr) == (0, "arch_config.yaml is good\n")


def test_init_replaces_only_when_told(archc):
    put("mine")
    assert archc("init").exit_code == 1
    assert Path("arch_config.yaml").read_text() == "mine"
    assert archc("init", "--force").exit_code == 0
    assert archc("check").exit_code == 0


def test_init_knows_its_templates(archc):
    assert set(archc("init", "--list").stdout.split()) >= set(TEMPLATES)
    ran = archc("init", "--template", "modls")
    assert ran.exit_code == 2
    assert 'did you mean "models"?' in ran.stderr


def test_plugins_list_and_show(archc):
    assert archc("plugins", "list").stdout.startswith("archflow")
    (found,) = (
        one
        for one in msgspec.json.decode(archc("--format", "json", "plugins", "list").stdout)
        if one["entry_point"] == "archflow"
    )
    assert found["distribution"] == "archflow"
    shown = archc("plugins", "show", "archflow").stdout
    assert "provider.openai_compatible" in shown
    assert "max_keys: how many buckets to keep" in archc("plugins", "show", "store.memory").stdout
    ran = archc("plugins", "show", "archflw")
    assert ran.exit_code == 1
    assert 'did you mean "archflow"?' in ran.stderr


def test_plugins_new_writes_a_package(archc):
    ran = archc("plugins", "new", "word-list", "--folder", "here")
    assert ran.exit_code == 0
    assert Path("here/pyproject.toml").is_file()
    again = archc("plugins", "new", "word-list", "--folder", "here")
    assert again.exit_code == 1
    assert archc("plugins", "new", "Not A Name").exit_code == 1
    assert "'pii' is taken" in archc("plugins", "new", "pii").stderr


def test_wrong_command_lines_end_with_2(archc):
    assert archc("compil").exit_code == 2
    assert archc("--format", "xml", "check").exit_code == 2


def run(*arguments, folder):
    environment = {**os.environ, "PYTHONPROFILEIMPORTTIME": ""}
    return subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "archflow_compiler", *arguments],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.process
@pytest.mark.parametrize(
    "arguments", [("--help",), ("--version",), ("compile", "--help"), ("plugins", "--help")]
)
def test_help_imports_nothing_heavy(tmp_path, arguments):
    """Counted instead of timed: what makes a start slow is what is imported."""
    ran = run(*arguments, folder=tmp_path)
    assert ran.returncode == 0
    imported = {line.rpartition("|")[2].strip() for line in ran.stderr.splitlines() if "|" in line}
    heavy = {
        "ruamel.yaml",
        "msgspec",
        "pluggy",
        "trio",
        "archflow_plugins.registry",
        "archflow_schema.graph",
        "packaging",
    }
    assert not imported & heavy


@pytest.mark.process
def test_compile_imports_no_run_time_library(tmp_path):
    (tmp_path / "arch_config.yaml").write_text(GOOD)
    ran = run("compile", folder=tmp_path)
    assert ran.returncode == 0
    imported = {line.rpartition("|")[2].strip() for line in ran.stderr.splitlines() if "|" in line}
    assert not {
        name
        for name in imported
        if name.split(".")[0] in {"trio", "hypercorn", "h2", "opentelemetry", "numpy", "archflow_engine"}
    }


def test_init_from_an_api(archc):
    Path("api.json").write_text(
        '{"openapi": "3.1.0", "servers": [{"url": "https://h"}], "paths": {"/a": {"get": {"summary": "Tell a"}}}}'
    )
    ran = archc("init", "--from", "api.json")
    assert ran.stderr == (
        "wrote arch_config.yaml with 1 prompt target; read it through, then: archc check arch_config.yaml\n"
    )
    assert "# Drafted from api.json." in Path("arch_config.yaml").read_text()
    assert archc("check").exit_code == 0
    assert "is there already" in archc("init", "--from", "api.json").stderr
    assert archc("init", "--from", "api.json", "--force").exit_code == 0


def test_init_from_something_else_writes_nothing(archc):
    Path("api.yaml").write_text("swagger: '2.0'\n")
    ran = archc("--format", "github", "init", "--from", "api.yaml")
    assert ran.exit_code == 1
    assert ran.stdout.startswith("::error file=api.yaml,line=1,")
    assert not Path("arch_config.yaml").exists()
    ran = archc("init", "--from", "none.json")
    assert ran.exit_code == 1
    assert "none.json cannot be read: no such file" in ran.stderr

"""What the program says when it cannot do its work: run as a person or a program runs it."""

import os
import subprocess
import sys
from pathlib import Path

import click
import msgspec
import pytest

from archflow_compiler.failing import Failed, finding, form_of, telling
from archflow_schema.diagnostic import Diagnostic
from archflow_schema.errors import PluginError
from compiling import HEAD, MODEL

pytestmark = pytest.mark.process
MAKE = "make one with `archc compile`"
MISSPELT = '{"messages": [\n  {"role": "user", "content": "\u00e9" oops}]}'


@pytest.fixture
def archc(tmp_path):
    """Runs the program in a folder with a configuration, a graph that is none, and a broken request."""
    (tmp_path / "arch_config.yaml").write_text(HEAD + MODEL)
    (tmp_path / "graph.bin").write_bytes(b"hello")
    (tmp_path / "request.json").write_text(MISSPELT, encoding="utf-8")
    (tmp_path / "latin.json").write_bytes(b'["\xe9"]')
    environment = {**os.environ, "ARCHFLOW_CACHE": str(tmp_path / "cache"), "NO_COLOR": "1"}

    def run(*arguments):
        return subprocess.run(
            [Path(sys.executable).with_name("archc"), *arguments],
            cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip

    return run


FAILURES = [
    # arguments, exit status, file, line and column, summary, fix
    (("explain", "no.bin"), 1, "no.bin", None, "no.bin cannot be read: no such file or directory", MAKE),
    (("explain",), 1, "graph.bin", None, "graph.bin: this is not a graph.bin", "make one with `archc compile`"),
    (("compile", "-o", "no/g.bin"), 1, "no/g.bin", None, "no/g.bin cannot be written: no such file or directory", ""),
    (
        ("explain", "arch_config.yaml", "--messages", "request.json"), 1, "", ("request.json", 2, 35),
        "request.json is no JSON: JSON is malformed: expected ',' or '}' (byte 50)", "",
    ),
    (
        ("explain", "arch_config.yaml", "--messages", "latin.json"), 1, "latin.json", None,
        "latin.json is no JSON: 'utf-8' codec can't decode byte 0xe9 in position 0: unexpected end of data", "",
    ),
    (
        ("models", "pull", "minlm"), 1, "", None, 'there is no local model "minlm"',
        'did you mean "minilm" or "minilm-guard"? `archc models convert PATH --name NAME` adds one of yours',
    ),
    (
        ("models", "path", "minilm"), 1, "", None, "the model minilm (int8) is not here",
        "`archc models pull minilm`",
    ),
    (
        ("plugins", "new", "Not A Name"), 1, "", None, "'Not A Name' cannot name a plugin",
        "use lower-case letters, digits and dashes, such as word-list",
    ),
    (
        ("init",), 1, "arch_config.yaml", None, "arch_config.yaml is there already", "take --force to replace it",
    ),
    (
        ("init", "--template", "modles"), 2, "", None, 'there is no template "modles"', 'did you mean "models"?',
    ),
    (
        ("compile", "--packages"), 2, "", None, "--packages are part of a bundle",
        "name its folder with --bundle",
    ),
    (
        ("check", "--zzz"), 2, "", None, "no such option", "`archc check --help` shows what it takes",
    ),
    (("check", "--strct"), 2, "", None, "no such option", 'did you mean "--strict"?'),
    (("models", "pull"), 2, "", None, "missing argument", "`archc models pull --help` shows what it takes"),
    (("models",), 2, "", None, "missing command", "`archc models --help` shows what it takes"),
    ((), 2, "", None, "missing command", "`archc --help` shows what it takes"),
]  # fmt: skip


@pytest.mark.parametrize("failure", FAILURES, ids=lambda one: " ".join(one[0]) or "nothing")
def test_programs_get_one_object_where_people_get_words(archc, failure):
    arguments, status, file, place, summary, fix = failure
    ran = archc("--format", "json", *arguments)
    told = msgspec.json.decode(ran.stderr)
    (found,) = told["diagnostics"]
    assert (ran.returncode, told["errors"], told["warnings"]) == (status, 1, 0)
    assert set(found) == set(Diagnostic.__struct_fields__)
    assert found["code"] == {1: "command-failed", 2: "wrong-command-line"}[status]
    assert found["summary"].startswith(summary)
    where = found["range"] and (found["range"]["file"], found["range"]["line"], found["range"]["column"])
    assert (found["fix"], found["file"], where) == (fix, file, place)


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("explain", "no.bin"), 1, f"Error: no.bin cannot be read: no such file or directory: {MAKE}\n"),
        (("explain",), 1, "Error: graph.bin: this is not a graph.bin: make one with `archc compile`\n"),
        (("init",), 1, "Error: arch_config.yaml is there already: take --force to replace it\n"),
        (
            ("init", "--template", "modles"), 2,
            'Error: Invalid value for --template: there is no template "modles": did you mean "models"?\n',
        ),
        (("compile", "--packages"), 2, "Error: --packages are part of a bundle: name its folder with --bundle\n"),
    ],
)  # fmt: skip
def test_people_read_both_in_one_line(archc, arguments, status, words):
    for form in ((), ("--format", "sarif")):
        ran = archc(*form, *arguments)
        assert ran.returncode == status
        assert ran.stderr.endswith(words)
        assert ran.stderr.startswith("Usage: " if status == 2 else words)


@pytest.mark.parametrize(
    ("arguments", "status", "annotation"),
    [
        (
            ("explain", "no.bin"), 1,
            (
                "::error file=no.bin,title=command-failed::no.bin cannot be read: no such file or directory; "
                f"{MAKE}\n"
            ),
        ),
        (
            ("explain", "arch_config.yaml", "--messages", "request.json"), 1,
            (
                "::error file=request.json,line=2,endLine=2,col=35,endColumn=36,title=command-failed::"
                "request.json is no JSON: JSON is malformed: expected ',' or '}' (byte 50)\n"
            ),
        ),
        (
            ("init", "--template", "modles"), 2,
            '::error title=wrong-command-line::there is no template "modles"; did you mean "models"?\n',
        ),
    ],
)  # fmt: skip
def test_github_shows_it_at_the_file(archc, arguments, status, annotation):
    ran = archc("--format", "github", *arguments)
    assert (ran.returncode, ran.stdout, ran.stderr) == (status, "", annotation)


def test_an_option_of_archc_itself_that_there_is_not(archc):
    ran = archc("--format", "json", "--zzz", "check")
    assert ran.returncode == 2
    assert msgspec.json.decode(ran.stderr)["diagnostics"][0]["fix"] == "`archc --help` shows what it takes"


def test_what_went_well_says_nothing_of_it(archc):
    ran = archc("--format", "json", "check")
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.parametrize(
    ("line", "form"),
    [
        ("", "text"),
        ("check", "text"),
        ("--format json check", "json"),
        ("--format=json check", "json"),
        ("check --bogus --format json", "json"),
        ("--format json check --format text", "text"),
        ("--format json explain g --format mermaid", "json"),
        ("check --format", "text"),
        ("check -- --format json", "text"),
    ],
)
def test_the_form_is_known_before_the_command_line_is_parsed(line, form):
    assert form_of(line.split()) == form


def test_what_is_a_bug_is_not_told_as_a_failure():
    with pytest.raises(ZeroDivisionError), telling("json"):
        raise ZeroDivisionError


def test_an_error_of_a_plugin_may_begin_in_its_own_way(capsys):
    class Unlucky(PluginError):
        def __init__(self, number):
            self.number = number

        def __str__(self):
            return f"number {self.number} came out"

    with pytest.raises(Failed, match="number 13 came out"), telling("text"):
        raise Unlucky(13)
    with pytest.raises(SystemExit), telling("json"):
        raise Unlucky(13)
    assert msgspec.json.decode(capsys.readouterr().err)["diagnostics"][0]["summary"] == "number 13 came out"


def test_what_click_says_is_told_in_one_line_without_a_full_stop():
    found = finding(click.UsageError("Missing option '--x'. Choose from:\n\ta,\n\tb."))
    assert (found.summary, found.fix) == ("missing option '--x'. Choose from: a, b", "")
    assert finding(Failed("a", "b", file="c")).file == "c"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk here that is always full")
@pytest.mark.parametrize("words", [["--help"], ["explain", "arch_config.yaml"], ["plugins", "list"]])
def test_output_that_cannot_be_written_is_told_in_a_line(archc, words, tmp_path):
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    for form in ([], ["--format", "json"]):
        with open("/dev/full", "w") as full:  # noqa: PTH123
            done = subprocess.run(
                [Path(sys.executable).with_name("archc"), *form, *words],
                cwd=tmp_path, env=buffered, stdout=full, stderr=subprocess.PIPE, text=True, check=False,
            )  # fmt: skip
        said = "the output cannot be read or written: no space left on device"
        assert done.returncode == 1
        if form:
            [told] = msgspec.json.decode(done.stderr)["diagnostics"]
            assert (told["code"], told["summary"]) == ("command-failed", said)
        else:
            assert done.stderr == f"Error: {said}\n"


def test_a_reader_who_has_had_enough_is_nothing_to_tell_of(archc, tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [Path(sys.executable).with_name("archc"), "explain", "arch_config.yaml"],
        cwd=tmp_path, stdout=writer, stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


def test_a_configuration_whose_name_is_no_utf_8_is_compiled(archc, tmp_path):
    name = os.fsdecode(b"caf\xe9.yaml")
    (tmp_path / name).write_text(HEAD + MODEL)
    done = archc("compile", name, "-o", "odd.bin")
    assert (done.returncode, done.stderr[:9]) == (0, "odd.bin: ")
    assert "graph of caf\\udce9.yaml" in archc("explain", "odd.bin").stdout

"""`archc route eval` and `archc explain --prompt`, as one calls them."""

import errno

import pytest
from click.testing import CliRunner
from msgspec import json

from archflow_compiler.cli import main
from archflow_plugins.deciding.offline import follow
from archflow_plugins.registry import Registry
from archflow_schema.errors import ArchflowError
from compiling import graph

CONFIG = """
version: v0.4.0
listeners: [{name: llm, type: model}]
model_providers:
  - {model: openai/gpt-4o, access_key: $KEY, default: true}
  - {model: openai/gpt-4o-mini, access_key: $KEY}
routing_preferences:
  - {name: code, description: programs, models: [openai/gpt-4o-mini, openai/gpt-4o]}
  - {name: story, description: tales, models: [openai/gpt-4o]}
routing: {router: {kind: static, option: code}}
"""
CASES = "cases: [{prompt: a function, route: code}, {prompt: a tale, route: story}]\n"


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.yaml").write_text(CONFIG)
    (tmp_path / "cases.yaml").write_text(CASES)
    return tmp_path


def archc(*arguments):
    return CliRunner().invoke(main, arguments)


def test_eval_says_what_is_wrong_and_ends_with_1(here):
    done = archc("route", "eval", "cases.yaml", "c.yaml")
    assert done.exit_code == 1
    assert done.stdout.startswith("router.static: 1 of 2 cases right, 50.0%\n")


def test_eval_is_content_with_less_and_speaks_json(here):
    done = archc("route", "eval", "cases.yaml", "c.yaml", "--min-accuracy", "0.5", "--format", "json")
    assert done.exit_code == 0
    assert json.decode(done.stdout)["failed"][0]["title"] == "a tale"


@pytest.mark.parametrize(
    ("cases", "words"),
    [
        ("cases: [{prompt: x, route: cooking}]", "the graph has no route cooking; it has code, story"),
        ("cases: []", "has no cases"),
        ("cases: [{route: code, promt: x}]", "promt"),
        ("[{prompt: x, route: code}]", "begin with `cases:`"),
        ("", "begin with `cases:`"),
    ],
)
def test_eval_of_what_cannot_be_judged(here, cases, words):
    (here / "cases.yaml").write_text(cases)
    done = archc("route", "eval", "cases.yaml", "c.yaml")
    assert done.exit_code == 1
    assert words in done.output


def test_files_in_the_wrong_order_are_told_apart(here):
    assert archc("compile", "c.yaml", "-o", "t.bin", "-q").exit_code == 0
    for command in ("eval", "tune"):
        done = archc("route", command, "t.bin", "c.yaml")
        assert done.exit_code == 1
        assert "t.bin is a graph and holds no cases: name the file of cases first" in done.output
    done = archc("route", "tune", "cases.yaml", "t.bin")
    assert done.exit_code == 1
    assert "t.bin is a graph: what is tuned is the configuration" in done.output


def test_eval_without_a_router_or_a_file(here):
    (here / "c.yaml").write_text(CONFIG.partition("routing_preferences")[0])
    assert "has no router" in archc("route", "eval", "cases.yaml", "c.yaml").output
    assert "cannot be read" in archc("route", "eval", "nothing.yaml", "c.yaml").output


def test_explain_shows_the_way_of_a_prompt(here):
    done = archc("explain", "c.yaml", "--prompt", "a function")
    assert done.exit_code == 0, done.output
    assert done.stdout == (
        "listener llm\n"
        "asked llm: the request names the model 'none': left to the router -> choose\n"
        "choose llm: router.static finds code (static, confidence 1.00) -> model:openai/gpt-4o-mini\n"
        "dispatch openai/gpt-4o-mini, or next llm: asks openai/gpt-4o-mini for gpt-4o-mini\n"
        "if its upstream refuses: openai/gpt-4o\n"
    )


def test_explain_shows_the_way_of_messages_and_of_a_body(here):
    (here / "list.json").write_text('[{"role": "user", "content": "hi"}]')
    (here / "body.json").write_text('{"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}')
    assert "finds code" in archc("explain", "c.yaml", "--messages", "list.json").stdout
    assert "name of openai/gpt-4o" in archc("explain", "c.yaml", "--messages", "body.json").stdout
    assert "finds code" in archc("explain", "c.yaml", "--messages", "body.json", "--model", "auto").stdout
    told = json.decode(archc("--format", "json", "explain", "c.yaml", "--messages", "body.json").stdout)
    assert (told["model"], told["steps"][0]["outcome"]) == ("openai/gpt-4o", "model:openai/gpt-4o")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--prompt", "a", "--messages", "list.json"), "two requests"),
        (("--prompt", "a", "--format", "svg"), "in words"),
        (("--messages", "nothing.json"), "cannot be read"),
        (("--messages", "c.yaml"), "is no JSON"),
        (("--prompt", "a", "--listener", "x"), "the graph has no listener x; it has llm\n"),
        (
            ("--prompt", "a", "--listener", "lmm"),
            "the graph has no listener lmm; it has llm: did you mean llm?\n",
        ),
    ],
)
def test_explain_of_what_is_no_request(here, arguments, words):
    (here / "list.json").write_text("[]")
    done = archc("explain", "c.yaml", *arguments)
    assert done.exit_code != 0
    assert words in done.output


@pytest.mark.parametrize(
    ("listener", "words"),
    [("", "no listener takes smoke_signals"), ("llm", "the listener llm takes no smoke_signals")],
)
def test_a_dialect_that_nobody_takes(here, listener, words):
    found = graph(CONFIG)
    with pytest.raises(ArchflowError, match=words):
        follow(found, Registry.load(), b"{}", environment={}, dialect="smoke_signals", listener=listener)


def test_explain_says_that_a_model_is_not_asked_from_here(here):
    text = CONFIG.replace("{kind: static, option: code}", "{kind: language_model, model: gpt-4o}")
    (here / "c.yaml").write_text(text)
    done = archc("explain", "c.yaml", "--prompt", "hi")
    assert (
        "router.language_model failed: the model openai/gpt-4o is not asked from here -> failed"
        in done.stdout
    )
    assert done.stdout.endswith("dispatch openai/gpt-4o: asks openai/gpt-4o for gpt-4o\n")


COMPOSITE = CONFIG.replace("{kind: static, option: code}", "{kind: composite, threshold: 1.0}")
SAID = "cases: [{prompt: write a program that sorts, route: code}, {prompt: tell me a tale, route: story}]\n"


def test_tune_shows_a_difference_and_writes_it_only_when_told(here):
    (here / "c.yaml").write_text(COMPOSITE)
    (here / "cases.yaml").write_text(SAID)
    assert archc("route", "eval", "cases.yaml", "c.yaml").exit_code == 1
    shown = archc("route", "tune", "cases.yaml", "c.yaml")
    assert shown.exit_code == 0, shown.output
    assert (
        "-routing: {router: {kind: composite, threshold: 1.0}}\n+routing: {router: {kind: composite,"
        in shown.stdout
    )
    assert "0 of 2 cases right, then" in shown.stderr
    assert (here / "c.yaml").read_text() == COMPOSITE
    assert archc("route", "tune", "cases.yaml", "c.yaml", "--write").exit_code == 0
    assert (here / "c.yaml").read_text() != COMPOSITE
    assert "nothing does better" in archc("route", "tune", "cases.yaml", "c.yaml").stderr


def test_tune_says_why_it_cannot_write(here, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("archflow_compiler.write.replace", full)
    (here / "c.yaml").write_text(COMPOSITE)
    (here / "cases.yaml").write_text(SAID)
    done = archc("route", "tune", "cases.yaml", "c.yaml", "--write")
    assert done.exit_code == 1
    assert "c.yaml cannot be written: no space left on device" in done.stderr
    assert (here / "c.yaml").read_text() == COMPOSITE


def test_tune_of_a_router_without_numbers(here):
    done = archc("route", "tune", "cases.yaml", "c.yaml")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "nothing does better" in done.stderr
    (here / "c.yaml").write_text("a: [")
    assert archc("route", "tune", "cases.yaml", "c.yaml").exit_code == 1


def test_tune_says_where_a_cascade_asks_its_model(here):
    router = "{kind: cascade, model: gpt-4o, sure: 1.0}"
    (here / "c.yaml").write_text(CONFIG.replace("{kind: static, option: code}", router))
    (here / "cases.yaml").write_text(SAID)
    shown = archc("route", "tune", "cases.yaml", "c.yaml")
    assert shown.exit_code == 0, shown.output
    assert (
        "-routing: {router: {kind: cascade, model: gpt-4o, sure: 1.0}}\n+routing: {router: " in shown.stdout
    )
    assert "sure: 0." in shown.stdout

import os

import msgspec
import pytest

from archflow_compiler import render
from archflow_compiler.source import Source
from archflow_schema.diagnostic import Diagnostic, Range, Related, Report


def place(line, column, end_column, file="c.yaml"):
    return Range(file=file, line=line, column=column, end_line=line, end_column=end_column)


def report(*diagnostics):
    found = Report()
    found.extend(diagnostics)
    return found


ONE = Diagnostic(
    code="duplicate-model",
    severity="error",
    summary="two providers serve openai/gpt-4o",
    fix="remove one, or both: 100%",
    arch="Duplicate model name",
    range=place(3, 3, 8),
    related=(Related(place(1, 3, 8), "the first stands here"),),
)
WARNING = Diagnostic(code="no-effect", severity="warning", summary="x", range=place(2, 1, 2))
NOTE = Diagnostic(code="hint", severity="note", summary="y")
SOURCE = Source("c.yaml", "- model\n- other\n- model\n")


def test_text_points_at_both_places():
    assert render.text(report(ONE), SOURCE) == (
        "error[duplicate-model]: two providers serve openai/gpt-4o\n"
        " --> c.yaml:3:3\n"
        "  |\n"
        "3 | - model\n"
        "  |   ^^^^^\n"
        "...\n"
        "1 | - model\n"
        "  |   ----- the first stands here\n"
        "  |\n"
        "  = fix: remove one, or both: 100%\n"
        "  = Arch says: Duplicate model name\n"
        "\n"
        "1 error\n"
    )


def test_nothing_found_is_nothing_said():
    assert render.text(Report(), SOURCE) == ""


def test_counts_are_in_words():
    said = render.text(report(ONE, WARNING, NOTE), SOURCE)
    assert said.endswith("1 error, 1 warning\n")
    assert "note[hint]: y" in said


def test_colour_only_when_asked():
    assert "\x1b[" not in render.text(report(ONE), SOURCE)
    assert "\x1b[31;1merror[duplicate-model]\x1b[0m" in render.text(report(ONE), SOURCE, colour=True)


def test_control_characters_of_the_file_do_not_reach_the_terminal():
    found = Diagnostic(code="a", severity="error", summary="b", range=place(1, 1, 2))
    assert "\x1b" not in render.text(report(found), Source("c.yaml", "\x1b[2Jx\tz"))


def test_a_long_line_is_cut_around_its_caret():
    text = "x" * 5000 + "HERE" + "y" * 5000
    found = Diagnostic(code="a", severity="error", summary="b", range=place(1, 5001, 5005))
    lines = render.text(report(found), Source("c.yaml", text)).splitlines()
    assert max(map(len, lines)) < 200
    column = lines[4].index("^")
    assert lines[3][column : column + 4] == "HERE"


@pytest.mark.parametrize(
    "line",
    [
        "access_key: canary",
        'access_key: "canary canary"',
        "{model: a/b, access_key: canary, x: 1}",
        "Authorization: Bearer canary",
        "X-Api-Key: 'canary'",
        "acces_key:canary",
        "token: canary",
        "client_secret: canary",
        "db_password: canary",
        "url: postgresql://me:canary@host/db",
    ],
)
def test_a_key_in_the_line_is_not_shown(line):
    found = Diagnostic(code="a", severity="error", summary="b", range=place(1, 1, 2))
    said = render.text(report(found), Source("c.yaml", line))
    assert "canary" not in said
    assert "*" in said


@pytest.mark.parametrize(
    "line",
    ["access_key: $OPENAI_API_KEY", "limit: {tokens: 10}", "selector: {key: x-user-id}", "api_key: ${A}"],
)
def test_what_is_no_key_is_shown(line):
    found = Diagnostic(code="a", severity="error", summary="b", range=place(1, 1, 2))
    assert line in render.text(report(found), Source("c.yaml", line))


def test_a_caret_outside_the_text_is_left_out():
    found = Diagnostic(code="a", severity="error", summary="b", range=place(99, 1, 2))
    assert "99:1" in render.text(report(found), SOURCE)


def test_many_findings_are_cut():
    many = [Diagnostic(code="a", severity="error", summary=str(number)) for number in range(500)]
    said = render.text(report(*many), SOURCE)
    assert "... and 400 more" in said
    assert said.endswith("500 errors\n")


def test_json_holds_everything():
    found = msgspec.json.decode(render.json(report(ONE, WARNING)))
    assert (found["errors"], found["warnings"]) == (1, 1)
    second = found["diagnostics"][1]
    assert second["code"] == "duplicate-model"
    assert second["range"]["line"] == 3
    assert second["related"][0]["message"] == "the first stands here"


def test_sarif_places_results_and_names_rules():
    run = msgspec.json.decode(render.sarif(report(ONE, WARNING, NOTE), "1.2.3"))["runs"][0]
    assert run["tool"]["driver"]["version"] == "1.2.3"
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert rules == sorted(rules) == ["duplicate-model", "hint", "no-effect"]
    result = next(one for one in run["results"] if one["ruleId"] == "duplicate-model")
    assert rules[result["ruleIndex"]] == "duplicate-model"
    region = result["locations"][0]["physicalLocation"]["region"]
    assert region == {"startLine": 3, "startColumn": 3, "endLine": 3, "endColumn": 8}
    assert [one["level"] for one in run["results"]] == ["warning", "error", "note"]


def test_github_annotations_escape_what_would_end_them():
    lines = render.github(report(ONE, NOTE)).splitlines()
    assert lines[0] == (
        "::error file=c.yaml,line=3,endLine=3,col=3,endColumn=8,title=duplicate-model::"
        "two providers serve openai/gpt-4o; remove one, or both: 100%25"
    )
    assert lines[1] == "::notice title=hint::y"


def test_a_file_as_a_whole_is_a_place_without_a_line():
    whole = report(Diagnostic(code="unreadable-file", severity="error", summary="x", file="a b.yaml"))
    (result,) = msgspec.json.decode(render.sarif(whole, "1.2.3"))["runs"][0]["results"]
    assert result["locations"] == [{"physicalLocation": {"artifactLocation": {"uri": "a%20b.yaml"}}}]
    assert render.github(whole) == "::error file=a b.yaml,title=unreadable-file::x\n"


def test_a_file_whose_name_is_no_utf_8_is_named_all_the_same():
    name = os.fsdecode(b"a\xff.yaml")
    place = Range(file=name, line=1, column=1, end_line=1, end_column=2)
    for one in (
        Diagnostic(code="x", severity="error", summary=f"{name} cannot be read", file=name),
        Diagnostic(code="x", severity="error", summary=f"{name} cannot be read", range=place),
    ):
        (found,) = msgspec.json.decode(render.json(report(one)))["diagnostics"]
        assert found["summary"] == "a\\udcff.yaml cannot be read"
        assert (found["range"] or found)["file"] == "a\\udcff.yaml"
        (result,) = msgspec.json.decode(render.sarif(report(one), "1.2.3"))["runs"][0]["results"]
        assert result["locations"][0]["physicalLocation"]["artifactLocation"] == {"uri": "a%FF.yaml"}
        assert "file=a\\udcff.yaml" in render.github(report(one))

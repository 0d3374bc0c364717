"""Cases of a user's own: how they are read, and what is said of a router's answers."""

import pytest

from archflow_compiler.cases import Case, Failed, Turn, judge, read, text, unknown
from archflow_plugins.kinds import Choice
from archflow_schema.graph import Choose, Use

NODE = Choose("choose", Use("router.static"), (("code", ("a",)), ("story", ("b",))), 2.0, ())
CASES = (
    Case(prompt="a function", route="code"),
    Case(prompt="a tale", route="story"),
    Case(prompt="thanks", route="none"),
    Case(messages=(Turn("user", "a function"), Turn("user", "x " * 100)), route="code"),
)
CHOICES = (
    Choice(option="code", reason="similar"),
    Choice(option="code", reason="similar", confidence=0.51234),
    Choice(option="cooking", reason="unclear"),
    Choice(reason="unclear"),
)


def test_what_a_file_says(tmp_path):
    file = tmp_path / "cases.yaml"
    file.write_text(
        "cases:\n"
        "  - {prompt: hi, route: none}\n"
        "  - {messages: [{role: user, content: a}, {role: assistant, content: b}], route: code}\n"
    )
    cases, report, _ = read(file)
    assert list(report) == []
    assert [case.route for case in cases] == ["none", "code"]
    assert [(one.role, one.text) for one in cases[1].conversation.messages] == [
        ("user", "a"),
        ("assistant", "b"),
    ]
    assert cases[0].conversation.messages[0].text == "hi"


@pytest.mark.parametrize(
    "said", ["[]", "cases: 3", "cases: [{prompt: hi}]", "cases: [{prompt: hi, rout: a}]", "a: ["]
)
def test_what_is_wrong_with_a_file_is_reported(tmp_path, said):
    file = tmp_path / "cases.yaml"
    file.write_text(said)
    cases, report, _ = read(file)
    assert report.failed
    assert cases == ()


def test_a_verdict():
    judged = judge(NODE, CASES, CHOICES)
    assert (judged.router, judged.cases, judged.right, judged.accuracy) == ("router.static", 4, 2, 0.5)
    assert judged.confusion == (
        ("code", "code", 1),
        ("code", "none", 1),
        ("none", "none", 1),
        ("story", "code", 1),
    )
    assert judged.failed[0] == Failed("a tale", "story", "code", "similar", 0.5123)
    assert len(judged.failed[1].title) == 100


def test_a_verdict_in_words():
    said = text(judge(NODE, CASES, CHOICES))
    assert said.startswith("router.static: 2 of 4 cases right, 50.0%\n")
    assert "code      1     1      .\n" in said
    assert "  a tale\n    is story, found code (similar, confidence 0.51)\n" in said


def test_routes_that_are_not_there():
    assert unknown(NODE, (*CASES, Case(prompt="x", route="cooking"))) == ("cooking",)

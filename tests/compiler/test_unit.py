from archflow_compiler.tree import Mapping, Places
from archflow_compiler.unit import MAX_SUGGESTIONS, Unit, duplicates
from archflow_schema.config import Config
from archflow_schema.diagnostic import Range, Report

PLACE = Range(file="x", line=1, column=1, end_line=1, end_column=2)


def unit():
    return Unit(Config(), Places(Mapping((), PLACE)), Report())


def test_findings_carry_what_was_said():
    one = unit()
    one.error("a", "b", PLACE, fix="c", arch="d", first=(PLACE, "e"))
    one.warning("f", "g", PLACE)
    one.note("h", "i", PLACE)
    found = {diagnostic.code: diagnostic for diagnostic in one.report}
    assert [(code, found[code].severity) for code in "afh"] == [
        ("a", "error"),
        ("f", "warning"),
        ("h", "note"),
    ]
    assert found["a"].related[0].message == "e"


def test_a_suggestion_may_stand_beside_another_fix():
    assert unit().suggest("gpt", ["gpt-4"], "add it") == 'did you mean "gpt-4"? or add it'
    assert unit().suggest("zebra", ["gpt-4"], "add it") == "add it"


def test_suggestions_end():
    one = unit()
    said = [one.suggest("gpt", ["gpt-4"]) for _ in range(MAX_SUGGESTIONS + 5)]
    assert sum(map(bool, said)) == MAX_SUGGESTIONS


def test_duplicates_name_both_places():
    names = [("a", (1,)), ("b", (2,)), ("a", (3,)), ("a", (4,))]
    assert list(duplicates(names)) == [("a", (3,), (1,)), ("a", (4,), (1,))]

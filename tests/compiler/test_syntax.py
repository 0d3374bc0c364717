import pytest

from archflow_compiler.source import Source, parse
from archflow_schema.diagnostic import Report


def found(text):
    report = Report()
    parse(Source("x.yaml", text), report)
    (one,) = report
    return one


@pytest.mark.parametrize(
    ("text", "words", "line"),
    [
        ("a:\n\tb: 1\n", "a tab stands", 2),
        ("a: b: c\n", "a colon makes no sense here", 1),
        ("a:\n  - b: 1\n   c: 2\n", "the indentation does not fit", 3),
        ("a: 'x\n", "something that was begun does not end", 2),
        ("a: @b\n", "a value cannot begin so", 1),
        ("a: {b: 1\nc: 2\n", "a comma or a closing brace is missing", 2),
        ("a: [b\nc: 2\n", "a comma or a closing bracket is missing", 2),
        ("a:\nb\nc: 1\n", "a key without a colon", 3),
        ("a: \x07\n", "the character U+0007 is not allowed", 1),
    ],
)
def test_what_goes_wrong_is_said_in_words_with_its_line(text, words, line):
    one = found(text)
    assert one.code == "yaml-syntax"
    assert words in one.summary
    assert one.range.line == line
    assert one.fix or "U+" in one.summary


def test_where_it_began_is_shown_too():
    (begun,) = found("a: 1\nb: 'x\nc: 2\n").related
    assert begun.range.line == 2

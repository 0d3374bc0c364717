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
        ("a:\nb\nc: 1\n", "a key without a colon", 2),
        ("a: 1\nb:2\nc: 3\n", "a key without a colon", 2),
        ("a: [\n", "something that was begun does not end", 2),
        ("a: *\n", "begin the name of an anchor", 1),
        ("a: {b: *}\n", "begin the name of an anchor", 1),
        ('a: "C:\\Users"\n', "a backslash begins an escape", 1),
        ("a: | b\n", "begins on the next line", 1),
        ("a: - b\n", "a list does not begin beside its key", 1),
        ("a: 1\nb: 'it's here'\nc: 2\n", "the value has ended before this", 2),
        ('a: "b" c\n', "the value has ended before this", 1),
        ("a: {x}/y\n", "the value has ended before this", 1),
        ("a: {b: /x/{y}}\n", "a brace stands in the middle of a value", 1),
        ("a: {b: c}}\n", "a brace is closed that was not opened", 1),
        ("a: {b: c d: e}\n", "a comma or a closing brace is missing", 1),
        ("a:\n  -b: c\n   d: e\n", "a dash needs a space after it", 2),
        ("a:\n  - b: c\n  -d: e\n", "a dash needs a space after it", 3),
        ("a:\u00a0b\nc: d\n", "the character U+00A0 only looks like a space", 1),
        ("a:\n  - b: c\n\u3000\u3000d: e\n    f: g\n", "the character U+3000 only looks like a space", 3),
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


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("a: 'it's'\n", "quote the whole value with \", or write '' for a ' within it"),
        ('a: "b" c\n', 'quote the whole value with \', or write \\" for a " within it'),
        ("a: {x}/y\n", "quote the whole value"),
        ("a: 1\n  b: 2\n", "check the indentation of this line, and quote a value that holds `: `"),
    ],
)
def test_the_fix_is_for_what_stands_there(text, fix):
    assert found(text).fix == fix


def test_a_name_that_no_anchor_has_may_have_been_meant_as_text():
    assert found("a: */x\n").fix == "quote it if it is meant to be text"
